/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "clock.h"
#include "schema.h"
#include "symbols.h"

#define MAX_OFFSET                                                                                 \
	0x100000 /* behind the last symbol of the kernel or of a module there is nothing */

struct rec_symbol {
	uint64_t address;
	uint32_t name; /* offset in names: "symbol" or "symbol\0[module]" */
};

/* ---- where records hold an address ---- */

static void find_offset(struct rec_symbols *s, const struct tape_record *rec)
{
	for (unsigned i = 0; i < rec->n_fields; i++) {
		const struct tape_field *f = &rec->fields[i];

		if (f->type == TAPE_U64 && !strcmp(f->unit, "symbol"))
			s->at[rec->id] = (uint16_t)tape_field_offset(rec, i);
	}
}

void rec_symbols_fini(struct rec_symbols *s)
{
	if (s->fd >= 0)
		close(s->fd);
	free(s->v);
	free(s->names);
	s->fd = -1;
	s->v = NULL;
	s->names = NULL;
}

/* ---- /proc/kallsyms ---- */

static bool add_name(struct rec_symbols *s, const char *name, const char *module)
{
	size_t len = strlen(name) + strlen(module) + 2;

	if (s->names_len + len > s->names_cap) {
		size_t cap = s->names_cap ? 2 * s->names_cap : 1u << 20;
		char *names = cap > UINT32_MAX ? NULL : realloc(s->names, cap);

		if (!names)
			return false;
		s->names = names;
		s->names_cap = cap;
	}
	/* the module stands behind the first NUL, empty for the kernel itself */
	memcpy(s->names + s->names_len, name, strlen(name) + 1);
	memcpy(s->names + s->names_len + strlen(name) + 1, module, strlen(module) + 1);
	s->names_len += len;
	return true;
}

static bool add_symbol(struct rec_symbols *s, uint64_t address, const char *name,
		       const char *module)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 1u << 16;
		struct rec_symbol *v = realloc(s->v, cap * sizeof(*v));

		if (!v)
			return false;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n] = (struct rec_symbol){address, (uint32_t)s->names_len};
	if (!add_name(s, name, module))
		return false;
	s->n++;
	return true;
}

static int by_address(const void *a, const void *b)
{
	const struct rec_symbol *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* "ffffffff81000000 T _text", of a module "ffffffffc0000000 t name\t[module]": a function, or not.
 */
static bool read_line(char *line, uint64_t *address, const char **name, const char **module)
{
	char *at;

	*address = strtoull(line, &at, 16);
	if (!*address || at[0] != ' ' || !at[1] || !strchr("tTwW", at[1]) || at[2] != ' ')
		return false;
	*name = at + 3;
	at += 3 + strcspn(at + 3, " \t\n");
	*module = *at == '\t' ? at + 1 : "";
	*at = '\0';
	at += **module ? 1 + strcspn(at + 1, "\n") : 0;
	*at = '\0';
	return true;
}

/* Functions only. Where addresses are hidden (kptr_restrict) all are 0, and none is kept. */
static void read_symbols(struct rec_symbols *s)
{
	const char *name, *module;
	char line[512];
	uint64_t address;
	FILE *f;
	int fd = s->fd >= 0 && !lseek(s->fd, 0, SEEK_SET) ? dup(s->fd) : -1;

	f = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (!f) {
		if (fd >= 0)
			close(fd);
		return;
	}
	s->n = s->names_len = 0;
	while (fgets(line, sizeof(line), f)) {
		if (read_line(line, &address, &name, &module) &&
		    !add_symbol(s, address, name, module))
			break; /* without memory the rest stays unknown */
	}
	fclose(f);
	qsort(s->v, s->n, sizeof(*s->v), by_address);
}

/* The last symbol at or before the address; NULL: none is near. */
static const struct rec_symbol *find(const struct rec_symbols *s, uint64_t address)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->v[mid].address <= address)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || address - s->v[low - 1].address >= MAX_OFFSET)
		return NULL;
	/* of several names for one address the first in kallsyms may be any: take the lowest */
	while (low > 1 && s->v[low - 2].address == s->v[low - 1].address)
		low--;
	return &s->v[low - 1];
}

static size_t describe(const struct rec_symbols *s, uint64_t address, char *buf, size_t len)
{
	const struct rec_symbol *sym = find(s, address);
	const char *name, *module;

	*buf = '\0';
	if (!sym)
		return 0;
	name = s->names + sym->name;
	module = name + strlen(name) + 1;
	return (size_t)snprintf(buf, len, "%s+0x%" PRIx64 "%s%s", name, address - sym->address,
				*module ? " " : "", module);
}

/* Which modules there are: a sum of their names. Their use counts change all the time. */
static uint64_t sum_of_modules(void)
{
	FILE *f = fopen("/proc/modules", "re"); /* a kernel without modules has none */
	uint64_t sum = 0;
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		sum += XXH3_64bits(line, strcspn(line, " "));
	if (f)
		fclose(f);
	return sum;
}

size_t rec_symbols_name(struct rec_symbols *s, uint64_t address, char *buf, size_t len)
{
	uint64_t modules = sum_of_modules();
	size_t n;

	if (modules != s->modules)
		read_symbols(s);
	s->modules = modules;
	n = describe(s, address, buf, len);
	s->n_unknown += !n;
	return n;
}

void rec_symbols_init(struct rec_symbols *s, bool wanted)
{
	const struct tape_schema *schema = tape_schema_builtin();

	memset(s, 0, sizeof(*s));
	s->fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < schema->n_records; i++) {
		const struct tape_record *rec = &schema->records[i];

		if (!rec->is_table && rec->id != TAPE_COMMON && rec->id < EV_SNAPSHOT_FIRST)
			find_offset(s, rec);
	}
	if (!wanted)
		return;
	s->modules = sum_of_modules();
	read_symbols(s);
}

/* ---- numbers ---- */

static int write_row(struct rec_symbols *s, uint64_t address, uint64_t id, struct tape_writer *w,
		     struct tape_error *err)
{
	char name[512];
	struct ev_snap_symbol row = {
		.head = {rec_now_ns(), 0, EV_snap_symbol, sizeof(row)},
		.id = id,
	};

	row.name = (struct ev_str){name, rec_symbols_name(s, address, name, sizeof(name))};
	return tape_writer_event(w, &row.head, err);
}

int rec_symbols_id(struct rec_symbols *s, uint64_t address, struct tape_writer *w, uint64_t *ret,
		   struct tape_error *err)
{
	size_t i = (address * 0x9e3779b97f4a7c15u) >> 52; /* 12 bits: REC_SYMBOLS_ROOM */

	*ret = 0;
	if (!address)
		return 0;
	for (; s->places[i]; i = (i + 1) & (REC_SYMBOLS_ROOM - 1)) {
		if (s->places[i] == address) {
			*ret = s->ids[i];
			return 0;
		}
	}
	if (s->n_places >= REC_SYMBOLS_ROOM / 2)
		return 0;
	s->places[i] = address;
	s->ids[i] = ++s->n_places;
	*ret = s->ids[i];
	return write_row(s, address, *ret, w, err);
}

int rec_symbols_see(struct rec_symbols *s, struct ev_head *record, struct tape_writer *w,
		    struct tape_error *err)
{
	unsigned at = record->type < 256 ? s->at[record->type] : 0;
	uint64_t *field = (uint64_t *)((char *)record + at);

	return at ? rec_symbols_id(s, *field, w, field, err) : 0;
}

const char *rec_symbols_trouble(const struct rec_symbols *s)
{
	if (!s->n_unknown)
		return "";
	if (s->fd < 0)
		return "/proc/kallsyms cannot be opened: places in the kernel have no names";
	if (!s->n)
		return "/proc/kallsyms hides addresses (kernel.kptr_restrict, CAP_SYSLOG): places "
		       "in the kernel have no names";
	return "";
}

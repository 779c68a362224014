// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * anonymize: a trace that can be given away. Every event is written anew, with what anonymize.h
 * does to it; nothing is copied that this build does not know. --check lists what text and which
 * addresses a trace has.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "anonymize.h"
#include "cmd.h"
#include "derive.h"
#include "flow.h"
#include "map.h"

#define KERNEL_ADDRESS "(a kernel address)" /* no more of it: one line for all of a field */

static struct anonymize_opts {
	const char *output, *key;
	bool force, strict, ports, check;
} opts;

static const struct opt_row rows[] = {
	{'o', "output", "FILE", OPT_STR, offsetof(struct anonymize_opts, output),
	 "the trace to write; - is standard output"},
	{0, "force", NULL, OPT_FLAG, offsetof(struct anonymize_opts, force), "overwrite FILE"},
	{0, "key", "FILE", OPT_STR, offsetof(struct anonymize_opts, key),
	 "32 secret bytes (head -c 32 /dev/urandom > FILE): the same key\n"
	 "gives the same addresses and names; without, one that is forgotten"},
	{0, "strict", NULL, OPT_FLAG, offsetof(struct anonymize_opts, strict),
	 "replace private and special addresses too"},
	{0, "ports", NULL, OPT_FLAG, offsetof(struct anonymize_opts, ports), "replace ports too"},
	{0, "check", NULL, OPT_FLAG, offsetof(struct anonymize_opts, check),
	 "write nothing: list every text and address of the trace"},
};

static const struct out_col cols[] = {
	{"KIND", "kind", 24, false},
	{"COUNT", "count", -10, false},
	{"VALUE", "value", 0, false},
};

struct job {
	struct cmd_run *run;
	struct derive d;
	struct derive_source source;
	struct derive_rules rules;
	struct tape_patch_rules patch;
	struct anonymize *a;
	/* --check */
	struct tape_rows *rows;
	struct map seen; /* hash -> struct item that we own */
	struct item {
		struct item *next;
		uint64_t n;
		const char *record, *field; /* of the schema of this build, or words */
		size_t len;
		char value[];
	} * first, **last;
};

static int check(int *n_operands, char **operands, struct fail *fail)
{
	if (!opts.output == !opts.check)
		return fail_set(fail, STATUS_USAGE, "-o FILE (where to?) or --check");
	return 0;
}

/* ---- the key ---- */

static int read_key(uint8_t key[PAN_KEY_LEN], struct fail *fail)
{
	uint8_t more;
	ssize_t n;
	int fd;

	if (!opts.key) {
		if (getrandom(key, PAN_KEY_LEN, 0) != PAN_KEY_LEN)
			return fail_set(fail, STATUS_FOUND, "no random key");
		return 0;
	}
	fd = open(opts.key, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_set(fail, STATUS_USAGE, "%s: %s", opts.key, strerror(errno));
	n = read(fd, key, PAN_KEY_LEN);
	if (n != PAN_KEY_LEN || read(fd, &more, 1) != 0) {
		close(fd);
		return fail_set(fail, STATUS_USAGE, "%s: a key is a file of %d bytes", opts.key,
				PAN_KEY_LEN);
	}
	close(fd);
	return 0;
}

/* ---- --check ---- */

static int note(struct job *j, const char *record, const char *field, const char *value, size_t len)
{
	uint64_t key[3] = {map_hash(record, strlen(record)), map_hash(field, strlen(field)),
			   map_hash(value, len)};
	uint64_t h = map_hash(key, sizeof(key));
	struct item *i = map_get(&j->seen, h);

	if (!i) {
		i = calloc(1, sizeof(*i) + len + 1);
		if (!i || map_put(&j->seen, h, i)) {
			free(i);
			return fail_nomem(j->run->fail);
		}
		i->record = record;
		i->field = field;
		i->len = len;
		memcpy(i->value, value, len);
		*j->last = i;
		j->last = &i->next;
	}
	i->n++;
	return 0;
}

static int note_row(struct job *j, const struct tape_record *rec, const uint8_t *row)
{
	const uint64_t none = 0;
	char addr[FLOW_TEXT_LEN];
	int rc = 0;

	for (unsigned i = 0; !rc && i < rec->n_fields; i++) {
		const struct tape_field *f = &rec->fields[i];
		const uint8_t *at = row + tape_field_offset(rec, i);
		struct ev_str s;

		if (f->table) {
			rc = note_row(j, tape_schema_record(tape_schema_builtin(), f->table), at);
		} else if (f->type == TAPE_ADDR) {
			flow_addr_text(at, addr);
			rc = note(j, "address", "", addr, strlen(addr));
		} else if (f->type == TAPE_COMM) {
			rc = note(j, rec->name, f->name, (const char *)at,
				  strnlen((const char *)at, EV_COMM_LEN));
		} else if (f->type == TAPE_STR) {
			memcpy(&s, at, sizeof(s));
			rc = note(j, rec->name, f->name, s.len ? s.s : "", s.len);
		} else if (f->hint == TAPE_POINTER && memcmp(at, &none, sizeof(none))) {
			rc = note(j, rec->name, f->name, KERNEL_ADDRESS, strlen(KERNEL_ADDRESS));
		}
	}
	return rc;
}

static int check_chunk(struct job *j, struct tape_chunk *chunk)
{
	const struct ev_head *e;
	struct tape_error err;
	int rc = tape_rows_begin(j->rows, chunk, input_schema(j->run->in), &err);

	if (rc) {
		input_damaged(j->run->in, &err);
		return rc == TAPE_E_NOMEM ? fail_nomem(j->run->fail) : 0;
	}
	while (!rc && tape_rows_next(j->rows, &e))
		rc = note_row(j, tape_schema_record(tape_schema_builtin(), e->type),
			      (const uint8_t *)e);
	return rc;
}

static int note_facts(struct job *j)
{
	size_t n;
	const struct tape_meta *m = tape_reader_meta(j->source.reader, &n);
	const char *writer = tape_reader_info(j->source.reader)->writer;
	const struct tape_schema *s = input_schema(j->run->in);
	int rc = note(j, "recorder", "", writer, strlen(writer));

	for (size_t i = 0; !rc && i < n; i++)
		rc = note(j, "META", m[i].key, m[i].value, strlen(m[i].value));
	for (size_t i = 0; !rc && i < s->n_names; i++)
		if (!tape_schema_name(tape_schema_builtin(), s->names[i].unit, s->names[i].value))
			rc = note(j, "name", s->names[i].unit, s->names[i].name,
				  strlen(s->names[i].name));
	return rc;
}

static void list(struct job *j)
{
	struct out *o = j->run->out;

	out_table(o, cols, sizeof(cols) / sizeof(cols[0]));
	for (const struct item *i = j->first; i; i = i->next) {
		char kind[128];

		if (!i->len)
			continue;
		snprintf(kind, sizeof(kind), "%s%s%s", i->record, *i->field ? "." : "", i->field);
		out_str(o, kind);
		out_u64(o, i->n);
		out_strn(o, i->value, i->len);
		out_end_row(o);
	}
}

/* ---- chunks ---- */

static int decode(const void *ctx, struct tape_chunk *chunk, struct tape_error *err)
{
	const struct job *j = ctx;
	int rc = opts.check ? 0 : tape_patch_decode(chunk, &j->patch, err);

	if (rc)
		return rc < 0 ? rc : 0;
	return derive_decode(input_schema(j->run->in), chunk, err);
}

/* Most chunks have few addresses and names in them: the rest of such a one stays as it is. */
static int anonymize_chunk(struct job *j, struct tape_chunk *chunk)
{
	int rc = derive_patch(&j->d, chunk, &j->patch);

	if (rc)
		return rc < 0 ? -1 : 0;
	if (derive_rows(&j->d, chunk, input_schema(j->run->in), NULL, anonymize_event, j->a))
		return -1;
	j->d.n_unknown += tape_rows_unknown(j->d.rows);
	return 0;
}

static int on_chunk(void *ctx, struct tape_chunk *chunk, const struct bind_tables *tables)
{
	struct job *j = ctx;

	if (opts.check)
		return check_chunk(j, chunk);
	if (derive_facts(&j->d, &j->source, &j->rules) || anonymize_chunk(j, chunk))
		return -1;
	return j->a->failed ? fail_nomem(j->run->fail) : 0;
}

static int write_all(struct job *j)
{
	struct input_job job = {.raw_decode = decode, .on_raw = on_chunk, .ctx = j};

	if (derive_facts(&j->d, &j->source, &j->rules) ||
	    input_run(j->run->in, &job, j->run->fail) || derive_facts(&j->d, &j->source, &j->rules))
		return -1;
	return derive_close_one(&j->d, &j->source, input_last(j->run->in));
}

/* Names that the kernel gave to numbers of known fields: words of its sources. */
static int find_names(const struct tape_schema *s, struct text *t)
{
	for (size_t i = 0; i < s->n_names; i++) {
		const struct tape_name *n = &s->names[i];

		if ((strcmp(n->unit, "drop_reason") && strcmp(n->unit, "rst_reason")) ||
		    n->name[strspn(n->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")])
			continue;
		text_fmt(t, "name\t%s\t%" PRIu64 "\t%s\n", n->unit, n->value, n->name);
	}
	text_putc(t, '\0');
	return t->failed ? -1 : 0;
}

static int anonymize_all(struct job *j)
{
	const struct tape_file_info *info = tape_reader_info(j->source.reader);
	const struct tape_schema *schema = input_schema(j->run->in);
	char *path = (char *)(uintptr_t)j->run->path;
	struct text names = {0};
	struct derive_how how = {.command = "anonymize",
				 .output = opts.output,
				 .force = opts.force,
				 .no_pointers = true,
				 .paths = &path,
				 .n_paths = 1,
				 .writer = {.writer = "tcptape " TCPTAPE_VERSION,
					    .n_cpus = info->n_cpus,
					    .start_ns = info->start_ns}};
	int rc = find_names(schema, &names) ? fail_nomem(j->run->fail) : 0;

	if (!rc && !tape_rows_fits(schema))
		rc = fail_set(j->run->fail, STATUS_LACKS,
			      "%s: its records are not those of this version", j->run->path);
	how.writer.names = names.s;
	if (!rc)
		rc = derive_begin(&j->d, &how, j->run->fail);
	if (!rc)
		rc = write_all(j);
	rc = derive_end(&j->d, rc);
	text_fini(&names);
	return rc;
}

static int check_all(struct job *j)
{
	struct input_job job = {.raw_decode = decode, .on_raw = on_chunk, .ctx = j};
	struct tape_error err;

	if (tape_rows_new(&j->rows, &err))
		return fail_nomem(j->run->fail);
	if (input_run(j->run->in, &job, j->run->fail) || note_facts(j))
		return -1;
	list(j);
	return 0;
}

static int run(struct cmd_run *run)
{
	struct job j = {.run = run, .d.file.fd = -1, .source.reader = input_reader(run->in)};
	uint8_t key[PAN_KEY_LEN];
	int rc = read_key(key, run->fail);

	j.last = &j.first;
	j.a = calloc(1, sizeof(*j.a));
	if (!rc && j.a)
		j.a->pan = pan_new(key, opts.strict);
	explicit_bzero(key, sizeof(key));
	if (!rc && (!j.a || !j.a->pan))
		rc = fail_nomem(run->fail);
	if (!rc) {
		j.a->ports = opts.ports;
		anonymize_init(j.a);
		j.rules =
			(struct derive_rules){anonymize_meta, anonymize_clock, anonymize_loss, j.a};
		j.patch = (struct tape_patch_rules){anonymize_what, anonymize_column, j.a};
		rc = opts.check ? check_all(&j) : anonymize_all(&j);
	}
	if (j.a)
		anonymize_fini(j.a);
	free(j.a);
	tape_rows_free(j.rows);
	map_fini(&j.seen);
	for (struct item *i = j.first, *next; i; i = next) {
		next = i->next;
		free(i);
	}
	return rc;
}

const struct cmd cmd_anonymize = {
	.name = "anonymize",
	.summary = "writes a trace without addresses and names",
	.about = "Addresses are encrypted so that those of one network stay in one (Crypto-PAn);\n"
		 "private and special ones stay, and with them as many first bits of others as "
		 "they\n"
		 "share. Names of processes, hosts, cgroups, namespaces and interfaces become "
		 "others,\n"
		 "the same for the same name and key. Wall time moves by 1 to 5 years; notes, "
		 "options,\n"
		 "boot id and whatever this version does not know are replaced or left out. What "
		 "stays:\n"
		 "ports, numbers (pid, uid, cookie), times since boot, the kernel's own names.\n"
		 "\n"
		 "FILE gets mode 0600. Look at --check FILE before you give it away.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.plain_input = true,
	.check = check,
	.run = run,
};

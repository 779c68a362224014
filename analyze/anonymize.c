// SPDX-License-Identifier: GPL-2.0-or-later
#include "anonymize.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "schema.h"

#define YEAR_NS (365ull * 24 * 3600 * 1000000000ull)

static void shuffle_ports(struct anonymize *a)
{
	for (uint32_t i = 0; i < 65536; i++)
		a->port_map[i] = (uint16_t)i;
	for (uint32_t i = 65535; i > 1; i--) {
		uint32_t k = 1 + (uint32_t)(pan_number(a->pan, &i, sizeof(i)) % i);
		uint16_t v = a->port_map[i];

		a->port_map[i] = a->port_map[k];
		a->port_map[k] = v;
	}
}

void anonymize_init(struct anonymize *a)
{
	if (a->ports)
		shuffle_ports(a);
	a->shift_ns = YEAR_NS + pan_number(a->pan, "wall time", 9) % (4 * YEAR_NS);
}

void anonymize_fini(struct anonymize *a)
{
	for (unsigned i = 0; i < 4; i++)
		text_fini(&a->text[i]);
	pan_free(a->pan);
}

static bool in_words(const char *list, const char *s, size_t len)
{
	for (const char *p = list; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		if (n == len && !memcmp(p, s, n))
			return true;
		p += n;
	}
	return false;
}

/* Names that the kernel's own sources give; another module's would tell who made it. */
static bool is_known_word(const char *s, size_t len)
{
	return in_words(
		"reno cubic bbr bbr1 bbr2 bbr3 dctcp vegas westwood htcp hybla bic illinois "
		"scalable lp veno yeah nv cdg highspeed "
		"noqueue noop pfifo bfifo pfifo_fast fq fq_codel fq_pie codel pie red sfq sfb "
		"cake htb hfsc tbf netem prio drr qfq ets mq mqprio multiq taprio etf cbs choke "
		"gred hhf plug clsact ingress lo",
		s, len);
}

bool anonymize_keeps(const char *record, const char *field)
{
	static const char *const kept[][2] = {
		{"snap_symbol", "name"},
		{"snap_stack", "frames"},
		{"snap_counter", "name"},
		{"rate", "group"},
	};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (!strcmp(kept[i][0], record) && !strcmp(kept[i][1], field))
			return true;
	return false;
}

/* ---- events ---- */

static void put_name(struct anonymize *a, struct text *t, const char *prefix, const char *s,
		     size_t len)
{
	char name[PAN_NAME_LEN];

	if (is_known_word(s, len)) {
		text_add(t, s, len);
		return;
	}
	pan_name(a->pan, prefix, s, len, name);
	text_puts(t, name);
}

/* Each part of a path, or word of a list, by itself. */
static void put_parts(struct anonymize *a, struct text *t, const char *prefix, const char *s,
		      size_t len, char separator)
{
	for (size_t i = 0, n; i < len; i += n) {
		for (n = 0; i + n < len && s[i + n] != separator; n++)
			;
		put_name(a, t, prefix, s + i, n);
		if (i + n < len) {
			text_putc(t, separator);
			n++;
		}
	}
}

static void edit_string(struct anonymize *a, const struct tape_record *rec,
			const struct tape_field *f, struct ev_str *s, struct text *t)
{
	text_clear(t);
	if (anonymize_keeps(rec->name, f->name))
		return;
	if (!strcmp(f->name, "path"))
		put_parts(a, t, "cg", s->s, s->len, '/');
	else if (!strcmp(f->name, "queue_qdiscs"))
		put_parts(a, t, "qd", s->s, s->len, ' ');
	else if (!strcmp(rec->name, "snap_netns"))
		put_name(a, t, "ns", s->s, s->len);
	else if (!strcmp(f->name, "qdisc"))
		put_name(a, t, "qd", s->s, s->len);
	else
		put_name(a, t, "if", s->s, s->len);
	a->failed |= t->failed;
	*s = (struct ev_str){t->s, t->len < 4096 ? t->len : 4096};
}

/* Process and thread names; of congestion controls, which have fields of that type too. */
static void edit_comm(struct anonymize *a, const struct tape_field *f, struct ev_comm *c)
{
	size_t len = strnlen(c->s, sizeof(c->s));
	char name[PAN_NAME_LEN];
	unsigned at = 0;

	if (!len || (!strcmp(f->name, "cc") && is_known_word(c->s, len)))
		return;
	for (size_t i = 0; i < len; i++)
		at = at * 31 + (uint8_t)c->s[i];
	at %= sizeof(a->recent) / sizeof(a->recent[0]);
	memset(c->s + len, 0, sizeof(c->s) - len);
	if (memcmp(&a->recent[at].from, c, sizeof(*c))) {
		a->recent[at].from = *c;
		pan_name(a->pan, "proc", c->s, len, name);
		memset(&a->recent[at].to, 0, sizeof(*c));
		memcpy(a->recent[at].to.s, name, strnlen(name, sizeof(c->s) - 1));
	}
	*c = a->recent[at].to;
}

static void edit_port(const struct anonymize *a, uint8_t *at)
{
	uint16_t port;

	memcpy(&port, at, sizeof(port));
	memcpy(at, &a->port_map[port], sizeof(port));
}

static void edit(struct anonymize *a, const struct tape_record *rec, uint8_t *row,
		 unsigned *n_texts)
{
	const struct tape_schema *s = tape_schema_builtin();

	for (unsigned i = 0; i < rec->n_fields; i++) {
		const struct tape_field *f = &rec->fields[i];
		uint8_t *at = row + tape_field_offset(rec, i);

		if (f->table)
			edit(a, tape_schema_record(s, f->table), at, n_texts);
		else if (f->type == TAPE_ADDR)
			a->failed |= pan_addr(a->pan, at) != 0;
		else if (f->type == TAPE_COMM)
			edit_comm(a, f, (struct ev_comm *)at);
		else if (f->type == TAPE_STR)
			edit_string(a, rec, f, (struct ev_str *)(void *)at,
				    &a->text[(*n_texts)++ & 3]);
		else if (a->ports && !strcmp(f->unit, "port"))
			edit_port(a, at);
	}
}

int anonymize_event(void *ctx, struct ev_head *e)
{
	struct anonymize *a = ctx;
	unsigned n_texts = 0;

	edit(a, tape_schema_record(tape_schema_builtin(), e->type), (uint8_t *)e, &n_texts);
	return a->failed;
}

/* ---- columns ---- */

enum tape_patch_what anonymize_what(const void *ctx, const struct tape_record *rec, unsigned field)
{
	const struct anonymize *a = ctx;
	const struct tape_record *known = tape_schema_record(tape_schema_builtin(), rec->id);
	const struct tape_field *f;

	if (!known || field >= known->n_fields)
		return TAPE_PATCH_ROWS; /* they leave out what this build does not know */
	f = &known->fields[field];
	if (f->hint == TAPE_POINTER)
		return TAPE_PATCH_DROP;
	if (f->type == TAPE_STR)
		return anonymize_keeps(known->name, f->name) ? TAPE_PATCH_KEEP : TAPE_PATCH_ROWS;
	if (f->type == TAPE_ADDR || f->type == TAPE_COMM || (a->ports && !strcmp(f->unit, "port")))
		return TAPE_PATCH_EDIT;
	return TAPE_PATCH_KEEP;
}

int anonymize_column(void *ctx, const struct tape_record *rec, unsigned field, void *values,
		     size_t n)
{
	struct anonymize *a = ctx;
	const struct tape_field *f = &rec->fields[field];
	uint8_t *at = values;

	for (size_t i = 0; i < n; i++, at += f->width) {
		if (f->type == TAPE_ADDR)
			a->failed |= pan_addr(a->pan, at) != 0;
		else if (f->type == TAPE_COMM)
			edit_comm(a, f, (struct ev_comm *)at);
		else
			edit_port(a, at);
	}
	return 0;
}

/* ---- META, CLOCK, LOSS ---- */

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* Numbers, and words that the kernel's sources have. */
static bool is_plain(const char *s)
{
	while (*s) {
		size_t n = strcspn(s, " \t,");

		if (strspn(s, "0123456789.-+kKMGTmsun%") < n && !is_known_word(s, n))
			return false;
		s += n + strspn(s + n, " \t,");
	}
	return true;
}

static bool is_kept(const struct tape_meta *m)
{
	static const char *const keys[] = {
		"machine",
		"cpus",
		"groups",
		"identity",
		"identity.doubtful",
		"identity.without",
		"loss.recursion",
		"loss.kprobe",
		"recording.kind",
		"recording.part",
		"recording.events_before",
		"budget",
		"left_out",
		"snapshot",
		"end.reason",
		"dump.reason",
		"window.from_ns",
		"window.to_ns",
		"derived.lacks",
		"shift_ns",
		"first_cpu",
		"labels.refused",
		"stacks.refused",
	};
	static const char *const plain[] = {"sysctl.", "buffer.", "end.", "option."};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(m->key, keys[i]))
			return true;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (begins(m->key, plain[i]))
			return is_plain(m->value);
	return begins(m->key, "probe.") || begins(m->key, "parts.") || begins(m->key, "absent.");
}

static void new_boot_id(struct anonymize *a, const char *old)
{
	uint64_t v = pan_number(a->pan, old, strlen(old));

	snprintf(a->value, sizeof(a->value), "%08x-%04x-4%03x-8%03x-%012llx", (unsigned)(v >> 32),
		 (unsigned)(v >> 16) & 0xffff, (unsigned)v & 0xfff, (unsigned)(v >> 12) & 0xfff,
		 (unsigned long long)(v >> 8) & 0xffffffffffffull);
}

static bool replace(struct anonymize *a, struct tape_meta *m)
{
	size_t n;

	if (!strcmp(m->key, "host")) {
		pan_name(a->pan, "host", m->value, strlen(m->value), a->value);
	} else if (!strcmp(m->key, "boot_id")) {
		new_boot_id(a, m->value);
	} else if (!strcmp(m->key, "recording.id")) {
		snprintf(a->value, sizeof(a->value), "%016" PRIx64,
			 pan_number(a->pan, m->value, strlen(m->value)));
	} else if (!strcmp(m->key, "kernel.release")) {
		n = strspn(m->value, "0123456789.");
		snprintf(a->value, sizeof(a->value), "%.*s", (int)(n < 30 ? n : 30), m->value);
	} else {
		return false;
	}
	m->value = a->value;
	return true;
}

bool anonymize_meta(void *ctx, struct tape_meta *m)
{
	struct anonymize *a = ctx;
	struct tape_meta inner = *m;

	if (begins(inner.key, "host.")) { /* of another host of a merged trace */
		inner.key += 5 + strspn(inner.key + 5, "0123456789");
		inner.key += *inner.key == '.';
	}
	if (strlen(m->key) >= sizeof(a->key) || (!replace(a, &inner) && !is_kept(&inner)))
		return false;
	m->value = inner.value;
	return true;
}

bool anonymize_clock(void *ctx, struct tape_clock *c)
{
	const struct anonymize *a = ctx;

	if (c->real_ns > a->shift_ns)
		c->real_ns -= a->shift_ns;
	return true;
}

bool anonymize_loss(void *ctx, struct tape_loss *l)
{
	const struct tape_schema *s = tape_schema_builtin();

	for (size_t i = 1; i < s->n_records; i++)
		if (!strcmp(s->records[i].group, l->group))
			return true;
	memset(l->group, 0, sizeof(l->group));
	return true;
}

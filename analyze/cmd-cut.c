// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cut: a part of a trace, as a trace. A chunk of which all is wanted is copied as it is; of others
 * the wanted events are written anew. Beside the window it keeps what commands need to tell of
 * segments and connections that cross its edges, and says so (META window.*): these then show the
 * window as they show it of the whole trace.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "derive.h"
#include "pick.h"

static struct cut_opts {
	const char *output, *groups;
	bool force;
} opts;

static const struct opt_row rows[] = {
	{'o', "output", "FILE", OPT_STR, offsetof(struct cut_opts, output),
	 "the trace to write; - is standard output"},
	{0, "force", NULL, OPT_FLAG, offsetof(struct cut_opts, force), "overwrite FILE"},
	{'e', "events", "GROUPS", OPT_STR, offsetof(struct cut_opts, groups),
	 "only these groups, with commas between them"},
};

struct rule { /* for one record type: what of it is kept */
	bool dropped;
	bool of_all;	 /* whichever connections are chosen */
	bool is_unknown; /* to this build */
	uint64_t from_ns, to_ns;
};

struct cut {
	struct cmd_run *run;
	struct derive d;
	struct derive_source source;
	struct derive_rules rules;
	struct record_set set;
	struct rule *rule; /* as set.records */
	uint8_t *keep;	   /* of the chunk's events */
	uint32_t room;
	bool looks_back; /* at what stands before the window, of which little is read */
	bool newer;	 /* the trace has fields that this build does not know */
	char list[256];	 /* of groups, for META */
};

static int check(int *n_operands, char **operands, struct fail *fail)
{
	return opts.output ? 0 : fail_set(fail, STATUS_USAGE, "-o FILE: where to?");
}

/* ---- what is kept ---- */

static bool has_group(const char *list, const char *group, size_t len)
{
	while (*list) {
		size_t n = strcspn(list, ",");

		if (n == len && !memcmp(list, group, len))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

static bool is_snapshot(const struct tape_record *rec)
{
	return !strcmp(rec->group, "snapshot");
}

/* What the recorder says of the recording (event rate) holds for all that follows: all is kept. */
static bool is_recorder(const struct tape_record *rec)
{
	return !strcmp(rec->group, "recorder");
}

/* Each group that was asked for must be one of the trace's. */
static int check_groups(struct cut *c)
{
	const struct tape_schema *s = c->set.schema;

	for (const char *p = opts.groups; p && *p;) {
		size_t n = strcspn(p, ",");
		bool found = false;

		for (size_t i = 1; i < s->n_records; i++)
			found |= !s->records[i].is_table && strlen(s->records[i].group) == n &&
				 !memcmp(s->records[i].group, p, n);
		if (!found)
			return fail_set(c->run->fail, STATUS_LACKS,
					"%s: this trace knows no group '%.*s'; tcptape info lists "
					"its groups",
					c->run->path, (int)n, p);
		p += n + (p[n] == ',');
	}
	return 0;
}

/* Events outside the window that commands look at (input.h). */
static uint64_t margin_before(const char *group)
{
	return strcmp(group, "conn") && strcmp(group, "rx") && strcmp(group, "tx")
		       ? 0
		       : INPUT_MARGIN_NS;
}

static uint64_t margin_behind(const char *group)
{
	return strcmp(group, "conn") ? margin_before(group) : INPUT_LOOK_BEHIND_NS;
}

static void make_rules(struct cut *c)
{
	uint64_t from = input_from(c->run->in), to = input_to(c->run->in);

	for (size_t i = 1; i < c->set.schema->n_records; i++) {
		const struct tape_record *rec = &c->set.schema->records[i];
		const struct tape_record *known =
			tape_schema_record(tape_schema_builtin(), rec->id);
		uint64_t before = margin_before(rec->group), behind = margin_behind(rec->group);
		struct rule *r = &c->rule[i];

		c->set.records[i].on = true;
		c->newer |= known && known->n_fields < rec->n_fields;
		r->is_unknown = !known;
		r->of_all = !input_selects(c->run->in) || is_recorder(rec) ||
			    (is_snapshot(rec) && c->set.records[i].sock_field < 0 &&
			     c->set.records[i].task_field < 0);
		r->dropped = !rec->is_table && opts.groups && !is_snapshot(rec) &&
			     !is_recorder(rec) &&
			     !has_group(opts.groups, rec->group, strlen(rec->group));
		r->to_ns = UINT64_MAX;
		if (is_snapshot(rec) || !input_has_window(c->run->in))
			continue;
		r->from_ns = from > before && !is_recorder(rec) ? from - before : 0;
		c->looks_back |= is_recorder(rec);
		r->to_ns = to < UINT64_MAX - behind ? to + behind : UINT64_MAX;
	}
}

/* ---- META and LOSS ---- */

/* What "probe.EVENT" and the like say of an event whose group is left out. */
static bool is_of_dropped(const struct cut *c, const char *key)
{
	const char *dot = strchr(key, '.');

	for (size_t i = 1; dot && i < c->set.schema->n_records; i++)
		if (c->rule[i].dropped && !strcmp(dot + 1, c->set.schema->records[i].name))
			return !strncmp(key, "probe.", 6) || !strncmp(key, "absent.", 7) ||
			       !strncmp(key, "parts.", 6);
	return false;
}

/* The words of a list of groups that are kept. */
static void keep_words(struct cut *c, const char *list)
{
	size_t used = 0;

	c->list[0] = '\0';
	while (*list) {
		size_t n = strcspn(list, ", ");

		if (n && has_group(opts.groups, list, n) && used + n + 2 < sizeof(c->list)) {
			if (used)
				c->list[used++] = ',';
			memcpy(c->list + used, list, n);
			used += n;
			c->list[used] = '\0';
		}
		list += n + strspn(list + n, ", ");
	}
}

static bool keep_meta(void *ctx, struct tape_meta *m)
{
	struct cut *c = ctx;

	if (!strncmp(m->key, "window.", 7))
		return false; /* ours lies within */
	if (opts.groups && !strcmp(m->key, "groups")) {
		keep_words(c, m->value);
		m->value = c->list;
	}
	return !is_of_dropped(c, m->key);
}

static bool keep_loss(void *ctx, struct tape_loss *l)
{
	const struct cut *c = ctx;
	struct input *in = c->run->in;

	if (opts.groups && l->group[0] && !has_group(opts.groups, l->group, strlen(l->group)))
		return false;
	return !input_has_window(in) || (l->to_ns >= input_from(in) && l->from_ns <= input_to(in));
}

static void tell_option(struct cut *c, const char *name, const char *value)
{
	char key[64];

	snprintf(key, sizeof(key), "derived.option.%s", name);
	if (value)
		derive_line(&c->d, key, "%s", value);
}

static void tell(struct cut *c)
{
	struct input *in = c->run->in;
	const struct input_opts *o = c->run->input_opts;
	char pid[16];

	derive_line_of(&c->d, c->run->path, input_reader(in));
	tell_option(c, "from", o->from);
	tell_option(c, "to", o->to);
	tell_option(c, "filter", o->select.filter);
	tell_option(c, "conn", o->select.conn);
	tell_option(c, "comm", o->select.comm);
	snprintf(pid, sizeof(pid), "%u", o->select.pid.v);
	tell_option(c, "pid", o->select.pid.given ? pid : NULL);
	tell_option(c, "events", opts.groups);
	if (input_has_window(in)) {
		derive_line(&c->d, "window.from_ns", "%" PRIu64, input_from(in));
		if (input_to(in) != UINT64_MAX)
			derive_line(&c->d, "window.to_ns", "%" PRIu64, input_to(in));
	}
}

/* ---- chunks ---- */

/* Any of it: else its payload is not read. */
static bool wants(void *ctx, const struct tape_chunk *chunk)
{
	const struct cut *c = ctx;
	const struct tape_chunk_head *h = tape_chunk_head(chunk);

	for (size_t i = 1; i < c->set.schema->n_records; i++)
		if (!c->set.schema->records[i].is_table && !c->rule[i].dropped &&
		    tape_chunk_rows(chunk, c->set.schema->records[i].id) &&
		    (tape_chunk_is_snapshot(chunk) ||
		     (h->ts_max >= c->rule[i].from_ns && h->ts_min <= c->rule[i].to_ns)))
			return true;
	return false;
}

/* All of it: it can be copied. */
static bool is_whole(const struct cut *c, const struct tape_chunk *chunk)
{
	const struct tape_chunk_head *h = tape_chunk_head(chunk);

	if (input_selects(c->run->in))
		return false;
	for (size_t i = 1; i < c->set.schema->n_records; i++)
		if (tape_chunk_rows(chunk, c->set.schema->records[i].id) &&
		    (c->rule[i].dropped ||
		     (!tape_chunk_is_snapshot(chunk) &&
		      (h->ts_min < c->rule[i].from_ns || h->ts_max > c->rule[i].to_ns))))
			return false;
	return true;
}

static int decode(const void *ctx, struct tape_chunk *chunk, struct tape_error *err)
{
	const struct cut *c = ctx;

	return is_whole(c, chunk) ? 0 : record_set_decode(&c->set, chunk, err);
}

static bool reserve_keep(struct cut *c, uint32_t n)
{
	uint8_t *p;

	if (n <= c->room)
		return true;
	p = realloc(c->keep, n);
	if (!p)
		return false;
	c->keep = p;
	c->room = n;
	return true;
}

/* Which events are kept; returns how many, -1: no memory. */
static int64_t mark(struct cut *c, struct tape_chunk *chunk, const struct bind_tables *tables)
{
	const struct record *common = &c->set.records[0];
	uint32_t n = tape_chunk_rows(chunk, TAPE_COMMON);
	bool snapshot = tape_chunk_is_snapshot(chunk);
	uint64_t from = input_from(c->run->in);
	int64_t n_kept = 0;
	struct picked who;

	if (!reserve_keep(c, n) || record_set_load(&c->set, chunk) < 0)
		return -1;
	n = record_set_n_events(&c->set);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t ts = record_get(common, TAPE_COMMON_TS, i);
		uint32_t k;
		const struct record *r = record_set_event(&c->set, i, &k);
		const struct rule *rule = r ? &c->rule[r - c->set.records] : NULL;

		c->keep[i] = r && k < r->n_rows && !rule->dropped &&
			     (snapshot || (ts >= rule->from_ns && ts <= rule->to_ns)) &&
			     (rule->of_all || pick(c->run->in, r, k, from, tables, &who));
		n_kept += c->keep[i];
		c->d.n_unknown += c->keep[i] && rule->is_unknown;
	}
	return n_kept;
}

static int on_chunk(void *ctx, struct tape_chunk *chunk, const struct bind_tables *tables)
{
	struct cut *c = ctx;
	int64_t n;

	if (derive_facts(&c->d, &c->source, &c->rules))
		return -1;
	if (!wants(c, chunk))
		return 0; /* of a pipe */
	if (is_whole(c, chunk))
		return derive_copy(&c->d, chunk);
	if (!tape_rows_fits(c->set.schema))
		return fail_set(c->run->fail, STATUS_LACKS,
				"%s: its records are not those of this version: no chunk of it can "
				"be divided",
				c->run->path);
	n = mark(c, chunk, tables);
	if (n < 0)
		return fail_nomem(c->run->fail);
	return n ? derive_rows(&c->d, chunk, c->set.schema, c->keep, NULL, NULL) : 0;
}

/* ---- the whole ---- */

static int read_all(struct cut *c)
{
	struct input_job job = {.raw_wants = wants,
				.raw_decode = decode,
				.on_raw = on_chunk,
				.raw_packets = true,
				.margin_ns = c->looks_back ? UINT64_MAX : INPUT_LOOK_BEHIND_NS,
				.ctx = c};

	if (derive_facts(&c->d, &c->source, &c->rules) ||
	    input_run(c->run->in, &job, c->run->fail) || derive_facts(&c->d, &c->source, &c->rules))
		return -1;
	if (c->newer)
		derive_line(&c->d, "derived.lacks",
			    "at the edges, fields that tcptape " TCPTAPE_VERSION " does not know");
	return derive_close_one(&c->d, &c->source, input_last(c->run->in));
}

static int prepare(struct cut *c)
{
	struct tape_reader *r = input_reader(c->run->in);
	size_t n = input_schema(c->run->in)->n_records;

	c->rule = calloc(n + 1, sizeof(*c->rule));
	if (record_set_init(&c->set, input_schema(c->run->in)) || !c->rule)
		return fail_nomem(c->run->fail);
	c->set.records[0].on = true;
	c->source.reader = r;
	c->rules = (struct derive_rules){.meta = keep_meta, .loss = keep_loss, .ctx = c};
	make_rules(c);
	return check_groups(c);
}

static int run(struct cmd_run *run)
{
	const struct tape_file_info *info = tape_reader_info(input_reader(run->in));
	struct cut c = {.run = run, .d.file.fd = -1};
	char *path = (char *)(uintptr_t)run->path;
	struct derive_how how = {.command = "cut",
				 .output = opts.output,
				 .force = opts.force,
				 .paths = &path,
				 .n_paths = 1,
				 .writer = {.writer = info->writer,
					    .n_cpus = info->n_cpus,
					    .start_ns = info->start_ns}};
	int rc = prepare(&c);

	how.writer.schema = tape_reader_schema_text(input_reader(run->in), &how.writer.schema_len);
	if (!rc)
		rc = derive_begin(&c.d, &how, run->fail);
	if (!rc) {
		tell(&c);
		rc = read_all(&c);
	}
	rc = derive_end(&c.d, rc);
	record_set_fini(&c.set);
	free(c.rule);
	free(c.keep);
	return rc;
}

const struct cmd cmd_cut = {
	.name = "cut",
	.summary = "writes a part of a trace as a trace",
	.about =
		"By time (--from, --to), by connection (-f, --conn, --pid, --comm), by group "
		"(-e).\n"
		"Times stay those of the whole trace, and every command shows of the part what "
		"it\n"
		"shows of the whole with the same --from and --to: for that the part also holds "
		"the\n"
		"events of groups conn, rx and tx up to 2 s before its window and 2 s (conn: 4 s)\n"
		"behind it. What existed is kept, of chosen connections only where these are "
		"chosen.\n"
		"META tells of what and how it was cut (tcptape info).\n"
		"\n"
		"FILE gets mode 0600.\n",
	.rows = rows,
	.n_rows = sizeof(rows) / sizeof(rows[0]),
	.opts = &opts,
	.local_ports = true,
	.check = check,
	.run = run,
};

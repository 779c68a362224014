// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "info.h"
#include "layout.h"

#define MAX_RATES 16 /* of a group */
#define CAUSE_SAMPLE 1
#define MAX_SUMS 64 /* of losses, by group and reason */

const char *info_loss_reason(uint8_t reason)
{
	static const char *const names[] = {
		[TAPE_LOSS_RING] = "ring full",
		[TAPE_LOSS_RECURSION] = "program was running already",
		[TAPE_LOSS_MISSED] = "kprobe missed",
		[TAPE_LOSS_UNRECORDED] = "not written",
		[TAPE_LOSS_DAMAGED] = "damaged, and not saved by repair",
		[TAPE_LOSS_UNTOLD] = "the record of why was damaged",
		[TAPE_LOSS_BUDGET] = "left out for the budget (--max-rate)",
		[TAPE_LOSS_SELECT] = "connections not followed, as the selection was full",
	};

	return reason < sizeof(names) / sizeof(names[0]) && names[reason] ? names[reason] : "other";
}

const char *info_rate_cause(uint32_t cause)
{
	static const char *const names[] = {"?", "sample", "budget", "recover"};

	return names[cause < sizeof(names) / sizeof(names[0]) ? cause : 0];
}

static void line(struct out *o, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void line(struct out *o, const char *key, const char *fmt, ...)
{
	struct text *t = out_line(o);
	size_t start = t->len;
	char value[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	text_safe(t, key, strlen(key));
	text_pad(t, start, 14);
	text_putc(t, ' ');
	text_safe(t, value, strlen(value));
	out_end_line(o);
}

/* Of a cut trace. */
static void print_window(struct info *i)
{
	const char *from = input_meta(i->run->in, "window.from_ns");
	const char *to = input_meta(i->run->in, "window.to_ns");
	uint64_t from_ns = 0, to_ns = 0;
	char until[40] = "the end";

	if (!from || !opt_number(from, UINT64_MAX, &from_ns))
		return;
	if (to && opt_number(to, UINT64_MAX, &to_ns))
		snprintf(until, sizeof(until), "+%.6f s", input_seconds(i->run->in, to_ns));
	line(i->run->out, "window", "+%.6f s to %s: commands show this part",
	     input_seconds(i->run->in, from_ns), until);
}

static void print_times(struct info *i)
{
	struct out *o = i->run->out;
	uint64_t start = input_start(i->run->in);
	uint64_t end = i->end.closed ? i->end.end_ns : i->last_ns;
	char from[40], to[40];

	if (end < start)
		end = start;
	if (input_wall(i->run->in, start)) {
		clock_date(input_wall(i->run->in, start), from);
		clock_date(input_wall(i->run->in, end), to);
		line(o, "start", "%s", from);
		line(o, "end", "%s%s", to,
		     i->end.closed ? "" : " (last event; the recording was not closed)");
	}
	line(o, "duration", "%.3f s", (double)(end - start) / 1e9);
	print_window(i);
}

static void print_clocks(struct info *i)
{
	size_t n;
	const struct tape_clock *c = tape_reader_clocks(input_reader(i->run->in), &n);
	double drift = 0, slept;
	size_t n_set = 0;

	if (!n) {
		line(i->run->out, "clock", "no relation to wall-clock time");
		return;
	}
	if (n > 1)
		drift = (double)(int64_t)((c[n - 1].real_ns - c[0].real_ns) -
					  (c[n - 1].mono_ns - c[0].mono_ns)) /
			1e3;
	line(i->run->out, "clock",
	     "%zu reading%s, +-%.3f us; wall time moved %+.3f us against monotonic", n,
	     n == 1 ? "" : "s", (double)c[0].uncertainty_ns / 1e3, drift);
	for (size_t k = 0; k + 1 < n; k++)
		n_set += clock_was_set(&c[k]);
	if (!n_set)
		return;
	slept = (double)(int64_t)((c[n - 1].boot_ns - c[0].boot_ns) -
				  (c[n - 1].mono_ns - c[0].mono_ns)) /
		1e9;
	line(i->run->out, "clock.set", "wall time jumped %zu time%s; the machine slept for %.3f s",
	     n_set, n_set == 1 ? "" : "s", slept);
}

static void print_size(struct info *i)
{
	struct out *o = i->run->out;
	struct stat st;
	uint64_t bytes = i->bytes;

	if (!input_is_pipe(i->run->in) && !stat(i->run->path, &st))
		bytes = (uint64_t)st.st_size;
	line(o, "size",
	     "%" PRIu64 " bytes, %" PRIu64 " chunks, %" PRIu64 " snapshots; %.2f bytes an event",
	     bytes, i->n_chunks, i->n_snapshots,
	     i->n_events ? (double)bytes / (double)i->n_events : 0);
	line(o, "closed", "%s",
	     i->end.closed	? "yes"
	     : i->end.truncated ? "no, and the last block is incomplete"
				: "no");
}

/* The lines that tell how it was recorded; the rest (limits, sysctls) only with --all. */
static bool is_short(const char *key)
{
	static const char *const prefixes[] = {
		"host",	    "machine", "kernel.release", "note",     "command",	 "option.",
		"groups",   "probe.",  "absent.",	 "identity", "derived.", "repair.",
		"trigger.", "dump.",   "output.",	 "left_out", "select.",	 "pointers"};

	if (!strncmp(key, "host.", 5)) { /* of another host of a merged trace: host.1.KEY */
		key += 5 + strspn(key + 5, "0123456789");
		if (!strcmp(key, ".shift_ns") || !strcmp(key, ".first_cpu"))
			return true;
		key += *key == '.';
	}
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(key, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static void print_meta(struct info *i, bool in_short)
{
	size_t n;
	const struct tape_meta *m = tape_reader_meta(input_reader(i->run->in), &n);

	for (size_t k = 0; k < n; k++)
		if (is_short(m[k].key) == in_short)
			line(i->run->out, m[k].key, "%s", m[k].value);
}

static void print_types(struct info *i, bool snapshot)
{
	const struct tape_schema *s = input_schema(i->run->in);
	struct text *t = out_line(i->run->out);

	text_fmt(t, "\n%-14s %12s %12s  %s\n", snapshot ? "SNAPSHOT" : "EVENT", "COUNT",
		 i->has_stored ? "BYTES" : "", "GROUP");
	for (size_t k = 0; k < s->n_records; k++) {
		const struct tape_record *rec = &s->records[k];
		size_t start = t->len;

		if (!i->sums[k].n || rec->id == TAPE_COMMON)
			continue;
		if (rec->is_table ? snapshot : !strcmp(rec->group, "snapshot") != snapshot)
			continue;
		text_safe(t, rec->name, strlen(rec->name));
		text_pad(t, start, 14);
		text_fmt(t, " %12" PRIu64, i->sums[k].n);
		if (i->has_stored)
			text_fmt(t, " %12" PRIu64, i->sums[k].stored);
		else
			text_fmt(t, " %12s", "");
		text_puts(t, "  ");
		if (rec->is_table)
			text_puts(t, "(table)");
		else
			text_safe(t, rec->group, strlen(rec->group));
		out_end_line(i->run->out);
	}
}

static void print_loss_each(struct info *i, const struct tape_loss *l, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		char cpu[16] = "?";

		if (l[k].cpu != TAPE_CPU_UNKNOWN)
			snprintf(cpu, sizeof(cpu), "%u", l[k].cpu);
		line(i->run->out, "", "+%.6f to +%.6f s: %" PRIu64 " of %s on cpu %s: %s",
		     input_seconds(i->run->in, l[k].from_ns), input_seconds(i->run->in, l[k].to_ns),
		     l[k].count, l[k].group[0] ? l[k].group : "?", cpu,
		     info_loss_reason(l[k].reason));
	}
}

struct loss_sum {
	const struct tape_loss *first; /* of this group and reason */
	uint64_t count, intervals, from_ns, to_ns;
};

/* Where it is added up; NULL: a hostile trace has more groups than that. */
static struct loss_sum *find_sum(struct loss_sum sums[MAX_SUMS], size_t *n,
				 const struct tape_loss *l)
{
	for (size_t k = 0; k < *n; k++)
		if (sums[k].first->reason == l->reason && !strcmp(sums[k].first->group, l->group))
			return &sums[k];
	if (*n == MAX_SUMS)
		return NULL;
	sums[*n] = (struct loss_sum){.first = l, .from_ns = l->from_ns, .to_ns = l->to_ns};
	return &sums[(*n)++];
}

/* By group and reason. */
static void print_loss_sums(struct info *i, const struct tape_loss *l, size_t n)
{
	struct loss_sum sums[MAX_SUMS];
	size_t n_sums = 0;

	for (size_t k = 0; k < n; k++) {
		struct loss_sum *s = find_sum(sums, &n_sums, &l[k]);

		if (!s)
			continue;
		s->count += l[k].count;
		s->intervals++;
		s->from_ns = l[k].from_ns < s->from_ns ? l[k].from_ns : s->from_ns;
		s->to_ns = l[k].to_ns > s->to_ns ? l[k].to_ns : s->to_ns;
	}
	for (size_t k = 0; k < n_sums; k++)
		line(i->run->out, "",
		     "%" PRIu64 " of %s in %" PRIu64 " intervals, +%.3f to +%.3f s: %s",
		     sums[k].count, sums[k].first->group[0] ? sums[k].first->group : "?",
		     sums[k].intervals, input_seconds(i->run->in, sums[k].from_ns),
		     input_seconds(i->run->in, sums[k].to_ns),
		     info_loss_reason(sums[k].first->reason));
}

static void print_losses(struct info *i)
{
	size_t n, n_damage;
	const struct tape_loss *l = tape_reader_losses(input_reader(i->run->in), &n);
	const struct tape_damage *d = tape_reader_damage(input_reader(i->run->in), &n_damage);

	line(i->run->out, "lost", "%" PRIu64 " events", i->end.lost);
	if (i->all)
		print_loss_each(i, l, n);
	else
		print_loss_sums(i, l, n);
	if (i->n_stragglers)
		line(i->run->out, "late", "%" PRIu64 " events came too late to be sorted in",
		     i->n_stragglers);
	line(i->run->out, "damage", "%s", n_damage ? "" : "none");
	for (size_t k = 0; k < n_damage; k++)
		line(i->run->out, "", "byte %" PRIu64 ", %" PRIu64 " bytes: %s", d[k].offset,
		     d[k].bytes, d[k].text);
}

static void print_part(struct info *i)
{
	char text[128];

	if (!i->part.any)
		return;
	line(i->run->out, "part",
	     "%" PRIu64 " of recording %s (%s), %" PRIu64 " events before it%s", i->part.number,
	     i->part.id, i->part.kind, i->part.before,
	     i->part.last ? "; the last one" : "; more may follow");
	if (!i->has_gap)
		return;
	part_tell(&i->gap, text, sizeof(text));
	line(i->run->out, "", "%s", text);
}

static void print_rate(struct info *i, const struct weight_group *g, const struct weight_step *s)
{
	char why[96] = "";

	if (s->budget && s->cause != CAUSE_SAMPLE)
		snprintf(why, sizeof(why), ": %" PRIu64 " events/s, budget of all groups %" PRIu64,
			 s->rate, s->budget);
	line(i->run->out, "", "+%.6f s: %s one connection in %" PRIu64 " (%s%s)",
	     input_seconds(i->run->in, s->from_ns), g->name, s->weight, info_rate_cause(s->cause),
	     why);
}

/* From when on how much was recorded; all was before. */
static void print_rates(struct info *i)
{
	const struct weights *w = input_rates(i->run->in);
	size_t n = 0;

	for (size_t k = 0; k < w->n; k++)
		n += w->groups[k].n;
	if (!n)
		return;
	line(i->run->out, "rates", "%zu change%s of how many connections are recorded", n,
	     n == 1 ? "" : "s");
	for (size_t k = 0; k < w->n; k++) {
		const struct weight_group *g = &w->groups[k];
		size_t shown = i->all || g->n <= MAX_RATES ? g->n : MAX_RATES;

		for (size_t s = 0; s < shown; s++)
			print_rate(i, g, &g->steps[s]);
		if (shown < g->n)
			line(i->run->out, "", "and %zu more of %s (-v shows all)", g->n - shown,
			     g->name);
	}
}

void info_text(struct info *i)
{
	const struct tape_file_info *f = tape_reader_info(input_reader(i->run->in));
	struct out *o = i->run->out;

	line(o, "file", "%s", i->run->path);
	line(o, "recorder", "%s; format %u.%u; %u cpus", f->writer, f->major, f->minor, f->n_cpus);
	print_times(i);
	print_clocks(i);
	print_size(i);
	line(o, "events", "%" PRIu64 ", and %" PRIu64 " things that existed", i->n_events,
	     i->n_snapshot);
	print_part(i);
	print_losses(i);
	print_rates(i);
	print_meta(i, true);
	if (i->all)
		print_meta(i, false);
	print_types(i, false);
	if (i->n_snapshot)
		print_types(i, true);
}

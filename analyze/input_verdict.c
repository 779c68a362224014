// SPDX-License-Identifier: GPL-2.0-or-later
/* What is to be said of a trace once it was read: loss, damage, sampling, how it ended. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "input_parts.h"
#include "meta.h"

static void note_losses(struct input *in, const char *group)
{
	uint64_t from = UINT64_MAX, to = 0, count = 0;
	size_t n;
	const struct tape_loss *l = tape_reader_losses(in->reader, &n);

	for (size_t i = 0; i < n; i++) {
		if (l[i].from_ns > input_to(in) || l[i].to_ns < in->from_ns)
			continue;
		if (group && l[i].group[0] && strcmp(l[i].group, group))
			continue;
		count += l[i].count;
		from = l[i].from_ns < from ? l[i].from_ns : from;
		to = l[i].to_ns > to ? l[i].to_ns : to;
	}
	if (count)
		out_note(in->out,
			 "%" PRIu64
			 " events were lost between +%.3fs and +%.3fs: what rests on them "
			 "is missing here (tcptape info shows where)",
			 count, input_seconds(in, from), input_seconds(in, to));
}

static int check_damage(struct input *in, struct fail *fail)
{
	const struct input_damage *own =
		in->damage.n > in->damage_before.n ? &in->damage : &in->damage_before;
	uint64_t bytes = 0;
	size_t n;
	const struct tape_damage *d = tape_reader_damage(in->reader, &n);

	for (size_t i = 0; i < n; i++)
		bytes += d[i].bytes;
	if (n)
		return fail_set(fail, STATUS_FOUND,
				"%s: damaged at %zu place%s (%" PRIu64
				" bytes left out), first at byte %" PRIu64 ": %s",
				in->path, n, n == 1 ? "" : "s", bytes, d[0].offset, d[0].text);
	if (own->n)
		return fail_set(fail, STATUS_FOUND,
				"%s: %" PRIu64 " damaged chunk%s left out, first: %s", in->path,
				own->n, own->n == 1 ? "" : "s", own->first.text);
	return 0;
}

/* How far it reaches is known only if all of it was read, not the chunks of a window. */
static void note_not_closed(struct input *in, bool truncated)
{
	static const char what[] =
		"the recording was not closed (it ended in a crash, or still runs)";

	if (!in->last_ns && !in->windowed)
		out_note(in->out, "%s: %s", what,
			 truncated ? "no whole chunk of events is there"
				   : "nothing had been written yet");
	else if (in->last_ns < input_start(in) || in->windowed)
		out_note(in->out, "%s", what);
	else
		out_note(in->out, "%s: it reaches to +%.3fs", what, input_seconds(in, in->last_ns));
}

/* Of groups that were to be complete, loss tells what is missing. */
static void note_sampled(struct input *in, const char *group)
{
	static const char *const bulk[] = {"rtt", "rx", "tx", "io"};
	const struct weight_group *g = NULL;
	uint64_t min = WEIGHTS_MAX, max = 1, from = input_from(in), changes = 0;

	for (size_t i = 0; i < sizeof(bulk) / sizeof(bulk[0]); i++)
		if (group && !strcmp(group, bulk[i]))
			g = input_weights(in, group);
	if (!g || !g->n)
		return;
	min = max = weight_at(g, from);
	for (size_t i = 0; i < g->n; i++) {
		if (g->steps[i].from_ns <= from || g->steps[i].from_ns > input_to(in))
			continue;
		min = g->steps[i].weight < min ? g->steps[i].weight : min;
		max = g->steps[i].weight > max ? g->steps[i].weight : max;
		changes++;
	}
	if (max == 1)
		return;
	if (min == max)
		out_note(in->out,
			 "sampled: group %s has one connection in %" PRIu64
			 "; sums of several stand for all, single ones are missing",
			 group, max);
	else
		out_note(in->out,
			 "sampled: group %s has one connection in %" PRIu64 " to %" PRIu64
			 ", %" PRIu64
			 " changes (tcptape info); sums of several stand for all, single ones are "
			 "missing, or parts of them",
			 group, min, max, changes);
}

/* What the recorder left out by name, in its own words. */
static void note_chosen(struct input *in)
{
	char words[512];

	if (input_choice(in, words, sizeof(words)))
		out_note(in->out, "recorded with %s: other connections are not in the trace",
			 words);
}

bool input_choice(const struct input *in, char *buf, size_t len)
{
	static const struct {
		const char *key, *option, *quote;
	} rows[] = {
		{"option.filter", "-f ", "'"},	    {"option.netns", "--netns ", ""},
		{"option.pid", "-p ", ""},	    {"option.comm", "--comm ", ""},
		{"option.cgroup", "--cgroup ", ""},
	};
	size_t used = 0, n;
	const struct tape_meta *meta = tape_reader_meta(in->reader, &n);

	*buf = '\0';
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		for (size_t i = 0; i < n && used < len; i++) {
			if (!strcmp(meta[i].key, rows[k].key))
				used += (size_t)snprintf(buf + used, len - used, "%s%s%s%s%s",
							 used ? " " : "", rows[k].option,
							 rows[k].quote, meta[i].value,
							 rows[k].quote);
		}
	}
	return used;
}

int input_finish(struct input *in, const char *group, struct fail *fail)
{
	struct tape_end end;
	size_t n;
	const struct tape_meta *meta = tape_reader_meta(in->reader, &n);
	const char *lacks = meta_get(meta, n, "repair.lacks");
	const char *derived_lacks = meta_get(meta, n, "derived.lacks");

	tape_reader_end(in->reader, &end);
	note_losses(in, group);
	if (in->n_stragglers)
		out_note(in->out,
			 "%" PRIu64 " events came too late to be sorted in: they stand a little "
			 "behind their time",
			 in->n_stragglers);
	note_sampled(in, group);
	if (group && strcmp(group, "nic") && strcmp(group, "counters"))
		note_chosen(in);
	if (in->has_mptcp)
		out_note(in->out, "MPTCP: its subflows are shown as the TCP connections that they "
				  "are; tcptape states shows the MPTCP sockets above them too");
	if (lacks)
		out_note(in->out, "this trace was repaired, and lacks %s", lacks);
	if (derived_lacks)
		out_note(in->out, "this trace was made of another, and lacks %s", derived_lacks);
	if (!end.closed)
		note_not_closed(in, end.truncated);
	return check_damage(in, fail);
}

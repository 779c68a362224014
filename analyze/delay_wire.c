// SPDX-License-Identifier: GPL-2.0-or-later
/* A capture beside the trace: what it saw of each segment, and what it did not. */
#include <inttypes.h>
#include <string.h>

#include "delay.h"
#include "text.h"

#define MAX_SLACK_NS 1000000
#define US 1000

/* How much a time of the capture may be off: its unit, and the trace's own reading of that clock.
 */
static uint64_t slack_of(const struct delay_wire *w)
{
	size_t n;
	const struct tape_clock *clocks = tape_reader_clocks(input_reader(w->run->in), &n);
	uint64_t slack = 0;

	for (size_t i = 0; i < n; i++)
		if (clocks[i].uncertainty_ns > slack)
			slack = clocks[i].uncertainty_ns;
	return (w->capture.has_ns ? 1 : US) + (slack < MAX_SLACK_NS ? slack : MAX_SLACK_NS);
}

int delay_wire_begin(struct delay_wire *w, const char *path, struct cmd_run *run)
{
	w->run = run;
	if (capture_read_beside(&w->capture, path, run))
		return -1;
	capture_sort_by_key(&w->capture);
	w->slack_ns = slack_of(w);
	return 0;
}

void delay_wire_fini(struct delay_wire *w)
{
	capture_fini(&w->capture);
}

/* When it was nearest to the wire, as far as the trace knows. */
static void near_wire(const struct segment *s, uint64_t *first, uint64_t *last)
{
	int layer = s->dir == SEG_OUT ? SEG_OUT_DRIVER : SEG_IN_DRIVER;
	int step = s->dir == SEG_OUT ? -1 : 1, end = s->dir == SEG_OUT ? -1 : SEG_WIRE;

	while (layer != end && !(s->seen & SEG_BIT(layer)))
		layer += step;
	*first = layer == end ? s->start_ns : s->first_ns[layer];
	*last = layer == end ? s->end_ns : s->last_ns[layer];
}

/* With the addresses on the wire; beside a NAT the capture may have those of the socket. */
static enum capture_lack find(struct delay_wire *w, const struct segment *s,
			      struct capture_wanted *wanted, struct capture_found *ret)
{
	const struct flow *flows[] = {&s->wire, &s->inner};
	enum capture_lack lack = CAPTURE_UNKNOWN;

	for (unsigned i = 0; i < 2 && lack == CAPTURE_UNKNOWN; i++) {
		wanted->flow = s->dir == SEG_OUT ? *flows[i] : flow_turned(flows[i]);
		lack = capture_find(&w->capture, wanted, ret);
		if (!(s->marks & SEG_NAT))
			break;
	}
	return lack;
}

enum capture_lack delay_wire_see(struct delay_wire *w, struct segments *segments,
				 const struct segment *s, struct segment *ret)
{
	struct capture_wanted wanted = {.seq = s->seq,
					.ack_seq = s->ack_seq,
					.payload = s->payload,
					.tcp_flags = s->tcp_flags,
					.way = s->dir == SEG_OUT ? CAPTURE_OUT : CAPTURE_IN};
	struct capture_found found;
	uint64_t first, last;
	enum capture_lack lack;

	*ret = *s;
	near_wire(s, &first, &last);
	wanted.first_ns = input_wall(w->run->in, first);
	wanted.last_ns = input_wall(w->run->in, last);
	lack = find(w, s, &wanted, &found);
	if (lack == CAPTURE_HAS) {
		struct seg_wire wire = {.first_ns = first + (found.first_ns - wanted.first_ns),
					.last_ns = first + (found.last_ns - wanted.first_ns),
					.n = found.n,
					.slack_ns = w->slack_ns};

		segments_wire(segments, &wire, ret);
		if (ret->seen & SEG_BIT(SEG_WIRE))
			w->n_after[ret->wire_after]++;
	}
	w->n[lack]++;
	return lack;
}

/* ---- notes ---- */

static void put_place(const struct delay_wire *w, enum seg_dir dir, struct text *t)
{
	const char *before = ": ";

	if (w->n_after[SEG_WIRE]) {
		text_fmt(t, "%s%" PRIu64 " before all layers", before, w->n_after[SEG_WIRE]);
		before = ", ";
	}
	for (unsigned l = 0; l < SEG_WIRE; l++)
		if (w->n_after[l]) {
			text_fmt(t, "%s%" PRIu64 " behind %s", before, w->n_after[l],
				 delay_layer_name(dir, l));
			before = ", ";
		}
}

static void put_lacks(const struct delay_wire *w, struct text *t)
{
	static const char *const words[CAPTURE_LACKS] = {
		[CAPTURE_PART] = "of which it has a part only",
		[CAPTURE_MISSED] = "of connections of which it has others",
		[CAPTURE_FAR] = "that it has more than 100 ms away",
		[CAPTURE_OUTSIDE] = "before its first packet or behind its last one",
		[CAPTURE_UNKNOWN] = "of connections of which it has nothing",
	};
	const char *before = "; it lacks ";

	for (unsigned i = CAPTURE_HAS + 1; i < CAPTURE_LACKS; i++)
		if (w->n[i]) {
			text_fmt(t, "%s%" PRIu64 " %s", before, w->n[i], words[i]);
			before = ", ";
		}
	if (w->n[CAPTURE_FAR] && !w->n[CAPTURE_HAS])
		text_puts(t, " (is its clock this host's?)");
}

void delay_wire_note(const struct delay_wire *w, enum seg_dir dir)
{
	const struct capture *c = &w->capture;
	struct out *o = w->run->out;
	struct text t = {0};
	uint64_t n = 0;

	for (unsigned i = 0; i < CAPTURE_LACKS; i++)
		n += w->n[i];
	text_fmt(&t, "%s has %" PRIu64 " of %" PRIu64 " segments", c->path, w->n[CAPTURE_HAS], n);
	put_place(w, dir, &t);
	put_lacks(w, &t);
	if (!t.failed)
		out_note(o, "%.*s", (int)t.len, t.s);
	text_fini(&t);
	capture_note_limits(c, o);
}

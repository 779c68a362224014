/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A session that records into a ring (flight.h), and writes what that holds into a file. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "cursor.h"
#include "layout.h"
#include "session_parts.h"

#define DEFAULT_BYTES (64u << 20)
#define SETTLE_NS                                                                                  \
	20000000ull /* the ring is written so late: what just was is held back till then */

int rec_session_ring_open(struct rec_session *s, struct rec_error *err)
{
	const struct rec_options *o = s->options;

	if (rec_trigger_init(&s->trigger, o->rules, o->n_rules, o->after_ns) < 0)
		return rec_fail(err, "no memory for the triggers");
	return rec_flight_open(&s->flight, o->ring_bytes ? o->ring_bytes : DEFAULT_BYTES,
			       o->ring_ns, o->ring_file, err);
}

static int put(void *ctx, struct tape_block_head *h, const void *type_head, const void *payload)
{
	struct rec_session *s = ctx;

	return rec_flight_put(&s->flight, h, type_head, payload, rec_now_ns());
}

/* A rule whose events this kernel does not give would never fire. */
static int check_rules(const struct rec_session *s, struct rec_error *err)
{
	for (size_t i = 0; i < s->trigger.n; i++) {
		const char *const *event = rec_rule_events(&s->trigger.rules[i]);

		while (*event && !rec_choice_attached(&s->choice, *event))
			event++;
		if (!*event)
			return rec_fail(err,
					"--trigger %s: what it looks at has no hook on this "
					"kernel; 'tcptape-record --list' says why",
					s->trigger.rules[i].text);
	}
	return 0;
}

int rec_session_ring_begin(struct rec_session *s, struct rec_error *err)
{
	struct rec_head_job job = {
		.fd = -1, .put = put, .start_ns = s->start_ns, .clock = &s->clock};

	if (check_rules(s, err) < 0)
		return -1;
	s->clock = s->first_clock = rec_clock_read();
	if (rec_file_head(s, &job, &s->writer) < 0 || rec_file_rows(s, s->writer, true) < 0)
		return rec_fail(err, "the ring: %s", s->werr.text);
	s->n_socks = s->snapshot.n_socks;
	return 0;
}

/* ---- writing it to a file ---- */

/* The reading of the clocks before the oldest block. */
static struct tape_clock first_clock(const struct rec_session *s)
{
	const uint8_t *p = s->flight.clock;

	if (!s->flight.has_clock)
		return s->first_clock;
	return (struct tape_clock){tape_le(p, 8), tape_le(p + 8, 8), tape_le(p + 16, 8),
				   tape_le(p + 24, 8)};
}

/* Blocks that were dropped while their turn had not come: their events are in no file. */
static int tell_passed(struct rec_session *s, struct tape_writer *w, uint64_t from_ns,
		       const struct tape_block_view *v, uint64_t expected)
{
	struct tape_loss loss = {.from_ns = from_ns,
				 .to_ns = tape_le(v->type_head, 8),
				 .count = tape_le(v->type_head + 24, 8) - expected,
				 .cpu = TAPE_CPU_UNKNOWN,
				 .reason = TAPE_LOSS_UNRECORDED};

	if (loss.to_ns < loss.from_ns)
		loss.to_ns = loss.from_ns;
	return tape_writer_loss(w, &loss, 1, &s->werr);
}

/* All blocks that are there when this begins; the rings are read meanwhile. */
static int copy_blocks(struct rec_session *s, struct tape_writer *w, uint64_t expected,
		       uint64_t start_ns)
{
	struct rec_flight *f = &s->flight;
	uint64_t last_ns = start_ns;
	uint32_t newest = f->newest;
	struct tape_block_view v;
	int r = 0;

	rec_flight_rewind(f);
	while (!r && rec_flight_next(f, &v) && (int32_t)(v.h.seq - newest) <= 0) {
		if (v.h.type == TAPE_BLOCK_CHUNK) {
			if (tape_le(v.type_head + 24, 8) > expected)
				r = tell_passed(s, w, last_ns, &v, expected);
			expected = tape_le(v.type_head + 24, 8) + tape_le(v.type_head + 40, 4);
			last_ns = tape_le(v.type_head + 8, 8);
		}
		if (!r)
			r = tape_writer_take(w, &v, &s->werr);
		if (!r)
			r = rec_file_breathe(s);
	}
	return r;
}

static int write_dump(struct rec_session *s, const char *reason, struct tape_writer **ret)
{
	struct tape_clock clock = first_clock(s);
	struct tape_writer_stats st;
	struct rec_head_job job = {
		.fd = s->out.fd, .start_ns = s->start_ns, .dump_reason = reason, .clock = &clock};
	uint64_t ts_min;
	int r;

	tape_writer_stats(s->writer, &st);
	job.events_before = st.n_events;
	if (rec_flight_oldest(&s->flight, &job.events_before, &ts_min) && job.events_before)
		job.start_ns = ts_min;
	else if (job.events_before)
		job.start_ns = rec_now_ns();
	r = rec_file_head(s, &job, ret);
	if (!r)
		r = rec_file_rows(s, *ret, false);
	if (!r)
		r = copy_blocks(s, *ret, job.events_before, job.start_ns);
	if (!r)
		r = rec_file_end_meta(s, *ret, s->stop ? s->reason : "dump");
	return r ? r : tape_writer_close(*ret, rec_now_ns(), &s->werr);
}

static void say(struct rec_session *s, const char *reason)
{
	char text[sizeof(s->out.path) + 64];

	if (!s->news)
		return;
	if (*s->dump_error.text)
		snprintf(text, sizeof(text), "the ring was not written: %s", s->dump_error.text);
	else
		snprintf(text, sizeof(text), "the ring was written to %s (%s)", s->out.path,
			 reason);
	s->news(s->news_ctx, text);
}

int rec_session_ring_dump(struct rec_session *s, const char *reason)
{
	struct tape_writer *w = NULL;
	int r, e;

	s->next_asked = false;
	s->dump_error.text[0] = '\0';
	if (rec_session_drain(s) < 0 || rec_session_complete(s) < 0 ||
	    tape_writer_flush(s->writer, s->drain.floor_ns, &s->werr) < 0)
		return rec_fail(&s->dump_error, "%s", s->werr.text);
	r = rec_parts_open(&s->parts, &s->out, &e, &s->dump_error);
	if (!r) {
		s->part++;
		r = write_dump(s, reason, &w);
		if (r)
			rec_fail(&s->dump_error, "%s: %s", s->out.path, s->werr.text);
		rec_file_leave(s, w, r != 0);
	}
	say(s, reason);
	return r ? -1 : 0;
}

/* "2026-11-21T17:21:20.123Z" of a moment. */
static void wall_text(const struct tape_clock *c, uint64_t ts_ns, char *buf, size_t len)
{
	uint64_t real_ns = c->real_ns + (ts_ns - c->mono_ns);
	time_t seconds = (time_t)(real_ns / 1000000000u);
	struct tm tm;
	size_t n = strftime(buf, len, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));

	snprintf(buf + n, len - n, ".%03uZ", (unsigned)(real_ns / 1000000u % 1000));
}

void rec_session_ring_tell(struct rec_session *s, struct rec_meta *m)
{
	const struct rec_fired *f = &s->trigger.first;
	char wall[48];

	if (f->rule) {
		wall_text(&s->clock, f->ts_ns, wall, sizeof(wall));
		rec_meta_add(m, "trigger.fired", "%s: %s%s%s at %s (monotonic %.6f s)",
			     f->rule->text, f->value, *f->whose ? ", " : "", f->whose, wall,
			     (double)f->ts_ns / 1e9);
	}
	if (s->trigger.n_more)
		rec_meta_add(m, "trigger.more", "%llu", (unsigned long long)s->trigger.n_more);
	if (s->trigger.n_quiet)
		rec_meta_add(m, "trigger.quiet", "%llu", (unsigned long long)s->trigger.n_quiet);
}

uint64_t rec_session_ring_due_ns(const struct rec_session *s)
{
	uint64_t trigger_ns = rec_trigger_due_ns(&s->trigger);

	if (!rec_session_ring_is_on(s))
		return UINT64_MAX;
	if (s->next_asked && s->asked_ns + SETTLE_NS < trigger_ns)
		return s->asked_ns + SETTLE_NS;
	return trigger_ns == UINT64_MAX ? trigger_ns : trigger_ns + SETTLE_NS;
}

int rec_session_ring_work(struct rec_session *s)
{
	struct rec_flight *f = &s->flight;

	rec_trigger_look(&s->trigger, rec_now_ns());
	if (s->next_asked && rec_now_ns() >= s->asked_ns + SETTLE_NS)
		(void)rec_session_ring_dump(s, "signal");
	if (!s->next_asked && rec_now_ns() >= rec_session_ring_due_ns(s)) {
		(void)rec_session_ring_dump(s, "trigger");
		rec_trigger_done(&s->trigger, rec_now_ns());
	}
	if (!f->base || f->since_renewed < (f->cap - f->base) / 2)
		return 0;
	/* in a file nothing can be added later: it always has all rows once, at least */
	f->since_renewed = 0;
	return rec_file_rows(s, s->writer, false);
}

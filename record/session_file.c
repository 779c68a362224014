/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of a session: what stands at the begin and at the end of each, going on from one to the
 * next, and what is left where a disk is full.
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"
#include "layout.h"
#include "session_parts.h"

#ifndef TCPTAPE_VERSION
#define TCPTAPE_VERSION "unknown"
#endif

#define BREATH_NS 20000000ull /* the rings are looked at so often while sockets are listed */
#define RETRY_NS 1000000000ull
#define CHUNK_BYTES (6u << 20) /* of records: with what encoding takes, half of our memory */

/* ---- the begin ---- */

/* What of the selection (-p, --comm, --cgroup) was there, and what this kernel cannot tell. */
static void add_selection(const struct rec_session *s, struct rec_meta *m)
{
	rec_meta_add(m, "select.sockets", "%zu", s->n_chosen);
	if (*s->select_trouble)
		rec_meta_add(m, "select.trouble", "%s", s->select_trouble);
	if (!rec_choice_attached(&s->choice, "tcp_accept"))
		rec_meta_add(m, "select.accept",
			     "no hook: of a listener that several processes share, connections "
			     "that others accept are here too");
}

int rec_file_prepare(struct rec_session *s, struct rec_error *err)
{
	struct rec_meta *m = &s->head;

	if (getrandom(&s->recording_id, sizeof(s->recording_id), 0) != sizeof(s->recording_id))
		return rec_fail(err, "getrandom: %s", strerror(errno));
	rec_meta_host(m);
	rec_meta_options(m, s->options);
	rec_meta_probes(m, s->options, &s->object, &s->choice, &s->loss);
	if (s->options->pointers)
		rec_meta_add(m, "pointers", "kernel addresses of sockets and packets");
	rec_meta_add(m, "budget", "%u", s->options->max_rate);
	rec_meta_add(m, "identity", "%s",
		     s->choice.has_cookies ? "socket cookies"
					   : "numbers given by the recorder (Linux before 5.12)");
	if (rec_select_is_on(&s->options->gate.select))
		add_selection(s, m);
	if (rec_gate_guesses(&s->options->gate))
		rec_meta_add(m, "filter.starts", "guessed");
	rec_meta_sysctls(m);
	return 0;
}

static void on_row(void *ctx, const struct ev_head *row)
{
	rec_labels_see(&((struct rec_session *)ctx)->labels, row);
}

/* Of a recording that makes several files: which of them this is. */
static void add_part(struct rec_session *s, const struct rec_head_job *job, struct rec_meta *m)
{
	if (!rec_file_is_part(s))
		return;
	rec_meta_add(m, "recording.id", "%016llx", (unsigned long long)s->recording_id);
	rec_meta_add(m, "recording.kind", "%s", rec_session_ring_is_on(s) ? "ring" : "rotate");
	if (job->put)
		rec_meta_add(m, "ring.size", "%zu", s->flight.cap - s->flight.base);
	rec_meta_add(m, "recording.part", "%u", s->part);
	rec_meta_add(m, "recording.events_before", "%llu", (unsigned long long)job->events_before);
	if (job->dump_reason)
		rec_meta_add(m, "dump.reason", "%s", job->dump_reason);
	if (job->dump_reason)
		rec_session_ring_tell(s, m);
}

/* As META has them. */
static const char *groups_of(const struct rec_meta *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (!strcmp(m->lines[i].key, "groups"))
			return m->lines[i].value;
	return NULL;
}

int rec_file_head(struct rec_session *s, const struct rec_head_job *job, struct tape_writer **ret)
{
	struct tape_writer_opts opts = {
		.writer = "tcptape-record " TCPTAPE_VERSION,
		.n_cpus = s->object.n_cpus,
		.start_ns = job->start_ns,
		.level = s->options->level,
		.chunk_bytes = CHUNK_BYTES,
		.pointers = s->options->pointers,
		.groups = groups_of(&s->head),
		.names = s->names,
		.put = job->put,
		.on_row = rec_file_is_part(s) ? on_row : NULL,
		.ctx = s,
	};
	struct rec_meta part = {0};
	int r;

	if (getrandom(&opts.file_id, sizeof(opts.file_id), 0) != sizeof(opts.file_id))
		opts.file_id = s->recording_id + s->part;
	r = tape_writer_open(ret, job->fd, &opts, &s->werr);
	if (!r)
		r = tape_writer_meta(*ret, s->head.lines, s->head.n, &s->werr);
	add_part(s, job, &part);
	if (!r && part.n)
		r = tape_writer_meta(*ret, part.lines, part.n, &s->werr);
	rec_meta_free(&part);
	return r ? r : tape_writer_clock(*ret, job->clock, &s->werr);
}

static int write_head(struct rec_session *s, uint64_t start_ns)
{
	struct rec_head_job job = {.fd = s->out.fd,
				   .start_ns = start_ns,
				   .events_before = s->events_before,
				   .put = s->out.regular ? NULL : rec_session_send,
				   .clock = &s->clock};

	s->clock = rec_clock_read();
	return rec_file_head(s, &job, &s->writer);
}

/* Between the steps of a long job: the rings must not fill meanwhile. */
int rec_file_breathe(void *ctx)
{
	struct rec_session *s = ctx;

	if (rec_now_ns() < s->breath_at)
		return 0;
	s->breath_at = rec_now_ns() + BREATH_NS;
	return rec_session_drain(s) < 0 ? -1 : 0;
}

int rec_file_rows(struct rec_session *s, struct tape_writer *w, bool first)
{
	struct rec_snapshot_job job = {
		.object = &s->object,
		.places = &s->places,
		.select = &s->options->gate.select,
		.generation = s->choice.has_cookies ? NULL : &s->generation,
		.writer = w,
		.breathe = rec_file_breathe,
		.ctx = s,
	};
	int r;

	if (first && !s->choice.has_cookies)
		job.breathe = NULL; /* sockets are numbered before the first event is */
	s->breath_at = rec_now_ns() + BREATH_NS;
	r = rec_labels_write(&s->labels, rec_now_ns(), w, &s->werr);
	if (!r && !s->options->no_snapshot)
		r = rec_snapshot_take(&job, &s->snapshot, &s->werr);
	malloc_trim(0); /* a list of 100,000 sockets was 32 MB */
	return r ? r : tape_writer_flush(w, 0, &s->werr);
}

int rec_file_first(struct rec_session *s, struct rec_error *err)
{
	int r;

	s->part = 1;
	s->part_ns = rec_now_ns();
	r = write_head(s, s->start_ns);
	if (!r)
		r = rec_file_rows(s, s->writer, true);
	s->n_socks = s->snapshot.n_socks;
	if (r < 0 && s->out.held_fd < 0)
		rec_output_cut(&s->out, 0);
	return r < 0 ? rec_session_writer_failed(s, err) : 0;
}

/* ---- the end ---- */

static void add_cost(const struct rec_session *s, const struct rec_figures *f, struct rec_meta *m)
{
	rec_meta_add(m, "end.cpu_us", "%llu", (unsigned long long)f->cpu_ns / 1000);
	rec_meta_add(m, "end.rss_kb", "%llu", (unsigned long long)f->rss_kb);
	if (f->bpf_runs) {
		rec_meta_add(m, "end.bpf_ns", "%llu", (unsigned long long)f->bpf_ns);
		rec_meta_add(m, "end.bpf_runs", "%llu", (unsigned long long)f->bpf_runs);
	}
	if (s->drain.n_forced)
		rec_meta_add(m, "end.forced", "%llu", (unsigned long long)s->drain.n_forced);
}

static void add_trouble(struct rec_session *s, struct rec_meta *m)
{
	if (*s->object.netfilter.trouble)
		rec_meta_add(m, "netfilter.trouble", "%s", s->object.netfilter.trouble);
	if (!s->choice.has_cookies) {
		rec_meta_add(m, "identity.doubtful", "%llu",
			     (unsigned long long)s->generation.n_doubtful);
		rec_meta_add(m, "identity.without", "%llu",
			     (unsigned long long)s->generation.n_without);
	}
	rec_meta_add(m, "snapshot", "%zu sockets in %zu namespaces", s->snapshot.n_socks,
		     s->snapshot.n_netns);
	if (*s->snapshot.trouble)
		rec_meta_add(m, "snapshot.trouble", "%s", s->snapshot.trouble);
	if (*rec_symbols_trouble(&s->symbols))
		rec_meta_add(m, "symbols.trouble", "%s", rec_symbols_trouble(&s->symbols));
	if (s->choice.stacks && *s->choice.no_stacks)
		rec_meta_add(m, "stacks.trouble", "%s", s->choice.no_stacks);
	if (s->stacks.n_refused)
		rec_meta_add(m, "stacks.refused", "%llu", (unsigned long long)s->stacks.n_refused);
	if (s->labels.n_refused)
		rec_meta_add(m, "labels.refused", "%llu", (unsigned long long)s->labels.n_refused);
	if (*s->sampler.trouble)
		rec_meta_add(m, "sample.trouble", "%s", s->sampler.trouble);
}

int rec_file_end_meta(struct rec_session *s, struct tape_writer *w, const char *reason)
{
	struct rec_meta meta = {0};
	struct rec_figures f;
	int r;

	rec_meta_add(&meta, "end.reason", "%s", reason);
	rec_session_figures(s, &f);
	rec_meta_left_out(&meta, f.left_out);
	add_cost(s, &f, &meta);
	add_trouble(s, &meta);
	r = tape_writer_meta(w, meta.lines, meta.n, &s->werr);
	rec_meta_free(&meta);
	return r;
}

int rec_file_end(struct rec_session *s, const char *reason)
{
	int r = rec_file_end_meta(s, s->writer, reason);

	return r ? r : tape_writer_close(s->writer, rec_now_ns(), &s->werr);
}

/* ---- an error of writing ---- */

/* The last blocks of a file that could not be written to its end; they say so. */
static int put_rescued_end(struct rec_session *s, uint64_t from_ns, uint64_t count,
			   struct tape_error *err)
{
	const struct tape_meta meta = {"end.reason", "error"};
	struct tape_loss loss = {.from_ns = from_ns ? from_ns : s->start_ns,
				 .to_ns = rec_now_ns(),
				 .count = count ? count : 1,
				 .cpu = TAPE_CPU_UNKNOWN,
				 .reason = TAPE_LOSS_UNRECORDED};

	if (tape_writer_loss(s->writer, &loss, 1, err) < 0 ||
	    rec_loss_poll(&s->loss, loss.to_ns, s->writer, err) < 0 ||
	    tape_writer_meta(s->writer, &meta, 1, err) < 0)
		return -1;
	return tape_writer_close(s->writer, rec_now_ns(), err);
}

/* Losses that were counted, but stand in no file. */
static uint64_t owed(const struct rec_session *s, uint64_t told)
{
	return s->loss.total > told ? s->loss.total - told : 0;
}

void rec_file_rescue(struct rec_session *s, uint64_t n_waiting)
{
	uint64_t n_unwritten, last_ns;
	struct tape_writer_stats st;
	struct tape_error ignored;

	for (int more = 0; more < 2; more++) {
		if (!tape_writer_give_up(s->writer, more, &n_unwritten, &last_ns))
			break;
		rec_output_cut(&s->out, tape_writer_offset(s->writer));
		tape_writer_stats(s->writer, &st);
		s->n_given_up = n_unwritten;
		if (!put_rescued_end(s, last_ns,
				     n_waiting + n_unwritten + owed(s, s->lost_told + st.lost),
				     &ignored))
			return;
	}
	rec_output_cut(&s->out, tape_writer_offset(s->writer));
}

void rec_file_leave(struct rec_session *s, struct tape_writer *w, bool remove)
{
	struct tape_writer_stats st;
	struct rec_error ignored;

	if (!remove) {
		tape_writer_stats(w, &st);
		s->lost_told += st.lost;
		s->events_before += st.n_events;
		s->stragglers_before += st.n_stragglers;
		s->bytes_before += st.bytes;
	} else {
		s->parts.number--; /* it comes again */
		s->part--;
	}
	tape_writer_free(w);
	rec_output_close(&s->out, remove, &ignored);
}

static void leave_file(struct rec_session *s, bool remove)
{
	rec_file_leave(s, s->writer, remove);
	s->writer = NULL;
}

bool rec_file_can_pause(const struct rec_session *s)
{
	return rec_file_is_part(s) && !rec_session_ring_is_on(s) && s->werr.code == TAPE_E_IO;
}

void rec_file_pause(struct rec_session *s)
{
	s->retry_ns = rec_now_ns() + RETRY_NS;
	if (s->paused_ns)
		return; /* it goes on */
	rec_session_writer_failed(s, &s->pause_error);
	if (s->writer) {
		s->n_given_up = 0;
		rec_file_rescue(s, 0);
		s->loss.total += s->n_given_up;
		s->n_unwritten += s->n_given_up;
		leave_file(s, false);
	}
	s->paused_ns = rec_now_ns();
	s->n_pauses++;
}

/* ---- from file to file ---- */

/* After a pause: what is in no file. */
static int tell_gap(struct rec_session *s)
{
	struct tape_loss gap = {.from_ns = s->paused_ns,
				.to_ns = rec_now_ns(),
				.count = owed(s, s->lost_told),
				.cpu = TAPE_CPU_UNKNOWN,
				.reason = TAPE_LOSS_UNRECORDED};

	struct tape_meta why = {"output.trouble", s->pause_error.text};
	int r = gap.count ? tape_writer_loss(s->writer, &gap, 1, &s->werr) : 0;

	if (!r && s->paused_ns)
		r = tape_writer_meta(s->writer, &why, 1, &s->werr);
	return r;
}

/* What was begun is not worth to be kept; its number comes again. */
static void drop_part(struct rec_session *s)
{
	struct tape_writer_stats st;
	uint64_t n_unwritten = 0, last_ns;

	if (s->writer) {
		tape_writer_give_up(s->writer, false, &n_unwritten, &last_ns);
		tape_writer_stats(s->writer, &st);
		s->loss.total += n_unwritten + st.n_events;
		s->n_unwritten += n_unwritten + st.n_events;
	}
	leave_file(s, true);
}

/* How much is recorded as the file begins. */
static int write_rates(struct rec_session *s)
{
	struct ev_rate rates[TAPE_N_GROUPS];
	unsigned n = rec_budget_rates(&s->budget, s->drain.floor_ns, rates);
	int r = 0;

	for (unsigned i = 0; !r && i < n; i++)
		r = tape_writer_event(s->writer, &rates[i].head, &s->werr);
	return r;
}

static int begin_part(struct rec_session *s)
{
	struct rec_error ignored;
	int e;

	if (rec_parts_open(&s->parts, &s->out, &e, &ignored) < 0)
		return tape_fail(&s->werr, TAPE_E_IO, 0, "%s", strerror(e));
	s->part++;
	s->part_ns = rec_now_ns();
	if (rec_output_room(&s->out) < s->options->min_free_bytes) {
		leave_file(s, true);
		return tape_fail(&s->werr, TAPE_E_IO, 0,
				 "less than %llu MB are free on the disk (--min-free)",
				 (unsigned long long)s->options->min_free_bytes >> 20);
	}
	if (write_head(s, s->drain.floor_ns ? s->drain.floor_ns : s->start_ns) < 0 ||
	    tell_gap(s) < 0 || rec_file_rows(s, s->writer, false) < 0 || write_rates(s) < 0) {
		drop_part(s);
		return -1;
	}
	s->sampler.all_next = true;
	s->paused_ns = 0;
	s->next_asked = false;
	return 0;
}

int rec_file_next(struct rec_session *s)
{
	if (s->writer) {
		if (rec_session_drain(s) < 0 || rec_session_complete(s) < 0 ||
		    rec_file_end(s, "rotate") < 0)
			return -1;
		leave_file(s, false);
	}
	return begin_part(s);
}

uint64_t rec_file_due_ns(const struct rec_session *s)
{
	if (!rec_file_is_part(s) || rec_session_ring_is_on(s))
		return UINT64_MAX;
	if (!s->writer)
		return s->retry_ns;
	return s->options->rotate_ns ? s->part_ns + s->options->rotate_ns : UINT64_MAX;
}

bool rec_file_is_due(const struct rec_session *s)
{
	uint64_t bytes = s->options->rotate_bytes;

	if (!rec_file_is_part(s) || rec_session_ring_is_on(s))
		return false;
	if (rec_now_ns() >= rec_file_due_ns(s))
		return true;
	return s->writer && (s->next_asked || (bytes && tape_writer_offset(s->writer) >= bytes));
}

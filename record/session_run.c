/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clock.h"
#include "layout.h"
#include "meta.h"
#include "session_parts.h"

#define MS 1000000ull	    /* ns */
#define DRAIN_NS (200 * MS) /* the reader's timer; a filling ring wakes it earlier */
#define TICK_NS (1000 * MS) /* losses, clock, status */
#define CHUNK_NS (600 * MS) /* with DRAIN_NS: SIGKILL loses less than a second */
#define MAX_ROUNDS 64	    /* of the drain, before signals and timers are looked at again */

static void stop(struct rec_session *s, const char *reason)
{
	if (!s->stop)
		s->reason = reason;
	s->stop = true;
}

/* What the terminal sends, COMMAND has had too. */
static void pass_on(struct rec_session *s, const struct signalfd_siginfo *si)
{
	if (si->ssi_signo != SIGINT)
		rec_command_kill(&s->command, SIGTERM);
	else if (si->ssi_code != SI_KERNEL)
		rec_command_kill(&s->command, SIGINT);
	s->passed_on = true;
}

/*
 * With a command: a SIGINT from the terminal reached it too, so recording goes on until it ends;
 * one that was sent to us is passed on. The second one, or SIGTERM, stops recording at once.
 */
static void on_signal(struct rec_session *s, const struct signalfd_siginfo *si)
{
	bool running = s->command_started && !rec_command_ended(&s->command, false);

	if (si->ssi_signo == SIGUSR2) {
		s->next_asked = true;
		s->asked_ns = rec_now_ns();
		return;
	}
	if (si->ssi_signo == SIGCHLD) {
		if (s->command_started && !running)
			stop(s, "command");
		return;
	}
	if (running)
		pass_on(s, si);
	if (running && si->ssi_signo == SIGINT && !s->interrupted) {
		s->interrupted = true;
		return;
	}
	s->signalled = true;
	stop(s, "signal");
}

void rec_session_signals(struct rec_session *s)
{
	struct signalfd_siginfo si;

	while (read(s->signal_fd, &si, sizeof(si)) == sizeof(si))
		on_signal(s, &si);
}

/* Nobody reads the pipe any more: without events we would not notice by writing. */
static void reader_left(struct rec_session *s)
{
	s->reader_gone = true;
	stop(s, "reader");
}

/* Wall time was set, or the machine slept: read() says ECANCELED, once each time. */
static void clock_was_set(struct rec_session *s)
{
	uint64_t n;

	s->clock_set |= read(s->clock_fd, &n, sizeof(n)) < 0 && errno == ECANCELED;
}

/*
 * Sleep until a signal, a filling ring, or the next thing to do. What is due once a second is done
 * when the rings are read: nothing else wakes an idle machine.
 */
static void wait_for_work(struct rec_session *s)
{
	uint64_t now = rec_now_ns(), until = s->drain_at;
	uint64_t end = s->options->duration_ns ? s->start_ns + s->options->duration_ns : UINT64_MAX;
	struct epoll_event events[REC_MAX_RINGS + 3];
	int n, ms;

	if (s->sampler.next_ns < until && s->options->interval_ns < 5 * DRAIN_NS)
		until = s->sampler.next_ns;
	if (end < until)
		until = end;
	if (rec_file_due_ns(s) < until)
		until = rec_file_due_ns(s);
	if (rec_session_ring_due_ns(s) < until)
		until = rec_session_ring_due_ns(s);
	ms = until > now ? (int)((until - now + MS - 1) / MS) : 0;
	n = epoll_wait(s->epoll_fd, events, REC_MAX_RINGS + 3, ms);
	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == s->signal_fd)
			rec_session_signals(s);
		else if (events[i].data.fd == s->out.fd)
			reader_left(s);
		else if (events[i].data.fd == s->clock_fd)
			clock_was_set(s);
		else
			s->drain_at = 0;
	}
	if (rec_now_ns() >= end)
		stop(s, "duration");
}

/*
 * Records are lost while a ring is full, so what follows them in the ring is read only after the
 * next look at this counter.
 */
static int drain_once(struct rec_session *s, uint64_t now_ns)
{
	uint64_t lost;

	if (!s->choice.has_cookies) {
		lost = rec_loss_of_group(&s->object, TAPE_GROUP_conn);
		if (lost != s->conn_lost)
			rec_generation_lost(&s->generation);
		s->conn_lost = lost;
	}
	return rec_drain_run(&s->drain, now_ns);
}

int rec_session_drain(struct rec_session *s)
{
	return drain_once(s, rec_now_ns());
}

/* Let groups give way, or come back. */
static void keep_to_budget(struct rec_session *s)
{
	uint64_t left_out[TAPE_N_GROUPS];

	if (!rec_budget_is_due(&s->budget, rec_now_ns()))
		return;
	rec_object_left_out(&s->object, left_out);
	if (!rec_budget_decide(&s->budget, rec_now_ns(), left_out))
		return;
	for (int g = 0; g < TAPE_N_GROUPS; g++)
		rec_object_thin(&s->object, (enum tape_group)g,
				rec_budget_floor(&s->budget, (enum tape_group)g));
}

static int drain(struct rec_session *s)
{
	uint64_t since;
	int r = 1;

	for (int i = 0; r == 1 && i < MAX_ROUNDS; i++) {
		r = drain_once(s, rec_now_ns());
		keep_to_budget(s);
	}
	if (r < 0)
		return r;
	s->drain_at = r == 1 ? 0 : rec_now_ns() + DRAIN_NS;
	since = s->writer ? tape_writer_open_since(s->writer) : 0;
	if (since && rec_now_ns() > since + CHUNK_NS)
		return tape_writer_flush(s->writer, s->drain.floor_ns, &s->werr);
	return 0;
}

/* A clock for each second that has events, and whenever wall time has moved. */
static int write_clock(struct rec_session *s, bool always)
{
	struct tape_clock c = rec_clock_read();

	if (!always && rec_session_n_events(s) == s->events_at_clock &&
	    !rec_clock_moved(&s->clock, &c))
		return 0;
	s->clock = c;
	s->events_at_clock = rec_session_n_events(s);
	return tape_writer_clock(s->writer, &c, &s->werr);
}

/* Records that were refused, by whomever, since the call before. */
static uint64_t take_bad(struct rec_session *s)
{
	uint64_t n = s->n_refused + s->drain.n_bad;

	s->n_refused = s->drain.n_bad = 0;
	for (unsigned i = 0; i < s->object.n_rings; i++) {
		n += s->rings[i].n_bad;
		s->rings[i].n_bad = 0;
	}
	return n;
}

static int write_losses(struct rec_session *s)
{
	struct tape_loss bad = {s->loss.last_ns,  rec_now_ns(),		take_bad(s),
				TAPE_CPU_UNKNOWN, TAPE_LOSS_UNRECORDED, ""};

	s->loss.total += bad.count;
	if (bad.count && tape_writer_loss(s->writer, &bad, 1, &s->werr) < 0)
		return -1;
	return rec_loss_poll(&s->loss, bad.to_ns, s->writer, &s->werr);
}

static int write_now(struct rec_session *s, bool always)
{
	if (s->labels.forgot)
		rec_places_forget(&s->places);
	s->labels.forgot = false;
	if (write_losses(s) < 0 || write_clock(s, always) < 0)
		return -1;
	return rec_places_resolve(&s->places, s->writer, &s->werr);
}

int rec_session_complete(struct rec_session *s)
{
	return write_now(s, true);
}

static int every_second(struct rec_session *s, rec_tick_fn *tick, void *ctx)
{
	struct rec_figures f;

	s->tick_at = rec_now_ns() + TICK_NS;
	s->sampler.stale |= s->places.n_pending != 0;
	s->places.netns_changed |= s->sampler.one_has_gone;
	s->sampler.one_has_gone = false;
	rec_budget_repeat(&s->budget, rec_now_ns());
	if (s->writer && write_now(s, false) < 0)
		return -1;
	if (s->writer && rec_output_room(&s->out) < s->options->min_free_bytes) {
		if (rec_file_is_part(s) && !rec_session_ring_is_on(s))
			return rec_file_next(s); /* or a pause, until there is room */
		s->disk_low = true;
		stop(s, "disk");
	}
	if (tick) {
		rec_session_figures(s, &f);
		tick(ctx, &f);
	}
	return 0;
}

/* Detach, take what is left in the rings, and complete the file. */
static int finish(struct rec_session *s)
{
	char trouble[sizeof(s->object.netfilter.trouble)];
	int r = 1;

	rec_sampler_take(&s->sampler, true);
	memcpy(trouble, s->object.netfilter.trouble, sizeof(trouble));
	rec_object_detach(&s->object);
	memcpy(s->object.netfilter.trouble, trouble, sizeof(trouble));
	if (!s->writer)
		r = rec_file_next(s);
	while (r >= 0 && (r = drain_once(s, UINT64_MAX)) == 1)
		;
	if (r < 0 || rec_session_complete(s) < 0)
		return -1;
	if (!rec_session_ring_is_on(s))
		return rec_file_end(s, s->reason);
	if (rec_session_ring_dump(s, "exit") < 0)
		return -1;
	rec_flight_close(&s->flight, true);
	return 0;
}

static int count_event(void *ctx, struct ev_head *record, const struct rec_queue *ahead)
{
	(void)record;
	(void)ahead;
	++*(uint64_t *)ctx;
	return 0;
}

/* What is still in the rings and queues, which will not be written. */
static uint64_t count_waiting(struct rec_session *s)
{
	uint64_t n = 0;

	s->drain.sink = count_event;
	s->drain.ctx = &n;
	while (rec_drain_run(&s->drain, UINT64_MAX) == 1)
		;
	return n;
}

/* After an error of writing that ends the recording. */
static void rescue(struct rec_session *s)
{
	uint64_t n_waiting;

	if (!s->out.regular || !s->writer || rec_session_ring_is_on(s))
		return;
	n_waiting = count_waiting(s);
	s->loss.total += take_bad(s);
	rec_file_rescue(s, n_waiting);
}

static int work(struct rec_session *s, rec_tick_fn *tick, void *ctx)
{
	if (rec_now_ns() >= s->sampler.next_ns)
		rec_sampler_take(&s->sampler, false);
	if (rec_now_ns() >= s->drain_at && drain(s) < 0)
		return -1;
	if (rec_netfilter_check(&s->object.netfilter, rec_now_ns(), s->places.n_met))
		rec_places_forget_netns(&s->places);
	if (s->clock_set && s->writer && write_clock(s, true) < 0)
		return -1;
	s->clock_set = false;
	if (rec_now_ns() >= s->tick_at && every_second(s, tick, ctx) < 0)
		return -1;
	if (rec_session_ring_is_on(s))
		return rec_session_ring_work(s);
	return rec_file_is_due(s) ? rec_file_next(s) : 0;
}

static int record(struct rec_session *s, rec_tick_fn *tick, void *ctx)
{
	while (!s->stop) {
		wait_for_work(s);
		if (work(s, tick, ctx) == 0)
			continue;
		if (!rec_file_can_pause(s))
			return -1;
		rec_file_pause(s);
	}
	return finish(s);
}

int rec_session_run(struct rec_session *s, rec_tick_fn *tick, void *ctx, struct rec_error *err)
{
	struct rec_error ignored;

	s->cpu_start_ns = rec_own_cpu_ns();
	s->start_ns = rec_now_ns();
	s->drain_at = s->start_ns + DRAIN_NS;
	s->tick_at = s->start_ns + TICK_NS;
	if (s->options->command) {
		if (rec_command_start(&s->command, s->options->command[0], err) < 0) {
			rec_output_close(&s->out, true, &ignored);
			return -1;
		}
		s->command_started = true;
		if (rec_output_release(&s->out, err) < 0) {
			rec_output_close(&s->out, true, &ignored);
			return -1;
		}
	}
	if (rec_session_confine(s, err) < 0)
		return -1;
	if (record(s, tick, ctx) < 0) {
		if (*s->dump_error.text)
			*err = s->dump_error;
		else
			rec_session_writer_failed(s, err);
		rec_object_detach(&s->object);
		rescue(s);
		return -1;
	}
	return rec_output_close(&s->out, false, err);
}

bool rec_session_await_command(struct rec_session *s)
{
	struct pollfd p = {.fd = s->signal_fd, .events = POLLIN};
	struct signalfd_siginfo si;

	while (!rec_command_ended(&s->command, false)) {
		if (poll(&p, 1, -1) < 0 || read(s->signal_fd, &si, sizeof(si)) != sizeof(si))
			continue;
		if (si.ssi_signo == SIGCHLD || si.ssi_signo == SIGUSR2)
			continue;
		if (s->passed_on)
			return false;
		pass_on(s, &si);
	}
	return true;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "clock.h"
#include "identity.h"
#include "schema.h"
#include "session_parts.h"

#define HOLD_NS 10000000ull
#define QUEUE_BYTES                                                                                \
	(1u << 20) /* a bulk ring; 10 ms of more than half a million events a second               \
		    */
#define MIN_QUEUE_BYTES (256u << 10)
#define BIG_BYTES (256 << 10)
#define RATE_QUEUE_BYTES (16u << 10)
#define NEVER_S 9000000000 /* in the year 2255 */

static void count_event(struct rec_session *s, uint8_t group, uint64_t ts_ns)
{
	s->events[group]++;
	rec_budget_see(&s->budget, (enum tape_group)group, ts_ns);
}

static int on_event(void *ctx, struct ev_head *record, const struct rec_queue *ahead)
{
	struct rec_session *s = ctx;
	int r;

	if (!rec_identity_complete(record, ahead) && s->options->gate.flows)
		return 0; /* its connection was not wanted, or is not known */
	if (!s->choice.has_cookies)
		rec_generation_see(&s->generation, record);
	rec_trigger_see(&s->trigger, record);
	if (!s->writer) { /* the disk is full: it will be in no file */
		s->loss.total++;
		return 0;
	}
	r = rec_symbols_see(&s->symbols, record, s->writer, &s->werr);
	if (r >= 0 && s->options->stacks)
		r = rec_stacks_see(&s->stacks, &s->symbols, record, s->writer, &s->werr);
	if (r >= 0)
		r = rec_places_see(&s->places, record, s->writer, &s->werr);
	if (r >= 0)
		r = tape_writer_event(s->writer, record, &s->werr);
	if (r == TAPE_E_CORRUPT) {
		s->n_refused++;
		return 0;
	}
	if (record->type != EV_rate &&
	    (record->type < EV_SNAPSHOT_FIRST || record->type > EV_SNAPSHOT_LAST))
		count_event(s, s->group_of[record->type & 255], record->ts_ns);
	return r;
}

static void map_groups(struct rec_session *s)
{
	const struct tape_schema *schema = tape_schema_builtin();

	for (size_t i = 0; i < schema->n_records; i++) {
		const struct tape_record *rec = &schema->records[i];

		for (int g = 0; g < TAPE_N_GROUPS; g++) {
			if (rec->id < 256 && !strcmp(rec->group, rec_group_name(g)))
				s->group_of[rec->id] = (uint8_t)g;
		}
	}
}

static int refused(struct rec_error *err)
{
	return rec_fail(err, "the kernel refuses to load BPF programs, though CAP_BPF and "
			     "CAP_PERFMON are there: they count only outside of user namespaces, "
			     "and a security module may forbid it");
}

static int open_rings(struct rec_session *s, struct rec_error *err)
{
	const struct rec_object *o = &s->object;
	size_t queue_bytes = 2 * QUEUE_BYTES / o->split;

	if (queue_bytes > QUEUE_BYTES)
		queue_bytes = QUEUE_BYTES;
	if (queue_bytes < MIN_QUEUE_BYTES)
		queue_bytes = MIN_QUEUE_BYTES;
	rec_drain_init(&s->drain, HOLD_NS, on_event, s);
	for (unsigned i = 0; i < o->n_rings; i++) {
		bool bulk = i / o->split == TAPE_RING_bulk;

		if (rec_ring_open(&s->rings[i], o->ring_fd[i], o->ring_bytes[i / o->split], err) <
		    0)
			return -1;
		if (rec_drain_add(&s->drain, &s->rings[i].source,
				  bulk ? queue_bytes : queue_bytes / 2) < 0)
			return rec_fail(err, "no memory for the hold-back buffer");
	}
	if (rec_drain_add(&s->drain, &s->sampler.series.source, QUEUE_BYTES) < 0 ||
	    rec_drain_add(&s->drain, &s->budget.source, RATE_QUEUE_BYTES) < 0)
		return rec_fail(err, "no memory for the hold-back buffer");
	return 0;
}

static int watch(struct rec_session *s, int fd, uint32_t events, struct rec_error *err)
{
	struct epoll_event e = {.events = events, .data.fd = fd};

	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
		return rec_fail(err, "epoll_ctl: %s", strerror(errno));
	return 0;
}

/*
 * A timer that never ends, but is cancelled when wall time is set. Without it the clocks are
 * compared once a second, and events between the step and that have the wall time of before.
 */
static int open_clock(void)
{
	const struct itimerspec never = {.it_value.tv_sec = NEVER_S};
	int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		(void)timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
				      NULL);
	return fd;
}

/* Rings are edge-triggered: else each event that is there would end the sleep at once. */
static int watch_all(struct rec_session *s, const sigset_t *signals, struct rec_error *err)
{
	struct rec_error ignored;

	s->signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->clock_fd = open_clock();
	if (s->signal_fd < 0 || s->epoll_fd < 0 || s->clock_fd < 0)
		return rec_fail(err, "signalfd, epoll or timerfd: %s", strerror(errno));
	if (watch(s, s->signal_fd, EPOLLIN, err) < 0 || watch(s, s->clock_fd, EPOLLIN, err) < 0)
		return -1;
	for (unsigned i = 0; i < s->object.n_rings; i++) {
		if (watch(s, s->rings[i].fd, EPOLLIN | EPOLLET, err) < 0)
			return -1;
	}
	/* a pipe whose reader goes away reports EPOLLERR; a regular file cannot be watched */
	(void)watch(s, s->out.fd, 0, &ignored);
	return 0;
}

/*
 * The signals that end a recording, or (with parts) begin another file, blocked from now on. SIGHUP
 * stays ignored under nohup.
 */
static void block_signals(sigset_t *set, bool parts)
{
	struct sigaction hup;

	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGCHLD);
	if (parts)
		sigaddset(set, SIGUSR2);
	if (!sigaction(SIGHUP, NULL, &hup) && hup.sa_handler != SIG_IGN)
		sigaddset(set, SIGHUP);
	sigprocmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void seed(struct rec_session *s)
{
	const struct rec_chooser chooser = {&s->options->gate.select, s->object.pids_fd,
					    &s->places.mount};

	rec_snapshot_seed(&s->object, &chooser, &s->n_chosen, s->select_trouble);
}

static int attach(struct rec_session *s, struct rec_error *err)
{
	const struct rec_options *o = s->options;
	bool any = false;

	s->start_ns = rec_now_ns();
	rec_budget_init(&s->budget, o->max_rate, o->sample, o->groups, s->start_ns);
	s->choice.pointers = o->pointers;
	s->choice.may_thin = o->max_rate || o->sample > 1;
	for (int g = 0; g < TAPE_N_GROUPS; g++)
		s->choice.thin_below[g] = rec_budget_floor(&s->budget, (enum tape_group)g);
	if (rec_object_open(&s->object, &s->choice, &o->gate, o->groups, o->bulk_bytes,
			    !o->no_snapshot || rec_select_is_on(&o->gate.select), err) < 0)
		return -1;
	for (size_t i = 0; i < rec_n_probes; i++)
		any |= s->choice.state[i] == REC_PROBE_ATTACHED;
	if (!any)
		return rec_fail(err, "no event of the groups asked for has a hook on this kernel; "
				     "'tcptape-record --list' says why");
	rec_netfilter_look(&s->object.netfilter);
	if (open_rings(s, err) < 0 || rec_loss_init(&s->loss, &s->object, s->start_ns, err) < 0 ||
	    rec_sampler_init(&s->sampler, &s->object, &s->choice, o->groups, o->interval_ns, err) <
		    0)
		return -1;
	if (rec_select_is_on(&o->gate.select))
		seed(s);
	rec_sampler_take(&s->sampler, false);
	return 0;
}

/* Without cookies sockets are told apart by what happens to them. */
static int open_generation(struct rec_session *s, struct rec_error *err)
{
	bool blind = !(s->options->groups >> TAPE_GROUP_conn & 1) ||
		     !rec_choice_attached(&s->choice, "tcp_state") ||
		     !rec_choice_attached(&s->choice, "tcp_destroy");

	if (!s->choice.has_cookies && rec_generation_init(&s->generation, blind, 0) < 0)
		return rec_fail(err, "no memory for the identity of sockets");
	return 0;
}

static int open_output(struct rec_session *s, struct rec_error *err)
{
	const struct rec_options *o = s->options;
	int e;

	if (!rec_options_needs(o).new_files)
		return rec_output_open(&s->out, o->output, o->force, err);
	if (rec_parts_init(&s->parts, o->output, o->keep, err) < 0)
		return -1;
	if (o->ring_bytes || o->ring_ns)
		return rec_session_ring_open(s, err);
	return rec_parts_open(&s->parts, &s->out, &e, err);
}

static int open_all(struct rec_session *s, struct rec_error *err)
{
	const struct rec_options *o = s->options;
	sigset_t signals;
	bool tried;

	rec_privilege_init(&s->privilege);
	if (rec_privilege_check(&s->privilege, err) < 0 ||
	    rec_session_check(&s->choice, o, &tried, &s->names, err) < 0)
		return -1;
	if (!tried)
		return refused(err);
	rec_session_purposes(&s->privilege, o, &s->choice);
	if (open_output(s, err) < 0)
		return -1;
	block_signals(&signals, rec_file_is_part(s));
	if (o->command && rec_command_fork(&s->command, o->command, err) < 0)
		return -1;
	rec_places_init(&s->places);
	rec_symbols_init(&s->symbols, o->stacks || o->groups >> TAPE_GROUP_drop & 1);
	rec_stacks_init(&s->stacks, o->pointers);
	map_groups(s);
	if (attach(s, err) < 0 || open_generation(s, err) < 0 || watch_all(s, &signals, err) < 0)
		return -1;
	if (rec_output_room(&s->out) < o->min_free_bytes)
		return rec_fail(
			err,
			"%s: only %llu MB are free on its disk, and recording would stop at "
			"%llu MB (--min-free)",
			s->out.path, (unsigned long long)rec_output_room(&s->out) >> 20,
			(unsigned long long)o->min_free_bytes >> 20);
	/* a COMMAND that cannot run leaves no file, and the old one as it was */
	if (rec_output_begin(&s->out, o->command != NULL, err) < 0 || rec_file_prepare(s, err) < 0)
		return -1;
	if ((rec_session_ring_is_on(s) ? rec_session_ring_begin(s, err) : rec_file_first(s, err)) <
	    0)
		return -1;
	malloc_trim(0); /* the kernel's type information was some 20 MB */
	return 0;
}

int rec_session_open(struct rec_session **ret, const struct rec_options *o, struct rec_error *err)
{
	struct rec_session *s = calloc(1, sizeof(*s));

	*ret = NULL;
	if (!s)
		return rec_fail(err, "no memory");
	s->options = o;
	mallopt(M_MMAP_THRESHOLD, BIG_BYTES); /* what is big goes back to the kernel when freed */
	s->parts.dir_fd = s->flight.dir_fd = -1;
	s->signal_fd = s->epoll_fd = s->clock_fd = s->out.fd = s->out.held_fd = s->command.go_fd =
		s->places.mount.fd = s->symbols.fd = -1;
	if (open_all(s, err) < 0) {
		struct rec_error ignored;
		bool gone = s->reader_gone;

		rec_output_close(&s->out, true, &ignored);
		rec_flight_close(&s->flight, true);
		rec_session_free(s);
		return gone ? REC_READER_GONE : -1;
	}
	*ret = s;
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "names.h"
#include "session_parts.h"

uint64_t rec_own_cpu_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000u;
}

static uint64_t rss_kb(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%*s %lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
}

uint64_t rec_session_n_events(const struct rec_session *s)
{
	uint64_t n = 0;

	for (int g = 0; g < TAPE_N_GROUPS; g++)
		n += s->events[g];
	return n;
}

int rec_session_writer_failed(struct rec_session *s, struct rec_error *err)
{
	const char *path = rec_session_path(s);

	if (s->werr.code == TAPE_E_IO && s->werr.sys_errno == EPIPE) {
		s->reader_gone = true;
		return rec_fail(err, "nobody reads standard output any more%s",
				s->options->command && !s->command_started ? "; COMMAND did not run"
									   : "");
	}
	if (s->werr.code == TAPE_E_IO && s->werr.sys_errno == ETIMEDOUT)
		return rec_fail(err,
				"%s: a signal asked for the end, and its reader does not read: "
				"what was not written is lost",
				*path ? path : "standard output");
	return rec_fail(err, "writing %s: %s", *path ? path : "standard output", s->werr.text);
}

int rec_session_check(struct rec_choice *c, const struct rec_options *o, bool *ret_tried,
		      char **ret_names, struct rec_error *err)
{
	struct rec_kernel k;

	if (rec_kernel_open(&k, err) < 0)
		return -1;
	rec_choice_init(c, &k, o->syscalls, o->stacks);
	*ret_tried = k.tried;
	if (ret_names)
		*ret_names = rec_names_of(&k);
	rec_kernel_close(&k);
	return 0;
}

void rec_session_free(struct rec_session *s)
{
	struct rec_error ignored;

	if (!s)
		return;
	rec_command_cancel(&s->command);
	tape_writer_free(s->writer);
	rec_output_close(&s->out, false, &ignored);
	rec_parts_fini(&s->parts);
	rec_flight_close(&s->flight, false);
	rec_labels_fini(&s->labels);
	rec_trigger_fini(&s->trigger);
	rec_meta_free(&s->head);
	for (unsigned i = 0; i < s->object.n_rings; i++)
		rec_ring_close(&s->rings[i]);
	rec_drain_fini(&s->drain);
	rec_sampler_fini(&s->sampler);
	rec_loss_fini(&s->loss);
	rec_generation_fini(&s->generation);
	rec_places_fini(&s->places);
	rec_symbols_fini(&s->symbols);
	rec_stacks_fini(&s->stacks);
	free(s->names);
	rec_object_close(&s->object);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	if (s->clock_fd >= 0)
		close(s->clock_fd);
	free(s);
}

void rec_session_figures(struct rec_session *s, struct rec_figures *ret)
{
	struct tape_writer_stats st = {0};

	*ret = (struct rec_figures){0};
	if (s->writer)
		tape_writer_stats(s->writer, &st);
	memcpy(ret->events, s->events, sizeof(ret->events));
	ret->n_events = rec_session_n_events(s) - s->n_unwritten;
	ret->n_files = s->part;
	ret->n_pauses = s->n_pauses;
	ret->n_unwritten = s->n_unwritten;
	rec_object_left_out(&s->object, ret->left_out);
	ret->lost = s->loss.total;
	if (rec_session_ring_is_on(s))
		ret->stragglers = 0; /* of what was recorded, not of what was written */
	else
		ret->stragglers = s->stragglers_before;
	ret->stragglers += st.n_stragglers;
	ret->bytes = s->bytes_before;
	if (s->writer && !rec_session_ring_is_on(s))
		ret->bytes += tape_writer_offset(s->writer);
	ret->elapsed_ns = rec_now_ns() - s->start_ns;
	ret->cpu_ns = rec_own_cpu_ns() - s->cpu_start_ns;
	ret->rss_kb = rss_kb();
	for (int i = 0; i < TAPE_N_RINGS; i++)
		ret->mapped_bytes += 2 * s->object.ring_bytes[i] * s->object.split;
	ret->n_socks = s->n_socks;
	rec_loss_run_time(&s->loss, &ret->bpf_ns, &ret->bpf_runs);
}

const struct rec_choice *rec_session_choice(const struct rec_session *s)
{
	return &s->choice;
}

const char *rec_session_path(const struct rec_session *s)
{
	return strcmp(s->out.path, "-") ? s->out.path : "";
}

const char *rec_session_trouble(const struct rec_session *s)
{
	if (s->n_pauses)
		return s->pause_error.text;
	if (s->flight.n_too_long)
		return "some chunks were longer than the ring: a larger --ring would hold them";
	return *s->snapshot.trouble ? s->snapshot.trouble : s->sampler.trouble;
}

void rec_session_on_news(struct rec_session *s, void (*news)(void *ctx, const char *text),
			 void *ctx)
{
	s->news = news;
	s->news_ctx = ctx;
}

bool rec_session_over_budget(const struct rec_session *s)
{
	return s->budget.changed;
}

bool rec_session_disk_low(const struct rec_session *s)
{
	return s->disk_low;
}

bool rec_session_reader_gone(const struct rec_session *s)
{
	return s->reader_gone;
}

int rec_session_command_status(struct rec_session *s, bool *ret_ran)
{
	*ret_ran = s->command_started;
	if (!s->options->command)
		return -1;
	if (s->command_started && !rec_session_await_command(s))
		return REC_COMMAND_LEFT;
	return rec_command_ended(&s->command, true) ? s->command.status : -1;
}

int rec_list(struct rec_choice *ret, struct rec_privilege *ret_privilege,
	     const struct rec_options *opts, bool *ret_tried, struct rec_error *err)
{
	struct rec_options all = *opts;
	struct rec_object o;
	int r;

	all.groups = (1u << TAPE_N_GROUPS) - 1;
	rec_privilege_init(ret_privilege);
	if (rec_session_check(ret, opts, ret_tried, NULL, err) < 0)
		return -1;
	rec_session_purposes(ret_privilege, &all, ret);
	if (!*ret_tried)
		return 0;
	r = rec_object_open(&o, ret, &opts->gate, all.groups, 128u << 10, true, err);
	if (r < 0)
		return r;
	if (o.netfilter.any)
		ret_privilege->purposes |= REC_DOES_LINK;
	if (rec_privilege_bpf_is_old(o.nic_fd))
		ret_privilege->purposes |= REC_DOES_OLD_BPF;
	rec_object_close(&o);
	return 0;
}

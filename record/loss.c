/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "loss.h"
#include "options.h"

#define BATCH 64 /* losses handed to the writer at once */

struct batch {
	struct tape_loss losses[BATCH];
	size_t n;
	uint64_t from_ns, to_ns;
	struct tape_writer *w;
	struct tape_error *err;
};

/* *ret_len: how much of the struct this kernel knows. */
static int read_info(int fd, struct bpf_prog_info *info, uint32_t *ret_len)
{
	*ret_len = sizeof(*info);
	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, ret_len);
}

static bool knows_misses(uint32_t info_len)
{
	return info_len >= offsetof(struct bpf_prog_info, recursion_misses) + sizeof(uint64_t);
}

int rec_loss_init(struct rec_loss *l, const struct rec_object *object, uint64_t now_ns,
		  struct rec_error *err)
{
	struct bpf_prog_info info;
	uint32_t len;

	*l = (struct rec_loss){.object = object, .last_ns = now_ns, .counts_recursion = true};
	l->seen = calloc(object->n_cpus, sizeof(*l->seen));
	if (!l->seen)
		return rec_fail(err, "no memory for the loss counters");
	memcpy(l->seen, object->lost, object->n_cpus * sizeof(*l->seen));
	for (size_t i = 0; i < rec_n_probes; i++) {
		if (object->prog_fd[i] < 0)
			continue;
		if (read_info(object->prog_fd[i], &info, &len) < 0 || !knows_misses(len))
			l->counts_recursion = false;
		else
			l->misses[i] = info.recursion_misses;
	}
	return 0;
}

void rec_loss_fini(struct rec_loss *l)
{
	free(l->seen);
	l->seen = NULL;
}

static int send_batch(struct batch *b)
{
	int r = b->n ? tape_writer_loss(b->w, b->losses, b->n, b->err) : 0;

	b->n = 0;
	return r;
}

/* group: "" all. */
static int add(struct batch *b, uint64_t count, uint32_t cpu, uint8_t reason, const char *group)
{
	struct tape_loss *loss = &b->losses[b->n++];

	*loss = (struct tape_loss){b->from_ns, b->to_ns, count, cpu, reason, ""};
	snprintf(loss->group, sizeof(loss->group), "%s", group);
	return b->n == BATCH ? send_batch(b) : 0;
}

static int poll_counter(struct rec_loss *l, struct batch *b, const uint64_t *counter,
			uint64_t *seen, unsigned cpu, uint8_t reason, const char *group)
{
	uint64_t now = __atomic_load_n(counter, __ATOMIC_RELAXED), count = now - *seen;

	*seen = now;
	l->total += count;
	return count ? add(b, count, cpu, reason, group) : 0;
}

/* Of bulk groups, connections that are left out are no loss: the others stand for them (rate). */
static int poll_counters(struct rec_loss *l, struct batch *b)
{
	for (unsigned cpu = 0; cpu < l->object->n_cpus; cpu++) {
		const struct tape_lost *now = &l->object->lost[cpu];
		struct tape_lost *seen = &l->seen[cpu];

		if (poll_counter(l, b, &now->unfollowed, &seen->unfollowed, cpu, TAPE_LOSS_SELECT,
				 "") < 0)
			return -1;
		for (int i = 0; i < TAPE_N_GROUPS; i++) {
			enum tape_group g = (enum tape_group)i;
			const char *name = rec_group_name(g);

			if (poll_counter(l, b, &now->n[g], &seen->n[g], cpu, TAPE_LOSS_RING, name) <
			    0)
				return -1;
			if (!rec_group_is_bulk(g) &&
			    poll_counter(l, b, &now->left_out[g], &seen->left_out[g], cpu,
					 TAPE_LOSS_BUDGET, name) < 0)
				return -1;
		}
	}
	return 0;
}

static enum tape_group group_of(const struct rec_probe *p)
{
	for (size_t i = 0; i < rec_n_events; i++) {
		if (!strcmp(rec_events[i].name, p->event))
			return rec_events[i].group;
	}
	return 0;
}

/* For a kprobe, recursion_misses counts what a nested program kept from running; so does nmissed
 * of the kprobe itself, which perf does not show: that part is unknown. */
static int poll_programs(struct rec_loss *l, struct batch *b)
{
	struct bpf_prog_info info;
	uint32_t len;

	for (size_t i = 0; i < rec_n_probes; i++) {
		const struct rec_probe *p = &rec_probes[i];
		uint64_t count;

		if (l->object->prog_fd[i] < 0 ||
		    read_info(l->object->prog_fd[i], &info, &len) < 0 || !knows_misses(len))
			continue;
		count = info.recursion_misses - l->misses[i];
		l->misses[i] = info.recursion_misses;
		if (!count)
			continue;
		l->total += count;
		if (add(b, count, TAPE_CPU_UNKNOWN,
			p->method == REC_KPROBE ? TAPE_LOSS_MISSED : TAPE_LOSS_RECURSION,
			rec_group_name(group_of(p))) < 0)
			return -1;
	}
	return 0;
}

int rec_loss_poll(struct rec_loss *l, uint64_t now_ns, struct tape_writer *w,
		  struct tape_error *err)
{
	struct batch b = {.from_ns = l->last_ns, .to_ns = now_ns, .w = w, .err = err};

	l->last_ns = now_ns;
	if (poll_counters(l, &b) < 0 || poll_programs(l, &b) < 0)
		return -1;
	return send_batch(&b);
}

uint64_t rec_loss_of_group(const struct rec_object *object, enum tape_group group)
{
	uint64_t n = 0;

	for (unsigned cpu = 0; cpu < object->n_cpus; cpu++)
		n += __atomic_load_n(&object->lost[cpu].n[group], __ATOMIC_RELAXED) +
		     __atomic_load_n(&object->lost[cpu].left_out[group], __ATOMIC_RELAXED);
	return n;
}

void rec_loss_run_time(const struct rec_loss *l, uint64_t *ret_ns, uint64_t *ret_runs)
{
	struct bpf_prog_info info;
	uint32_t len;

	*ret_ns = *ret_runs = 0;
	for (size_t i = 0; i < rec_n_probes; i++) {
		if (l->object->prog_fd[i] < 0 || read_info(l->object->prog_fd[i], &info, &len) < 0)
			continue;
		*ret_ns += info.run_time_ns;
		*ret_runs += info.run_cnt;
	}
}

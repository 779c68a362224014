/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "counters.h"
#include "listeners.h"
#include "netns.h"
#include "sampler.h"

#define MAX_SHARE 50 /* a sample is followed by at least so many times its CPU time */
/*
 * Listeners whose queues are empty are looked at again when connections came, or after so many
 * times what that took, in all namespaces together: with few connections, the iterator goes on
 * through all of a large and empty hash (2 ms).
 */
#define QUIET_SHARE 5000
#define LOOK_EVERY 30 /* samples: look for namespaces that no event has told of */

static bool attached(const struct rec_sampler *p, const char *event, size_t *ret_row)
{
	for (size_t i = 0; i < rec_n_probes; i++) {
		*ret_row = i;
		if (!strcmp(rec_probes[i].event, event) &&
		    p->choice->state[i] == REC_PROBE_ATTACHED)
			return true;
	}
	return false;
}

/* Add the namespaces that are not in the list. */
static void look_for_netns(struct rec_sampler *p)
{
	struct rec_netns_list l;

	p->stale = false;
	rec_netns_find(&l);
	for (size_t i = 0; i < l.n; i++) {
		struct rec_sampled_netns *more, *ns = NULL;
		size_t cap = p->cap_netns ? 2 * p->cap_netns : 16;

		for (size_t k = 0; k < p->n_netns && !ns; k++)
			ns = p->netns[k].inode == l.v[i].inode ? &p->netns[k] : NULL;
		if (!ns && p->n_netns == p->cap_netns) {
			more = realloc(p->netns, cap * sizeof(*more));
			if (!more)
				break;
			p->netns = more;
			p->cap_netns = cap;
		}
		if (!ns) {
			ns = &p->netns[p->n_netns++];
			*ns = (struct rec_sampled_netns){.inode = l.v[i].inode};
		}
		snprintf(ns->path, sizeof(ns->path), "%s", l.v[i].path);
	}
	rec_netns_free(&l);
}

int rec_sampler_init(struct rec_sampler *p, const struct rec_object *object,
		     const struct rec_choice *choice, uint32_t groups, uint64_t interval_ns,
		     struct rec_error *err)
{
	const uint32_t sampled =
		1u << TAPE_GROUP_counters | 1u << TAPE_GROUP_listen | 1u << TAPE_GROUP_nic;

	*p = (struct rec_sampler){
		.object = object,
		.choice = choice,
		.groups = groups,
		.interval_ns = interval_ns,
		.next_ns = UINT64_MAX,
		.home = -1,
	};
	rec_series_init(&p->series);
	if (!(groups & sampled))
		return 0;
	p->any = true;
	p->buf = malloc(REC_FILE_ROOM);
	if (!p->buf || rec_nic_init(&p->nic, object->n_cpus) < 0)
		return rec_fail(err, "no memory for samples");
	p->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	look_for_netns(p);
	return 0;
}

void rec_sampler_fini(struct rec_sampler *p)
{
	if (p->any && p->home >= 0)
		close(p->home);
	free(p->buf);
	free(p->netns);
	if (p->any)
		rec_nic_fini(&p->nic);
	rec_series_fini(&p->series);
	p->netns = NULL;
	p->buf = NULL;
	p->any = false;
}

/*
 * What moves when a connection comes to a listener's queues: handshakes that ended, and SYN+ACKs
 * that were sent again (snmp_seq_show_tcp_udp; they count among RetransSegs). Of the namespace that
 * we are in, IPv4 and IPv6 together.
 */
static uint64_t handshakes(char *buf)
{
	char *names, *values, *name, *value;
	uint64_t n = 0;

	if (rec_read_file("/proc/net/snmp", buf, REC_FILE_ROOM) ||
	    !(names = strstr(buf, "Tcp: ")) || !(values = strstr(names + 1, "Tcp: ")))
		return 0;
	while ((name = strsep(&names, " ")) && (value = strsep(&values, " "))) {
		if (!strcmp(name, "PassiveOpens") || !strcmp(name, "RetransSegs"))
			n += strtoull(value, NULL, 10);
	}
	return n;
}

static void sample_listeners(struct rec_sampler *p, struct rec_sampled_netns *ns, int link_fd,
			     bool last)
{
	uint64_t n = handshakes(p->buf), cpu = rec_thread_cpu_ns();
	int r;

	if (!last && !p->series.all && n == ns->handshakes && rec_now_ns() < ns->listeners_ns)
		return;
	ns->handshakes = n;
	r = rec_listeners_sample(&p->series, link_fd, last);
	if (r < 0)
		snprintf(p->trouble, sizeof(p->trouble),
			 "listeners of namespace %u are not sampled: %s", ns->inode, strerror(-r));
	cpu = rec_thread_cpu_ns() - cpu;
	ns->listeners_ns = r == 1 ? 0 : rec_now_ns() + QUIET_SHARE * p->n_netns * cpu;
}

static void sample_here(struct rec_sampler *p, struct rec_sampled_netns *ns, bool home, bool last)
{
	size_t row;

	if ((p->groups >> TAPE_GROUP_counters & 1) && attached(p, "counter", &row))
		rec_counters_sample(&p->series, ns->inode, home, p->buf);
	if (attached(p, "listen_queue", &row))
		sample_listeners(p, ns, bpf_link__fd(p->object->links[row]), last);
	if (attached(p, "nic_stat", &row))
		rec_nic_sample_links(&p->nic, &p->series, ns->inode, p->buf);
}

/*
 * Files and sockets of a namespace are opened anew each time: an open one would keep the namespace
 * and its interfaces alive after its end (seq_open_net holds a reference). False: it is gone, or
 * its path leads to another one now.
 */
static bool sample_netns(struct rec_sampler *p, struct rec_sampled_netns *ns, bool last)
{
	int fd = open(ns->path, O_RDONLY | O_CLOEXEC), e;
	struct stat st;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) < 0 || (uint32_t)st.st_ino != ns->inode) {
		close(fd);
		return false;
	}
	e = setns(fd, CLONE_NEWNET) < 0 ? errno : 0;
	close(fd);
	if (e) {
		snprintf(p->trouble, sizeof(p->trouble), "network namespace %u is not sampled: %s",
			 ns->inode, strerror(e));
		return true; /* it is there */
	}
	sample_here(p, ns, false, last);
	setns(p->home, CLONE_NEWNET);
	return true;
}

static void sample_all(struct rec_sampler *p, bool last)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_netns; i++) {
		struct rec_sampled_netns *ns = &p->netns[i];
		bool ok = true;

		if (!i)
			sample_here(p, ns, true, last);
		else
			ok = sample_netns(p, ns, last);
		if (!ok && !ns->missing)
			p->stale = p->one_has_gone = true; /* maybe another process of it lives */
		if (!ok && ns->missing)
			continue;
		ns->missing = !ok;
		p->netns[n++] = *ns;
	}
	p->n_netns = n;
}

void rec_sampler_take(struct rec_sampler *p, bool last)
{
	uint64_t now = rec_now_ns(), cpu = rec_thread_cpu_ns(), took;
	size_t row;

	if (!p->any || p->home < 0)
		return;
	if (p->stale || p->series.n_samples % LOOK_EVERY == LOOK_EVERY - 1)
		look_for_netns(p);
	rec_series_begin(&p->series, now);
	p->series.all = p->all_next;
	p->all_next = false;
	sample_all(p, last);
	if (p->groups >> TAPE_GROUP_nic & 1 && attached(p, "nic_queue", &row))
		rec_nic_sample_queues(&p->nic, &p->series, p->object->nic_fd);
	if (p->series.failed)
		snprintf(p->trouble, sizeof(p->trouble), "samples lack rows: no memory for all");
	took = rec_thread_cpu_ns() - cpu;
	p->next_ns = now + p->interval_ns;
	if (p->next_ns < now + MAX_SHARE * took)
		p->next_ns = now + MAX_SHARE * took;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "counters.h"
#include "link.h"
#include "../bpf/nic.h"
#include "nic.h"

#define MAX_INTERFACES 16384
#define ID_QUEUE (1u << 30) /* keys in the series, beside the names of counters */

int rec_nic_init(struct rec_nic *n, unsigned n_cpus)
{
	*n = (struct rec_nic){.n_cpus = n_cpus};
	n->counts = calloc(n_cpus, sizeof(struct tape_nic_count));
	return n->counts ? 0 : -1;
}

void rec_nic_fini(struct rec_nic *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->links[i].driver_ids);
	free(n->links);
	free(n->counts);
	*n = (struct rec_nic){0};
}

/* ---- interfaces ---- */

static void see(struct rec_series *s, const struct rec_link *l, uint32_t id, uint64_t value)
{
	struct ev_nic_stat e = {.head = {.type = EV_nic_stat, .size = sizeof(e)}};
	uint64_t before;
	bool first;

	if (!rec_series_moved(s, l->netns, id, l->ifindex, value, &before, &first))
		return;
	e.value = value;
	/* An interface that comes from another namespace brings its counts along. */
	e.delta = first ? 0 : (int64_t)(value - before);
	e.netns = l->netns;
	e.counter = id;
	e.ifindex = l->ifindex;
	e.interval_us = first ? 0 : s->interval_us;
	rec_series_emit(s, &e.head);
}

static void describe(struct rec_series *s, struct rec_link *l, int fd)
{
	struct ev_snap_link row = {.head = {.type = EV_snap_link, .size = sizeof(row)}};
	struct rec_link_facts f;
	char *names;

	rec_link_facts(fd, l->name, l->ifindex, &f);
	row.name = rec_series_text(s, l->name);
	row.qdisc = rec_series_text(s, f.qdisc);
	row.queue_qdiscs = rec_series_text(s, f.queue_qdiscs);
	row.netns = l->netns;
	row.ifindex = l->ifindex;
	row.mtu = f.mtu;
	row.link_type = f.type;
	row.offloads = f.offloads;
	row.tx_queues = (uint16_t)f.tx_queues;
	row.rx_queues = (uint16_t)f.rx_queues;
	rec_series_emit(s, &row.head);
	free(l->driver_ids);
	l->n_driver = rec_link_driver_names(fd, l->name, &names);
	l->driver_ids = l->n_driver ? calloc(l->n_driver, sizeof(*l->driver_ids)) : NULL;
	if (!l->driver_ids)
		l->n_driver = 0;
	for (uint32_t i = 0; i < l->n_driver; i++) {
		const char *name = names + (size_t)i * REC_LINK_NAME_LEN;

		l->driver_ids[i] =
			rec_series_name(s, "driver", name, strnlen(name, REC_LINK_NAME_LEN));
	}
	free(names);
}

/* The interface, described if it is new or has another name now. NULL: no memory. */
static struct rec_link *find_link(struct rec_nic *n, struct rec_series *s, uint32_t netns,
				  uint32_t ifindex, const char *name, int fd)
{
	struct rec_link *l = NULL, *more;
	size_t cap = n->cap ? 2 * n->cap : 16;

	for (size_t i = 0; i < n->n && !l; i++) {
		if (n->links[i].netns == netns && n->links[i].ifindex == ifindex)
			l = &n->links[i];
	}
	if (!l && n->n == n->cap) {
		more = cap > MAX_INTERFACES ? NULL : realloc(n->links, cap * sizeof(*more));
		if (!more) {
			s->failed = true;
			return NULL;
		}
		n->links = more;
		n->cap = cap;
	}
	if (!l) {
		l = &n->links[n->n++];
		*l = (struct rec_link){.netns = netns, .ifindex = ifindex};
	}
	if (strcmp(l->name, name)) {
		snprintf(l->name, sizeof(l->name), "%s", name);
		describe(s, l, fd);
	}
	l->sample = s->n_samples;
	return l;
}

static void see_driver(struct rec_series *s, struct rec_link *l, int fd)
{
	uint64_t *values = l->n_driver ? calloc(l->n_driver, sizeof(*values)) : NULL;

	if (values && !rec_link_driver_values(fd, l->name, l->n_driver, values)) {
		for (uint32_t i = 0; i < l->n_driver; i++)
			see(s, l, l->driver_ids[i], values[i]);
	}
	free(values);
}

/* A line of /proc/net/dev (dev_seq_printf_stats): "  eth0: 1 2 3 ..." */
static void see_line(struct rec_nic *n, struct rec_series *s, uint32_t netns, char *line, int fd)
{
	static const char *const names[] = {
		"rx_bytes", "rx_packets",    "rx_errors",     "rx_dropped",
		"rx_fifo",  "rx_frame",	     "rx_compressed", "rx_multicast",
		"tx_bytes", "tx_packets",    "tx_errors",     "tx_dropped",
		"tx_fifo",  "tx_collisions", "tx_carrier",    "tx_compressed",
	};
	char *name = strsep(&line, ":");
	struct ifreq r = {0};
	struct rec_link *l;

	name += strspn(name, " ");
	if (!line || strlen(name) >= sizeof(r.ifr_name))
		return;
	memcpy(r.ifr_name, name, strlen(name));
	if (ioctl(fd, SIOCGIFINDEX, &r) < 0)
		return;
	l = find_link(n, s, netns, (uint32_t)r.ifr_ifindex, name, fd);
	for (size_t i = 0; l && i < sizeof(names) / sizeof(*names); i++)
		see(s, l, rec_series_name(s, "dev", names[i], strlen(names[i])),
		    strtoull(line, &line, 10));
	if (l)
		see_driver(s, l, fd);
}

void rec_nic_sample_links(struct rec_nic *n, struct rec_series *s, uint32_t netns, char *buf)
{
	int fd;

	if (rec_read_file("/proc/net/dev", buf, REC_FILE_ROOM) < 0)
		return;
	/* Not kept: a socket would keep its namespace, and the interfaces in it, alive. */
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0)
		return;
	for (char *line; (line = strsep(&buf, "\n"));)
		see_line(n, s, netns, line, fd);
	close(fd);
}

/* ---- queues ---- */

/* The probe's counters only grow: what came since the sample before. */
static uint64_t grown(struct rec_series *s, const struct tape_nic_key *k, uint32_t which,
		      uint64_t value)
{
	uint32_t id = ID_QUEUE | (uint32_t)k->queue << 3 | (uint32_t)k->direction << 2 | which;
	uint64_t before;
	bool first;

	rec_series_moved(s, k->netns, id, k->ifindex, value, &before, &first);
	return value < before ? value : value - before; /* it was deleted, and began anew */
}

/* True if something passed the queue. */
static bool see_queue(struct rec_nic *n, struct rec_series *s, const struct tape_nic_key *k)
{
	struct ev_nic_queue e = {.head = {.type = EV_nic_queue, .size = sizeof(e)}};
	const struct tape_nic_count *c = n->counts;
	struct tape_nic_count sum = {0};

	for (unsigned i = 0; i < n->n_cpus; i++) {
		sum.skbs += c[i].skbs;
		sum.segs += c[i].segs;
		sum.bytes += c[i].bytes;
	}
	e.skbs = grown(s, k, 0, sum.skbs);
	e.segs = grown(s, k, 1, sum.segs);
	e.bytes = grown(s, k, 2, sum.bytes);
	e.netns = k->netns;
	e.ifindex = k->ifindex;
	e.interval_us = s->interval_us;
	e.queue = k->queue;
	e.direction = k->direction;
	if (e.skbs)
		rec_series_emit(s, &e.head);
	return e.skbs != 0;
}

static bool has_link(const struct rec_nic *n, const struct tape_nic_key *k)
{
	for (size_t i = 0; i < n->n; i++) {
		if (n->links[i].netns == k->netns && n->links[i].ifindex == k->ifindex)
			return true;
	}
	return false;
}

static void forget_links(struct rec_nic *n, uint32_t sample)
{
	for (size_t i = 0; i < n->n;) {
		if (n->links[i].sample == sample) {
			i++;
			continue;
		}
		free(n->links[i].driver_ids);
		n->links[i] = n->links[--n->n];
	}
}

/* Counters of interfaces that are gone are deleted, else the map would fill up with them. */
void rec_nic_sample_queues(struct rec_nic *n, struct rec_series *s, int map_fd)
{
	struct tape_nic_key key, next;
	bool more = !bpf_map_get_next_key(map_fd, NULL, &next);

	forget_links(n, s->n_samples);
	for (unsigned i = 0; more && i < TAPE_NIC_KEYS; i++) {
		key = next;
		more = !bpf_map_get_next_key(map_fd, &key, &next);
		if (bpf_map_lookup_elem(map_fd, &key, n->counts))
			continue;
		if (!see_queue(n, s, &key) && !has_link(n, &key))
			bpf_map_delete_elem(map_fd, &key);
	}
}

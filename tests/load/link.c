/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link: joins two network namespaces by a link with a delay, for kernels without netem.
 *
 *   link NETNS_A NETNS_B DELAY_AB_US DELAY_BA_US [DROP_NTH]
 *
 * Each namespace (it must exist under /run/netns) gets a TUN device "tun0"; packets read from one
 * are held for the delay and written to the other. There is no ARP, so a first packet takes no
 * longer than the rest. DROP_NTH: every so many-th TCP segment with payload from A to B is dropped.
 * The caller gives the devices their addresses. Prints "ready", then runs until it is killed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { N_SLOTS = 1024, MAX_PACKET = 65536 };

struct packet {
	int64_t due_ns;
	ssize_t len;
	unsigned char data[MAX_PACKET];
};

/* One direction: a FIFO between two devices. */
struct pipe {
	int from, to;
	int64_t delay_ns;
	long drop_nth, n_data;
	unsigned int head, tail; /* head == tail: empty */
	struct packet *slot;
};

static void die(const char *what)
{
	fprintf(stderr, "link: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Create tun0 in a namespace. The caller ends in that namespace too. */
static int tun_open(const char *netns)
{
	struct ifreq req = {.ifr_name = "tun0", .ifr_flags = IFF_TUN | IFF_NO_PI};
	char path[256];
	int ns, fd;

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET))
		die(path);
	close(ns);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &req))
		die("/dev/net/tun");
	return fd;
}

/* A TCP segment with payload? IPv6 extension headers are not looked through. */
static bool has_payload(const struct packet *p)
{
	const unsigned char *d = p->data;
	bool v4 = d[0] >> 4 == 4;
	ssize_t ip_len = v4 ? (d[0] & 15) * 4 : 40;

	if (p->len < ip_len + 20 || d[v4 ? 9 : 6] != 6)
		return false;
	return p->len > ip_len + (d[ip_len + 12] >> 4) * 4;
}

static void take(struct pipe *q)
{
	while (q->tail - q->head < N_SLOTS) {
		struct packet *p = &q->slot[q->tail % N_SLOTS];

		p->len = read(q->from, p->data, sizeof(p->data));
		if (p->len <= 0)
			return;
		p->due_ns = now_ns() + q->delay_ns;
		if (q->drop_nth && has_payload(p) && ++q->n_data % q->drop_nth == 0)
			continue;
		q->tail++;
	}
}

/* Forward what is due; return the time until the next one is, or -1. */
static int64_t give(struct pipe *q)
{
	int64_t now = now_ns();

	while (q->head != q->tail) {
		struct packet *p = &q->slot[q->head % N_SLOTS];

		if (p->due_ns > now)
			return p->due_ns - now;
		if (write(q->to, p->data, (size_t)p->len) < 0 && errno != EIO && errno != EAGAIN)
			die("write");
		q->head++;
	}
	return -1;
}

static void forward(struct pipe *q)
{
	for (;;) {
		int64_t a = give(&q[0]), b = give(&q[1]);
		int64_t wait = a < 0 || (b >= 0 && b < a) ? b : a;
		struct timespec t = {wait / 1000000000, wait % 1000000000};
		struct pollfd fds[2] = {{q[0].from, POLLIN, 0}, {q[1].from, POLLIN, 0}};

		if (ppoll(fds, 2, wait < 0 ? NULL : &t, NULL) < 0 && errno != EINTR)
			die("poll");
		take(&q[0]);
		take(&q[1]);
	}
}

int main(int argc, char **argv)
{
	struct pipe q[2] = {0};

	if (argc < 5 || argc > 6) {
		fputs("usage: link NETNS_A NETNS_B DELAY_AB_US DELAY_BA_US [DROP_NTH]\n", stderr);
		return 2;
	}
	prctl(PR_SET_TIMERSLACK, 1UL);
	q[0].from = q[1].to = tun_open(argv[1]);
	q[1].from = q[0].to = tun_open(argv[2]);
	q[0].delay_ns = atoll(argv[3]) * 1000;
	q[1].delay_ns = atoll(argv[4]) * 1000;
	q[0].drop_nth = argc > 5 ? atol(argv[5]) : 0;
	for (int i = 0; i < 2; i++)
		if (!(q[i].slot = calloc(N_SLOTS, sizeof(*q[i].slot))))
			die("memory");
	puts("ready");
	fflush(stdout);
	forward(q);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rare: brings a TCP connection of its own, over loopback, into a state in which the kernel throws
 * segments away, and has `segment` (SEGMENT in the environment) send them, since no TCP would
 * (root).
 *
 *   rare MODE COUNT PORT       on 127.0.0.1, the server at PORT
 *     old      segments whose bytes have been received already
 *     merge    out of order, COUNT times the same bytes after the first time
 *     paws     with an old timestamp
 *     rcvq     in order, in the window, but the receive buffer was made smaller meanwhile
 *     ofo      the same, out of order
 *     prune    COUNT out of order are in the queue when the buffer is made smaller and one more
 * comes window   in order, at a window of 0 backlog  a process holds the socket, until its backlog
 * is full, and COUNT segments more ttl      a SYN, to a listener that takes no more than one hop
 * (COUNT is 1) defer    the last ACK of COUNT handshakes, to a listener that waits for data
 *
 * Prints "MODE COUNT" when the segments have been received.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { RECV_QUEUE = 1, SEND_QUEUE = 2, REPAIR_OFF_NO_WP = -1 }; /* of linux/tcp.h, not exported */
enum { IN_ORDER = 20000 }; /* bytes in the receive queue when its buffer is made smaller */

struct pair {
	int listener, client, server;
	uint16_t port;	       /* of the client */
	uint32_t seq, ack, ts; /* what the client would send next */
	struct sockaddr_in server_addr;
};

static void die(const char *what)
{
	fprintf(stderr, "rare: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static void set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		die("setsockopt");
}

static uint32_t get_tcp(int fd, int name)
{
	uint32_t value = 0;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, IPPROTO_TCP, name, &value, &len))
		die("getsockopt");
	return value;
}

/* What TCP would send next, as checkpoint and restore would read it. */
static void look(struct pair *p)
{
	set(p->client, IPPROTO_TCP, TCP_REPAIR, 1);
	set(p->client, IPPROTO_TCP, TCP_REPAIR_QUEUE, SEND_QUEUE);
	p->seq = get_tcp(p->client, TCP_QUEUE_SEQ);
	set(p->client, IPPROTO_TCP, TCP_REPAIR_QUEUE, RECV_QUEUE);
	p->ack = get_tcp(p->client, TCP_QUEUE_SEQ);
	p->ts = get_tcp(p->client, TCP_TIMESTAMP);
	set(p->client, IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_NO_WP);
}

static void listen_at(struct pair *p, uint16_t port)
{
	p->server_addr = (struct sockaddr_in){.sin_family = AF_INET,
					      .sin_port = htons(port),
					      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	p->listener = socket(AF_INET, SOCK_STREAM, 0);
	set(p->listener, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(p->listener, (struct sockaddr *)&p->server_addr, sizeof(p->server_addr)) ||
	    listen(p->listener, 8))
		die("bind, listen");
}

static int connect_to(struct pair *p, int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

	if (connect(fd, (struct sockaddr *)&p->server_addr, sizeof(p->server_addr)) &&
	    errno != EINPROGRESS)
		die("connect");
	return fd;
}

static void make_pair(struct pair *p, uint16_t port)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	listen_at(p, port);
	p->client = connect_to(p, 0);
	p->server = accept(p->listener, NULL, NULL);
	if (p->server < 0 || getsockname(p->client, (struct sockaddr *)&addr, &len))
		die("accept");
	p->port = ntohs(addr.sin_port);
	set(p->client, IPPROTO_TCP, TCP_NODELAY, 1);
	look(p);
}

/* From the client's end, as if the client had sent it; loopback has delivered it on return. */
static void inject(const struct pair *p, long count, uint32_t seq, int len, const char *more)
{
	const char *segment = getenv("SEGMENT");
	char command[512];

	snprintf(command, sizeof(command),
		 "'%s' -n %ld -s %u -a %u -l %d %s 127.0.0.1 %u 127.0.0.1 %u >/dev/null",
		 segment ? segment : "segment", count, seq, p->ack, len, more, p->port,
		 ntohs(p->server_addr.sin_port));
	if (system(command))
		die("segment");
}

/* ---- modes ---- */

static void put(const struct pair *p, size_t bytes)
{
	static const char zeros[1 << 16];

	if (write(p->client, zeros, bytes) != (ssize_t)bytes)
		die("write");
	sleep_ms(50); /* acknowledged */
}

static void old(struct pair *p, long count)
{
	uint32_t seq = p->seq;

	put(p, 100);
	inject(p, count, seq, 100, "");
}

static void merge(struct pair *p, long count)
{
	inject(p, count + 1, p->seq + 1000, 100, "");
}

static void paws(struct pair *p, long count)
{
	char more[32];

	put(p, 1); /* the server has a timestamp to compare with */
	look(p);
	snprintf(more, sizeof(more), "-T %u", p->ts - (1u << 30));
	inject(p, count, p->seq, 100, more);
}

/* The window that was announced stays as it is. */
static void shrink(struct pair *p)
{
	put(p, IN_ORDER);
	look(p);
	set(p->server, SOL_SOCKET, SO_RCVBUF, 1);
}

static void rcvq(struct pair *p, long count)
{
	shrink(p);
	inject(p, count, p->seq, 100, "");
}

static void ofo(struct pair *p, long count)
{
	shrink(p);
	inject(p, count, p->seq + 1000, 100, "");
}

static void prune(struct pair *p, long count)
{
	for (long i = 0; i < count;
	     i++) /* behind what shrink() sends, with gaps, so that none is merged with another */
		inject(p, 1, p->seq + IN_ORDER + 1000 + 2000 * (uint32_t)i, 1000, "");
	shrink(p);
	inject(p, 1, p->seq, 100, "");
}

static void window(struct pair *p, long count)
{
	static const char zeros[1 << 16];

	set(p->server, SOL_SOCKET, SO_RCVBUF, 1);
	fcntl(p->client, F_SETFL, O_NONBLOCK);
	while (write(p->client, zeros, sizeof(zeros)) > 0)
		;
	sleep_ms(1500); /* probes have filled what was left of the window */
	set(p->server, IPPROTO_TCP, TCP_REPAIR, 1);
	set(p->server, IPPROTO_TCP, TCP_REPAIR_QUEUE, RECV_QUEUE);
	p->seq = get_tcp(p->server, TCP_QUEUE_SEQ);
	set(p->server, IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_NO_WP);
	inject(p, count, p->seq, 100, "");
}

/* A send() whose data is not there yet sleeps in a page fault, with the socket locked. */
static void *send_missing(void *arg)
{
	const struct pair *p = *(void **)arg;
	char *page = ((void **)arg)[1];

	if (send(p->server, page, 4096, 0) < 0)
		perror("rare: send");
	return NULL;
}

static char *missing_page(int *ret_uffd)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register reg = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*ret_uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	reg.range.start = (uintptr_t)page;
	reg.range.len = 4096;
	if (*ret_uffd < 0 || ioctl(*ret_uffd, UFFDIO_API, &api) ||
	    ioctl(*ret_uffd, UFFDIO_REGISTER, &reg))
		die("userfaultfd");
	return page;
}

static void backlog(struct pair *p, long count)
{
	int uffd;
	char *page = missing_page(&uffd);
	void *arg[2] = {p, page};
	struct uffdio_zeropage zero = {.range = {(uintptr_t)page, 4096}};
	pthread_t thread;

	set(p->server, SOL_SOCKET, SO_RCVBUF, 1);
	set(p->server, SOL_SOCKET, SO_SNDBUF, 1);
	pthread_create(&thread, NULL, send_missing, arg);
	sleep_ms(200);
	/* far out of the window: thrown away for good when the socket is free again */
	inject(p, count, p->seq + (1u << 30), 1000, "");
	ioctl(uffd, UFFDIO_ZEROPAGE, &zero);
	pthread_join(thread, NULL);
}

static void ttl(struct pair *p, long count)
{
	set(p->listener, IPPROTO_IP, IP_MINTTL, 255);
	for (long i = 0; i < count; i++)
		connect_to(p, SOCK_NONBLOCK);
}

static void defer(struct pair *p, long count)
{
	set(p->listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
	for (long i = 0; i < count; i++)
		connect_to(p, 0);
}

static const struct mode {
	const char *name;
	void (*run)(struct pair *p, long count);
	bool alone; /* a listener is enough */
} modes[] = {
	{"old", old, false},	   {"merge", merge, false},	{"paws", paws, false},
	{"rcvq", rcvq, false},	   {"ofo", ofo, false},		{"prune", prune, false},
	{"window", window, false}, {"backlog", backlog, false}, {"ttl", ttl, true},
	{"defer", defer, true},
};

int main(int argc, char **argv)
{
	struct pair p = {0};

	for (size_t i = 0; argc == 4 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(modes[i].name, argv[1]))
			continue;
		if (modes[i].alone)
			listen_at(&p, (uint16_t)atoi(argv[3]));
		else
			make_pair(&p, (uint16_t)atoi(argv[3]));
		modes[i].run(&p, atol(argv[2]));
		sleep_ms(50);
		printf("%s %s\n", argv[1], argv[2]);
		return 0;
	}
	fputs("usage: rare MODE COUNT PORT      (see rare.c)\n", stderr);
	return 2;
}

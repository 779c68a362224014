/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exchange: requests and answers whose times are known, and says on standard output what it did.
 *
 *   exchange server ADDR PORT
 *     reads requests and does with each what it says; a process a connection
 *   exchange client [-m MODE] [-n COUNT] [-s BYTES] [-a BYTES] ADDR PORT US...
 *     one connection; COUNT times for each US: a request, which the server answers after so long
 *     ping     one after the other (default)
 *     halves   request and answer come in two parts each, 3 ms apart
 *     early    the next request goes out when the first part of an answer has come
 *     one-way  nothing is answered
 *
 *   ready                          the server listens
 *   answered RPORT BYTES BYTES US  request, answer; from its last byte read to the first write
 *   asked LPORT BYTES BYTES US     request, answer; from its last byte written to the first read
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PART_US = 3000, MAX_BYTES = 1 << 20 };

struct request { /* what a request begins with */
	uint32_t bytes, answer_bytes, wait_us;
	uint32_t parts; /* of the answer; 0: no answer */
};

static char buf[MAX_BYTES];

static void die(const char *what)
{
	fprintf(stderr, "exchange: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void sleep_us(long us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000};

	while (us > 0 && nanosleep(&t, &t) && errno == EINTR)
		;
}

static bool read_all(int fd, void *to, size_t n)
{
	ssize_t got;

	for (char *p = to; n; n -= (size_t)got, p += got) {
		got = read(fd, p, n);
		if (got < 0)
			die("read");
		if (!got)
			return false;
	}
	return true;
}

static void write_all(int fd, const void *from, size_t n)
{
	ssize_t sent;

	for (const char *p = from; n; n -= (size_t)sent, p += sent) {
		sent = write(fd, p, n);
		if (sent < 0)
			die("write");
	}
}

static void write_parts(int fd, const char *from, size_t n, unsigned parts)
{
	if (parts == 2) {
		write_all(fd, from, n / 2);
		sleep_us(PART_US);
		write_all(fd, from + n / 2, n - n / 2);
		return;
	}
	write_all(fd, from, n);
}

static unsigned port_of(int fd, bool local)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);

	if (local ? getsockname(fd, (struct sockaddr *)&sa, &len)
		  : getpeername(fd, (struct sockaddr *)&sa, &len))
		die("getsockname");
	return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
					      : ((struct sockaddr_in *)&sa)->sin_port);
}

static int open_socket(const char *addr, const char *port, bool listens)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV},
			*ai;
	int fd, one = 1;

	if (getaddrinfo(addr, port, &hints, &ai))
		die(addr);
	fd = socket(ai->ai_family, SOCK_STREAM, 0);
	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (listens ? bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, 64)
		    : connect(fd, ai->ai_addr, ai->ai_addrlen))
		die(listens ? "listen" : "connect");
	freeaddrinfo(ai);
	return fd;
}

static _Noreturn void serve(int fd)
{
	unsigned port = port_of(fd, false);
	struct request r;

	while (read_all(fd, &r, sizeof(r))) {
		int64_t read_us, begin_us;

		if (r.bytes > MAX_BYTES || r.answer_bytes > MAX_BYTES)
			exit(2);
		if (r.bytes && !read_all(fd, buf, r.bytes))
			break;
		read_us = now_us();
		if (!r.parts)
			continue;
		sleep_us(r.wait_us);
		begin_us = now_us();
		write_parts(fd, buf, r.answer_bytes, r.parts);
		printf("answered %u %zu %u %ld\n", port, sizeof(r) + r.bytes, r.answer_bytes,
		       (long)(begin_us - read_us));
	}
	exit(0);
}

static _Noreturn void server(char **argv)
{
	int fd = open_socket(argv[0], argv[1], true);

	signal(SIGCHLD, SIG_IGN);
	puts("ready");
	for (;;) {
		int one = 1, conn = accept(fd, NULL, NULL);

		if (conn < 0)
			die("accept");
		setsockopt(conn, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (!fork())
			serve(conn);
		close(conn);
	}
}

struct asking {
	int fd;
	const char *mode;
	long n;
	uint32_t request_bytes, answer_bytes;
	uint32_t unread; /* of the answer before */
};

static void ask(struct asking *a, uint32_t wait_us)
{
	bool early = !strcmp(a->mode, "early"), halves = !strcmp(a->mode, "halves");
	struct request r = {a->request_bytes, a->answer_bytes, wait_us, halves || early ? 2 : 1};
	int64_t sent_us, first_us;
	ssize_t got;

	if (!strcmp(a->mode, "one-way"))
		r.parts = 0;
	memcpy(buf, &r, sizeof(r));
	write_parts(a->fd, buf, sizeof(r) + r.bytes, halves ? 2 : 1);
	sent_us = now_us();
	if (!r.parts)
		return;
	if (!read_all(a->fd, buf, a->unread))
		die("answer");
	got = read(a->fd, buf, r.answer_bytes);
	first_us = now_us();
	if (got <= 0)
		die("answer");
	a->unread = r.answer_bytes - (uint32_t)got;
	if (!early && !read_all(a->fd, buf, a->unread))
		die("answer");
	if (!early)
		a->unread = 0;
	printf("asked %u %zu %u %ld\n", port_of(a->fd, true), sizeof(r) + r.bytes, r.answer_bytes,
	       (long)(first_us - sent_us));
}

static int client(struct asking *a, char **argv)
{
	a->fd = open_socket(argv[0], argv[1], false);
	for (char **us = argv + 2; *us; us++)
		for (long i = 0; i < a->n; i++)
			ask(a, (uint32_t)atol(*us));
	if (a->unread && !read_all(a->fd, buf, a->unread))
		die("answer");
	close(a->fd);
	return 0;
}

int main(int argc, char **argv)
{
	struct asking a = {.mode = "ping", .n = 1, .request_bytes = 100, .answer_bytes = 1000};
	int opt;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 3 && !strcmp(argv[1], "server"))
		server(argv + 2);
	if (argc < 4 || strcmp(argv[1], "client"))
		return 2;
	argv++, argc--;
	while ((opt = getopt(argc, argv, "m:n:s:a:")) != -1) {
		switch (opt) {
		case 'm': a.mode = optarg; break;
		case 'n': a.n = atol(optarg); break;
		case 's': a.request_bytes = (uint32_t)atol(optarg); break;
		case 'a': a.answer_bytes = (uint32_t)atol(optarg); break;
		default: return 2;
		}
	}
	return client(&a, argv + optind);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writer: a client that writes as it is told, to a server that reads when it is told; for what TCP
 * waits for before it sends.
 *
 *   writer server [-w MS] [-r BYTES] ADDR PORT
 *     reads each connection to its end, one after the other, from MS after accept() on.
 *     -r SO_RCVBUF
 *   writer client [-n COUNT] [-s BYTES] [-w MS] [-N] [-C] [-p RATE] [-b BYTES] ADDR PORT
 *     COUNT writes of BYTES, and MS later the end; then it waits for the server's close.
 *     -N TCP_NODELAY; -C TCP_CORK until the end; -p SO_MAX_PACING_RATE, bytes/s;
 *     -b SO_SNDBUF
 *
 *   ready                      the server listens
 *   wrote LPORT WRITES BYTES   the client is done
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct opts {
	long writes, bytes, wait_ms, rcvbuf, sndbuf;
	unsigned long rate;
	int nodelay, cork;
};

static char buf[1 << 20];

static void die(const char *what)
{
	fprintf(stderr, "writer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	while (ms > 0 && nanosleep(&t, &t) && errno == EINTR)
		;
}

static void set(int fd, int level, int option, const void *value, socklen_t len)
{
	if (setsockopt(fd, level, option, value, len))
		die("setsockopt");
}

static void set_int(int fd, int level, int option, int value)
{
	set(fd, level, option, &value, sizeof(value));
}

static struct addrinfo *resolve(char **end)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV},
			*ai;

	if (getaddrinfo(end[0], end[1], &hints, &ai))
		die(end[0]);
	return ai;
}

static _Noreturn void server(const struct opts *o, char **end)
{
	struct addrinfo *ai = resolve(end);
	int fd = socket(ai->ai_family, SOCK_STREAM, 0);

	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (o->rcvbuf)
		set_int(fd, SOL_SOCKET, SO_RCVBUF, (int)o->rcvbuf);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, 16))
		die("listen");
	puts("ready");
	for (;;) {
		int conn = accept(fd, NULL, NULL);

		if (conn < 0)
			die("accept");
		sleep_ms(o->wait_ms);
		while (read(conn, buf, sizeof(buf)) > 0)
			;
		close(conn);
	}
}

static unsigned local_port(int fd)
{
	struct sockaddr_in6 sa; /* sin_port stands at the same place */
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len))
		die("getsockname");
	return ntohs(sa.sin6_port);
}

static void write_all(int fd, size_t n)
{
	ssize_t sent;

	for (; n; n -= (size_t)sent) {
		sent = write(fd, buf, n);
		if (sent < 0)
			die("write");
	}
}

static int client(const struct opts *o, char **end)
{
	struct addrinfo *ai = resolve(end);
	int fd = socket(ai->ai_family, SOCK_STREAM, 0);

	if (o->rate)
		set(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &o->rate, sizeof(o->rate));
	if (o->sndbuf)
		set_int(fd, SOL_SOCKET, SO_SNDBUF, (int)o->sndbuf);
	if (connect(fd, ai->ai_addr, ai->ai_addrlen))
		die("connect");
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, o->nodelay);
	set_int(fd, IPPROTO_TCP, TCP_CORK, o->cork);
	for (long i = 0; i < o->writes; i++)
		write_all(fd, (size_t)o->bytes);
	sleep_ms(o->wait_ms);
	if (o->cork)
		set_int(fd, IPPROTO_TCP, TCP_CORK, 0);
	printf("wrote %u %ld %ld\n", local_port(fd), o->writes, o->bytes);
	shutdown(fd, SHUT_WR);
	return read(fd, buf, 1) != 0;
}

int main(int argc, char **argv)
{
	struct opts o = {.writes = 1, .bytes = 1};
	const char *who = argc > 1 ? argv[1] : "";
	int opt;

	setvbuf(stdout, NULL, _IOLBF, 0);
	argv++, argc--;
	while ((opt = getopt(argc, argv, "n:s:w:r:b:p:NC")) != -1) {
		switch (opt) {
		case 'n': o.writes = atol(optarg); break;
		case 's': o.bytes = atol(optarg); break;
		case 'w': o.wait_ms = atol(optarg); break;
		case 'r': o.rcvbuf = atol(optarg); break;
		case 'b': o.sndbuf = atol(optarg); break;
		case 'p': o.rate = strtoul(optarg, NULL, 10); break;
		case 'N': o.nodelay = 1; break;
		case 'C': o.cork = 1; break;
		default: return 2;
		}
	}
	if (argc - optind != 2 || o.bytes > (long)sizeof(buf))
		return 2;
	if (!strcmp(who, "server"))
		server(&o, argv + optind);
	return strcmp(who, "client") ? 2 : client(&o, argv + optind);
}

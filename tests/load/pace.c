/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pace RATE SECONDS PORT: so many segments of a byte each second, for that time, over connections
 * to itself on 127.0.0.1: RATE is tried in batches of a millisecond, and less is sent where a
 * processor cannot. Prints "sent N SECONDS".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { N_PAIRS = 16, BURST = 16 };

static void die(const char *what)
{
	fprintf(stderr, "pace: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_pairs(int pairs[N_PAIRS][2], uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (listener < 0 || bind(listener, (struct sockaddr *)&to, sizeof(to)) ||
	    listen(listener, N_PAIRS))
		die("listen");
	for (int i = 0; i < N_PAIRS; i++) {
		pairs[i][0] = socket(AF_INET, SOCK_STREAM, 0);
		if (pairs[i][0] < 0 || connect(pairs[i][0], (struct sockaddr *)&to, sizeof(to)))
			die("connect");
		setsockopt(pairs[i][0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		pairs[i][1] = accept(listener, NULL, NULL);
		if (pairs[i][1] < 0)
			die("accept");
	}
}

/* Some segments on one connection, which its other end then reads. */
static long send_some(const int pair[2])
{
	char buf[BURST * 2];
	long n = 0;

	for (; n < BURST; n++) {
		if (send(pair[0], "x", 1, MSG_DONTWAIT) != 1)
			break;
	}
	while (recv(pair[1], buf, sizeof(buf), MSG_DONTWAIT) == (ssize_t)sizeof(buf))
		;
	return n;
}

int main(int argc, char **argv)
{
	double rate, seconds, start, now;
	int pairs[N_PAIRS][2];
	long n = 0;

	if (argc != 4) {
		fputs("usage: pace RATE SECONDS PORT\n", stderr);
		return 2;
	}
	rate = atof(argv[1]);
	seconds = atof(argv[2]);
	make_pairs(pairs, (uint16_t)atoi(argv[3]));
	start = now_s();
	for (unsigned turn = 0; (now = now_s()) < start + seconds;) {
		if ((double)n > (now - start) * rate)
			usleep(1000);
		else
			n += send_some(pairs[turn++ % N_PAIRS]);
	}
	printf("sent %ld %.3f\n", n, now_s() - start);
	return 0;
}

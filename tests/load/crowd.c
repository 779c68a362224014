/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * crowd PAIRS PORT: that many connections to itself on 127.0.0.1, both ends, idle, until a signal
 * ends it. Prints "ready" when they are there. Takes two descriptors each.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
	exit(1);
}

int main(int argc, char **argv)
{
	long n_pairs = argc == 3 ? atol(argv[1]) : 0;
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)(argc == 3 ? atoi(argv[2]) : 0)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct rlimit files;

	if (n_pairs <= 0 || !to.sin_port) {
		fputs("usage: crowd PAIRS PORT\n", stderr);
		return 2;
	}
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (listener < 0 || bind(listener, (struct sockaddr *)&to, sizeof(to)) ||
	    listen(listener, 16))
		die("listen");
	for (long i = 0; i < n_pairs; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) ||
		    accept(listener, NULL, NULL) < 0)
			die("a connection");
	}
	puts("ready");
	fflush(stdout);
	pause();
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * move: bytes from one thread to another over TCP, by one kind of call, and says what each call
 * returned in all.
 *
 *   move [-s BYTES] MODE ADDR
 *
 *   plain     write, read                       vec       writev, readv
 *   sendfile  sendfile, read                    splice    splice out of a pipe, splice into one
 *   peek      each byte looked at (MSG_PEEK) before it is read
 *   trunc     half of it thrown away (MSG_TRUNC)
 *   waitall   written in pieces with pauses, read by one call (MSG_WAITALL)
 *   zerocopy  MSG_ZEROCOPY, completions from the error queue
 *   mapped    getsockopt(TCP_ZEROCOPY_RECEIVE), recv for what cannot be mapped
 *   again     non-blocking at both ends, with poll
 *   oob       an urgent byte in the middle, read by MSG_OOB
 *   mptcp     as plain, over MPTCP
 *   uring     as plain, by io_uring
 *   slow      as plain; the sender pauses 400 ms, so the receiver sleeps
 *   full      as plain; the receiver pauses 400 ms, so the sender sleeps with its buffer full
 *   broken    the receiver closes, then the sender sends until it gets EPIPE
 *   reset     the sender closes with RST, so the receiver gets ECONNRESET
 *
 *   tx|rx PID TID LPORT RPORT BYTES AGAIN ERRORS SLOW_MS     an end: bytes moved by its calls,
 * calls that returned EAGAIN, or another error; time of the calls that took more than 100 ms
 *
 * Exit status: 0; 1 something failed; 77 this kernel cannot do that.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "uring.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum { PAUSE_MS = 400, SLOW_MS = 100, PIECES = 5 };

struct end {
	const char *name;
	int fd, listener;
	long bytes, again, errors, slow_us, all_us;
	long tid;
	unsigned lport, rport;
};

static const char *mode;
static long total = 3000017;
static char out_buf[1 << 16], in_buf[1 << 16];
static struct addrinfo *where;

static bool is(const char *m)
{
	return !strcmp(mode, m);
}

static void die(const char *what)
{
	fprintf(stderr, "move: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void cannot(const char *what)
{
	printf("SKIP: %s: %s\n", what, strerror(errno));
	exit(77);
}

static void pause_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

/* Account for a call that began at start and returned n. Returns n. */
static ssize_t took(struct end *e, int64_t start, ssize_t n)
{
	int err = errno;
	int64_t us = now_us() - start;

	e->all_us += us;
	if (us > SLOW_MS * 1000)
		e->slow_us += us;
	if (n > 0)
		e->bytes += n;
	else if (n < 0 && err == EAGAIN)
		e->again++;
	else if (n < 0)
		e->errors++;
	errno = err;
	return n;
}
#define CALL(e, call)                                                                              \
	__extension__({                                                                            \
		int64_t start_us = now_us();                                                       \
		took(e, start_us, call);                                                           \
	})

static void ready_for(int fd, short events)
{
	struct pollfd p = {fd, events, 0};

	poll(&p, 1, -1);
}

/* ---- sending ---- */

static size_t left(const struct end *e, size_t cap)
{
	size_t n = (size_t)(total - e->bytes);

	return n < cap ? n : cap;
}

static void must_move(ssize_t n, const char *what)
{
	if (n <= 0)
		die(what);
}

static void send_plain(struct end *e)
{
	while (e->bytes < total)
		must_move(CALL(e, write(e->fd, out_buf, left(e, sizeof(out_buf)))), "write");
}

static void send_vec(struct end *e)
{
	while (e->bytes < total) {
		size_t n = left(e, sizeof(out_buf));
		struct iovec v[] = {{out_buf, n / 3}, {out_buf, n - n / 3}};

		must_move(CALL(e, writev(e->fd, v, 2)), "writev");
	}
}

static void send_file(struct end *e)
{
	int fd = memfd_create("move", 0);

	if (fd < 0 || ftruncate(fd, total))
		die("memfd");
	while (e->bytes < total)
		must_move(CALL(e, sendfile(e->fd, fd, NULL, left(e, SIZE_MAX))), "sendfile");
	close(fd);
}

static void send_splice(struct end *e)
{
	int pipe_fd[2];

	if (pipe(pipe_fd))
		die("pipe");
	while (e->bytes < total) {
		ssize_t n = write(pipe_fd[1], out_buf, left(e, sizeof(out_buf)));

		while (n > 0) {
			ssize_t m = CALL(
				e, splice(pipe_fd[0], NULL, e->fd, NULL, (size_t)n, SPLICE_F_MORE));

			must_move(m, "splice");
			n -= m;
		}
	}
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

static void send_pieces(struct end *e)
{
	while (e->bytes < total) {
		pause_ms(30);
		for (long to = e->bytes + total / PIECES; e->bytes < to && e->bytes < total;)
			must_move(CALL(e, write(e->fd, out_buf, left(e, sizeof(out_buf)))),
				  "write");
	}
}

/* Read completions until that many sends are complete; they come merged. */
static void complete(int fd, uint32_t n_sent)
{
	for (uint32_t n = 0; n < n_sent;) {
		char control[256];
		struct msghdr m = {.msg_control = control, .msg_controllen = sizeof(control)};
		struct sock_extended_err *err;

		ready_for(fd, 0);
		if (recvmsg(fd, &m, MSG_ERRQUEUE) < 0)
			die("MSG_ERRQUEUE");
		err = (struct sock_extended_err *)CMSG_DATA(CMSG_FIRSTHDR(&m));
		n += err->ee_data - err->ee_info + 1;
	}
}

static void send_zerocopy(struct end *e)
{
	uint32_t n_sent = 0;
	int one = 1;

	if (setsockopt(e->fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		cannot("SO_ZEROCOPY");
	for (; e->bytes < total; n_sent++)
		must_move(CALL(e, send(e->fd, out_buf, left(e, sizeof(out_buf)), MSG_ZEROCOPY)),
			  "MSG_ZEROCOPY");
	complete(e->fd, n_sent);
}

static void send_again(struct end *e)
{
	pause_ms(30); /* the receiver finds nothing */
	while (e->bytes < total) {
		if (CALL(e, send(e->fd, out_buf, left(e, sizeof(out_buf)), MSG_DONTWAIT)) < 0)
			ready_for(e->fd, POLLOUT);
	}
}

static void send_oob(struct end *e)
{
	while (e->bytes < total / 2)
		must_move(CALL(e, write(e->fd, out_buf, 1000)), "write");
	must_move(CALL(e, send(e->fd, "!", 1, MSG_OOB)), "MSG_OOB");
	send_plain(e);
}

static void send_broken(struct end *e)
{
	char c;

	if (read(e->fd, &c, 1) != 0) /* wait for the receiver's FIN */
		die("read");
	while (CALL(e, send(e->fd, out_buf, 1000, MSG_NOSIGNAL)) > 0)
		pause_ms(20); /* let its RST come */
	if (errno != EPIPE)
		die("send");
}

static void send_reset(struct end *e)
{
	struct linger linger = {1, 0};

	must_move(CALL(e, write(e->fd, out_buf, 1000)), "write");
	pause_ms(50);
	setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* ---- receiving ---- */

static void recv_plain(struct end *e)
{
	while (CALL(e, read(e->fd, in_buf, sizeof(in_buf))) > 0)
		;
}

static void recv_vec(struct end *e)
{
	struct iovec v[] = {{in_buf, 1000}, {in_buf + 1000, sizeof(in_buf) - 1000}};

	while (CALL(e, readv(e->fd, v, 2)) > 0)
		;
}

static void recv_splice(struct end *e)
{
	int pipe_fd[2], null = open("/dev/null", O_WRONLY);
	ssize_t n;

	if (pipe(pipe_fd) || null < 0)
		die("pipe");
	while ((n = CALL(e, splice(e->fd, NULL, pipe_fd[1], NULL, sizeof(in_buf), 0))) > 0) {
		while (n > 0)
			n -= splice(pipe_fd[0], NULL, null, NULL, (size_t)n, 0);
	}
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	close(null);
}

static void recv_peek(struct end *e)
{
	ssize_t n;

	while ((n = recv(e->fd, in_buf, sizeof(in_buf), MSG_PEEK)) > 0)
		must_move(CALL(e, read(e->fd, in_buf, (size_t)n)), "read");
}

static void recv_trunc(struct end *e)
{
	while (e->bytes < total / 2)
		must_move(CALL(e, recv(e->fd, NULL, 5000, MSG_TRUNC)), "MSG_TRUNC");
	recv_plain(e);
}

static void recv_all(struct end *e)
{
	char *all = malloc((size_t)total);

	if (!all)
		die("malloc");
	must_move(CALL(e, recv(e->fd, all, (size_t)total, MSG_WAITALL)), "MSG_WAITALL");
	recv_plain(e);
	free(all);
}

static void recv_mapped(struct end *e)
{
	size_t room = 1 << 20;
	void *p = mmap(NULL, room, PROT_READ, MAP_SHARED, e->fd, 0);

	if (p == MAP_FAILED)
		cannot("mmap of a socket");
	must_move(CALL(e, read(e->fd, in_buf, 1)), "read");
	for (;;) {
		struct tcp_zerocopy_receive zc = {
			.address = (uintptr_t)p,
			.length = (uint32_t)room,
			.copybuf_address = (uintptr_t)in_buf,
			.copybuf_len = 4096,
		};
		socklen_t len = sizeof(zc);

		ready_for(e->fd, POLLIN);
		if (CALL(e, getsockopt(e->fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len)) < 0)
			break; /* EIO: the end */
		e->bytes += zc.length;
		if (len == sizeof(zc) && zc.copybuf_len > 0) /* before 5.11 there is none */
			e->bytes += zc.copybuf_len;
		if (zc.length)
			madvise(p, room, MADV_DONTNEED);
		if (zc.recv_skip_hint &&
		    CALL(e, recv(e->fd, in_buf,
				 zc.recv_skip_hint < sizeof(in_buf) ? zc.recv_skip_hint
								    : sizeof(in_buf),
				 0)) <= 0)
			break;
	}
	recv_plain(e);
	munmap(p, room);
}

static void recv_again(struct end *e)
{
	for (;;) {
		ssize_t n = CALL(e, recv(e->fd, in_buf, sizeof(in_buf), MSG_DONTWAIT));

		if (!n)
			return;
		if (n > 0)
			continue;
		ready_for(e->fd, POLLIN);
		pause_ms(30); /* the sender finds no room */
	}
}

/* The stream steps over the urgent byte; it counts as read all the same. */
static void recv_oob(struct end *e)
{
	bool taken = false;
	char c;

	while (CALL(e, read(e->fd, in_buf, 500)) > 0)
		taken = taken || CALL(e, recv(e->fd, &c, 1, MSG_OOB)) == 1;
}

static void recv_late(struct end *e)
{
	pause_ms(PAUSE_MS);
	recv_plain(e);
}

static void recv_nothing(struct end *e)
{
}

static void send_late(struct end *e)
{
	pause_ms(PAUSE_MS);
	send_plain(e);
}

/* ---- io_uring, one call after the other ---- */

static void send_uring(struct end *e)
{
	struct uring u;

	if (uring_open(&u))
		cannot("io_uring");
	while (e->bytes < total)
		must_move(CALL(e, uring_call(&u, URING_SEND, e->fd, out_buf,
					     left(e, sizeof(out_buf)))),
			  "IORING_OP_SEND");
	close(u.fd);
}

static void recv_uring(struct end *e)
{
	struct uring u;

	if (uring_open(&u))
		cannot("io_uring");
	while (CALL(e, uring_call(&u, URING_RECV, e->fd, in_buf, sizeof(in_buf))) > 0)
		;
	close(u.fd);
}

static const struct kind {
	const char *mode;
	void (*send)(struct end *);
	void (*recv)(struct end *);
} kinds[] = {
	{"plain", send_plain, recv_plain},   {"vec", send_vec, recv_vec},
	{"sendfile", send_file, recv_plain}, {"splice", send_splice, recv_splice},
	{"peek", send_plain, recv_peek},     {"trunc", send_plain, recv_trunc},
	{"waitall", send_pieces, recv_all},  {"zerocopy", send_zerocopy, recv_plain},
	{"mapped", send_plain, recv_mapped}, {"again", send_again, recv_again},
	{"oob", send_oob, recv_oob},	     {"mptcp", send_plain, recv_plain},
	{"uring", send_uring, recv_uring},   {"slow", send_late, recv_plain},
	{"full", send_plain, recv_late},     {"broken", send_broken, recv_nothing},
	{"reset", send_reset, recv_plain},
};
static const struct kind *kind;

/* ---- the two threads ---- */

static unsigned port_of(const struct sockaddr_storage *sa)
{
	return ntohs(sa->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)sa)->sin6_port
					       : ((const struct sockaddr_in *)sa)->sin_port);
}

static void note_ports(struct end *e)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(e->fd, (struct sockaddr *)&sa, &len))
		die("getsockname");
	e->lport = port_of(&sa);
	len = sizeof(sa);
	if (getpeername(e->fd, (struct sockaddr *)&sa, &len))
		die("getpeername");
	e->rport = port_of(&sa);
}

static int new_socket(void)
{
	int fd = socket(where->ai_family, SOCK_STREAM, is("mptcp") ? IPPROTO_MPTCP : 0);
	int bytes = 1 << 16;

	if (fd < 0)
		cannot("socket");
	if (is("again") || is("full")) { /* set before the connection begins */
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	}
	return fd;
}

static void *run_rx(void *arg)
{
	struct end *e = arg;

	pthread_setname_np(pthread_self(), e->name);
	e->tid = syscall(SYS_gettid);
	e->fd = accept(e->listener, NULL, NULL);
	if (e->fd < 0)
		die("accept");
	note_ports(e);
	kind->recv(e);
	close(e->fd);
	return NULL;
}

static void *run_tx(void *arg)
{
	struct end *e = arg;

	pthread_setname_np(pthread_self(), e->name);
	e->tid = syscall(SYS_gettid);
	note_ports(e);
	kind->send(e);
	close(e->fd);
	return NULL;
}

static void report(const struct end *e)
{
	printf("%s %d %ld %u %u %ld %ld %ld %ld %ld\n", e->name + 3, getpid(), e->tid, e->lport,
	       e->rport, e->bytes, e->again, e->errors, e->slow_us / 1000, e->all_us / 1000);
}

static void move(void)
{
	struct end tx = {.name = "mv-tx"}, rx = {.name = "mv-rx"};
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	pthread_t threads[2];

	rx.listener = new_socket();
	if (bind(rx.listener, where->ai_addr, where->ai_addrlen) || listen(rx.listener, 1) ||
	    getsockname(rx.listener, (struct sockaddr *)&sa, &len))
		die("listen");
	if (pthread_create(&threads[0], NULL, run_rx, &rx))
		die("thread");
	tx.fd = new_socket();
	if (connect(tx.fd, (struct sockaddr *)&sa, len))
		die("connect");
	if (pthread_create(&threads[1], NULL, run_tx, &tx))
		die("thread");
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	report(&tx);
	report(&rx);
}

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};

	if (argc > 2 && !strcmp(argv[1], "-s")) {
		total = atol(argv[2]);
		argv += 2;
		argc -= 2;
	}
	if (argc != 3 || total < 1 || getaddrinfo(argv[2], "0", &hints, &where)) {
		fputs("usage: move [-s BYTES] MODE ADDR      (see move.c)\n", stderr);
		return 2;
	}
	mode = argv[1];
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (is(kinds[i].mode))
			kind = &kinds[i];
	if (!kind) {
		fprintf(stderr, "move: no mode '%s'\n", mode);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	move();
	freeaddrinfo(where);
	return 0;
}

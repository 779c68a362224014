/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * load: makes TCP traffic for tests, and says on standard output what it did.
 *
 *   load server [-m MODE] [-n CONNS] [-s BYTES] [-a BYTES] [-b BACKLOG] [-w MS] [-A MS] [-p PARTS]
 *               [-fN] ADDR PORT
 *     echo   answer every request until the client closes, then close (default)
 *     first  answer one request and close at once: the server closes first
 *     reset  answer one request and close with RST (SO_LINGER 0)
 *     http   answer every GET with 200 and BYTES of body
 *     never  listen, and never accept
 *   load client [-m MODE] [-n CONNS] [-c COUNT] [-s BYTES] [-a BYTES] [-w MS] [-p PARTS] [-fNv]
 *               ADDR PORT
 *     ping   one connection after the other: COUNT requests and answers, then close (default)
 *     first  the same, then wait until the server has closed, then close
 *     reset  the same, then close with RST
 *     http   as ping, a request being a GET; the answer's length is what its header says
 *     hold   open CONNS connections at once without waiting for any, look after MS, close
 *
 * -s and -a are the sizes of request and answer, 1 each unless told; -w waits so many ms, on the
 * server before each read, on the client after the last answer. -f has a process of its own for
 * each connection, of the client all at once; -n ends the server after so many connections; -v
 * prints each exchange. -A waits so many ms before each accept. -p writes each request and answer
 * in so many parts; -N leaves Nagle's algorithm on, which sends no second part before the first's
 * ACK.
 *
 *   ready                                         the server listens
 *   accept RADDR RPORT                            the server took a connection
 *   connect LADDR LPORT RADDR RPORT RESULT US     RESULT: ok, pending, or the name of the errno
 *   exchange LPORT US                             a request and its answer
 *   info LPORT SRTT MDEV MINRTT ACKED RECEIVED RETRANS     TCP_INFO before the client closes
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_HELD = 1024 };

struct opts {
	const char *mode;
	long n_conns, n_exchanges, request_bytes, answer_bytes, backlog, wait_ms, accept_ms, parts;
	bool fork, verbose, nagle;
};

static char buf[1 << 16];

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	while (ms > 0 && nanosleep(&t, &t) && errno == EINTR)
		;
}

static struct addrinfo *resolve(const char *addr, const char *port)
{
	struct addrinfo hints =
				{
					.ai_socktype = SOCK_STREAM,
					.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				},
			*ret;
	int rc = getaddrinfo(addr, port, &hints, &ret);

	if (rc) {
		fprintf(stderr, "load: %s port %s: %s\n", addr, port, gai_strerror(rc));
		exit(2);
	}
	return ret;
}

static int name_end(const struct sockaddr_storage *sa, socklen_t len, char *addr, char *port)
{
	return getnameinfo((const struct sockaddr *)sa, len, addr, NI_MAXHOST, port, NI_MAXSERV,
			   NI_NUMERICHOST | NI_NUMERICSERV);
}

static uint16_t local_port(int fd)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);

	getsockname(fd, (struct sockaddr *)&sa, &len);
	return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
					      : ((struct sockaddr_in *)&sa)->sin_port);
}

/* ---- transfer ---- */

/* Read exactly n bytes: true; false at end of file or on an error. */
static bool read_bytes(int fd, long n)
{
	while (n > 0) {
		ssize_t got = read(fd, buf, n < (long)sizeof(buf) ? (size_t)n : sizeof(buf));

		if (got <= 0)
			return false;
		n -= got;
	}
	return true;
}

static bool write_bytes(int fd, long n)
{
	static const char zeros[1 << 16];

	while (n > 0) {
		ssize_t put = write(fd, zeros, n < (long)sizeof(zeros) ? (size_t)n : sizeof(zeros));

		if (put <= 0)
			return false;
		n -= put;
	}
	return true;
}

static bool write_message(int fd, long n, const struct opts *o)
{
	for (long part = o->parts; part > 0; part--) {
		if (!write_bytes(fd, n / part))
			return false;
		n -= n / part;
	}
	return true;
}

static void push_at_once(int fd, const struct opts *o)
{
	int one = 1;

	if (!o->nagle)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void reset_on_close(int fd)
{
	struct linger linger = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* ---- HTTP, as far as a test needs it ---- */

/* Read one HTTP request, which must come alone and be small. */
static bool read_request(int fd)
{
	size_t len = 0;

	while (len < sizeof(buf) - 1) {
		ssize_t got = read(fd, buf + len, sizeof(buf) - 1 - len);

		if (got <= 0)
			return false;
		len += (size_t)got;
		buf[len] = 0;
		if (strstr(buf, "\r\n\r\n"))
			return true;
	}
	return false;
}

/* Read one HTTP answer, as answer_http writes them. */
static bool read_answer(int fd)
{
	size_t len = 0;
	long body;
	char *end;

	while (len < sizeof(buf) - 1) {
		ssize_t got = read(fd, buf + len, sizeof(buf) - 1 - len);

		if (got <= 0)
			return false;
		len += (size_t)got;
		buf[len] = 0;
		end = strstr(buf, "\r\n\r\n");
		if (!end)
			continue;
		if (sscanf(buf, "HTTP/1.1 200 OK\r\nContent-Length: %ld", &body) != 1)
			return false;
		return read_bytes(fd, body - (long)(buf + len - (end + 4)));
	}
	return false;
}

static bool answer_http(int fd, long bytes)
{
	char head[128];
	int len = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\n\r\n",
			   bytes);

	return send(fd, head, (size_t)len, MSG_MORE) == len && write_bytes(fd, bytes);
}

/* ---- server ---- */

static void serve(int fd, const struct opts *o)
{
	bool http = !strcmp(o->mode, "http"), once = *o->mode == 'f' || *o->mode == 'r';

	do {
		sleep_ms(o->wait_ms);
		if (!(http ? read_request(fd) : read_bytes(fd, o->request_bytes)))
			break;
		if (!(http ? answer_http(fd, o->answer_bytes)
			   : write_message(fd, o->answer_bytes, o)))
			break;
	} while (!once);
	if (*o->mode == 'r') {
		sleep_ms(50); /* let the answer arrive before the RST */
		reset_on_close(fd);
	}
}

static void accept_one(int listener, const struct opts *o)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char addr[NI_MAXHOST], port[NI_MAXSERV];
	static bool other; /* of the two system calls, in turn */
	int fd = other ? accept4(listener, (struct sockaddr *)&sa, &len, 0)
		       : accept(listener, (struct sockaddr *)&sa, &len);

	other = !other;
	if (fd < 0)
		die("accept");
	push_at_once(fd, o);
	if (o->verbose && !name_end(&sa, len, addr, port))
		printf("accept %s %s\n", addr, port);
	if (!o->fork) {
		serve(fd, o);
	} else if (!fork()) {
		close(listener);
		serve(fd, o);
		close(fd);
		_exit(0);
	}
	close(fd);
}

static int run_server(const struct addrinfo *ai, const struct opts *o)
{
	int fd = socket(ai->ai_family, SOCK_STREAM, 0), one = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, (int)o->backlog))
		die("bind, listen");
	puts("ready");
	while (!strcmp(o->mode, "never"))
		pause();
	for (long i = 0; !o->n_conns || i < o->n_conns; i++) {
		sleep_ms(o->accept_ms);
		accept_one(fd, o);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	close(fd);
	while (wait(NULL) > 0)
		;
	return 0;
}

/* ---- client ---- */

static void print_connect(int fd, const struct addrinfo *ai, const char *result, int64_t us)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);
	char laddr[NI_MAXHOST] = "?", lport[NI_MAXSERV] = "0", raddr[NI_MAXHOST] = "?",
	     rport[NI_MAXSERV] = "0";

	if (!getsockname(fd, (struct sockaddr *)&sa, &len))
		name_end(&sa, len, laddr, lport);
	memcpy(&sa, ai->ai_addr, ai->ai_addrlen);
	name_end(&sa, ai->ai_addrlen, raddr, rport);
	printf("connect %s %s %s %s %s %lld\n", laddr, lport, raddr, rport, result, (long long)us);
}

static void print_info(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	printf("info %u %u %u %u %llu %llu %u\n", local_port(fd), info.tcpi_rtt, info.tcpi_rttvar,
	       info.tcpi_min_rtt, (unsigned long long)info.tcpi_bytes_acked,
	       (unsigned long long)info.tcpi_bytes_received, info.tcpi_total_retrans);
}

static bool exchange(int fd, const struct opts *o)
{
	static const char get[] = "GET / HTTP/1.1\r\nHost: load\r\n\r\n";
	int64_t start = now_us();

	if (!strcmp(o->mode, "http")) {
		if (write(fd, get, sizeof(get) - 1) != sizeof(get) - 1 || !read_answer(fd))
			return false;
	} else if (!write_message(fd, o->request_bytes, o) || !read_bytes(fd, o->answer_bytes)) {
		return false;
	}
	if (o->verbose)
		printf("exchange %u %lld\n", local_port(fd), (long long)(now_us() - start));
	return true;
}

static void run_connection(const struct addrinfo *ai, const struct opts *o)
{
	int fd = socket(ai->ai_family, SOCK_STREAM, 0), rc;
	int64_t start, end;

	if (fd < 0)
		die("socket");
	push_at_once(fd, o);
	start = now_us();
	rc = connect(fd, ai->ai_addr, ai->ai_addrlen);
	end = now_us();
	print_connect(fd, ai, rc ? strerrorname_np(errno) : "ok", end - start);
	if (!rc) {
		for (long i = 0; i < o->n_exchanges && exchange(fd, o); i++)
			;
		sleep_ms(o->wait_ms);
		if (!strcmp(o->mode, "first"))
			read_bytes(fd, 1);
		else if (!strcmp(o->mode, "reset"))
			reset_on_close(fd);
		print_info(fd);
	}
	close(fd);
}

/* All connections at once; what has become of each is looked at only after wait_ms. */
static void run_held(const struct addrinfo *ai, const struct opts *o)
{
	static int fds[MAX_HELD];
	int64_t start = now_us();

	for (long i = 0; i < o->n_conns; i++) {
		fds[i] = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (fds[i] < 0)
			die("socket");
		if (connect(fds[i], ai->ai_addr, ai->ai_addrlen) && errno != EINPROGRESS)
			fprintf(stderr, "load: connect: %s\n", strerror(errno));
	}
	sleep_ms(o->wait_ms);
	for (long i = 0; i < o->n_conns; i++) {
		struct pollfd p = {fds[i], POLLOUT, 0};
		const char *result = "pending";
		int err = 0;
		socklen_t len = sizeof(err);

		if (poll(&p, 1, 0) > 0) {
			getsockopt(fds[i], SOL_SOCKET, SO_ERROR, &err, &len);
			result = err ? strerrorname_np(err) : "ok";
		}
		print_connect(fds[i], ai, result, now_us() - start);
	}
	for (long i = 0; i < o->n_conns; i++)
		close(fds[i]);
}

static int run_client(const struct addrinfo *ai, const struct opts *o)
{
	if (!strcmp(o->mode, "hold")) {
		run_held(ai, o);
		return 0;
	}
	for (long i = 0; i < o->n_conns; i++) {
		if (o->fork && fork())
			continue;
		run_connection(ai, o);
		if (o->fork)
			_exit(0);
	}
	while (o->fork && wait(NULL) > 0)
		;
	return 0;
}

/* ---- command line ---- */

static int usage(void)
{
	fputs("usage: load server|client [-m MODE] [-n CONNS] [-c COUNT] [-s BYTES] [-a BYTES]\n"
	      "            [-b BACKLOG] [-w MS] [-A MS] [-p PARTS] [-f] [-N] [-v] ADDR PORT\n"
	      "       (see load.c)\n",
	      stderr);
	return 2;
}

static bool set_option(struct opts *o, int c)
{
	switch (c) {
	case 'm': o->mode = optarg; return true;
	case 'n': o->n_conns = atol(optarg); return true;
	case 'c': o->n_exchanges = atol(optarg); return true;
	case 's': o->request_bytes = atol(optarg); return true;
	case 'a': o->answer_bytes = atol(optarg); return true;
	case 'b': o->backlog = atol(optarg); return true;
	case 'w': o->wait_ms = atol(optarg); return true;
	case 'A': o->accept_ms = atol(optarg); return true;
	case 'p': o->parts = atol(optarg); return true;
	case 'N': o->nagle = true; return true;
	case 'f': o->fork = true; return true;
	case 'v': o->verbose = true; return true;
	default: return false;
	}
}

static bool known_mode(bool server, const char *mode)
{
	static const char *const modes[2][5] = {{"ping", "first", "reset", "http", "hold"},
						{"echo", "first", "reset", "http", "never"}};

	for (int i = 0; i < 5; i++)
		if (modes[server][i] && !strcmp(modes[server][i], mode))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	bool server = argc > 1 && !strcmp(argv[1], "server");
	struct opts o = {
		.mode = server ? "echo" : "ping",
		.n_conns = !server,
		.n_exchanges = 1,
		.request_bytes = 1,
		.answer_bytes = 1,
		.backlog = 128,
		.parts = 1,
	};
	struct addrinfo *ai;
	int c, rc;

	if (argc < 2 || (!server && strcmp(argv[1], "client")))
		return usage();
	for (argv++, argc--; (c = getopt(argc, argv, "m:n:c:s:a:b:w:A:p:Nfv")) != -1;)
		if (!set_option(&o, c))
			return usage();
	if (argc - optind != 2 || !known_mode(server, o.mode) || o.n_conns > MAX_HELD * 1024 ||
	    (!strcmp(o.mode, "hold") && o.n_conns > MAX_HELD))
		return usage();
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	ai = resolve(argv[optind], argv[optind + 1]);
	rc = server ? run_server(ai, &o) : run_client(ai, &o);
	freeaddrinfo(ai);
	return rc;
}

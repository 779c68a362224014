// SPDX-License-Identifier: GPL-2.0-or-later
/* What is made of events, where no scenario shows it: traces are written here. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conn.h"
#include "evidence.h"
#include "streams.h"
#include "suite.h"
#include "writer.h"

#define S 1000000000ull
#define MS 1000000ull
#define START (5000 * S)
enum { L_ECONNRESET = 104, L_ECONNREFUSED = 111 };
enum { REASON_FIREWALL = 7, REASON_SEQUENCE = 8 };
enum { CA_LOSS = 4 };

static struct tape_writer *w;
static int fd;

/* ---- events ---- */

static const uint8_t v4_addr[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
static const uint8_t any_addr[16] = {[10] = 0xff, [11] = 0xff};
static const uint8_t v6_addr[16] = {0xfd, [15] = 1};

static struct ev_sock sock_of(uint64_t cookie, uint16_t lport, uint16_t rport)
{
	struct ev_sock s = {.cookie = cookie, .netns = 1, .family = 2, .protocol = 6};

	s.flow.lport = lport;
	s.flow.rport = rport;
	memcpy(&s.flow.laddr, v4_addr, 16);
	memcpy(&s.flow.raddr, v4_addr, 16);
	return s;
}

static void add(const struct ev_head *e)
{
	ck_assert_int_eq(tape_writer_event(w, e, NULL), 0);
}

static void state(uint64_t at, struct ev_sock s, unsigned from, unsigned to, unsigned err)
{
	struct ev_tcp_state e = {.head = {START + at, 0, EV_tcp_state, sizeof(e)},
				 .sock = s,
				 .old_state = (uint8_t)from,
				 .new_state = (uint8_t)to,
				 .err = (uint16_t)err};

	if (!err && from != TCP_S_SYN_SENT) { /* a thread did it */
		e.task.pid = e.task.tid = 7;
		memcpy(e.task.comm.s, "test", 4);
	}
	add(&e.head);
}

static void open_by_us(uint64_t at, struct ev_sock s)
{
	state(at, s, TCP_S_CLOSE, TCP_S_SYN_SENT, 0);
	state(at + MS, s, TCP_S_SYN_SENT, TCP_S_ESTABLISHED, 0);
}

static void open_by_them(uint64_t at, struct ev_sock s)
{
	state(at, s, TCP_S_LISTEN, TCP_S_SYN_RECV, 0);
	state(at + 1000, s, TCP_S_SYN_RECV, TCP_S_ESTABLISHED, 0);
}

static void destroy(uint64_t at, struct ev_sock s, unsigned segs)
{
	struct ev_tcp_destroy e = {.head = {START + at, 0, EV_tcp_destroy, sizeof(e)},
				   .sock = s,
				   .data_segs_out = segs};

	add(&e.head);
}

static void resend(uint64_t at, struct ev_sock s, unsigned in, uint32_t seq, uint32_t len)
{
	struct ev_retransmit e = {.head = {START + at, 0, EV_retransmit, sizeof(e)},
				  .sock = s,
				  .seq = seq,
				  .end_seq = seq + len,
				  .snd_una = seq,
				  .rto_us = 200000,
				  .srtt_us = 1000,
				  .segs = 1,
				  .state = (uint8_t)in,
				  .ca_state = in == TCP_S_ESTABLISHED ? CA_LOSS : 0};

	add(&e.head);
}

static void drop(uint64_t at, struct ev_sock s, unsigned payload)
{
	struct ev_drop e = {.head = {START + at, 0, EV_drop, sizeof(e)},
			    .flow = s.flow,
			    .reason = REASON_FIREWALL,
			    .payload = payload,
			    .headers = 3};

	add(&e.head);
}

/* For its sequence number, n times. */
static void refuse(uint64_t at, struct ev_sock s, uint32_t seq, unsigned n)
{
	struct ev_drop e = {.head = {START + at, 0, EV_drop, sizeof(e)},
			    .flow = s.flow,
			    .reason = REASON_SEQUENCE,
			    .seq = seq,
			    .headers = 3};

	for (unsigned i = 0; i < n; i++, e.head.ts_ns++)
		add(&e.head);
}

static void ack(uint64_t at, struct ev_sock s, uint32_t una, uint32_t nxt, int32_t rtt_us,
		uint32_t min_us)
{
	struct ev_rtt e = {.head = {START + at, 0, EV_rtt, sizeof(e)},
			   .sock = s,
			   .rtt_us = rtt_us,
			   .srtt_us = (uint32_t)(rtt_us > 0 ? rtt_us : 1000),
			   .min_rtt_us = min_us,
			   .cwnd = 100,
			   .snd_una = una,
			   .snd_nxt = nxt,
			   .ack_seq = una,
			   .source = 1};

	add(&e.head);
}

/* ---- a trace ---- */

#define REASONS "name\tdrop_reason\t7\tNETFILTER_DROP\n"
#define REASONS_6_1 REASONS "name\tdrop_reason\t8\tTCP_INVALID_SEQUENCE\n"

static void begin_on(const char *reasons)
{
	struct tape_writer_opts opts = {
		.writer = "test 1", .n_cpus = 1, .start_ns = START, .names = reasons};
	static const char *const events[] = {"tcp_state",  "tcp_accept", "tcp_destroy",	 "rtt",
					     "retransmit", "drop",	 "listen_queue", "io_send"};
	struct tape_meta meta = {"groups", "conn,rtt,retrans,drop,listen,counters,reset,io"};
	char key[48];

	fd = memfd_create("trace", 0);
	ck_assert_int_eq(tape_writer_open(&w, fd, &opts, NULL), 0);
	ck_assert_int_eq(tape_writer_meta(w, &meta, 1, NULL), 0);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		snprintf(key, sizeof(key), "probe.%s", events[i]);
		meta = (struct tape_meta){key, "tp_btf:test"};
		ck_assert_int_eq(tape_writer_meta(w, &meta, 1, NULL), 0);
	}
}

static void begin(void)
{
	begin_on(REASONS);
}

static struct evidence end(void)
{
	static const struct input_opts none;
	struct out_opts out_opts = {0};
	struct out *out = out_new(&out_opts);
	struct fail fail = {0};
	struct cmd_run run = {.out = out, .fail = &fail};
	struct evidence e;
	char path[32];

	ck_assert_int_eq(tape_writer_close(w, START + 100 * S, NULL), 0);
	tape_writer_free(w);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	lseek(fd, 0, SEEK_SET);
	ck_assert_msg(!input_open(&run.in, path, &none, out, &fail), "%s", fail.text);
	ck_assert_msg(!evidence_read(&e, &run), "%s", fail.text);
	input_close(run.in);
	out_free(out);
	close(fd);
	return e;
}

/* ---- tests ---- */

/* A name has two addresses: nobody listens at the IPv6 one, the other one answers. */
START_TEST(test_evidence__the_other_family_answers)
{
	struct evidence e;

	begin();
	for (unsigned i = 0; i < 20; i++) {
		struct ev_sock four = sock_of(2 * i + 1, (uint16_t)(4000 + i), 80), six = four;

		six.cookie++;
		memcpy(&six.flow.laddr, v6_addr, 16);
		memcpy(&six.flow.raddr, v6_addr, 16);
		state(i * S, six, TCP_S_CLOSE, TCP_S_SYN_SENT, 0);
		state(i * S + MS, six, TCP_S_SYN_SENT, TCP_S_CLOSE, L_ECONNREFUSED);
		if (i < 15) /* the last five try no more */
			open_by_us(i * S + 2 * MS, four);
	}
	e = end();
	ck_assert_uint_eq(e.n_connects, 35);
	ck_assert_uint_eq(e.n_connected, 15);
	ck_assert_uint_eq(e.tolls[TROUBLE_REFUSED].n, 20);
	ck_assert_uint_eq(e.n_fallbacks[TROUBLE_REFUSED], 15);
}
END_TEST

/* The other port, the same family, or a second later: another matter. */
START_TEST(test_evidence__another_connect_does_not_excuse)
{
	struct ev_sock six = sock_of(1, 4000, 80);
	struct evidence e;

	memcpy(&six.flow.laddr, v6_addr, 16);
	memcpy(&six.flow.raddr, v6_addr, 16);
	begin();
	state(0, six, TCP_S_CLOSE, TCP_S_SYN_SENT, 0);
	state(MS, six, TCP_S_SYN_SENT, TCP_S_CLOSE, L_ECONNREFUSED);
	open_by_us(10 * MS, sock_of(2, 4001, 81));
	six.cookie = 3;
	open_by_us(20 * MS, six);
	open_by_us(1100 * MS, sock_of(4, 4002, 80));
	e = end();
	ck_assert_uint_eq(e.tolls[TROUBLE_REFUSED].n, 1);
	ck_assert_uint_eq(e.n_fallbacks[TROUBLE_REFUSED], 0);
}
END_TEST

/* wrk closes with answers unread: its own RST, which its server gets. */
START_TEST(test_evidence__closing_resets)
{
	struct evidence e;

	begin();
	for (unsigned i = 0; i < 10; i++) {
		struct ev_sock c = sock_of(2 * i + 1, (uint16_t)(4000 + i), 80);
		struct ev_sock s = sock_of(2 * i + 2, 80, (uint16_t)(4000 + i));

		open_by_us(i * MS, c);
		open_by_them(i * MS + 10000, s);
		state(S + i * MS, c, TCP_S_ESTABLISHED, TCP_S_CLOSE, 0);
		state(S + i * MS + 1000, s, TCP_S_ESTABLISHED, TCP_S_CLOSE, L_ECONNRESET);
	}
	e = end();
	ck_assert_uint_eq(e.tolls[TROUBLE_RESET].n, 0);
	ck_assert_uint_eq(e.closing_resets, 20);
}
END_TEST

/* The server does, and its client wanted more. Both ends are there: one connection each. */
START_TEST(test_evidence__resets_by_the_server)
{
	struct evidence e;

	begin();
	for (unsigned i = 0; i < 10; i++) {
		struct ev_sock c = sock_of(2 * i + 1, (uint16_t)(4000 + i), 80);
		struct ev_sock s = sock_of(2 * i + 2, 80, (uint16_t)(4000 + i));

		open_by_us(i * MS, c);
		open_by_them(i * MS + 10000, s);
		state(S + i * MS, s, TCP_S_ESTABLISHED, TCP_S_CLOSE, 0);
		state(S + i * MS + 1000, c, TCP_S_ESTABLISHED, TCP_S_CLOSE, L_ECONNRESET);
	}
	e = end();
	ck_assert_uint_eq(e.tolls[TROUBLE_RESET].n_conns, 10);
	ck_assert_uint_eq(e.tolls[TROUBLE_RESET].n_failed, 10);
}
END_TEST

START_TEST(test_evidence__resets_of_clients_elsewhere)
{
	struct evidence e;

	begin();
	for (unsigned i = 0; i < 10; i++) {
		struct ev_sock s = sock_of(i + 1, 80, (uint16_t)(4000 + i));

		open_by_them(i * MS, s);
		state(S + i * MS, s, TCP_S_ESTABLISHED, TCP_S_CLOSE, 0);
	}
	e = end();
	ck_assert_uint_eq(e.tolls[TROUBLE_RESET].n_failed, 10);
}
END_TEST

/* Two segments were dropped here: of three that were sent again, one was lost elsewhere. */
START_TEST(test_evidence__a_drop_explains_its_own_segment)
{
	struct ev_sock s = sock_of(1, 4000, 80);
	struct evidence e;

	begin();
	open_by_us(0, s);
	drop(10 * MS, s, 2 * 1448);
	resend(300 * MS, s, TCP_S_ESTABLISHED, 1000, 1448);
	resend(301 * MS, s, TCP_S_ESTABLISHED, 2448, 1448);
	resend(900 * MS, s, TCP_S_ESTABLISHED, 9000, 100);
	destroy(S, s, 50);
	e = end();
	ck_assert_uint_eq(e.tolls[TROUBLE_FIREWALL].n, 2);
	ck_assert_uint_eq(e.tolls[TROUBLE_LOSS].n, 1);
	ck_assert_uint_eq(e.tolls[TROUBLE_LOSS].cost_ns, 200 * MS); /* the timeout */
	ck_assert_uint_eq(e.n_data_segs, 50);
	ck_assert_uint_eq(e.drops[DROP_FIREWALL].n, 1);
}
END_TEST

/* Linux 6.1 calls wrong what is old, too: keepalives, and what came twice. */
START_TEST(test_evidence__old_is_not_wrong)
{
	struct ev_sock s = sock_of(1, 4000, 80), back = sock_of(2, 80, 4000);
	struct evidence e;

	begin_on(REASONS_6_1);
	open_by_us(0, s);
	refuse(S, s, 0xfffffff0, 20);
	refuse(2 * S, s, 0x10, 20); /* the numbers went round */
	refuse(3 * S, back, 0x80000000, 20);
	e = end();
	ck_assert_uint_eq(e.drops[DROP_SEQUENCE].n, 0);

	begin_on(REASONS_6_1);
	open_by_us(0, s);
	refuse(S, s, 1000, 20);
	refuse(2 * S, s, 1000 + (1u << 31), 5); /* no window is so large */
	e = end();
	ck_assert_uint_eq(e.drops[DROP_SEQUENCE].n, 5);

	begin_on(REASONS_6_1 "name\tdrop_reason\t9\tTCP_OLD_SEQUENCE\n");
	open_by_us(0, s);
	refuse(S, s, 1000, 20);
	e = end();
	ck_assert_uint_eq(e.drops[DROP_SEQUENCE].n, 20);
}
END_TEST

/* The other end of what was lost is here, or elsewhere. */
START_TEST(test_evidence__loss_within_this_host)
{
	struct ev_sock s = sock_of(1, 4000, 80), other = sock_of(2, 80, 4000);
	struct ev_sock away = sock_of(3, 4001, 81);
	struct evidence e;

	begin_on(NULL);
	open_by_us(0, s);
	open_by_them(1, other);
	open_by_us(5 * MS, away);
	resend(300 * MS, s, TCP_S_ESTABLISHED, 1000, 1448);
	resend(400 * MS, away, TCP_S_ESTABLISHED, 1000, 1448);
	e = end();
	ck_assert_uint_eq(e.tolls[TROUBLE_LOSS].n_conns, 2);
	ck_assert_uint_eq(e.n_lossy_here, 1);
	ck_assert(!e.tells_reasons);
}
END_TEST

/* Nothing answers: lost, unless the trace has a listener there whose queue is full. */
static struct evidence stuck(bool full)
{
	struct ev_listen_queue q = {.head = {START + S, 0, EV_listen_queue, sizeof(q)},
				    .sock = sock_of(9, 80, 0),
				    .max_backlog = 5,
				    .backlog = 6};
	struct ev_sock s = sock_of(1, 4000, 80);

	begin();
	memcpy(&q.sock.flow.laddr, any_addr, 16);
	state(0, s, TCP_S_CLOSE, TCP_S_SYN_SENT, 0);
	if (full) {
		add(&q.head);
		q.head.ts_ns += S;
		q.drops = 2;
		add(&q.head);
	}
	resend(2 * S + 1, s, TCP_S_SYN_SENT, 1, 0);
	return end();
}

START_TEST(test_evidence__stuck_connects)
{
	struct evidence e = stuck(false);

	ck_assert_uint_eq(e.tolls[TROUBLE_SYN].n_failed, 1);
	ck_assert_uint_eq(e.tolls[TROUBLE_SYN].cost_ns, 100 * S); /* to the end of the trace */
	ck_assert_uint_eq(e.tolls[TROUBLE_OVERFLOW].n, 0);
	e = stuck(true);
	ck_assert_uint_eq(e.tolls[TROUBLE_SYN].n, 0);
	ck_assert_uint_eq(e.tolls[TROUBLE_OVERFLOW].n_failed, 1);
	ck_assert_uint_eq(e.listener.max_backlog, 5);
}
END_TEST

/* A SYN went out twice. That was the path, if it loses data too. */
static struct evidence slow_connect(bool loses)
{
	struct ev_sock s = sock_of(1, 4000, 80);

	begin();
	state(0, s, TCP_S_CLOSE, TCP_S_SYN_SENT, 0);
	resend(S, s, TCP_S_SYN_SENT, 1, 0);
	state(S + 10 * MS, s, TCP_S_SYN_SENT, TCP_S_ESTABLISHED, 0);
	if (loses)
		resend(3 * S, s, TCP_S_ESTABLISHED, 1000, 100);
	destroy(5 * S, s, 10);
	return end();
}

START_TEST(test_evidence__a_second_syn)
{
	struct evidence e = slow_connect(false);

	ck_assert_uint_eq(e.tolls[TROUBLE_SYN].cost_ns, 1010 * MS);
	ck_assert_uint_eq(e.tolls[TROUBLE_SYN].n_failed, 0);
	ck_assert_uint_eq(e.tolls[TROUBLE_LOSS].n, 0);
	e = slow_connect(true);
	ck_assert_uint_eq(e.tolls[TROUBLE_SYN].n, 0);
	ck_assert_uint_eq(e.tolls[TROUBLE_LOSS].n_conns, 1);
	ck_assert_uint_eq(e.tolls[TROUBLE_LOSS].cost_ns, 1210 * MS);
}
END_TEST

/* Three timeouts of a full segment; whether such a one was ever acknowledged decides. */
static struct evidence hole(bool acked)
{
	struct ev_sock s = sock_of(1, 4000, 80);

	begin();
	open_by_us(0, s);
	ack(10 * MS, s, 1000, 1000, 10000, 10000);
	if (acked)
		ack(20 * MS, s, 2448, 2448, 10000, 10000);
	for (unsigned i = 0; i < 3; i++)
		resend((1 + i) * S, s, TCP_S_ESTABLISHED, 2448, 1448);
	return end();
}

START_TEST(test_evidence__full_segments_vanish)
{
	struct evidence e = hole(false);

	ck_assert_uint_eq(e.tolls[TROUBLE_MTU].n, 3);
	ck_assert_uint_eq(e.tolls[TROUBLE_MTU].cost_ns, 600 * MS);
	ck_assert_uint_eq(e.tolls[TROUBLE_LOSS].n, 0);
	ck_assert_uint_eq(e.n_resent[RESENT_RTO], 0);
	e = hole(true);
	ck_assert_uint_eq(e.tolls[TROUBLE_MTU].n, 0);
	ck_assert_uint_eq(e.tolls[TROUBLE_LOSS].n, 3);
	ck_assert_uint_eq(e.n_resent[RESENT_RTO], 3);
}
END_TEST

/* RTT = 10 ms + what stands in a queue of 1 MB/s; or the same bytes, and no queue. */
static struct evidence bulk(bool queue)
{
	struct ev_sock s = sock_of(1, 4000, 80);
	uint32_t una = 1, flight = 14480;
	uint64_t at = 10 * MS;

	begin();
	open_by_us(0, s);
	ack(at, s, una, una, 10000, 10000);
	for (unsigned i = 0; i < 200; i++, flight += 1448) {
		uint32_t rtt = 10000 + (queue ? flight : 0);

		at += 5 * MS;
		una += 1448;
		ack(at, s, una, una + flight, (int32_t)rtt, 10000);
	}
	return end();
}

START_TEST(test_evidence__queues_on_the_path)
{
	struct evidence e = bulk(true);

	ck_assert_uint_eq(e.tolls[TROUBLE_BLOAT].n_conns, 1);
	ck_assert_double_gt(e.bloat_relation, 0.99);
	ck_assert_uint_eq(e.bloat_min_us, 10000);
	/* of one second, nine tenths and more */
	ck_assert_uint_gt(e.tolls[TROUBLE_BLOAT].cost_ns, 850 * MS);
	ck_assert_uint_lt(e.tolls[TROUBLE_BLOAT].cost_ns, 1000 * MS);
	e = bulk(false);
	ck_assert_uint_eq(e.tolls[TROUBLE_BLOAT].n, 0);
}
END_TEST

/* An ACK of half a segment after 40 ms; at once more goes out, or not. */
static struct evidence delayed(bool held)
{
	struct ev_sock s = sock_of(1, 4000, 80);
	uint32_t seq = 1;

	begin();
	open_by_us(0, s);
	ack(MS, s, seq, seq, 1000, 1000);
	for (unsigned i = 0; i < 5; i++) {
		uint64_t at = (i + 1) * S;

		ack(at, s, seq, seq + 100, -1, 1000); /* of something else: 100 bytes are out */
		ack(at + 40 * MS, s, seq + 100, seq + 100, 40000, 1000);
		seq += 100;
		if (held)
			ack(at + 41 * MS, s, seq, seq + 100, -1, 1000);
		seq += held ? 100 : 0;
		ack(at + 42 * MS, s, seq, seq, 1000, 1000);
	}
	return end();
}

START_TEST(test_evidence__delayed_acks)
{
	struct evidence e = delayed(true);

	ck_assert_uint_eq(e.tolls[TROUBLE_NAGLE].n, 5);
	ck_assert_uint_eq(e.tolls[TROUBLE_NAGLE].cost_ns, 5 * 39 * MS);
	ck_assert_uint_eq(e.n_held_sure, 0);
	e = delayed(false);
	ck_assert_uint_eq(e.tolls[TROUBLE_NAGLE].n, 0);
}
END_TEST

/* ---- closed windows ---- */

static void wait_for_room(uint64_t at, struct ev_sock s, unsigned edge)
{
	struct ev_io_wait e = {.head = {START + at, 0, EV_io_wait, sizeof(e)},
			       .sock = s,
			       .task = {.pid = 7, .tid = 7},
			       .direction = STREAM_TX,
			       .edge = (uint16_t)edge};

	add(&e.head);
}

static void wrote(uint64_t at, struct ev_sock s, uint32_t end)
{
	struct ev_io_send e = {.head = {START + at, 0, EV_io_send, sizeof(e)},
			       .sock = s,
			       .task = {.pid = 7, .tid = 7},
			       .bytes = 60000,
			       .write_seq = end};

	add(&e.head);
}

static void facts(uint64_t at, struct ev_sock s, const char *cc)
{
	struct ev_tcp_facts e = {
		.head = {START + at, 0, EV_tcp_facts, sizeof(e)}, .sock = s, .mss = 1000};

	snprintf(e.cc.s, sizeof(e.cc.s), "%s", cc);
	add(&e.head);
}

/* A writer sleeps for 200 ms, the path takes 20; cwnd is 100 segments, so many are in flight. */
static struct evidence writer(unsigned segs, unsigned segs_at_last, const char *cc)
{
	struct ev_sock s = sock_of(1, 4000, 80);
	uint32_t una = 1000;
	struct evidence e;

	begin();
	open_by_us(0, s);
	facts(MS, s, cc);
	ack(90 * MS, s, una, una, 20000, 20000);
	wait_for_room(100 * MS, s, 1);
	for (unsigned i = 1; i <= 10; i++) { /* each ACK takes what was in flight */
		una += (i < 10 ? segs : segs_at_last) * 1000;
		ack((90 + 20 * i) * MS, s, una, una, 20000, 20000);
	}
	wait_for_room(300 * MS, s, 2);
	e = end();
	ck_assert_uint_eq(e.n_shut_out, 0); /* each sample is as long as the wait for it */
	return e;
}

START_TEST(test_evidence__writers_that_wait)
{
	struct evidence e = writer(10, 10, "cubic");

	ck_assert_uint_eq(e.n_blocked, 1);
	ck_assert_uint_eq(e.tolls[TROUBLE_WINDOW].cost_ns, 200 * MS);
	ck_assert_uint_eq(e.blocked_longest_ns, 200 * MS);
	/* as it ends the window is open again */
	ck_assert_uint_eq(writer(10, 100, "cubic").n_blocked, 1);
	/* the congestion window is full */
	ck_assert_uint_eq(writer(80, 10, "cubic").n_blocked, 0);
	/* pacing keeps half of it free */
	ck_assert_uint_eq(writer(50, 50, "cubic").n_blocked, 1);
	ck_assert_uint_eq(writer(50, 50, "bbr").n_blocked, 0);
}
END_TEST

/* All is acknowledged, `unsent` bytes more were written; the next segment goes out after `ms`. */
static struct evidence shut_out(uint32_t unsent, unsigned ms, bool is_lost)
{
	struct ev_sock s = sock_of(1, 4000, 80);

	begin();
	open_by_us(0, s);
	facts(MS, s, "cubic");
	wrote(5 * MS, s, 11000 + unsent);
	ack(30 * MS, s, 11000, 11000, 20000, 20000);
	if (is_lost)
		resend(40 * MS, s, TCP_S_ESTABLISHED, 11000, 1000);
	ack((50 + ms) * MS, s, 12000, 12000, 20000, 20000);
	return end();
}

START_TEST(test_evidence__nothing_in_flight)
{
	struct evidence e = shut_out(50000, 170, false);

	ck_assert_uint_eq(e.n_shut_out, 1);
	ck_assert_uint_eq(e.tolls[TROUBLE_WINDOW].cost_ns, 170 * MS);
	ck_assert_uint_eq(shut_out(50000, 40, false).n_shut_out, 0); /* two round trips */
	ck_assert_uint_eq(shut_out(500, 170, false).n_shut_out, 0);  /* part of a segment: cork */
	ck_assert_uint_eq(shut_out(50000, 170, true).n_shut_out, 0);
}
END_TEST

SUITE("evidence", test_evidence__the_other_family_answers,
      test_evidence__another_connect_does_not_excuse, test_evidence__closing_resets,
      test_evidence__resets_by_the_server, test_evidence__resets_of_clients_elsewhere,
      test_evidence__a_drop_explains_its_own_segment, test_evidence__old_is_not_wrong,
      test_evidence__loss_within_this_host, test_evidence__stuck_connects,
      test_evidence__a_second_syn, test_evidence__full_segments_vanish,
      test_evidence__queues_on_the_path, test_evidence__delayed_acks,
      test_evidence__writers_that_wait, test_evidence__nothing_in_flight)

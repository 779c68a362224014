// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One segment over layers, rule by rule: events as the probes would write them, in time order, and
 * what the joiner makes of them. Times are in us here; the joiner has ns.
 */
#include <string.h>

#include "segment.h"
#include "suite.h"

#define MSS 1000
#define ACK 16
#define PSH 8
#define SYN 2
#define FIN 1
#define ALL_LAYERS ((1u << SEG_LAYERS) - 1)
#define US 1000ull
#define S_US 1000000ull

static struct segment got[4096];
static unsigned n_got;
static struct segments *segs;
static struct segments_opts opts;

/* What the next events have in common; a test sets what matters to it. */
static struct seg_event ev;
static struct wire pk;
static struct sock sk;

static int on(void *ctx, const struct segment *s)
{
	uint64_t sum = 0;

	/* of every segment of every test: the parts add up, and none is negative */
	ck_assert_uint_ge(s->end_ns, s->start_ns);
	for (unsigned l = 0; l < SEG_LAYERS; l++) {
		ck_assert_uint_lt(s->spent_ns[l], 1ull << 62);
		if (!(s->known & SEG_BIT(l)))
			ck_assert_uint_eq(s->spent_ns[l], 0);
		sum += s->spent_ns[l];
	}
	ck_assert_uint_eq(sum, s->end_ns - s->start_ns);
	if (n_got == sizeof(got) / sizeof(got[0])) /* nobody looks at so many */
		n_got = 0;
	got[n_got++] = *s;
	return 0;
}

static struct flow flow_of(unsigned local, unsigned lport, unsigned remote, unsigned rport)
{
	struct flow f = {.lport = (uint16_t)lport, .rport = (uint16_t)rport};

	f.laddr[10] = f.laddr[11] = f.raddr[10] = f.raddr[11] = 0xff;
	f.laddr[12] = f.raddr[12] = 10;
	f.laddr[15] = (uint8_t)local;
	f.raddr[15] = (uint8_t)remote;
	return f;
}

static void begin_with(uint32_t in, uint32_t out)
{
	segments_free(segs);
	n_got = 0;
	opts = (struct segments_opts){
		.layers = {in, out}, .dirs = {true, true}, .on = on, .max_open = opts.max_open};
	segs = segments_new(&opts);
	ck_assert_ptr_nonnull(segs);
	sk = (struct sock){
		.cookie = 7, .flow = flow_of(1, 80, 2, 5000), .netns = 1, .has_flow = true};
	pk = (struct wire){.flow = sk.flow,
			   .has_flow = true,
			   .seq = 1,
			   .ack_seq = 100,
			   .payload = MSS,
			   .segs = 1,
			   .tcp_flags = ACK,
			   .headers = 3};
	ev = (struct seg_event){.netns = 1, .ifindex = 2};
}

static void begin(void)
{
	begin_with(ALL_LAYERS, ALL_LAYERS);
}

static void end(void)
{
	ck_assert_int_eq(segments_end(segs), 0);
}

static void done(void)
{
	segments_free(segs);
	segs = NULL;
	opts.max_open = 0;
}

/* An event at a layer, at a time, with the socket or without. */
static void at(enum seg_dir dir, unsigned layer, uint64_t us, const struct sock *sock)
{
	struct seg_event e = ev;

	e.dir = dir;
	e.layer = layer;
	e.ts_ns = us * US;
	e.sock = sock;
	e.packet = &pk;
	ck_assert_int_eq(segments_packet(segs, &e), 0);
}

static void in(unsigned layer, uint64_t us)
{
	at(SEG_IN, layer, us, layer < SEG_IN_BACKLOG ? NULL : &sk);
}

static void out(unsigned layer, uint64_t us)
{
	at(SEG_OUT, layer, us, &sk);
}

static void copy(uint64_t us, uint32_t seq, uint32_t bytes)
{
	static const struct task reader = {.pid = 9, .comm = "reader"};
	struct seg_bytes c = {
		.ts_ns = us * US, .size = bytes, .sock = &sk, .task = &reader, .seq = seq};

	ck_assert_int_eq(segments_copy(segs, &c), 0);
}

static void write_at(uint64_t us, uint32_t seq, uint32_t bytes)
{
	static const struct task writer = {.pid = 8, .comm = "writer"};
	struct seg_bytes w = {
		.ts_ns = us * US, .size = bytes, .sock = &sk, .task = &writer, .seq = seq};

	ck_assert_int_eq(segments_write(segs, &w), 0);
}

static void sent(uint64_t us, uint32_t ifindex, uint32_t result)
{
	struct seg_event e = {.dir = SEG_OUT,
			      .layer = SEG_OUT_SENT,
			      .ts_ns = us * US,
			      .cpu = ev.cpu,
			      .ifindex = ifindex,
			      .result = result};

	ck_assert_int_eq(segments_packet(segs, &e), 0);
}

/* The socket tells that bytes up to next can be read; or that it is done with a packet. */
static void at_socket(unsigned layer, uint64_t us, uint32_t next)
{
	struct seg_event e = {.dir = SEG_IN,
			      .layer = layer,
			      .ts_ns = us * US,
			      .cpu = ev.cpu,
			      .rcv_nxt = next,
			      .netns = 1,
			      .sock = &sk};

	ck_assert_int_eq(segments_packet(segs, &e), 0);
}

/* All layers up to the socket's queue, one us after the other. */
static void receive(uint64_t us)
{
	for (unsigned l = SEG_IN_DRIVER; l <= SEG_IN_TCP; l++)
		in(l, us + l);
	in(SEG_IN_ESTABLISHED, us + 5);
	in(SEG_IN_QUEUE, us + 6);
	at_socket(SEG_IN_DONE, us + 7, pk.seq + pk.payload);
}

static void send_down(uint64_t us, unsigned to)
{
	for (unsigned l = SEG_OUT_TCP; l <= to; l++)
		out(l, us + l);
}

static void is_us(const struct segment *s, unsigned layer, uint64_t us)
{
	ck_assert_msg(s->known & SEG_BIT(layer), "layer %u is not known", layer);
	ck_assert_uint_eq(s->spent_ns[layer], us * US);
	ck_assert(!(s->spans & SEG_BIT(layer)));
}

static void is_unknown(const struct segment *s, unsigned layer)
{
	ck_assert_msg(!(s->known & SEG_BIT(layer)), "layer %u is known", layer);
}

static uint64_t total_us(const struct segment *s)
{
	return (s->end_ns - s->start_ns) / US;
}

/* ---- one to one ---- */

START_TEST(test_segment__received)
{
	begin();
	receive(100);
	ck_assert_uint_eq(n_got, 0);
	copy(150, 1, MSS);
	ck_assert_uint_eq(n_got, 1); /* at once */
	for (unsigned l = SEG_IN_DRIVER; l <= SEG_IN_TCP; l++)
		is_us(&got[0], l, 1);
	is_us(&got[0], SEG_IN_ESTABLISHED, 1);
	is_us(&got[0], SEG_IN_QUEUE, 44);
	is_unknown(&got[0], SEG_IN_BACKLOG);
	is_unknown(&got[0], SEG_IN_HOLE);
	ck_assert_uint_eq(total_us(&got[0]), 50);
	ck_assert_uint_eq(got[0].marks, 0);
	ck_assert(got[0].cookie == 7 && got[0].task.pid == 9 && got[0].payload == MSS);
	end();
	ck_assert_uint_eq(n_got, 1);
	done();
}
END_TEST

START_TEST(test_segment__sent)
{
	begin();
	write_at(90, 1, MSS);
	send_down(100, SEG_OUT_DRIVER);
	sent(107, 2, 0);
	out(SEG_OUT_COMPLETE, 120);
	end();
	ck_assert_uint_eq(n_got, 1);
	is_us(&got[0], SEG_OUT_WRITE, 11);
	for (unsigned l = SEG_OUT_TCP; l <= SEG_OUT_QDISC; l++)
		is_us(&got[0], l, 1);
	is_us(&got[0], SEG_OUT_DRIVER, 2);
	is_us(&got[0], SEG_OUT_SENT, 13);
	ck_assert_uint_eq(total_us(&got[0]), 30);
	ck_assert_uint_eq(got[0].marks, 0);
	ck_assert_uint_eq(got[0].task.pid, 8);
	done();
}
END_TEST

/* A thread holds the socket: the packet waits in its backlog. */
START_TEST(test_segment__backlog)
{
	begin();
	for (unsigned l = SEG_IN_DRIVER; l <= SEG_IN_BACKLOG; l++)
		in(l, 100 + l);
	in(SEG_IN_ESTABLISHED, 900);
	in(SEG_IN_QUEUE, 901);
	copy(950, 1, MSS);
	end();
	is_us(&got[0], SEG_IN_TCP, 1);
	is_us(&got[0], SEG_IN_BACKLOG, 795);
	is_us(&got[0], SEG_IN_ESTABLISHED, 1);
	done();
}
END_TEST

/* ---- what is not known ---- */

/* Layers without a hook, or whose event was lost: unknown, not 0, and the time before spans them.
 */
START_TEST(test_segment__unknown_layers)
{
	begin();
	in(SEG_IN_DRIVER, 100);
	in(SEG_IN_MAC, 101);
	in(SEG_IN_ESTABLISHED, 110);
	in(SEG_IN_QUEUE, 111);
	copy(120, 1, MSS);
	end();
	is_us(&got[0], SEG_IN_DRIVER, 1);
	is_unknown(&got[0], SEG_IN_IP);
	is_unknown(&got[0], SEG_IN_DELIVER);
	is_unknown(&got[0], SEG_IN_TCP);
	ck_assert_uint_eq(got[0].spent_ns[SEG_IN_MAC], 9 * US);
	ck_assert_uint_eq(got[0].spans, SEG_BIT(SEG_IN_MAC));
	done();
}
END_TEST

/* Only the lowest layers were recorded: the time at TCP is the packet's departure time. */
START_TEST(test_segment__departure_instead_of_tcp)
{
	begin_with(0, SEG_BIT(SEG_OUT_QDISC) | SEG_BIT(SEG_OUT_DRIVER));
	ev.departure_ns = 93 * US;
	out(SEG_OUT_QDISC, 100);
	out(SEG_OUT_DRIVER, 105);
	ev.departure_ns = 400 * US; /* pacing: it is to leave later, but is in the qdisc already */
	pk.seq += MSS;
	out(SEG_OUT_QDISC, 110);
	out(SEG_OUT_DRIVER, 401);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert(got[0].tcp_by_departure && got[1].tcp_by_departure);
	ck_assert_uint_eq(got[0].spent_ns[SEG_OUT_TCP], 7 * US);
	ck_assert_uint_eq(got[0].paced_ns, 0);
	ck_assert_uint_eq(got[1].spent_ns[SEG_OUT_TCP], 0);
	is_us(&got[1], SEG_OUT_QDISC, 291);
	ck_assert_uint_eq(got[1].paced_ns, 290 * US);
	done();
}
END_TEST

/* ---- merged and split ---- */

START_TEST(test_segment__gro_merges)
{
	begin();
	for (unsigned i = 0; i < 3; i++) {
		pk.seq = 1 + i * MSS;
		in(SEG_IN_DRIVER, 100 + i * 10);
	}
	pk.seq = 1;
	pk.payload = 3 * MSS;
	pk.segs = 3;
	for (unsigned l = SEG_IN_MAC; l <= SEG_IN_TCP; l++)
		in(l, 130 + l);
	in(SEG_IN_ESTABLISHED, 140);
	in(SEG_IN_QUEUE, 141);
	copy(150, 1, MSS);
	ck_assert_uint_eq(n_got, 0);
	copy(190, 1 + MSS, 2 * MSS);
	end();
	ck_assert_uint_eq(n_got, 1);
	ck_assert_uint_eq(got[0].marks, SEG_MERGED);
	ck_assert(got[0].n[SEG_IN_DRIVER] == 3 && got[0].segs == 3 && got[0].payload == 3 * MSS);
	is_us(&got[0], SEG_IN_DRIVER, 31); /* from the first packet on */
	ck_assert_uint_eq(got[0].last_ns[SEG_IN_DRIVER], 120 * US);
	is_us(&got[0], SEG_IN_QUEUE, 49); /* to the last byte; the first one went at 150 */
	ck_assert_uint_eq(got[0].first_ns[SEG_IN_COPY], 150 * US);
	done();
}
END_TEST

/* One packet's event at the driver is lost: when the first came is not known. */
START_TEST(test_segment__gro_with_a_loss)
{
	begin();
	pk.seq = 1 + MSS;
	in(SEG_IN_DRIVER, 100);
	pk.seq = 1;
	pk.payload = 2 * MSS;
	in(SEG_IN_MAC, 130);
	end();
	ck_assert_uint_eq(n_got, 1);
	ck_assert(got[0].marks & SEG_PART);
	is_unknown(&got[0], SEG_IN_DRIVER);
	ck_assert_uint_eq(got[0].start_ns, 130 * US);
	done();
}
END_TEST

/* Two segments whose ACK numbers differ are not merged by GRO. */
START_TEST(test_segment__gro_keeps_acks_apart)
{
	begin();
	in(SEG_IN_DRIVER, 100);
	pk.seq += MSS;
	pk.ack_seq = 200;
	in(SEG_IN_DRIVER, 101);
	pk.seq = 1;
	pk.ack_seq = 100;
	in(SEG_IN_MAC, 110);
	pk.seq += MSS;
	pk.ack_seq = 200;
	in(SEG_IN_MAC, 111);
	end();
	ck_assert_uint_eq(n_got, 2);
	is_us(&got[0], SEG_IN_DRIVER, 10);
	is_us(&got[1], SEG_IN_DRIVER, 10);
	done();
}
END_TEST

/* tcp_add_backlog, tcp_try_coalesce: from then on one event for several segments. */
START_TEST(test_segment__tcp_merges)
{
	begin();
	for (unsigned i = 0; i < 2; i++) {
		pk.seq = 1 + i * MSS;
		for (unsigned l = SEG_IN_DRIVER; l <= SEG_IN_BACKLOG; l++)
			in(l, 100 + 10 * i + l);
	}
	pk.seq = 1;
	pk.payload = 2 * MSS;
	pk.ack_seq = 300;
	in(SEG_IN_ESTABLISHED, 200);
	in(SEG_IN_QUEUE, 201);
	copy(210, 1, 2 * MSS);
	end();
	ck_assert_uint_eq(n_got, 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(got[i].marks, SEG_MERGED);
		ck_assert_uint_eq(got[i].payload, MSS);
		is_us(&got[i], SEG_IN_BACKLOG, 95 - 10 * i);
		is_us(&got[i], SEG_IN_QUEUE, 9);
	}
	done();
}
END_TEST

START_TEST(test_segment__gso_splits)
{
	begin();
	write_at(90, 1, 1);
	write_at(95, 2, 3 * MSS - 1);
	pk.payload = 3 * MSS;
	pk.segs = 3;
	send_down(100, SEG_OUT_QDISC);
	out(SEG_OUT_COMPLETE, 105); /* consume_skb of the whole, as its parts replace it */
	pk.payload = MSS;
	pk.segs = 1;
	for (unsigned i = 0; i < 3; i++) {
		pk.seq = 1 + i * MSS;
		out(SEG_OUT_DRIVER, 200 + i * 50);
		sent(201 + i * 50, 2, 0);
	}
	end();
	ck_assert_uint_eq(n_got, 1);
	ck_assert_uint_eq(got[0].marks, SEG_SPLIT);
	ck_assert(got[0].segs == 3 && got[0].n[SEG_OUT_DRIVER] == 3 && got[0].n[SEG_OUT_SENT] == 3);
	is_us(&got[0], SEG_OUT_WRITE, 11); /* from its first byte on */
	ck_assert_uint_eq(got[0].last_ns[SEG_OUT_WRITE], 95 * US);
	is_us(&got[0], SEG_OUT_QDISC, 300 - 104); /* until the last packet left it */
	is_us(&got[0], SEG_OUT_DRIVER, 1);
	ck_assert_uint_eq(got[0].first_ns[SEG_OUT_DRIVER], 200 * US);
	done();
}
END_TEST

/* The qdisc threw one of the packets away: it is not told that the segment left. */
START_TEST(test_segment__gso_with_a_drop)
{
	begin();
	pk.payload = 2 * MSS;
	send_down(100, SEG_OUT_QDISC);
	pk.payload = MSS;
	out(SEG_OUT_DRIVER, 200);
	end();
	ck_assert_uint_eq(n_got, 1);
	ck_assert(got[0].marks & SEG_PART);
	is_unknown(&got[0], SEG_OUT_QDISC);
	ck_assert_uint_eq(got[0].end_ns, 104 * US);
	done();
}
END_TEST

/* ---- sent again ---- */

/* The first was dropped in the qdisc. What leaves is the second: their departure tells. */
START_TEST(test_segment__retransmit_after_a_drop)
{
	begin();
	write_at(90, 1, MSS);
	ev.departure_ns = 100 * US;
	send_down(100, SEG_OUT_QDISC);
	ev.departure_ns = 100 * US; /* __tcp_transmit_skb: still that of the first */
	out(SEG_OUT_TCP, 5000);
	ev.departure_ns = 5000 * US;
	for (unsigned l = SEG_OUT_IP; l <= SEG_OUT_DRIVER; l++)
		out(l, 5000 + l);
	sent(5006, 2, 0);
	end();
	ck_assert_uint_eq(n_got, 2);
	for (unsigned i = 0; i < 2; i++) {
		bool again = got[i].marks & SEG_AGAIN;

		if (again) {
			is_us(&got[i], SEG_OUT_QDISC, 1);
			is_unknown(&got[i], SEG_OUT_WRITE);
			ck_assert_uint_eq(got[i].start_ns, 5000 * US);
		} else {
			is_us(&got[i], SEG_OUT_WRITE, 11);
			is_unknown(&got[i], SEG_OUT_QDISC);
		}
	}
	ck_assert((got[0].marks ^ got[1].marks) & SEG_AGAIN);
	done();
}
END_TEST

/* The first is still held when the second comes: in the order of time, without departure times. */
START_TEST(test_segment__retransmit_behind_the_first)
{
	begin();
	send_down(100, SEG_OUT_QDISC);
	ev.again = true;
	send_down(5000, SEG_OUT_QDISC);
	out(SEG_OUT_DRIVER, 6000);
	out(SEG_OUT_DRIVER, 6100);
	end();
	ck_assert_uint_eq(n_got, 2);
	is_us(&got[0], SEG_OUT_QDISC, 6000 - 104);
	is_us(&got[1], SEG_OUT_QDISC, 6100 - 5004);
	ck_assert(!(got[0].marks & SEG_AGAIN) && got[1].marks & SEG_AGAIN);
	done();
}
END_TEST

/* A retransmission that is cut otherwise than the first time. */
START_TEST(test_segment__retransmit_of_a_part)
{
	begin();
	pk.payload = 3 * MSS;
	send_down(100, SEG_OUT_DRIVER);
	sent(106, 2, 0);
	pk.seq = 1 + MSS;
	pk.payload = MSS;
	pk.ack_seq = 150; /* more came in meanwhile */
	send_down(300, SEG_OUT_DRIVER);
	sent(306, 2, 0);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert(!(got[0].marks & SEG_AGAIN) && got[0].payload == 3 * MSS);
	ck_assert_uint_eq(got[1].marks, SEG_AGAIN);
	ck_assert_uint_eq(total_us(&got[1]), 5);
	done();
}
END_TEST

/* Received twice: nothing new in the second, which nobody reads. */
START_TEST(test_segment__received_twice)
{
	begin();
	receive(100);
	for (unsigned l = SEG_IN_DRIVER; l <= SEG_IN_TCP; l++)
		in(l, 200 + l);
	ev.rcv_nxt = 1 + MSS;
	in(SEG_IN_ESTABLISHED, 205);
	at_socket(SEG_IN_DONE, 206, 1 + MSS);
	copy(300, 1, MSS);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert_uint_eq(got[0].marks, SEG_OLD);
	is_us(&got[0], SEG_IN_ESTABLISHED, 1); /* TCP's work was all there was */
	ck_assert_uint_eq(total_us(&got[0]), 6);
	ck_assert_uint_eq(got[1].marks, 0);
	is_us(&got[1], SEG_IN_QUEUE, 300 - 106);
	done();
}
END_TEST

/* ---- without payload ---- */

/* Duplicate ACKs have the same headers: in the order of time. */
START_TEST(test_segment__duplicate_acks)
{
	begin();
	pk.payload = 0;
	in(SEG_IN_DRIVER, 100);
	in(SEG_IN_DRIVER, 110);
	in(SEG_IN_MAC, 120);
	in(SEG_IN_MAC, 125);
	for (unsigned l = SEG_IN_IP; l <= SEG_IN_TCP; l++)
		in(l, 130 + l);
	in(SEG_IN_ESTABLISHED, 138);
	at_socket(SEG_IN_DONE, 139, 0);
	for (unsigned l = SEG_IN_IP; l <= SEG_IN_TCP; l++)
		in(l, 140 + l);
	in(SEG_IN_ESTABLISHED, 148);
	at_socket(SEG_IN_DONE, 150, 0);
	ck_assert_uint_eq(n_got, 2);
	is_us(&got[0], SEG_IN_DRIVER, 20);
	is_us(&got[0], SEG_IN_MAC, 12);
	is_us(&got[0], SEG_IN_ESTABLISHED, 1);
	is_us(&got[1], SEG_IN_DRIVER, 15);
	is_us(&got[1], SEG_IN_MAC, 17);
	is_us(&got[1], SEG_IN_ESTABLISHED, 2);
	done();
}
END_TEST

/* An ACK has the sequence number of the data that follows it. */
START_TEST(test_segment__ack_before_data)
{
	begin();
	pk.payload = 0;
	out(SEG_OUT_TCP, 100);
	pk.payload = MSS;
	out(SEG_OUT_TCP, 101);
	pk.payload = 0;
	out(SEG_OUT_QDISC, 102);
	pk.payload = MSS;
	out(SEG_OUT_QDISC, 103);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert(!got[0].payload && got[1].payload == MSS);
	ck_assert(total_us(&got[0]) == 2 && total_us(&got[1]) == 2);
	ck_assert(!((got[0].marks | got[1].marks) & SEG_AGAIN));
	done();
}
END_TEST

/* An event was lost on the way up: an equal packet later on is not taken for the same. */
START_TEST(test_segment__lost_event_of_an_equal_packet)
{
	begin();
	pk.payload = 0;
	in(SEG_IN_DRIVER, 100);
	in(SEG_IN_MAC, 101);
	in(SEG_IN_DRIVER, 400000);
	in(SEG_IN_MAC, 400001);
	in(SEG_IN_IP, 400002);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert_uint_eq(total_us(&got[0]), 1);
	ck_assert_uint_eq(total_us(&got[1]), 2);
	done();
}
END_TEST

START_TEST(test_segment__syn_and_fin)
{
	begin();
	pk.payload = 0;
	pk.ack_seq = 0;
	pk.tcp_flags = SYN;
	send_down(100, SEG_OUT_DRIVER);
	sent(106, 2, 0);
	send_down(1000100, SEG_OUT_DRIVER); /* no answer: once more */
	sent(1000106, 2, 0);
	pk.seq = 2;
	pk.ack_seq = 100;
	pk.tcp_flags = FIN | ACK;
	send_down(2000100, SEG_OUT_DRIVER);
	sent(2000106, 2, 0);
	end();
	ck_assert_uint_eq(n_got, 3);
	ck_assert_uint_eq(got[0].marks, 0);
	ck_assert_uint_eq(got[1].marks, SEG_AGAIN);
	ck_assert_uint_eq(got[2].marks, 0);
	done();
}
END_TEST

/* ---- the socket's queue ---- */

/* sk_data_ready has no packet: rcv_nxt tells what can be read. */
START_TEST(test_segment__queue_by_socket)
{
	begin();
	for (unsigned i = 0; i < 2; i++) {
		pk.seq = 1 + i * MSS;
		in(SEG_IN_TCP, 100 + i * 10);
		in(SEG_IN_ESTABLISHED, 101 + i * 10);
		at_socket(SEG_IN_QUEUE, 105 + i * 10, pk.seq + MSS);
	}
	copy(200, 1, 2 * MSS);
	end();
	ck_assert_uint_eq(n_got, 2);
	is_us(&got[0], SEG_IN_ESTABLISHED, 4);
	is_us(&got[0], SEG_IN_QUEUE, 95);
	is_us(&got[1], SEG_IN_QUEUE, 85);
	done();
}
END_TEST

/* The bytes before it are missing: what it waits for them is told apart from the reader's time. */
START_TEST(test_segment__head_of_line)
{
	begin();
	pk.seq = 1 + MSS;
	for (unsigned l = SEG_IN_DRIVER; l <= SEG_IN_TCP; l++)
		in(l, 100 + l);
	ev.rcv_nxt = 1;
	in(SEG_IN_ESTABLISHED, 105);
	at_socket(SEG_IN_DONE, 107, 1);
	ev.rcv_nxt = 0;
	pk.seq = 1;
	receive(5000);
	/* TCP is done with what filled the hole: all can be read */
	at_socket(SEG_IN_QUEUE, 5008, 1 + 2 * MSS);
	copy(5100, 1, 2 * MSS);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert_uint_eq(got[0].marks, 0);
	ck_assert_uint_eq(got[1].marks, SEG_WAITED);
	is_us(&got[1], SEG_IN_ESTABLISHED, 2);
	is_us(&got[1], SEG_IN_HOLE, 5008 - 107);
	is_us(&got[1], SEG_IN_QUEUE, 92);
	done();
}
END_TEST

START_TEST(test_segment__never_read)
{
	begin();
	receive(100);
	pk.seq += MSS;
	receive(200);
	copy(400, 1, MSS);
	copy(500, 1 + MSS, 10);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert_uint_eq(got[0].marks, 0);
	ck_assert_uint_eq(got[1].marks, SEG_UNREAD | SEG_PART);
	is_unknown(&got[1], SEG_IN_QUEUE);
	done();
}
END_TEST

/* A read that was not seen: the segment is known to be read, its time is not. */
START_TEST(test_segment__lost_copy)
{
	begin();
	receive(100);
	pk.seq += MSS;
	receive(200);
	copy(500, 1 + MSS, MSS);
	end();
	ck_assert_uint_eq(n_got, 2);
	ck_assert_uint_eq(got[0].seq, 1);
	ck_assert(got[0].marks & SEG_PART && !(got[0].marks & SEG_UNREAD));
	is_unknown(&got[0], SEG_IN_QUEUE);
	is_us(&got[1], SEG_IN_QUEUE, 500 - 206);
	done();
}
END_TEST

/* A reader may take a long time; a socket that is gone is read by nobody. */
START_TEST(test_segment__late_reader)
{
	begin();
	receive(100);
	pk.seq += MSS;
	receive(200);
	ck_assert_int_eq(segments_pass(segs, 600 * S_US * US), 0);
	ck_assert_uint_eq(n_got, 0);
	copy(601 * S_US, 1, MSS);
	ck_assert_uint_eq(n_got, 1);
	is_us(&got[0], SEG_IN_QUEUE, 601 * S_US - 106);
	ck_assert_int_eq(segments_gone(segs, 7, 602 * S_US * US), 0);
	ck_assert_uint_eq(n_got, 2);
	ck_assert_uint_eq(got[1].marks, SEG_UNREAD);
	done();
}
END_TEST

/* ---- what was written ---- */

/* A write that did not fit is followed by one for the rest; each byte belongs to the one that gave
 * it. Several small ones go out together (Nagle). */
START_TEST(test_segment__writes)
{
	begin();
	write_at(10, 1, 5 * MSS); /* took 2 MSS */
	write_at(20, 1 + 2 * MSS, 10);
	write_at(30, 1 + 2 * MSS + 10, 10);
	for (unsigned i = 0; i < 2; i++) {
		pk.seq = 1 + i * MSS;
		send_down(40, SEG_OUT_DRIVER);
	}
	pk.seq = 1 + 2 * MSS;
	pk.payload = 20;
	send_down(60, SEG_OUT_DRIVER);
	end();
	ck_assert_uint_eq(n_got, 3);
	is_us(&got[0], SEG_OUT_WRITE, 31);
	is_us(&got[1], SEG_OUT_WRITE, 31);
	is_us(&got[2], SEG_OUT_WRITE, 41);
	ck_assert_uint_eq(got[2].last_ns[SEG_OUT_WRITE], 30 * US);
	done();
}
END_TEST

/* ---- devices ---- */

/* A VLAN over another device: both have a qdisc and a driver. Hold shows in QDISC, in either. */
START_TEST(test_segment__stacked_devices)
{
	begin();
	send_down(100, SEG_OUT_QDISC); /* at 104 */
	out(SEG_OUT_DRIVER, 150);
	ev.ifindex = 1;
	out(SEG_OUT_QDISC, 151);
	out(SEG_OUT_DRIVER, 171);
	sent(175, 1, 0);
	sent(176, 2, 0);
	end();
	ck_assert_uint_eq(n_got, 1);
	ck_assert_uint_eq(got[0].marks, SEG_STACKED);
	ck_assert_uint_eq(got[0].spent_ns[SEG_OUT_QDISC], (46 + 20) * US);
	ck_assert_uint_eq(got[0].spent_ns[SEG_OUT_DRIVER], (1 + 4) * US);
	ck_assert_uint_eq(got[0].end_ns, 175 * US);
	done();
}
END_TEST

/* A bridge hands a packet on as its own: the layers below IP see it twice. */
START_TEST(test_segment__bridge)
{
	begin();
	in(SEG_IN_DRIVER, 100);
	in(SEG_IN_MAC, 103);
	ev.ifindex = 5;
	in(SEG_IN_DRIVER, 105);
	in(SEG_IN_MAC, 106);
	in(SEG_IN_IP, 108);
	end();
	ck_assert_uint_eq(n_got, 1);
	ck_assert_uint_eq(got[0].spent_ns[SEG_IN_DRIVER], 4 * US);
	ck_assert_uint_eq(got[0].spent_ns[SEG_IN_MAC], 4 * US);
	done();
}
END_TEST

/* `sent` has no packet: it belongs to the last packet of that processor and device. */
START_TEST(test_segment__sent_by_processor)
{
	begin();
	send_down(100, SEG_OUT_DRIVER);
	ev.cpu = 1;
	pk.seq += MSS;
	send_down(101, SEG_OUT_DRIVER);
	sent(115, 2, 0);
	ev.cpu = 0;
	sent(110, 9, 0); /* another device's: not ours */
	sent(112, 2, 0);
	end();
	ck_assert_uint_eq(n_got, 2);
	is_us(&got[0], SEG_OUT_DRIVER, got[0].seq == 1 ? 7 : 9);
	is_us(&got[1], SEG_OUT_DRIVER, got[1].seq == 1 ? 7 : 9);
	done();
}
END_TEST

START_TEST(test_segment__busy_driver)
{
	begin();
	send_down(100, SEG_OUT_DRIVER);
	sent(106, 2, 16);
	out(SEG_OUT_DRIVER, 300);
	sent(302, 2, 0);
	end();
	ck_assert_uint_eq(n_got, 1);
	ck_assert_uint_eq(got[0].marks, SEG_BUSY);
	is_us(&got[0], SEG_OUT_QDISC, 300 - 104);
	is_us(&got[0], SEG_OUT_DRIVER, 2);
	done();
}
END_TEST

/* The buffer is freed inside the driver's call: no time passes after that. */
START_TEST(test_segment__complete_before_sent)
{
	begin();
	send_down(100, SEG_OUT_DRIVER);
	out(SEG_OUT_COMPLETE, 106);
	sent(108, 2, 0);
	end();
	ck_assert_uint_eq(n_got, 1);
	is_us(&got[0], SEG_OUT_DRIVER, 3);
	is_us(&got[0], SEG_OUT_SENT, 0);
	done();
}
END_TEST

/* ---- NAT, and whose a packet is ---- */

START_TEST(test_segment__nat_on_the_way_in)
{
	struct flow before = flow_of(9, 8080, 2, 5000); /* redirected to 10.0.0.1:80 */

	begin();
	for (unsigned i = 0; i < 2; i++) {
		pk.seq = 1 + i * MSS;
		pk.flow = before;
		for (unsigned l = SEG_IN_DRIVER; l <= SEG_IN_IP; l++)
			in(l, 100 + 100 * i + l);
		pk.flow = sk.flow;
		in(SEG_IN_DELIVER, 103 + 100 * i);
		in(SEG_IN_TCP, 104 + 100 * i);
		in(SEG_IN_ESTABLISHED, 105 + 100 * i);
		in(SEG_IN_QUEUE, 106 + 100 * i);
		copy(150 + 100 * i, pk.seq, MSS);
	}
	end();
	ck_assert_uint_eq(n_got, 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(got[i].marks, SEG_NAT);
		ck_assert(!memcmp(&got[i].wire, &before, sizeof(before)));
		ck_assert(!memcmp(&got[i].inner, &sk.flow, sizeof(before)));
		ck_assert_uint_eq(got[i].cookie, 7);
		ck_assert_uint_eq(total_us(&got[i]), 50);
	}
	done();
}
END_TEST

START_TEST(test_segment__nat_on_the_way_out)
{
	struct flow after = flow_of(9, 4444, 2, 5000);

	for (unsigned with_sock = 0; with_sock < 2; with_sock++) {
		begin();
		for (unsigned i = 0; i < 2; i++) {
			pk.seq = 1 + i * MSS;
			pk.flow = sk.flow;
			out(SEG_OUT_TCP, 100 * i + 100);
			out(SEG_OUT_IP, 100 * i + 101);
			pk.flow = after;
			for (unsigned l = SEG_OUT_OUTPUT; l <= SEG_OUT_DRIVER; l++)
				at(SEG_OUT, l, 100 * i + 100 + l, with_sock ? &sk : NULL);
		}
		end();
		ck_assert_uint_eq(n_got, 2);
		for (unsigned i = 0; i < 2; i++) {
			ck_assert_uint_eq(got[i].marks, SEG_NAT);
			ck_assert(!memcmp(&got[i].wire, &after, sizeof(after)));
			ck_assert(!memcmp(&got[i].inner, &sk.flow, sizeof(after)));
			ck_assert_uint_eq(total_us(&got[i]), 5);
		}
	}
	done();
}
END_TEST

/* Loopback: the same packet is one that was sent and one that was received, each of its socket. */
START_TEST(test_segment__both_ends_here)
{
	struct sock server = {
		.cookie = 9, .flow = flow_of(2, 5000, 1, 80), .netns = 1, .has_flow = true};
	struct flow up = server.flow;

	begin();
	write_at(99, 1, MSS);
	send_down(100, SEG_OUT_DRIVER);
	pk.flow = up;
	at(SEG_IN, SEG_IN_DRIVER, 106, &sk); /* the sender's socket may still hang on it */
	sent(107, 2, 0);
	for (unsigned l = SEG_IN_MAC; l <= SEG_IN_TCP; l++)
		at(SEG_IN, l, 107 + l, NULL);
	at(SEG_IN, SEG_IN_ESTABLISHED, 113, &server);
	end();
	ck_assert_uint_eq(n_got, 2);
	for (unsigned i = 0; i < 2; i++) {
		bool is_in = got[i].dir == SEG_IN;

		ck_assert_uint_eq(got[i].cookie, is_in ? 9 : 7);
		ck_assert_uint_eq(total_us(&got[i]), is_in ? 7 : 8);
		ck_assert_uint_eq(got[i].marks, 0);
	}
	ck_assert(got[0].dir != got[1].dir);
	done();
}
END_TEST

/* A router's namespace between two others: same headers, but nobody's TCP there. */
START_TEST(test_segment__passing_through)
{
	begin();
	send_down(100, SEG_OUT_DRIVER);
	sent(106, 2, 0);
	ev.netns = 5;
	ev.ifindex = 9;
	in(SEG_IN_DRIVER, 107);
	in(SEG_IN_MAC, 108);
	in(SEG_IN_IP, 109);
	at(SEG_OUT, SEG_OUT_QDISC, 110, NULL);
	at(SEG_OUT, SEG_OUT_DRIVER, 111, &sk); /* through a veth it keeps its sender's socket */
	end();
	ck_assert_uint_ge(n_got, 3);
	for (unsigned i = 0; i < n_got; i++) {
		bool ours = got[i].netns == 1;

		ck_assert_uint_eq(got[i].marks & SEG_PASSED, ours ? 0 : SEG_PASSED);
		ck_assert(!(got[i].marks & SEG_AGAIN));
		if (ours)
			ck_assert_uint_eq(total_us(&got[i]), 5);
	}
	done();
}
END_TEST

/* The port is used again at once, by another socket: what comes is the new one's. */
START_TEST(test_segment__addresses_used_again)
{
	begin();
	receive(100);
	copy(150, 1, MSS);
	sk.cookie = 8;
	pk.seq = 90000;
	receive(200);
	copy(250, 90000, MSS);
	pk.seq += MSS;
	receive(300);
	copy(350, 90000 + MSS, MSS);
	end();
	ck_assert_uint_eq(n_got, 3);
	ck_assert_uint_eq(got[0].cookie, 7);
	for (unsigned i = 1; i < 3; i++) {
		ck_assert_uint_eq(got[i].cookie, 8);
		ck_assert_uint_eq(total_us(&got[i]), 50);
		ck_assert_uint_eq(got[i].marks, 0);
	}
	done();
}
END_TEST

/* SYN to a listener: its socket stands for nobody's connection. */
START_TEST(test_segment__listener)
{
	struct sock listener = {.cookie = 3, .flow = {.lport = 80}, .netns = 1, .has_flow = true};

	begin();
	for (unsigned i = 0; i < 2; i++) {
		pk.payload = 0;
		pk.tcp_flags = SYN;
		pk.seq = 1000 * i;
		pk.flow = flow_of(1, 80, 2, 6000 + i);
		at(SEG_IN, SEG_IN_DRIVER, 100 + i, NULL);
		at(SEG_IN, SEG_IN_TCP, 110 + i, &listener);
	}
	end();
	ck_assert_uint_eq(n_got, 2);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(got[i].cookie, 0);
		ck_assert_uint_eq(got[i].wire.rport, 6000 + i);
		ck_assert_uint_eq(total_us(&got[i]), 10);
		ck_assert(!(got[i].marks & SEG_PASSED));
	}
	done();
}
END_TEST

START_TEST(test_segment__sequence_wraps)
{
	begin();
	pk.seq = UINT32_MAX - MSS / 2;
	write_at(90, pk.seq, 3 * MSS);
	for (unsigned i = 0; i < 3; i++) {
		send_down(100 + i * 10, SEG_OUT_DRIVER);
		sent(106 + i * 10, 2, 0);
		pk.seq += MSS;
	}
	pk.seq = UINT32_MAX - MSS / 2;
	receive(1000);
	copy(1100, pk.seq, MSS / 4);
	copy(1101, pk.seq + MSS / 4, MSS);
	end();
	ck_assert_uint_eq(n_got, 4);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(got[i].marks, 0);
	done();
}
END_TEST

/* ---- bounds ---- */

/* More segments under way than there is room for: the one that waits longest is told as it is. */
START_TEST(test_segment__no_room)
{
	struct segments_stats stats;

	opts.max_open = 10;
	begin();
	for (unsigned i = 0; i < 15; i++) {
		pk.seq = 1 + i * MSS;
		receive(100 + i * 10);
	}
	ck_assert_uint_eq(n_got, 5);
	for (unsigned i = 0; i < 5; i++)
		ck_assert(got[i].marks & SEG_CUT && got[i].seq == 1 + i * MSS);
	segments_stats(segs, &stats);
	ck_assert(stats.n_cut == 5 && stats.n_open == 10);
	end();
	ck_assert_uint_eq(n_got, 15);
	done();
}
END_TEST

/* What never comes on is let go after a while, so that memory does not grow. */
START_TEST(test_segment__nothing_stays_open)
{
	struct segments_stats stats;

	begin();
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t us = (uint64_t)i * S_US;

		pk.seq = i;
		pk.payload = 0;
		in(SEG_IN_DRIVER, us); /* GRO drops it */
		pk.payload = MSS;
		pk.seq = i * MSS;
		send_down(us, SEG_OUT_QDISC); /* the qdisc does */
	}
	segments_stats(segs, &stats);
	ck_assert_uint_lt(stats.n_open, 40);
	end();
	ck_assert_uint_eq(n_got, 2000);
	done();
}
END_TEST

/* Any order, any numbers: no crash, no endless search, and the parts still add up. */
START_TEST(test_segment__nonsense)
{
	uint32_t x = 1;

	begin();
	for (unsigned i = 0; i < 20000; i++) {
		x = x * 1103515245 + 12345;
		ev.ifindex = x >> 8 & 3;
		ev.netns = x >> 10 & 1;
		ev.cpu = x >> 11 & 8191;
		ev.rcv_nxt = x >> 3;
		ev.departure_ns = x >> 13 & 1 ? x : 0;
		pk.seq = x >> 5 & 0x3fff;
		pk.payload = x >> 7 & 0xfff;
		pk.tcp_flags = x >> 9 & 31;
		pk.headers = x >> 20 & 7;
		sk.cookie = x >> 12 & 3;
		pk.flow.lport = x >> 17 & 3;
		if (x >> 28 == 0)
			copy(i, pk.seq, pk.payload << (x >> 4 & 15));
		else if (x >> 28 == 1)
			write_at(i, pk.seq, pk.payload);
		else
			at(x >> 27 & 1 ? SEG_IN : SEG_OUT, (x >> 23) % (x >> 27 & 1 ? 11 : 8),
			   i - (x & 64), x >> 22 & 1 ? &sk : NULL);
	}
	end();
	done();
}
END_TEST

SUITE("segment", test_segment__received, test_segment__sent, test_segment__backlog,
      test_segment__unknown_layers, test_segment__departure_instead_of_tcp,
      test_segment__gro_merges, test_segment__gro_with_a_loss, test_segment__gro_keeps_acks_apart,
      test_segment__tcp_merges, test_segment__gso_splits, test_segment__gso_with_a_drop,
      test_segment__retransmit_after_a_drop, test_segment__retransmit_behind_the_first,
      test_segment__retransmit_of_a_part, test_segment__received_twice,
      test_segment__duplicate_acks, test_segment__ack_before_data,
      test_segment__lost_event_of_an_equal_packet, test_segment__syn_and_fin,
      test_segment__queue_by_socket, test_segment__head_of_line, test_segment__never_read,
      test_segment__lost_copy, test_segment__late_reader, test_segment__writes,
      test_segment__stacked_devices, test_segment__bridge, test_segment__sent_by_processor,
      test_segment__busy_driver, test_segment__complete_before_sent,
      test_segment__nat_on_the_way_in, test_segment__nat_on_the_way_out,
      test_segment__both_ends_here, test_segment__passing_through,
      test_segment__addresses_used_again, test_segment__listener, test_segment__sequence_wraps,
      test_segment__no_room, test_segment__nothing_stays_open, test_segment__nonsense)

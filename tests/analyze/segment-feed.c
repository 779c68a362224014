// SPDX-License-Identifier: GPL-2.0-or-later
#include "segment-feed.h"

#include "suite.h"

#define ALL_LAYERS ((1u << SEG_LAYERS) - 1)

struct segment got[4096];
unsigned n_got;
struct segments *segs;
struct segments_opts opts;
const struct seg_wire *wire;
struct seg_event ev;
struct wire pk;
struct sock sk;

static int on(void *ctx, const struct segment *s)
{
	struct segment again;
	uint64_t sum = 0;

	if (wire) {
		segments_wire(segs, wire, &again);
		s = &again;
	}
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

struct flow flow_of(unsigned local, unsigned lport, unsigned remote, unsigned rport)
{
	struct flow f = {.lport = (uint16_t)lport, .rport = (uint16_t)rport};

	f.laddr[10] = f.laddr[11] = f.raddr[10] = f.raddr[11] = 0xff;
	f.laddr[12] = f.raddr[12] = 10;
	f.laddr[15] = (uint8_t)local;
	f.raddr[15] = (uint8_t)remote;
	return f;
}

void begin_with(uint32_t in, uint32_t out)
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

void begin(void)
{
	begin_with(ALL_LAYERS, ALL_LAYERS);
}

void end(void)
{
	ck_assert_int_eq(segments_end(segs), 0);
}

void done(void)
{
	segments_free(segs);
	segs = NULL;
	opts.max_open = 0;
}

void at(enum seg_dir dir, unsigned layer, uint64_t us, const struct sock *sock)
{
	struct seg_event e = ev;

	e.dir = dir;
	e.layer = layer;
	e.ts_ns = us * US;
	e.sock = sock;
	e.packet = &pk;
	ck_assert_int_eq(segments_packet(segs, &e), 0);
}

void in(unsigned layer, uint64_t us)
{
	at(SEG_IN, layer, us, layer < SEG_IN_BACKLOG ? NULL : &sk);
}

void out(unsigned layer, uint64_t us)
{
	at(SEG_OUT, layer, us, &sk);
}

void copy(uint64_t us, uint32_t seq, uint32_t bytes)
{
	static const struct task reader = {.pid = 9, .comm = "reader"};
	struct seg_bytes c = {
		.ts_ns = us * US, .size = bytes, .sock = &sk, .task = &reader, .seq = seq};

	ck_assert_int_eq(segments_copy(segs, &c), 0);
}

void write_at(uint64_t us, uint32_t seq, uint32_t bytes)
{
	static const struct task writer = {.pid = 8, .comm = "writer"};
	struct seg_bytes w = {
		.ts_ns = us * US, .size = bytes, .sock = &sk, .task = &writer, .seq = seq};

	ck_assert_int_eq(segments_write(segs, &w), 0);
}

void sent(uint64_t us, uint32_t ifindex, uint32_t result)
{
	struct seg_event e = {.dir = SEG_OUT,
			      .layer = SEG_OUT_SENT,
			      .ts_ns = us * US,
			      .cpu = ev.cpu,
			      .ifindex = ifindex,
			      .result = result};

	ck_assert_int_eq(segments_packet(segs, &e), 0);
}

void at_socket(unsigned layer, uint64_t us, uint32_t next)
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

void receive(uint64_t us)
{
	for (unsigned l = SEG_IN_DRIVER; l <= SEG_IN_TCP; l++)
		in(l, us + l);
	in(SEG_IN_ESTABLISHED, us + 5);
	in(SEG_IN_QUEUE, us + 6);
	at_socket(SEG_IN_DONE, us + 7, pk.seq + pk.payload);
}

void send_down(uint64_t us, unsigned to)
{
	for (unsigned l = SEG_OUT_TCP; l <= to; l++)
		out(l, us + l);
}

void is_us(const struct segment *s, unsigned layer, uint64_t us)
{
	ck_assert_msg(s->known & SEG_BIT(layer), "layer %u is not known", layer);
	ck_assert_uint_eq(s->spent_ns[layer], us * US);
	ck_assert(!(s->spans & SEG_BIT(layer)));
}

void is_unknown(const struct segment *s, unsigned layer)
{
	ck_assert_msg(!(s->known & SEG_BIT(layer)), "layer %u is known", layer);
}

uint64_t total_us(const struct segment *s)
{
	return (s->end_ns - s->start_ns) / US;
}

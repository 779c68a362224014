// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture.h"
#include "suite.h"

/* ---- packets ---- */

struct bytes {
	uint8_t p[256];
	uint32_t len;
};

static void put(struct bytes *b, unsigned n, uint64_t big_endian)
{
	for (unsigned i = n; i-- > 0;)
		b->p[b->len++] = i < 8 ? (uint8_t)(big_endian >> 8 * i) : 0;
}

static void put_link(struct bytes *b, enum capture_link link, unsigned vlans, bool v6)
{
	static const uint32_t types[] = {[CAPTURE_ETHERNET] = 12, [CAPTURE_COOKED] = 14};

	if (link == CAPTURE_COOKED) {
		put(b, 2, 4); /* outgoing */
		b->len = 14;
	} else if (link == CAPTURE_ETHERNET) {
		b->len = types[link];
	}
	for (unsigned i = 0; i < vlans; i++)
		put(b, 4, i ? 0x81000000 : 0x88a80005);
	if (link != CAPTURE_RAW)
		put(b, 2, v6 ? 0x86dd : 0x0800);
	if (link == CAPTURE_COOKED2)
		b->len = 20; /* type 0: it came */
}

static void put_v6(struct bytes *b, uint32_t tcp_len, bool extension)
{
	put(b, 4, 0x60000000);
	put(b, 2, tcp_len + (extension ? 8 : 0));
	put(b, 2, extension ? 0x003c : 0x063c);
	for (unsigned i = 0; i < 2; i++) {
		put(b, 8, 0xfd09000000000000);
		put(b, 8, i + 1);
	}
	if (extension)
		put(b, 8, 0x0600010400000000);
}

static void put_v4(struct bytes *b, uint32_t tcp_len, unsigned options)
{
	put(b, 1, 0x45 + options);
	put(b, 1, 0);
	put(b, 2, 20 + 4 * options + tcp_len);
	put(b, 4, 0x12344000);
	put(b, 4, 0x40060000);
	put(b, 4, 0x0a090001);
	put(b, 4, 0x0a090002);
	put(b, 4 * options, 0);
}

#define PAYLOAD 1448

/* 46464 > 8080, seq 7, ack 9, PSH and ACK and AE, with options: 32 bytes of TCP, no payload. */
static uint32_t put_tcp(struct bytes *b)
{
	put(b, 4, 46464u << 16 | 8080);
	put(b, 4, 7);
	put(b, 4, 9);
	put(b, 2, 0x8118);
	put(b, 18, 0);
	return 32;
}

static const struct {
	enum capture_link link;
	unsigned vlans;
	bool v6, extra;
	enum capture_way way;
} packets[] = {
	{CAPTURE_ETHERNET, 0, false, false, CAPTURE_ANY},
	{CAPTURE_ETHERNET, 0, false, true, CAPTURE_ANY},
	{CAPTURE_ETHERNET, 2, true, false, CAPTURE_ANY},
	{CAPTURE_COOKED, 0, true, true, CAPTURE_OUT},
	{CAPTURE_COOKED, 1, false, false, CAPTURE_OUT},
	{CAPTURE_COOKED2, 0, false, false, CAPTURE_IN},
	{CAPTURE_RAW, 0, false, true, CAPTURE_ANY},
	{CAPTURE_RAW, 0, true, false, CAPTURE_ANY},
};

/* Returns where the flags end: what is captured of it must reach there. */
static uint32_t make(struct bytes *b, unsigned i)
{
	uint32_t flags_end;

	*b = (struct bytes){.len = 0};
	put_link(b, packets[i].link, packets[i].vlans, packets[i].v6);
	if (packets[i].v6)
		put_v6(b, 32 + PAYLOAD, packets[i].extra);
	else
		put_v4(b, 32 + PAYLOAD, packets[i].extra ? 3 : 0);
	flags_end = b->len + 14;
	put_tcp(b);
	return flags_end;
}

/* Cut at any length: short up to the flags, then the same, payload by the IP header. */
START_TEST(test_capture__packet)
{
	for (unsigned i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		struct bytes b;
		uint32_t enough = make(&b, i);

		for (uint32_t len = 0; len <= b.len; len++) {
			struct captured k = {0};
			struct flow f = {0};
			uint8_t *exact = malloc(len + !len); /* so that ASan sees one too many */
			enum capture_verdict v;

			memcpy(exact, b.p, len);
			v = capture_packet(packets[i].link, exact, len, b.len + PAYLOAD, &k, &f);
			free(exact);
			ck_assert_int_eq(v, len < enough ? CAPTURE_IS_SHORT : CAPTURE_IS_TCP);
			if (len < enough)
				continue;
			ck_assert_uint_eq(k.seq, 7);
			ck_assert_uint_eq(k.ack_seq, 9);
			ck_assert_uint_eq(k.payload, PAYLOAD);
			ck_assert_uint_eq(k.tcp_flags, 0x118);
			ck_assert_uint_eq(k.way, packets[i].way);
			ck_assert_uint_eq(f.lport, 46464);
			ck_assert_uint_eq(f.rport, 8080);
			ck_assert_int_eq(flow_addr_is_v4(f.laddr), !packets[i].v6);
			ck_assert_uint_eq(f.laddr[15], 1);
			ck_assert_uint_eq(f.raddr[15], 2);
		}
	}
}
END_TEST

static enum capture_verdict verdict(const struct bytes *b, uint32_t wire_len, uint32_t *payload)
{
	struct captured k = {0};
	struct flow f;
	enum capture_verdict v = capture_packet(CAPTURE_RAW, b->p, b->len, wire_len, &k, &f);

	*payload = k.payload;
	return v;
}

START_TEST(test_capture__other_packets)
{
	struct bytes b;
	uint32_t payload;

	make(&b, 6);
	b.p[9] = 17; /* UDP */
	ck_assert_int_eq(verdict(&b, b.len, &payload), CAPTURE_IS_OTHER);
	make(&b, 6);
	b.p[7] = 1; /* a later fragment */
	ck_assert_int_eq(verdict(&b, b.len, &payload), CAPTURE_IS_OTHER);
	make(&b, 6);
	b.p[2] = b.p[3] = 0; /* TSO: longer than IP can say */
	ck_assert_int_eq(verdict(&b, b.len + 100000, &payload), CAPTURE_IS_TCP);
	ck_assert_uint_eq(payload, 100000);
	make(&b, 6);
	b.p[2] = 0; /* shorter than its headers */
	b.p[3] = 40;
	ck_assert_int_eq(verdict(&b, b.len, &payload), CAPTURE_IS_OTHER);
	make(&b, 6);
	b.p[32 + 12] = 0x10; /* a TCP header of 4 bytes */
	ck_assert_int_eq(verdict(&b, b.len, &payload), CAPTURE_IS_OTHER);
	make(&b, 7);
	b.p[6] = 59; /* no next header */
	ck_assert_int_eq(verdict(&b, b.len, &payload), CAPTURE_IS_OTHER);
}
END_TEST

/* ---- files ---- */

static int file = -1;

static void put_file(const void *p, size_t len)
{
	ck_assert_int_eq(write(file, p, len), (ssize_t)len);
}

/* magic: of microseconds or nanoseconds, in this machine's order. */
static void begin_file(uint32_t magic, uint32_t link)
{
	uint32_t head[] = {magic, 2 | 4 << 16, 0, 0, 96, link};

	if (file >= 0)
		close(file);
	file = memfd_create("capture", MFD_CLOEXEC);
	put_file(head, sizeof(head));
}

static void put_packet(uint32_t s, uint32_t fraction, const struct bytes *b, uint32_t wire_len)
{
	uint32_t head[] = {s, fraction, b->len, wire_len};

	put_file(head, sizeof(head));
	put_file(b->p, b->len);
}

static int read_file(struct capture *c, struct fail *fail)
{
	char path[32];
	int rc;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	rc = capture_read(c, path, 0, UINT64_MAX, fail);
	c->path = "it";
	return rc;
}

START_TEST(test_capture__file)
{
	struct capture c;
	struct fail fail;
	struct bytes b;

	make(&b, 0);
	begin_file(0xa1b2c3d4, 1);
	put_packet(5, 17, &b, b.len + PAYLOAD);
	b.len = 20;
	put_packet(4, 999999, &b, 1500);
	ck_assert_int_eq(read_file(&c, &fail), 0);
	ck_assert_uint_eq(c.n, 1);
	ck_assert_uint_eq(c.n_all, 2);
	ck_assert_uint_eq(c.n_short, 1);
	ck_assert_uint_eq(c.first_ns, 4999999000);
	ck_assert_uint_eq(c.last_ns, 5000017000);
	ck_assert_uint_eq(c.packets[0].wall_ns, 5000017000);
	ck_assert(!c.has_ns);
	capture_fini(&c);
	begin_file(0xa1b23c4d, 1);
	make(&b, 0);
	put_packet(5, 17, &b, b.len + PAYLOAD);
	ck_assert_int_eq(read_file(&c, &fail), 0);
	ck_assert_uint_eq(c.packets[0].wall_ns, 5000000017);
	ck_assert(c.has_ns);
	capture_fini(&c);
}
END_TEST

START_TEST(test_capture__bad_files)
{
	struct capture c;
	struct fail fail;
	struct bytes b;

	make(&b, 0);
	begin_file(0xa1b2c3d4, 105); /* IEEE 802.11 */
	ck_assert_int_eq(read_file(&c, &fail), -1);
	ck_assert_int_eq(fail.status, STATUS_FOUND);
	ck_assert_ptr_nonnull(strstr(fail.text, "link type IEEE802_11 (105)"));
	capture_fini(&c);
	begin_file(0xa1b2c3d4, 1);
	put_packet(5, 17, &b, b.len);
	put_packet(5, 18, &b, b.len);
	ck_assert_int_eq(ftruncate(file, lseek(file, 0, SEEK_CUR) - 3), 0);
	ck_assert_int_eq(read_file(&c, &fail), -1);
	ck_assert_int_eq(fail.status, STATUS_FOUND);
	ck_assert_ptr_nonnull(strstr(fail.text, "cannot be read behind packet 1: truncated"));
	capture_fini(&c);
	begin_file(0x12345678, 1);
	ck_assert_int_eq(read_file(&c, &fail), -1);
	ck_assert_ptr_nonnull(strstr(fail.text, "no capture: "));
	capture_fini(&c);
	ck_assert_int_eq(capture_read(&c, "/nowhere", 0, UINT64_MAX, &fail), -1);
	ck_assert_int_eq(fail.status, STATUS_USAGE);
	capture_fini(&c);
}
END_TEST

/* ---- finding ---- */

static struct bytes segment_of(uint32_t seq, uint32_t ack, uint32_t payload, uint16_t flags)
{
	struct bytes b = {.len = 0};

	put_v4(&b, 20 + payload, 0);
	put(&b, 4, 46464u << 16 | 8080);
	put(&b, 4, seq);
	put(&b, 4, ack);
	put(&b, 2, 0x5000 | flags);
	put(&b, 6, 0);
	return b;
}

enum { SYN = 2, ACK = 16 };

static void add(uint32_t ms, uint32_t seq, uint32_t ack, uint32_t payload, uint16_t flags)
{
	struct bytes b = segment_of(seq, ack, payload, flags);

	put_packet(ms / 1000, ms % 1000 * 1000, &b, b.len + payload);
}

static struct capture c;

static void ready(void)
{
	struct fail fail;

	ck_assert_int_eq(read_file(&c, &fail), 0);
	capture_sort_by_key(&c);
}

static uint64_t found_ms; /* of the last packet; 0 none */
static unsigned found_n;

static enum capture_lack find_at(uint32_t ms, uint32_t seq, uint32_t ack, uint32_t payload,
				 uint16_t flags)
{
	struct capture_wanted w = {.flow = {.laddr = {[10] = 0xff, 0xff, 10, 9, 0, 1},
					    .raddr = {[10] = 0xff, 0xff, 10, 9, 0, 2},
					    .lport = 46464,
					    .rport = 8080},
				   .seq = seq,
				   .ack_seq = ack,
				   .payload = payload,
				   .tcp_flags = flags,
				   .first_ns = ms * 1000000ull,
				   .last_ns = ms * 1000000ull};
	struct capture_found f;
	enum capture_lack lack = capture_find(&c, &w, &f);

	found_ms = f.last_ns / 1000000;
	found_n = f.n;
	return lack;
}

/* Sent again: each is the one nearest to its own time, once. */
START_TEST(test_capture__sent_again)
{
	begin_file(0xa1b2c3d4, 101);
	add(1000, 100, 1, 1000, ACK);
	add(1030, 100, 1, 1000, ACK);
	add(1070, 100, 1, 1000, ACK);
	ready();
	ck_assert_int_eq(find_at(1031, 100, 1, 1000, ACK), CAPTURE_HAS);
	ck_assert_uint_eq(found_ms, 1030);
	ck_assert_int_eq(find_at(1069, 100, 1, 1000, ACK), CAPTURE_HAS);
	ck_assert_uint_eq(found_ms, 1070);
	ck_assert_int_eq(find_at(1001, 100, 1, 1000, ACK), CAPTURE_HAS);
	ck_assert_uint_eq(found_ms, 1000);
	ck_assert_int_eq(find_at(1001, 100, 1, 1000, ACK), CAPTURE_MISSED);
	capture_fini(&c);
}
END_TEST

/* One segment may be several packets, and one packet more than a segment. */
START_TEST(test_capture__pieces)
{
	begin_file(0xa1b2c3d4, 101);
	add(1000, 0xfffffe00, 1, 1000, ACK); /* across the end of the numbers */
	add(1040, 0xfffffe00 + 1000, 1, 1000, ACK);
	add(1080, 0xfffffe00 + 2000, 1, 500, ACK);
	add(1090, 5000, 1, 3000, ACK);
	add(1095, 9000, 1, 1000, ACK);
	ready();
	ck_assert_int_eq(find_at(1000, 0xfffffe00, 1, 2500, ACK), CAPTURE_HAS);
	ck_assert_uint_eq(found_n, 3);
	ck_assert_uint_eq(found_ms, 1080);
	ck_assert_int_eq(find_at(1090, 5000, 1, 1000, ACK), CAPTURE_HAS);
	ck_assert_int_eq(find_at(1095, 9000, 1, 2000, ACK), CAPTURE_PART);
	capture_fini(&c);
}
END_TEST

/* Without payload: by its ACK number and what it opens or closes. */
START_TEST(test_capture__no_payload)
{
	begin_file(0xa1b2c3d4, 101);
	add(1000, 100, 0, 0, SYN);
	add(1001, 100, 500, 0, ACK);
	add(1002, 100, 600, 0, ACK);
	ready();
	ck_assert_int_eq(find_at(1001, 100, 600, 0, ACK), CAPTURE_HAS);
	ck_assert_uint_eq(found_ms, 1002);
	ck_assert_int_eq(find_at(1001, 100, 700, 0, ACK), CAPTURE_MISSED);
	ck_assert_int_eq(find_at(1001, 100, 500, 0, ACK | SYN), CAPTURE_MISSED);
	ck_assert_int_eq(find_at(1001, 100, 0, 0, SYN), CAPTURE_HAS);
	capture_fini(&c);
}
END_TEST

START_TEST(test_capture__lacks)
{
	begin_file(0xa1b2c3d4, 101);
	add(1000, 100, 1, 1000, ACK);
	add(3000, 1100, 1, 1000, ACK);
	ready();
	ck_assert_int_eq(find_at(2000, 1100, 1, 1000, ACK), CAPTURE_FAR);
	ck_assert_int_eq(find_at(2000, 7, 1, 1000, ACK), CAPTURE_MISSED);
	ck_assert_int_eq(find_at(900, 7, 1, 1000, ACK), CAPTURE_OUTSIDE);
	ck_assert_int_eq(find_at(3100, 7, 1, 1000, ACK), CAPTURE_OUTSIDE);
	c.packets[0].flow = c.packets[1].flow = 0;
	map_fini(&c.by_flow);
	c.by_flow = (struct map){0};
	ck_assert_int_eq(find_at(1000, 100, 1, 1000, ACK), CAPTURE_UNKNOWN);
	capture_fini(&c);
}
END_TEST

/* Captured on several devices: the one that passed the same way, though another is nearer. */
START_TEST(test_capture__way)
{
	begin_file(0xa1b2c3d4, 101);
	add(1000, 100, 1, 1000, ACK);
	add(1003, 100, 1, 1000, ACK);
	ready();
	for (size_t i = 0; i < c.n; i++)
		c.packets[i].way = c.packets[i].wall_ns == 1000000000 ? CAPTURE_IN : CAPTURE_ANY;
	ck_assert_int_eq(find_at(1000, 100, 1, 1000, ACK), CAPTURE_HAS);
	ck_assert_uint_eq(found_ms, 1003);
	ck_assert_int_eq(find_at(1000, 100, 1, 1000, ACK), CAPTURE_HAS); /* better than none */
	ck_assert_uint_eq(found_ms, 1000);
	capture_fini(&c);
}
END_TEST

SUITE("capture", test_capture__packet, test_capture__other_packets, test_capture__file,
      test_capture__bad_files, test_capture__sent_again, test_capture__pieces,
      test_capture__no_payload, test_capture__lacks, test_capture__way)

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The headers of a captured packet, whose bytes may be anything. Of a fragmented packet only the
 * first fragment has a TCP header.
 */
#include <string.h>

#include "capture.h"
#include "cursor.h"

#define TCP 6
#define MAX_EXTENSIONS 8 /* of IPv6; and VLAN tags */

#define ETHER_IP 0x0800
#define ETHER_IPV6 0x86dd
#define ETHER_VLAN 0x8100 /* IEEE 802.1Q, 802.1ad, and what came before that */
#define ETHER_QINQ 0x88a8
#define ETHER_QINQ_OLD 0x9100

#define COOKED_OUTGOING 4 /* PACKET_OUTGOING of if_packet.h; 0 to 3: it came */

struct packet_in {
	struct tape_in in;
	uint32_t beyond; /* bytes of it that were not captured */
	struct captured *ret;
	struct flow *flow;
};

static uint32_t big16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t big32(const uint8_t *p)
{
	return big16(p) << 16 | big16(p + 2);
}

/* From here to its end, on the wire. */
static uint32_t left_on_wire(const struct packet_in *k)
{
	return (uint32_t)tape_in_left(&k->in) + k->beyond;
}

/* tcp_len: with its header. */
static enum capture_verdict take_tcp(struct packet_in *k, uint32_t tcp_len)
{
	const uint8_t *p = tape_in_bytes(&k->in, 14); /* up to the flags */
	uint32_t header;

	if (!p)
		return CAPTURE_IS_SHORT;
	header = (uint32_t)(p[12] >> 4) * 4;
	if (header < 20 || header > tcp_len)
		return CAPTURE_IS_OTHER;
	k->flow->lport = (uint16_t)big16(p);
	k->flow->rport = (uint16_t)big16(p + 2);
	k->ret->seq = big32(p + 4);
	k->ret->ack_seq = big32(p + 8);
	k->ret->tcp_flags = (uint16_t)((p[12] & 1) << 8 | p[13]);
	k->ret->payload = tcp_len - header;
	return CAPTURE_IS_TCP;
}

static void put_v4(uint8_t to[FLOW_ADDR_LEN], const uint8_t *p)
{
	memset(to, 0, 10);
	to[10] = to[11] = 0xff;
	memcpy(to + 12, p, 4);
}

/* What offload puts together may be longer than IP can say, which then says 0. */
static enum capture_verdict take_v4(struct packet_in *k)
{
	uint32_t on_wire = left_on_wire(k), header, len;
	const uint8_t *p = tape_in_bytes(&k->in, 20);

	if (!p)
		return CAPTURE_IS_SHORT;
	header = (uint32_t)(p[0] & 15) * 4;
	len = big16(p + 2) ? big16(p + 2) : on_wire;
	if (p[0] >> 4 != 4 || header < 20 || header > len || p[9] != TCP || big16(p + 6) & 0x1fff)
		return CAPTURE_IS_OTHER;
	put_v4(k->flow->laddr, p + 12);
	put_v4(k->flow->raddr, p + 16);
	if (!tape_in_bytes(&k->in, header - 20))
		return CAPTURE_IS_SHORT;
	return take_tcp(k, len - header);
}

/* Bytes of an extension header that stands before TCP's; 0: it does not. */
static uint32_t extension_len(uint8_t kind, const uint8_t *p)
{
	switch (kind) {
	case 0:	 /* hop by hop */
	case 43: /* routing */
	case 60: /* destination */ return ((uint32_t)p[1] + 1) * 8;
	case 51: /* authentication */ return ((uint32_t)p[1] + 2) * 4;
	case 44: /* fragment */ return big16(p + 2) & 0xfff8 ? 0 : 8;
	default: return 0;
	}
}

static enum capture_verdict take_v6(struct packet_in *k)
{
	const uint8_t *p = tape_in_bytes(&k->in, 40);
	uint32_t len;
	uint8_t kind;

	if (!p)
		return CAPTURE_IS_SHORT;
	len = big16(p + 4) ? big16(p + 4) : left_on_wire(k);
	kind = p[6];
	if (p[0] >> 4 != 6)
		return CAPTURE_IS_OTHER;
	memcpy(k->flow->laddr, p + 8, FLOW_ADDR_LEN);
	memcpy(k->flow->raddr, p + 24, FLOW_ADDR_LEN);
	for (unsigned i = 0; i < MAX_EXTENSIONS && kind != TCP; i++) {
		uint32_t extension;

		p = tape_in_bytes(&k->in, 8);
		if (!p)
			return CAPTURE_IS_SHORT;
		extension = extension_len(kind, p);
		if (!extension || extension > len)
			return CAPTURE_IS_OTHER;
		kind = p[0];
		len -= extension;
		if (!tape_in_bytes(&k->in, extension - 8))
			return CAPTURE_IS_SHORT;
	}
	return kind == TCP ? take_tcp(k, len) : CAPTURE_IS_OTHER;
}

static enum capture_verdict take_type(struct packet_in *k, uint32_t type)
{
	for (unsigned i = 0; i < MAX_EXTENSIONS; i++) {
		const uint8_t *p;

		if (type != ETHER_VLAN && type != ETHER_QINQ && type != ETHER_QINQ_OLD)
			break;
		p = tape_in_bytes(&k->in, 4);
		if (!p)
			return CAPTURE_IS_SHORT;
		type = big16(p + 2);
	}
	if (type == ETHER_IP)
		return take_v4(k);
	return type == ETHER_IPV6 ? take_v6(k) : CAPTURE_IS_OTHER;
}

static enum capture_verdict take_link(struct packet_in *k, uint32_t header_len, unsigned type_at,
				      int way_at)
{
	const uint8_t *p = tape_in_bytes(&k->in, header_len);

	if (!p)
		return CAPTURE_IS_SHORT;
	if (way_at >= 0)
		k->ret->way = p[way_at] == COOKED_OUTGOING ? CAPTURE_OUT : CAPTURE_IN;
	return take_type(k, big16(p + type_at));
}

static enum capture_verdict take_raw(struct packet_in *k)
{
	if (!tape_in_left(&k->in))
		return CAPTURE_IS_SHORT;
	return *k->in.p >> 4 == 4 ? take_v4(k) : take_v6(k);
}

enum capture_verdict capture_packet(enum capture_link link, const uint8_t *p, uint32_t len,
				    uint32_t wire_len, struct captured *ret, struct flow *flow)
{
	struct packet_in k = {.in = tape_in(p, len),
			      .beyond = wire_len > len ? wire_len - len : 0,
			      .ret = ret,
			      .flow = flow};

	ret->way = CAPTURE_ANY;
	switch (link) {
	case CAPTURE_ETHERNET: return take_link(&k, 14, 12, -1);
	case CAPTURE_COOKED: return take_link(&k, 16, 14, 1);
	case CAPTURE_COOKED2: return take_link(&k, 20, 0, 10);
	case CAPTURE_RAW: break;
	}
	return take_raw(&k);
}

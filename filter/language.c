// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

#define IPPROTO_TCP_NUMBER 6
#define MAX_TEXT 4096

struct reason {
	char *text;
	size_t len;
};

/* -1 */
__attribute__((format(printf, 2, 3))) static int refuse(const struct reason *why, const char *fmt,
							...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, why->len, fmt, ap);
	va_end(ap);
	return -1;
}

/* ---- what may stand in an expression ---- */

static const char *const words[] = {
	"host", "net", "mask", "port", "portrange", "ip",  "ip6",
	"tcp",	"src", "dst",  "and",  "or",	    "not",
};

static bool is_word(const char *s, size_t len)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i]) == len && !memcmp(words[i], s, len))
			return true;
	return false;
}

/* A number, an address or a network: digits, and for IPv6 a colon. */
static bool is_number(const char *s, size_t len)
{
	bool colon = memchr(s, ':', len) != NULL;

	for (size_t i = 0; i < len; i++)
		if (!(colon ? isxdigit((unsigned char)s[i]) : isdigit((unsigned char)s[i])) &&
		    !strchr(":./-", s[i]))
			return false;
	return true;
}

static size_t token_len(const char *s)
{
	size_t len = 0;

	while (s[len] && !isspace((unsigned char)s[len]) && !strchr("()!&|", s[len]))
		len++;
	return len;
}

static bool is_port_word(const char *s, size_t len)
{
	return (len == 4 && !memcmp(s, "port", 4)) || (len == 9 && !memcmp(s, "portrange", 9));
}

/*
 * Only what a connection has may be asked for. libpcap would take more, and then never match, or
 * match what is not so.
 */
static int check_words(const char *s, const struct reason *why)
{
	bool after_port = false;

	while (*s) {
		size_t len = token_len(s);

		if (!len) {
			s++; /* blank, bracket or operator: libpcap checks those */
			continue;
		}
		if (memchr(s, '[', len) || memchr(s, ']', len))
			return refuse(why,
				      "'%.*s' looks into a packet; a filter here chooses "
				      "connections by host, "
				      "net, port, portrange, ip, ip6, src, dst",
				      (int)len, s);
		if (!is_word(s, len) && !is_number(s, len) && !after_port)
			return refuse(why,
				      "'%.*s' is nothing that a connection has; use host, net, "
				      "port, portrange, "
				      "ip, ip6, src, dst, and, or, not, with addresses in numbers",
				      (int)len, s);
		after_port = is_port_word(s, len);
		s += len;
	}
	return 0;
}

/* Whether one end is told from the other; else the program takes a packet as it takes its answer.
 */
static bool has_direction(const char *s)
{
	for (size_t len; *s; s += len ? len : 1) {
		len = token_len(s);
		if (len == 3 && (!memcmp(s, "src", 3) || !memcmp(s, "dst", 3)))
			return true;
	}
	return false;
}

/* ---- the compiled program ---- */

/* Offsets in an IPv4 or IPv6 header without options, then in TCP, that we fill with the truth. */
static bool is_known_load(const struct bpf_insn *in)
{
	switch (in->code) {
	case BPF_LD | BPF_B |
		BPF_ABS: /* version; protocol; next header; behind a fragment header */
		return in->k == 0 || in->k == 9 || in->k == 6 || in->k == 40;
	case BPF_LD | BPF_H | BPF_ABS: /* fragment; ports of IPv6; half an address */
		return in->k == 6 || in->k == 40 || in->k == 42 || (in->k >= 8 && in->k <= 38);
	case BPF_LD | BPF_W | BPF_ABS: /* addresses */ return in->k >= 8 && in->k <= 36;
	case BPF_LD | BPF_H | BPF_IND: /* ports of IPv4 */ return in->k == 0 || in->k == 2;
	case BPF_LDX | BPF_B | BPF_MSH: /* length of the IPv4 header */ return in->k == 0;
	case BPF_LD | BPF_IMM:
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_IMM:
	case BPF_LDX | BPF_MEM: return true;
	default: return BPF_CLASS(in->code) != BPF_LD && BPF_CLASS(in->code) != BPF_LDX;
	}
}

static int check_program(const struct bpf_program *p, const struct reason *why)
{
	for (unsigned i = 0; i < p->bf_len; i++)
		if (!is_known_load(&p->bf_insns[i]))
			return refuse(why, "the expression needs more of a packet than its "
					   "addresses and ports");
	return 0;
}

static int compile(struct filter *f, const char *expression, const struct reason *why)
{
	pcap_t *p = pcap_open_dead(DLT_RAW, 65535);
	int rc = 0;

	if (!p)
		return -2;
	if (pcap_compile(p, &f->program, expression, 1, PCAP_NETMASK_UNKNOWN)) {
		rc = refuse(why, "%s", pcap_geterr(p));
	} else if (check_program(&f->program, why)) {
		pcap_freecode(&f->program);
		rc = -1;
	}
	pcap_close(p);
	return rc;
}

int filter_new(struct filter **ret, const char *expression, char *text, size_t len)
{
	struct reason why = {text, len};
	struct filter *f;
	int rc;

	if (strlen(expression) > MAX_TEXT)
		return refuse(&why, "the expression is longer than %d bytes", MAX_TEXT);
	if (check_words(expression, &why))
		return -1;
	f = calloc(1, sizeof(*f));
	rc = f ? compile(f, expression, &why) : -2;
	if (rc) {
		free(f);
		return rc;
	}
	f->has_direction = has_direction(expression);
	*ret = f;
	return 0;
}

void filter_free(struct filter *f)
{
	if (!f)
		return;
	pcap_freecode(&f->program);
	free(f);
}

/* ---- matching ---- */

static void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* IP and TCP headers from src to dst; returns their length. */
static unsigned make_packet(uint8_t *p, unsigned version, const uint8_t *src, const uint8_t *dst,
			    uint16_t sport, uint16_t dport)
{
	unsigned ip_len = version == 4 ? 20 : 40, len = ip_len + 20;

	memset(p, 0, len);
	if (version == 4) {
		p[0] = 0x45;
		p[3] = (uint8_t)len;
		p[9] = IPPROTO_TCP_NUMBER;
		memcpy(p + 12, src + 12, 4);
		memcpy(p + 16, dst + 12, 4);
	} else {
		p[0] = 0x60;
		p[5] = 20;
		p[6] = IPPROTO_TCP_NUMBER;
		memcpy(p + 8, src, 16);
		memcpy(p + 24, dst, 16);
	}
	put_u16(p + ip_len, sport);
	put_u16(p + ip_len + 2, dport);
	p[ip_len + 12] = 5 << 4;
	return len;
}

static bool is_v4(const uint8_t addr[FILTER_ADDR_LEN])
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(addr, prefix, sizeof(prefix));
}

bool filter_match(const struct filter *f, const struct filter_flow *flow)
{
	unsigned version = is_v4(flow->laddr) || is_v4(flow->raddr) ? 4 : 6, len;
	uint8_t p[60];

	len = make_packet(p, version, flow->laddr, flow->raddr, flow->lport, flow->rport);
	if (bpf_filter(f->program.bf_insns, p, len, len))
		return true;
	len = make_packet(p, version, flow->raddr, flow->laddr, flow->rport, flow->lport);
	return bpf_filter(f->program.bf_insns, p, len, len) != 0;
}

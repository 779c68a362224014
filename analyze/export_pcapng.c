// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packets for Wireshark: pcapng (draft-ietf-opsawg-pcapng), the headers of each segment as it was
 * nearest to the wire, without its bytes, and what the trace knows beside as a comment: time in
 * each layer, connection, process; and of packets that the kernel dropped, why.
 *
 * A segment that this host sent to itself (loopback, two network namespaces) is one packet, with
 * the comments of both its ends.
 *
 * What a trace does not have: windows (65535 stands for them), options, checksums (0), IP ids and
 * time to live (0 and 64, but of drops).
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delay.h"
#include "export.h"
#include "packet.h"
#include "segment_read.h"

#define LINKTYPE_RAW 101 /* an IP header comes first */
#define WINDOW 65535
#define TTL 64
#define MAX_DROPS 100000
#define HELD 16384 /* segments that wait for earlier ones, which are complete later */
#define MAX_INTERFACES 4096

enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_PACKET = 6 };
enum { OPT_END = 0, OPT_COMMENT = 1, OPT_IF_NAME = 2, OPT_EPB_FLAGS = 2, OPT_IF_DESCRIPTION = 3 };
enum { OPT_SHB_OS = 3, OPT_SHB_APPL = 4, OPT_IF_TSRESOL = 9 };
enum { INBOUND = 1, OUTBOUND = 2 };

struct pcap_packet {
	uint64_t ns, key; /* key: its headers and direction */
	uint32_t netns, ifindex, seq, ack_seq, payload;
	uint16_t tcp_flags;
	uint8_t ttl, direction; /* 0: not known */
	struct flow flow;	/* local: the source */
	char *comment;
};

struct pcapng {
	struct export *x;
	struct segment_read read;
	struct pcap_packet *held[HELD]; /* a heap, the earliest first */
	size_t n_held;
	struct map by_key;	   /* those of them that the other end may still be found of */
	struct pcap_packet *drops; /* in the order of time */
	size_t n_drops, next_drop, n_more_drops;
	uint64_t interfaces[MAX_INTERFACES]; /* netns << 32 | ifindex */
	unsigned n_interfaces;
	uint64_t n_packets;
};

/* ---- blocks ---- */

static void put16(struct text *t, uint16_t v)
{
	text_add(t, (const char *)&v, 2);
}

static void put32(struct text *t, uint32_t v)
{
	text_add(t, (const char *)&v, 4);
}

static void put_padded(struct text *t, const void *s, size_t len)
{
	text_add(t, s, len);
	text_add(t, "\0\0\0", -len & 3);
}

static void put_option(struct text *t, uint16_t code, const void *s, size_t len)
{
	if (len > UINT16_MAX)
		len = UINT16_MAX;
	put16(t, code);
	put16(t, (uint16_t)len);
	put_padded(t, s, len);
}

/* In the byte order of this machine, which the section header tells. */
static size_t begin_block(struct text *t, uint32_t type)
{
	size_t start = t->len;

	put32(t, type);
	put32(t, 0);
	return start;
}

static void end_block(struct text *t, size_t start)
{
	uint32_t len = (uint32_t)(t->len - start) + 4;

	put32(t, len);
	if (!t->failed)
		memcpy(t->s + start + 4, &len, 4);
}

/* Text that may come from the trace. */
static void put_text_option(struct text *t, uint16_t code, const char *s)
{
	struct text safe = {0};

	text_safe(&safe, s, strlen(s));
	put_option(t, code, safe.s ? safe.s : "", safe.len);
	text_fini(&safe);
}

static void put_section(struct pcapng *p, struct text *t)
{
	struct input *in = p->x->run->in;
	const char *host = input_meta(in, "host"), *kernel = input_meta(in, "kernel.release");
	size_t block = begin_block(t, BLOCK_SECTION);
	char comment[256];

	put32(t, 0x1a2b3c4d);
	put16(t, 1);
	put16(t, 0);
	put32(t, UINT32_MAX); /* length of the section: not told */
	put32(t, UINT32_MAX);
	snprintf(comment, sizeof(comment),
		 "made from a trace of host %s by tcptape: headers of TCP segments as the kernel "
		 "saw "
		 "them; windows, options and checksums were not recorded",
		 host ? host : "?");
	put_text_option(t, OPT_COMMENT, comment);
	if (kernel)
		put_text_option(t, OPT_SHB_OS, kernel);
	put_text_option(t, OPT_SHB_APPL, "tcptape " TCPTAPE_VERSION);
	put_option(t, OPT_END, "", 0);
	end_block(t, block);
}

/* Its number; made known when the first packet needs it. */
static uint32_t interface_of(struct pcapng *p, struct text *t, uint32_t netns, uint32_t ifindex)
{
	uint64_t key = (uint64_t)netns << 32 | ifindex;
	const char *name = by_interface_name(&p->read.who, netns, ifindex);
	uint8_t nanoseconds = 9;
	char text[64];
	size_t block;

	for (unsigned i = 0; i < p->n_interfaces; i++)
		if (p->interfaces[i] == key)
			return i;
	if (p->n_interfaces == MAX_INTERFACES)
		return MAX_INTERFACES - 1;
	block = begin_block(t, BLOCK_INTERFACE);
	put16(t, LINKTYPE_RAW);
	put16(t, 0);
	put32(t, 0); /* no limit of length */
	snprintf(text, sizeof(text), "if%u", ifindex);
	put_text_option(t, OPT_IF_NAME, name ? name : text);
	snprintf(text, sizeof(text), "network namespace %u", netns);
	put_text_option(t, OPT_IF_DESCRIPTION, text);
	put_option(t, OPT_IF_TSRESOL, &nanoseconds, 1);
	put_option(t, OPT_END, "", 0);
	end_block(t, block);
	p->interfaces[p->n_interfaces] = key;
	return p->n_interfaces++;
}

/* ---- headers ---- */

static uint16_t ip_checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint8_t *store16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *store32(uint8_t *p, uint32_t v)
{
	return store16(store16(p, v >> 16), v);
}

#define V4_HEADER 20
#define V6_HEADER 40
#define TCP_HEADER 20

/* A packet that GSO keeps together may be longer than IP can say: 0 then, as captures have it. */
static size_t put_ip(uint8_t *p, const struct pcap_packet *k)
{
	uint32_t len = TCP_HEADER + k->payload;

	if (flow_addr_is_v4(k->flow.laddr)) {
		len += V4_HEADER;
		memset(p, 0, V4_HEADER);
		p[0] = 0x45;
		store16(p + 2, len <= UINT16_MAX ? len : 0);
		p[6] = 0x40; /* don't fragment */
		p[8] = k->ttl;
		p[9] = IPPROTO_TCP;
		memcpy(p + 12, k->flow.laddr + 12, 4);
		memcpy(p + 16, k->flow.raddr + 12, 4);
		store16(p + 10, ip_checksum(p, V4_HEADER));
		return V4_HEADER;
	}
	memset(p, 0, V6_HEADER);
	p[0] = 0x60;
	store16(p + 4, len <= UINT16_MAX ? len : 0);
	p[6] = IPPROTO_TCP;
	p[7] = k->ttl;
	memcpy(p + 8, k->flow.laddr, FLOW_ADDR_LEN);
	memcpy(p + 24, k->flow.raddr, FLOW_ADDR_LEN);
	return V6_HEADER;
}

static size_t put_headers(uint8_t *p, const struct pcap_packet *k)
{
	size_t len = put_ip(p, k);

	p += len;
	p = store16(p, k->flow.lport);
	p = store16(p, k->flow.rport);
	p = store32(p, k->seq);
	p = store32(p, k->ack_seq);
	p = store16(p, TCP_HEADER / 4 << 12 | (k->tcp_flags & 0x1ff));
	p = store16(p, WINDOW);
	memset(p, 0, 4);
	return len + TCP_HEADER;
}

static int put_packet(struct pcapng *p, const struct pcap_packet *k)
{
	struct export_file *f = &p->x->one;
	struct text *t = &f->text;
	uint64_t wall = input_wall(p->x->run->in, k->ns), at = wall ? wall : k->ns;
	uint32_t interface = interface_of(p, t, k->netns, k->ifindex), flags = k->direction;
	uint8_t headers[V6_HEADER + TCP_HEADER];
	size_t len = put_headers(headers, k), block = begin_block(t, BLOCK_PACKET);

	put32(t, interface);
	put32(t, (uint32_t)(at >> 32));
	put32(t, (uint32_t)at);
	put32(t, (uint32_t)len);
	put32(t, (uint32_t)len + k->payload);
	put_padded(t, headers, len);
	put_text_option(t, OPT_COMMENT, k->comment ? k->comment : "");
	if (flags)
		put_option(t, OPT_EPB_FLAGS, &flags, 4);
	put_option(t, OPT_END, "", 0);
	end_block(t, block);
	p->n_packets++;
	return export_flush(p->x, f, false);
}

/* ---- in the order of time ---- */

static int put_drops(struct pcapng *p, uint64_t to_ns)
{
	while (p->next_drop < p->n_drops && p->drops[p->next_drop].ns <= to_ns)
		if (put_packet(p, &p->drops[p->next_drop++]))
			return -1;
	return 0;
}

static void swap(struct pcap_packet **a, struct pcap_packet **b)
{
	struct pcap_packet *c = *a;

	*a = *b;
	*b = c;
}

static void free_packet(struct pcap_packet *k)
{
	free(k->comment);
	free(k);
}

/* The one that stands there goes down to its place. */
static void sift(struct pcapng *p, size_t at)
{
	for (;;) {
		size_t least = at, left = 2 * at + 1, right = left + 1;

		if (left < p->n_held && p->held[left]->ns < p->held[least]->ns)
			least = left;
		if (right < p->n_held && p->held[right]->ns < p->held[least]->ns)
			least = right;
		if (least == at)
			return;
		swap(&p->held[at], &p->held[least]);
		at = least;
	}
}

static int pop(struct pcapng *p)
{
	struct pcap_packet *first = p->held[0];
	int rc = put_drops(p, first->ns);

	p->held[0] = p->held[--p->n_held];
	sift(p, 0);
	if (map_get(&p->by_key, first->key) == first)
		map_del(&p->by_key, first->key);
	rc = rc ? rc : put_packet(p, first);
	free_packet(first);
	return rc;
}

static uint64_t key_of(const struct pcap_packet *k, unsigned direction)
{
	struct { /* without padding */
		struct flow flow;
		uint32_t seq, ack_seq, payload, flags;
	} key = {k->flow, k->seq, k->ack_seq, k->payload, (uint32_t)k->tcp_flags << 8 | direction};

	return map_hash(&key, sizeof(key));
}

/* Another end of a packet that is here already: it gets the comment, and stands at the earlier
 * time. */
static int join(struct pcap_packet *held, struct pcap_packet *other)
{
	const struct pcap_packet *sent = held->direction == OUTBOUND ? held : other;
	const struct pcap_packet *received = sent == held ? other : held;
	char *both = NULL;

	if (asprintf(&both, "%s; received: %s", sent->comment ? sent->comment : "",
		     received->comment ? received->comment : "") < 0)
		return -1;
	free(held->comment);
	held->comment = both;
	held->direction = 0;
	free_packet(other);
	return 0;
}

static int push(struct pcapng *p, struct pcap_packet *k)
{
	struct pcap_packet *other =
		map_get(&p->by_key, key_of(k, INBOUND + OUTBOUND - k->direction));
	size_t at;

	k->key = key_of(k, k->direction);
	if (other) {
		map_del(&p->by_key, other->key);
		return join(other, k) ? fail_nomem(p->x->run->fail) : 0;
	}
	if (p->n_held == HELD && pop(p))
		return -1;
	at = p->n_held++;
	p->held[at] = k;
	for (; at && p->held[(at - 1) / 2]->ns > p->held[at]->ns; at = (at - 1) / 2)
		swap(&p->held[(at - 1) / 2], &p->held[at]);
	return map_put(&p->by_key, k->key, k) ? fail_nomem(p->x->run->fail) : 0;
}

static int pop_all(struct pcapng *p)
{
	while (p->n_held)
		if (pop(p))
			return -1;
	return put_drops(p, UINT64_MAX);
}

/* ---- segments ---- */

static char *comment_of(const struct segment *s, const struct conn *owner)
{
	char cookie[COOKIE_TEXT_LEN], end[FLOW_END_LEN];
	struct text t = {0};
	struct task room;
	const struct task *task = s->task.pid ? &s->task : conn_task(owner, &room);

	if (s->cookie)
		text_fmt(&t, "connection %s, ", cookie_text(s->cookie, cookie));
	if (task)
		text_fmt(&t, "%.*s[%u], ", EV_COMM_LEN, task->comm, task->pid);
	if (s->marks & SEG_NAT) {
		text_fmt(&t, "its socket has %s ",
			 flow_end_text(s->inner.laddr, s->inner.lport, end));
		text_fmt(&t, "> %s, ", flow_end_text(s->inner.raddr, s->inner.rport, end));
	}
	text_fmt(&t, "%.3f us:", (double)(s->end_ns - s->start_ns) / 1000);
	for (const struct delay_layer *l = delay_layers(s->dir); l->title; l++)
		if (s->known & SEG_BIT(l->layer))
			text_fmt(&t, " %s %.3f", l->name, (double)s->spent_ns[l->layer] / 1000);
	text_add(&t, "", 1);
	return t.s; /* NULL: no memory; the packet stands without */
}

/* When it was nearest to the wire. */
static uint64_t wire_ns(const struct segment *s)
{
	if (s->dir == SEG_IN)
		return s->start_ns;
	for (unsigned l = SEG_OUT_SENT; l > SEG_OUT_WRITE; l--)
		if (s->seen & SEG_BIT(l))
			return s->first_ns[l];
	return s->end_ns;
}

static int on_segment(void *ctx, const struct segment *s, const struct conn *owner)
{
	struct pcapng *p = ctx;
	struct pcap_packet *copy, k = {.ns = wire_ns(s),
				       .netns = s->netns,
				       .ifindex = s->ifindex,
				       .seq = s->seq,
				       .ack_seq = s->ack_seq,
				       .payload = s->payload,
				       .tcp_flags = s->tcp_flags,
				       .ttl = TTL,
				       .direction = s->dir == SEG_IN ? INBOUND : OUTBOUND,
				       .flow = s->dir == SEG_IN ? flow_turned(&s->wire) : s->wire,
				       .comment = comment_of(s, owner)};

	copy = malloc(sizeof(*copy));
	if (!copy) {
		free(k.comment);
		return fail_nomem(p->x->run->fail);
	}
	*copy = k;
	return push(p, copy);
}

/* ---- drops ---- */

enum {
	D_FLOW,
	D_NETNS,
	D_IFINDEX,
	D_REASON,
	D_SEQ,
	D_ACK,
	D_PAYLOAD,
	D_FLAGS,
	D_TTL,
	D_HEADERS,
	D_N
};
static const struct bind_field drop_fields[D_N] = {
	{"flow", BIND_FLOW}, {"netns", BIND_INT},   {"ifindex", BIND_INT}, {"reason", BIND_INT},
	{"seq", BIND_INT},   {"ack_seq", BIND_INT}, {"payload", BIND_INT}, {"tcp_flags", BIND_INT},
	{"ttl", BIND_INT},   {"headers", BIND_INT}};

static int on_drop(void *ctx, const struct bind_row *row)
{
	struct pcapng *p = ctx;
	const struct tape_schema *schema = input_schema(p->x->run->in);
	uint64_t reason = bind_get(row, D_REASON, 0);
	const char *name = tape_schema_name(schema, "drop_reason", reason);
	struct pcap_packet k = {.ns = row->ts_ns, .ttl = (uint8_t)bind_get(row, D_TTL, TTL)};
	struct text t = {0};

	if (!(bind_get(row, D_HEADERS, 0) & BIND_PACKET_TCP) ||
	    !bind_flow(row->tables, bind_get(row, D_FLOW, 0), &k.flow))
		return 0; /* nothing that could be shown as a packet */
	if (p->n_drops == MAX_DROPS) {
		p->n_more_drops++;
		return 0;
	}
	k.netns = (uint32_t)bind_get(row, D_NETNS, 0);
	k.ifindex = (uint32_t)bind_get(row, D_IFINDEX, 0);
	k.seq = (uint32_t)bind_get(row, D_SEQ, 0);
	k.ack_seq = (uint32_t)bind_get(row, D_ACK, 0);
	k.payload = (uint32_t)bind_get(row, D_PAYLOAD, 0);
	k.tcp_flags = (uint16_t)bind_get(row, D_FLAGS, 0);
	text_fmt(&t, "dropped by the kernel: %s", name ? name : "it does not tell why");
	text_add(&t, "", 1);
	k.comment = t.s;
	p->drops[p->n_drops++] = k;
	return 0;
}

static int read_drops(struct pcapng *p)
{
	struct bind bind = {
		.record = "drop", .fields = drop_fields, .n_fields = D_N, .on = on_drop};
	struct input_job job = {.binds = &bind, .n_binds = 1, .ctx = p};
	struct cmd_run *run = p->x->run;

	if (input_run(run->in, &job, run->fail))
		return -1;
	return input_rewind(run->in, run->fail);
}

/* ---- the file ---- */

static int find_directions(struct pcapng *p)
{
	struct cmd_run *run = p->x->run;
	struct fail in, out;

	p->read.dirs[SEG_IN] = p->x->received && !input_needs(run->in, "rx", "rx", &in);
	p->read.dirs[SEG_OUT] = p->x->sent && !input_needs(run->in, "tx", "tx", &out);
	if (p->read.dirs[SEG_IN] || p->read.dirs[SEG_OUT])
		return segment_read_begin(&p->read, run);
	*run->fail = p->x->received ? in : out;
	return -1;
}

static int write_packets(struct pcapng *p)
{
	struct cmd_run *run = p->x->run;

	p->drops = calloc(MAX_DROPS, sizeof(*p->drops));
	if (!p->drops)
		return fail_nomem(run->fail);
	if (export_open(p->x, &p->x->one, NULL, NULL))
		return -1;
	put_section(p, &p->x->one.text);
	if (read_drops(p) || segment_read_run(&p->read) || pop_all(p))
		return -1;
	if (p->n_more_drops)
		out_note(run->out, "%zu drops more than %d are left out", p->n_more_drops,
			 MAX_DROPS);
	if (p->n_interfaces == MAX_INTERFACES)
		out_note(run->out, "more than %d interfaces: the last stands for the others",
			 MAX_INTERFACES - 1);
	return 0;
}

int export_pcapng(struct export *x)
{
	struct pcapng *p = calloc(1, sizeof(*p));
	int rc = p ? 0 : fail_nomem(x->run->fail);

	if (!rc) {
		p->x = x;
		p->read.on = on_segment;
		p->read.ctx = p;
		rc = find_directions(p);
	}
	if (!rc)
		rc = write_packets(p);
	if (!p)
		return rc;
	for (size_t i = 0; i < p->n_held; i++)
		free_packet(p->held[i]);
	for (size_t i = 0; i < p->n_drops; i++)
		free(p->drops[i].comment);
	segment_read_fini(&p->read);
	map_fini(&p->by_key);
	free(p->drops);
	free(p);
	return rc;
}

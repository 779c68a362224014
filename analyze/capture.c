// SPDX-License-Identifier: GPL-2.0-or-later
#include "capture.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

const char *const capture_lacks[CAPTURE_LACKS] = {
	[CAPTURE_PART] = "part",       [CAPTURE_MISSED] = "missed",   [CAPTURE_FAR] = "far",
	[CAPTURE_OUTSIDE] = "outside", [CAPTURE_UNKNOWN] = "unknown",
};

#define FLAG_FIN 1u
#define FLAG_SYN 2u
#define FLAG_RST 4u
#define MAX_TRIES 1024 /* packets alike that are looked at on each side of a time */

void capture_fini(struct capture *c)
{
	free(c->packets);
	free(c->flows);
	map_fini(&c->by_flow);
}

/* ---- what is kept ---- */

/* Room for one more of n. false: no memory. */
static bool make_room(void **list, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? 2 * *cap : 256;
	void *p = n < *cap ? *list : realloc(*list, more * size);

	if (!p)
		return false;
	if (n >= *cap)
		*cap = more;
	*list = p;
	return true;
}

/* Data is known by its first byte; what has none, by what it says. */
static uint64_t key_of(uint32_t flow, uint32_t seq, uint32_t ack_seq, uint32_t payload,
		       uint32_t tcp_flags)
{
	uint32_t key[4] = {flow, seq, payload ? 0 : ack_seq,
			   payload ? 8 : tcp_flags & (FLAG_FIN | FLAG_SYN | FLAG_RST)};

	return map_hash(key, sizeof(key));
}

int64_t capture_flow(const struct capture *c, const struct flow *flow)
{
	return (int64_t)(uintptr_t)map_get(&c->by_flow, map_hash(flow, sizeof(*flow))) - 1;
}

static int keep_flow(struct capture *c, const struct flow *flow, uint32_t *ret)
{
	int64_t at = capture_flow(c, flow);

	if (at < 0) {
		if (!make_room((void **)&c->flows, c->n_flows, &c->cap_flows, sizeof(*c->flows)) ||
		    map_put(&c->by_flow, map_hash(flow, sizeof(*flow)),
			    (void *)(uintptr_t)(c->n_flows + 1)))
			return -1;
		at = (int64_t)c->n_flows;
		c->flows[c->n_flows++] = *flow;
	}
	*ret = (uint32_t)at;
	return 0;
}

/* 0, or -1: no memory. */
static int keep(struct capture *c, struct captured *k, const struct flow *flow)
{
	if (c->n >= CAPTURE_MAX) {
		c->n_over++;
		return 0;
	}
	if (keep_flow(c, flow, &k->flow) ||
	    !make_room((void **)&c->packets, c->n, &c->cap, sizeof(*c->packets)))
		return -1;
	k->key = key_of(k->flow, k->seq, k->ack_seq, k->payload, k->tcp_flags);
	c->packets[c->n++] = *k;
	return 0;
}

/* ---- the file ---- */

/* -1 and fail: none of those that are known. */
static int link_of(pcap_t *p, const char *path, enum capture_link *ret, struct fail *fail)
{
	const char *name = pcap_datalink_val_to_name(pcap_datalink(p));

	switch (pcap_datalink(p)) {
	case DLT_EN10MB: *ret = CAPTURE_ETHERNET; return 0;
	case DLT_LINUX_SLL: *ret = CAPTURE_COOKED; return 0;
#ifdef DLT_LINUX_SLL2
	case DLT_LINUX_SLL2: *ret = CAPTURE_COOKED2; return 0;
#endif
	case DLT_IPV4:
	case DLT_IPV6:
	case DLT_RAW: *ret = CAPTURE_RAW; return 0;
	default: break;
	}
	return fail_set(fail, STATUS_FOUND,
			"%s: a capture of link type %s (%d): Ethernet, Linux cooked and raw IP are "
			"known",
			path, name ? name : "without a name", pcap_datalink(p));
}

static int take(struct capture *c, enum capture_link link, const struct pcap_pkthdr *h,
		const uint8_t *bytes, uint64_t wall_ns)
{
	struct captured k = {.wall_ns = wall_ns};
	enum capture_verdict verdict;
	struct flow flow = {0};

	verdict = capture_packet(link, bytes, h->caplen, h->len, &k, &flow);
	c->n_short += verdict == CAPTURE_IS_SHORT;
	return verdict == CAPTURE_IS_TCP ? keep(c, &k, &flow) : 0;
}

static int read_packets(struct capture *c, pcap_t *p, enum capture_link link, uint64_t from_ns,
			uint64_t to_ns, struct fail *fail)
{
	struct pcap_pkthdr *h;
	const uint8_t *bytes;
	int rc;

	while ((rc = pcap_next_ex(p, &h, &bytes)) == 1) {
		/* nanoseconds were asked for */
		uint64_t ns = (uint64_t)h->ts.tv_sec * 1000000000 + (uint64_t)h->ts.tv_usec;

		c->first_ns = !c->n_all || ns < c->first_ns ? ns : c->first_ns;
		c->last_ns = ns > c->last_ns ? ns : c->last_ns;
		c->has_ns |= ns % 1000 != 0;
		c->n_all++;
		if (ns >= from_ns && ns <= to_ns && take(c, link, h, bytes, ns))
			return fail_nomem(fail);
	}
	if (rc == PCAP_ERROR_BREAK)
		return 0;
	return fail_set(fail, STATUS_FOUND, "%s: the capture cannot be read behind packet %llu: %s",
			c->path, (unsigned long long)c->n_all, pcap_geterr(p));
}

int capture_read(struct capture *c, const char *path, uint64_t from_ns, uint64_t to_ns,
		 struct fail *fail)
{
	FILE *file = strcmp(path, "-") ? fopen(path, "rbe") : stdin;
	char why[PCAP_ERRBUF_SIZE] = "";
	enum capture_link link = CAPTURE_RAW;
	pcap_t *p;
	int rc;

	*c = (struct capture){.path = path};
	if (!file)
		return fail_set(fail, STATUS_USAGE, "%s: %s", path, strerror(errno));
	p = pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!p) {
		if (file != stdin)
			fclose(file);
		return fail_set(fail, STATUS_FOUND, "%s: no capture: %s", path, why);
	}
	rc = link_of(p, path, &link, fail);
	if (!rc)
		rc = read_packets(c, p, link, from_ns, to_ns, fail);
	pcap_close(p);
	return rc;
}

int capture_read_beside(struct capture *c, const char *path, struct cmd_run *run)
{
	uint64_t from = 0, to = UINT64_MAX;
	struct input *in = run->in;

	if (!input_wall(in, input_start(in)))
		return fail_set(run->fail, STATUS_LACKS,
				"%s: the trace does not tell wall-clock time, and a capture has "
				"no other",
				run->path);
	if (input_has_window(in)) {
		from = input_wall(in, input_from(in)) - INPUT_MARGIN_NS;
		if (input_to(in) < UINT64_MAX - INPUT_MARGIN_NS)
			to = input_wall(in, input_to(in)) + INPUT_MARGIN_NS;
	}
	return capture_read(c, path, from, to, run->fail);
}

void capture_note_limits(const struct capture *c, struct out *out)
{
	if (c->n_short)
		out_note(out, "%s: %llu packets were cut off before the end of their TCP header",
			 c->path, (unsigned long long)c->n_short);
	if (c->n_over)
		out_note(out,
			 "%s: %llu packets behind the first %u are left out (choose a part by "
			 "--from and --to)",
			 c->path, (unsigned long long)c->n_over, CAPTURE_MAX);
}

/* ---- order ---- */

static int by_time(const void *a, const void *b)
{
	const struct captured *x = a, *y = b;

	return (x->wall_ns > y->wall_ns) - (x->wall_ns < y->wall_ns);
}

static int by_key(const void *a, const void *b)
{
	const struct captured *x = a, *y = b;

	return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : by_time(a, b);
}

void capture_sort_by_time(struct capture *c)
{
	if (c->n)
		qsort(c->packets, c->n, sizeof(*c->packets), by_time);
}

void capture_sort_by_key(struct capture *c)
{
	if (c->n)
		qsort(c->packets, c->n, sizeof(*c->packets), by_key);
}

/* ---- finding ---- */

/* The first one with that key that is not earlier. */
static size_t lower_bound(const struct capture *c, uint64_t key, uint64_t ns)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t at = low + (high - low) / 2;
		const struct captured *k = &c->packets[at];

		if (k->key < key || (k->key == key && k->wall_ns < ns))
			low = at + 1;
		else
			high = at;
	}
	return low;
}

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

struct near { /* what is looked for */
	uint64_t key, ns, low_ns, high_ns;
	uint8_t way;
	bool far; /* out: there is one, but beyond low_ns and high_ns */
};

/* The better one of two, NULL none: that passed the right way, then the nearer one. */
static struct captured *better(const struct near *n, struct captured *a, struct captured *b)
{
	bool wrong_a, wrong_b;

	if (!a || !b)
		return a ? a : b;
	wrong_a = a->way != CAPTURE_ANY && a->way != n->way;
	wrong_b = b->way != CAPTURE_ANY && b->way != n->way;
	if (wrong_a != wrong_b)
		return wrong_a ? b : a;
	return apart(a->wall_ns, n->ns) <= apart(b->wall_ns, n->ns) ? a : b;
}

/* A loopback device is captured on the way in only: the right way is a preference. */
static struct captured *nearest(struct capture *c, struct near *n)
{
	size_t at = lower_bound(c, n->key, n->ns);
	struct captured *best = NULL;

	for (size_t i = at; i < c->n && i < at + MAX_TRIES && c->packets[i].key == n->key; i++) {
		if (c->packets[i].wall_ns > n->high_ns) {
			n->far = true;
			break;
		}
		if (!c->packets[i].taken)
			best = better(n, best, &c->packets[i]);
	}
	for (size_t i = at; i-- > 0 && at - i <= MAX_TRIES && c->packets[i].key == n->key;) {
		if (c->packets[i].wall_ns < n->low_ns) {
			n->far = true;
			break;
		}
		if (!c->packets[i].taken)
			best = better(n, best, &c->packets[i]);
	}
	return best;
}

/* Why there is no packet of it at all. */
static enum capture_lack why_none(const struct capture *c, const struct capture_wanted *w,
				  const struct near *n)
{
	if (w->last_ns < c->first_ns || w->first_ns > c->last_ns)
		return CAPTURE_OUTSIDE;
	return n->far ? CAPTURE_FAR : CAPTURE_MISSED;
}

/* What was one segment may be several packets, or part of a longer one. */
enum capture_lack capture_find(struct capture *c, const struct capture_wanted *w,
			       struct capture_found *ret)
{
	int64_t flow = capture_flow(c, &w->flow);
	uint32_t done = 0;
	struct near n = {
		.ns = w->first_ns,
		.low_ns = w->first_ns > CAPTURE_NEAR_NS ? w->first_ns - CAPTURE_NEAR_NS : 0,
		.high_ns = w->last_ns < UINT64_MAX - CAPTURE_NEAR_NS ? w->last_ns + CAPTURE_NEAR_NS
								     : UINT64_MAX,
		.way = (uint8_t)w->way};

	*ret = (struct capture_found){0};
	if (flow < 0)
		return CAPTURE_UNKNOWN;
	do {
		struct captured *k;

		n.key = key_of((uint32_t)flow, w->seq + done, w->ack_seq, w->payload, w->tcp_flags);
		k = nearest(c, &n);
		if (!k)
			return ret->n ? CAPTURE_PART : why_none(c, w, &n);
		k->taken = k->payload <= w->payload - done;
		ret->first_ns = !ret->n || k->wall_ns < ret->first_ns ? k->wall_ns : ret->first_ns;
		ret->last_ns = k->wall_ns > ret->last_ns ? k->wall_ns : ret->last_ns;
		ret->n++;
		n.ns = k->wall_ns;
		done = k->payload <= w->payload - done ? done + k->payload : w->payload;
	} while (done < w->payload);
	return CAPTURE_HAS;
}

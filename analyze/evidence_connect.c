// SPDX-License-Identifier: GPL-2.0-or-later
/* How connections began and ended: connects, accepts, resets, and what their buffers were. */
#include <string.h>

#include "evidence_parts.h"
#include "outcome.h"

#define MAX_REQUESTS 65536
/* Linux's numbers, as in outcome.c */
enum { L_EADDRNOTAVAIL = 99, L_ENETDOWN = 100, L_ENETUNREACH = 101 };
enum { L_EHOSTDOWN = 112, L_EHOSTUNREACH = 113 };
/* RFC 8305, 5: the second address is tried after 250 ms at the latest; and an answer's time */
#define FALLBACK_NS 1000000000ull

/*
 * A socket buffer of fixed size limits: what moved in a round-trip time is half of what fits into
 * it or more. It holds headers too, so a window is half of it (tcp_adv_win_scale 1).
 */
#define BUFFER_USED 0.25
#define BUFFER_MIN_BYTES 262144
#define BUFFER_MIN_RTT_US 5000
enum { LOCK_SNDBUF = 1, LOCK_RCVBUF = 2 };

static bool is_unreachable(unsigned err)
{
	return err == L_ENETDOWN || err == L_ENETUNREACH || err == L_EHOSTDOWN ||
	       err == L_EHOSTUNREACH;
}

/* ---- connects ---- */

/* Happy eyeballs (RFC 8305), and programs that try one address after the other. */
static void remember_failure(struct gather *g, const struct evid_conn *c, const struct sock *s,
			     enum trouble t, uint64_t ts_ns)
{
	if (!c->has_flow)
		return;
	g->recent[g->next_recent++ % EVID_RECENT] =
		(struct evid_failure){.ts_ns = ts_ns,
				      .netns = s ? s->netns : 0,
				      .port = c->flow.rport,
				      .version = (uint8_t)flow_version(&c->flow),
				      .trouble = (uint8_t)t};
}

static void forgive_failure(struct gather *g, const struct evid_conn *c, const struct sock *s,
			    uint64_t ts_ns)
{
	unsigned version = c->has_flow ? flow_version(&c->flow) : 0;

	for (unsigned i = 0; version && i < EVID_RECENT; i++) {
		struct evid_failure *f = &g->recent[i];

		if (!f->version || f->version == version || f->port != c->flow.rport ||
		    (s && f->netns != s->netns) || ts_ns - f->ts_ns > FALLBACK_NS)
			continue;
		g->e->n_fallbacks[f->trouble]++;
		f->version = 0;
		return;
	}
}

/* SYNs went unanswered. Drops in this trace tell why; else that is asked when all is known. */
static void stuck(struct gather *g, struct evid_conn *c, uint32_t n, uint64_t wait_ns,
		  uint64_t since_ns, bool failed)
{
	enum trouble t =
		evid_trouble_of(c->has_flow ? evid_dropped(g, &c->flow) : DROP_OTHER, TROUBLE_SYN);
	bool unknown = t == TROUBLE_SYN || t == TROUBLE_LOSS || t == TROUBLE_OVERFLOW;
	struct toll_conn share = evid_share(g, c);

	share.n = n ? n : 1;
	share.cost_ns = wait_ns;
	if (unknown && failed) {
		toll_add(&evid_end_of(g, c)->failed, &share, since_ns, true);
		return;
	}
	if (unknown) { /* its data may tell more */
		c->stuck_n += n ? n : 1;
		c->stuck_ns += wait_ns;
		c->stuck_since_ns = c->stuck_since_ns ? c->stuck_since_ns : since_ns;
		return;
	}
	evid_charge(g, c, t, n ? n : 1, wait_ns, since_ns);
	if (failed)
		evid_fail(c, t);
}

static void fail_connect(struct gather *g, struct evid_conn *c, const struct sock *s,
			 enum trouble t, uint64_t wait_ns, uint64_t ts_ns)
{
	evid_charge(g, c, t, 1, wait_ns, ts_ns);
	evid_fail(c, t);
	remember_failure(g, c, s, t, ts_ns);
}

static void settle_connect(struct gather *g, struct evid_conn *c, const struct conn_change *ch,
			   const struct sock *s)
{
	uint64_t wait = c->connect_ns ? ch->ts_ns - c->connect_ns : 0;
	uint32_t resent = ch->retransmits > c->n_syn_resent ? ch->retransmits : c->n_syn_resent;

	switch (outcome_of_connect(ch, s)) {
	case OUTCOME_OK:
		g->e->n_connected++;
		forgive_failure(g, c, s, ch->ts_ns);
		if (resent)
			stuck(g, c, resent, wait, ch->ts_ns - wait, false);
		else
			evid_charge(g, c, TROUBLE_RTT, 1, wait, ch->ts_ns);
		break;
	case OUTCOME_REFUSED: fail_connect(g, c, s, TROUBLE_REFUSED, wait, ch->ts_ns); break;
	case OUTCOME_UNREACHABLE:
		fail_connect(g, c, s, TROUBLE_UNREACHABLE, wait, ch->ts_ns);
		break;
	case OUTCOME_LOCAL_ERROR: /* connect_error tells which, where there is one */
		if (!evid_has(g, EVID_ERROR))
			fail_connect(g, c, s, TROUBLE_NO_PORT, wait, ch->ts_ns);
		break;
	default:
		if (is_unreachable(ch->soft_err))
			fail_connect(g, c, s, TROUBLE_UNREACHABLE, wait, ch->ts_ns);
		else if (resent || wait >= EVID_SYN_RTO_NS)
			stuck(g, c, resent, wait, ch->ts_ns - wait, true);
		break;
	}
	c->connect_ns = 0;
	c->n_syn_resent = 0;
}

void evid_connect_pending(struct gather *g, struct evid_conn *c, uint64_t last)
{
	if (c->connect_ns && last - c->connect_ns >= EVID_SYN_RTO_NS)
		stuck(g, c, c->n_syn_resent, last - c->connect_ns, c->connect_ns, true);
	c->connect_ns = 0;
}

/* This host's own connect is charged for it, where the trace has that. */
void evid_connect_synacks(struct gather *g, struct evid_conn *c)
{
	struct evid_end *end;

	if (!c->n_synack_resent)
		return;
	g->e->n_synack_resent += c->n_synack_resent;
	end = evid_end_of(g, c);
	if (!end->n_connects)
		stuck(g, c, c->n_synack_resent, c->synack_ns, c->born_ns, !c->established);
	c->n_synack_resent = 0;
}

/* ---- state changes ---- */

static void begin_connect(struct gather *g, struct evid_conn *c, const struct conn_change *ch)
{
	c->active = true;
	c->passive = false;
	c->end = NULL;
	c->born = true;
	c->connect_ns = c->born_ns = ch->ts_ns;
	c->n_syn_resent = 0;
	g->e->n_connects++;
	evid_end_of(g, c)->n_connects++;
}

/*
 * A reset counts where it hurts: at the end that had asked. Who asked may throw a connection away
 * by itself (close() with answers unread), and then nobody misses it.
 */
static void end_connection(struct gather *g, struct evid_conn *c, const struct conn_change *ch)
{
	struct toll_conn share;
	enum outcome o = ch->new_state == TCP_S_CLOSE ? outcome_of_close(ch) : OUTCOME_NONE;

	if (o == OUTCOME_TIMEOUT) {
		g->e->timeouts++;
		evid_charge(g, c, TROUBLE_LOSS, 1, 0, ch->ts_ns);
		evid_fail(c, TROUBLE_LOSS);
	} else if (o == OUTCOME_RESET_REMOTE && c->active &&
		   (ch->old_state == TCP_S_ESTABLISHED || ch->old_state == TCP_S_CLOSE_WAIT)) {
		evid_charge(g, c, TROUBLE_RESET, 1, 0, ch->ts_ns);
		evid_fail(c, TROUBLE_RESET);
	} else if (o == OUTCOME_RESET_LOCAL && !c->active && ch->old_state == TCP_S_ESTABLISHED) {
		share = evid_share(g, c);
		toll_add(&evid_end_of(g, c)->resets, &share, ch->ts_ns, true);
	} else if (o == OUTCOME_RESET_REMOTE || o == OUTCOME_RESET_LOCAL) {
		g->e->closing_resets++;
	}
}

static void take_change(struct gather *g, struct evid_conn *c, const struct conn_change *ch,
			const struct sock *s)
{
	if (outcome_ends_connect(ch))
		settle_connect(g, c, ch, s);
	else
		end_connection(g, c, ch);
	if (ch->new_state == TCP_S_SYN_SENT)
		begin_connect(g, c, ch);
	if (ch->new_state == TCP_S_SYN_RECV) {
		c->passive = c->born = true;
		c->born_ns = ch->ts_ns;
		evid_end_of(g, c)->n_born++;
	}
	if (ch->new_state == TCP_S_ESTABLISHED) {
		c->established = true;
		if (ch->old_state == TCP_S_SYN_RECV) {
			c->passive = true;
			c->established_ns = ch->ts_ns;
		}
	}
}

int evid_on_state(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	struct conn_change ch;
	struct evid_conn *c;
	bool listens;

	if (!evid_wants(g, row))
		return g->on_state(ctx, row);
	conn_change_take(&g->segs.who.conns, row, &ch);
	listens = ch.new_state == TCP_S_LISTEN ||
		  (ch.old_state == TCP_S_LISTEN && ch.new_state == TCP_S_CLOSE);
	c = !listens && (ch.conn || ch.new_state == TCP_S_SYN_SENT) ? evid_conn_of(g, row) : NULL;
	if (c)
		take_change(g, c, &ch, row->sock);
	return g->on_state(ctx, row);
}

int evid_on_accept(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	struct evid_conn *c = evid_wants(g, row) ? evid_conn_of(g, row) : NULL;
	uint64_t wait = c && c->established_ns ? row->ts_ns - c->established_ns : 0;
	int rc = g->on_accept(ctx, row);
	struct toll_conn share;

	g->e->n_accepts += c != NULL;
	if (c && wait >= EVID_LATE_ACCEPT_NS) {
		share = evid_share(g, c);
		share.cost_ns = wait;
		toll_add(&evid_end_of(g, c)->accepts, &share, c->established_ns, false);
		if (wait > g->e->accept_longest_ns)
			g->e->accept_longest_ns = wait;
	}
	if (c)
		c->established_ns = 0;
	return rc;
}

/*
 * Nobody ever took it out of the queue: a sample of the listener, a second later, still shows some
 * there. Without that an accept() may just not have been seen.
 */
void evid_connect_unaccepted(struct gather *g, struct evid_conn *c, uint64_t now_ns)
{
	uint64_t since = c->established_ns;
	struct evid_end *end = evid_end_of(g, c);
	struct toll_conn share;

	c->established_ns = 0;
	if (!since || !evid_has(g, EVID_ACCEPT) ||
	    evid_end_waited(g, end) < since + EVID_SYN_RTO_NS)
		return;
	share = evid_share(g, c);
	share.cost_ns = now_ns - since;
	toll_add(&end->accepts, &share, since, true);
	g->e->n_unaccepted++;
}

/* ---- facts, the end ---- */

enum { F_SOCK, F_CC, F_MSS, F_SRTT, F_LOCKS, F_NONAGLE, F_N };
static const struct bind_field fact_fields[F_N] = {{"sock", BIND_SOCK},	    {"cc", BIND_COMM},
						   {"mss", BIND_INT},	    {"srtt_us", BIND_INT},
						   {"buf_locks", BIND_INT}, {"nonagle", BIND_INT}};

static int on_facts(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	struct evid_conn *c = evid_wants(g, row) ? evid_conn_of(g, row) : NULL;
	const char *cc = bind_comm(row, F_CC);

	if (!c)
		return 0;
	c->is_bbr = cc && !strncmp(cc, "bbr", 3);
	c->mss = (uint32_t)bind_get(row, F_MSS, 0);
	c->srtt_us = (uint32_t)bind_get(row, F_SRTT, 0);
	c->buf_locks = (uint32_t)bind_get(row, F_LOCKS, 0);
	c->nodelay = bind_get(row, F_NONAGLE, 0) & 1;
	return 0;
}

enum { CE_SOCK, CE_TASK, CE_ERR, CE_DADDR, CE_DPORT, CE_N };
static const struct bind_field error_fields[CE_N] = {{"sock", BIND_SOCK},
						     {"task", BIND_TASK},
						     {"err", BIND_INT},
						     {"daddr", BIND_ADDR},
						     {"dport", BIND_INT}};

static int on_error(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	struct evid_conn *c = evid_wants(g, row) ? evid_conn_of(g, row) : NULL;
	unsigned err = (unsigned)bind_get(row, CE_ERR, 0);
	enum trouble t = err == L_EADDRNOTAVAIL ? TROUBLE_NO_PORT : TROUBLE_UNREACHABLE;

	if (!c || (t == TROUBLE_UNREACHABLE && !is_unreachable(err)))
		return 0;
	if (!c->born_ns) /* it never came to SYN_SENT */
		g->e->n_connects++;
	fail_connect(g, c, row->sock, t, 0, row->ts_ns);
	return 0;
}

enum { D_SOCK, D_TASK, D_SEGS, D_ACKED, D_RECEIVED, D_SRTT, D_SNDBUF, D_RCVBUF, D_N };
const struct bind_field evid_destroy_fields[] = {
	{"sock", BIND_SOCK},	   {"task", BIND_TASK},		 {"data_segs_out", BIND_INT},
	{"bytes_acked", BIND_INT}, {"bytes_received", BIND_INT}, {"srtt_us", BIND_INT},
	{"sndbuf", BIND_INT},	   {"rcvbuf", BIND_INT}};
const unsigned evid_n_destroy_fields = D_N;

static void look_at_buffer(struct gather *g, struct evid_conn *c, const struct bind_row *row,
			   uint64_t bytes, uint64_t buffer, bool is_fixed)
{
	uint64_t life = c->born_ns ? row->ts_ns - c->born_ns : 0;
	double rtt_ns = 1e3 * (double)(c->srtt_us ? c->srtt_us : bind_get(row, D_SRTT, 0));

	if (!is_fixed || !life || !buffer || bytes < BUFFER_MIN_BYTES ||
	    rtt_ns < 1e3 * BUFFER_MIN_RTT_US)
		return;
	if ((double)bytes * rtt_ns / (double)life >= BUFFER_USED * (double)buffer)
		evid_charge(g, c, TROUBLE_BUFFER, 1, life / 2, c->born_ns);
}

int evid_on_destroy(void *ctx, const struct bind_row *row)
{
	struct gather *g = ctx;
	struct evid_conn *c = evid_wants(g, row) ? evid_conn_find(g, row->sock) : NULL;
	int rc;

	if (c) {
		evid_learn_owner(g, c);
		look_at_buffer(g, c, row, bind_get(row, D_ACKED, 0), bind_get(row, D_SNDBUF, 0),
			       c->buf_locks & LOCK_SNDBUF);
		look_at_buffer(g, c, row, bind_get(row, D_RECEIVED, 0), bind_get(row, D_RCVBUF, 0),
			       c->buf_locks & LOCK_RCVBUF);
	}
	turns_gone(&g->turns, row->sock, row->ts_ns);
	rc = g->on_destroy(ctx, row); /* segments, as long as the connection is there */
	if (!c)
		return rc;
	c->data_segs = c->born ? bind_get(row, D_SEGS, 0) : 0;
	evid_conn_gone(g, c, row->ts_ns);
	return rc;
}

void evid_connect_bind(struct bind *ret)
{
	ret[0] = (struct bind){
		.record = "tcp_facts", .fields = fact_fields, .n_fields = F_N, .on = on_facts};
	ret[1] = (struct bind){.record = "connect_error",
			       .fields = error_fields,
			       .n_fields = CE_N,
			       .on = on_error};
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* What sockets do with what they receive: acknowledgments, data, losses, the end. */
#include "gen.h"

#define RTO_MIN_US 200000u
#define DELACK (40 * TICKS_MS)
#define ECONNRESET_NO 104
#define DUP_THRESHOLD 3
#define MERGED_SEGS 5 /* that share a buffer in the receive queue */

/* ---- round-trip times ---- */

/*
 * RFC 6298, 2.2 and 2.3, in the fixed point of Linux (tcp_rtt_estimator): srtt x 8, mdev x 4. A
 * sample below the mean weighs an eighth in the deviation, and the timer follows its largest value
 * of a window.
 */
static void estimate(struct end *e, uint32_t rtt_us)
{
	int64_t err;

	if (!e->srtt8) {
		e->srtt8 = (rtt_us ? rtt_us : 1) << 3;
		e->mdev4 = rtt_us << 1;
		e->rttvar4 = e->mdev_max4 = e->mdev4 > RTO_MIN_US ? e->mdev4 : RTO_MIN_US;
		e->rtt_seq = e->snd_nxt;
		return;
	}
	err = (int64_t)rtt_us - (e->srtt8 >> 3);
	e->srtt8 = (uint32_t)((int64_t)e->srtt8 + err);
	if (err < 0) {
		err = -err - (e->mdev4 >> 2);
		if (err > 0)
			err >>= 3;
	} else {
		err -= e->mdev4 >> 2;
	}
	e->mdev4 = (uint32_t)((int64_t)e->mdev4 + err);
	if (e->mdev4 > e->mdev_max4) {
		e->mdev_max4 = e->mdev4;
		if (e->mdev_max4 > e->rttvar4)
			e->rttvar4 = e->mdev_max4;
	}
	if (seq_before(e->rtt_seq, e->snd_una)) {
		if (e->mdev_max4 < e->rttvar4)
			e->rttvar4 -= (e->rttvar4 - e->mdev_max4) >> 2;
		e->rtt_seq = e->snd_nxt;
		e->mdev_max4 = RTO_MIN_US;
	}
	if (!e->srtt8)
		e->srtt8 = 1;
}

void tcp_sample(struct end *e, uint32_t rtt_us)
{
	if (rtt_us < e->min_rtt)
		e->min_rtt = rtt_us;
	estimate(e, rtt_us);
}

/* ---- acknowledgments ---- */

static void unmark(struct end *e, struct seg *s, uint32_t n)
{
	if (s->flags & SEG_SACKED)
		e->sacked_out -= n;
	if (s->flags & SEG_LOST)
		e->lost_out -= n;
	if (s->flags & SEG_RETRANS)
		e->retrans_out -= n;
	s->flags &= (uint16_t) ~(SEG_SACKED | SEG_LOST | SEG_RETRANS);
}

/* Take what is acknowledged off the queue; *ret_first: the first one's age, if it was sent once. */
static uint32_t clean(struct machine *m, struct cpu *c, struct end *e, uint32_t ack)
{
	uint32_t acked = 0;
	uint64_t first = 0, last = 0, again = 0;

	while (e->sent && !seq_before(ack, e->sent->end)) {
		struct seg *s = e->sent;
		uint32_t n = tcp_segs(e, s->end - s->seq);

		if (!(s->flags & SEG_EVER)) {
			first = first ? first : s->tick;
			last = s->tick;
		} else {
			again = s->tick;
		}
		if (!(s->flags & SEG_SACKED))
			e->delivered += n;
		unmark(e, s, n);
		e->packets_out -= n;
		acked += n;
		e->bytes_acked += s->end - s->seq;
		e->sent = s->next;
		if (!e->sent)
			e->sent_tail = &e->sent;
		seg_free(m, s);
	}
	if (e->sent && seq_before(e->sent->seq, ack)) { /* a part of a packet of several segments */
		struct seg *s = e->sent;
		uint32_t before = tcp_segs(e, s->end - s->seq), after = tcp_segs(e, s->end - ack);

		e->bytes_acked += ack - s->seq;
		s->seq = ack;
		e->packets_out -= before - after;
		if (s->flags & SEG_LOST)
			e->lost_out -= before - after;
		if (s->flags & SEG_RETRANS)
			e->retrans_out -= before - after;
		if (s->flags & SEG_SACKED)
			e->sacked_out -= before - after;
		else
			e->delivered += before - after;
		acked += before - after;
	}
	e->snd_una = ack;
	if (first) {
		tcp_sample(e, gen_us(c->tick - first));
		e->rack_rtt = gen_us(c->tick - last);
	} else if (again) { /* the timestamp option tells which one it answers, in milliseconds */
		tcp_sample(e, 1000 * (1 + gen_us(c->tick - again) / 1000));
	}
	return acked;
}

static void take_sack(struct end *e, const struct packet *p)
{
	for (struct seg *s = p->sack_end ? e->sent : NULL; s; s = s->next) {
		uint32_t n = tcp_segs(e, s->end - s->seq);

		if (s->flags & SEG_SACKED || seq_before(s->seq, p->sack_seq) ||
		    seq_before(p->sack_end, s->end))
			continue;
		unmark(e, s, n);
		s->flags |= SEG_SACKED;
		e->sacked_out += n;
		e->delivered += n;
	}
}

static void mark_lost(struct end *e, struct seg *s)
{
	uint32_t n = tcp_segs(e, s->end - s->seq);

	if (s->flags & (SEG_SACKED | SEG_LOST))
		return;
	s->flags |= SEG_LOST;
	e->lost_out += n;
	e->lost += n;
}

static void shrink(struct end *e, uint32_t cwnd)
{
	e->ssthresh = e->cwnd * 7 / 10 > 2 ? e->cwnd * 7 / 10 : 2;
	e->cwnd = cwnd ? cwnd : e->ssthresh;
	e->high_seq = e->snd_nxt;
}

/* RFC 6675: lost is what three segments above it have overtaken. */
static void find_lost(struct end *e)
{
	uint32_t above = e->sacked_out;

	for (struct seg *s = e->sent; s && above >= DUP_THRESHOLD; s = s->next) {
		if (s->flags & SEG_SACKED)
			above -= tcp_segs(e, s->end - s->seq);
		else if (!(s->flags & SEG_EVER))
			mark_lost(e, s);
	}
	if (e->lost_out && e->ca_state < CA_RECOVERY) {
		e->ca_state = CA_RECOVERY;
		shrink(e, 0);
	}
}

static void retransmit_lost(struct machine *m, struct cpu *c, struct end *e)
{
	for (struct seg *s = e->sent; s; s = s->next) {
		if (tcp_in_flight(e) >= e->cwnd)
			return;
		if ((s->flags & SEG_LOST) && !(s->flags & SEG_RETRANS))
			tcp_retransmit(m, c, e, s,
				       e->ca_state == CA_LOSS ? WHY_RTO_RECOVERY : WHY_FAST);
	}
}

static void take_ack(struct machine *m, struct cpu *c, struct end *e, const struct packet *p)
{
	bool advances = seq_before(e->snd_una, p->ack);
	uint32_t acked = 0;

	if (e->conn->app->bytes_ms)
		e->snd_wnd = p->window;
	take_sack(e, p);
	if (advances) {
		acked = clean(m, c, e, p->ack);
		e->retransmits = 0;
		tcp_arm(m, c, e);
	}
	if (e->ca_state >= CA_RECOVERY && !seq_before(e->snd_una, e->high_seq))
		e->ca_state = CA_OPEN;
	if (e->ca_state < CA_RECOVERY)
		e->ca_state = e->sacked_out ? CA_DISORDER : CA_OPEN;
	find_lost(e);
	if (e->tlp && e->ca_state >= CA_RECOVERY)
		tcp_arm(m, c, e); /* as a retransmission timer */
	if (acked && e->ca_state != CA_RECOVERY && e->cwnd < e->conn->path->cwnd)
		e->cwnd += e->cwnd < e->ssthresh ? acked : 1;
	retransmit_lost(m, c, e);
	tcp_output(m, c, e);
	app_writable(m, c, e);
}

/* ---- data ---- */

/* What lies in the queue takes more of the same buffer, up to so many segments. */
static bool merge(struct end *e, const struct seg *s)
{
	struct seg *last = e->queue;

	while (last && last->next)
		last = last->next;
	if (!last || last->end != s->seq || s->end - last->seq > MERGED_SEGS * e->gso_mss ||
	    last->flags & SEG_FIN)
		return false;
	last->end = s->end;
	last->flags |= s->flags & SEG_FIN;
	return true;
}

static void append(struct end *e, struct seg *s)
{
	s->next = NULL;
	*e->queue_tail = s;
	e->queue_tail = &s->next;
	e->rcv_nxt = s->end;
	e->bytes_received += s->end - s->seq;
}

/* What lay behind a hole is in order now. */
static void fill_hole(struct machine *m, struct end *e)
{
	while (e->ofo && !seq_before(e->rcv_nxt, e->ofo->seq)) {
		struct seg *s = e->ofo;

		e->ofo = s->next;
		if (seq_before(e->rcv_nxt, s->end)) {
			if (s->flags & SEG_FIN)
				e->fin_came = true;
			append(e, s);
		} else {
			seg_free(m, s);
		}
	}
}

static void keep_for_later(struct machine *m, struct end *e, const struct packet *p, uint32_t end)
{
	struct seg **at = &e->ofo, *s;

	while (*at && seq_before((*at)->seq, p->seq))
		at = &(*at)->next;
	if (*at && (*at)->seq == p->seq)
		return;
	s = seg_new(m, p->seq, end);
	s->flags = p->flags & FIN ? SEG_FIN : 0;
	s->next = *at;
	*at = s;
}

/* The block of bytes above the hole that holds seq. */
static void sack_block(const struct end *e, uint32_t seq, uint32_t *ret_seq, uint32_t *ret_end)
{
	*ret_seq = *ret_end = 0;
	for (const struct seg *s = e->ofo; s; s = s->next) {
		if (*ret_end != s->seq || !*ret_end)
			*ret_seq = s->seq;
		*ret_end = s->end;
		if (!seq_before(seq, *ret_seq) && seq_before(seq, s->end) &&
		    (!s->next || s->next->seq != s->end))
			return;
	}
}

/* Payload or FIN. Whether it was in order. */
static bool take_data(struct machine *m, struct cpu *c, struct end *e, const struct packet *p)
{
	uint32_t end = p->seq + p->payload + (p->flags & FIN ? 1 : 0), sack_seq, sack_end;
	struct seg *s;

	if (p->payload)
		e->data_segs_in += p->segs;
	if (!seq_before(e->rcv_nxt, end)) { /* all of it is here already */
		tcp_send_ack(m, c, e, 0, 0);
		return false;
	}
	if (seq_before(e->rcv_nxt, p->seq)) {
		keep_for_later(m, e, p, end);
		sack_block(e, p->seq, &sack_seq, &sack_end);
		tcp_send_ack(m, c, e, sack_seq, sack_end);
		return false;
	}
	s = seg_new(m, e->rcv_nxt, end);
	if (p->flags & FIN) {
		s->flags = SEG_FIN;
		e->fin_came = true;
	}
	if (merge(e, s)) {
		e->rcv_nxt = s->end;
		e->bytes_received += s->end - s->seq;
		seg_free(m, s);
	} else {
		append(e, s);
	}
	fill_hole(m, e);
	return true;
}

/* RFC 1122, 4.2.3.2: at once after two segments, or while the other side still begins. */
static void acknowledge(struct machine *m, struct cpu *c, struct end *e, bool filled)
{
	bool full = e->rcv_nxt - e->rcv_wup > e->gso_mss; /* what it takes for the MSS */

	if (e->conn->app->bytes_ms) /* a reader that is behind tells when it has read */
		full = full && e->rcv_nxt - e->copied_seq < 4 * e->gso_mss;

	if (e->rcv_wup == e->rcv_nxt)
		return; /* what was sent meanwhile did it */
	if ((!e->pingpong && !e->conn->app->bytes_ms) || filled || full) {
		tcp_send_ack(m, c, e, 0, 0);
	} else if (!e->ack_at) {
		e->ack_at = c->tick + DELACK;
		tcp_set_timer(m, e, e->ack_at);
	}
}

/* ---- states ---- */

static void establish(struct end *e, const struct packet *p)
{
	e->rcv_nxt = e->rcv_wup = e->copied_seq = p->seq + (p->flags & SYN ? 1 : 0);
	e->rto_at = 0;
}

static void in_syn_sent(struct machine *m, struct cpu *c, struct end *e, const struct packet *p)
{
	establish(e, p);
	clean(m, c, e, p->ack);
	e->retransmits = e->ca_state = 0;
	emit_state(m, c, e, ESTABLISHED, c->owner == e);
	m->truth.active_ok += e->seen;
	gen_count(m, e, C_CURR_ESTAB, 1);
	tcp_send_ack(m, c, e, 0, 0);
	app_connected(m, c, e);
}

/* What came may be read now. */
static void take_in_order(struct machine *m, struct cpu *c, struct end *e, const struct packet *p)
{
	bool filled = e->ofo != NULL;

	if (!take_data(m, c, e, p))
		return;
	if (e->fin_came && e->state == ESTABLISHED) {
		e->shutdown |= 1;
		e->pingpong = true; /* the ACK may wait for our FIN */
		emit_state(m, c, e, CLOSE_WAIT, false);
	}
	emit_queue(m, c, e);
	app_readable(m, c, e);
	acknowledge(m, c, e, filled);
}

static void in_listen(struct machine *m, struct cpu *c, struct end *e, const struct packet *p)
{
	if (p->flags & SYN) {
		bool again = e->rcv_nxt != 0;

		e->rcv_nxt = p->seq + 1;
		tcp_synack(m, c, e, again);
		return;
	}
	if (p->flags & FIN && !p->payload && p->seq != e->rcv_nxt)
		return;
	e->sock.cookie = m->next_cookie++;
	establish(e, p);
	emit_state(m, c, e, SYN_RECV, false);
	tcp_sample(e, gen_us(c->tick - e->synack_tick));
	e->retransmits = 0;
	e->segs_in = 1;
	emit_state(m, c, e, ESTABLISHED, false);
	m->truth.passive++;
	gen_count(m, e, C_PASSIVE_OPENS, 1);
	gen_count(m, e, C_CURR_ESTAB, 1);
	if (p->payload || p->flags & FIN) /* the ACK before it was lost */
		take_in_order(m, c, e, p);
}

static void in_established(struct machine *m, struct cpu *c, struct end *e, struct packet *p)
{
	if (seq_before(e->snd_una, p->ack))
		emit_rtt(m, c, e, p);
	emit_established(m, c, e, p);
	if (p->flags & RST) {
		emit_reset(m, c, e, RST_RECEIVED);
		e->err = ECONNRESET_NO;
		emit_state(m, c, e, CLOSE, false);
		e->rto_at = e->ack_at = 0;
		app_readable(m, c, e);
		return;
	}
	if (p->flags & SYN) { /* its peer has not got our ACK */
		tcp_send_ack(m, c, e, 0, 0);
		return;
	}
	take_ack(m, c, e, p);
	if (p->payload || p->flags & FIN)
		take_in_order(m, c, e, p);
}

/* This host has closed: the socket has no owner, and ends when both FINs are acknowledged. */
static void in_closing(struct machine *m, struct cpu *c, struct end *e, struct packet *p)
{
	bool had_fin = e->fin_came, in_task = c->owner == e, last = false;

	take_ack(m, c, e, p);
	last = e->fin_out && !e->sent;
	if (e->state == LAST_ACK && last) {
		emit_state(m, c, e, CLOSE, in_task);
		tcp_done(m, c, e, in_task);
		return;
	}
	if (e->state == FIN_WAIT1 && last)
		emit_state(m, c, e, FIN_WAIT2, false);
	if (p->payload || p->flags & FIN)
		take_data(m, c, e, p);
	if (e->fin_came && !had_fin) {
		e->time_wait = false;
		tcp_send_ack(m, c, e, 0, 0);
	}
	if (e->state != FIN_WAIT2)
		return;
	/* from here on a TIME_WAIT socket answers */
	emit_state(m, c, e, CLOSE, in_task);
	tcp_done(m, c, e, in_task);
	if (e->queue)
		emit_drop(m, c, e, p, DROP_PURGE);
	e->time_wait = true;
}

void tcp_input(struct machine *m, struct cpu *c, struct packet *p)
{
	struct end *e = p->to;
	bool listens = e->state == LISTEN;

	if (listens)
		emit_rx(m, c, p, &e->actor->listener, 0);
	else
		emit_rx(m, c, p, e->dead ? NULL : &e->sock, e->state == SYN_SENT ? 0 : e->rcv_nxt);
	e->segs_in += p->segs;
	gen_count(m, e, C_IN_SEGS, p->segs);
	if (!tcp_wait(m, c, e, p))
		tcp_process(m, c, p);
}

void tcp_process(struct machine *m, struct cpu *c, struct packet *p)
{
	struct end *e = p->to;

	tcp_lock(c, e);
	if (e->dead) {
		if (p->flags & FIN && e->time_wait) {
			e->rcv_nxt = p->seq + p->payload + 1;
			tcp_send_ack(m, c, e, 0, 0);
		}
	} else if (e->state == LISTEN) {
		in_listen(m, c, e, p);
	} else if (e->state == SYN_SENT) {
		in_syn_sent(m, c, e, p);
	} else if (e->state == ESTABLISHED || e->state == CLOSE_WAIT) {
		if (e->state == ESTABLISHED)
			in_established(m, c, e, p);
		else
			take_ack(m, c, e, p);
	} else if (e->state != CLOSE) {
		in_closing(m, c, e, p);
	}
	tcp_unlock(c, e);
}

/* ---- losses ---- */

static void probe_tail(struct machine *m, struct cpu *c, struct end *e)
{
	struct seg *last = e->sent;

	while (last->next)
		last = last->next;
	gen_count(m, e, C_LOSS_PROBES, 1);
	tcp_retransmit(m, c, e, last, WHY_TLP);
	e->tlp = false;
	e->rto_at = c->tick + (uint64_t)tcp_rto_us(e) * TICKS_US;
	tcp_set_timer(m, e, e->rto_at);
}

/* RFC 6298, 5.4 to 5.6: all is taken for lost, the first segment goes again. */
static void enter_loss(struct end *e)
{
	if (e->ca_state != CA_LOSS)
		shrink(e, 1);
	e->ca_state = CA_LOSS;
	for (struct seg *s = e->sent; s; s = s->next) {
		if (s->flags & SEG_RETRANS)
			e->retrans_out -= tcp_segs(e, s->end - s->seq);
		s->flags &= (uint16_t)~SEG_RETRANS;
		mark_lost(e, s);
	}
}

void tcp_timeout(struct machine *m, struct cpu *c, struct end *e)
{
	e->rto_at = 0;
	if (e->state == LISTEN) {
		e->retransmits++;
		tcp_synack(m, c, e, true);
		e->rto_at = c->tick + (TICKS_S << e->retransmits);
		tcp_set_timer(m, e, e->rto_at);
		return;
	}
	if (!e->sent)
		return;
	if (e->tlp && e->state == ESTABLISHED) {
		probe_tail(m, c, e);
		return;
	}
	enter_loss(e);
	gen_count(m, e, C_TIMEOUTS, 1);
	e->retransmits++;
	tcp_retransmit(m, c, e, e->sent, WHY_RTO);
	e->rto_at = c->tick + ((uint64_t)tcp_rto_us(e) << e->retransmits) * TICKS_US;
	tcp_set_timer(m, e, e->rto_at);
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "tell.h"

#include <string.h>

#include "outcome.h"
#include "packet.h"

/*
 * {field} is a value, {field.field} one of the row that it refers to; what stands in [ ] is left
 * out where a field in it is 0, or not recorded.
 */
static const struct {
	const char *event, *words;
} table[] = {
	{"tcp_state", "{old_state} -> {new_state}[, {retransmits} retransmits][, error {err}]"
		      "[, soft error {soft_err}]"},
	{"connect_error", "connect to {daddr} port {dport} failed: {err}"},
	{"tcp_accept", "taken out of the accept queue[, {backlog} more wait there]"},
	{"tcp_facts", "congestion control {cc}, MSS {mss}, path MTU {pmtu}[, srtt {srtt_us} us]"
		      ", cwnd {cwnd}[, window {snd_wnd}]"},
	{"tcp_destroy", "sent {bytes_sent} bytes, {bytes_acked} acknowledged; received "
			"{bytes_received}; segments {segs_out} out, {segs_in} in"
			"[, {total_retrans} retransmitted][, srtt {srtt_us} us][, error {err}]"},
	{"snap_sock", "it is {state}[, {bytes_acked} bytes acknowledged]"
		      "[, {bytes_received} received][, {total_retrans} retransmitted]"
		      "[, srtt {srtt_us} us]"},
	{"rtt", "[sample {rtt_us} us, ]srtt {srtt_us} us, cwnd {cwnd}, in flight {in_flight}"
		"[, lost {lost}], {ca_state}"},
	{"retransmit", "seq {seq}, segments {segs}, {ca_state}, timer {timer}"
		       "[, timeout {retransmits} in a row], RTO {rto_us} us, cwnd {cwnd}, "
		       "in flight {in_flight}[, not sent: {err}]"},
	{"synack_retransmit", "SYN-ACK again, {retransmits} before it"},
	{"loss_probe", "tail loss probe from {snd_una}, RTO {rto_us} us, cwnd {cwnd}, in flight "
		       "{in_flight}[, unanswered before it {outstanding}]"},
	{"reset", "RST {direction}[ in {state}][, reason {reason}]"},
	{"drop", "{reason}: {payload} bytes from {seq}, flags {tcp_flags}[, in {state}]"},
	{"bad_csum", "wrong checksum: {payload} bytes from {seq}, flags {tcp_flags}"},
	{"io_send", "{bytes} bytes[, {err}]"},
	{"io_recv", "{bytes} bytes[, {err}][, flags {flags}]"},
	{"io_wait", "{edge} of a sleep, {direction}[, {err}]"},
	{"rx", "at {layer}: {packet.payload} bytes, seq {packet.seq}, ack {packet.ack_seq}, "
	       "{packet.tcp_flags}"},
	{"tx", "at {layer}: {packet.payload} bytes, seq {packet.seq}, ack {packet.ack_seq}, "
	       "{packet.tcp_flags}[, again {again}]"},
	{"rx_copy", "{bytes} bytes from {copied_seq} to the application"},
	{"tx_write", "{size} bytes from {write_seq}, cwnd {cwnd}, in flight {in_flight}, window "
		     "{snd_wnd}"},
};

struct value { /* of a field; field -1: not recorded */
	const struct record *r;
	int field;
	uint32_t k;
};

static int field_of(const struct record *r, const char *name, size_t len)
{
	for (unsigned i = 0; i < r->rec->n_fields; i++)
		if (strlen(r->rec->fields[i].name) == len &&
		    !memcmp(r->rec->fields[i].name, name, len))
			return r->fields[i].have ? (int)i : -1;
	return -1;
}

/* "seq", or "packet.seq": of the row that a field refers to. */
static struct value find(const struct record_set *s, const struct record *r, uint32_t k,
			 const char *name, size_t len)
{
	const char *dot = memchr(name, '.', len);
	struct value v = {r, -1, k};
	uint64_t ref;

	if (!dot) {
		v.field = field_of(r, name, len);
		return v;
	}
	v.field = field_of(r, name, (size_t)(dot - name));
	ref = record_get(r, v.field, k);
	v.r = ref ? record_by_id(s, r->rec->fields[v.field].table) : NULL;
	v.k = (uint32_t)(ref - 1);
	if (!v.r || ref > v.r->n_rows)
		v.field = -1;
	else
		v.field = field_of(v.r, dot + 1, len - (size_t)(dot + 1 - name));
	return v;
}

/* Nothing to speak of: not recorded, not known, or 0. */
static bool is_nothing(const struct value *v)
{
	const struct tape_field *f = v->field < 0 ? NULL : &v->r->rec->fields[v->field];
	uint64_t n;

	if (!f)
		return true;
	if (f->type == TAPE_STR || f->type == TAPE_COMM || f->type == TAPE_ADDR)
		return false;
	n = record_get(v->r, v->field, v->k);
	return !n || (f->type == TAPE_I32 && (int32_t)n == -1) ||
	       (!strcmp(f->unit, "rst_reason") && n == 65535);
}

static bool says_nothing(const struct record_set *s, const struct record *r, uint32_t k,
			 const char *p)
{
	for (; *p && *p != ']'; p++) {
		struct value v;

		if (*p != '{')
			continue;
		v = find(s, r, k, p + 1, strcspn(p + 1, "}"));
		if (is_nothing(&v))
			return true;
	}
	return false;
}

static void put_value(const struct record_set *s, struct text *t, const struct value *v)
{
	const char *unit = v->field < 0 ? "" : v->r->rec->fields[v->field].unit;
	uint64_t n = record_get(v->r ? v->r : s->records, v->field, v->k);
	const char *name = !strcmp(unit, "errno") ? outcome_errno((unsigned)n) : NULL;
	char flags[PACKET_FLAGS_LEN];

	if (v->field < 0)
		text_putc(t, '-');
	else if (!strcmp(unit, "tcp_flags"))
		text_puts(t, packet_flags((uint16_t)n, flags));
	else if (name)
		text_puts(t, name);
	else
		record_value(s, t, v->r, (unsigned)v->field, v->k);
}

static void put_words(const struct record_set *s, struct text *t, const struct record *r,
		      uint32_t k, const char *p)
{
	for (; *p; p++) {
		if (*p == '[' && says_nothing(s, r, k, p)) {
			p += strcspn(p, "]");
		} else if (*p == '{') {
			size_t len = strcspn(p + 1, "}");
			struct value v = find(s, r, k, p + 1, len);

			put_value(s, t, &v);
			p += len + 1;
		} else if (*p != '[' && *p != ']') {
			text_putc(t, *p);
		}
	}
}

void tell_event(const struct record_set *s, struct text *t, const struct record *r, uint32_t k)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!strcmp(table[i].event, r->rec->name)) {
			put_words(s, t, r, k, table[i].words);
			return;
		}
	}
	record_text(s, t, r, k);
}

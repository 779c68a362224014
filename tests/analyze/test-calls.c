// SPDX-License-Identifier: GPL-2.0-or-later
#include "calls.h"
#include "suite.h"

/*
 * A chunk of calls: one socket of cookie 1 in row 1, of cookie 2 in rows 2 and 3, two threads.
 * Events are given as letters: s a call that sends 10 bytes, r one that receives 5, x the end; the
 * digits behind them are socket and thread.
 */
enum { SEND = 60, RECV = 61, END = 62, MAX = 16 };

static const struct tape_record recs[] = {{.id = SEND}, {.id = RECV}, {.id = END}};
static struct sock socks[] = {{.cookie = 1, .has_flow = true},
			      {.cookie = 2, .has_flow = true, .flow.lport = 1},
			      {.cookie = 2, .has_flow = true, .flow.lport = 2}};

struct column {
	uint32_t v[MAX];
};

struct chunk {
	struct bind binds[3]; /* TX, RX, the end */
	struct column cols[3][CALL_N];
	uint16_t types[MAX];
	uint32_t n, seq[4][2];
};

static void put(struct chunk *c, unsigned bind, unsigned field, uint32_t v)
{
	struct bind *b = &c->binds[bind];

	c->cols[bind][field].v[b->n_rows] = v;
	b->cols[field] = (struct tape_column){
		.type = TAPE_U32, .width = 4, .values = c->cols[bind][field].v};
	b->have[field] = true;
}

static void event(struct chunk *c, const char *s)
{
	unsigned bind = s[0] == 's' ? STREAM_TX : s[0] == 'r' ? STREAM_RX : 2;
	uint32_t sock = (uint32_t)(s[1] - '0'), bytes = bind == STREAM_TX ? 10 : 5;

	c->binds[bind].rec = &recs[bind == STREAM_TX ? 0 : bind == STREAM_RX ? 1 : 2];
	c->types[c->n++] = (uint16_t)c->binds[bind].rec->id;
	put(c, bind, CALL_SOCK, sock);
	if (bind < 2) {
		put(c, bind, CALL_TASK, (uint32_t)(s[2] - '0'));
		put(c, bind, CALL_BYTES, bytes);
		put(c, bind, CALL_ERR, 0);
		put(c, bind, CALL_SEQ, c->seq[sock][bind] += bytes);
	}
	c->binds[bind].n_rows++;
}

static bool add_up(struct calls *calls, const char *const *events)
{
	const struct bind_tables tables = {.socks = socks, .n_socks = 3};
	struct chunk c = {.n = 0};
	struct calls_chunk chunk = {.binds = {&c.binds[STREAM_TX], &c.binds[STREAM_RX]},
				    .destroy = &c.binds[2],
				    .tables = &tables,
				    .types = c.types};

	for (; *events; events++)
		event(&c, *events);
	chunk.n_events = c.n;
	return calls_add_up(calls, &chunk);
}

#define ADD_UP(calls, ...) add_up(calls, (const char *const[]){__VA_ARGS__, NULL})

START_TEST(test_calls__sums_by_socket_and_thread)
{
	struct calls c = {.n = 0};
	struct streams s = {0};
	const struct bind_tables tables = {.socks = socks, .n_socks = 3};

	ck_assert(ADD_UP(&c, "s11", "s21", "r12", "s11", "r11", "s12", "s10"));
	ck_assert_uint_eq(c.n, 4); /* in the order of their first calls */
	ck_assert_uint_eq(c.list[0].sock * 10 + c.list[0].task, 11);
	ck_assert_uint_eq(c.list[1].sock * 10 + c.list[1].task, 21);
	ck_assert_uint_eq(c.list[2].sock * 10 + c.list[2].task, 12);
	ck_assert_uint_eq(c.list[3].sock * 10 + c.list[3].task, 10);
	ck_assert_uint_eq(c.list[0].sums.bytes[STREAM_TX], 20);
	ck_assert_uint_eq(c.list[0].sums.calls[STREAM_TX], 2);
	ck_assert_uint_eq(c.list[0].sums.bytes[STREAM_RX], 5);
	ck_assert_uint_eq(c.list[2].sums.calls[STREAM_RX], 1);
	ck_assert_uint_eq(c.list[2].sums.bytes[STREAM_TX], 10);
	/* nothing moved between these calls; then 100 bytes do */
	calls_to_streams(&c, &tables, &s);
	streams_call(&s, &socks[0], STREAM_TX, 150, 10, false);
	streams_end(&s, NULL);
	ck_assert_uint_eq(s.past_bytes[STREAM_TX], 100);
	ck_assert_uint_eq(s.past_bytes[STREAM_RX], 0);
	streams_fini(&s);
	/* the memory is used again, not what is in it */
	ck_assert(ADD_UP(&c, "s31"));
	ck_assert_uint_eq(c.n, 1);
	ck_assert_uint_eq(c.list[0].sums.bytes[STREAM_TX], 10);
	calls_fini(&c);
}
END_TEST

START_TEST(test_calls__order_that_sums_do_not_tell)
{
	struct calls c = {.n = 0};

	ck_assert(ADD_UP(&c, "s11", "x1", "s21"));
	ck_assert(!ADD_UP(&c, "x1", "s11"));
	ck_assert(!ADD_UP(&c, "s11", "x1", "r11"));
	/* rows 2 and 3 are of one socket, whose addresses changed between them */
	ck_assert(!ADD_UP(&c, "s21", "s31"));
	ck_assert(ADD_UP(&c, "s21", "x3"));
	ck_assert(ADD_UP(&c, "s31", "x2"));
	ck_assert(!ADD_UP(&c, "x3", "s21"));
	ck_assert(!ADD_UP(&c, "x2", "s31"));
	ck_assert(!ADD_UP(&c, "x2", "s21", "x3"));
	ck_assert(ADD_UP(&c, "x2", "x3", "s11", "x1"));
	calls_fini(&c);
}
END_TEST

SUITE("calls", test_calls__sums_by_socket_and_thread, test_calls__order_that_sums_do_not_tell)

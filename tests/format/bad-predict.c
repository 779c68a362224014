// SPDX-License-Identifier: GPL-2.0-or-later
/* Predictions from what is not there, does not fit, or needs itself: the column is lost alone. */
#include <stdio.h>
#include <string.h>

#include "codec.h"
#include "forge.h"
#include "layout.h"
#include "reader.h"
#include "suite.h"

static struct tape_error err;

/* Tables a, with ends, b, without, and c, which refers to a; an event with one field of each kind.
 */
static const char schema[] =
	"tape-schema\t1\nrecord\t0\tevent\t-\tm\nfield\tu64\tts_ns\tdelta\tns\tm\n"
	"field\tu16\ttype\tplain\trecord\tm\nfield\tu32\tcpu\tplain\tcpu\tm\n"
	"record\t1\ta\t-\tm\nfield\tu16\tlport\tplain\tport\tm\n"
	"record\t2\tb\t-\tm\nfield\tu64\tx\tplain\tport\tm\n"
	"record\t3\tc\t-\tm\nfield\tdref:a\ta\tref\tnone\tm\nfield\tu32\ty\tplain\tport\tm\n"
	"record\t16\te\tg\tm\nfield\tref:c\tc\tref\tnone\tm\nfield\tref:b\tb\tref\tnone\tm\n"
	"field\tu32\tv\tplain\tnone\tm\nfield\tu32\tw\tplain\tnone\tm\nfield\tu16\tshort\tplain\tno"
	"ne\tm\n"
	"field\tu64\tlong\tplain\tnone\tm\nfield\taddr\taddr\tplain\tnone\tm\n";
enum { C, B, V, W, SHORT, LONG, ADDR };
#define KEY_C 2 /* streams, by field 0 */
#define KEY_B 3 /* rows, by field 1 */
#define EVENT 16

static const uint8_t one[16] = {1}, zero[18] = {0}, time[8] = {7};

/* 4 events; one row in each table; all columns constant: references 1, numbers 0 or 1. */
static struct forge_chunk base(void)
{
	struct forge_chunk c = forge_chunk(4);
	static const unsigned ids[] = {1, 2, 3, EVENT};

	for (unsigned i = 0; i < 4; i++) {
		c.counts[i][0] = ids[i];
		c.counts[i][1] = ids[i] == EVENT ? 4 : 1;
	}
	c.n_counts = 4;
	c.columns[3] = (struct forge_column){3, 0, 0, TAPE_L_CONST, 0, one, 4, 0, 0};
	c.columns[4] = (struct forge_column){1, TAPE_ORIGINS, 0, TAPE_L_CONST, 0, one, 4, 0, 0};
	c.columns[5] = (struct forge_column){EVENT, C, 0, TAPE_L_CONST, 0, one, 4, 0, 0};
	c.columns[6] = (struct forge_column){EVENT, B, 0, TAPE_L_CONST, 0, one, 4, 0, 0};
	c.columns[0] = (struct forge_column){0, 0, 0, TAPE_L_CONST, 0, time, 8, 0, 0};
	c.n_columns = 7;
	return c;
}

static void predicted(struct forge_chunk *c, unsigned record, unsigned field, unsigned transform,
		      size_t width, const uint8_t guess[4])
{
	c->guesses[c->n_columns] = guess;
	c->columns[c->n_columns++] =
		(struct forge_column){record, field, transform, TAPE_L_CONST, 0, zero, width, 0, 0};
}

static int ask(const struct forge_chunk *c, unsigned record, unsigned field, uint64_t *ret)
{
	struct forge f = {.file_id = 1};
	struct tape_reader *r;
	struct tape_chunk *chunk;
	struct tape_column col;
	int rc;

	forge_front(&f, schema);
	forge_put_chunk(&f, c);
	ck_assert_int_eq(forge_open(&f.out, &r, &err), 0);
	bytes_free(&f.out);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	rc = tape_chunk_column(chunk, record, field, &col, &err);
	if (!rc && ret)
		*ret = tape_column_get(&col, 3);
	/* what does not need it can be read */
	ck_assert_int_eq(tape_chunk_column(chunk, EVENT, B, &col, NULL), 0);
	tape_reader_close(r);
	return rc;
}

#define GUESS(of, plus, key, turn) ((const uint8_t[4]){of, plus, key, turn})

static void bad(struct forge_chunk *c, unsigned record, unsigned field, const char *why)
{
	ck_assert_int_eq(ask(c, record, field, NULL), TAPE_E_CORRUPT);
	ck_assert_msg(strstr(err.text, why), "%s", err.text);
}

/* The same that is good, so that the others are bad for their reason alone. */
START_TEST(test_predict__good)
{
	struct forge_chunk c = base();
	uint64_t v;

	predicted(&c, EVENT, V, TAPE_T_LAST, 4, GUESS(0, 0, KEY_C, 0));
	predicted(&c, EVENT, W, TAPE_T_ROW, 4, GUESS(1 + V, 1 + 2 * V, 0, 0));
	predicted(&c, EVENT, LONG, TAPE_T_LAST, 8, GUESS(0, 0, KEY_B, 0));
	predicted(&c, EVENT, SHORT, TAPE_T_NONE, 2, NULL);
	ck_assert_int_eq(ask(&c, EVENT, V, &v), 0);
	ck_assert_uint_eq(v, 1);
	ck_assert_int_eq(ask(&c, EVENT, W, &v), 0);
	ck_assert_uint_eq(v, 2);
	ck_assert_int_eq(ask(&c, EVENT, LONG, &v), 0);
	ck_assert_uint_eq(v, 7); /* the time of the first */
}
END_TEST

#define ONE(field, transform, width, guess, why)                                                   \
	do {                                                                                       \
		struct forge_chunk c_ = base();                                                    \
		predicted(&c_, EVENT, field, transform, width, guess);                             \
		bad(&c_, EVENT, field, why);                                                       \
	} while (0)

START_TEST(test_predict__does_not_fit)
{
	static const char fit[] = "a column is predicted in a way that does not fit it";
	static const char key[] = "a column is predicted without a reference";
	struct forge_chunk c;

	ONE(SHORT, TAPE_T_ROW, 2, GUESS(1 + V, 0, 0, 0), fit);
	ONE(V, TAPE_T_ROW, 4, GUESS(0, 0, 0, 0), fit);
	ONE(V, TAPE_T_CROSS, 4, GUESS(0, 0, KEY_C, 0), fit);
	ONE(V, TAPE_T_CROSS, 4, GUESS(1 + B, 0, KEY_B, 0), fit);
	ONE(V, TAPE_T_SAME, 4, GUESS(0, 0, KEY_C, 0), fit);
	ONE(V, TAPE_T_LAST, 4, NULL, fit); /* the entry ends */
	ONE(V, TAPE_T_LAST, 4, GUESS(0, 0, 0, 0), key);
	ONE(V, TAPE_T_LAST, 4, GUESS(0, 0, 1 + 2 * W, 0), key);
	ONE(V, TAPE_T_LAST, 4, GUESS(0, 0, 99, 0), key);
	ONE(V, TAPE_T_LAST, 4, GUESS(0, 0, 2 + 2 * B, 0),
	    "a column is predicted by the stream of what has none");
	ONE(LONG, TAPE_T_LAST, 8, GUESS(0, 0, KEY_C, 0), "is not of 32 bits");
	ONE(LONG, TAPE_T_SMOOTH, 8, GUESS(1 + B, 0, KEY_B, 0), fit);
	ONE(V, TAPE_T_SMOOTH, 4, GUESS(0, 0, KEY_B, 0), fit);
	ONE(V, TAPE_T_NEXT, 4, NULL, "a column is no reference, but written as one");
	c = base();
	predicted(&c, EVENT, ADDR, TAPE_T_NONE, 18, NULL);
	c.columns[c.n_columns - 1].layout = TAPE_L_FIXED;
	predicted(&c, EVENT, V, TAPE_T_ROW, 4, GUESS(1 + ADDR, 0, 0, 0));
	bad(&c, EVENT, V, "a column is predicted from one that holds no numbers");
	c = base();
	c.columns[5].transform = TAPE_T_ROW;
	c.guesses[5] = GUESS(1 + B, 0, 0, 0);
	bad(&c, EVENT, C, fit);
	c = base();
	c.columns[5].transform = TAPE_T_SAME;
	c.guesses[5] = GUESS(0, 0, KEY_B, 0);
	bad(&c, EVENT, C, fit);
	c = base();
	predicted(&c, 3, 1, TAPE_T_LAST, 4, GUESS(0, 0, 1, 0));
	bad(&c, 3, 1, "a row of a table is predicted by the time of an event");
}
END_TEST

/* What is not in the chunk, or written in an unknown way, takes along what needs it. */
START_TEST(test_predict__missing)
{
	struct forge_chunk c = base();

	predicted(&c, EVENT, V, TAPE_T_ROW, 4, GUESS(1 + W, 0, 0, 0));
	ck_assert_int_eq(ask(&c, EVENT, V, NULL), TAPE_E_ABSENT);
	predicted(&c, EVENT, W, 99, 4, NULL);
	ck_assert_int_eq(ask(&c, EVENT, V, NULL), TAPE_E_UNKNOWN);
	c = base();
	predicted(&c, EVENT, V, TAPE_T_LAST, 4, GUESS(0, 0, KEY_C, 0));
	c.columns[4].field = TAPE_ORIGINS + 1;
	ck_assert_int_eq(ask(&c, EVENT, V, NULL), TAPE_E_ABSENT);
	c.columns[4].field = TAPE_ORIGINS;
	c.columns[4].transform = TAPE_T_DELTA;
	ck_assert_int_eq(ask(&c, EVENT, V, NULL), TAPE_E_UNKNOWN);
	c.columns[4].transform = 0;
	c.columns[3].body = zero + 2; /* no ends: stream 0 */
	ck_assert_int_eq(ask(&c, EVENT, V, NULL), 0);
}
END_TEST

START_TEST(test_predict__circles)
{
	static const char circle[] = "columns are predicted from each other in a circle";
	struct forge_chunk c = base();

	predicted(&c, EVENT, V, TAPE_T_ROW, 4, GUESS(1 + V, 0, 0, 0));
	bad(&c, EVENT, V, circle);
	c = base();
	predicted(&c, EVENT, V, TAPE_T_ROW, 4, GUESS(1 + W, 0, 0, 0));
	predicted(&c, EVENT, W, TAPE_T_LAST, 4, GUESS(1 + V, 0, KEY_C, 0));
	bad(&c, EVENT, V, circle);
	c = base(); /* a reference by its own stream */
	c.columns[5].transform = TAPE_T_SAME;
	c.guesses[5] = GUESS(0, 0, KEY_C, 0);
	bad(&c, EVENT, C, circle);
}
END_TEST

/* A chain that is no circle: which of its columns is asked for first does not matter. */
START_TEST(test_predict__depth)
{
	static uint8_t guess[FORGE_MAX][4];
	char text[2000] =
		"tape-schema\t1\nrecord\t0\tevent\t-\tm\nfield\tu64\tts_ns\tdelta\tns\tm\n"
		"field\tu16\ttype\tplain\trecord\tm\nfield\tu32\tcpu\tplain\tcpu\tm\n"
		"record\t16\te\tg\tm\n";
	struct forge_chunk c = forge_chunk(4);
	struct forge f = {.file_id = 1};
	struct tape_reader *r;
	struct tape_chunk *chunk;
	struct tape_column col;

	for (unsigned i = 0; i < 20; i++) {
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "field\tu32\tf%u\tplain\tnone\tm\n", i);
		guess[i][0] = (uint8_t)(1 + i + 1);
		c.columns[3 + i] = (struct forge_column){
			EVENT, i, i < 19 ? TAPE_T_ROW : 0, TAPE_L_CONST, 0, zero, 4, 0, 0};
		c.guesses[3 + i] = i < 19 ? guess[i] : NULL;
	}
	c.n_columns = 23;
	forge_front(&f, text);
	forge_put_chunk(&f, &c);
	ck_assert_int_eq(forge_open(&f.out, &r, &err), 0);
	ck_assert_int_eq(tape_reader_next(r, &chunk, &err), 1);
	ck_assert_int_eq(tape_chunk_column(chunk, EVENT, 10, &col, &err), 0);
	ck_assert_int_eq(tape_chunk_column(chunk, EVENT, 0, &col, &err), 0);
	ck_assert_int_eq(tape_chunk_column(chunk, EVENT, 19, &col, &err), 0);
	tape_reader_close(r);
	bytes_free(&f.out);
}
END_TEST

SUITE("predict", test_predict__good, test_predict__does_not_fit, test_predict__missing,
      test_predict__circles, test_predict__depth)

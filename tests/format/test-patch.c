// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* patch.h: what is edited is edited, what is dropped is gone, everything else is what it was. */
#include "patch.h"

#include <string.h>

#include "layout.h"
#include "sample.h"
#include "suite.h"

#define N 9000 /* fewer stand in one frame */

static struct tape_error err;
static struct tape_build *build;
static struct tape_chunk *before, *after;
static struct tape_patch *patch;
static enum tape_patch_what wants[TAPE_MAX_RECORDS][TAPE_MAX_FIELDS];
static unsigned n_edits;

static enum tape_patch_what what(const void *ctx, const struct tape_record *rec, unsigned field)
{
	return wants[rec->id][field];
}

/* Every byte becomes another one. */
static int edit(void *ctx, const struct tape_record *rec, unsigned field, void *values, size_t n)
{
	uint8_t *p = values;

	for (size_t i = 0; i < n * rec->fields[field].width; i++)
		p[i] ^= 0x5a;
	n_edits++;
	return 0;
}

static const struct tape_patch_rules rules = {what, edit, NULL};

static unsigned field_of(unsigned record, const char *name)
{
	const struct tape_record *rec = tape_schema_record(tape_schema_builtin(), record);
	unsigned i = 0;

	while (i < rec->n_fields && strcmp(rec->fields[i].name, name))
		i++;
	ck_assert_uint_lt(i, rec->n_fields);
	return i;
}

static unsigned record_of(const char *name)
{
	return tape_schema_record_by_name(tape_schema_builtin(), name)->id;
}

/* A chunk of n events of some types. */
static void begin(uint32_t n)
{
	static const char *const types[] = {"rtt", "tx", "drop", "tcp_facts"};
	const void *type_head, *payload;
	struct tape_chunk_head head = {0};
	size_t hdr_len, payload_len;
	static uint8_t copy[2][16 << 20];
	union sample e;

	memset(wants, 0, sizeof(wants));
	n_edits = 0;
	ck_assert(!tape_build_new(&build, true, 0, &err) && !tape_chunk_new(&before, &err) &&
		  !tape_chunk_new(&after, &err) && !tape_patch_new(&patch, 0, &err));
	for (uint32_t i = 0; i < n; i++) {
		sample_fill(tape_schema_record_by_name(tape_schema_builtin(), types[i % 4]), i % 97,
			    1000 + i, &e);
		ck_assert_int_eq(tape_build_add(build, &e.head, &err), 0);
	}
	ck_assert(!tape_build_encode(build, &head, &type_head, &hdr_len, &payload, &payload_len,
				     &err));
	ck_assert_uint_le(hdr_len, sizeof(copy[0]));
	ck_assert_uint_le(payload_len, sizeof(copy[1]));
	memcpy(copy[0], type_head, hdr_len);
	memcpy(copy[1], payload, payload_len);
	ck_assert(!tape_chunk_parse(before, tape_schema_builtin(), false, copy[0], hdr_len, copy[1],
				    payload_len, 0, &err));
}

static void end(void)
{
	tape_build_free(build);
	tape_chunk_free(before);
	tape_chunk_free(after);
	tape_patch_free(patch);
}

static int run(void)
{
	struct tape_chunk_made made;
	int rc = tape_patch_chunk(patch, before, &rules, &made, &err);

	if (rc != 1)
		return rc;
	ck_assert(!tape_chunk_parse(after, tape_schema_builtin(), false, made.type_head,
				    made.type_head_len, made.payload, made.payload_len, 0, &err));
	ck_assert_mem_eq(&made.head, tape_chunk_head(after), sizeof(made.head));
	return rc;
}

/* Of all columns: returns how many there are. */
static unsigned compare(void)
{
	const struct tape_schema *s = tape_schema_builtin();
	unsigned n = 0;

	for (size_t i = 0; i < s->n_records; i++) {
		for (unsigned f = 0; f < s->records[i].n_fields; f++) {
			unsigned id = s->records[i].id;
			enum tape_patch_what w = wants[id][f];
			struct tape_column a, b;
			size_t len;

			if (!tape_chunk_has(before, id, f))
				continue;
			n++;
			ck_assert_uint_eq(tape_chunk_has(after, id, f), w != TAPE_PATCH_DROP);
			if (w == TAPE_PATCH_DROP)
				continue;
			ck_assert(!tape_chunk_column(before, id, f, &a, &err));
			ck_assert(!tape_chunk_column(after, id, f, &b, &err));
			ck_assert_uint_eq(a.n, b.n);
			len = a.width ? (size_t)a.n * a.width : a.str_start[a.n];
			for (size_t k = 0; k < len; k++)
				if (((const uint8_t *)a.values)[k] !=
				    (((const uint8_t *)b.values)[k] ^ (w ? 0x5a : 0)))
					ck_abort_msg("%s.%s differs at %zu", s->records[i].name,
						     s->records[i].fields[f].name, k);
		}
	}
	return n;
}

START_TEST(test_patch__edits_drops_and_keeps)
{
	unsigned flow = record_of("flow"), task = record_of("task"), sock = record_of("sock");

	begin(N);
	wants[flow][field_of(flow, "laddr")] = TAPE_PATCH_EDIT;
	wants[flow][field_of(flow, "raddr")] = TAPE_PATCH_EDIT;
	wants[flow][field_of(flow, "lport")] = TAPE_PATCH_EDIT;
	wants[task][field_of(task, "comm")] = TAPE_PATCH_EDIT;
	wants[sock][field_of(sock, "skaddr")] = TAPE_PATCH_DROP;
	ck_assert_int_eq(run(), 1);
	ck_assert_uint_gt(compare(), 60);
	ck_assert_uint_ge(n_edits, 3); /* of these events none may have a task */
	end();
}
END_TEST

/* Each column by itself: others may be predicted from it; then the rows must be written, and are.
 */
START_TEST(test_patch__any_one_column)
{
	const struct tape_schema *s = tape_schema_builtin();
	unsigned n_patched = 0, n_refused = 0;

	begin(N);
	for (size_t i = 0; i < s->n_records; i++) {
		for (unsigned f = 0; f < s->records[i].n_fields; f++) {
			unsigned id = s->records[i].id;
			int rc;

			if (!tape_chunk_has(before, id, f) || id == TAPE_COMMON ||
			    s->records[i].fields[f].table ||
			    s->records[i].fields[f].type == TAPE_STR)
				continue;
			wants[id][f] = TAPE_PATCH_EDIT;
			rc = run();
			ck_assert_int_ge(rc, 0);
			if (rc)
				compare();
			*(rc ? &n_patched : &n_refused) += 1;
			wants[id][f] = TAPE_PATCH_KEEP;
		}
	}
	ck_assert_uint_gt(n_patched, 40);
	ck_assert_uint_gt(n_refused, 3); /* as the sequence numbers of tx */
	end();
}
END_TEST

START_TEST(test_patch__one_frame_is_for_rows)
{
	begin(100);
	ck_assert_int_eq(run(), 0);
	end();
}
END_TEST

START_TEST(test_patch__what_asks_for_rows)
{
	unsigned flow = record_of("flow");

	begin(N);
	wants[flow][field_of(flow, "laddr")] = TAPE_PATCH_ROWS;
	ck_assert_int_eq(run(), 0);
	ck_assert_int_eq(tape_patch_decode(before, &rules, &err), 0);
	ck_assert_uint_eq(n_edits, 0);
	end();
}
END_TEST

SUITE("patch", test_patch__edits_drops_and_keeps, test_patch__any_one_column,
      test_patch__one_frame_is_for_rows, test_patch__what_asks_for_rows)

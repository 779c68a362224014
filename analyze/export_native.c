// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events for ClickHouse: NAME.native for each kind, in blocks of its format Native (a column after
 * the other, values as they lie in memory), and schema.sql with the tables that they go into.
 * All columns are Nullable, since "not recorded" is not 0, but for those that every event has. What
 * old servers lack (column codecs, LowCardinality, IPv6, DateTime64; ClickHouse 18 of Debian 12)
 * is not used.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"

#define NS_PER_S 1000000000ull

static const char *const common_columns[][2] = {
	{"host", "String"},   {"recording", "UInt64"}, {"time", "DateTime"},
	{"wall_ns", "Int64"}, {"ts_ns", "UInt64"},     {"cpu", "Nullable(UInt32)"},
};
enum { HOST, RECORDING, TIME, WALL_NS, TS_NS, CPU, N_COMMON };

static const char *type_of(const struct flat_column *c)
{
	static const char *const types[] = {
		[TAPE_U8] = "UInt8",   [TAPE_U16] = "UInt16", [TAPE_U32] = "UInt32",
		[TAPE_U64] = "UInt64", [TAPE_I32] = "Int32",  [TAPE_I64] = "Int64",
	};

	return c->kind == FLAT_NUMBER ? types[c->f->type] : "String";
}

/* ---- the tables ---- */

static void put_table(struct text *t, const struct flat *flat)
{
	/* names of a schema are letters, digits and _, but may be words of SQL */
	text_fmt(t, "CREATE TABLE IF NOT EXISTS `%s` (\n", flat->rec->name);
	for (unsigned i = 0; i < N_COMMON; i++)
		text_fmt(t, "  %s %s,\n", common_columns[i][0], common_columns[i][1]);
	for (unsigned i = 0; i < flat->n; i++)
		text_fmt(t, "  `%s` Nullable(%s)%s\n", flat->columns[i].name,
			 type_of(&flat->columns[i]), i + 1 < flat->n ? "," : "");
	if (!flat->n && t->len > 2) { /* no column follows the last comma */
		t->len -= 2;
		text_putc(t, '\n');
	}
	text_puts(
		t,
		") ENGINE = MergeTree PARTITION BY toYYYYMMDD(time) ORDER BY (host, wall_ns);\n\n");
}

static int write_schema(struct export *x)
{
	if (x->one.is_open) /* rows of one table, to standard output */
		return 0;
	if (export_open(x, &x->one, "schema", "sql"))
		return -1;
	for (size_t i = 0; i < x->flat.n_tables; i++)
		if (x->flat.tables[i].seen)
			put_table(&x->one.text, &x->flat.tables[i].flat);
	return 0;
}

/* ---- blocks ---- */

static void put_varint(struct text *t, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		text_putc(t, (char)(v | 0x80));
	text_putc(t, (char)v);
}

static void put_str(struct text *t, const char *s, size_t len)
{
	put_varint(t, len);
	text_add(t, s, len);
}

static void put_head(struct text *t, const char *name, const char *type)
{
	put_str(t, name, strlen(name));
	put_str(t, type, strlen(type));
}

/* ClickHouse has them in little-endian order. */
static char *store(char *p, uint64_t v, unsigned width)
{
	v = htole64(v);
	memcpy(p, &v, width);
	return p + width;
}

static void put_strs(struct text *t, const char *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		put_str(t, s, strlen(s));
}

/* Columns that lie side by side are written at once: the time of an event is not looked up twice.
 */
static void put_common(struct export *x, struct text *t, const struct flat_table *table)
{
	static const unsigned widths[N_COMMON] = {
		[RECORDING] = 8, [TIME] = 4, [WALL_NS] = 8, [TS_NS] = 8, [CPU] = 1 + 4};
	const struct tape_file_info *info = tape_reader_info(input_reader(x->run->in));
	const char *host = input_meta(x->run->in, "host");
	size_t at[N_COMMON] = {0}, n = table->n;

	put_head(t, common_columns[HOST][0], common_columns[HOST][1]);
	put_strs(t, host ? host : "", table->n);
	for (unsigned c = RECORDING; c < N_COMMON; c++) {
		put_head(t, common_columns[c][0], common_columns[c][1]);
		at[c] = t->len;
		if (!text_room(t, n * widths[c]))
			return;
		t->len += n * widths[c];
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t ns = flat_run_ns(&x->flat, table->events[i]);
		uint64_t wall = input_wall(x->run->in, ns);
		uint32_t cpu;

		store(t->s + at[RECORDING] + 8 * i, info->file_id, 8);
		store(t->s + at[TIME] + 4 * i, wall / NS_PER_S, 4);
		store(t->s + at[WALL_NS] + 8 * i, wall, 8);
		store(t->s + at[TS_NS] + 8 * i, ns, 8);
		t->s[at[CPU] + i] = !flat_run_cpu(&x->flat, table->events[i], &cpu);
		store(t->s + at[CPU] + n + 4 * i, cpu, 4);
	}
}

/* Which values are null, then the values. */
static void put_numbers(struct text *t, const struct flat_table *table, unsigned k)
{
	const struct flat_column *c = &table->flat.columns[k];
	const struct flat_data *d = &table->data[k];
	unsigned width = c->f->width;
	char *nulls = text_room(t, (size_t)table->n * (1 + width)), *p = nulls + table->n;

	if (!nulls)
		return;
	t->len += (size_t)table->n * (1 + width);
	if (BYTE_ORDER == LITTLE_ENDIAN && !c->n_hops && d->have && table->n == d->n[0] &&
	    d->value.n >= table->n && d->value.width == width) { /* all of them, as they lie */
		memset(nulls, 0, table->n);
		memcpy(p, d->value.values, (size_t)table->n * width);
		return;
	}
	for (uint32_t i = 0; i < table->n; i++) {
		const struct tape_column *col;
		int64_t row = flat_find(c, d, table->rows[i], &col);

		nulls[i] = row < 0;
		p = store(p, row < 0 ? 0 : tape_column_get(col, (uint32_t)row), width);
	}
}

/*
 * Texts of the rows of a table that many events refer to are made once a chunk: `at` has where in
 * x->memo each stands, one more; 0: not made yet.
 */
static uint32_t text_at(struct export *x, const struct flat_column *c, const struct flat_data *d,
			uint32_t k)
{
	const struct tape_column *col;
	int64_t row = flat_find(c, d, k, &col);
	uint32_t *at, none = 0;
	struct flat_value v;

	at = row < 0 || !c->n_hops ? &none : &x->memo_at[2 * row + (col == &d->other_end)];
	if (*at)
		return *at;
	flat_take(c, col, row, &v);
	if (v.is == FLAT_IS_UINT) { /* a value without a name */
		v.s = v.room;
		v.len = (size_t)snprintf(v.room, sizeof(v.room), "%llu", (unsigned long long)v.v);
	}
	*at = (uint32_t)x->memo.len + 1;
	text_putc(&x->memo, v.is == FLAT_IS_NULL);
	put_str(&x->memo, v.is == FLAT_IS_NULL ? "" : v.s, v.is == FLAT_IS_NULL ? 0 : v.len);
	return *at;
}

/* Bytes that a varint and what it counts take. */
static size_t str_len(const char *s)
{
	size_t len = 0, n = 0;

	do
		len |= (size_t)(s[n] & 0x7f) << 7 * n;
	while (s[n++] & 0x80);
	return n + len;
}

static int reserve_memo(struct export *x, const struct flat_table *table,
			const struct flat_column *c, const struct flat_data *d)
{
	size_t n = 2 * (size_t)d->n[c->n_hops];
	void *p;

	text_clear(&x->memo);
	p = realloc(x->memo_at, (n + 1) * sizeof(*x->memo_at));
	x->memo_at = p ? p : x->memo_at;
	if (p)
		memset(p, 0, n * sizeof(*x->memo_at));
	if (p)
		p = realloc(x->cells, (table->n + 1) * sizeof(*x->cells));
	x->cells = p ? p : x->cells;
	return p ? 0 : fail_nomem(x->run->fail);
}

static int put_texts(struct export *x, struct text *t, const struct flat_table *table, unsigned k)
{
	const struct flat_column *c = &table->flat.columns[k];
	const struct flat_data *d = &table->data[k];
	char *nulls;

	if (reserve_memo(x, table, c, d))
		return -1;
	for (uint32_t i = 0; i < table->n; i++)
		x->cells[i] = text_at(x, c, d, table->rows[i]) - 1;
	nulls = text_room(t, table->n);
	if (!nulls || x->memo.failed)
		return fail_nomem(x->run->fail);
	for (uint32_t i = 0; i < table->n; i++)
		nulls[i] = x->memo.s[x->cells[i]];
	t->len += table->n;
	for (uint32_t i = 0; i < table->n; i++) {
		const char *s = x->memo.s + x->cells[i] + 1;

		text_add(t, s, str_len(s));
	}
	return 0;
}

static int native_table(void *ctx, struct flat_run *run, struct flat_table *table)
{
	struct export *x = ctx;
	bool is_new;
	struct export_file *f = export_table(x, table, "native", &is_new);

	if (!f)
		return -1;
	put_varint(&f->text, N_COMMON + table->flat.n);
	put_varint(&f->text, table->n);
	put_common(x, &f->text, table);
	for (unsigned k = 0; k < table->flat.n; k++) {
		const struct flat_column *c = &table->flat.columns[k];
		char type[32];

		snprintf(type, sizeof(type), "Nullable(%s)", type_of(c));
		put_head(&f->text, c->name, type);
		if (c->kind == FLAT_NUMBER)
			put_numbers(&f->text, table, k);
		else if (put_texts(x, &f->text, table, k))
			return -1;
		if (export_flush(x, f, false))
			return -1;
	}
	return 0;
}

int export_clickhouse(struct export *x)
{
	x->flat.on_table = native_table;
	return flat_run(&x->flat) ? -1 : write_schema(x);
}

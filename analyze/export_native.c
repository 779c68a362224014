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
#define SMALL 256 /* numbers that have names, mostly */

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
static void store(char *p, size_t i, uint64_t v, unsigned width)
{
	v = htole64(v);
	memcpy(p + i * width, &v, width);
}

static void put_strs(struct text *t, const char *s, uint32_t n)
{
	size_t start = t->len, len;
	char *p;

	put_str(t, s, strlen(s));
	len = t->len - start;
	p = text_room(t, (size_t)(n - 1) * len);
	for (uint32_t i = 1; p && i < n; i++, p += len)
		memcpy(p, t->s + start, len);
	t->len += p ? (size_t)(n - 1) * len : 0;
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

		store(t->s + at[RECORDING], i, info->file_id, 8);
		store(t->s + at[TIME], i, wall / NS_PER_S, 4);
		store(t->s + at[WALL_NS], i, wall, 8);
		store(t->s + at[TS_NS], i, ns, 8);
		t->s[at[CPU] + i] = !flat_run_cpu(&x->flat, table->events[i], &cpu);
		store(t->s + at[CPU] + n, i, cpu, 4);
	}
}

/* Values of that width and their places: 0 is null, the lowest bit less one says of which column.
 */
#define STORE(type)                                                                                \
	do {                                                                                       \
		const type *of[] = {d->value.values, d->other_end.values};                         \
                                                                                                   \
		for (size_t i = 0; i < n; i++) {                                                   \
			uint32_t at = x->at[i] - 1;                                                \
			type v = x->at[i] ? of[at & 1][at >> 1] : 0;                               \
                                                                                                   \
			store(p, i, v, sizeof(v));                                                 \
		}                                                                                  \
	} while (0)

static void store_values(const struct export *x, const struct flat_data *d, unsigned width,
			 size_t n, char *p)
{
	switch (width) {
	case 1: STORE(uint8_t); break;
	case 2: STORE(uint16_t); break;
	case 4: STORE(uint32_t); break;
	default: STORE(uint64_t);
	}
}

/* Which values are null, then the values. */
static void put_numbers(struct export *x, struct text *t, const struct flat_table *table,
			unsigned k)
{
	const struct flat_column *c = &table->flat.columns[k];
	const struct flat_data *d = &table->data[k];
	unsigned width = c->f->width;
	size_t n = table->n;
	char *nulls = text_room(t, n * (1 + width)), *p = nulls + n;

	if (!nulls)
		return;
	t->len += n * (1 + width);
	if (BYTE_ORDER == LITTLE_ENDIAN && !c->n_hops && d->have && n == d->n[0] &&
	    d->value.n >= n) { /* all of them, as they lie */
		memset(nulls, 0, n);
		memcpy(p, d->value.values, n * width);
		return;
	}
	for (size_t i = 0; i < n; i++)
		nulls[i] = !x->at[i];
	store_values(x, d, width, n, p);
}

/*
 * A text is made once a chunk where many events have it: those of rows of a table, and names of
 * small numbers. Where in x->memo_at it is noted, 0: nowhere.
 */
static size_t memo_key(const struct flat_column *c, const struct flat_data *d, uint32_t place)
{
	uint64_t v;

	if (c->n_hops || c->kind != FLAT_NAMED)
		return c->n_hops ? place : 0;
	v = tape_column_get(&d->value, (place - 1) >> 1);
	return v < SMALL ? 1 + v : 0;
}

/* The text of a place: whether it is null, its length, itself; where that stands in x->memo. */
static uint32_t make_text(struct export *x, const struct flat_column *c, const struct flat_data *d,
			  uint32_t place)
{
	const struct tape_column *col = (place - 1) & 1 ? &d->other_end : &d->value;
	uint32_t at = (uint32_t)x->memo.len;
	struct flat_value v;

	flat_take(c, col, place ? (int64_t)((place - 1) >> 1) : -1, &v);
	if (v.is == FLAT_IS_UINT) { /* a value without a name */
		v.s = v.room;
		v.len = (size_t)snprintf(v.room, sizeof(v.room), "%llu", (unsigned long long)v.v);
	}
	if (v.is == FLAT_IS_NULL) {
		v.s = "";
		v.len = 0;
	}
	text_putc(&x->memo, v.is == FLAT_IS_NULL);
	put_str(&x->memo, v.s, v.len);
	return at;
}

static int find_texts(struct export *x, const struct flat_table *table, unsigned k)
{
	const struct flat_column *c = &table->flat.columns[k];
	const struct flat_data *d = &table->data[k];
	size_t n = SMALL + 2 * (size_t)d->n[c->n_hops] + 1;
	uint32_t *memo = realloc(x->memo_at, n * sizeof(*memo));

	x->memo_at = memo ? memo : x->memo_at;
	if (!memo)
		return fail_nomem(x->run->fail);
	memset(memo, 0, n * sizeof(*memo));
	text_clear(&x->memo);
	for (uint32_t i = 0; i < table->n; i++) {
		size_t key = x->at[i] ? memo_key(c, d, x->at[i]) : 0;

		x->cells[i] = key && memo[key] ? memo[key] - 1 : make_text(x, c, d, x->at[i]);
		memo[key] = x->cells[i] + 1;
	}
	return x->memo.failed ? fail_nomem(x->run->fail) : 0;
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

static int put_texts(struct export *x, struct text *t, const struct flat_table *table, unsigned k)
{
	size_t len = 0, n = table->n;
	char *nulls, *p;

	if (find_texts(x, table, k))
		return -1;
	for (size_t i = 0; i < n; i++)
		len += str_len(x->memo.s + x->cells[i] + 1);
	nulls = text_room(t, n + len);
	if (!nulls)
		return fail_nomem(x->run->fail);
	p = nulls + n;
	for (size_t i = 0; i < n; i++) {
		const char *s = x->memo.s + x->cells[i];

		nulls[i] = *s++;
		len = str_len(s);
		memcpy(p, s, len);
		p += len;
	}
	t->len = (size_t)(p - t->s);
	return 0;
}

/* x->at becomes where the values of column k stand, known of the column *placed, or NULL. */
static void find_places(struct export *x, const struct flat_table *table, unsigned k,
			const struct flat_column **placed)
{
	const struct flat_column *c = &table->flat.columns[k];

	if (flat_places(c, &table->data[k], *placed, table->rows, table->n, x->at)) {
		*placed = c;
		return;
	}
	memset(x->at, 0, table->n * sizeof(*x->at));
	*placed = NULL;
}

static int reserve(struct export *x, uint32_t n)
{
	void *at, *cells;

	if (n <= x->room)
		return 0;
	at = realloc(x->at, n * sizeof(*x->at));
	x->at = at ? at : x->at;
	cells = realloc(x->cells, n * sizeof(*x->cells));
	x->cells = cells ? cells : x->cells;
	if (!at || !cells)
		return fail_nomem(x->run->fail);
	x->room = n;
	return 0;
}

static int native_table(void *ctx, struct flat_run *run, struct flat_table *table)
{
	struct export *x = ctx;
	const struct flat_column *placed = NULL;
	bool is_new;
	struct export_file *f = export_table(x, table, "native", &is_new);

	if (!f || reserve(x, table->n))
		return -1;
	put_varint(&f->text, N_COMMON + table->flat.n);
	put_varint(&f->text, table->n);
	put_common(x, &f->text, table);
	for (unsigned k = 0; k < table->flat.n; k++) {
		const struct flat_column *c = &table->flat.columns[k];
		char type[32];

		snprintf(type, sizeof(type), "Nullable(%s)", type_of(c));
		put_head(&f->text, c->name, type);
		find_places(x, table, k, &placed);
		if (c->kind == FLAT_NUMBER)
			put_numbers(x, &f->text, table, k);
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

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * codec FILE [ROUNDS]: what the format costs on the events of a trace. Takes them out as structs,
 * writes them again and reads them again, all in memory. A line a figure: name, value, unit. Times
 * are CPU time of this thread, medians of the rounds (5), in which what is compared takes turns:
 * judge by ratios. It judges nothing itself.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "reader.h"
#include "rows.h"
#include "writer.h"

enum { MAX_ROUNDS = 101, CHUNK = 65536, MAX_ROWS_IN_LIST = 1024 };

static struct tape_error err;

static void must(int rc)
{
	if (rc < 0) {
		fprintf(stderr, "codec: %s\n", err.text);
		exit(1);
	}
}

static void *need(void *p)
{
	if (!p) {
		fprintf(stderr, "codec: no memory\n");
		exit(1);
	}
	return p;
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void line(const char *name, double value, const char *unit)
{
	printf("%-36s %10.3f %s\n", name, value, unit);
}

/* ---- the events, one struct after the other ---- */

struct events {
	uint8_t *p;
	size_t len, cap, n;
	bool pointers;
};

static void add(struct events *e, const struct ev_head *h)
{
	if (e->len + h->size > e->cap) {
		e->cap = 2 * e->cap + (1 << 20);
		e->p = need(realloc(e->p, e->cap));
	}
	memcpy(e->p + e->len, h, h->size);
	e->len += h->size;
	e->n++;
}

/* A struct stands anywhere in e, but is read aligned: all sizes are multiples of 4 at least. */
static const struct ev_head *at(const struct events *e, size_t pos)
{
	return (const struct ev_head *)(const void *)(e->p + pos);
}

static void load(const char *path, struct events *e)
{
	struct tape_reader *r;
	struct tape_rows *rows;
	struct tape_chunk *c;
	const struct ev_head *h;
	int rc;

	must(tape_reader_open(&r, path, &err));
	must(tape_rows_new(&rows, &err));
	while ((rc = tape_reader_next(r, &c, &err)) == 1) {
		if (tape_chunk_is_snapshot(c))
			continue;
		must(tape_rows_begin(rows, c, tape_reader_schema(r), &err));
		if (tape_rows_unknown(rows) || tape_rows_absent(rows))
			fprintf(stderr,
				"codec: the file is of another version: not all is there\n");
		while (tape_rows_next(rows, &h))
			add(e, h);
	}
	must(rc);
	tape_rows_free(rows);
	tape_reader_close(r);
}

/* ---- writing and reading again ---- */

static int memory_file(void)
{
	int fd = memfd_create("codec", MFD_CLOEXEC);

	if (fd < 0) {
		perror("codec: memfd_create");
		exit(1);
	}
	return fd;
}

/* Returns the bytes of the file; *ret_heap: what the writer held. */
static uint64_t write_all(const struct events *e, int fd, int level, uint32_t chunk_events,
			  size_t *ret_heap)
{
	struct tape_writer_opts o = {.file_id = 1,
				     .writer = "bench",
				     .n_cpus = 1,
				     .level = level,
				     .chunk_events = chunk_events,
				     .pointers = e->pointers};
	struct mallinfo2 before = mallinfo2(), after;
	struct tape_writer_stats stats;
	struct tape_writer *w;

	must(tape_writer_open(&w, fd, &o, &err));
	for (size_t pos = 0; pos < e->len; pos += at(e, pos)->size)
		must(tape_writer_event(w, at(e, pos), &err));
	must(tape_writer_close(w, 0, &err));
	after = mallinfo2();
	if (ret_heap)
		*ret_heap = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
	tape_writer_stats(w, &stats);
	tape_writer_free(w);
	return stats.bytes;
}

static struct tape_reader *open_fd(int fd)
{
	struct tape_reader *r;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	must(tape_reader_open(&r, path, &err));
	return r;
}

/* What was written must come back, or no figure means anything. Events have no strings. */
static void check_same(const struct events *e, int fd)
{
	struct tape_reader *r = open_fd(fd);
	const struct ev_head *h;
	struct tape_rows *rows;
	struct tape_chunk *c;
	size_t pos = 0;

	must(tape_rows_new(&rows, &err));
	while (tape_reader_next(r, &c, &err) == 1) {
		must(tape_rows_begin(rows, c, tape_reader_schema(r), &err));
		for (; tape_rows_next(rows, &h); pos += h->size)
			if (e->len - pos < h->size || memcmp(h, e->p + pos, h->size)) {
				fprintf(stderr, "codec: byte %zu of the events came back changed\n",
					pos);
				exit(1);
			}
	}
	if (pos != e->len) {
		fprintf(stderr, "codec: events are missing\n");
		exit(1);
	}
	tape_rows_free(rows);
	tape_reader_close(r);
}

/* ---- sizes ---- */

struct size {
	char name[80];
	uint64_t bytes;
};

static int by_bytes(const void *a, const void *b)
{
	const struct size *x = a, *y = b;

	return x->bytes < y->bytes ? 1 : x->bytes > y->bytes ? -1 : 0;
}

static void print_sizes(const char *what, struct size *s, size_t n, const struct events *e)
{
	char name[100];

	qsort(s, n, sizeof(*s), by_bytes);
	for (size_t i = 0; i < n; i++)
		if (s[i].bytes) {
			snprintf(name, sizeof(name), "%s.%s", what, s[i].name);
			line(name, (double)s[i].bytes / (double)e->n, "B/event");
		}
}

/* By column, by record type, and what is not in columns. */
static void sizes(const struct events *e, int fd)
{
	static struct size columns[MAX_ROWS_IN_LIST], records[MAX_ROWS_IN_LIST];
	struct tape_reader *r = open_fd(fd);
	const struct tape_schema *s = tape_reader_schema(r);
	uint64_t heads = 0;
	uint64_t rows[MAX_ROWS_IN_LIST] = {0};
	struct tape_chunk *c;
	int rc;

	while ((rc = tape_reader_next(r, &c, &err)) == 1) {
		uint64_t in_columns = 0;
		size_t k = 0;

		for (size_t i = 0; i < s->n_records; i++) {
			rows[i] += tape_chunk_rows(c, s->records[i].id);
			snprintf(records[i].name, sizeof(records[i].name), "%s",
				 s->records[i].name);
			for (unsigned f = 0; f < s->records[i].n_fields && k < MAX_ROWS_IN_LIST;
			     f++, k++) {
				size_t bytes = tape_chunk_column_stored(c, s->records[i].id, f);

				snprintf(columns[k].name, sizeof(columns[k].name), "%s.%s",
					 s->records[i].name, s->records[i].fields[f].name);
				columns[k].bytes += bytes;
				records[i].bytes += bytes;
				in_columns += bytes;
			}
		}
		heads += tape_chunk_stored_len(c) - in_columns;
	}
	must(rc);
	for (size_t i = 0; i < s->n_records; i++)
		if (rows[i]) {
			char name[100];

			snprintf(name, sizeof(name), "rows.%s", s->records[i].name);
			line(name, (double)rows[i] / (double)e->n, "rows/event");
			snprintf(name, sizeof(name), "row.%s", s->records[i].name);
			line(name, (double)records[i].bytes / (double)rows[i], "B/row");
		}
	print_sizes("record", records, s->n_records, e);
	print_sizes("column", columns, MAX_ROWS_IN_LIST, e);
	line("chunk_heads", (double)heads / (double)e->n, "B/event");
	tape_reader_close(r);
}

/* ---- times ---- */

struct times {
	double ns[MAX_ROUNDS];
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(struct times *t, int rounds)
{
	qsort(t->ns, (size_t)rounds, sizeof(*t->ns), by_value);
	return t->ns[rounds / 2];
}

/* zstd on the structs as they are, in chunks of as many events. Returns the bytes. */
static uint64_t compress_structs(const struct events *e, ZSTD_CCtx *z, int level)
{
	static uint8_t *out;
	static size_t cap;
	uint64_t total = 0;

	for (size_t pos = 0, end, n; pos < e->len; pos = end) {
		size_t got;

		for (end = pos, n = 0; end < e->len && n < CHUNK; n++)
			end += at(e, end)->size;
		if (ZSTD_compressBound(end - pos) > cap) {
			cap = ZSTD_compressBound(end - pos);
			out = need(realloc(out, cap));
		}
		got = ZSTD_compressCCtx(z, out, cap, e->p + pos, end - pos, level);
		if (ZSTD_isError(got))
			exit(1);
		total += got;
	}
	return total;
}

static void encode_times(const struct events *e, int rounds)
{
	static const int levels[] = {1, 3};
	struct times ours[2], structs[2];
	ZSTD_CCtx *z = need(ZSTD_createCCtx());
	int fd = memory_file();

	for (int i = 0; i < rounds; i++)
		for (int k = 0; k < 2; k++) {
			double begin = now_ns(), middle;

			lseek(fd, 0, SEEK_SET);
			write_all(e, fd, levels[k], CHUNK, NULL);
			middle = now_ns();
			compress_structs(e, z, levels[k]);
			ours[k].ns[i] = (middle - begin) / (double)e->n;
			structs[k].ns[i] = (now_ns() - middle) / (double)e->n;
		}
	for (int k = 0; k < 2; k++) {
		char name[64];
		double a = median(&ours[k], rounds), b = median(&structs[k], rounds);

		snprintf(name, sizeof(name), "encode_level_%d", levels[k]);
		line(name, a, "ns/event");
		snprintf(name, sizeof(name), "structs_zstd_%d", levels[k]);
		line(name, b, "ns/event");
		snprintf(name, sizeof(name), "encode_level_%d_to_structs_zstd_1", levels[k]);
		line(name, a / median(&structs[0], rounds), "ratio");
	}
	ZSTD_freeCCtx(z);
	close(fd);
}

/* All columns of all chunks; returns something that depends on them. */
static uint64_t decode_all(int fd)
{
	struct tape_reader *r = open_fd(fd);
	const struct tape_schema *s = tape_reader_schema(r);
	struct tape_column col;
	struct tape_chunk *c;
	uint64_t sum = 0;
	int rc;

	while ((rc = tape_reader_next(r, &c, &err)) == 1)
		for (size_t i = 0; i < s->n_records; i++)
			for (unsigned f = 0; f < s->records[i].n_fields; f++)
				if (!tape_chunk_column(c, s->records[i].id, f, &col, NULL))
					sum += ((const uint8_t *)col.values)[0];
	must(rc);
	tape_reader_close(r);
	return sum;
}

/*
 * The analysis that needs three columns: how many packets were received in each millisecond at each
 * layer, and how long after the one before at that layer (times, types, rx.layer).
 */
struct analysis {
	uint32_t timeline[4096];
	uint32_t gaps[16][64];
	uint64_t last_ns[16];
};

static inline void analyze(struct analysis *a, uint64_t ts_ns, unsigned layer)
{
	uint64_t gap = ts_ns - a->last_ns[layer & 15];

	a->last_ns[layer & 15] = ts_ns;
	a->gaps[layer & 15][63 - __builtin_clzll(gap | 1)]++;
	a->timeline[ts_ns >> 20 & 4095]++;
}

static void three_columns(int fd, struct analysis *a)
{
	struct tape_reader *r = open_fd(fd);
	int field = tape_record_field(tape_schema_record(tape_reader_schema(r), EV_rx), "layer");
	struct tape_column ts, type, layer;
	struct tape_chunk *c;

	while (tape_reader_next(r, &c, &err) == 1) {
		const uint64_t *t;
		const uint16_t *types, *layers;

		must(tape_chunk_column(c, TAPE_COMMON, TAPE_COMMON_TS, &ts, &err));
		must(tape_chunk_column(c, TAPE_COMMON, TAPE_COMMON_TYPE, &type, &err));
		if (tape_chunk_column(c, EV_rx, (unsigned)field, &layer, &err))
			continue;
		t = ts.values;
		types = type.values;
		layers = layer.values;
		for (uint32_t i = 0; i < ts.n; i++)
			if (types[i] == EV_rx)
				analyze(a, t[i], *layers++);
	}
	tape_reader_close(r);
}

static void same_over_structs(const struct events *e, struct analysis *a)
{
	for (size_t pos = 0; pos < e->len;) {
		const struct ev_head *h = at(e, pos);

		pos += h->size;
		if (h->type == EV_rx)
			analyze(a, h->ts_ns, ((const struct ev_rx *)(const void *)h)->layer);
	}
}

static void decode_times(const struct events *e, int fd, int rounds)
{
	struct times all, three, structs;
	static struct analysis a, b;
	volatile uint64_t sink;

	for (int i = 0; i < rounds; i++) {
		double begin = now_ns(), t;

		sink = decode_all(fd);
		t = now_ns();
		all.ns[i] = (t - begin) / (double)e->n;
		memset(&a, 0, sizeof(a));
		begin = now_ns();
		three_columns(fd, &a);
		t = now_ns();
		three.ns[i] = (t - begin) / (double)e->n;
		memset(&b, 0, sizeof(b));
		begin = now_ns();
		same_over_structs(e, &b);
		structs.ns[i] = (now_ns() - begin) / (double)e->n;
		if (memcmp(&a, &b, sizeof(a))) {
			fprintf(stderr, "codec: columns and structs tell two stories\n");
			exit(1);
		}
	}
	(void)sink;
	line("decode_all", median(&all, rounds), "ns/event");
	line("three_columns", 1e3 / median(&three, rounds), "M events/s");
	line("three_columns_structs", 1e3 / median(&structs, rounds), "M events/s");
}

/* ---- the figures ---- */

static void by_chunk_size(const struct events *e)
{
	static const uint32_t chunk_events[] = {4096, 1024, 256};

	for (unsigned i = 0; i < 3; i++) {
		int fd = memory_file();
		char name[64];

		snprintf(name, sizeof(name), "size_chunks_of_%u", chunk_events[i]);
		line(name, (double)write_all(e, fd, 3, chunk_events[i], NULL) / (double)e->n,
		     "B/event");
		check_same(e, fd);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[2]) : 5, fd = memory_file(), fd1 = memory_file();
	struct events e = {0};
	uint64_t bytes, structs;
	size_t heap;
	ZSTD_CCtx *z;

	/* a writer lives as long as a recording: rounds must not pay for its memory again */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	if (argc < 2 || rounds < 0 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: codec FILE [ROUNDS]\n");
		return 2;
	}
	load(argv[1], &e);
	if (!e.n)
		return 0;
	bytes = write_all(&e, fd, 3, CHUNK, &heap);
	z = need(ZSTD_createCCtx());
	structs = compress_structs(&e, z, 3);
	ZSTD_freeCCtx(z);
	check_same(&e, fd);
	line("events", (double)e.n / 1e6, "M");
	line("struct", (double)e.len / (double)e.n, "B/event");
	sizes(&e, fd);
	line("size", (double)bytes / (double)e.n, "B/event");
	line("size_level_1", (double)write_all(&e, fd1, 1, CHUNK, NULL) / (double)e.n, "B/event");
	close(fd1);
	line("structs_zstd_3_size", (double)structs / (double)e.n, "B/event");
	line("size_to_structs_zstd_3", (double)bytes / (double)structs, "ratio");
	by_chunk_size(&e);
	line("writer_memory", (double)heap / 1048576, "MiB");
	if (rounds) {
		encode_times(&e, rounds);
		decode_times(&e, fd, rounds);
	}
	free(e.p);
	close(fd);
	return 0;
}

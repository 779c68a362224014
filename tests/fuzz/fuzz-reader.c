// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A whole trace, read as the analyzer does: opened, every column of every chunk decoded, by
 * headers, by window, rewound. Random bytes never have right checksums, so most inputs get them
 * first: the last byte of the input says how it is read.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dump.h"
#include "forge.h"
#include "fuzz.h"
#include "reader.h"

#define RAW 0x01     /* as it is, without new checksums */
#define HEADERS 0x02 /* walk by headers first, then rewind */
#define WINDOW 0x04  /* with a window of time, so that the index is used */
#define PIPE 0x08    /* not seekable */

static uint64_t sum; /* so that nothing is optimised away */

static void read_column(struct tape_chunk *c, unsigned record, unsigned field)
{
	struct tape_column col;
	uint32_t bytes;

	if (tape_chunk_column(c, record, field, &col, NULL))
		return;
	if (col.type == TAPE_STR) {
		bytes = col.str_start[col.n];
		for (uint32_t i = 0; i < col.n; i++)
			if (col.str_start[i] > col.str_start[i + 1])
				abort();
		if (bytes)
			sum += ((const uint8_t *)col.values)[bytes - 1];
	} else if (col.width == 16) {
		sum += ((const uint8_t *)col.values)[16 * (size_t)col.n - 1];
	} else {
		for (uint32_t i = 0; i < col.n; i++)
			sum += tape_column_get(&col, i);
	}
}

/* Every column, and as text: references are followed. */
static void read_chunk(struct tape_reader *r, struct tape_chunk *c, FILE *null)
{
	const struct tape_schema *s = tape_reader_schema(r);

	for (size_t i = 0; i < s->n_records; i++)
		for (unsigned f = 0; f < s->records[i].n_fields; f++) {
			read_column(c, s->records[i].id, f);
			tape_chunk_column_stored(c, s->records[i].id, f);
		}
	if (tape_chunk_head(c)->n_events <= 100)
		dump_chunk(null, c, s);
}

static void read_all(struct tape_reader *r, unsigned how)
{
	static FILE *null;
	struct tape_chunk *c;

	if (!null)
		null = fopen("/dev/null", "w");
	if (how & WINDOW)
		tape_reader_window(r, 1000001000, 1000004000);
	if (how & HEADERS) {
		while (tape_reader_next_header(r, &c, NULL) == 1)
			sum += tape_chunk_rows(c, 16);
		if (tape_reader_seekable(r) && tape_reader_rewind(r, NULL))
			return;
	}
	while (tape_reader_next(r, &c, NULL) == 1)
		read_chunk(r, c, null);
	if (tape_reader_next(r, &c, NULL) == 1) /* the end stays the end */
		abort();
	dump_rest(null, r);
}

static int open_input(const uint8_t *data, size_t len, unsigned how)
{
	int fds[2];

	if (how & PIPE && len < 60000) {
		if (pipe(fds) || write(fds[1], data, len) != (ssize_t)len)
			abort();
		close(fds[1]);
		return fds[0];
	}
	fds[0] = memfd_create("fuzz", MFD_CLOEXEC);
	if (fds[0] < 0 || write(fds[0], data, len) != (ssize_t)len)
		abort();
	lseek(fds[0], 0, SEEK_SET);
	return fds[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned how = len ? data[--len] : 0;
	uint8_t *copy = malloc(len + 1);
	struct tape_reader *r;
	int fd;

	if (!copy)
		return 0;
	memcpy(copy, data, len);
	if (!(how & RAW))
		forge_fix(copy, len);
	fd = open_input(copy, len, how);
	dup2(fd, STDIN_FILENO);
	close(fd);
	if (!tape_reader_open(&r, "-", NULL)) {
		read_all(r, how);
		tape_reader_close(r);
	}
	free(copy);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dump-trace FILE: all of a trace as text (dump.h), to compare with reader.py.
 * dump-trace --make FILE: a made-up trace with small and large chunks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "sample.h"

static int make(const char *path)
{
	struct sample_opts opts = {.n_chunks = 2, .n_events = 9000, .pointers = true};
	FILE *f = fopen(path, "wb");
	struct bytes b = {0};
	int bad = 1;

	sample_trace(&opts, &b);
	if (f) {
		bad = fwrite(b.p, 1, b.len, f) != b.len;
		bad |= fclose(f);
	}
	bytes_free(&b);
	return bad;
}

int main(int argc, char **argv)
{
	struct tape_error err;
	char *text;
	int rc;

	if (argc == 3 && !strcmp(argv[1], "--make"))
		return make(argv[2]);
	if (argc != 2)
		return 2;
	text = dump_path(argv[1], &rc, &err);
	if (!text) {
		fprintf(stderr, "%s: %s\n", argv[1], err.text);
		return EXIT_FAILURE;
	}
	fputs(text, stdout);
	free(text);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * make-future MAJOR MINOR: on standard output, a trace of a version that does not exist: an event,
 * a field, a type, a value, a block, a transform, a layout, a reason of loss, and a kind of line in
 * the schema, none of which is known today. For future.sh.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "cursor.h"
#include "forge.h"

static const char schema[] = "tape-schema\t1\tnewer word\n"
			     "unit\tns\tnanoseconds\n"
			     "record\t0\tevent\t-\tm\n"
			     "field\tu64\tts_ns\tdelta\tns\tm\n"
			     "field\tu16\ttype\tplain\trecord\tm\n"
			     "field\tu32\tcpu\tplain\tcpu\tm\n"
			     "record\t16\ttcp_state\tconn\tm\n"
			     "field\tu32\tnone\tplain\tnone\tm\n"
			     "field\tu128\twide\tplain\tnone\ta new type\n"
			     "field\tu8\told_state\tplain\ttcp_state\tm\n"
			     "field\tu32\tby_transform\tplain\tnone\tm\n"
			     "field\tu32\tby_layout\tgorilla\tnone\tm\n"
			     "record\t200\tquic_rtt\tquic\ta new event\n"
			     "field\tu32\trtt_us\tplain\tus\tm\n"
			     "name\ttcp_state\t7\tCLOSE\n";

int main(int argc, char **argv)
{
	static const uint8_t types[] = {1, 16, 200, 16, 44, 1, 3, 1}; /* 300: 256 + 44 */
	static const uint8_t wide[16] = {1}, word[4] = {99}, clock[TAPE_CLOCK_HEAD_LEN];
	static const uint8_t loss[TAPE_LOSS_LEN] = {[8] = 1, [16] = 5, [28] = 77, [32] = 'q'};
	struct forge f = {.file_id = 1};
	struct forge_chunk c = forge_chunk(4);
	bool ok;

	if (argc < 3)
		return EXIT_FAILURE;
	forge_file(&f, (unsigned)atoi(argv[1]), (unsigned)atoi(argv[2]));
	forge_block(&f, TAPE_BLOCK_SCHEMA, 0, NULL, 0, schema, sizeof(schema) - 1);
	forge_block(&f, TAPE_BLOCK_META, 1, NULL, 0, "new.key\tnew value\n", 18);
	forge_block(&f, TAPE_BLOCK_CLOCK, 1, clock, sizeof(clock), NULL, 0);
	forge_block(&f, 77, 1, "abc", 3, "a new block", 11);
	forge_block(&f, TAPE_BLOCK_META, 1 | 4, NULL, 0, "k\tv\n", 4); /* a new flag */
	c.n_counts = 3;
	c.counts[0][1] = 2;
	c.counts[1][0] = 200;
	c.counts[1][1] = 1;
	c.counts[2][0] = 300;
	c.counts[2][1] = 1;
	c.columns[1].layout = TAPE_L_PLANES;
	c.columns[1].body = types;
	c.columns[1].len = sizeof(types);
	c.columns[3].body = word; /* a state that has no name */
	c.columns[3].len = 1;
	c.columns[4] = (struct forge_column){16, 1, 0, TAPE_L_CONST, 0, wide, 16, 0, 3};
	c.columns[5] = (struct forge_column){16, 3, 99, TAPE_L_CONST, 0, word, 4, 0, 0};
	c.columns[6] = (struct forge_column){16, 4, 0, 99, 0, word, 4, 0, 0};
	c.columns[7] = (struct forge_column){200, 0, 0, TAPE_L_CONST, 0, word, 4, 0, 20};
	c.n_columns = 8;
	c.head_extra = 8;
	forge_put_chunk(&f, &c);
	forge_block(&f, TAPE_BLOCK_LOSS, 1, NULL, 0, loss, sizeof(loss));
	ok = fwrite(f.out.p, 1, f.out.len, stdout) == f.out.len;
	bytes_free(&f.out);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

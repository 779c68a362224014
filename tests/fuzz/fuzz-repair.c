// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * repair, on a whole trace. Whatever it makes of it must be good (check-repair.h). As random bytes
 * never have right checksums, the last byte of the input says whether it gets them first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check-repair.h"
#include "forge.h"
#include "fuzz.h"

#define RAW 0x01 /* as it is, without new checksums */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned how = len ? data[--len] : 0;
	uint8_t *copy = malloc(len + 1);
	struct bytes out = {0};
	const char *why;
	struct repair r;

	if (!copy)
		return 0;
	memcpy(copy, data, len);
	if (!(how & RAW))
		forge_fix(copy, len);
	why = check_repair(copy, len, &out, &r, NULL);
	if (why) {
		fprintf(stderr, "%s\n", why);
		abort();
	}
	bytes_free(&out);
	free(copy);
	return 0;
}

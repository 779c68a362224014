/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "options_parts.h"

#define MAX_SECONDS 1e9
#define MAX_BYTES 1e15

/*
 * A size if there is a unit, K, M, G or T; else seconds, with or without an s. False: neither. One
 * of both is set, the other left alone.
 */
static bool amount(const char *value, uint64_t *ret_bytes, uint64_t *ret_ns)
{
	static const char units[] = "KMGT";
	char *end;
	double v = strtod(value, &end);
	const char *unit = isalpha((unsigned char)*end) ? strchr(units, *end & ~0x20) : NULL;

	if (end == value || !(v > 0))
		return false;
	if (unit) {
		v = ldexp(v, 10 * (int)(unit - units + 1));
		*ret_bytes = v <= MAX_BYTES ? (uint64_t)v : 0;
		return !end[1] && *ret_bytes;
	}
	if (*end && strcmp(end, "s"))
		return false;
	*ret_ns = v <= MAX_SECONDS ? (uint64_t)(v * 1e9) : 0;
	return *ret_ns != 0;
}

int rec_option_rotate(struct rec_options *o, const char *value, struct rec_error *err)
{
	if (!amount(value, &o->rotate_bytes, &o->rotate_ns) ||
	    (o->rotate_bytes && o->rotate_bytes < 64u << 10) ||
	    (o->rotate_ns && o->rotate_ns < 1000000000u))
		return rec_fail(err,
				"--rotate %s: a size of 64K at least, as 100M, or seconds, 1 at "
				"least, were expected" HINT,
				value);
	return 0;
}

int rec_option_keep(struct rec_options *o, const char *value, struct rec_error *err)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (!isdigit((unsigned char)*value) || *end || n < 1 || n > 1000000)
		return rec_fail(err, "--keep %s: a number from 1 to 1000000 was expected" HINT,
				value);
	o->keep = (unsigned)n;
	return 0;
}

static bool makes_files(const struct rec_options *o)
{
	return o->rotate_bytes || o->rotate_ns;
}

int rec_options_check(const struct rec_options *o, struct rec_error *err)
{
	if (o->keep && !makes_files(o))
		return rec_fail(err, "--keep: of which files? it goes with --rotate" HINT);
	if (makes_files(o) && o->output && !strcmp(o->output, "-"))
		return rec_fail(err, "--rotate: not into standard output" HINT);
	if (makes_files(o) && o->force)
		return rec_fail(err, "--force: nothing is overwritten with --rotate" HINT);
	return 0;
}

struct rec_needs rec_options_needs(const struct rec_options *o)
{
	return (struct rec_needs){.new_files = makes_files(o),
				  .snapshots = makes_files(o) && !o->no_snapshot};
}

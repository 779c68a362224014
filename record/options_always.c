/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options_parts.h"

#define MAX_SECONDS 1e9
#define MAX_BYTES 1e15
#define REC_RING_MIN (4u << 20)
#define REC_RING_MAX (64ull << 30)

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

int rec_option_ring(struct rec_options *o, const char *value, struct rec_error *err)
{
	if (!amount(value, &o->ring_bytes, &o->ring_ns) ||
	    (o->ring_bytes && (o->ring_bytes < REC_RING_MIN || o->ring_bytes > REC_RING_MAX)) ||
	    (o->ring_ns && o->ring_ns < 1000000000u))
		return rec_fail(err,
				"--ring %s: a size from 4M to 64G, or seconds, 1 at least, were "
				"expected" HINT,
				value);
	return 0;
}

int rec_option_ring_file(struct rec_options *o, const char *value, struct rec_error *err)
{
	if (!*value)
		return rec_fail(err, "--ring-file: an empty file name" HINT);
	o->ring_file = value;
	return 0;
}

int rec_option_trigger(struct rec_options *o, const char *value, struct rec_error *err)
{
	struct rec_error why;

	if (o->n_rules == REC_MAX_TRIGGERS)
		return rec_fail(err, "--trigger: at most %d rules" HINT, REC_MAX_TRIGGERS);
	if (rec_rule_parse(&o->rules[o->n_rules], value, &why) < 0)
		return rec_fail(err, "%s" HINT, why.text);
	o->n_rules++;
	return 0;
}

int rec_option_after(struct rec_options *o, const char *value, struct rec_error *err)
{
	char *end;
	double s = strtod(value, &end);

	if (end == value || *end || !(s >= 0) || s > 86400)
		return rec_fail(err, "--after %s: seconds from 0 to 86400 were expected" HINT,
				value);
	o->after_ns = (uint64_t)(s * 1e9);
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

static bool rotates(const struct rec_options *o)
{
	return o->rotate_bytes || o->rotate_ns;
}

static bool has_ring(const struct rec_options *o)
{
	return o->ring_bytes || o->ring_ns;
}

static bool makes_files(const struct rec_options *o)
{
	return rotates(o) || has_ring(o);
}

/* A rule that nothing can fire is an error. */
static int check_rules(const struct rec_options *o, struct rec_error *err)
{
	for (size_t i = 0; i < o->n_rules; i++) {
		uint32_t groups = rec_rule_groups(&o->rules[i]);
		char names[64] = "";
		size_t used = 0;

		if (groups & o->groups)
			continue;
		for (int g = 0; g < TAPE_N_GROUPS && used < sizeof(names); g++) {
			if (groups >> g & 1)
				used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
							 used ? " or " : "",
							 rec_group_name((enum tape_group)g));
		}
		return rec_fail(err, "--trigger %s: needs group %s, which is not recorded" HINT,
				o->rules[i].text, names);
	}
	return 0;
}

int rec_options_check(const struct rec_options *o, struct rec_error *err)
{
	if (o->keep && !makes_files(o))
		return rec_fail(err, "--keep: of which files? it goes with --rotate or "
				     "--ring" HINT);
	if (rotates(o) && has_ring(o))
		return rec_fail(err, "--rotate and --ring exclude each other" HINT);
	if (o->n_rules && !has_ring(o))
		return rec_fail(err, "--trigger: what should be written? it goes with --ring" HINT);
	if (o->after_ns && !o->n_rules)
		return rec_fail(err, "--after: after what? it goes with --trigger" HINT);
	if (o->ring_file && !has_ring(o))
		return rec_fail(err, "--ring-file: of what size? it goes with --ring" HINT);
	if (makes_files(o) && o->output && !strcmp(o->output, "-"))
		return rec_fail(err, "--rotate and --ring make files: not into standard "
				     "output" HINT);
	if (makes_files(o) && o->force)
		return rec_fail(err, "--force: nothing is overwritten with --rotate or "
				     "--ring" HINT);
	return check_rules(o, err);
}

struct rec_needs rec_options_needs(const struct rec_options *o)
{
	return (struct rec_needs){.new_files = makes_files(o),
				  .snapshots = makes_files(o) && !o->no_snapshot};
}

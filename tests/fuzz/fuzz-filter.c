// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A filter expression, matched on connections. Whatever the words are: both directions of a
 * connection are the same connection, and what an expression leaves out its negation takes.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "pcapf.h"

#define MAX_LEN 400 /* of longer ones libpcap's optimizer takes its time */

static void swap(const struct flow *f, struct flow *ret)
{
	*ret = *f;
	memcpy(ret->laddr, f->raddr, 16);
	memcpy(ret->raddr, f->laddr, 16);
	ret->lport = f->rport;
	ret->rport = f->lport;
}

static void check(const struct filter *f, const struct filter *negated, const struct flow *flow)
{
	struct flow other;

	swap(flow, &other);
	if (pcapf_match(f, flow) != pcapf_match(f, &other))
		abort();
	if (negated && !pcapf_match(f, flow) && !pcapf_match(negated, flow))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct flow flows[] = {
		{.laddr = {[10] = 0xff, 0xff, 10, 0, 0, 1},
		 .raddr = {[10] = 0xff, 0xff, 10, 0, 0, 2},
		 .lport = 80,
		 .rport = 40000},
		{.laddr = {0x20, 1, 0xd, 0xb8, [15] = 1},
		 .raddr = {0x20, 1, 0xd, 0xb8, [15] = 2},
		 .lport = 0,
		 .rport = 65535},
		{.lport = 443}, /* :: to :: */
	};
	char text[MAX_LEN + 1], not_text[MAX_LEN + 8];
	struct filter *f, *negated = NULL;
	struct fail fail;

	if (len > MAX_LEN || memchr(data, 0, len))
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	if (pcapf_new(&f, text, &fail))
		return 0;
	strcpy(not_text, "not (");
	strcat(not_text, text);
	strcat(not_text, ")");
	if (pcapf_new(&negated, not_text, &fail))
		negated = NULL; /* an empty one has no negation */
	for (size_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++)
		check(f, negated, &flows[i]);
	filter_free(f);
	filter_free(negated);
	return 0;
}

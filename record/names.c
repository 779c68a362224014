/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/btf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

struct naming { /* an enumeration of the kernel, and the unit whose values it names */
	const char *btf_enum, *prefix, *unit;
};

static const struct naming namings[] = {
	{"sk_rst_reason", "SK_RST_REASON_", "rst_reason"},	/* since 6.10 */
	{"skb_drop_reason", "SKB_DROP_REASON_", "drop_reason"}, /* since 5.17 */
	/* who named a reason: its upper 16 bits (since 6.4); those reasons stand in modules */
	{"skb_drop_reason_subsys", "SKB_DROP_REASON_SUBSYS_", "drop_subsys"},
};

/* Counts and masks of the enumeration itself are no values. */
static bool is_value(const char *name)
{
	return strcmp(name, "MAX") && strcmp(name, "NUM") && strcmp(name, "SUBSYS_MASK");
}

static void add_enum(FILE *f, const struct btf *btf, const struct naming *n)
{
	int id = btf__find_by_name_kind(btf, n->btf_enum, BTF_KIND_ENUM);
	const struct btf_type *t = id < 0 ? NULL : btf__type_by_id(btf, (unsigned)id);
	const struct btf_enum *e = t ? btf_enum(t) : NULL;
	size_t len = strlen(n->prefix);
	int64_t last = -2; /* values that follow each other share a line */

	for (unsigned i = 0; t && i < btf_vlen(t); i++) {
		const char *name = btf__name_by_offset(btf, e[i].name_off);

		if (!name || !*name)
			continue;
		if (!strncmp(name, n->prefix, len))
			name += len;
		if (!is_value(name))
			continue;
		if ((uint32_t)e[i].val != last + 1)
			fprintf(f, "%sname\t%s\t%u", last < 0 ? "" : "\n", n->unit,
				(unsigned)e[i].val);
		fprintf(f, "\t%s", name);
		last = (uint32_t)e[i].val;
	}
	if (last >= 0)
		fputc('\n', f);
}

char *rec_names_of(const struct rec_kernel *k)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	for (size_t i = 0; i < sizeof(namings) / sizeof(*namings); i++)
		add_enum(f, k->btf, &namings[i]);
	if (!fclose(f) && len)
		return text;
	free(text);
	return NULL;
}

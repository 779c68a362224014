// SPDX-License-Identifier: GPL-2.0-or-later
#include "meta.h"

#include <string.h>

const char *meta_get(const struct tape_meta *meta, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(meta[i].key, key))
			return meta[i].value;
	return NULL;
}

/* Whether a list of words, with commas or blanks between them, holds this one. */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (*list) {
		size_t n = strcspn(list, ", ");

		if (n == len && !memcmp(list, word, len))
			return true;
		list += n + strspn(list + n, ", ");
	}
	return false;
}

enum meta_answer meta_has_group(const struct tape_meta *meta, size_t n, const char *group)
{
	const char *list = meta_get(meta, n, "groups");

	if (!list)
		return META_UNKNOWN;
	return has_word(list, group) ? META_YES : META_NO;
}

/* "probe.EVENT" is the hook that was used, "absent.EVENT" why there is none, or not another. */
static const char *about_event(const struct tape_meta *meta, size_t n, const char *prefix,
			       const char *event)
{
	size_t len = strlen(prefix);

	for (size_t i = 0; i < n; i++)
		if (!strncmp(meta[i].key, prefix, len) && !strcmp(meta[i].key + len, event))
			return meta[i].value;
	return NULL;
}

enum meta_answer meta_has_probe(const struct tape_meta *meta, size_t n, const char *event,
				const char **why)
{
	*why = about_event(meta, n, "probe.", event);
	if (*why)
		return META_YES;
	*why = about_event(meta, n, "absent.", event);
	return *why ? META_NO : META_UNKNOWN;
}

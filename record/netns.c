/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "netns.h"

#define MAX_NETNS 65536

const struct rec_netns *rec_netns_by_inode(const struct rec_netns_list *l, uint32_t inode)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].inode == inode)
			return &l->v[i];
	}
	return NULL;
}

static struct rec_netns *grow(struct rec_netns_list *l)
{
	size_t cap = l->cap ? 2 * l->cap : 16;
	struct rec_netns *v;

	if (l->n < l->cap)
		return &l->v[l->n++];
	if (l->n >= MAX_NETNS)
		return NULL;
	v = realloc(l->v, cap * sizeof(*v));
	if (!v)
		return NULL;
	l->v = v;
	l->cap = cap;
	return &l->v[l->n++];
}

/* Note the namespace behind path; fill in what is not yet known of it. */
static void note(struct rec_netns_list *l, const char *path, const char *name, uint32_t pid)
{
	struct rec_netns *ns;
	struct stat st;

	if (stat(path, &st) < 0)
		return;
	if (!l->n)
		l->dev = st.st_dev;
	if (st.st_dev != l->dev)
		return; /* a name that `ip netns add` has made, but not mounted so far */
	ns = (struct rec_netns *)rec_netns_by_inode(l, (uint32_t)st.st_ino);
	if (!ns) {
		ns = grow(l);
		if (!ns)
			return;
		*ns = (struct rec_netns){.inode = (uint32_t)st.st_ino};
		snprintf(ns->path, sizeof(ns->path), "%s", path);
	}
	if (name && !*ns->name)
		snprintf(ns->name, sizeof(ns->name), "%s", name);
	if (pid && !ns->pid)
		ns->pid = pid;
}

static void note_names(struct rec_netns_list *l)
{
	DIR *dir = opendir("/run/netns");
	struct dirent *e;
	char path[280];

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		if (*e->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/run/netns/%s", e->d_name);
		note(l, path, e->d_name, 0);
	}
	closedir(dir);
}

/* /proc lists processes by rising pid, so the first of a namespace is the lowest. */
static void note_processes(struct rec_netns_list *l)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	char path[280];

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		unsigned long pid = strtoul(e->d_name, NULL, 10);

		if (!pid)
			continue;
		snprintf(path, sizeof(path), "/proc/%lu/ns/net", pid);
		note(l, path, NULL, (uint32_t)pid);
	}
	closedir(dir);
}

void rec_netns_find_named(struct rec_netns_list *l)
{
	*l = (struct rec_netns_list){0};
	note(l, "/proc/self/ns/net", NULL, 0);
	note_names(l);
}

void rec_netns_find(struct rec_netns_list *l)
{
	rec_netns_find_named(l);
	note_processes(l);
}

void rec_netns_free(struct rec_netns_list *l)
{
	free(l->v);
	*l = (struct rec_netns_list){0};
}

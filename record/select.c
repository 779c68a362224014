/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "select.h"

/* The process that a thread belongs to; 0: there is none of that number. */
static unsigned process_of(unsigned tid)
{
	char path[40], line[128];
	unsigned pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/status", tid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f) && sscanf(line, "Tgid: %u", &pid) != 1)
		;
	fclose(f);
	return pid;
}

int rec_select_pid(struct rec_select *s, const char *value, struct rec_error *err)
{
	char *end;
	unsigned long pid = strtoul(value, &end, 10);
	unsigned process;

	if (*value < '0' || *value > '9' || *end || !pid || pid > INT32_MAX)
		return rec_fail(err, "-p %.40s: the number of a process was expected", value);
	process = process_of((unsigned)pid);
	if (!process)
		return rec_fail(err, "-p %lu: there is no such process", pid);
	if (process != pid)
		return rec_fail(err, "-p %lu: that is a thread of process %u", pid, process);
	if (s->n_pids == REC_MAX_PIDS)
		return rec_fail(err, "-p %lu: at most %d may be given; a --cgroup takes any number",
				pid, REC_MAX_PIDS);
	s->pids[s->n_pids++] = (uint32_t)pid;
	return 0;
}

int rec_select_comm(struct rec_select *s, const char *value, struct rec_error *err)
{
	size_t len = strlen(value);

	if (!len || len >= TAPE_COMM_LEN)
		return rec_fail(err,
				"--comm %.40s: 1 to %d bytes were expected: the kernel keeps no "
				"more of a name",
				value, TAPE_COMM_LEN - 1);
	if (s->n_comms == TAPE_CHOSEN_NAMES)
		return rec_fail(err, "--comm %s: at most %d may be given", value,
				TAPE_CHOSEN_NAMES);
	memcpy(s->comms[s->n_comms++], value, len); /* zeroed before */
	return 0;
}

/* 0: it is no cgroup. */
static uint64_t cgroup_id(const char *folder)
{
	struct statfs fs;
	struct stat st;

	if (stat(folder, &st) < 0 || !S_ISDIR(st.st_mode) || statfs(folder, &fs) < 0 ||
	    fs.f_type != CGROUP2_SUPER_MAGIC)
		return 0;
	return st.st_ino; /* kernfs */
}

int rec_select_cgroup(struct rec_select *s, const char *value, struct rec_error *err)
{
	struct rec_cgroup_mount mount;
	char *folder = s->cgroups[s->n_cgroups % TAPE_CHOSEN_NAMES];
	uint64_t id;

	if (s->n_cgroups == TAPE_CHOSEN_NAMES)
		return rec_fail(err, "--cgroup %.200s: at most %d may be given", value,
				TAPE_CHOSEN_NAMES);
	rec_cgroup_open(&mount);
	rec_cgroup_close(&mount);
	snprintf(folder, sizeof(s->cgroups[0]), "%s", value);
	id = cgroup_id(folder);
	if (!id && *value) {
		snprintf(folder, sizeof(s->cgroups[0]), "%s/%s", mount.path, value);
		id = *mount.path ? cgroup_id(folder) : 0;
	}
	if (!id)
		return rec_fail(err,
				"--cgroup %.200s: there is no such cgroup (version 2); a path as "
				"'tcptape info' shows it, or one below %s was expected",
				value, *mount.path ? mount.path : "/sys/fs/cgroup");
	s->cgroup_ids[s->n_cgroups++] = id;
	return 0;
}

static bool has_comm(const struct rec_select *s, unsigned pid)
{
	char path[40], name[TAPE_COMM_LEN + 1] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	f = s->n_comms ? fopen(path, "re") : NULL;
	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		*name = '\0';
	fclose(f);
	name[strcspn(name, "\n")] = '\0';
	for (unsigned i = 0; i < s->n_comms; i++) {
		if (!strcmp(name, s->comms[i]))
			return true;
	}
	return false;
}

bool rec_select_has(const struct rec_select *s, const struct rec_cgroup_mount *m, unsigned pid)
{
	for (unsigned i = 0; i < s->n_cgroups; i++) {
		if (rec_cgroup_has_pid(m, s->cgroup_ids[i], pid))
			return true;
	}
	return has_comm(s, pid);
}

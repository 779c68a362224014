/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "privilege.h"
#include "sudo.h"

#define NOBODY 65534

/* Since Linux 5.8; the headers of older distributions lack them. */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif

#define WHILE_IT_RUNS (REC_DOES_SAMPLE | REC_DOES_LINK | REC_DOES_SNAPSHOTS)

/* clang-format off */
const struct rec_need rec_needs[] = {
	{"CAP_BPF", CAP_BPF, REC_DOES_RECORD, REC_DOES_OLD_BPF, true,
		"BPF programs; on Linux before 5.19 their counters too"},
	{"CAP_PERFMON", CAP_PERFMON, REC_DOES_RECORD, 0, true,
		"BPF programs that trace the kernel"},
	{"CAP_SETUID", CAP_SETUID, REC_DOES_LEAVE_ROOT, 0, true,
		"going on as another user than root"},
	{"CAP_SETGID", CAP_SETGID, REC_DOES_LEAVE_ROOT, 0, true,
		"going on as another user than root"},
	{"CAP_NET_ADMIN", CAP_NET_ADMIN, REC_DOES_PATH, REC_DOES_LINK, false,
		"the hooks that --list calls netfilter and cgroup_skb"},
	{"CAP_SYS_ADMIN", CAP_SYS_ADMIN, REC_DOES_SNAPSHOT | WHILE_IT_RUNS, WHILE_IT_RUNS, false,
		"other network namespaces; on Linux 5.11 to 6.1 BPF programs, too"},
	{"CAP_SYS_PTRACE", CAP_SYS_PTRACE, REC_DOES_SNAPSHOT | WHILE_IT_RUNS, WHILE_IT_RUNS, false,
		"other network namespaces that have no name, such as most containers'"},
	{"CAP_SYSLOG", CAP_SYSLOG, REC_DOES_PLACES, 0, false,
		"names of the places in the kernel of drop, reset and --stacks"},
	{"CAP_SYS_RESOURCE", CAP_SYS_RESOURCE, REC_DOES_LOCK, 0, false,
		"buffers above the limit of locked memory (ulimit -l), before Linux 5.11"},
	{"CAP_DAC_OVERRIDE", CAP_DAC_OVERRIDE, 0, REC_DOES_FILES_ELSEWHERE, false,
		"further files in a folder that the user may not write to"},
	{"CAP_CHOWN", CAP_CHOWN, 0, REC_DOES_FILES_OF_ROOT, false, "further files of root"},
	{"CAP_FOWNER", CAP_FOWNER, 0, REC_DOES_FILES_OF_ROOT, false, "removing files of root"},
	{"CAP_KILL", CAP_KILL, 0, REC_DOES_COMMAND_OF_OTHER, false,
		"signals passed on to COMMAND, which runs as another user"},
};
/* clang-format on */
const size_t rec_n_needs = sizeof(rec_needs) / sizeof(*rec_needs);

static uint64_t effective(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {0};

	if (syscall(SYS_capget, &head, data) < 0)
		return 0;
	return (uint64_t)data[1].effective << 32 | data[0].effective;
}

/* 0, or -1 and errno. */
static int set_caps(uint64_t permitted, uint64_t now)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)now, .permitted = (uint32_t)permitted},
		{.effective = (uint32_t)(now >> 32), .permitted = (uint32_t)(permitted >> 32)},
	};

	return (int)syscall(SYS_capset, &head, data);
}

static bool has(const struct rec_privilege *p, int cap)
{
	/* the kernel takes it for these two, which were part of it before Linux 5.8 */
	bool more = (cap == CAP_BPF || cap == CAP_PERFMON) && (p->have >> CAP_SYS_ADMIN & 1);

	return more || (p->have >> cap & 1);
}

void rec_privilege_init(struct rec_privilege *p)
{
	*p = (struct rec_privilege){
		.have = effective(),
		.purposes = REC_DOES_RECORD,
		.uid = geteuid(),
		.gid = getegid(),
	};
	if (p->uid)
		return;
	p->purposes |= REC_DOES_LEAVE_ROOT;
	if (!rec_sudo_user(&p->uid, &p->gid) || !p->uid) {
		p->uid = NOBODY;
		p->gid = NOBODY;
	}
}

int rec_privilege_check(const struct rec_privilege *p, struct rec_error *err)
{
	char names[128] = "";
	size_t used = 0;

	for (size_t i = 0; i < rec_n_needs; i++) {
		const struct rec_need *need = &rec_needs[i];

		if (need->required && (need->start & p->purposes) && !has(p, need->cap))
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
						 used ? " and " : "", need->name);
	}
	if (!used)
		return 0;
	return rec_fail(err,
			"%s %s missing: run it with sudo, or give it the capabilities that --help "
			"names",
			names, strstr(names, " and ") ? "are" : "is");
}

bool rec_privilege_lacks(const struct rec_privilege *p, const struct rec_need *need)
{
	return !need->required && ((need->start | need->later) & p->purposes) && !has(p, need->cap);
}

bool rec_privilege_keeps(const struct rec_privilege *p, const struct rec_need *need)
{
	return (need->later & p->purposes) && (p->have >> need->cap & 1);
}

static int become(const struct rec_privilege *p, struct rec_error *err)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgroups(0, NULL) ||
	    setresgid(p->gid, p->gid, p->gid) || setresuid(p->uid, p->uid, p->uid))
		return rec_fail(err, "going on as user %u instead of root: %s", (unsigned)p->uid,
				strerror(errno));
	return 0;
}

int rec_privilege_drop(const struct rec_privilege *p, struct rec_error *err)
{
	uint64_t kept = 0;

	for (size_t i = 0; i < rec_n_needs; i++) {
		if (rec_privilege_keeps(p, &rec_needs[i]))
			kept |= 1ull << rec_needs[i].cap;
	}
	/* it stands in for CAP_BPF, also where it is not needed for itself */
	if ((p->purposes & REC_DOES_OLD_BPF) && !(kept >> CAP_BPF & 1))
		kept |= p->have & 1ull << CAP_SYS_ADMIN;
	/* if we may; until there is no such capability */
	for (unsigned long cap = 0; !prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);)
		cap++;
	if ((p->purposes & REC_DOES_LEAVE_ROOT) && become(p, err) < 0)
		return -1;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (set_caps(kept, kept) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) <
		    0) /* the user has no business in our descriptors */
		return rec_fail(err, "giving up capabilities: %s", strerror(errno));
	if (effective() != kept || geteuid() != p->uid)
		return rec_fail(err, "giving up capabilities: the kernel did not take them");
	return 0;
}

bool rec_privilege_bpf_is_old(int map_fd)
{
	struct bpf_map_info info = {0};
	union bpf_attr attr = {
		.info = {.bpf_fd = (uint32_t)map_fd,
			 .info_len = sizeof(info),
			 .info = (uint64_t)(uintptr_t)&info},
	};
	uint64_t have = effective();
	bool refused;

	if (set_caps(have, 0) < 0)
		return true;
	refused =
		syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)) < 0 && errno == EPERM;
	set_caps(have, have);
	return refused;
}

static int read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	int n = -1;

	if (!f || fscanf(f, "%d", &n) != 1)
		n = -1;
	if (f)
		fclose(f);
	return n;
}

bool rec_privilege_hides_places(void) /* kallsyms_show_value */
{
	int restricted = read_number("/proc/sys/kernel/kptr_restrict");
	int paranoid = read_number("/proc/sys/kernel/perf_event_paranoid");

	return restricted > 0 || paranoid > 1;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The capabilities of a recording: which it needs, and for what; and how it gets rid of them, and
 * of root, when it is attached. One table says both, to the user too.
 */
#ifndef REC_PRIVILEGE_H
#define REC_PRIVILEGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fail.h"

/* What a recording does, as bits. */
enum rec_purpose {
	REC_DOES_RECORD = 1 << 0,
	REC_DOES_LEAVE_ROOT = 1 << 1,
	REC_DOES_SNAPSHOT = 1 << 2,
	REC_DOES_SAMPLE = 1 << 3, /* in all network namespaces */
	REC_DOES_PATH = 1 << 4,	  /* hooks of netfilter and cgroup_skb */
	REC_DOES_LINK = 1 << 5,	  /* of netfilter: in namespaces that come later too */
	REC_DOES_PLACES = 1 << 6, /* in a kernel that hides their addresses */
	REC_DOES_LOCK = 1 << 7,	  /* more memory than the limit, where the kernel counts it */
	REC_DOES_COMMAND = 1 << 8,
	REC_DOES_COMMAND_OF_OTHER = 1 << 9, /* than the user that we become */
	REC_DOES_OLD_BPF = 1 << 10,	    /* each call of bpf() takes CAP_BPF */
	REC_DOES_FILES = 1 << 11,	    /* new ones, while it runs */
	REC_DOES_FILES_ELSEWHERE = 1 << 12, /* where the user that we become may not write */
	REC_DOES_FILES_OF_ROOT = 1 << 13,
	REC_DOES_SNAPSHOTS = 1 << 14, /* more of them, while it runs */
};

struct rec_need {
	const char *name;
	int cap;
	uint32_t start, later; /* purposes for which it is needed at the start, and after that */
	bool required;	       /* else the recording lacks something without it */
	const char *gives;     /* what it is for */
};

extern const struct rec_need rec_needs[];
extern const size_t rec_n_needs;

struct rec_privilege {
	uint64_t have;	   /* capabilities at the start: 1 << cap */
	uint32_t purposes; /* the caller adds to these */
	uid_t uid, gid;	   /* after rec_privilege_drop */
	bool confined;	   /* by seccomp, too */
};

/* Look at what we have. */
void rec_privilege_init(struct rec_privilege *p);

/* -1 if the recording cannot start: err names the capabilities that are missing. */
int rec_privilege_check(const struct rec_privilege *p, struct rec_error *err);

/* True if the recording will lack what this one gives. */
bool rec_privilege_lacks(const struct rec_privilege *p, const struct rec_need *need);

/* True if it is needed, and there, after the start. */
bool rec_privilege_keeps(const struct rec_privilege *p, const struct rec_need *need);

/*
 * Become SUDO_UID, or nobody, if we are root; give up what `later` does not name, for good: no exec
 * gives it back. One thread only. -1: not all of it could be done.
 */
int rec_privilege_drop(const struct rec_privilege *p, struct rec_error *err);

/* True if the kernel refuses a harmless bpf() of this descriptor without capabilities (Linux
 * < 5.19, unless kernel.unprivileged_bpf_disabled is 0). */
bool rec_privilege_bpf_is_old(int map_fd);

/* True if /proc/kallsyms shows addresses to CAP_SYSLOG only. */
bool rec_privilege_hides_places(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a session does that takes privileges, and the end of these. */
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "confine.h"
#include "session_parts.h"
#include "sudo.h"

#define SAMPLED (1u << TAPE_GROUP_counters | 1u << TAPE_GROUP_listen | 1u << TAPE_GROUP_nic)
#define PLACES (1u << TAPE_GROUP_drop | 1u << TAPE_GROUP_reset)

static bool in_the_path(enum rec_method m)
{
	return m == REC_NETFILTER || m == REC_CGROUP_SKB;
}

static bool chooses_path_hooks(const struct rec_choice *c, uint32_t groups)
{
	for (size_t i = 0; i < rec_n_probes; i++) {
		for (size_t e = 0; e < rec_n_events; e++) {
			if (in_the_path(rec_probes[i].method) && rec_choice_is_best(c, i) &&
			    !strcmp(rec_probes[i].event, rec_events[e].name) &&
			    (groups >> rec_events[e].group & 1))
				return true;
		}
	}
	return false;
}

void rec_session_purposes(struct rec_privilege *p, const struct rec_options *o,
			  const struct rec_choice *c)
{
	struct rlimit lock;
	uid_t uid;
	gid_t gid;

	if (o->groups & SAMPLED)
		p->purposes |= REC_DOES_SAMPLE;
	if (!o->no_snapshot || rec_select_is_on(&o->gate.select))
		p->purposes |= REC_DOES_SNAPSHOT;
	if (chooses_path_hooks(c, o->groups))
		p->purposes |= REC_DOES_PATH;
	if (o->groups & PLACES && rec_privilege_hides_places())
		p->purposes |= REC_DOES_PLACES;
	/* Linux 5.11 counts by cgroup instead; 5.12 has cookies */
	if (!c->has_cookies && !getrlimit(RLIMIT_MEMLOCK, &lock) &&
	    lock.rlim_cur < o->bulk_bytes * 3 / 2)
		p->purposes |= REC_DOES_LOCK;
	if (rec_options_needs(o).new_files)
		p->purposes |= REC_DOES_FILES;
	if (rec_options_needs(o).snapshots)
		p->purposes |= REC_DOES_SNAPSHOTS;
	if (o->command)
		p->purposes |= REC_DOES_COMMAND;
	if (o->command && p->purposes & REC_DOES_LEAVE_ROOT && !rec_sudo_user(&uid, &gid))
		p->purposes |= REC_DOES_COMMAND_OF_OTHER;
}

/* By its mode; what an access control list says more is not looked at. */
static bool may_write(const struct stat *folder, const struct rec_privilege *p)
{
	mode_t bits = folder->st_mode >> 6;

	if (folder->st_uid != p->uid)
		bits = folder->st_gid == p->gid ? folder->st_mode >> 3 : folder->st_mode;
	return (bits & 3) == 3; /* write and search */
}

static void look_at_folder(struct rec_session *s, struct rec_privilege *p)
{
	struct stat folder;

	if (!(p->purposes & REC_DOES_FILES) || !(p->purposes & REC_DOES_LEAVE_ROOT))
		return;
	if (fstat(s->parts.dir_fd, &folder) < 0 || !may_write(&folder, p))
		p->purposes |= REC_DOES_FILES_ELSEWHERE;
	if (s->parts.owner.uid != p->uid)
		p->purposes |= REC_DOES_FILES_OF_ROOT;
}

int rec_session_confine(struct rec_session *s, struct rec_error *err)
{
	struct rec_privilege *p = &s->privilege;

	if (s->object.netfilter.any)
		p->purposes |= REC_DOES_LINK;
	if (rec_privilege_bpf_is_old(s->object.nic_fd))
		p->purposes |= REC_DOES_OLD_BPF;
	look_at_folder(s, p);
	if (rec_privilege_drop(p, err) < 0)
		return -1;
	return rec_confine(p->purposes, &p->confined, err);
}

const struct rec_privilege *rec_session_privilege(const struct rec_session *s)
{
	return &s->privilege;
}

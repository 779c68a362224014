/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "clock.h"
#include "places.h"
#include "schema.h"

static void find_offsets(struct rec_places *p, const struct tape_record *rec)
{
	for (unsigned i = 0; i < rec->n_fields; i++) {
		const struct tape_field *f = &rec->fields[i];
		uint16_t at = (uint16_t)tape_field_offset(rec, i);

		if (f->type == TAPE_REF && f->table == EV_TABLE_sock)
			p->sock_at[rec->id] = at;
		if (f->type == TAPE_REF && f->table == EV_TABLE_task)
			p->task_at[rec->id] = at;
		if (f->type == TAPE_U32 && !strcmp(f->name, "netns"))
			p->netns_at[rec->id] = at;
	}
}

void rec_places_init(struct rec_places *p)
{
	const struct tape_schema *s = tape_schema_builtin();

	memset(p, 0, sizeof(*p));
	rec_cgroup_open(&p->mount);
	for (size_t i = 0; i < s->n_records; i++) {
		const struct tape_record *rec = &s->records[i];

		if (!rec->is_table && rec->id != TAPE_COMMON && rec->id < 256)
			find_offsets(p, rec);
	}
}

void rec_places_fini(struct rec_places *p)
{
	rec_cgroup_close(&p->mount);
}

/* True if it was not in the set. */
static bool set_add(struct rec_id_set *s, uint64_t id)
{
	size_t i = (id * 0x9e3779b97f4a7c15u) >> 52; /* 12 bits: REC_PLACES_ROOM */

	s->last = id;
	if (s->n >= REC_PLACES_ROOM / 2) {
		memset(s->ids, 0, sizeof(s->ids));
		s->n = 0;
	}
	for (; s->ids[i]; i = (i + 1) & (REC_PLACES_ROOM - 1)) {
		if (s->ids[i] == id)
			return false;
	}
	s->ids[i] = id;
	s->n++;
	return true;
}

static int write_cgroup(struct rec_places *p, uint64_t id, struct tape_writer *w,
			struct tape_error *err)
{
	char path[4096];
	struct ev_snap_cgroup row = {
		.head = {rec_now_ns(), 0, EV_snap_cgroup, sizeof(row)},
		.cgroup = id,
	};

	rec_cgroup_path(&p->mount, id, path, sizeof(path));
	row.path = (struct ev_str){path, strlen(path)};
	return tape_writer_event(w, &row.head, err);
}

static int write_netns(uint32_t inode, const struct rec_netns *ns, struct tape_writer *w,
		       struct tape_error *err)
{
	struct ev_snap_netns row = {
		.head = {rec_now_ns(), 0, EV_snap_netns, sizeof(row)},
		.netns = inode,
		.pid = ns ? ns->pid : 0,
		.name = {ns ? ns->name : "", ns ? strlen(ns->name) : 0},
	};

	return tape_writer_event(w, &row.head, err);
}

static void see_netns(struct rec_places *p, uint32_t netns)
{
	if (netns && netns != p->netns.last && p->n_pending < REC_PLACES_PENDING &&
	    set_add(&p->netns, netns)) {
		p->pending[p->n_pending++] = netns;
		p->n_met++;
	}
}

int rec_places_see(struct rec_places *p, const struct ev_head *record, struct tape_writer *w,
		   struct tape_error *err)
{
	const char *base = (const char *)record;
	unsigned sock_at = record->type < 256 ? p->sock_at[record->type] : 0;
	unsigned task_at = record->type < 256 ? p->task_at[record->type] : 0;

	if (sock_at)
		see_netns(p, ((const struct ev_sock *)(base + sock_at))->netns);
	if (record->type < 256 && p->netns_at[record->type])
		see_netns(p, *(const uint32_t *)(base + p->netns_at[record->type]));
	if (task_at) {
		uint64_t cgroup = ((const struct ev_task *)(base + task_at))->cgroup;

		if (cgroup && cgroup != p->cgroups.last && set_add(&p->cgroups, cgroup))
			return write_cgroup(p, cgroup, w, err);
	}
	return 0;
}

int rec_places_add_netns(struct rec_places *p, const struct rec_netns_list *l,
			 struct tape_writer *w, struct tape_error *err)
{
	for (size_t i = 0; i < l->n; i++) {
		int r = set_add(&p->netns, l->v[i].inode)
				? write_netns(l->v[i].inode, &l->v[i], w, err)
				: 0;

		if (r < 0)
			return r;
	}
	return 0;
}

void rec_places_forget_netns(struct rec_places *p)
{
	memset(&p->netns, 0, sizeof(p->netns));
}

void rec_places_forget(struct rec_places *p)
{
	memset(&p->netns, 0, sizeof(p->netns));
	memset(&p->cgroups, 0, sizeof(p->cgroups));
}

int rec_places_resolve(struct rec_places *p, struct tape_writer *w, struct tape_error *err)
{
	struct rec_netns_list l;
	int r = 0;

	if (!p->n_pending)
		return 0;
	rec_netns_find(&l);
	for (unsigned i = 0; i < p->n_pending && r >= 0; i++)
		r = write_netns(p->pending[i], rec_netns_by_inode(&l, p->pending[i]), w, err);
	p->n_pending = 0;
	rec_netns_free(&l);
	return r;
}

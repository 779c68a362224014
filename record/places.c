/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <sys/stat.h>

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

#define NAME_LOOKS 3

/* Where the number stands, or would. */
static size_t set_slot(const struct rec_id_set *s, uint64_t id)
{
	size_t i = (id * 0x9e3779b97f4a7c15u) >> 52; /* 12 bits: REC_PLACES_ROOM */

	while (s->ids[i] && s->ids[i] != id)
		i = (i + 1) & (REC_PLACES_ROOM - 1);
	return i;
}

/* True if it was not in the set. */
static bool set_add(struct rec_id_set *s, uint64_t id)
{
	size_t i;

	s->last = id;
	if (s->n >= REC_PLACES_ROOM / 2) {
		memset(s->ids, 0, sizeof(s->ids));
		s->n = 0;
	}
	i = set_slot(s, id);
	if (s->ids[i])
		return false;
	s->ids[i] = id;
	s->n++;
	return true;
}

static int write_cgroup(uint64_t id, const char *path, struct tape_writer *w,
			struct tape_error *err)
{
	struct ev_snap_cgroup row = {
		.head = {rec_now_ns(), 0, EV_snap_cgroup, sizeof(row)},
		.cgroup = id,
		.path = {path, strlen(path)},
	};

	return tape_writer_event(w, &row.head, err);
}

static int see_cgroup(struct rec_places *p, const struct ev_task *task, struct tape_writer *w,
		      struct tape_error *err)
{
	char path[4096];

	if (!task->cgroup || task->cgroup == p->cgroups.last || !set_add(&p->cgroups, task->cgroup))
		return 0;
	if (!rec_cgroup_path_of_pid(&p->mount, task->cgroup, task->pid, path, sizeof(path)) &&
	    p->n_lost_cgroups < REC_PLACES_PENDING) {
		p->lost_cgroups[p->n_lost_cgroups++] = task->cgroup;
		return 0;
	}
	return write_cgroup(task->cgroup, path, w, err);
}

struct found_cgroups {
	struct rec_places *places;
	struct tape_writer *w;
	struct tape_error *err;
	int rc;
	bool done[REC_PLACES_PENDING];
};

static void on_cgroup(void *ctx, size_t i, const char *path)
{
	struct found_cgroups *f = ctx;

	f->done[i] = true;
	if (f->rc >= 0)
		f->rc = write_cgroup(f->places->lost_cgroups[i], path, f->w, f->err);
}

static int resolve_cgroups(struct rec_places *p, struct tape_writer *w, struct tape_error *err)
{
	struct found_cgroups f = {.places = p, .w = w, .err = err};

	if (!p->n_lost_cgroups)
		return 0;
	rec_cgroup_find(&p->mount, p->lost_cgroups, p->n_lost_cgroups, on_cgroup, &f);
	for (unsigned i = 0; i < p->n_lost_cgroups && f.rc >= 0; i++) {
		if (!f.done[i]) /* it has gone, too */
			f.rc = write_cgroup(p->lost_cgroups[i], "", w, err);
	}
	p->n_lost_cgroups = 0;
	return f.rc;
}

/* One without a name is known by its lowest process, which may change, too. */
static uint32_t name_hash(const struct rec_netns *ns)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (const char *p = ns ? ns->name : ""; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	return ns && !*ns->name ? h ^ ns->pid : h;
}

static int write_netns(struct rec_places *p, uint32_t inode, const struct rec_netns *ns,
		       struct tape_writer *w, struct tape_error *err)
{
	struct ev_snap_netns row = {
		.head = {rec_now_ns(), 0, EV_snap_netns, sizeof(row)},
		.netns = inode,
		.pid = ns ? ns->pid : 0,
		.name = {ns ? ns->name : "", ns ? strlen(ns->name) : 0},
	};

	p->named[set_slot(&p->netns, inode)] = name_hash(ns);
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
	return task_at ? see_cgroup(p, (const struct ev_task *)(base + task_at), w, err) : 0;
}

int rec_places_add_netns(struct rec_places *p, const struct rec_netns_list *l,
			 struct tape_writer *w, struct tape_error *err)
{
	for (size_t i = 0; i < l->n; i++) {
		int r = set_add(&p->netns, l->v[i].inode)
				? write_netns(p, l->v[i].inode, &l->v[i], w, err)
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

/* Rows of those that are known by another name now. */
static int rename_netns(struct rec_places *p, const struct rec_netns_list *l, struct tape_writer *w,
			struct tape_error *err)
{
	int r = 0;

	for (size_t i = 0; i < l->n && r >= 0; i++) {
		size_t at = set_slot(&p->netns, l->v[i].inode);

		if (p->netns.ids[at] && p->named[at] != name_hash(&l->v[i]))
			r = write_netns(p, l->v[i].inode, &l->v[i], w, err);
	}
	return r;
}

static bool names_have_changed(struct rec_places *p)
{
	struct stat st;
	int64_t ns = 0;

	if (!stat("/run/netns", &st))
		ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	if (ns != p->names_ns)
		p->n_looks = NAME_LOOKS;
	p->names_ns = ns;
	return p->n_looks && p->n_looks--;
}

int rec_places_resolve(struct rec_places *p, struct tape_writer *w, struct tape_error *err)
{
	bool names = names_have_changed(p);
	struct rec_netns_list l;
	int r = resolve_cgroups(p, w, err);

	if (r < 0 || (!p->n_pending && !p->netns_changed && !names))
		return r;
	if (p->n_pending || p->netns_changed)
		rec_netns_find(&l);
	else
		rec_netns_find_named(&l);
	for (unsigned i = 0; i < p->n_pending && r >= 0; i++)
		r = write_netns(p, p->pending[i], rec_netns_by_inode(&l, p->pending[i]), w, err);
	if (r >= 0)
		r = rename_netns(p, &l, w, err);
	p->n_pending = 0;
	p->netns_changed = false;
	rec_netns_free(&l);
	return r;
}

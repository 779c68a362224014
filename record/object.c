/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "memlock.h"
#include "object.h"
#include "tape_bpf.skel.h"
#include "tracepoint.h"

#define MIN_RING (64u << 10) /* bytes; a power of two, as all of a ring's sizes */

#define PROG_TYPE_NETFILTER 32 /* linux/bpf.h has these since Linux 6.4 */
#define ATTACH_NETFILTER 45

/*
 * libbpf says which program failed to load, and why, only in its messages, and its callback has no
 * context pointer, so this is the one piece of state outside a struct.
 */
static char failed_program[64];
static bool modules_refused;

static int on_message(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[256];

	vsnprintf(line, sizeof(line), fmt, ap);
	if (level == LIBBPF_WARN && !*failed_program)
		sscanf(line, "libbpf: prog '%63[^']'", failed_program);
	modules_refused |= !!strstr(line, "failed to iterate BTF objects");
	return 0;
}

static struct bpf_program *program_of(const struct rec_object *o, size_t probe)
{
	return !rec_probes[probe].program
		       ? NULL
		       : bpf_object__find_program_by_name(o->skel->obj, rec_probes[probe].program);
}

/* A selection by owner follows sockets by these, whether they are recorded or not. */
static bool follows(const char *event)
{
	return !strcmp(event, "tcp_state") || !strcmp(event, "tcp_accept") ||
	       !strcmp(event, "tcp_destroy");
}

static bool wanted(const struct rec_choice *c, size_t probe, uint32_t groups, bool selecting)
{
	for (size_t i = 0; i < rec_n_events; i++) {
		if (!strcmp(rec_events[i].name, rec_probes[probe].event))
			return ((groups >> rec_events[i].group & 1) ||
				(selecting && follows(rec_events[i].name))) &&
			       rec_choice_is_best(c, probe);
	}
	return false;
}

/* Timer ticks a second: the coarse clocks move once a tick, and say so. */
static uint32_t kernel_hz(void)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || tick.tv_sec || tick.tv_nsec <= 0)
		return 250;
	return (uint32_t)((1000000000 + tick.tv_nsec / 2) / tick.tv_nsec);
}

/*
 * As many rings as processors that are online, as far as there are slots and while each stays large
 * enough for a burst; they share the bytes, so a split costs no memory. Numbers are taken modulo:
 * a virtual machine may have 4 processors and 128 possible ones.
 */
static unsigned choose_split(uint64_t bulk_bytes)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned split = 1;

	while (split < TAPE_RING_SLOTS && (long)split < n_cpus &&
	       bulk_bytes / (2 * split) >= 2 * MIN_RING)
		split *= 2;
	return split;
}

static void set_sizes(struct rec_object *o, const struct rec_choice *c, uint64_t bulk_bytes)
{
	o->split = choose_split(bulk_bytes);
	o->ring_bytes[TAPE_RING_control] = bulk_bytes / 2 / o->split;
	o->ring_bytes[TAPE_RING_bulk] = bulk_bytes / o->split;
	for (int i = 0; i < TAPE_N_RINGS; i++)
		o->skel->rodata->ring_quarter[i] = o->ring_bytes[i] / 4;
	bpf_map__set_max_entries(o->skel->maps.lost, o->n_cpus);
	o->skel->rodata->hz = kernel_hz();
	o->skel->rodata->record_stacks = c->stacks && !*c->no_stacks;
	o->skel->rodata->record_pointers = c->pointers;
	o->skel->rodata->may_thin = c->may_thin;
	memcpy(o->skel->bss->thin_below, c->thin_below, sizeof(c->thin_below));
}

/* TCPTAPE_SELECT_MAX: fewer, for tests. */
static uint32_t room_for_chosen(void)
{
	const char *text = getenv("TCPTAPE_SELECT_MAX");
	unsigned long n = text ? strtoul(text, NULL, 10) : 0;

	return n && n < TAPE_CHOSEN_SOCKS ? (uint32_t)n : TAPE_CHOSEN_SOCKS;
}

static void set_selection(struct rec_object *o, const struct rec_select *s)
{
	struct tape_bpf *skel = o->skel;

	skel->rodata->selecting = true;
	skel->rodata->select_pids = s->n_pids;
	skel->rodata->select_n_comms = s->n_comms;
	memcpy((void *)skel->rodata->select_comms, s->comms, sizeof(s->comms));
	for (unsigned i = 0; i < s->n_comms; i++) /* a name, and the zero behind it */
		memset((void *)skel->rodata->select_comm_masks[i], 0xff, strlen(s->comms[i]) + 1);
	skel->rodata->select_n_cgroups = s->n_cgroups;
	bpf_map__set_max_entries(skel->maps.chosen, room_for_chosen());
	bpf_map__set_max_entries(skel->maps.chosen_flows, room_for_chosen());
	bpf_map__set_max_entries(skel->maps.ended_flows, TAPE_ENDED_FLOWS);
	bpf_map__set_max_entries(skel->maps.chosen_pids, TAPE_CHOSEN_PIDS);
	bpf_map__set_max_entries(skel->maps.old, TAPE_CHOSEN_SOCKS);
}

static void set_gate(struct rec_object *o, const struct rec_gate *g)
{
	if (rec_select_is_on(&g->select))
		set_selection(o, &g->select);
	o->skel->rodata->filter_netns = g->netns;
	if (!g->flows)
		return;
	o->skel->rodata->filter_flows = true;
	o->skel->rodata->filter_any_port = g->n_ports < 0;
	o->skel->rodata->filter_n_ports = g->n_ports < 0 ? 0 : (uint32_t)g->n_ports;
	for (int i = 0; i < g->n_ports; i++)
		o->skel->rodata->filter_ports[i] = g->ports[i];
	bpf_map__set_max_entries(o->skel->maps.closed, TAPE_CLOSED_MAX);
}

/*
 * The object has been read, and lies in the program's file: its pages need not stay in memory (1.5
 * MB). They are whole ones only, since others hold other constants.
 */
static void let_go_of_pages(const void *elf, size_t len)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = ((uintptr_t)elf + page - 1) & ~(page - 1);
	uintptr_t to = ((uintptr_t)elf + len) & ~(page - 1);

	if (to > from)
		(void)madvise((void *)from, to - from, MADV_DONTNEED);
}

/* As tape_bpf__open, with the instructions of -f. */
static int read_programs(struct rec_object *o, const struct rec_gate *g, struct rec_error *err)
{
	struct tape_bpf *skel = calloc(1, sizeof(*skel));
	const void *elf, *original;
	size_t original_len;
	void *copy;
	int r;

	if (!skel || tape_bpf__create_skeleton(skel)) {
		free(skel);
		return rec_fail(err, "reading the BPF programs: no memory");
	}
	elf = original = skel->skeleton->data;
	original_len = skel->skeleton->data_sz;
	if (rec_gate_patch(g, &elf, original_len, &copy, err) < 0) {
		tape_bpf__destroy(skel);
		return -1;
	}
	skel->skeleton->data = (void *)(uintptr_t)elf;
	r = bpf_object__open_skeleton(skel->skeleton, NULL);
	free(copy); /* it has been read */
	let_go_of_pages(original, original_len);
	if (r) {
		tape_bpf__destroy(skel);
		return rec_fail(err, "reading the BPF programs: %s", strerror(-r));
	}
	o->skel = skel;
	return 0;
}

static const struct {
	const char *program, *target;
} iters[REC_N_ITERS] = {
	[REC_ITER_SOCKS] = {"snap_sock", "iter/tcp"},
	[REC_ITER_OWNERS] = {"snap_owner", "iter/task_file"},
};

static struct bpf_program *iter_program(const struct rec_object *o, int i)
{
	return bpf_object__find_program_by_name(o->skel->obj, iters[i].program);
}

/* NULL: there is none. */
static struct bpf_program *start_program(const struct rec_object *o, const struct rec_choice *c)
{
	return c->start == rec_n_starts ? NULL
					: bpf_object__find_program_by_name(
						  o->skel->obj, rec_starts[c->start].program);
}

/* Which programs of the selection are needed. */
static void load_selection(struct rec_object *o, const struct rec_choice *c,
			   const struct rec_select *s, uint32_t groups)
{
	const uint32_t packets = 1u << TAPE_GROUP_rx | 1u << TAPE_GROUP_tx | 1u << TAPE_GROUP_drop |
				 1u << TAPE_GROUP_reset;
	struct bpf_program *start = start_program(o, c);

	bpf_program__set_autoload(o->skel->progs.select_fork, s->n_pids);
	bpf_program__set_autoload(o->skel->progs.select_exit, s->n_pids);
	bpf_program__set_autoload(o->skel->progs.select_exec, s->n_comms || s->n_cgroups);
	if (start)
		bpf_program__set_autoload(start, rec_select_is_on(s) && (groups & packets));
}

/* Refuse the row whose program libbpf complained of. -1 if it is none of ours. */
static int refuse_failed(struct rec_object *o, struct rec_choice *c, int e)
{
	char why[112];

	for (int i = 0; i < REC_N_ITERS; i++) {
		if (strcmp(failed_program, iters[i].program) || *o->iter_why[i])
			continue;
		snprintf(o->iter_why[i], sizeof(o->iter_why[i]), "%s does not load: %s",
			 iters[i].target, strerror(e));
		return 0;
	}
	if (c->start < rec_n_starts && !strcmp(failed_program, rec_starts[c->start].program)) {
		c->start++;
		return 0;
	}
	for (size_t i = 0; i < rec_n_probes; i++) {
		if (!rec_probes[i].program || strcmp(rec_probes[i].program, failed_program) ||
		    c->state[i] == REC_PROBE_IMPOSSIBLE)
			continue;
		snprintf(why, sizeof(why), "the kernel does not load it: %s", strerror(e));
		rec_choice_refuse(c, i, why);
		return 0;
	}
	return -1;
}

/* NULL, and errno. */
static struct bpf_link *attach_tracepoint(const struct rec_object *o, size_t probe)
{
	struct bpf_program *program = program_of(o, probe);
	struct bpf_link *link;
	int fd;

	fd = rec_tracepoint_open(rec_probes[probe].target);
	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	link = bpf_program__attach_perf_event(program, fd);
	if (!link) {
		int e = errno;

		close(fd);
		errno = e;
	}
	return link; /* which closes fd */
}

/* 0, or -errno. */
static int attach(struct rec_object *o, size_t probe)
{
	struct bpf_program *prog = program_of(o, probe);
	struct rec_cgroup_mount mount;
	int e;

	if (rec_probes[probe].method == REC_NETFILTER)
		return rec_netfilter_attach(&o->netfilter, rec_probes[probe].target,
					    bpf_program__fd(prog));
	if (rec_probes[probe].method != REC_CGROUP_SKB) {
		o->links[probe] = rec_probes[probe].method == REC_TRACEPOINT
					  ? attach_tracepoint(o, probe)
					  : bpf_program__attach(prog);
		return o->links[probe] ? 0 : -errno;
	}
	rec_cgroup_open(&mount);
	if (mount.fd < 0)
		return -ENOENT;
	/* a link stands beside other programs, but for one attached to be the only one */
	o->links[probe] = bpf_program__attach_cgroup(prog, mount.fd);
	e = o->links[probe] ? 0 : -errno;
	rec_cgroup_close(&mount);
	return e;
}

/* Into the kernel: who is asked for. */
static int fill_selection(struct rec_object *o, const struct rec_select *s, struct rec_error *err)
{
	int cgroups = bpf_map__fd(o->skel->maps.chosen_cgroups), r = 0;
	uint8_t one = 1;

	for (unsigned i = 0; !r && i < s->n_pids; i++)
		r = bpf_map_update_elem(o->pids_fd, &s->pids[i], &one, BPF_ANY);
	for (unsigned i = 0; !r && i < s->n_cgroups; i++) {
		int fd = open(s->cgroups[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		r = fd < 0 ? -1 : bpf_map_update_elem(cgroups, &i, &fd, BPF_ANY);
		if (fd >= 0)
			close(fd);
	}
	return r ? rec_fail(err, "setting up the selection: %s", strerror(errno)) : 0;
}

/*
 * Beside the programs of group conn. Without the hook of rec_starts packets of a handshake are
 * missing; without the others a process is not followed, so there is none of that kind.
 */
static int attach_selection(struct rec_object *o, const struct rec_choice *c, struct rec_error *err)
{
	struct bpf_program *programs[REC_MAX_SELECT_LINKS] = {
		o->skel->progs.select_fork, o->skel->progs.select_exit, o->skel->progs.select_exec,
		start_program(o, c)};

	for (size_t i = 0; i < REC_MAX_SELECT_LINKS; i++) {
		if (!programs[i] || !bpf_program__autoload(programs[i]))
			continue;
		o->select_links[i] = bpf_program__attach(programs[i]);
		if (!o->select_links[i])
			return rec_fail(err, "attaching %s: %s", bpf_program__name(programs[i]),
					strerror(errno));
	}
	return 0;
}

/* As try_open. */
static int attach_all(struct rec_object *o, struct rec_choice *c, uint32_t groups, bool selecting,
		      struct rec_error *err)
{
	char why[112];
	int r;

	for (size_t i = 0; i < rec_n_probes; i++) {
		if (!wanted(c, i, groups, selecting))
			continue;
		if (!rec_probes[i].program) {
			c->state[i] = REC_PROBE_ATTACHED;
			continue;
		}
		r = attach(o, i);
		if (!r) {
			c->state[i] = REC_PROBE_ATTACHED;
			o->prog_fd[i] = bpf_program__fd(program_of(o, i));
			continue;
		}
		if (rec_fail_is_fatal(-r))
			return rec_fail(err, "attaching %s: %s", rec_probes[i].target,
					strerror(-r));
		snprintf(why, sizeof(why), "cannot attach: %s", strerror(-r));
		rec_choice_refuse(c, i, why);
		return 1;
	}
	return 0;
}

static int make_rings(struct rec_object *o, struct rec_error *err)
{
	int maps[TAPE_N_RINGS] = {
		[TAPE_RING_control] = bpf_map__fd(o->skel->maps.control),
		[TAPE_RING_bulk] = bpf_map__fd(o->skel->maps.bulk),
	};

	for (; o->n_rings < TAPE_N_RINGS * o->split; o->n_rings++) {
		unsigned kind = o->n_rings / o->split;
		uint32_t size = (uint32_t)o->ring_bytes[kind];
		int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, size, NULL);

		if (fd < 0)
			return rec_fail(err, "making a ring buffer of %u KiB: %s", size / 1024,
					strerror(errno));
		o->ring_fd[o->n_rings] = fd;
		for (uint32_t i = o->n_rings % o->split; i < TAPE_RING_SLOTS; i += o->split) {
			if (bpf_map_update_elem(maps[kind], &i, &fd, BPF_ANY) == 0)
				continue;
			rec_fail(err, "setting up a ring buffer: %s", strerror(errno));
			close(fd);
			return -1;
		}
	}
	return 0;
}

static int map_lost(struct rec_object *o, struct rec_error *err)
{
	size_t len = o->n_cpus * sizeof(struct tape_lost);
	void *p = mmap(NULL, len, PROT_READ, MAP_SHARED, bpf_map__fd(o->skel->maps.lost), 0);

	if (p == MAP_FAILED)
		return rec_fail(err, "mapping the loss counters: %s", strerror(errno));
	o->lost = p;
	o->nic_fd = bpf_map__fd(o->skel->maps.nic_counts);
	return 0;
}

static int attach_iters(struct rec_object *o, struct rec_error *err)
{
	for (int i = 0; i < REC_N_ITERS; i++) {
		if (*o->iter_why[i])
			continue;
		o->iters[i] = bpf_program__attach_iter(iter_program(o, i), NULL);
		if (!o->iters[i] && rec_fail_is_fatal(errno))
			return rec_fail(err, "attaching %s: %s", iters[i].target, strerror(errno));
		if (!o->iters[i])
			snprintf(o->iter_why[i], sizeof(o->iter_why[i]), "%s does not attach: %s",
				 iters[i].target, strerror(errno));
	}
	return 0;
}

/*
 * A map is a descriptor, a program one and its link another. Asked before the load, since libbpf
 * takes a descriptor that it did not get for a feature that the kernel lacks, and says so instead.
 */
static int enough_files(const struct rec_object *o, struct rec_error *err)
{
	struct bpf_program *program;
	struct bpf_map *map;
	struct rlimit l;
	rlim_t n = 32; /* the output, the kernel's files, and libbpf's own */

	bpf_object__for_each_map(map, o->skel->obj) n++;
	bpf_object__for_each_program(program, o->skel->obj) n += 2 * bpf_program__autoload(program);
	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || n <= l.rlim_cur)
		return 0;
	return rec_fail(err,
			"loading BPF programs: %s: %llu are needed, the limit is %llu (ulimit -n)",
			strerror(EMFILE), (unsigned long long)n, (unsigned long long)l.rlim_cur);
}

/* 0 done, 1 a row was refused: try again, -1 hopeless. */
static int try_open(struct rec_object *o, struct rec_choice *c, const struct rec_gate *gate,
		    uint32_t groups, uint64_t bulk_bytes, struct rec_error *err)
{
	bool selecting = rec_select_is_on(&gate->select);
	int r;

	for (size_t i = 0; i < REC_MAX_PROBES; i++)
		o->prog_fd[i] = -1;
	rec_netfilter_init(&o->netfilter);
	if (read_programs(o, gate, err) < 0)
		return -1;
	set_sizes(o, c, bulk_bytes);
	set_gate(o, gate);
	o->skel->rodata->has_cookies = c->has_cookies;
	o->skel->rodata->conn_is_recorded = groups >> TAPE_GROUP_conn & 1;
	for (size_t i = 0; i < rec_n_probes; i++) {
		if (!rec_probes[i].program)
			continue;
		bpf_program__set_autoload(program_of(o, i), wanted(c, i, groups, selecting));
		if (rec_probes[i].method != REC_NETFILTER)
			continue;
		/* libbpf knows their section since 1.3 */
		bpf_program__set_type(program_of(o, i), PROG_TYPE_NETFILTER);
		bpf_program__set_expected_attach_type(program_of(o, i), ATTACH_NETFILTER);
	}
	for (int i = 0; i < REC_N_ITERS; i++)
		bpf_program__set_autoload(iter_program(o, i), !*o->iter_why[i]);
	load_selection(o, c, &gate->select, groups);
	if (enough_files(o, err) < 0)
		return -1;
	*failed_program = '\0';
	modules_refused = false;
	r = tape_bpf__load(o->skel);
	if (r && modules_refused) /* bpf_cast_to_kern_ctx and bpf_rdonly_cast are not in its core */
		return rec_fail(err,
				"CAP_SYS_ADMIN is missing: on Linux 5.11 to 6.1 libbpf looks for "
				"functions in modules too, which takes it");
	if (r && !rec_fail_is_fatal(-r) && !refuse_failed(o, c, -r))
		return 1;
	if (r == -EPERM && !c->has_cookies) /* before 5.12, and tiny programs were let in */
		return rec_fail(err,
				"loading BPF programs (buffers of %llu KiB): %s; they count as "
				"locked memory on this kernel (ulimit -l), and without "
				"CAP_SYS_RESOURCE that limit cannot be raised",
				(unsigned long long)bulk_bytes * 3 / 2048, strerror(-r));
	if (r)
		return rec_fail(err, "loading BPF programs (buffers of %llu KiB): %s",
				(unsigned long long)bulk_bytes * 3 / 2048, strerror(-r));
	o->pids_fd = bpf_map__fd(o->skel->maps.chosen_pids);
	o->old_fd = bpf_map__fd(o->skel->maps.old);
	if (make_rings(o, err) < 0 || fill_selection(o, &gate->select, err) < 0)
		return -1;
	r = attach_all(o, c, groups, selecting, err);
	if (r)
		return r;
	if (attach_selection(o, c, err) < 0)
		return -1;
	if (attach_iters(o, err) < 0)
		return -1;
	return map_lost(o, err);
}

static int open_best(struct rec_object *o, struct rec_choice *c, const struct rec_gate *gate,
		     uint32_t groups, uint64_t bulk_bytes, bool snapshot, struct rec_error *err)
{
	int n_cpus, r;

	libbpf_set_print(on_message);
	n_cpus = libbpf_num_possible_cpus();
	*o = (struct rec_object){.n_cpus = n_cpus > 0 ? (unsigned)n_cpus : 1};
	if (n_cpus < 0 && rec_fail_is_fatal(-n_cpus))
		return rec_fail(err, "counting processors: %s", strerror(-n_cpus));
	for (int i = 0; i < REC_N_ITERS; i++)
		snprintf(o->iter_why[i], sizeof(o->iter_why[i]), "%s",
			 snapshot ? c->no_iter : "--no-snapshot");
	/* Each round refuses a row or an iterator, so there are not more rounds than these. */
	while ((r = try_open(o, c, gate, groups, bulk_bytes, err)) == 1) {
		char why[sizeof(o->iter_why)];

		memcpy(why, o->iter_why, sizeof(why));
		rec_object_close(o);
		*o = (struct rec_object){.n_cpus = n_cpus > 0 ? (unsigned)n_cpus : 1};
		memcpy(o->iter_why, why, sizeof(why));
	}
	if (r < 0)
		rec_object_close(o);
	return r;
}

void rec_object_thin(struct rec_object *o, enum tape_group group, uint32_t below)
{
	__atomic_store_n(&o->skel->bss->thin_below[group], below, __ATOMIC_RELAXED);
}

void rec_object_left_out(const struct rec_object *o, uint64_t ret[TAPE_N_GROUPS])
{
	memset(ret, 0, TAPE_N_GROUPS * sizeof(*ret));
	for (unsigned cpu = 0; cpu < o->n_cpus; cpu++) {
		for (int g = 0; g < TAPE_N_GROUPS; g++)
			ret[g] += __atomic_load_n(&o->lost[cpu].left_out[g], __ATOMIC_RELAXED);
	}
}

int rec_object_open(struct rec_object *o, struct rec_choice *c, const struct rec_gate *gate,
		    uint32_t groups, uint64_t bulk_bytes, bool snapshot, struct rec_error *err)
{
	struct rec_memlock limit = rec_memlock_raise();
	int r = open_best(o, c, gate, groups, bulk_bytes, snapshot, err);

	rec_memlock_restore(&limit);
	return r;
}

void rec_object_seeding(struct rec_object *o, bool on)
{
	__atomic_store_n(&o->skel->bss->select_seeding, on, __ATOMIC_SEQ_CST);
}

void rec_object_detach(struct rec_object *o)
{
	for (size_t i = 0; i < REC_MAX_SELECT_LINKS; i++) {
		bpf_link__destroy(o->select_links[i]);
		o->select_links[i] = NULL;
	}
	rec_netfilter_close(&o->netfilter);
	for (size_t i = 0; i < rec_n_probes; i++) {
		bpf_link__destroy(o->links[i]);
		o->links[i] = NULL;
	}
}

void rec_object_close(struct rec_object *o)
{
	rec_object_detach(o);
	for (int i = 0; i < REC_N_ITERS; i++) {
		bpf_link__destroy(o->iters[i]);
		o->iters[i] = NULL;
	}
	if (o->lost)
		munmap((void *)(uintptr_t)o->lost, o->n_cpus * sizeof(struct tape_lost));
	for (; o->n_rings; o->n_rings--)
		close(o->ring_fd[o->n_rings - 1]);
	tape_bpf__destroy(o->skel);
	o->lost = NULL;
	o->skel = NULL;
}

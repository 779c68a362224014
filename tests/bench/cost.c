/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cost SECONDS PID...: what the BPF programs of each process cost an event, by the kernel's
 * statistics, over so many seconds; and three programs of our own, which do nearly nothing, for
 * comparison. A line a program on standard output: N NAME RUNS NS, N the process' place in the
 * arguments, 0 for ours. The statistics' own cost is part of all.
 *
 * The statistics are switched on through a descriptor, so they end with this process, however it
 * ends (kernel.bpf_stats_enabled stays as it is).
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "floor.skel.h"

enum { MAX_PROGS = 128, MAX_CPUS = 1024 };

struct prog {
	int fd, owner;
	char name[BPF_OBJ_NAME_LEN];
	uint64_t runs, ns;
};

static struct prog progs[MAX_PROGS];
static size_t n_progs;

/* Of the rings: the writable page with the consumer's position, the one with the producer's. */
static struct {
	uint64_t *consumer;
	const uint64_t *producer;
} rings[MAX_CPUS];

static void die(const char *what)
{
	fprintf(stderr, "cost: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void read_prog(int fd, struct bpf_prog_info *info)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	if (bpf_obj_get_info_by_fd(fd, info, &len) < 0)
		die("bpf_obj_get_info_by_fd");
}

static void add_prog(int fd, int owner)
{
	struct bpf_prog_info info;

	if (n_progs == MAX_PROGS) {
		fprintf(stderr, "cost: more than %d programs\n", MAX_PROGS);
		exit(1);
	}
	read_prog(fd, &info);
	progs[n_progs] = (struct prog){.fd = fd, .owner = owner};
	memcpy(progs[n_progs++].name, info.name, sizeof(info.name));
}

/* The programs that the process holds a descriptor of. */
static void find_progs(const char *pid, int owner)
{
	char path[300], line[128];
	uint32_t id, seen[MAX_PROGS];
	size_t n = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo", pid);
	d = opendir(path);
	if (!d)
		die(path);
	while ((e = readdir(d)) && n < MAX_PROGS) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, e->d_name);
		f = *e->d_name == '.' ? NULL : fopen(path, "re");
		if (!f)
			continue;
		while (n < MAX_PROGS && fgets(line, sizeof(line), f)) {
			size_t i = 0;

			if (sscanf(line, "prog_id: %u", &id) != 1)
				continue;
			while (i < n && seen[i] != id)
				i++;
			if (i == n)
				seen[n++] = id;
		}
		fclose(f);
	}
	closedir(d);
	for (size_t i = 0; i < n; i++) {
		int fd = bpf_prog_get_fd_by_id(seen[i]);

		if (fd < 0)
			die("bpf_prog_get_fd_by_id");
		add_prog(fd, owner);
	}
}

/* A ring for each processor: the array of maps holds them, so our descriptors need not stay. */
static void make_rings(int array_fd, unsigned n_cpus)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (uint32_t i = 0; i < n_cpus; i++) {
		int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "floor", 0, 0, 1 << 20, NULL);

		if (fd < 0 || bpf_map_update_elem(array_fd, &i, &fd, 0) < 0)
			die("a ring buffer");
		rings[i].consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		rings[i].producer = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, (off_t)page);
		if (rings[i].consumer == MAP_FAILED || rings[i].producer == MAP_FAILED)
			die("mapping a ring buffer");
		close(fd);
	}
}

static void attach(struct floor *skel)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, skel->obj)
	{
		if (!bpf_program__attach(p))
			die("attaching to tcp_probe");
		add_prog(bpf_program__fd(p), 0);
	}
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Sleep, and throw away what is in the rings before they fill. */
static void wait_until(double end_s, unsigned n_cpus)
{
	while (now_s() < end_s) {
		usleep(2000);
		for (unsigned i = 0; i < n_cpus; i++) {
			uint64_t to = __atomic_load_n(rings[i].producer, __ATOMIC_ACQUIRE);

			__atomic_store_n(rings[i].consumer, to, __ATOMIC_RELEASE);
		}
	}
}

int main(int argc, char **argv)
{
	int stats_fd, cpus = libbpf_num_possible_cpus();
	unsigned n_cpus = cpus > 0 ? (unsigned)cpus : 1;
	struct bpf_prog_info info;
	struct floor *skel;

	if (argc < 3 || n_cpus > MAX_CPUS) {
		fprintf(stderr, "usage: cost SECONDS PID...\n");
		return 2;
	}
	skel = floor__open();
	if (!skel)
		die("floor.bpf");
	bpf_map__set_max_entries(skel->maps.floor_rings, n_cpus);
	bpf_map__set_max_entries(skel->maps.lost, n_cpus);
	if (floor__load(skel))
		die("loading");
	make_rings(bpf_map__fd(skel->maps.floor_rings), n_cpus);
	attach(skel);
	for (int i = 2; i < argc; i++)
		find_progs(argv[i], i - 1);
	stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (stats_fd < 0)
		die("bpf_enable_stats");
	for (size_t i = 0; i < n_progs; i++) {
		read_prog(progs[i].fd, &info);
		progs[i].runs = info.run_cnt;
		progs[i].ns = info.run_time_ns;
	}
	wait_until(now_s() + atof(argv[1]), n_cpus);
	for (size_t i = 0; i < n_progs; i++) {
		read_prog(progs[i].fd, &info);
		printf("%d %s %llu %llu\n", progs[i].owner, progs[i].name,
		       (unsigned long long)(info.run_cnt - progs[i].runs),
		       (unsigned long long)(info.run_time_ns - progs[i].ns));
	}
	return 0;
}

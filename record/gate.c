/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "gate.h"

/* What net.ipv4.ip_local_port_range is in a new network namespace, whatever it is in others. */
enum { LOW_PORT = 32768, HIGH_PORT = 60999 };

#ifdef HAVE_PCAP
/* Where the kernel takes the port of a connect from; a wider range costs starts, not truth. */
static void read_port_range(uint16_t *low, uint16_t *high)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned from, to;

	*low = LOW_PORT;
	*high = HIGH_PORT;
	if (!f)
		return;
	if (fscanf(f, "%u %u", &from, &to) == 2 && from <= to && to <= UINT16_MAX) {
		*low = from < LOW_PORT ? (uint16_t)from : LOW_PORT;
		*high = to > HIGH_PORT ? (uint16_t)to : HIGH_PORT;
	}
	fclose(f);
}

static int compile(struct rec_gate *g, const char *expression, struct rec_error *err)
{
	uint16_t low, high;
	struct filter *f;
	char why[512];
	int r = filter_new(&f, expression, why, sizeof(why));

	if (r)
		return rec_fail(err, "-f: %s", r == -1 ? why : "no memory");
	read_port_range(&low, &high);
	g->n_insns = filter_translate(f, g->insns, TAPE_FILTER_INSNS);
	g->n_ports = filter_ports(f, low, high, g->ports, TAPE_FILTER_PORTS);
	filter_free(f);
	if (g->n_insns < 0)
		return rec_fail(err,
				"-f: the expression is too long for the kernel (%d "
				"instructions); record more, and choose with tcptape's -f",
				TAPE_FILTER_INSNS);
	return 0;
}
#else
static int compile(struct rec_gate *g, const char *expression, struct rec_error *err)
{
	return rec_fail(err, "-f: this tcptape-record was built without libpcap; record all, and "
			     "choose with tcptape's -f");
}
#endif

int rec_gate_filter(struct rec_gate *g, const char *expression, struct rec_error *err)
{
	g->flows = true;
	return compile(g, expression, err);
}

int rec_gate_netns(struct rec_gate *g, const char *pid_or_path, struct rec_error *err)
{
	bool is_pid = *pid_or_path && !pid_or_path[strspn(pid_or_path, "0123456789")];
	char path[64];
	const char *file = is_pid ? path : pid_or_path;
	struct statfs fs;
	struct stat st;
	bool is_netns;
	int fd = -1;

	snprintf(path, sizeof(path), "/proc/%.20s/ns/net", pid_or_path);
	if (statfs(file, &fs) < 0)
		return rec_fail(err, "--netns %.200s: %s", pid_or_path,
				is_pid && errno == ENOENT ? "there is no such process"
							  : strerror(errno));
	if (fs.f_type == NSFS_MAGIC) /* of some kind */
		fd = open(file, O_RDONLY | O_CLOEXEC);
	is_netns = fd >= 0 && ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET && !fstat(fd, &st);
	if (fd >= 0)
		close(fd);
	if (!is_netns)
		return rec_fail(err,
				"--netns %.200s is no network namespace; a process's number or "
				"a path as /run/netns/NAME was expected",
				pid_or_path);
	g->netns = (uint32_t)st.st_ino;
	return 0;
}

bool rec_gate_guesses(const struct rec_gate *g)
{
	return g->flows && g->n_ports != 1;
}

/* ---- the object ---- */

/* Where the function's instructions are; NULL: not there. */
static void *find_function(char *elf, size_t *ret_size)
{
	const Elf64_Ehdr *head = (const Elf64_Ehdr *)elf;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(elf + head->e_shoff);

	for (unsigned i = 0; i < head->e_shnum; i++) {
		const Elf64_Sym *symbols = (const Elf64_Sym *)(elf + sections[i].sh_offset);

		if (sections[i].sh_type != SHT_SYMTAB)
			continue;
		for (size_t k = 0; k < sections[i].sh_size / sizeof(*symbols); k++) {
			const char *names = elf + sections[sections[i].sh_link].sh_offset;
			const Elf64_Sym *s = &symbols[k];

			if (strcmp(names + s->st_name, "flow_matches"))
				continue;
			*ret_size = s->st_size;
			return elf + sections[s->st_shndx].sh_offset + s->st_value;
		}
	}
	return NULL;
}

int rec_gate_patch(const struct rec_gate *g, const void **elf, size_t size, void **ret_copy,
		   struct rec_error *err)
{
	char *copy, *function;
	size_t room = 0;

	*ret_copy = NULL;
	if (!g->flows)
		return 0;
	copy = malloc(size);
	if (!copy)
		return rec_fail(err, "no memory");
	memcpy(copy, *elf, size);
	function = find_function(copy, &room);
	if (!function || room < sizeof(g->insns)) {
		free(copy);
		return rec_fail(err, "-f: the BPF programs have no room for it");
	}
	memcpy(function, g->insns, sizeof(g->insns));
	*elf = *ret_copy = copy;
	return 0;
}

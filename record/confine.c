/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "privilege.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OUR_ARCH AUDIT_ARCH_RISCV64
#else
#define OUR_ARCH 0 /* big-endian ones have an argument's lower half elsewhere */
#endif

#define ITER_CREATE 33 /* enum bpf_cmd; linux/bpf.h has it since Linux 5.8 */
#define WRITING (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))
#define NEW_FILE (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW)

struct rule {
	int nr;
	int arg;	      /* that must be `value` under `mask`, in its lower half; -1: none */
	uint32_t mask, value; /* each value is a row */
	uint32_t purposes;    /* any of them; 0: always */
};

#define CALL(name)                                                                                 \
	{                                                                                          \
		SYS_##name, -1, 0, 0, 0                                                            \
	}
#define CALL_FOR(name, purposes)                                                                   \
	{                                                                                          \
		SYS_##name, -1, 0, 0, purposes                                                     \
	}
#define CALL_IF(name, arg, mask, value)                                                            \
	{                                                                                          \
		SYS_##name, arg, mask, value, 0                                                    \
	}
#define IOCTL(request) CALL_IF(ioctl, 1, UINT32_MAX, (uint32_t)(request))
#define BPF(cmd) CALL_IF(bpf, 0, UINT32_MAX, cmd)

/* clang-format off */
static const struct rule rules[] = {
	/* the loop: rings, timers, signals, the output */
#ifdef SYS_epoll_wait
	CALL(epoll_wait),
#endif
	CALL(epoll_pwait), CALL(read), CALL(write), CALL(clock_gettime), CALL(getrusage),
	CALL(close), CALL(pread64), CALL(lseek), CALL(ftruncate), CALL(fstat),
#ifdef SYS_poll
	CALL(poll),
#endif
	CALL(ppoll), CALL(epoll_ctl), CALL(fcntl), CALL(rt_sigreturn), CALL(rt_sigprocmask),
	/* memory; none of it becomes code */
	CALL(brk), CALL(munmap), CALL(mremap), CALL(madvise),
	CALL_IF(mmap, 2, PROT_EXEC, 0), CALL_IF(mprotect, 2, PROT_EXEC, 0),
	/* /proc, /run/netns, cgroups: to be read only */
	CALL_IF(openat, 2, WRITING, 0),
	CALL(newfstatat), CALL(statx), CALL(fstatfs), CALL(getdents64), CALL(dup),
	/* programs, maps, iterators and links that are there: none is loaded */
	BPF(BPF_MAP_LOOKUP_ELEM), BPF(BPF_MAP_UPDATE_ELEM), BPF(BPF_MAP_DELETE_ELEM),
	BPF(BPF_MAP_GET_NEXT_KEY), BPF(BPF_OBJ_GET_INFO_BY_FD), BPF(ITER_CREATE),
	{SYS_bpf, 0, UINT32_MAX, BPF_LINK_CREATE, REC_DOES_LINK},
	IOCTL(PERF_EVENT_IOC_DISABLE),
	/* the next file, the end of the oldest */
	{SYS_openat, 2, WRITING | NEW_FILE, NEW_FILE, REC_DOES_FILES},
	CALL_FOR(fchmod, REC_DOES_FILES), CALL_FOR(fchown, REC_DOES_FILES),
	CALL_FOR(unlinkat, REC_DOES_FILES),
	/* other network namespaces, and their interfaces */
	{SYS_setns, 1, UINT32_MAX, CLONE_NEWNET, REC_DOES_SAMPLE | REC_DOES_LINK | REC_DOES_SNAPSHOTS},
	{SYS_socket, 0, UINT32_MAX, AF_NETLINK, REC_DOES_SAMPLE},
	CALL_FOR(sendto, REC_DOES_SAMPLE), CALL_FOR(recvfrom, REC_DOES_SAMPLE),
	IOCTL(SIOCGIFINDEX), IOCTL(SIOCETHTOOL),
	{SYS_prlimit64, -1, 0, 0, REC_DOES_LINK}, /* a link is a descriptor */
	/* COMMAND */
	CALL_FOR(wait4, REC_DOES_COMMAND), CALL_FOR(kill, REC_DOES_COMMAND),
	/* what the C library does beside that: stdio, malloc, qsort, sysconf, abort */
	IOCTL(TCGETS), CALL(writev), CALL(getrandom), CALL(sysinfo), CALL(sched_getaffinity),
	CALL(futex), CALL(getpid), CALL(gettid), CALL(tgkill), CALL(restart_syscall),
	CALL(gettimeofday), CALL(clock_nanosleep), CALL(sched_yield), CALL(exit), CALL(exit_group),
};
/* clang-format on */

struct program {
	struct sock_filter *insns;
	size_t n;
};

static void add(struct program *p, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	p->insns[p->n++] = (struct sock_filter){code, jt, jf, k};
}

#define LOAD (BPF_LD | BPF_W | BPF_ABS)
#define IF_EQUAL (BPF_JMP | BPF_JEQ | BPF_K)
#define RETURN (BPF_RET | BPF_K)

/* Each rule allows, or falls through to the next, with the call's number loaded. */
static void add_rule(struct program *p, const struct rule *r)
{
	if (r->arg < 0) {
		add(p, IF_EQUAL, (uint32_t)r->nr, 0, 1);
		add(p, RETURN, SECCOMP_RET_ALLOW, 0, 0);
		return;
	}
	add(p, IF_EQUAL, (uint32_t)r->nr, 0, 5);
	add(p, LOAD, offsetof(struct seccomp_data, args[0]) + 8u * (uint32_t)r->arg, 0, 0);
	add(p, BPF_ALU | BPF_AND | BPF_K, r->mask, 0, 0);
	add(p, IF_EQUAL, r->value, 0, 1);
	add(p, RETURN, SECCOMP_RET_ALLOW, 0, 0);
	add(p, LOAD, offsetof(struct seccomp_data, nr), 0, 0);
}

_Static_assert(6 * sizeof(rules) / sizeof(*rules) + 5 <= REC_CONFINE_ROOM, "room for all rules");

size_t rec_confine_build(uint32_t purposes, struct sock_filter buf[REC_CONFINE_ROOM])
{
	struct program p = {.insns = buf};

	if (!OUR_ARCH)
		return 0;
	/* a call by another table of numbers (int 0x80) is no accident */
	add(&p, LOAD, offsetof(struct seccomp_data, arch), 0, 0);
	add(&p, IF_EQUAL, OUR_ARCH, 1, 0);
	add(&p, RETURN, SECCOMP_RET_KILL_PROCESS, 0, 0);
	add(&p, LOAD, offsetof(struct seccomp_data, nr), 0, 0);
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		if (!rules[i].purposes || (rules[i].purposes & purposes))
			add_rule(&p, &rules[i]);
	}
	add(&p, RETURN, SECCOMP_RET_ERRNO | EPERM, 0, 0);
	return p.n;
}

int rec_confine(uint32_t purposes, bool *ret_on, struct rec_error *err)
{
	struct sock_filter insns[REC_CONFINE_ROOM];
	struct sock_fprog program = {(unsigned short)rec_confine_build(purposes, insns), insns};

	*ret_on = program.len &&
		  !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, &program);
	if (program.len && !*ret_on && errno != ENOSYS && errno != EINVAL)
		return rec_fail(err, "seccomp: %s", strerror(errno));
	return 0;
}

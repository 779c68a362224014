// SPDX-License-Identifier: GPL-2.0-or-later
/* The filter is for good, so each case runs in a child, by raw system calls. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "privilege.h"
#include "suite.h"

enum { NOT_CONFINED = 200 }; /* exit status; an errno is less */

struct call {
	const char *what;
	long nr, arg[4];
	uint32_t purposes;
};

#define STR(s) ((long)(s))

static const char *const no_args[] = {NULL};
static char map_attr[128]; /* a descriptor 0, and no room: refused, but not with EPERM */

static void confined_child(uint32_t purposes)
{
	struct rec_error err;
	bool on = false;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || rec_confine(purposes, &on, &err) || !on)
		_exit(NOT_CONFINED);
}

/* The errno of the call under the filter, 0: it was done; what waitpid says otherwise. */
static int status_of(const struct call *c)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		confined_child(c->purposes);
		_exit(syscall(c->nr, c->arg[0], c->arg[1], c->arg[2], c->arg[3]) < 0 ? errno : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

START_TEST(test_confine__refuses)
{
	static const struct call calls[] = {
		{"another program", SYS_execve, {STR("/bin/true"), STR(no_args), STR(no_args)}, 0},
		{"a process", SYS_clone, {SIGCHLD, 0, 0, 0}, REC_DOES_COMMAND},
		{"a signal without COMMAND", SYS_kill, {0, 0}, 0},
		{"to write a file", SYS_openat, {AT_FDCWD, STR("/dev/null"), O_WRONLY}, 0},
		{"to read and write", SYS_openat, {AT_FDCWD, STR("/dev/null"), O_RDWR}, 0},
		{"a new file", SYS_openat, {AT_FDCWD, STR("/dev/null"), O_CREAT, 0600}, 0},
		{"to cut a file", SYS_openat, {AT_FDCWD, STR("/dev/null"), O_TRUNC}, 0},
		{"an old file, with --rotate",
		 SYS_openat,
		 {AT_FDCWD, STR("/dev/null"), O_WRONLY},
		 REC_DOES_FILES},
		{"a file without a name", SYS_openat, {AT_FDCWD, STR("/tmp"), O_TMPFILE | 1}, 0},
		{"to remove a file", SYS_unlinkat, {AT_FDCWD, STR("/nonexistent"), 0}, 0},
		{"any file by its number", SYS_open_by_handle_at, {-1, 0, O_PATH | O_CLOEXEC}, 0},
		{"netlink, without samples", SYS_socket, {AF_NETLINK, SOCK_RAW, 0}, REC_DOES_FILES},
		{"another namespace, without samples",
		 SYS_setns,
		 {-1, CLONE_NEWNET},
		 REC_DOES_FILES},
		{"to talk to the network", SYS_socket, {AF_INET, SOCK_STREAM, 0}, 0},
		{"raw packets", SYS_socket, {AF_PACKET, SOCK_RAW, 0}, 0},
		{"another root", SYS_setns, {-1, CLONE_NEWNS}, 0},
		{"any namespace", SYS_setns, {-1, 0}, 0},
		{"a new namespace", SYS_unshare, {0}, 0},
		{"a mount", SYS_mount, {0, STR("/"), STR("tmpfs"), 0}, 0},
		{"to trace", SYS_ptrace, {PTRACE_TRACEME, 0, 0, 0}, 0},
		{"another's memory", SYS_process_vm_readv, {1, 0, 0, 0}, 0},
		{"new code", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE}, 0},
		{"memory to become code", SYS_mprotect, {0, 0, PROT_EXEC}, 0},
		{"a BPF program", SYS_bpf, {BPF_PROG_LOAD, STR(map_attr), sizeof(map_attr)}, 0},
		{"a BPF map", SYS_bpf, {BPF_MAP_CREATE, STR(map_attr), sizeof(map_attr)}, 0},
		{"a BPF link", SYS_bpf, {BPF_LINK_CREATE, STR(map_attr), sizeof(map_attr)}, 0},
		{"an event of perf", SYS_perf_event_open, {0, 0, -1, -1}, 0},
		{"to become root", SYS_setresuid, {-1, -1, -1}, 0},
		{"a call that nobody knows", 100000, {0}, 0},
#ifdef __x86_64__
		{"a call of x32", 0x40000000 + SYS_getpid, {0}, 0},
#endif
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		ck_assert_msg(status_of(&calls[i]) == W_EXITCODE(EPERM, 0), "%s: status 0x%x",
			      calls[i].what, status_of(&calls[i]));
}
END_TEST

START_TEST(test_confine__lets_pass)
{
	static const struct {
		struct call call;
		int want; /* errno that the kernel itself gives */
	} rows[] = {
		{{"to read a file", SYS_openat, {AT_FDCWD, STR("/dev/null"), O_RDONLY}, 0}, 0},
		{{"a new file",
		  SYS_openat,
		  {AT_FDCWD, STR("/dev/null"), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600},
		  REC_DOES_FILES},
		 EEXIST},
		{{"to read a folder", SYS_openat, {AT_FDCWD, STR("/"), O_DIRECTORY}, 0}, 0},
		{{"netlink", SYS_socket, {AF_NETLINK, SOCK_RAW, 0}, REC_DOES_SAMPLE}, 0},
		{{"a network namespace", SYS_setns, {-1, CLONE_NEWNET}, REC_DOES_LINK}, EBADF},
		{{"memory", SYS_mprotect, {0, 0, PROT_READ}, 0}, 0},
		{{"a signal to COMMAND", SYS_kill, {0, 0}, REC_DOES_COMMAND}, 0},
		{{"to wait for it", SYS_wait4, {-1, 0, WNOHANG}, REC_DOES_COMMAND}, ECHILD},
		{{"to write the output", SYS_write, {-1, 0, 0}, 0}, EBADF},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int status = status_of(&rows[i].call);

		ck_assert_msg(status == W_EXITCODE(rows[i].want, 0), "%s: status 0x%x",
			      rows[i].call.what, status);
	}
}
END_TEST

/* int 0x80 reaches calls by other numbers: there 1 is exit, not write. */
START_TEST(test_confine__another_table_of_calls_ends_the_process)
{
#ifdef __x86_64__
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		confined_child(0);
		__asm__ volatile("int $0x80" : : "a"(1), "b"(0));
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status), "status 0x%x", status);
#endif
}
END_TEST

START_TEST(test_confine__fits_its_room_with_every_purpose)
{
	static struct sock_filter insns[REC_CONFINE_ROOM];
	size_t n = rec_confine_build(UINT32_MAX, insns);

	ck_assert_uint_gt(n, rec_confine_build(0, insns));
	ck_assert_uint_le(n, REC_CONFINE_ROOM);
}
END_TEST

SUITE("confine", test_confine__refuses, test_confine__lets_pass,
      test_confine__another_table_of_calls_ends_the_process,
      test_confine__fits_its_room_with_every_purpose)

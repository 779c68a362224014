/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#ifdef TCPTAPE_STATIC
#include <nss.h>
#endif
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "sudo.h"

/* Become the user who called sudo, with that user's groups and home. -1: errno. */
static int become_user(void)
{
	struct passwd *pw;
	uid_t uid;
	gid_t gid;

	if (!rec_sudo_user(&uid, &gid))
		return 0;
#ifdef TCPTAPE_STATIC /* other sources would be loaded as libraries, of some other libc */
	__nss_configure_lookup("passwd", "files");
	__nss_configure_lookup("group", "files");
	__nss_configure_lookup("initgroups", "files");
#endif
	pw = getpwuid(uid);
	if (pw ? initgroups(pw->pw_name, gid) : setgroups(1, &gid))
		return -1;
	if (setgid(gid) || setuid(uid))
		return -1;
	if (pw) {
		setenv("HOME", pw->pw_dir, 1);
		setenv("USER", pw->pw_name, 1);
		setenv("LOGNAME", pw->pw_name, 1);
	}
	return 0;
}

/* fd: a byte from the parent says go, errno goes back; exec closes it. */
static _Noreturn void child(int fd, char **argv)
{
	sigset_t none;
	char go;
	int e;

	if (read(fd, &go, 1) != 1)
		_exit(0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (!become_user())
		execvp(argv[0], argv);
	e = errno;
	if (write(fd, &e, sizeof(e)) != sizeof(e))
		_exit(125);
	_exit(e == ENOENT ? 127 : 126);
}

int rec_command_fork(struct rec_command *c, char **argv, struct rec_error *err)
{
	int fds[2];

	*c = (struct rec_command){.go_fd = -1};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return rec_fail(err, "socketpair: %s", strerror(errno));
	c->pid = fork();
	if (c->pid == 0) {
		close(fds[0]);
		child(fds[1], argv);
	}
	close(fds[1]);
	c->go_fd = fds[0];
	if (c->pid < 0) {
		c->pid = 0;
		close(fds[0]);
		return rec_fail(err, "fork: %s", strerror(errno));
	}
	return 0;
}

int rec_command_start(struct rec_command *c, const char *name, struct rec_error *err)
{
	ssize_t n = write(c->go_fd, "g", 1);
	int e = 0;

	if (n == 1)
		n = read(c->go_fd, &e, sizeof(e)); /* 0: exec has closed the other end */
	close(c->go_fd);
	c->go_fd = -1;
	if (!n)
		return 0;
	rec_command_ended(c, true);
	return rec_fail(err, "cannot run %s: %s", name, strerror(e ? e : errno));
}

bool rec_command_ended(struct rec_command *c, bool wait)
{
	int status;

	if (!c->pid || c->ended)
		return c->ended;
	while (waitpid(c->pid, &status, wait ? 0 : WNOHANG) != c->pid) {
		if (!wait || errno != EINTR)
			return false;
	}
	c->ended = true;
	c->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return true;
}

void rec_command_kill(struct rec_command *c, int signal)
{
	if (c->pid && !c->ended)
		kill(c->pid, signal);
}

void rec_command_cancel(struct rec_command *c)
{
	if (c->go_fd < 0)
		return;
	close(c->go_fd);
	c->go_fd = -1;
	rec_command_ended(c, true);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * usage FILE COMMAND ARG...: run the command and write to FILE what it took, with the children that
 * it waited for: seconds of real time, of user and of system CPU time, the largest RSS of one
 * process in KiB. SIGINT and SIGTERM go on to the command. Exits as that does, with 128 + N if it
 * died by signal N.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile pid_t child;

static void pass_on(int signo)
{
	if (child > 0)
		kill(child, signo);
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A signal that comes before the command runs must wait until it can be passed on. */
static pid_t start(char **argv)
{
	struct sigaction action = {.sa_handler = pass_on};
	sigset_t held, old;

	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigprocmask(SIG_BLOCK, &held, &old);
	child = fork();
	if (child == 0) {
		signal(SIGINT, SIG_DFL); /* a shell's background job ignores it */
		sigprocmask(SIG_SETMASK, &old, NULL);
		execvp(argv[0], argv);
		fprintf(stderr, "usage: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return child;
}

int main(int argc, char **argv)
{
	double from_s = now_s();
	struct rusage used;
	int status;
	FILE *f;

	if (argc < 3) {
		fprintf(stderr, "usage: usage FILE COMMAND ARG...\n");
		return 2;
	}
	if (start(argv + 2) < 0) {
		fprintf(stderr, "usage: %s\n", strerror(errno));
		return 1;
	}
	while (wait4(child, &status, 0, &used) < 0)
		if (errno != EINTR)
			return 1;
	f = fopen(argv[1], "we");
	if (!f ||
	    fprintf(f, "%.6f %.6f %.6f %ld\n", now_s() - from_s, seconds(used.ru_utime),
		    seconds(used.ru_stime), used.ru_maxrss) < 0 ||
	    fclose(f)) {
		fprintf(stderr, "usage: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

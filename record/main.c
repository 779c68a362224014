/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tcptape-record: all that it prints, and its exit status. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "probes.h"
#include "session.h"

#ifndef TCPTAPE_VERSION
#define TCPTAPE_VERSION "unknown"
#endif

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_HOOK = 3, EXIT_OURS = 125 };

struct status { /* of the line on the terminal */
	uint64_t events, elapsed_ns, cpu_ns;
};

static int complain(const struct rec_error *err, int status)
{
	fprintf(stderr, "tcptape-record: %s\n", err->text);
	return status;
}

/* What was printed must have arrived, too. */
static int printed(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_OK;
	fprintf(stderr, "tcptape-record: standard output: %s\n", strerror(errno));
	return EXIT_FAILED;
}

/* "12.3 MB", in the way of a disk's maker. */
static const char *size_text(uint64_t bytes, char buf[32])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double v = (double)bytes;
	unsigned i = 0;

	for (; v >= 1000 && i < 4; i++)
		v /= 1000;
	snprintf(buf, 32, i ? "%.1f %s" : "%.0f %s", v, units[i]);
	return buf;
}

static double per(double a, double b)
{
	return b > 0 ? a / b : 0;
}

/* ---- --list ---- */

static void list_event(const struct rec_event *e, const struct rec_choice *c, bool tried)
{
	const char *lacks = rec_choice_lacks(c, e->name);
	char hooks[REC_HOOKS_LEN], why[REC_HOOKS_LEN];

	rec_choice_hooks(c, e->name, hooks, sizeof(hooks));
	rec_choice_reasons(c, e->name, why, sizeof(why));
	printf("%-17s %-8s %-28s ", e->name, rec_group_name(e->group), *hooks ? hooks : "-");
	if (*why)
		printf("%s: %s; not recorded: %s\n", *hooks ? "partly" : "absent", why, e->lacks);
	else
		printf("%s%s%s\n", tried ? "attaches" : "should attach",
		       *lacks ? "; this hook does not see: " : "", lacks);
}

static void list_need(const struct rec_privilege *p, const struct rec_need *need)
{
	const char *status = "not needed";

	if (rec_privilege_lacks(p, need))
		status = "missing";
	else if (rec_privilege_keeps(p, need))
		status = "kept while recording";
	else if ((need->start & p->purposes) && (p->have >> need->cap & 1))
		status = "given up when attached";
	else if (need->start & p->purposes)
		status = "missing";
	printf("%-20s %-22s  for: %s\n", need->name, status, need->gives);
}

static int list(const struct rec_options *o)
{
	struct rec_choice c;
	struct rec_privilege p;
	struct rec_error err;
	bool tried;

	if (rec_list(&c, &p, o, &tried, &err) < 0)
		return complain(&err, EXIT_FAILED);
	printf("%-17s %-8s %-28s %s\n", "EVENT", "GROUP", "HOOK", "STATUS");
	for (size_t i = 0; i < rec_n_events; i++)
		list_event(&rec_events[i], &c, tried);
	if (tried && *c.no_stacks)
		printf("--stacks: absent: %s\n", c.no_stacks);
	if (!tried)
		printf("Judged by the kernel's type information only; as root, each probe is "
		       "tried.\n");
	printf("\n%-20s STATUS, if all groups are recorded\n", "CAPABILITY");
	for (size_t i = 0; i < rec_n_needs; i++)
		list_need(&p, &rec_needs[i]);
	return printed();
}

/* ---- while it runs ---- */

static void on_tick(void *ctx, const struct rec_figures *f)
{
	struct status *last = ctx;
	double s = (double)(f->elapsed_ns - last->elapsed_ns) / 1e9;
	char size[32];

	fprintf(stderr, "\r%.0f s  %.0f events/s  %llu lost  %s  %.1f %% CPU\033[K",
		(double)f->elapsed_ns / 1e9, per((double)(f->n_events - last->events), s),
		(unsigned long long)f->lost, size_text(f->bytes, size),
		per((double)(f->cpu_ns - last->cpu_ns) / 1e7, s));
	*last = (struct status){f->n_events, f->elapsed_ns, f->cpu_ns};
}

/* A terminal's status line stands there: it is overwritten. */
static void on_news(void *ctx, const char *text)
{
	fprintf(stderr, "%s%s\n", *(bool *)ctx ? "\r\033[K" : "", text);
}

/* ---- the summary ---- */

static void print_absent(const struct rec_options *o, const struct rec_choice *c)
{
	char why[REC_HOOKS_LEN];

	for (size_t i = 0; i < rec_n_events; i++) {
		const struct rec_event *e = &rec_events[i];

		if (!(o->groups >> e->group & 1))
			continue;
		rec_choice_reasons(c, e->name, why, sizeof(why));
		if (*why)
			fprintf(stderr, "  not recorded: %s (%s: %s)\n", e->lacks, e->name, why);
	}
}

static void print_privileges(const struct rec_privilege *p)
{
	bool any = false;

	fprintf(stderr, "  privileges: user %u", (unsigned)p->uid);
	for (size_t i = 0; i < rec_n_needs; i++) {
		if (!rec_privilege_keeps(p, &rec_needs[i]))
			continue;
		fprintf(stderr, "%s%s", any ? " " : ", ", rec_needs[i].name);
		any = true;
	}
	fprintf(stderr, "%s%s\n", any ? "" : ", no capabilities", p->confined ? ", seccomp" : "");
	for (size_t i = 0; i < rec_n_needs; i++) {
		if (rec_privilege_lacks(p, &rec_needs[i]))
			fprintf(stderr, "  without %s not recorded: %s\n", rec_needs[i].name,
				rec_needs[i].gives);
	}
}

/* Connections of which nothing was recorded: as was asked for, or to keep to the budget. */
static void print_left_out(const struct rec_session *s, const struct rec_options *o,
			   const struct rec_figures *f)
{
	bool any = false;

	for (int g = 0; g < TAPE_N_GROUPS; g++) {
		if (!f->left_out[g])
			continue;
		fprintf(stderr, "%s %s %llu",
			any ? "," : "  left out, by connection:", rec_group_name(g),
			(unsigned long long)f->left_out[g]);
		any = true;
	}
	if (!any)
		return;
	fprintf(stderr, " events");
	if (o->sample > 1)
		fprintf(stderr, "; --sample %u", o->sample);
	if (rec_session_over_budget(s))
		fprintf(stderr, "; more than --max-rate %u a second; 'tcptape info' shows when",
			o->max_rate);
	fprintf(stderr, "\n");
}

static int disk_low(const struct rec_options *o, int status)
{
	fprintf(stderr,
		"tcptape-record: recording stopped: less than %llu MB are free on the disk "
		"(--min-free); what was recorded is complete\n",
		(unsigned long long)o->min_free_bytes >> 20);
	return status;
}

static void summary(struct rec_session *s, const struct rec_options *o)
{
	const char *path = rec_session_path(s), *trouble = rec_session_trouble(s);
	struct rec_figures f;
	char size[32], rss[32], rings[32];
	bool first = true;

	rec_session_figures(s, &f);
	fprintf(stderr, "%s", *path ? path : "standard output");
	if (f.n_files > 1)
		fprintf(stderr, " and %u files before it", f.n_files - 1);
	fprintf(stderr, ": %s, %llu events in %.1f s", size_text(f.bytes, size),
		(unsigned long long)f.n_events, (double)f.elapsed_ns / 1e9);
	for (int g = 0; g < TAPE_N_GROUPS; g++) {
		if (!(o->groups >> g & 1))
			continue;
		fprintf(stderr, "%s%s %llu", first ? " (" : ", ", rec_group_name(g),
			(unsigned long long)f.events[g]);
		first = false;
	}
	fprintf(stderr, "), %.1f bytes/event, %llu lost", per((double)f.bytes, (double)f.n_events),
		(unsigned long long)f.lost);
	if (f.stragglers)
		fprintf(stderr, ", %llu out of order", (unsigned long long)f.stragglers);
	fprintf(stderr,
		"\n  own cost: %.2f %% of a CPU, %.0f ns/event, RSS %s (%s of it rings, each "
		"mapped twice)",
		per(100.0 * (double)f.cpu_ns, (double)f.elapsed_ns),
		per((double)f.cpu_ns, (double)f.n_events), size_text(f.rss_kb * 1024, rss),
		size_text(f.mapped_bytes, rings));
	if (f.bpf_runs)
		fprintf(stderr, "; probes %.0f ns/run, %llu runs",
			per((double)f.bpf_ns, (double)f.bpf_runs), (unsigned long long)f.bpf_runs);
	fprintf(stderr, "\n");
	print_left_out(s, o, &f);
	if (!o->no_snapshot)
		fprintf(stderr, "  sockets at the start: %zu\n", f.n_socks);
	if (f.n_pauses)
		fprintf(stderr,
			"  files have gaps, as they tell themselves: %u times nothing could be "
			"written; of these events %llu are in none\n",
			f.n_pauses, (unsigned long long)f.n_unwritten);
	print_privileges(rec_session_privilege(s));
	if (*trouble)
		fprintf(stderr, "  %s\n", trouble);
	if (o->stacks && *rec_session_choice(s)->no_stacks)
		fprintf(stderr, "  --stacks: %s\n", rec_session_choice(s)->no_stacks);
	print_absent(o, rec_session_choice(s));
}

/* 3 if a group that the user named has no hook at all. */
static int named_without_hook(const struct rec_session *s, const struct rec_options *o)
{
	int status = EXIT_OK;

	for (int g = 0; g < TAPE_N_GROUPS; g++) {
		if (!(o->named >> g & 1) || rec_choice_has_group(rec_session_choice(s), g))
			continue;
		fprintf(stderr, "tcptape-record: group %s has no hook on this kernel\n",
			rec_group_name(g));
		status = EXIT_NO_HOOK;
	}
	return status;
}

/*
 * The exit status of COMMAND, if it ran, else ours. A command that could not be executed has
 * status 126 or 127, as in a shell.
 */
static int record(const struct rec_options *o)
{
	bool terminal = isatty(STDERR_FILENO);
	int ours = o->command ? EXIT_OURS : EXIT_FAILED, status, command;
	bool ran;
	struct status last = {0};
	struct rec_session *s;
	struct rec_error err;

	status = rec_session_open(&s, o, &err);
	if (status == REC_READER_GONE && !o->command)
		return EXIT_OK;
	if (status < 0)
		return complain(&err, ours);
	rec_session_on_news(s, on_news, &terminal);
	if (o->ring_bytes || o->ring_ns)
		fprintf(stderr, "recording into a ring; SIGUSR2 writes it to a file\n");
	else if (terminal && !o->command)
		fprintf(stderr, "recording to %s; Ctrl-C stops\n",
			*rec_session_path(s) ? rec_session_path(s) : "standard output");
	status = rec_session_run(s, terminal ? on_tick : NULL, &last, &err) < 0 ? ours : EXIT_OK;
	if (terminal)
		fprintf(stderr, "\r\033[K");
	if (status && rec_session_reader_gone(s))
		status = EXIT_OK;
	else if (status)
		complain(&err, status);
	else
		summary(s, o);
	if (!status && rec_session_disk_low(s))
		status = disk_low(o, ours);
	if (!status)
		status = named_without_hook(s, o);
	command = rec_session_command_status(s, &ran);
	if (command == REC_COMMAND_LEFT) {
		fprintf(stderr, "tcptape-record: %s still runs; no longer waiting for it\n",
			o->command[0]);
		status = EXIT_OURS;
	} else if (command >= 0 && (status == EXIT_OK || status == EXIT_NO_HOOK || !ran)) {
		status = command;
	}
	rec_session_free(s);
	return status;
}

int main(int argc, char **argv)
{
	struct rec_options o;
	struct rec_error err;
	static char help[16384];

	if (rec_options_parse(&o, argc, argv, &err) < 0)
		return complain(&err, EXIT_USAGE);
	if (o.help) {
		rec_options_help(help, sizeof(help));
		fputs(help, stdout);
		return printed();
	}
	if (o.version) {
		puts("tcptape-record " TCPTAPE_VERSION);
		return printed();
	}
	return o.list ? list(&o) : record(&o);
}

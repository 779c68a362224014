// SPDX-License-Identifier: GPL-2.0-or-later
/* generate: writes traces that look like recordings, of any length, from a seed. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gen.h"

static const char usage[] =
	"usage: generate [options] -o FILE\n"
	"writes a trace that looks like a recording, from a model of a machine under load\n"
	"\n"
	"      --scenario NAME   the load, see below; default mixed\n"
	"      --seed N          another seed is another trace; the same one, with the same other\n"
	"                        options, is the same on every machine; default 1\n"
	"      --events N        at least so many events, K M G allowed: 10M; default 1M\n"
	"      --groups NAMES    of conn rtt retrans reset drop counters listen nic rx tx io, "
	"with\n"
	"                        commas between them; default all (rtt: that one)\n"
	"      --chunk N         events in a chunk; default 65536\n"
	"      --level N         zstd level; default 3\n"
	"  -o, --output FILE     where to; - is a pipe on standard output\n"
	"      --truth FILE      what the trace must show, as lines NAME VALUE; - is standard "
	"error\n"
	"  -h, --help            this text\n"
	"\n"
	"Scenarios:\n";

static const struct app keepalive = {.profile = P_KEEP,
				     .client = "wrk",
				     .server = "nginx",
				     .port = 17080,
				     .n_conns = 64,
				     .request = 46,
				     .answer = 839,
				     .pipeline = 1,
				     .two_cpus = true,
				     .aborts = true};
static const struct app closing = {.profile = P_SHORT,
				   .client = "wrk",
				   .server = "nginx",
				   .port = 17081,
				   .n_conns = 32,
				   .request = 65,
				   .answer = 834,
				   .exchanges = 1,
				   .pipeline = 1,
				   .server_closes = true};
static const struct app redis = {.profile = P_REDIS,
				 .client = "redis-benchmark",
				 .server = "redis-server",
				 .port = 17379,
				 .n_conns = 32,
				 .request = 36,
				 .answer = 9,
				 .pipeline = 1,
				 .preempts = 128,
				 .batch = true};

#define MAX_PHASES 8
struct phase {
	const struct app *app;
	uint32_t share; /* of the events, in 1000 */
};

static const struct scenario {
	const char *name, *meaning;
	struct phase phases[MAX_PHASES];
	uint32_t groups; /* 0: all */
} scenarios[] = {
	{"keepalive", "HTTP keep-alive: wrk with 64 connections on nginx", {{&keepalive, 1000}}, 0},
	{"redis", "small requests and answers: redis-benchmark", {{&redis, 1000}}, 0},
	{"short", "a connection for each HTTP request", {{&closing, 1000}}, 0},
	{"mixed",
	 "redis, keepalive and short in turns",
	 {{&redis, 560}, {&keepalive, 210}, {&closing, 230}},
	 0},
	{"rtt",
	 "as mixed, recorded with -e rtt",
	 {{&redis, 560}, {&keepalive, 210}, {&closing, 230}},
	 G_RTT},
};

static const char *const groups[] = {"conn",   "rtt", "retrans", "reset", "drop", "counters",
				     "listen", "nic", "rx",	 "tx",	  "io"};

static void fail(const char *what, const char *value)
{
	fprintf(stderr, "generate: %s%s (--help tells more)\n", what, value);
	exit(2);
}

/* ---- options ---- */

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (*end == 'K')
		n *= 1000;
	else if (*end == 'M')
		n *= 1000000;
	else if (*end == 'G')
		n *= 1000000000;
	else if (*end)
		fail("not a number: ", text);
	if (end == text || (*end && end[1]))
		fail("not a number: ", text);
	return n;
}

static uint32_t group_bits(char *names)
{
	uint32_t ret = 0;

	for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
		uint32_t bit = 0;

		for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++)
			if (!strcmp(name, groups[i]))
				bit = 1u << i;
		if (!bit)
			fail("no such group: ", name);
		ret |= bit;
	}
	return ret;
}

static const struct scenario *find_scenario(const char *name)
{
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
		if (!strcmp(scenarios[i].name, name))
			return &scenarios[i];
	fail("no such scenario: ", name);
	return NULL;
}

static void help(void)
{
	fputs(usage, stdout);
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
		printf("  %-10s %s\n", scenarios[i].name, scenarios[i].meaning);
	exit(0);
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {{"scenario", 1, NULL, 's'}, {"seed", 1, NULL, 'r'},
					      {"events", 1, NULL, 'n'},	  {"groups", 1, NULL, 'g'},
					      {"chunk", 1, NULL, 'c'},	  {"level", 1, NULL, 'l'},
					      {"output", 1, NULL, 'o'},	  {"truth", 1, NULL, 't'},
					      {"help", 0, NULL, 'h'},	  {0}};
	int c;

	*o = (struct options){.scenario = "mixed", .seed = 1, .events = 1000000};
	while ((c = getopt_long(argc, argv, "o:h", longs, NULL)) != -1) {
		switch (c) {
		case 's': o->scenario = optarg; break;
		case 'r': o->seed = number(optarg); break;
		case 'n': o->events = number(optarg); break;
		case 'g': o->groups = group_bits(optarg); break;
		case 'c': o->chunk = number(optarg); break;
		case 'l': o->level = (int)number(optarg); break;
		case 'o': o->out = optarg; break;
		case 't': o->truth = optarg; break;
		case 'h': help(); break;
		default: fail("wrong option", "");
		}
	}
	if (!o->out || optind < argc)
		fail(o->out ? "one file only" : "-o FILE is missing", "");
}

/* ---- running ---- */

static void init_path(struct path *p)
{
	*p = (struct path){
		.kind = PATH_LO, .netns = {4026531840, 4026531840}, .ifindex = {1, 1}, .cwnd = 18};
	for (unsigned i = 0; i < 2; i++)
		p->addr[i] =
			(struct ev_addr){{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}};
}

/* Loads in turns, each with its share of a round. */
static void run(struct machine *m, const struct scenario *s, struct path *path)
{
	uint64_t round = 2000000 < m->opts.events ? 2000000 : m->opts.events, until = 0;
	unsigned i = 0;

	while (m->n_events < m->opts.events && !m->failed) {
		struct actor *client = app_start(m, s->phases[i].app, path, gen_last_tick(m));

		until = m->n_events + round * s->phases[i].share / 1000;
		if (!s->phases[1].app || until > m->opts.events)
			until = m->opts.events;
		while (m->n_events < until && !m->failed)
			gen_step(m);
		if (m->n_events >= m->opts.events)
			break;
		client->stopping = true;
		while (client->n_open && m->n_events < m->opts.events && gen_step(m))
			;
		i = s->phases[i + 1].app ? i + 1 : 0;
	}
}

int main(int argc, char **argv)
{
	struct machine *m = calloc(1, sizeof(*m));
	const struct scenario *s;
	struct path path;
	int fd;

	if (!m)
		gen_die("generate");
	parse(argc, argv, &m->opts);
	s = find_scenario(m->opts.scenario);
	if (!m->opts.groups)
		m->opts.groups = s->groups ? s->groups : UINT32_MAX;
	fd = strcmp(m->opts.out, "-") ? open(m->opts.out, O_WRONLY | O_CREAT | O_TRUNC, 0644) : 1;
	if (fd < 0)
		gen_die(m->opts.out);
	gen_init(m, fd);
	init_path(&path);
	head_write(m, groups, sizeof(groups) / sizeof(*groups));
	run(m, s, &path);
	gen_finish(m);
	if (m->failed) {
		fprintf(stderr, "generate: %s: %s\n", m->opts.out, m->err.text);
		return 1;
	}
	if (m->opts.truth && truth_write(m, m->opts.truth))
		gen_die(m->opts.truth);
	gen_fini(m);
	free(m);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/* generate: writes traces that look like recordings, of any length, from a seed. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "gen.h"

static const char help_text[] =
	"usage: generate [options] -o FILE\n"
	"writes a trace that looks like a recording, from a model of a machine under load\n"
	"\n"
	"Options:\n"
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
	"A seed gives the same events everywhere: the model counts in integers and has a generator "
	"of\n"
	"its own. The bytes are the same for one version of this program and of libzstd. Gaps "
	"between\n"
	"hooks, sizes and shares are measured from recordings (measure.py); compare.py sets a "
	"generated\n"
	"trace beside a recording. The hooks are those of a kernel without kprobes and "
	"trampolines: no\n"
	"tcp_accept, no raw round-trip samples.\n"
	"\n"
	"Standard error says what was written and how fast. Exit status: 0, 1 writing failed, 2 "
	"usage.\n"
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
static const struct app pipelined = {.profile = P_REDIS,
				     .client = "redis-benchmark",
				     .server = "redis-server",
				     .port = 17380,
				     .n_conns = 32,
				     .request = 36,
				     .answer = 9,
				     .pipeline = 16,
				     .preempts = 128,
				     .batch = true};

static const struct app pages = {.profile = P_VETH,
				 .client = "wrk",
				 .server = "nginx",
				 .port = 17082,
				 .n_conns = 16,
				 .request = 200,
				 .answer = 2000,
				 .answer_spread = 36000,
				 .exchanges = 20,
				 .pipeline = 1};
static const struct app download = {.profile = P_BULK,
				    .client = "curl",
				    .server = "nginx",
				    .port = 17083,
				    .n_conns = 2,
				    .request = 83,
				    .answer = 150000000,
				    .exchanges = 1,
				    .pipeline = 1,
				    .bytes_ms = 1000000,
				    .aborts = true};
static const struct app users = {.profile = P_VETH,
				 .client = "remote",
				 .server = "nginx",
				 .port = 443,
				 .n_conns = 100000,
				 .request = 520,
				 .answer = 600,
				 .answer_spread = 3000,
				 .exchanges = 12,
				 .pipeline = 1,
				 .think_us = 9000000,
				 .exists = true};
static const struct app few_users = {.profile = P_VETH,
				     .client = "remote",
				     .server = "sshd",
				     .port = 22,
				     .n_conns = 5,
				     .request = 36,
				     .answer = 52,
				     .exchanges = 40,
				     .pipeline = 1,
				     .think_us = 20000000,
				     .exists = true};

#define NETNS 4026531840u
#define V4(a, b, c, d)                                                                             \
	{                                                                                          \
		{                                                                                  \
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d                       \
		}                                                                                  \
	}

static const struct path loopback = {.kind = PATH_LO,
				     .netns = {NETNS, NETNS},
				     .ifindex = {1, 1},
				     .mtu = 65536,
				     .cwnd = 18,
				     .addr = {V4(127, 0, 0, 1), V4(127, 0, 0, 1)}};
static const struct path bulk_path = {.kind = PATH_LO,
				      .netns = {NETNS, NETNS},
				      .ifindex = {1, 1},
				      .mtu = 65536,
				      .cwnd = 40,
				      .addr = {V4(127, 0, 0, 1), V4(127, 0, 0, 1)}};
static const struct path veth = {.kind = PATH_VETH,
				 .netns = {NETNS + 512, NETNS + 576},
				 .ifindex = {2, 2},
				 .mtu = 1500,
				 .cwnd = 138,
				 .addr = {V4(10, 77, 0, 2), V4(10, 77, 0, 1)}};
static const struct path nat = {.kind = PATH_VETH,
				.netns = {NETNS + 512, NETNS + 576},
				.ifindex = {2, 2},
				.mtu = 1500,
				.cwnd = 138,
				.addr = {V4(10, 77, 0, 2), V4(10, 77, 0, 1)},
				.nat = true,
				.nat_addr = V4(10, 77, 0, 101)};
static const struct path lossy = {.kind = PATH_VETH,
				  .netns = {NETNS + 512, NETNS + 576},
				  .ifindex = {2, 2},
				  .mtu = 1500,
				  .cwnd = 138,
				  .gso_segs = 2,
				  .delay = 5 * TICKS_MS,
				  .loss = 65536 / 50,
				  .addr = {V4(10, 77, 0, 2), V4(10, 77, 0, 1)}};

static const struct path internet = {.kind = PATH_WIRE,
				     .netns = {NETNS, NETNS},
				     .ifindex = {2, 2},
				     .mtu = 1500,
				     .cwnd = 64,
				     .delay = 12 * TICKS_MS,
				     .addr = {V4(10, 20, 0, 0), V4(192, 0, 2, 80)}};

#define MAX_PHASES 8
struct phase {
	const struct app *app;
	uint32_t share; /* of the events, in 1000 */
};

#define OF_APP N_PROFILES
static const struct scenario {
	const char *name, *meaning;
	const struct path *path;
	struct phase phases[MAX_PHASES];
	enum profile profile; /* OF_APP: that of the load */
	uint32_t groups;      /* 0: all */
	bool two_cpus;	      /* client and server run on different processors */
} scenarios[] = {
	{"keepalive",
	 "HTTP keep-alive: wrk with 64 connections on nginx",
	 &loopback,
	 {{&keepalive, 1000}},
	 OF_APP,
	 0,
	 true},
	{"redis",
	 "small requests and answers: redis-benchmark",
	 &loopback,
	 {{&redis, 1000}},
	 OF_APP,
	 0,
	 false},
	{"pipeline",
	 "the same with 16 requests at a time (redis-benchmark -P 16)",
	 &loopback,
	 {{&pipelined, 1000}},
	 OF_APP,
	 0,
	 false},
	{"short",
	 "a connection for each HTTP request",
	 &loopback,
	 {{&closing, 1000}},
	 OF_APP,
	 0,
	 false},
	{"mixed",
	 "redis, keepalive, short and bulk in turns",
	 &loopback,
	 {{&redis, 550}, {&keepalive, 195}, {&closing, 225}, {&download, 30}},
	 OF_APP,
	 0,
	 false},
	{"rtt",
	 "redis, keepalive and short in turns, recorded with -e rtt",
	 &loopback,
	 {{&redis, 550}, {&keepalive, 358}, {&closing, 92}},
	 OF_APP,
	 G_RTT,
	 false},
	{"veth",
	 "as mixed, between two network namespaces",
	 &veth,
	 {{&redis, 420}, {&keepalive, 190}, {&closing, 295}, {&download, 95}},
	 P_VETH,
	 0,
	 false},
	{"nat",
	 "the same, the client's address being translated",
	 &nat,
	 {{&redis, 420}, {&keepalive, 190}, {&closing, 295}, {&download, 95}},
	 P_VETH,
	 0,
	 false},
	{"bulk",
	 "long answers by sendfile() to clients that read on and on",
	 &bulk_path,
	 {{&download, 1000}},
	 OF_APP,
	 0,
	 true},
	{"lossy",
	 "pages over 10 ms and 2 % loss each way: retransmits, drops",
	 &lossy,
	 {{&pages, 1000}},
	 OF_APP,
	 0,
	 true},
	{"churn",
	 "a server with 100,000 connections from elsewhere, which come and go",
	 &internet,
	 {{&users, 1000}},
	 OF_APP,
	 0,
	 false},
	{"idle",
	 "a quiet machine: a few sessions from elsewhere, over hours",
	 &internet,
	 {{&few_users, 1000}},
	 OF_APP,
	 0,
	 false},
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
	fputs(help_text, stdout);
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

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What was written and what it cost; none of it goes into the file. */
static void report(const struct machine *m, double began)
{
	double spent = seconds() - began;
	struct tape_writer_stats stats;
	struct rusage usage;

	tape_writer_stats(m->writer, &stats);
	getrusage(RUSAGE_SELF, &usage);
	fprintf(stderr, "%s: %llu events, %.2f bytes/event, %.1f s, %.2f M events/s, RSS %.1f MB\n",
		m->opts.out, (unsigned long long)m->n_events,
		(double)stats.bytes / (double)(m->n_events ? m->n_events : 1), spent,
		(double)m->n_events / 1e6 / spent, (double)usage.ru_maxrss / 1024);
}

/* Loads in turns, each with its share of a round. */
static void run(struct machine *m, const struct scenario *s)
{
	uint64_t round = 2000000 < m->opts.events ? 2000000 : m->opts.events, until = 0;
	unsigned i = 0;

	while (m->n_events < m->opts.events && !m->failed) {
		const struct app *app = s->phases[i].app;
		struct actor *client;

		m->profile = s->profile == OF_APP ? app->profile : s->profile;
		m->two_cpus = s->two_cpus;
		client = app_start(m, app);
		if (!m->sampled_at)
			sample_start(m);
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
	double began = seconds();
	const struct scenario *s;
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
	m->path = s->path;
	head_write(m, groups, sizeof(groups) / sizeof(*groups));
	run(m, s);
	gen_finish(m);
	if (m->failed) {
		fprintf(stderr, "generate: %s: %s\n", m->opts.out, m->err.text);
		return 1;
	}
	if (m->opts.truth && truth_write(m, m->opts.truth))
		gen_die(m->opts.truth);
	report(m, began);
	gen_fini(m);
	free(m);
	return 0;
}

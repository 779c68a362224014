/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counters.h"

#define NO_CPU UINT32_MAX

int rec_read_file(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	while (used < len - 1 && (n = read(fd, buf + used, len - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	if (used == len - 1) { /* cut off: only whole lines */
		while (used && buf[used - 1] != '\n')
			used--;
	}
	buf[used] = '\0';
	return 0;
}

static void see(struct rec_series *s, uint32_t netns, uint32_t id, uint32_t cpu, uint64_t value)
{
	struct ev_counter e = {.head = {.type = EV_counter, .size = sizeof(e)}};
	uint64_t before;
	bool first;

	if (!rec_series_moved(s, netns, id, cpu, value, &before, &first))
		return;
	e.value = value;
	/* Seen first, but not in the first sample: the namespace is new, and began at 0. */
	e.delta = s->interval_us ? (int64_t)(value - before) : 0;
	e.netns = netns;
	e.counter = id;
	e.cpu_index = cpu;
	e.interval_us = s->interval_us;
	rec_series_emit(s, &e.head);
}

/* Cuts the next line off, and ends it with a NUL. NULL: there is none. */
static char *next_line(char **rest)
{
	char *line = *rest, *end = line ? strchr(line, '\n') : NULL;

	if (!end)
		return NULL;
	*end = '\0';
	*rest = end + 1;
	return line;
}

/* Settings that stand among the counters of snmp (snmp_seq_show_ipstats, snmp_seq_show_tcp_udp). */
static bool is_setting(const char *name)
{
	static const char *const names[] = {"Forwarding", "DefaultTTL", "RtoAlgorithm",
					    "RtoMin",	  "RtoMax",	"MaxConn"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(name, names[i]))
			return true;
	}
	return false;
}

/* snmp and netstat: "Tcp: Name Name...", below it "Tcp: 1 2..." */
static void read_pairs(struct rec_series *s, uint32_t netns, char *text)
{
	char *names, *values;

	while ((names = next_line(&text)) && (values = next_line(&text))) {
		char *group = strsep(&names, ":"), *name, *value;

		strsep(&values, ":");
		if (!values || !names ||
		    (strcmp(group, "Tcp") && strcmp(group, "Ip") && strcmp(group, "TcpExt") &&
		     strcmp(group, "IpExt")))
			continue;
		names += strspn(names, " ");
		values += strspn(values, " ");
		while ((name = strsep(&names, " ")) && (value = strsep(&values, " "))) {
			if (!is_setting(name))
				see(s, netns, rec_series_name(s, group, name, strlen(name)), NO_CPU,
				    strtoull(value, NULL, 10));
		}
	}
}

/* snmp6: "Ip6InReceives   12" */
static void read_snmp6(struct rec_series *s, uint32_t netns, char *text)
{
	char *line;

	while ((line = next_line(&text))) {
		size_t len = strcspn(line, " \t");

		if (strncmp(line, "Ip6", 3) || len < 4)
			continue;
		see(s, netns, rec_series_name(s, "Ip6", line + 3, len - 3), NO_CPU,
		    strtoull(line + len, NULL, 10));
	}
}

/* sockstat, sockstat6: "TCP: inuse 5 orphan 0"; gauges. */
static void read_sockstat(struct rec_series *s, uint32_t netns, char *text)
{
	char *line;

	while ((line = next_line(&text))) {
		char *group = strsep(&line, ":"), *name, *value, full[32];

		if (!line || strncmp(group, "TCP", 3))
			continue;
		snprintf(full, sizeof(full), "sockstat.%.8s", group);
		line += strspn(line, " ");
		while ((name = strsep(&line, " ")) && (value = strsep(&line, " ")))
			see(s, netns, rec_series_name(s, full, name, strlen(name)), NO_CPU,
			    strtoull(value, NULL, 10));
	}
}

/*
 * softnet_stat: a line of hexadecimal numbers for each CPU that is online (softnet_seq_show). Since
 * Linux 5.10 the thirteenth is the CPU; before, the line's number has to do.
 */
static void read_softnet(struct rec_series *s, char *text)
{
	static const struct {
		unsigned column;
		const char *name;
	} columns[] = {{0, "processed"},    {1, "dropped"},	{2, "time_squeeze"},
		       {9, "received_rps"}, {10, "flow_limit"}, {11, "backlog_len"}};
	char *line;

	for (uint32_t cpu = 0; (line = next_line(&text)); cpu++) {
		uint64_t v[16];
		unsigned n = 0;

		for (char *end; n < 16; n++, line = end) {
			v[n] = strtoull(line, &end, 16);
			if (end == line)
				break;
		}
		if (n > 12)
			cpu = (uint32_t)v[12];
		for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++) {
			const char *name = columns[i].name;

			if (columns[i].column < n)
				see(s, 0, rec_series_name(s, "softnet", name, strlen(name)), cpu,
				    v[columns[i].column]);
		}
	}
}

void rec_counters_sample(struct rec_series *s, uint32_t netns, bool home, char *buf)
{
	static const struct {
		const char *path;
		void (*read)(struct rec_series *s, uint32_t netns, char *text);
	} files[] = {
		{"/proc/net/snmp", read_pairs},		{"/proc/net/netstat", read_pairs},
		{"/proc/net/snmp6", read_snmp6},	{"/proc/net/sockstat", read_sockstat},
		{"/proc/net/sockstat6", read_sockstat},
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		if (!rec_read_file(files[i].path, buf, REC_FILE_ROOM))
			files[i].read(s, netns, buf);
	}
	if (home && !rec_read_file("/proc/net/softnet_stat", buf, REC_FILE_ROOM))
		read_softnet(s, buf);
}

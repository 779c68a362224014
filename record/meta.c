/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "meta.h"

#ifndef TCPTAPE_VERSION
#define TCPTAPE_VERSION "unknown"
#endif

/* Values that change how TCP behaves. Never a key (tcp_fastopen_key). */
static const char *const sysctls[] = {
	"net/ipv4/tcp_congestion_control",
	"net/ipv4/tcp_available_congestion_control",
	"net/ipv4/tcp_rmem",
	"net/ipv4/tcp_wmem",
	"net/ipv4/tcp_mem",
	"net/ipv4/tcp_moderate_rcvbuf",
	"net/ipv4/tcp_adv_win_scale",
	"net/ipv4/tcp_window_scaling",
	"net/ipv4/tcp_sack",
	"net/ipv4/tcp_dsack",
	"net/ipv4/tcp_timestamps",
	"net/ipv4/tcp_ecn",
	"net/ipv4/tcp_syncookies",
	"net/ipv4/tcp_syn_retries",
	"net/ipv4/tcp_synack_retries",
	"net/ipv4/tcp_retries1",
	"net/ipv4/tcp_retries2",
	"net/ipv4/tcp_orphan_retries",
	"net/ipv4/tcp_max_syn_backlog",
	"net/ipv4/tcp_abort_on_overflow",
	"net/ipv4/tcp_fin_timeout",
	"net/ipv4/tcp_tw_reuse",
	"net/ipv4/tcp_max_tw_buckets",
	"net/ipv4/tcp_slow_start_after_idle",
	"net/ipv4/tcp_no_metrics_save",
	"net/ipv4/tcp_mtu_probing",
	"net/ipv4/tcp_fastopen",
	"net/ipv4/tcp_early_retrans",
	"net/ipv4/tcp_recovery",
	"net/ipv4/tcp_thin_linear_timeouts",
	"net/ipv4/tcp_frto",
	"net/ipv4/tcp_reordering",
	"net/ipv4/tcp_min_rtt_wlen",
	"net/ipv4/tcp_notsent_lowat",
	"net/ipv4/tcp_limit_output_bytes",
	"net/ipv4/tcp_autocorking",
	"net/ipv4/tcp_tso_win_divisor",
	"net/ipv4/tcp_min_tso_segs",
	"net/ipv4/tcp_keepalive_time",
	"net/ipv4/tcp_keepalive_intvl",
	"net/ipv4/tcp_keepalive_probes",
	"net/ipv4/tcp_user_timeout",
	"net/ipv4/tcp_rto_min_us",
	"net/ipv4/ip_local_port_range",
	"net/core/somaxconn",
	"net/core/netdev_max_backlog",
	"net/core/netdev_budget",
	"net/core/netdev_budget_usecs",
	"net/core/rmem_max",
	"net/core/wmem_max",
	"net/core/rmem_default",
	"net/core/wmem_default",
	"net/core/default_qdisc",
	"net/core/busy_poll",
	"net/core/busy_read",
};

/* Without memory the line is left out: no reason to stop recording. */
void rec_meta_add(struct rec_meta *m, const char *key, const char *fmt, ...)
{
	char *k = strdup(key), *v = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&v, fmt, ap) < 0)
		v = NULL;
	va_end(ap);
	if (m->n == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 128;
		struct tape_meta *lines = realloc(m->lines, cap * sizeof(*lines));

		if (lines) {
			m->lines = lines;
			m->cap = cap;
		}
	}
	if (k && v && m->n < m->cap) {
		m->lines[m->n++] = (struct tape_meta){k, v};
		return;
	}
	free(k);
	free(v);
}

void rec_meta_free(struct rec_meta *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free((void *)(uintptr_t)m->lines[i].key);
		free((void *)(uintptr_t)m->lines[i].value);
	}
	free(m->lines);
	*m = (struct rec_meta){0};
}

/* The first line of a small file, tabs as blanks; false if it cannot be read. */
static bool read_line(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, len - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	for (char *p = buf; *p; p++) {
		if (*p == '\t')
			*p = ' ';
	}
	return true;
}

void rec_meta_host(struct rec_meta *m)
{
	struct utsname u;
	char line[256];

	rec_meta_add(m, "recorder", "tcptape-record %s", TCPTAPE_VERSION);
	if (!uname(&u)) {
		rec_meta_add(m, "host", "%s", u.nodename);
		rec_meta_add(m, "machine", "%s", u.machine);
		rec_meta_add(m, "kernel.release", "%s", u.release);
		rec_meta_add(m, "kernel.version", "%s", u.version);
	}
	if (read_line("/proc/sys/kernel/random/boot_id", line, sizeof(line)))
		rec_meta_add(m, "boot_id", "%s", line);
}

void rec_meta_options(struct rec_meta *m, const struct rec_options *o)
{
	char key[64];

	for (size_t i = 0; i < o->n_given; i++) {
		if (!strcmp(o->given[i].name, "note"))
			continue;
		snprintf(key, sizeof(key), "option.%s", o->given[i].name);
		rec_meta_add(m, key, "%s", o->given[i].value);
	}
	if (o->note)
		rec_meta_add(m, "note", "%s", o->note);
	if (o->command)
		rec_meta_add(m, "command", "%s", o->command[0]);
}

static void add_event(struct rec_meta *m, const struct rec_choice *c, const char *event)
{
	char key[64], value[REC_HOOKS_LEN];

	rec_choice_hooks(c, event, value, sizeof(value));
	snprintf(key, sizeof(key), "probe.%s", event);
	if (*value)
		rec_meta_add(m, key, "%s", value);
	rec_choice_parts(c, event, value, sizeof(value));
	snprintf(key, sizeof(key), "parts.%s", event);
	if (*value)
		rec_meta_add(m, key, "%s", value);
	rec_choice_reasons(c, event, value, sizeof(value));
	snprintf(key, sizeof(key), "absent.%s", event);
	if (*value)
		rec_meta_add(m, key, "%s", value);
}

void rec_meta_probes(struct rec_meta *m, const struct rec_options *o, const struct rec_object *obj,
		     const struct rec_choice *c, const struct rec_loss *l)
{
	char groups[128] = "";
	size_t used = 0;
	bool kprobe = false;

	for (int g = 0; g < TAPE_N_GROUPS; g++) {
		if (o->groups >> g & 1)
			used += (size_t)snprintf(groups + used, sizeof(groups) - used, "%s%s",
						 used ? "," : "", rec_group_name(g));
	}
	rec_meta_add(m, "groups", "%s", groups);
	rec_meta_add(m, "cpus", "%u", obj->n_cpus);
	rec_meta_add(m, "buffer.control", "%llu",
		     (unsigned long long)obj->ring_bytes[TAPE_RING_control] * obj->split);
	rec_meta_add(m, "buffer.bulk", "%llu",
		     (unsigned long long)obj->ring_bytes[TAPE_RING_bulk] * obj->split);
	rec_meta_add(m, "buffer.split", "%u", obj->split);
	for (size_t i = 0; i < rec_n_events; i++) {
		if (o->groups >> rec_events[i].group & 1)
			add_event(m, c, rec_events[i].name);
	}
	for (size_t i = 0; i < rec_n_probes; i++)
		kprobe |= obj->prog_fd[i] >= 0 && rec_probes[i].method == REC_KPROBE;
	rec_meta_add(m, "loss.recursion", "%s", l->counts_recursion ? "counted" : "unknown");
	if (kprobe)
		rec_meta_add(m, "loss.kprobe", "unknown");
}

void rec_meta_left_out(struct rec_meta *m, const uint64_t left_out[TAPE_N_GROUPS])
{
	char text[TAPE_N_GROUPS * 32] = "";
	size_t used = 0;

	for (int g = 0; g < TAPE_N_GROUPS; g++) {
		if (left_out[g])
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %llu",
						 used ? "," : "",
						 rec_group_name((enum tape_group)g),
						 (unsigned long long)left_out[g]);
	}
	if (used)
		rec_meta_add(m, "left_out", "%s", text);
}

void rec_meta_sysctls(struct rec_meta *m)
{
	char path[128], key[128], value[512];

	for (size_t i = 0; i < sizeof(sysctls) / sizeof(*sysctls); i++) {
		snprintf(path, sizeof(path), "/proc/sys/%s", sysctls[i]);
		if (!read_line(path, value, sizeof(value)))
			continue;
		snprintf(key, sizeof(key), "sysctl.%s", sysctls[i]);
		for (char *p = key; *p; p++) {
			if (*p == '/')
				*p = '.';
		}
		rec_meta_add(m, key, "%s", value);
	}
}

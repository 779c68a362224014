/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a trace says about how it came about. An allow-list: nothing else of the host goes in.
 *
 *   host                  node name
 *   machine               x86_64, aarch64, ...
 *   kernel.release        6.1.0-56-cloud-amd64
 *   kernel.version        #1 SMP PREEMPT_DYNAMIC ...
 *   cpus                  possible CPUs
 *   boot_id               /proc/sys/kernel/random/boot_id
 *   recorder              tcptape-record and its version
 *   command               argv[0] of COMMAND; its arguments are not kept
 *   note                  --note
 *   option.NAME           each option as it was given (option.output, option.events, ...)
 *   filter.starts         "guessed": see rec_gate_guesses
 *   groups                what is recorded, as conn,rtt
 *   buffer.control, buffer.bulk   bytes of the rings, all of a kind together
 *   buffer.split          rings of each kind
 *   probe.EVENT           the hooks in use: "fexit:tcp_v4_connect fexit:tcp_v6_connect"
 *   absent.EVENT          why the event, or a part of it, has no hook
 *   loss.recursion        "counted", or "unknown" where the kernel does not count
 *   loss.kprobe           "unknown" if a kprobe is in use: its own misses cannot be read
 *   sysctl.NAME           net.ipv4.tcp_* and others of a fixed list, own network namespace
 * and in a second block, when recording ended:
 *   end.reason            "signal", "duration", "command", "reader" (of the pipe left); "rotate",
 *                         "dump": the recording went on
 *   end.cpu_us            CPU time of the recorder, user and system, while it recorded
 *   end.rss_kb            its memory then
 *   end.bpf_ns, end.bpf_runs   time and runs of the probes, if kernel.bpf_stats_enabled is set
 *   end.forced            records that left the hold-back buffer too early, if any
 *   recording.*, dump.*, trigger.*, output.trouble   of a recording that makes several files
 *                         (session_file.c, session_ring.c; docs/format.md has them all)
 *   snapshot              "12 sockets in 3 namespaces"
 *   snapshot.trouble      what the snapshot lacks, if anything
 *   sample.trouble        what the samples of counters, listen and nic lack, if anything
 */
#ifndef REC_META_H
#define REC_META_H

#include <stddef.h>

#include "loss.h"
#include "options.h"
#include "probes.h"
#include "writer.h"

struct rec_meta {
	struct tape_meta *lines; /* own their strings */
	size_t n, cap;
};

void rec_meta_add(struct rec_meta *m, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void rec_meta_free(struct rec_meta *m);

void rec_meta_host(struct rec_meta *m);
void rec_meta_options(struct rec_meta *m, const struct rec_options *o);
void rec_meta_probes(struct rec_meta *m, const struct rec_options *o, const struct rec_object *obj,
		     const struct rec_choice *c, const struct rec_loss *l);
/* Events that were left out, by group; no line if there are none. */
void rec_meta_left_out(struct rec_meta *m, const uint64_t left_out[TAPE_N_GROUPS]);
void rec_meta_sysctls(struct rec_meta *m);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tracepoints of the trace file system, which those of system calls are: BTF does not know them.
 * That file system need not be mounted anywhere; nothing is mounted for it.
 */
#ifndef REC_TRACEPOINT_H
#define REC_TRACEPOINT_H

/* A perf event for "syscalls/sys_exit_connect", to attach a program to; -errno. */
int rec_tracepoint_open(const char *name);

#endif

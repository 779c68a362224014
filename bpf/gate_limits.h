/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sizes that the gate (bpf/gate.h) and the recorder agree on. */
#ifndef TAPE_GATE_LIMITS_H
#define TAPE_GATE_LIMITS_H

#define TAPE_FILTER_INSNS 2048 /* room for -f, in BPF instructions */
#define TAPE_FILTER_PORTS 16   /* local ports to try where it is not known yet */
#define TAPE_CLOSED_MAX 16384  /* sockets that were wanted and are about to end */

/* Of a selection by owner (bpf/select.h). */
#define TAPE_CHOSEN_SOCKS (1 << 17) /* at a time; 208 bytes each, with its ends */
#define TAPE_ENDED_FLOWS 16384	    /* connections whose last packets are still under way */
#define TAPE_CHOSEN_PIDS 16384	    /* at a time */
#define TAPE_CHOSEN_NAMES 8	    /* --comm; --cgroup */
#define TAPE_COMM_LEN 16

#endif

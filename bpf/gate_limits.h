/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Sizes that the gate (bpf/gate.h) and the recorder agree on. */
#ifndef TAPE_GATE_LIMITS_H
#define TAPE_GATE_LIMITS_H

#define TAPE_FILTER_INSNS 2048 /* room for -f, in BPF instructions */
#define TAPE_FILTER_PORTS 16   /* local ports to try where it is not known yet */
#define TAPE_CLOSED_MAX 16384  /* sockets that were wanted and are about to end */

#endif

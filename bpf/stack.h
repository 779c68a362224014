/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Call stacks of events, recorded with --stacks. In the ring, a record whose event has a field
 * `stack` is then followed by room for TAPE_STACK_DEPTH return addresses, and the field says how
 * many there are; record/stacks.c makes a number of them, so that no address reaches a file. Shared
 * by the probes and the recorder.
 */
#ifndef TAPE_STACK_H
#define TAPE_STACK_H

#define TAPE_STACK_DEPTH 64 /* a SYN to a closed port on loopback: about 35 */
#define TAPE_STACK_BYTES (TAPE_STACK_DEPTH * 8)

#endif

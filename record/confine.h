/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system calls that a recording still makes when it is attached, as a seccomp filter. One
 * table, in confine.c: who adds a call to the recorder's loop adds a row. Any other call fails with
 * EPERM and, where the kernel has an audit log, is logged: a C library that one day makes another
 * harmless call then costs a line in the log, and not a recording.
 */
#ifndef REC_CONFINE_H
#define REC_CONFINE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fail.h"

#define REC_CONFINE_ROOM 1024 /* instructions, at most */

/*
 * The filter for a recording that does all of `purposes` (enum rec_purpose), into buf. How many
 * instructions; 0: not for this architecture.
 */
size_t rec_confine_build(uint32_t purposes, struct sock_filter buf[REC_CONFINE_ROOM]);

/* Put it on, for good; no_new_privs must be set. A kernel without seccomp (CONFIG_SECCOMP_FILTER)
 * is no error: *ret_on says it. */
int rec_confine(uint32_t purposes, bool *ret_on, struct rec_error *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that only the running kernel knows: numbers of drop reasons and the like change from one
 * kernel to the next, so their names come from its BTF and travel in the file's schema.
 */
#ifndef REC_NAMES_H
#define REC_NAMES_H

#include "kernel.h"

/*
 * Lines "name\tUNIT\tVALUE\tTEXT\n" for tape_writer_opts.names; the caller frees them. NULL if the
 * kernel has none, or there is no memory: the numbers stand in the file all the same.
 */
char *rec_names_of(const struct rec_kernel *k);

#endif

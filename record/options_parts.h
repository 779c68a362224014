/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options of recordings that are always on (options_always.c), for the table in options.c.
 */
#ifndef REC_OPTIONS_PARTS_H
#define REC_OPTIONS_PARTS_H

#include "options.h"

#define HINT " (see tcptape-record --help)"

int rec_option_rotate(struct rec_options *o, const char *value, struct rec_error *err);
int rec_option_ring(struct rec_options *o, const char *value, struct rec_error *err);
int rec_option_ring_file(struct rec_options *o, const char *value, struct rec_error *err);
int rec_option_trigger(struct rec_options *o, const char *value, struct rec_error *err);
int rec_option_after(struct rec_options *o, const char *value, struct rec_error *err);
int rec_option_keep(struct rec_options *o, const char *value, struct rec_error *err);

/* What one option says of another. */
int rec_options_check(const struct rec_options *o, struct rec_error *err);

#endif

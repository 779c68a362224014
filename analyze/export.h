/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tcptape export is made of: files that are filled with the events of a trace as flat tables,
 * one file for all of them or one for each in a directory.
 */
#ifndef ANA_EXPORT_H
#define ANA_EXPORT_H

#include "cmd.h"
#include "flat_run.h"
#include "outfile.h"

struct export_file {
	struct outfile file;
	struct text text; /* not written yet */
	bool is_open;
	uint64_t n_rows;
};

struct export
{
	struct cmd_run *run;
	struct flat_run flat;
	const char *output, *events;
	double seconds;	     /* of metrics: between samples */
	bool received, sent; /* of packets: which are wanted */
	bool force;
	struct export_file *files; /* one for each table */
	struct export_file one;	   /* for all */

	/* of export_native.c, for the column in hand */
	struct text memo;
	uint32_t *memo_at, *cells;
	uint32_t *at, room; /* flat_places */
};

/* 0, or -1 and run->fail. name NULL: the output itself, else NAME.suffix in it. */
int export_open(struct export *x, struct export_file *f, const char *name, const char *suffix);
/* The file of a table, opened when its first rows come (*ret_new); NULL: run->fail. */
struct export_file *export_table(struct export *x, const struct flat_table *table,
				 const char *suffix, bool *ret_new);
/* Write what is there, if it is worth it, or force. */
int export_flush(struct export *x, struct export_file *f, bool force);
int export_close(struct export *x, struct export_file *f, bool keep);

/* The formats: each writes all of x->run->in. 0, or -1 and run->fail. */
int export_csv(struct export *x);
int export_jsonl(struct export *x);
int export_clickhouse(struct export *x);
int export_pcapng(struct export *x);
int export_openmetrics(struct export *x);
int export_sqlite(struct export *x);

#endif

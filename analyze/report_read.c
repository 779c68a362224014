// SPDX-License-Identifier: GPL-2.0-or-later
/* What is read event by event: how long the trace is, explain with the layers, round trips. */
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "report.h"
#include "weights.h"

int report_lacks(struct report *r, const char *what)
{
	struct report_missing *m = &r->missing[r->n_missing];
	struct fail *fail = r->run->fail;
	size_t path = strlen(r->run->path);
	const char *why = fail->text;

	if ((fail->status != STATUS_LACKS && fail->status != STATUS_FOUND) ||
	    r->n_missing == sizeof(r->missing) / sizeof(r->missing[0]))
		return -1;
	strncpy(m->what, what, sizeof(m->what) - 1);
	if (!strncmp(why, r->run->path, path) && !strncmp(why + path, ": ", 2))
		why += path + 2; /* the page is about this file */
	memcpy(m->why, why, strlen(why) + 1);
	r->n_missing++;
	*fail = (struct fail){0};
	return 0;
}

static int series_new(struct report *r, unsigned id, const char *name, const char *title,
		      const char *command, unsigned per_us)
{
	if (!r->series[id])
		r->series[id] = report_series_new(name, title, command, per_us);
	return r->series[id] ? 0 : fail_nomem(r->run->fail);
}

/* ---- headers ---- */

static void count_chunk(struct report *r, struct tape_chunk *chunk)
{
	const struct tape_schema *s = input_schema(r->run->in);

	for (size_t k = 0; k < s->n_records; k++)
		r->n_of_record[k] += tape_chunk_rows(chunk, s->records[k].id);
	if (!tape_chunk_is_snapshot(chunk))
		r->n_events += tape_chunk_head(chunk)->n_events;
}

static int read_headers(struct report *r)
{
	struct input *in = r->run->in;
	struct tape_reader *reader = input_reader(in);
	uint64_t last = 0;
	struct tape_chunk *chunk;
	struct tape_error err;
	int rc;

	r->n_of_record = calloc(input_schema(in)->n_records + 1, sizeof(*r->n_of_record));
	if (!r->n_of_record)
		return fail_nomem(r->run->fail);
	while ((rc = tape_reader_next_header(reader, &chunk, &err)) == 1) {
		count_chunk(r, chunk);
		if (!tape_chunk_is_snapshot(chunk) && tape_chunk_head(chunk)->ts_max > last)
			last = tape_chunk_head(chunk)->ts_max;
	}
	if (rc)
		return fail_tape(r->run->fail, r->run->path, &err);
	if (input_to(in) < last || !last)
		last = input_to(in);
	report_axis_set(&r->axis, input_start(in), input_from(in), last);
	return input_rewind(in, r->run->fail);
}

/* ---- explain, and the layers ---- */

static void add_layers(struct report_layers *l, const struct report_axis *a,
		       const struct segment *s, uint64_t weight)
{
	unsigned bin;
	bool is_on = report_axis_bin(a, s->end_ns, &bin);

	for (const struct delay_layer *d = delay_layers(s->dir); d->title; d++) {
		if (!delay_is_clean(s, l->recorded, d->layer))
			continue;
		hist_add_n(&l->all[d->layer], s->spent_ns[d->layer], weight);
		if (is_on)
			l->sum_ns[bin][d->layer] += (double)s->spent_ns[d->layer] * (double)weight;
	}
}

static void on_segment(void *ctx, const struct segment *s, uint32_t recorded)
{
	struct report *r = ctx;
	struct report_layers *l = &r->layers[s->dir];
	uint64_t weight = weight_at(l->weights, s->start_ns);

	if (s->marks & SEG_PASSED || !l->total)
		return;
	l->has = true;
	l->recorded = recorded;
	report_series_add(l->total, &r->axis, s->end_ns, s->end_ns - s->start_ns, weight);
	add_layers(l, &r->axis, s, weight);
}

static int layers_begin(struct report *r)
{
	static const char *const groups[SEG_DIRS] = {[SEG_IN] = "rx", [SEG_OUT] = "tx"};
	static const struct {
		const char *name, *title, *command;
	} texts[SEG_DIRS] = {
		[SEG_IN] = {"in", "Segments received: from the driver to the application",
			    "tcptape delay --in --percentiles"},
		[SEG_OUT] = {"out", "Segments sent: from the application to the device",
			     "tcptape delay --out --percentiles"},
	};

	for (unsigned d = 0; d < SEG_DIRS; d++) {
		unsigned id = d == SEG_IN ? SERIES_IN : SERIES_OUT;

		if (input_needs(r->run->in, groups[d], groups[d], r->run->fail)) {
			if (report_lacks(r, texts[d].command))
				return -1;
			continue;
		}
		if (series_new(r, id, texts[d].name, texts[d].title, texts[d].command, 1000))
			return -1;
		r->layers[d].total = r->series[id];
		r->layers[d].weights = input_weights(r->run->in, groups[d]);
		for (unsigned k = 0; k < SEG_LAYERS; k++)
			hist_init(&r->layers[d].all[k], 1, true);
	}
	return 0;
}

static int read_explain(struct report *r)
{
	struct evidence_tap tap = {.segment = on_segment, .ctx = r};

	if (layers_begin(r) || evidence_read_with(&r->evidence, r->run, &tap))
		return -1;
	explain_run(&r->explain, &r->evidence);
	return r->explain.failed ? fail_nomem(r->run->fail) : 0;
}

/* ---- round trips ---- */

enum { R_SOCK, R_SRTT, R_N };
static const struct bind_field rtt_fields[R_N] = {
	[R_SOCK] = {"sock", BIND_SOCK},
	[R_SRTT] = {"srtt_us", BIND_INT},
};

static int on_rtt(void *ctx, const struct bind_row *row)
{
	struct report *r = ctx;
	uint64_t srtt = bind_get(row, R_SRTT, 0);

	if (srtt) /* else there is no sample yet */
		report_series_add(r->series[SERIES_RTT], &r->axis, row->ts_ns, srtt,
				  weight_at(input_weights(r->run->in, "rtt"), row->ts_ns));
	return 0;
}

static int read_rtt(struct report *r)
{
	struct bind binds[] = {
		{.record = "rtt", .fields = rtt_fields, .n_fields = R_N, .on = on_rtt}};
	struct input_job job = {.binds = binds, .n_binds = 1, .ctx = r};

	if (input_needs(r->run->in, "rtt", "rtt", r->run->fail))
		return report_lacks(r, "tcptape rtt");
	if (series_new(r, SERIES_RTT, "rtt", "Round-trip time, smoothed (srtt)",
		       "tcptape rtt --percentiles", 1) ||
	    input_rewind(r->run->in, r->run->fail))
		return -1;
	return input_run(r->run->in, &job, r->run->fail);
}

int report_read(struct report *r)
{
	return read_headers(r) || read_explain(r) || read_rtt(r) ? -1 : 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "dump.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void put_hex(FILE *f, const void *bytes, size_t len)
{
	fputc('"', f);
	for (size_t i = 0; i < len; i++)
		fprintf(f, "%02x", ((const uint8_t *)bytes)[i]);
	fputc('"', f);
}

struct dump {
	FILE *f;
	struct tape_chunk *c;
	const struct tape_schema *schema;
	int rc; /* the first error of a column that is not "unknown" or "absent" */
};

static void put_row(struct dump *d, const struct tape_record *rec, uint32_t row, bool swapped);

static void put_ref(struct dump *d, const struct tape_field *f, uint64_t ref)
{
	const struct tape_record *to = tape_schema_record(d->schema, f->table);
	bool directed = f->type == TAPE_DREF;

	if (!ref) {
		fputs("null", d->f);
		return;
	}
	ref--;
	fputc('{', d->f);
	put_row(d, to, (uint32_t)(directed ? ref >> 1 : ref), directed && ref & 1);
	fputc('}', d->f);
}

static void put_value(struct dump *d, const struct tape_field *f, const struct tape_column *col,
		      uint32_t row)
{
	switch (f->type) {
	case TAPE_ADDR:
	case TAPE_COMM: put_hex(d->f, (const uint8_t *)col->values + 16 * (size_t)row, 16); break;
	case TAPE_STR:
		put_hex(d->f, (const char *)col->values + col->str_start[row],
			col->str_start[row + 1] - col->str_start[row]);
		break;
	case TAPE_REF:
	case TAPE_DREF: put_ref(d, f, tape_column_get(col, row)); break;
	case TAPE_I32:
	case TAPE_I64: fprintf(d->f, "%" PRId64, (int64_t)tape_column_get(col, row)); break;
	default: fprintf(d->f, "%" PRIu64, tape_column_get(col, row)); break;
	}
}

/* lport <-> rport: in a flow whose ends are swapped, l stands for r. */
static unsigned other_end(const struct tape_record *rec, unsigned field)
{
	char name[32];
	int other;

	snprintf(name, sizeof(name), "%s", rec->fields[field].name);
	if (name[0] == 'l' || name[0] == 'r')
		name[0] = name[0] == 'l' ? 'r' : 'l';
	other = tape_record_field(rec, name);
	return other < 0 ? field : (unsigned)other;
}

static void put_row(struct dump *d, const struct tape_record *rec, uint32_t row, bool swapped)
{
	struct tape_column col;

	for (unsigned i = 0; i < rec->n_fields; i++) {
		unsigned field = swapped ? other_end(rec, i) : i;
		int rc = tape_chunk_column(d->c, rec->id, field, &col, NULL);

		fprintf(d->f, "%s\"%s\":", i ? "," : "", rec->fields[i].name);
		if (rc)
			fputs("\"?\"", d->f);
		else
			put_value(d, &rec->fields[field], &col, row);
		if (rc && rc != TAPE_E_ABSENT && rc != TAPE_E_UNKNOWN && !d->rc)
			d->rc = rc;
	}
}

static void put_event(struct dump *d, uint32_t event, uint32_t *seen)
{
	const struct tape_record *rec;
	struct tape_column type;

	fputc('{', d->f);
	put_row(d, &d->schema->records[TAPE_COMMON], event, false);
	if (!tape_chunk_column(d->c, TAPE_COMMON, TAPE_COMMON_TYPE, &type, NULL)) {
		unsigned id = (unsigned)tape_column_get(&type, event);

		rec = tape_schema_record(d->schema, id);
		if (rec) {
			fprintf(d->f, ",\"%s\":{", rec->name);
			put_row(d, rec, seen[id]++, false);
			fputc('}', d->f);
		}
	}
	fputs("}\n", d->f);
}

int dump_chunk(FILE *f, struct tape_chunk *c, const struct tape_schema *schema)
{
	const struct tape_chunk_head *h = tape_chunk_head(c);
	struct dump d = {f, c, schema, 0};
	uint32_t *seen = calloc(UINT16_MAX + 1, sizeof(*seen)); /* events of each type so far */

	if (!seen)
		abort();
	fprintf(f,
		"{\"chunk\":\"%s\",\"offset\":%" PRIu64 ",\"n_events\":%u,\"ts_min\":%" PRIu64
		",\"ts_max\":%" PRIu64 ",\"ts_floor\":%" PRIu64 ",\"first_event\":%" PRIu64
		",\"lost\":%" PRIu64 ",\"n_stragglers\":%u}\n",
		tape_chunk_is_snapshot(c) ? "SNAPSHOT" : "CHUNK", tape_chunk_offset(c), h->n_events,
		h->ts_min, h->ts_max, h->ts_floor, h->first_event, h->lost, h->n_stragglers);
	for (uint32_t i = 0; i < h->n_events; i++)
		put_event(&d, i, seen);
	free(seen);
	return d.rc;
}

void dump_rest(FILE *f, const struct tape_reader *r)
{
	size_t n;
	const struct tape_meta *meta = tape_reader_meta(r, &n);
	const struct tape_clock *clock;
	const struct tape_loss *loss;
	struct tape_end end;

	for (size_t i = 0; i < n; i++) {
		fputs("{\"meta\":", f);
		put_hex(f, meta[i].key, strlen(meta[i].key));
		fputs(",\"value\":", f);
		put_hex(f, meta[i].value, strlen(meta[i].value));
		fputs("}\n", f);
	}
	clock = tape_reader_clocks(r, &n);
	for (size_t i = 0; i < n; i++)
		fprintf(f,
			"{\"mono_ns\":%" PRIu64 ",\"real_ns\":%" PRIu64 ",\"boot_ns\":%" PRIu64
			",\"uncertainty_ns\":%" PRIu64 "}\n",
			clock[i].mono_ns, clock[i].real_ns, clock[i].boot_ns,
			clock[i].uncertainty_ns);
	loss = tape_reader_losses(r, &n);
	for (size_t i = 0; i < n; i++) {
		fprintf(f,
			"{\"from_ns\":%" PRIu64 ",\"to_ns\":%" PRIu64 ",\"count\":%" PRIu64
			",\"cpu\":%u,\"reason\":%u,\"group\":",
			loss[i].from_ns, loss[i].to_ns, loss[i].count, loss[i].cpu, loss[i].reason);
		put_hex(f, loss[i].group, strlen(loss[i].group));
		fputs("}\n", f);
	}
	tape_reader_end(r, &end);
	fprintf(f, "{\"closed\":%s,\"truncated\":%s,\"lost\":%" PRIu64 "}\n",
		end.closed ? "true" : "false", end.truncated ? "true" : "false", end.lost);
}

char *dump_reader(struct tape_reader *r, int *rc)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct tape_chunk *c;
	int bad = 0;

	if (!f)
		abort();
	while ((*rc = tape_reader_next(r, &c, NULL)) == 1) {
		int column_rc = dump_chunk(f, c, tape_reader_schema(r));

		bad = bad ? bad : column_rc;
	}
	*rc = *rc ? *rc : bad;
	dump_rest(f, r);
	if (fclose(f))
		abort();
	return text;
}

char *dump_path(const char *path, int *rc, struct tape_error *err)
{
	struct tape_reader *r;
	char *text;

	*rc = tape_reader_open(&r, path, err);
	if (*rc)
		return NULL;
	text = dump_reader(r, rc);
	tape_reader_close(r);
	return text;
}

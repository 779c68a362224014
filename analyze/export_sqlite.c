// SPDX-License-Identifier: GPL-2.0-or-later
/* A trace as a database of SQLite: the tables of tcptape sql, and what the trace says of itself. */
#include <string.h>

#include "export.h"
#include "sqltab.h"

static int copy_table(struct export *x, struct sqltab *t, const char *name)
{
	if (sqltab_own(t, "CREATE TABLE out.\"%w\" AS SELECT * FROM \"%w\"", name, name))
		return -1;
	if (!sqltab_has(t, name, NULL))
		return sqltab_own(t, "DROP TABLE out.\"%w\"", name);
	return sqltab_has(t, name, "conn")
		       ? sqltab_own(t, "CREATE INDEX out.\"%w_conn\" ON \"%w\"(conn)", name, name)
		       : 0;
}

static int copy_events(struct export *x, struct sqltab *t)
{
	for (size_t i = 0; i < x->flat.n_tables; i++)
		if (x->flat.tables[i].on && copy_table(x, t, x->flat.tables[i].flat.rec->name))
			return -1;
	return 0;
}

/* Where the trace has what they are made of. */
static int copy_made(struct export *x, struct sqltab *t)
{
	const char *name;

	for (unsigned i = 0; !x->events && (name = sqlmade_name(i)) != NULL; i++) {
		int rc = sqltab_make(t, name);

		if (rc > 0)
			rc = copy_table(x, t, name);
		else if (x->run->fail->status == STATUS_LACKS)
			rc = 0;
		if (rc < 0)
			return -1;
	}
	*x->run->fail = (struct fail){0};
	return 0;
}

static int copy_meta(struct export *x, struct sqltab *t)
{
	size_t n;
	const struct tape_meta *meta = tape_reader_meta(input_reader(x->run->in), &n);
	int rc = sqltab_own(t, "CREATE TABLE out.meta(key TEXT, value TEXT)");

	for (size_t i = 0; !rc && i < n; i++)
		rc = sqltab_own(t, "INSERT INTO out.meta VALUES(%Q, %Q)", meta[i].key,
				meta[i].value);
	return rc;
}

int export_sqlite(struct export *x)
{
	struct input_job nothing = {0}; /* but what the trace says of its end and loss */
	struct sqltab *t = NULL;
	int rc = export_open(x, &x->one, NULL, NULL); /* a file of ours, which SQLite then fills */

	if (!rc)
		rc = sqltab_open(&t, x->run);
	if (!rc) /* no name that SQLite takes for something else (file:NAME, :memory:) */
		rc = sqltab_own(t, "ATTACH '%q%q' AS out", *x->output == '/' ? "" : "./",
				x->output);
	if (!rc)
		rc = sqltab_own(t, "PRAGMA out.journal_mode = OFF; BEGIN");
	if (!rc)
		rc = copy_meta(x, t);
	if (!rc)
		rc = copy_events(x, t);
	if (!rc)
		rc = sqltab_own(t, "COMMIT");
	if (!rc)
		rc = copy_made(x, t);
	if (!rc && sqltab_failed(t))
		rc = -1;
	sqltab_close(t);
	return rc ? rc : input_run(x->run->in, &nothing, x->run->fail);
}

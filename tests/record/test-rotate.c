// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rotate.h"
#include "suite.h"

static struct rec_parts p;
static struct rec_output out;
static struct rec_error err;
static char dir[64], path[128];

static void begin(const char *name, unsigned keep)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_msg(!rec_parts_init(&p, path, keep, &err), "%s", err.text);
}

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/tcptape-rotate.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

/* Remove the folder; the names of `wanted` must be all that is in it. */
static void remove_dir(const char *const wanted[])
{
	for (size_t i = 0; wanted[i]; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, wanted[i]);
		ck_assert_msg(!unlink(path), "%s is missing", wanted[i]);
	}
	ck_assert_msg(!rmdir(dir), "something else is left in %s", dir);
}

static void next(void)
{
	int e;

	ck_assert_msg(!rec_parts_open(&p, &out, &e, &err), "%s", err.text);
	ck_assert(!rec_output_close(&out, false, &err));
}

START_TEST(test_rotate__names)
{
	static const struct {
		const char *name;
		unsigned long number;
	} rows[] = {
		{"web-000001.tcptape", 1},	  {"web-123456.tcptape", 123456},
		{"web-1234567.tcptape", 1234567}, {"web-0123456.tcptape", 0},
		{"web-00001.tcptape", 0},	  {"web-000001", 0},
		{"web-000001.tcptape.gz", 0},	  {"web-x00001.tcptape", 0},
		{"web000001.tcptape", 0},	  {"webb-000001.tcptape", 0},
		{"web-000000.tcptape", 0},	  {"web-1234567890123.tcptape", 0},
	};

	make_dir();
	begin("web.tcptape", 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(rec_parts_number(&p, rows[i].name) == rows[i].number, "%s",
			      rows[i].name);
	next();
	ck_assert_str_eq(out.path + strlen(dir), "/web-000001.tcptape");
	rec_parts_fini(&p);
	begin("raw", 0); /* an ending is kept as it is */
	next();
	rec_parts_fini(&p);
	remove_dir((const char *const[]){"web-000001.tcptape", "raw-000001", NULL});
}
END_TEST

START_TEST(test_rotate__keeps_the_newest)
{
	make_dir();
	begin("a.tcptape", 0);
	for (int i = 0; i < 4; i++)
		next();
	rec_parts_fini(&p);
	begin("other.tcptape", 0);
	next();
	rec_parts_fini(&p);
	begin("a.tcptape", 2); /* goes on behind those of before, and removes them */
	next();
	ck_assert_uint_eq(p.number, 5);
	next();
	next();
	rec_parts_fini(&p);
	remove_dir((const char *const[]){"a-000006.tcptape", "a-000007.tcptape",
					 "other-000001.tcptape", NULL});
}
END_TEST

START_TEST(test_rotate__the_folder_is_found_again)
{
	char moved[80];
	struct stat st;

	make_dir();
	begin("a.tcptape", 0);
	snprintf(moved, sizeof(moved), "%s.moved", dir);
	ck_assert(!rename(dir, moved));
	next();
	rec_parts_fini(&p);
	snprintf(path, sizeof(path), "%s/a-000001.tcptape", moved);
	ck_assert(!stat(path, &st));
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	unlink(path);
	rmdir(moved);
}
END_TEST

START_TEST(test_rotate__what_is_refused)
{
	int e;

	ck_assert_int_lt(rec_parts_init(&p, "/nonexistent/a.tcptape", 0, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
	ck_assert_int_lt(rec_parts_init(&p, "/tmp/", 0, &err), 0);
	make_dir();
	begin("a.tcptape", 0);
	snprintf(path, sizeof(path), "%s/a-000001.tcptape", dir);
	ck_assert(!symlink("/tmp/nothing", path)); /* made since the folder was looked at */
	ck_assert_int_lt(rec_parts_open(&p, &out, &e, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "exists"));
	ck_assert_uint_eq(p.number, 0);
	rec_parts_fini(&p);
	remove_dir((const char *const[]){"a-000001.tcptape", NULL});
}
END_TEST

SUITE("rotate", test_rotate__names, test_rotate__keeps_the_newest,
      test_rotate__the_folder_is_found_again, test_rotate__what_is_refused)

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Check's boilerplate for one file of tests. SUITE goes last: it defines main(). */
#ifndef SUITE_H
#define SUITE_H

#include <check.h>
#include <stdlib.h>

#define SUITE_TIMEOUT 120 /* seconds a test; they take milliseconds, but CI machines are shared */

static inline int suite_run(const char *name, const TTest **tests, size_t n)
{
	Suite *suite = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *runner;
	int n_failed;

	tcase_set_timeout(tc, SUITE_TIMEOUT);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define SUITE(name, ...)                                                                           \
	int main(void)                                                                             \
	{                                                                                          \
		const TTest *tests[] = {__VA_ARGS__};                                              \
		return suite_run(name, tests, sizeof(tests) / sizeof(tests[0]));                   \
	}

#endif

/* Options by table. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/opt.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"

static const struct opt globals[] = {
	{"output", 'o', "FMT", "", 0, NULL},
	{"quiet", 'q', NULL, "", 0, NULL},
	{"verbose", 'v', NULL, "", 0, NULL},
	{"columns", 0, "A,B", "", OPT_LIST, NULL},
	{0},
};

static const struct opt own[] = {
	{"ceph", 0, "POOL/IMAGE", "", 0, NULL},
	{0},
};

static const struct opt *const tables[] = {globals, own, NULL};

struct parsed {
	struct opt_values values;
	const char *const *rest;
	struct err err;
};

static int parse(struct parsed *p, bool leading, const char *const *words)
{
	*p = (struct parsed){.values.arena = arena_new()};
	return opt_parse(tables, leading, words, &p->values, &p->rest, &p->err);
}

static void clear(struct parsed *p)
{
	err_clear(&p->err);
	arena_free(p->values.arena);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_options_come_in_all_usual_forms(void **state)
{
	static const char *const forms[][3] = {
		{"--output", "json"},
		{"--output=json"},
		{"-o", "json"},
		{"-ojson"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		CLEANUP(clear) struct parsed p;

		assert_int_equal(parse(&p, false, forms[i]), 0);
		assert_string_equal(opt_get(&p.values, "output"), "json");
		assert_null(p.rest[0]);
	}
}

static void test_switches_can_stand_together(void **state)
{
	CLEANUP(clear) struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, false, WORDS("-qv")), 0);
	assert_string_equal(opt_get(&p.values, "quiet"), "yes");
	assert_string_equal(opt_get(&p.values, "verbose"), "yes");
	assert_null(opt_get(&p.values, "output"));
}

static void test_the_last_value_counts(void **state)
{
	CLEANUP(clear) struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, false, WORDS("-o", "json", "-o", "yaml")),
			 0);
	assert_string_equal(opt_get(&p.values, "output"), "yaml");
}

static void test_lists_add_up(void **state)
{
	CLEANUP(clear) struct parsed p;

	(void)state;
	assert_int_equal(
		parse(&p, false, WORDS("--columns", "a", "--columns=b,c")), 0);
	assert_string_equal(opt_get(&p.values, "columns"), "a,b,c");
}

static void test_leading_options_end_at_the_first_word(void **state)
{
	CLEANUP(clear) struct parsed p;

	(void)state;
	assert_int_equal(
		parse(&p, true, WORDS("-q", "map", "--ceph", "--", "-x")), 0);
	assert_string_equal(p.rest[0], "map");
	assert_string_equal(p.rest[1], "--ceph");
	assert_string_equal(p.rest[2], "--");
	assert_string_equal(p.rest[3], "-x");
	assert_null(p.rest[4]);
}

static void test_two_dashes_end_the_options(void **state)
{
	CLEANUP(clear) struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, false, WORDS("a", "--", "-q", "-")), 0);
	assert_null(opt_get(&p.values, "quiet"));
	assert_string_equal(p.rest[0], "a");
	assert_string_equal(p.rest[1], "-q");
	assert_string_equal(p.rest[2], "-");
}

static void test_one_dash_is_an_argument(void **state)
{
	CLEANUP(clear) struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, false, WORDS("-", "-q")), 0);
	assert_string_equal(p.rest[0], "-");
	assert_string_equal(opt_get(&p.values, "quiet"), "yes");
}

static void assert_refused(const char *const *words, const char *message,
			   const char *hint)
{
	CLEANUP(clear) struct parsed p;

	assert_int_equal(parse(&p, false, words), -1);
	assert_int_equal(p.err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(p.err.msg, message);
	if (hint)
		assert_string_equal(p.err.hint, hint);
	else
		assert_null(p.err.hint);
}

static void test_a_misspelt_option_gets_the_nearest(void **state)
{
	(void)state;
	assert_refused(WORDS("--ouptut", "json"), "unknown option \"--ouptut\"",
		       "did you mean --output?");
	assert_refused(WORDS("--nothing-like-it"),
		       "unknown option \"--nothing-like-it\"", NULL);
}

static void test_options_are_not_abbreviated(void **state)
{
	(void)state;
	assert_refused(WORDS("--out", "json"), "unknown option \"--out\"",
		       NULL);
	assert_refused(WORDS("--quie"), "unknown option \"--quie\"",
		       "did you mean --quiet?");
}

static void test_a_missing_value_is_named(void **state)
{
	(void)state;
	assert_refused(WORDS("--ceph"),
		       "option --ceph needs a value: POOL/IMAGE", NULL);
	assert_refused(WORDS("-o"), "option -o needs a value: FMT", NULL);
}

static void test_a_switch_takes_no_value(void **state)
{
	(void)state;
	assert_refused(WORDS("--quiet=no"),
		       "option \"--quiet=no\" takes no value", NULL);
}

static void test_a_value_can_be_set_and_taken_back(void **state)
{
	CLEANUP(clear) struct parsed p;

	(void)state;
	assert_int_equal(parse(&p, false, WORDS("-o", "json")), 0);
	opt_set(&p.values, opt_find(tables, "output"), "yaml");
	assert_string_equal(opt_get(&p.values, "output"), "yaml");
	opt_set(&p.values, opt_find(tables, "output"), NULL);
	assert_null(opt_get(&p.values, "output"));
	opt_set(&p.values, opt_find(tables, "ceph"), "p/i");
	assert_string_equal(opt_get(&p.values, "ceph"), "p/i");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_come_in_all_usual_forms),
		cmocka_unit_test(test_switches_can_stand_together),
		cmocka_unit_test(test_the_last_value_counts),
		cmocka_unit_test(test_lists_add_up),
		cmocka_unit_test(test_leading_options_end_at_the_first_word),
		cmocka_unit_test(test_two_dashes_end_the_options),
		cmocka_unit_test(test_one_dash_is_an_argument),
		cmocka_unit_test(test_a_misspelt_option_gets_the_nearest),
		cmocka_unit_test(test_options_are_not_abbreviated),
		cmocka_unit_test(test_a_missing_value_is_named),
		cmocka_unit_test(test_a_switch_takes_no_value),
		cmocka_unit_test(test_a_value_can_be_set_and_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

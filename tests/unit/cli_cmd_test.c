/* The table of commands, and the help that is made of it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/cmd.h"
#include "cli/help.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"

#define LINES   24
#define COLUMNS 80

static void assert_found(const char *first, const char *second,
			 const char *name)
{
	const struct cmd *c = cmd_find(first, second);

	assert_non_null(c);
	assert_string_equal(c->name, name);
}

static void test_singular_and_plural_are_one(void **state)
{
	(void)state;
	assert_found("list", "bdevs", "list bdevs");
	assert_found("list", "bdev", "list bdevs");
	assert_found("show", "mappings", "show mapping");
	assert_found("show", "mapping", "show mapping");
}

static void test_aliases_are_known(void **state)
{
	(void)state;
	assert_found("ls", "controllers", "list controllers");
	assert_found("exit", NULL, "quit");
	assert_true(cmd_is_verb("ls"));
}

static void test_nothing_is_abbreviated(void **state)
{
	(void)state;
	assert_null(cmd_find("li", "bdevs"));
	assert_null(cmd_find("list", "bd"));
	assert_null(cmd_find("list", NULL));
	assert_null(cmd_find("map", "x"));
	assert_null(cmd_find("", NULL));
	assert_null(cmd_find("list", "s"));
}

static void assert_refused(const char *first, const char *second,
			   const char *message, const char *hint)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_int_equal(cmd_refuse(first, second, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(err.msg, message);
	if (hint)
		assert_string_equal(err.hint, hint);
}

static void test_a_misspelt_command_gets_the_nearest(void **state)
{
	(void)state;
	assert_refused("lisst", NULL, "unknown command \"lisst\"",
		       "did you mean \"list\"?");
	assert_refused("list", "bdefs", "unknown noun \"bdefs\"",
		       "did you mean \"list bdevs\"?");
	assert_refused("frobnicate", NULL, "unknown command \"frobnicate\"",
		       "\"oimctl help\" lists the commands");
	assert_refused("list", "unicorns", "cannot list \"unicorns\"",
		       "\"list\" knows bdevs, mappings or controllers");
}

static void test_a_verb_alone_is_not_enough(void **state)
{
	(void)state;
	assert_refused(
		"show", NULL,
		"\"show\" needs to know what: bdev, mapping or controller",
		NULL);
}

static int check_count(const char *name, size_t n)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	return cmd_check_count(cmd_find(name, NULL), n, &err);
}

static void test_the_usage_says_how_many_arguments_there_may_be(void **state)
{
	(void)state;
	assert_int_equal(check_count("register", 1), -1);
	assert_int_equal(check_count("register", 2), 0);
	assert_int_equal(check_count("register", 3), -1);
	assert_int_equal(check_count("unmap", 0), -1);
	assert_int_equal(check_count("unmap", 9), 0);
	assert_int_equal(check_count("get", 0), 0);
	assert_int_equal(check_count("get", 1), 0);
	assert_int_equal(check_count("get", 2), -1);
	assert_int_equal(check_count("status", 1), -1);
}

/* Every command can be found by its own name, and no two have the same. */
static void test_every_command_is_found_by_its_name(void **state)
{
	(void)state;
	CMD_EACH(c)
	{
		char name[64];
		char *second;

		assert_true(strlen(c->name) < sizeof(name));
		memcpy(name, c->name, strlen(c->name) + 1);
		second = strchr(name, ' ');
		if (second)
			*second++ = '\0';
		assert_ptr_equal(cmd_find(name, second), c);
		assert_non_null(c->run);
		assert_non_null(c->help);
	}
}

static void test_no_option_of_a_command_hides_a_global_one(void **state)
{
	static const struct opt *const globals[] = {cmd_global_options, NULL};

	(void)state;
	CMD_EACH(c)
	{
		for (const struct opt *o = c->options; o && o->name; o++)
			assert_null(opt_find(globals, o->name));
	}
}

/* What ends in NULL fits the screen. */
static void assert_fits(const char *text)
{
	size_t lines = 0;

	while (*text) {
		size_t size = strcspn(text, "\n");

		assert_true(size < COLUMNS);
		assert_int_equal(text[size], '\n');
		text += size + 1;
		lines++;
	}
	assert_true(lines < LINES);
}

static void test_help_of_each_command_fits_one_screen(void **state)
{
	(void)state;
	CMD_EACH(c)
	{
		CLEANUP(cleanup_free) char *text = help_command(c);

		assert_fits(text);
	}
}

static void test_the_summary_fits_one_screen(void **state)
{
	CLEANUP(cleanup_free) char *text = help_summary();

	(void)state;
	assert_fits(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_singular_and_plural_are_one),
		cmocka_unit_test(test_aliases_are_known),
		cmocka_unit_test(test_nothing_is_abbreviated),
		cmocka_unit_test(test_a_misspelt_command_gets_the_nearest),
		cmocka_unit_test(test_a_verb_alone_is_not_enough),
		cmocka_unit_test(
			test_the_usage_says_how_many_arguments_there_may_be),
		cmocka_unit_test(test_every_command_is_found_by_its_name),
		cmocka_unit_test(
			test_no_option_of_a_command_hides_a_global_one),
		cmocka_unit_test(test_help_of_each_command_fits_one_screen),
		cmocka_unit_test(test_the_summary_fits_one_screen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

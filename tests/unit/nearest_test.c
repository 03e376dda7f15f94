/* What a mistyped word is taken for. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/lib/nearest.h"

static const char *const commands[] = {"list", "map",       "unmap",
				       "show", "provision", NULL};

static void test_one_letter_may_be_wrong(void **state)
{
	(void)state;
	assert_string_equal(nearest_find("lisst", commands), "list");
	assert_string_equal(nearest_find("lst", commands), "list");
	assert_string_equal(nearest_find("shaw", commands), "show");
	assert_string_equal(nearest_find("provison", commands), "provision");
}

static void test_swapped_neighbours_are_one_mistake(void **state)
{
	(void)state;
	assert_string_equal(nearest_find("mpa", commands), "map");
	assert_string_equal(nearest_find("unmpa", commands), "unmap");
}

static void test_the_nearest_of_several_is_found(void **state)
{
	(void)state;
	assert_string_equal(nearest_find("nmap", commands), "map");
	assert_string_equal(nearest_find("unmat", commands), "unmap");
}

static void test_what_is_too_different_is_like_nothing(void **state)
{
	static const char *const none[] = {NULL};

	(void)state;
	assert_null(nearest_find("frobnicate", commands));
	assert_null(nearest_find("", commands));
	assert_null(nearest_find("xx", commands));
	assert_null(nearest_find("list", none));
}

static void test_long_words_are_like_nothing(void **state)
{
	char word[70] = "";
	const char *const candidates[] = {word, NULL};

	(void)state;
	memset(word, 'x', 64);
	assert_null(nearest_find(word, candidates));
	assert_null(nearest_find(word + 1, candidates));
	word[63] = '\0';
	assert_string_equal(nearest_find(word, candidates), word);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_letter_may_be_wrong),
		cmocka_unit_test(test_swapped_neighbours_are_one_mistake),
		cmocka_unit_test(test_the_nearest_of_several_is_found),
		cmocka_unit_test(test_what_is_too_different_is_like_nothing),
		cmocka_unit_test(test_long_words_are_like_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What counts as text. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/utf8.h"

static void assert_valid(const char *s)
{
	assert_int_equal(utf8_valid_prefix(s, strlen(s)), strlen(s));
}

/* Valid are the first n bytes and no more, however it is aligned. */
static void assert_prefix(const char *s, size_t size, size_t n)
{
	char padded[64];

	assert_int_equal(utf8_valid_prefix(s, size), n);
	for (size_t pad = 1; pad < 17; pad++) {
		memset(padded, 'x', pad);
		memcpy(padded + pad, s, size);
		assert_int_equal(utf8_valid_prefix(padded, pad + size),
				 pad + n);
	}
}

static void test_the_ends_of_every_range_are_valid(void **state)
{
	(void)state;
	assert_valid("");
	assert_valid("plain text that is longer than a machine word");
	assert_valid("\x7f");
	assert_valid("\xc2\x80 \xdf\xbf");
	assert_valid("\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf");
	assert_valid("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf");
}

static void test_nul_is_valid(void **state)
{
	(void)state;
	assert_prefix("a\0b", 3, 3);
}

static void test_overlong_forms_are_not_valid(void **state)
{
	(void)state;
	assert_prefix("\xc0\x80", 2, 0);
	assert_prefix("a\xc1\xbf", 3, 1);
	assert_prefix("\xe0\x9f\xbf", 3, 0);
	assert_prefix("\xf0\x8f\xbf\xbf", 4, 0);
}

static void test_surrogates_are_not_valid(void **state)
{
	(void)state;
	assert_prefix("\xed\xa0\x80", 3, 0);
	assert_prefix("ab\xed\xbf\xbf", 5, 2);
}

static void test_what_lies_above_the_last_character_is_not_valid(void **state)
{
	(void)state;
	assert_prefix("\xf4\x90\x80\x80", 4, 0);
	assert_prefix("\xf5\x80\x80\x80", 4, 0);
	assert_prefix("\xff", 1, 0);
}

static void test_a_cut_character_is_not_valid(void **state)
{
	const char *four = "\xf0\x9f\x98\x80";

	(void)state;
	for (size_t size = 1; size < 4; size++)
		assert_prefix(four, size, 0);
	assert_prefix("\xe2\x82z", 3, 0);
	assert_prefix("\x80", 1, 0);
}

static void test_control_characters_are_found(void **state)
{
	static const char *const controls[] = {
		"a\nb",         "\t",           "\x1f",
		"\x7f",         "\xc2\x80",     "caf\xc3\xa9\xc2\x9f",
		"\xe2\x80\xa8", "\xe2\x80\xa9",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(controls) / sizeof(*controls); i++)
		assert_true(utf8_has_control(controls[i], strlen(controls[i])));
	assert_true(utf8_has_control("", 1));
}

static void test_other_text_has_no_control_character(void **state)
{
	const char *text = "a ~\xc2\xa0\xc3\xa9\xe2\x80\xa7\xe2\x80\xaa"
			   "\xe2\x82\xac\xf0\x9f\x98\x80";

	(void)state;
	assert_false(utf8_has_control(text, strlen(text)));
	assert_false(utf8_has_control("", 0));
}

static void test_printable_text_stays_as_it_is(void **state)
{
	const char *text = "C:\\dir \"caf\xc3\xa9\" \xf0\x9f\x98\x80";
	CLEANUP(cleanup_free)
	char *printable = utf8_printable(text, strlen(text));

	(void)state;
	assert_string_equal(printable, text);
}

static void test_what_cannot_be_printed_is_escaped(void **state)
{
	const char text[] = "a\nb\tc\0\x1b[0m\xc2\x85\xff\xe2\x82";
	CLEANUP(cleanup_free)
	char *printable = utf8_printable(text, sizeof(text) - 1);

	(void)state;
	assert_string_equal(printable, "a\\nb\\tc\\x00\\x1b[0m\\xc2\\x85"
				       "\\xff\\xe2\\x82");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_ends_of_every_range_are_valid),
		cmocka_unit_test(test_nul_is_valid),
		cmocka_unit_test(test_overlong_forms_are_not_valid),
		cmocka_unit_test(test_surrogates_are_not_valid),
		cmocka_unit_test(
			test_what_lies_above_the_last_character_is_not_valid),
		cmocka_unit_test(test_a_cut_character_is_not_valid),
		cmocka_unit_test(test_control_characters_are_found),
		cmocka_unit_test(test_other_text_has_no_control_character),
		cmocka_unit_test(test_printable_text_stays_as_it_is),
		cmocka_unit_test(test_what_cannot_be_printed_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

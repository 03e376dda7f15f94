/* Lines of the shell and of batch files. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/words.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"

/* The words, in angle brackets. */
static void assert_words(const char *line, const char *expected)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const char *const *words = words_split(line, a, &err);
	const char *all = "";

	assert_non_null(words);
	for (; *words; words++)
		all = arena_printf(a, "%s<%s>", all, *words);
	assert_string_equal(all, expected);
}

static void assert_refused(const char *line, const char *message)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_null(words_split(line, a, &err));
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(err.msg, message);
}

static void test_blanks_separate_words(void **state)
{
	(void)state;
	assert_words("list bdevs", "<list><bdevs>");
	assert_words("  list\t bdevs ", "<list><bdevs>");
	assert_words("", "");
	assert_words(" \t ", "");
}

static void test_quotes_keep_blanks(void **state)
{
	(void)state;
	assert_words("map 'a b' \"c  d\"", "<map><a b><c  d>");
	assert_words("a'b c'd", "<ab cd>");
	assert_words("''", "<>");
	assert_words("x \"\" y", "<x><><y>");
}

static void test_single_quotes_keep_everything(void **state)
{
	(void)state;
	assert_words("call M '{\"a\":\"\\n#\"}'",
		     "<call><M><{\"a\":\"\\n#\"}>");
}

static void test_double_quotes_know_two_escapes(void **state)
{
	(void)state;
	assert_words("\"a\\\"b\\\\c\\nd\"", "<a\"b\\c\\nd>");
}

static void test_a_backslash_keeps_the_next_character(void **state)
{
	(void)state;
	assert_words("a\\ b \\# \\'", "<a b><#><'>");
}

static void test_a_comment_begins_where_a_word_would(void **state)
{
	(void)state;
	assert_words("list bdevs # all of them", "<list><bdevs>");
	assert_words("# nothing", "");
	assert_words("a#b '# c'", "<a#b><# c>");
	assert_words("list # it's open", "<list>");
}

static void test_an_open_quote_is_refused(void **state)
{
	(void)state;
	assert_refused("map 'a b", "the quote ' is not closed");
	assert_refused("map \"a b'", "the quote \" is not closed");
	assert_refused("map \"a\\\"", "the quote \" is not closed");
}

static void test_a_last_backslash_is_refused_if_no_line_follows(void **state)
{
	(void)state;
	assert_refused("map a \\",
		       "there is nothing behind the last backslash");
}

static void test_a_line_goes_on_after_a_backslash_that_counts(void **state)
{
	(void)state;
	assert_true(words_continue("list \\"));
	assert_true(words_continue("map a\\"));
	assert_false(words_continue("map a\\\\"));
	assert_false(words_continue("list # comment \\"));
	assert_false(words_continue("map 'a\\"));
	assert_false(words_continue("list"));
}

static void assert_typed(const char *line, const char *last, size_t n)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	const char *const *words = words_typed(line, strlen(line), a);
	size_t count = 0;

	while (words[count])
		count++;
	assert_int_equal(count, n);
	assert_string_equal(words[n - 1], last);
}

static void test_the_word_being_typed_may_be_empty_or_open(void **state)
{
	(void)state;
	assert_typed("", "", 1);
	assert_typed("li", "li", 1);
	assert_typed("list ", "", 2);
	assert_typed("map 'a b", "a b", 2);
}

static void test_a_quoted_word_reads_back(void **state)
{
	static const char *const words[] = {"plain", "a b", "it's \"#\\", "",
					    "\t"};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		CLEANUP(cleanup_free) char *quoted = words_quote(words[i]);
		CLEANUP(cleanup_arena) struct arena *a = arena_new();
		CLEANUP(err_clear) struct err err = ERR_INIT;
		const char *const *split = words_split(quoted, a, &err);

		assert_non_null(split);
		assert_string_equal(split[0], words[i]);
		assert_null(split[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blanks_separate_words),
		cmocka_unit_test(test_quotes_keep_blanks),
		cmocka_unit_test(test_single_quotes_keep_everything),
		cmocka_unit_test(test_double_quotes_know_two_escapes),
		cmocka_unit_test(test_a_backslash_keeps_the_next_character),
		cmocka_unit_test(test_a_comment_begins_where_a_word_would),
		cmocka_unit_test(test_an_open_quote_is_refused),
		cmocka_unit_test(
			test_a_last_backslash_is_refused_if_no_line_follows),
		cmocka_unit_test(
			test_a_line_goes_on_after_a_backslash_that_counts),
		cmocka_unit_test(
			test_the_word_being_typed_may_be_empty_or_open),
		cmocka_unit_test(test_a_quoted_word_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* JSON as text. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/json.h"
#include "proto/lib/mem.h"

static void assert_parses(const char *text, const char *expected)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_json)
	struct json_object *object = json_parse(text, strlen(text), &err);
	CLEANUP(cleanup_free) char *back = NULL;

	if (err.code)
		fail_msg("%s: %s", text, err.msg);
	back = json_text(object, false);
	assert_string_equal(back, expected);
}

static void assert_bytes_refused(const char *text, size_t size,
				 const char *message)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_null(json_parse(text, size, &err));
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(err.msg, message);
}

static void assert_refused(const char *text, const char *message)
{
	assert_bytes_refused(text, strlen(text), message);
}

static void test_documents_are_parsed(void **state)
{
	(void)state;
	assert_parses("{\"a\": [1, -2.50, 1e3, true, false, null, \"x\"], "
		      "\"b\": {}}",
		      "{\"a\":[1,-2.50,1e3,true,false,null,\"x\"],\"b\":{}}");
	assert_parses(" \t\r\n[ ]\n", "[]");
	assert_parses("null", "null");
	assert_parses("\"\"", "\"\"");
	assert_parses("0", "0");
}

static void test_escapes_are_understood(void **state)
{
	(void)state;
	assert_parses("\"\\\"\\\\\\/\\n\\u00e9\\ud83d\\ude00\"",
		      "\"\\\"\\\\/\\n\xc3\xa9\xf0\x9f\x98\x80\"");
	assert_parses("[\"a\\u0000b\"]", "[\"a\\u0000b\"]");
}

static void test_the_text_need_not_end_with_a_nul(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_json)
	struct json_object *object = json_parse("1234", 2, &err);

	(void)state;
	assert_int_equal(json_object_get_int(object), 12);
}

static void test_large_numbers_are_exact(void **state)
{
	(void)state;
	assert_parses("[18446744073709551615,-9223372036854775808]",
		      "[18446744073709551615,-9223372036854775808]");
	assert_parses("1.00000000000000000000000001",
		      "1.00000000000000000000000001");
}

static void test_numbers_that_would_change_are_refused(void **state)
{
	(void)state;
	assert_refused("[18446744073709551616]",
		       "line 1, column 2: number out of range");
	assert_refused("-9223372036854775809",
		       "line 1, column 1: number out of range");
	assert_refused("1e999", "line 1, column 1: number out of range");
}

static void test_what_is_no_json_is_refused(void **state)
{
	static const char *const bad[] = {
		"",           " ",         "{",        "[1",        "[1,]",
		"{\"a\":1,}", "{a:1}",     "'a'",      "{'a':1}",   "1 2",
		"{} x",       "[1 2]",     "nul",      "True",      "NaN",
		"Infinity",   "-Infinity", "[NaN]",    "01",        "-01",
		"1.",         ".5",        "+1",       "1e",        "-",
		"0x1",        "00",        "[00]",     "\"a",       "\"\\x\"",
		"\"\\u12\"",  "/**/1",     "#\n1",     "]",         "}",
		",",          "\"a\nb\"",  "\"a\tb\"", "{\"a\" 1}", "{\"a\":}",
		"{1:2}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		struct json_object *object =
			json_parse(bad[i], strlen(bad[i]), &err);

		if (object || !err.code)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
		assert_memory_equal(err.msg, "line ", 5);
	}
}

static void test_errors_have_line_and_column(void **state)
{
	(void)state;
	assert_refused("{\n  \"a\": [1,\n  \"\xc3\xa9\", x]\n}",
		       "line 3, column 8: unexpected character");
	assert_refused("{\"a\":1", "line 1, column 7: unexpected end of data");
	assert_refused("\n'a'", "line 2, column 1: unexpected character");
}

static void test_what_is_no_text_is_refused(void **state)
{
	(void)state;
	assert_refused("[\"\xff\"]", "line 1, column 3: not UTF-8");
	assert_refused("\"\xed\xa0\x80\"", "line 1, column 2: not UTF-8");
	assert_bytes_refused("[1]\0", 4, "line 1, column 4: unexpected NUL");
	assert_refused("\"\\ud800\"",
		       "line 1, column 2: half of a surrogate pair");
	assert_refused("\"a\\udc00\"",
		       "line 1, column 3: half of a surrogate pair");
	assert_refused("\"\\ud800\\u0041\"",
		       "line 1, column 2: half of a surrogate pair");
}

static void test_a_name_may_be_given_once(void **state)
{
	(void)state;
	assert_refused("{\"a\":1, \"a\":2}",
		       "line 1, column 9: this name was given before");
	assert_refused("{\"a\":{\"b\":1,\n\"\\u0062\":2}}",
		       "line 2, column 1: this name was given before");
	assert_refused("{\"a\":[{\"a\":1},{\"b\":[]}],\"a\" :2}",
		       "line 1, column 25: this name was given before");
	assert_parses("{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2},\"a\"]}",
		      "{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2},\"a\"]}");
}

static void test_a_name_holds_no_nul(void **state)
{
	(void)state;
	assert_refused("{\"a\\u0000b\":1}",
		       "line 1, column 2: a name holds a NUL");
}

static void test_depth_has_a_limit(void **state)
{
	char text[131] = "";

	(void)state;
	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	assert_parses(text, text);
	memset(text, '[', 65);
	memset(text + 65, ']', 65);
	assert_refused(text, "line 1, column 65: nesting too deep");
}

static void test_text_is_fit_for_a_line(void **state)
{
	CLEANUP(cleanup_json)
	struct json_object *object =
		json_object_new_string_len("a/b\0\n\x7f\xc2\x85\xe2\x80\xa8"
					   "\xc3\xa9\xff\xe2\x82\"\\",
					   18);
	CLEANUP(cleanup_free) char *text = json_text(object, false);

	(void)state;
	assert_string_equal(text, "\"a/b\\u0000\\n\\u007f\\u0085\\u2028"
				  "\xc3\xa9\\ufffd\\ufffd\\ufffd\\\"\\\\\"");
}

static void test_pretty_text_has_two_spaces(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const char *pretty = "{\n"
			     "  \"a\": [\n"
			     "    1,\n"
			     "    {\n"
			     "      \"b\": [],\n"
			     "      \"c\": {},\n"
			     "      \"d\": \"[ ]\"\n"
			     "    }\n"
			     "  ]\n"
			     "}";
	CLEANUP(cleanup_json)
	struct json_object *object = json_parse(pretty, strlen(pretty), &err);
	CLEANUP(cleanup_free) char *text = json_text(object, true);
	CLEANUP(cleanup_free) char *line = json_text(object, false);

	(void)state;
	assert_string_equal(text, pretty);
	assert_string_equal(line,
			    "{\"a\":[1,{\"b\":[],\"c\":{},\"d\":\"[ ]\"}]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents_are_parsed),
		cmocka_unit_test(test_escapes_are_understood),
		cmocka_unit_test(test_the_text_need_not_end_with_a_nul),
		cmocka_unit_test(test_large_numbers_are_exact),
		cmocka_unit_test(test_numbers_that_would_change_are_refused),
		cmocka_unit_test(test_what_is_no_json_is_refused),
		cmocka_unit_test(test_errors_have_line_and_column),
		cmocka_unit_test(test_what_is_no_text_is_refused),
		cmocka_unit_test(test_a_name_may_be_given_once),
		cmocka_unit_test(test_a_name_holds_no_nul),
		cmocka_unit_test(test_depth_has_a_limit),
		cmocka_unit_test(test_text_is_fit_for_a_line),
		cmocka_unit_test(test_pretty_text_has_two_spaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

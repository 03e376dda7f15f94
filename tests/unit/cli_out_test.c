/* One description, printed in every format. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/out.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/units.h"

static const struct out_column columns[] = {
	{"name", "BDEV", 0},
	{"size", "SIZE", 0},
	{"mapped", "MAPPED", 0},
	{"created", "AGE", OUT_AGE},
	{"plane", "PLANE", OUT_ONLY_WIDE},
	{"problem", "PROBLEM", OUT_TROUBLE},
	{0},
};

static struct out *new (const char *format, struct out_style style)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct out *o;

	assert_int_equal(out_parse_format(format, &style, &err), 0);
	o = out_new(&style, columns, &err);
	assert_non_null(o);
	return o;
}

static void add(struct out *o, const char *name, uint64_t size, bool mapped)
{
	out_row(o);
	out_str(o, "name", name);
	out_size(o, "size", size);
	out_bool(o, "mapped", mapped);
	out_str(o, "plane", "null");
	out_str(o, "problem", "");
}

/* Two bdevs, the larger one first. */
static struct out *list(const char *format, struct out_style style)
{
	struct out *o = new (format, style);

	out_list(o, "BDevList", "items");
	add(o, "b", 1610612736, true);
	add(o, "a", 512, false);
	return o;
}

static void assert_prints(struct out *o, const char *expected)
{
	CLEANUP(cleanup_free) char *text = NULL;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	int rc = out_print(o, file, &err);

	fclose(file);
	out_free(o);
	assert_int_equal(rc, 0);
	assert_string_equal(text, expected);
}

static const struct out_style plain;

static void test_a_table_has_titles_and_two_spaces(void **state)
{
	(void)state;
	assert_prints(list("table",
			   (struct out_style){.columns = "name,size,mapped"}),
		      "BDEV    SIZE  MAPPED\n"
		      "b     1.5GiB  yes\n"
		      "a       512B  no\n");
}

static void test_what_is_empty_is_a_dash(void **state)
{
	(void)state;
	assert_prints(
		list("table",
		     (struct out_style){.columns = "name,problem,created"}),
		"BDEV  PROBLEM  AGE\n"
		"b     -        -\n"
		"a     -        -\n");
}

static void test_a_wide_table_shows_more(void **state)
{
	(void)state;
	assert_prints(list("wide", plain),
		      "BDEV    SIZE  MAPPED  AGE  PLANE  PROBLEM\n"
		      "b     1.5GiB  yes     -    null   -\n"
		      "a       512B  no      -    null   -\n");
}

static void test_an_empty_table_is_its_titles(void **state)
{
	struct out *o = new ("table", plain);

	(void)state;
	out_list(o, "BDevList", "items");
	assert_prints(o, "BDEV  SIZE  MAPPED  AGE  PROBLEM\n");
}

static void test_titles_can_be_left_out(void **state)
{
	(void)state;
	assert_prints(list("table", (struct out_style){.columns = "name",
						       .no_headers = true}),
		      "b\na\n");
}

static void test_columns_go_by_title_too_and_in_any_case(void **state)
{
	(void)state;
	assert_prints(list("table", (struct out_style){.columns = "Bdev,SIZE"}),
		      "BDEV    SIZE\n"
		      "b     1.5GiB\n"
		      "a       512B\n");
}

static void test_ids_are_never_cut(void **state)
{
	struct out *o = new ("table", (struct out_style){.columns = "name"});
	char name[254];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	out_list(o, "BDevList", "items");
	add(o, name, 1, false);
	{
		char expected[sizeof(name) + 8];

		snprintf(expected, sizeof(expected), "BDEV\n%s\n", name);
		assert_prints(o, expected);
	}
}

static void test_text_of_other_languages_stays_as_it_is(void **state)
{
	struct out *o =
		new ("table", (struct out_style){.columns = "name,mapped"});

	(void)state;
	out_list(o, "BDevList", "items");
	add(o, "größe", 1, false);
	add(o, "体积", 1, false);
	assert_prints(o, "BDEV   MAPPED\n"
			 "größe  no\n"
			 "体积   no\n");
}

static void test_control_characters_do_not_reach_a_terminal(void **state)
{
	static const char *const formats[] = {"table", "name", "json", "yaml",
					      "value=/name"};

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		CLEANUP(cleanup_free) char *text = NULL;
		CLEANUP(err_clear) struct err err = ERR_INIT;
		CLEANUP(cleanup_out) struct out *o = new (formats[i], plain);
		size_t size;
		FILE *file = open_memstream(&text, &size);

		out_list(o, "BDevList", "items");
		add(o, "a\033[31m\r\x7f\xff", 1, false);
		assert_int_equal(out_print(o, file, &err), 0);
		fclose(file);
		assert_null(strpbrk(text, "\033\r\x7f\xff"));
	}
}

static void test_json_is_one_document_with_a_version(void **state)
{
	struct out *o = list("json", (struct out_style){.compact = true});

	(void)state;
	assert_prints(
		o,
		"{\"apiVersion\":\"oimctl/v1\",\"kind\":\"BDevList\",\"items\":["
		"{\"name\":\"b\",\"size\":\"1610612736\",\"mapped\":true,\"plane\":\"null\",\"problem\":\"\"},"
		"{\"name\":\"a\",\"size\":\"512\",\"mapped\":false,\"plane\":\"null\",\"problem\":\"\"}],"
		"\"errors\":[]}\n");
}

static void test_an_empty_list_is_an_empty_array(void **state)
{
	struct out *o = new ("json", (struct out_style){.compact = true});

	(void)state;
	out_list(o, "BDevList", "items");
	assert_prints(
		o,
		"{\"apiVersion\":\"oimctl/v1\",\"kind\":\"BDevList\",\"items\":[],\"errors\":[]}\n");
}

static void test_times_are_rfc_3339_or_null(void **state)
{
	struct out *o = new ("json", (struct out_style){.compact = true});

	(void)state;
	out_object(o, "BDev");
	out_time(o, "created", UNITS_SECOND);
	out_time(o, "never", 0);
	assert_prints(
		o,
		"{\"apiVersion\":\"oimctl/v1\",\"kind\":\"BDev\",\"created\":\"1970-01-01T00:00:01Z\",\"never\":null}\n");
}

static void test_slashes_are_not_escaped(void **state)
{
	struct out *o = new ("json", (struct out_style){.compact = true});

	(void)state;
	out_object(o, "BDev");
	out_str(o, "name", "/dev/loop0");
	assert_prints(
		o,
		"{\"apiVersion\":\"oimctl/v1\",\"kind\":\"BDev\",\"name\":\"/dev/loop0\"}\n");
}

static void test_what_failed_is_in_errors(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct out *o = new ("json", (struct out_style){.compact = true});

	(void)state;
	err_set(&err, GRPC_STATUS_UNAVAILABLE, "no answer");
	out_list(o, "BDevList", "items");
	out_error(o, "n1", &err);
	assert_int_equal(out_errors(o), 1);
	assert_prints(
		o,
		"{\"apiVersion\":\"oimctl/v1\",\"kind\":\"BDevList\",\"items\":[],\"errors\":["
		"{\"target\":\"n1\",\"code\":\"UNAVAILABLE\",\"message\":\"no answer\",\"hint\":\"\"}]}\n");
}

static void test_yaml_quotes_what_would_not_read_back_as_text(void **state)
{
	struct out *o = new ("yaml", plain);

	(void)state;
	out_object(o, "BDev");
	out_str(o, "plain", "n1");
	out_str(o, "path", "/dev/loop0");
	out_str(o, "null", "null");
	out_str(o, "yes", "Yes");
	out_size(o, "size", 512);
	out_str(o, "empty", "");
	out_str(o, "colon", "a: b");
	out_str(o, "lines", "a\nb");
	out_bool(o, "mapped", true);
	out_time(o, "never", 0);
	assert_prints(o, "apiVersion: oimctl/v1\n"
			 "kind: BDev\n"
			 "plain: n1\n"
			 "path: /dev/loop0\n"
			 "\"null\": \"null\"\n"
			 "\"yes\": \"Yes\"\n"
			 "size: \"512\"\n"
			 "empty: \"\"\n"
			 "colon: \"a: b\"\n"
			 "lines: \"a\\nb\"\n"
			 "mapped: true\n"
			 "never: null\n");
}

static void test_yaml_shows_empty_lists(void **state)
{
	struct out *o = new ("yaml", plain);

	(void)state;
	out_list(o, "BDevList", "items");
	assert_prints(o, "apiVersion: oimctl/v1\n"
			 "kind: BDevList\n"
			 "items: []\n"
			 "errors: []\n");
}

static void test_name_prints_one_id_a_line(void **state)
{
	(void)state;
	assert_prints(list("name", plain), "b\na\n");
}

static void test_a_pointer_prints_one_value_a_line(void **state)
{
	(void)state;
	assert_prints(list("value=/size", plain), "1610612736\n512\n");
	assert_prints(list("value=/items/1/name", plain), "a\n");
	assert_prints(list("value=/kind", plain), "BDevList\n");
}

static void assert_no_value(const char *format, int code)
{
	CLEANUP(cleanup_free) char *text = NULL;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_out) struct out *o = list(format, plain);
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert_int_equal(out_print(o, file, &err), -1);
	fclose(file);
	assert_int_equal(err.code, code);
	assert_string_equal(text, "");
}

static void test_a_pointer_to_nothing_is_an_error(void **state)
{
	(void)state;
	assert_no_value("value=/nme", GRPC_STATUS_NOT_FOUND);
	assert_no_value("value=/items/0", GRPC_STATUS_FAILED_PRECONDITION);
}

static void test_rows_are_sorted_by_value_and_not_by_text(void **state)
{
	(void)state;
	assert_prints(list("name", (struct out_style){.sort = "size"}),
		      "a\nb\n");
	assert_prints(list("name", (struct out_style){.sort = "-size"}),
		      "b\na\n");
	assert_prints(list("name", (struct out_style){.sort = "name"}),
		      "a\nb\n");
}

static void test_rows_are_filtered_in_every_format(void **state)
{
	(void)state;
	assert_prints(list("name", (struct out_style){.where = "mapped=true"}),
		      "b\n");
	assert_prints(list("name", (struct out_style){.where = "mapped=no"}),
		      "a\n");
	assert_prints(
		list("value=/name", (struct out_style){.where = "size=512B"}),
		"a\n");
	assert_prints(
		list("name", (struct out_style){.where = "name=b,mapped=no"}),
		"");
}

static void assert_refused(struct out_style style, const char *message)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	style.format = OUT_TABLE;
	assert_null(out_new(&style, columns, &err));
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(err.msg, message);
}

static void test_unknown_columns_are_refused_at_once(void **state)
{
	(void)state;
	assert_refused((struct out_style){.columns = "name,nme"},
		       "there is no column \"nme\"");
	assert_refused((struct out_style){.columns = ","},
		       "--columns names no column");
	assert_refused((struct out_style){.sort = "-nme"},
		       "there is no column \"nme\"");
	assert_refused((struct out_style){.where = "nme=1"},
		       "there is no column \"nme\"");
	assert_refused((struct out_style){.where = "name"},
		       "\"name\" is not K=V");
}

static void test_unknown_formats_are_refused(void **state)
{
	static const char *const formats[] = {"",      "jsn",        "JSON",
					      "value", "value=name", "value="};

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		struct out_style style = plain;

		assert_int_equal(out_parse_format(formats[i], &style, &err),
				 -1);
		assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	}
}

static void test_one_object_is_a_line_for_each_field(void **state)
{
	struct out *o = new ("table", plain);

	(void)state;
	out_object(o, "BDev");
	out_str(o, "name", "a");
	out_size(o, "size", 512);
	assert_prints(o, "BDEV  a\n"
			 "SIZE  512B\n");
}

static void test_the_only_row_can_become_the_document(void **state)
{
	struct out *o = new ("json", (struct out_style){.compact = true});

	(void)state;
	out_list(o, "BDevList", "items");
	out_row(o);
	out_str(o, "name", "a");
	out_promote(o, "BDev");
	assert_prints(
		o,
		"{\"apiVersion\":\"oimctl/v1\",\"kind\":\"BDev\",\"name\":\"a\"}\n");
}

static void test_lines_for_people_stand_around_the_table(void **state)
{
	struct out *o = new ("table", (struct out_style){.columns = "name"});

	(void)state;
	out_list(o, "Status", "bdevs");
	out_line(o, OUT_TROUBLE, "trouble");
	add(o, "a", 1, false);
	out_line(o, 0, "next: %s", "step");
	assert_prints(o, "trouble\n"
			 "BDEV\n"
			 "a\n"
			 "next: step\n");
}

static void test_colors_are_only_there_if_asked_for(void **state)
{
	struct out *o = new ("table", (struct out_style){.columns = "problem",
							 .color = true});

	(void)state;
	out_list(o, "BDevList", "items");
	out_row(o);
	out_str(o, "problem", "gone");
	assert_prints(o, "\033[1mPROBLEM\033[0m\n"
			 "\033[31mgone\033[0m\n");
}

static void test_a_stream_that_is_full_is_an_error(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_out) struct out *o = list("json", plain);
	CLEANUP(cleanup_file) FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	assert_int_equal(out_print(o, full, &err), -1);
	assert_string_equal(err.msg,
			    "cannot write to stdout: No space left on device");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_table_has_titles_and_two_spaces),
		cmocka_unit_test(test_what_is_empty_is_a_dash),
		cmocka_unit_test(test_a_wide_table_shows_more),
		cmocka_unit_test(test_an_empty_table_is_its_titles),
		cmocka_unit_test(test_titles_can_be_left_out),
		cmocka_unit_test(test_columns_go_by_title_too_and_in_any_case),
		cmocka_unit_test(test_ids_are_never_cut),
		cmocka_unit_test(test_text_of_other_languages_stays_as_it_is),
		cmocka_unit_test(
			test_control_characters_do_not_reach_a_terminal),
		cmocka_unit_test(test_json_is_one_document_with_a_version),
		cmocka_unit_test(test_an_empty_list_is_an_empty_array),
		cmocka_unit_test(test_times_are_rfc_3339_or_null),
		cmocka_unit_test(test_slashes_are_not_escaped),
		cmocka_unit_test(test_what_failed_is_in_errors),
		cmocka_unit_test(
			test_yaml_quotes_what_would_not_read_back_as_text),
		cmocka_unit_test(test_yaml_shows_empty_lists),
		cmocka_unit_test(test_name_prints_one_id_a_line),
		cmocka_unit_test(test_a_pointer_prints_one_value_a_line),
		cmocka_unit_test(test_a_pointer_to_nothing_is_an_error),
		cmocka_unit_test(test_rows_are_sorted_by_value_and_not_by_text),
		cmocka_unit_test(test_rows_are_filtered_in_every_format),
		cmocka_unit_test(test_unknown_columns_are_refused_at_once),
		cmocka_unit_test(test_unknown_formats_are_refused),
		cmocka_unit_test(test_one_object_is_a_line_for_each_field),
		cmocka_unit_test(test_the_only_row_can_become_the_document),
		cmocka_unit_test(test_lines_for_people_stand_around_the_table),
		cmocka_unit_test(test_colors_are_only_there_if_asked_for),
		cmocka_unit_test(test_a_stream_that_is_full_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

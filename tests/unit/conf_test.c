/* Configuration from files, directories and the command line. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/conf.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

static const struct conf_key known[] = {
	{"daemon", "listen", CONF_LIST, "where to listen"},
	{"daemon", "plaintext", 0, "whether TCP may do without TLS"},
	{"daemon", "wait", 0, "how long"},
	{"daemon", "limit", 0, "how many bytes"},
	{"daemon", "workers", 0, "how many"},
	{"controller", "enabled", 0, "whether there are any"},
	{"controller", "plane", CONF_NAMED, "where bytes live"},
	{"controller", "labels", CONF_NAMED | CONF_LIST, "words"},
	{0},
};

/* A directory with at most these files in it, all removed by teardown(). */
static char dir[] = "/tmp/oim-conf-XXXXXX";
static const char *const files[] = {"a.conf",    "b.conf", "c.conf~",
				    ".hid.conf", "Z.conf", "link.conf"};

static int setup(void **state)
{
	(void)state;
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		CLEANUP(cleanup_free)
		char *path = mem_printf("%s/%s", dir, files[i]);

		unlink(path);
	}
	return rmdir(dir);
}

static char *write_bytes(const char *name, const char *text, size_t size)
{
	char *path = mem_printf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
	return path;
}

static void read_text(struct conf *c, const char *text)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_free)
	char *path = write_bytes("a.conf", text, strlen(text));

	if (conf_read(c, path, &err) < 0)
		fail_msg("%s", err.msg);
}

static void set(struct conf *c, const char *assignment)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (conf_set(c, assignment, &err) < 0)
		fail_msg("%s", err.msg);
}

/* The message is the path of the file and what is expected. */
static void assert_bytes_refused(const char *text, size_t size,
				 const char *expected)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(cleanup_free) char *path = write_bytes("a.conf", text, size);

	assert_int_equal(conf_read(c, path, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_memory_equal(err.msg, path, strlen(path));
	assert_string_equal(err.msg + strlen(path), expected);
	assert_null(conf_get(c, "controller", NULL, "enabled"));
	assert_null(conf_names(c, "controller")[0]);
}

static void assert_refused(const char *text, const char *expected)
{
	assert_bytes_refused(text, strlen(text), expected);
}

/* The strings of a list, joined with commas. */
static void assert_list(const char *const *list, const char *expected)
{
	char joined[256] = "";
	char *p = joined;

	for (; *list; list++)
		p = stpcpy(stpcpy(p, *list), list[1] ? "," : "");
	assert_string_equal(joined, expected);
}

static void test_values_are_found_by_section_name_and_key(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);

	(void)state;
	read_text(c, "# comment\n"
		     "[controller]\n"
		     "enabled = no\n"
		     "; comment\n"
		     "\n"
		     "[controller \"host.n1\"]\n"
		     "plane=kernel\n"
		     "[controller \"b c\"]\n"
		     "plane =   null  \n");
	assert_string_equal(conf_get(c, "controller", NULL, "enabled"), "no");
	assert_string_equal(conf_get(c, "controller", "host.n1", "plane"),
			    "kernel");
	assert_string_equal(conf_get(c, "controller", "b c", "plane"), "null");
	assert_null(conf_get(c, "controller", "other", "plane"));
	assert_null(conf_get(c, "daemon", NULL, "plaintext"));
}

static void test_a_value_is_the_rest_of_the_line(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);

	(void)state;
	read_text(c, "[daemon]\n"
		     "plaintext = \"a\" = b ; c # d\n"
		     "wait = caf\xc3\xa9\r\n");
	assert_string_equal(conf_get(c, "daemon", NULL, "plaintext"),
			    "\"a\" = b ; c # d");
	assert_string_equal(conf_get(c, "daemon", NULL, "wait"), "caf\xc3\xa9");
}

static void test_the_case_of_sections_and_keys_does_not_matter(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);

	(void)state;
	read_text(c, "[Daemon]\n"
		     "LISTEN = a\n"
		     "listen = b\n"
		     "Listen = c\n");
	set(c, "DAEMON.Wait=1s");
	assert_list(conf_list(c, "daemon", NULL, "listen"), "a,b,c");
	assert_string_equal(conf_get(c, "daemon", NULL, "wait"), "1s");
	assert_null(conf_unknown(c)[0]);
}

static void test_an_empty_file_is_fine(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(err_clear) struct err err = ERR_INIT;

	(void)state;
	read_text(c, "");
	read_text(c, "\n");
	read_text(c, "# nothing");
	assert_int_equal(conf_read(c, "/dev/null", &err), 0);
	assert_null(conf_unknown(c)[0]);
	assert_list(conf_list(c, "daemon", NULL, "listen"), "");
}

static void test_a_file_that_is_absent_is_not_found(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(err_clear) struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(conf_read(c, "/nonexistent/x.conf", &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_NOT_FOUND);
	assert_string_equal(err.msg,
			    "/nonexistent/x.conf: No such file or directory");
}

static void test_a_directory_is_no_file(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(err_clear) struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(conf_read(c, "/", &err), -1);
	assert_string_equal(err.msg, "/: Is a directory");
}

static void test_syntax_errors_name_the_line(void **state)
{
	(void)state;
	assert_refused("[controller]\nenabled=no\nword\n",
		       ":3: equal sign is missing");
	assert_refused("[controller\n", ":1: no closing bracket");
	assert_refused("[]\n", ":1: section name is missing");
	assert_refused("[controller]\n=no\n", ":2: property name is missing");
	assert_refused("[controller]\n enabled=no\n",
		       ":2: invalid space character at the beginning of the "
		       "line");
	assert_refused("/* comment */\n", ":1: equal sign is missing");
}

static void test_a_section_that_comes_twice_is_refused(void **state)
{
	(void)state;
	assert_refused("[controller \"a\"]\nplane=x\n"
		       "[daemon]\n[controller \"A\"]\n",
		       ":4: duplicate section is not allowed");
}

static void test_section_headers_have_two_forms(void **state)
{
	static const char *const bad[] = {"controller  \"a\"",
					  "controller \"a",
					  "controller\"a\"",
					  "controller \"\"",
					  "\"a\"",
					  " \"a\"",
					  "controller a",
					  "controller \"a\" b"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CLEANUP(cleanup_free) char *text = mem_printf("[%s]", bad[i]);
		CLEANUP(cleanup_free)
		char *expected = mem_printf(": [%s] is neither [section] nor "
					    "[section \"name\"]",
					    bad[i] + (bad[i][0] == ' '));

		assert_refused(text, expected);
	}
}

static void test_what_is_no_text_is_refused(void **state)
{
	static const char nul[] = "[controller]\nenabled=n\0o";

	(void)state;
	assert_refused("[controller]\n\nenabled=\xff\n", ":3: not UTF-8");
	assert_bytes_refused(nul, sizeof(nul) - 1, ":2: holds a NUL");
	assert_refused("[controller \"a!b\"]\n",
		       ": the name of a section or key holds \"!\" or a "
		       "control character");
}

static void test_a_huge_file_is_refused(void **state)
{
	size_t size = (1 << 20) + 1;
	CLEANUP(cleanup_free) char *text = mem_alloc(size);

	(void)state;
	memset(text, '\n', size);
	assert_bytes_refused(text, size, ": larger than 1MiB");
}

static void test_a_later_source_wins(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);

	(void)state;
	read_text(c, "[daemon]\nwait=1s\nlimit=1\n");
	read_text(c, "[daemon]\nwait=2s\n");
	set(c, "daemon.wait=3s");
	assert_string_equal(conf_get(c, "daemon", NULL, "wait"), "3s");
	assert_string_equal(conf_get(c, "daemon", NULL, "limit"), "1");
	set(c, "daemon.wait=");
	assert_null(conf_get(c, "daemon", NULL, "wait"));
	assert_null(conf_origin(c, "daemon", NULL, "wait"));
}

static void test_a_list_adds_up_in_a_source_and_is_replaced_by_the_next(
	void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);

	(void)state;
	read_text(c, "[daemon]\nlisten=a\nwait=1s\nlisten=b\n");
	assert_list(conf_list(c, "daemon", NULL, "listen"), "a,b");
	read_text(c, "[daemon]\nlisten=c\n");
	assert_list(conf_list(c, "daemon", NULL, "listen"), "c");
	set(c, "daemon.listen=d");
	set(c, "daemon.wait=2s");
	set(c, "daemon.listen=e");
	assert_list(conf_list(c, "daemon", NULL, "listen"), "d,e");
	assert_string_equal(conf_get(c, "daemon", NULL, "listen"), "e");
}

static void test_an_empty_value_empties_a_list(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);

	(void)state;
	read_text(c, "[daemon]\nlisten=a\n");
	read_text(c, "[daemon]\nlisten=\n");
	assert_list(conf_list(c, "daemon", NULL, "listen"), "");
	read_text(c, "[daemon]\nlisten=a\nlisten =\nlisten=b\n");
	assert_list(conf_list(c, "daemon", NULL, "listen"), "b");
}

static void test_set_takes_a_name_between_the_first_and_last_dot(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);

	(void)state;
	set(c, "controller.host.n1.plane=a=b.c");
	set(c, "controller.enabled=no");
	assert_string_equal(conf_get(c, "controller", "host.n1", "plane"),
			    "a=b.c");
	assert_string_equal(conf_get(c, "controller", NULL, "enabled"), "no");
	assert_list(conf_names(c, "controller"), "host.n1");
}

static void test_set_refuses_other_forms(void **state)
{
	static const char *const bad[] = {"", "daemon.wait", "wait=1s",
					  "daemon=1s", "controller..plane=x"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
		CLEANUP(err_clear) struct err err = ERR_INIT;
		CLEANUP(cleanup_free)
		char *expected =
			mem_printf("\"%s\" is neither SECTION.KEY=VALUE nor "
				   "SECTION.NAME.KEY=VALUE",
				   bad[i]);

		assert_int_equal(conf_set(c, bad[i], &err), -1);
		assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
		assert_string_equal(err.msg, expected);
	}
}

static void assert_unknown(const char *assignment, const char *key,
			   const char *hint)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_free) char *msg = mem_printf("unknown key \"%s\"", key);

	assert_int_equal(conf_set(c, assignment, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(err.msg, msg);
	if (hint)
		assert_string_equal(err.hint, hint);
	else
		assert_null(err.hint);
}

static void test_an_unknown_key_has_the_nearest_as_hint(void **state)
{
	(void)state;
	assert_unknown("daemon.lisen=x", "daemon.lisen",
		       "did you mean \"daemon.listen\"?");
	assert_unknown("deamon.listen=x", "deamon.listen",
		       "did you mean \"daemon.listen\"?");
	assert_unknown("controller.n1.plan=x", "controller.n1.plan",
		       "did you mean \"controller.n1.plane\"?");
	assert_unknown("controller.plane=x", "controller.plane",
		       "did you mean \"controller.NAME.plane\"?");
	assert_unknown("frob.nicate=x", "frob.nicate", NULL);
}

static void test_unknown_keys_in_files_are_listed(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(cleanup_free)
	char *first = mem_printf(
		"%s/a.conf:2: unknown key \"lisen\" in [daemon]", dir);
	CLEANUP(cleanup_free)
	char *second = mem_printf(
		"%s/a.conf:4: unknown key \"enabled\" in [controller \"a\"]",
		dir);
	CLEANUP(cleanup_free)
	char *third = mem_printf("%s/a.conf: unknown section [deamon]", dir);

	(void)state;
	read_text(c, "[daemon]\nlisen=x\n"
		     "[controller \"a\"]\nenabled=no\nplane=x\n"
		     "[deamon]\n[daemon \"a\"]\nlisten=x\n");
	assert_string_equal(conf_unknown(c)[0], first);
	assert_string_equal(conf_unknown(c)[1], second);
	assert_string_equal(conf_unknown(c)[2], third);
	assert_non_null(strstr(conf_unknown(c)[3],
			       ":8: unknown key \"listen\" in [daemon \"a\"]"));
	assert_null(conf_unknown(c)[4]);
	assert_string_equal(conf_get(c, "controller", "a", "plane"), "x");
}

static void test_names_are_sorted_and_come_once(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);

	(void)state;
	assert_list(conf_names(c, "controller"), "");
	read_text(c, "[controller \"b\"]\nplane=x\n[controller \"a\"]\n");
	read_text(c, "[controller \"b\"]\n[controller \"c\"]\n");
	set(c, "controller.aa.plane=x");
	assert_list(conf_names(c, "controller"), "a,aa,b,c");
	assert_list(conf_names(c, "daemon"), "");
}

static void test_the_origin_is_where_the_value_was_set(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(cleanup_free) char *origin = mem_printf("%s/a.conf:4", dir);

	(void)state;
	read_text(c, "[daemon]\nlisten=a\n\nlisten=b\n");
	assert_string_equal(conf_origin(c, "daemon", NULL, "listen"), origin);
	set(c, "daemon.listen=c");
	assert_string_equal(conf_origin(c, "daemon", NULL, "listen"), "--set");
	assert_null(conf_origin(c, "daemon", NULL, "wait"));
}

static void test_drop_ins_are_read_in_the_order_of_their_names(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	static const char *const order[] = {"b.conf", "a.conf", "Z.conf",
					    "c.conf~", ".hid.conf"};

	(void)state;
	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
		CLEANUP(cleanup_free)
		char *text =
			mem_printf("[daemon]\nwait=%s\n[controller \"%s\"]\n",
				   order[i], order[i]);

		free(write_bytes(order[i], text, strlen(text)));
	}
	assert_int_equal(conf_read_dir(c, dir, &err), 0);
	assert_string_equal(conf_get(c, "daemon", NULL, "wait"), "b.conf");
	assert_list(conf_names(c, "controller"), "Z.conf,a.conf,b.conf");
}

static void test_no_directory_has_no_drop_ins(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(err_clear) struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(conf_read_dir(c, "/nonexistent", &err), 0);
	assert_int_equal(conf_read_dir(c, "/dev/null", &err), -1);
	assert_string_equal(err.msg, "/dev/null: Not a directory");
}

static void test_a_bad_drop_in_is_an_error(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_free) char *link = mem_printf("%s/link.conf", dir);

	(void)state;
	free(write_bytes("a.conf", "", 0));
	assert_int_equal(symlink("/nonexistent", link), 0);
	assert_int_equal(conf_read_dir(c, dir, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_NOT_FOUND);
}

static void test_yes_and_no_have_other_words(void **state)
{
	static const char *const words[] = {"no",    "YES",  "off", "On",
					    "false", "true", "0",   "1"};
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	bool value = true;

	(void)state;
	assert_int_equal(
		conf_get_bool(c, "daemon", NULL, "plaintext", &value, &err), 0);
	assert_true(value);
	for (size_t i = 0; i < 8; i++) {
		CLEANUP(cleanup_free)
		char *assignment = mem_printf("daemon.plaintext=%s", words[i]);

		set(c, assignment);
		assert_int_equal(conf_get_bool(c, "daemon", NULL, "plaintext",
					       &value, &err),
				 0);
		assert_int_equal(value, i % 2);
	}
}

static void test_a_bad_value_names_key_and_origin(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	bool value = true;

	(void)state;
	set(c, "daemon.plaintext=maybe");
	assert_int_equal(
		conf_get_bool(c, "daemon", NULL, "plaintext", &value, &err),
		-1);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(err.msg, "--set: daemon.plaintext: \"maybe\" is "
				     "neither yes nor no");
	assert_true(value);
}

static void test_sizes_and_durations_are_those_of_units(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	uint64_t bytes = 7;
	int64_t ns = 7;

	(void)state;
	assert_int_equal(
		conf_get_size(c, "daemon", NULL, "limit", &bytes, &err), 0);
	assert_int_equal(bytes, 7);
	set(c, "daemon.limit=64M");
	set(c, "daemon.wait=1m30s");
	assert_int_equal(
		conf_get_size(c, "daemon", NULL, "limit", &bytes, &err), 0);
	assert_int_equal(
		conf_get_duration(c, "daemon", NULL, "wait", &ns, &err), 0);
	assert_int_equal(bytes, 64 << 20);
	assert_int_equal(ns, 90 * UNITS_SECOND);
	set(c, "daemon.limit=64X");
	assert_int_equal(
		conf_get_size(c, "daemon", NULL, "limit", &bytes, &err), -1);
	assert_string_equal(err.msg,
			    "--set: daemon.limit: size \"64X\" is not a number "
			    "of bytes such as 4096, 64M or 1.5GiB");
}

static int get_number(const char *text, uint64_t *value, struct err *err)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(cleanup_free)
	char *assignment = mem_printf("daemon.workers=%s", text);

	set(c, assignment);
	return conf_get_number(c, "daemon", NULL, "workers", 1, 64, value, err);
}

static void test_numbers_have_bounds(void **state)
{
	static const char *const bad[] = {
		"0", "65", "-1", "+1", " 1", "1 ", "x", "99999999999999999999"};
	uint64_t value = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		CLEANUP(cleanup_free)
		char *expected =
			mem_printf("--set: daemon.workers: \"%s\" is not a "
				   "number from 1 to 64",
				   bad[i]);

		assert_int_equal(get_number(bad[i], &value, &err), -1);
		assert_string_equal(err.msg, expected);
		assert_int_equal(value, 7);
	}
	assert_int_equal(get_number("", &value, &ERR_INIT), 0);
	assert_int_equal(value, 7);
	assert_int_equal(get_number("64", &value, &ERR_INIT), 0);
	assert_int_equal(value, 64);
}

static void collect(void *arg, const char *section, const char *name,
		    const char *key, const char *value, const char *origin)
{
	char **text = arg;
	char *before = *text;

	*text = mem_printf("%s%s/%s/%s=%s(%s) ", before, section,
			   name ? name : "", key, value, origin);
	free(before);
}

static void test_each_value_is_given_in_order(void **state)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(known);
	CLEANUP(cleanup_free) char *text = mem_strdup("");

	(void)state;
	set(c, "daemon.wait=1s");
	set(c, "daemon.listen=b");
	set(c, "daemon.listen=a");
	set(c, "controller.y.plane=p");
	set(c, "controller.x.plane=p");
	set(c, "controller.x.labels=l");
	set(c, "controller.enabled=no");
	set(c, "daemon.limit=1");
	set(c, "daemon.limit=");
	conf_each(c, collect, &text);
	assert_string_equal(text,
			    "controller//enabled=no(--set) "
			    "controller/x/labels=l(--set) "
			    "controller/x/plane=p(--set) "
			    "controller/y/plane=p(--set) "
			    "daemon//listen=b(--set) daemon//listen=a(--set) "
			    "daemon//wait=1s(--set) ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_are_found_by_section_name_and_key),
		cmocka_unit_test(test_a_value_is_the_rest_of_the_line),
		cmocka_unit_test(
			test_the_case_of_sections_and_keys_does_not_matter),
		cmocka_unit_test(test_an_empty_file_is_fine),
		cmocka_unit_test(test_a_file_that_is_absent_is_not_found),
		cmocka_unit_test(test_a_directory_is_no_file),
		cmocka_unit_test(test_syntax_errors_name_the_line),
		cmocka_unit_test(test_a_section_that_comes_twice_is_refused),
		cmocka_unit_test(test_section_headers_have_two_forms),
		cmocka_unit_test(test_what_is_no_text_is_refused),
		cmocka_unit_test(test_a_huge_file_is_refused),
		cmocka_unit_test(test_a_later_source_wins),
		cmocka_unit_test(
			test_a_list_adds_up_in_a_source_and_is_replaced_by_the_next),
		cmocka_unit_test(test_an_empty_value_empties_a_list),
		cmocka_unit_test(
			test_set_takes_a_name_between_the_first_and_last_dot),
		cmocka_unit_test(test_set_refuses_other_forms),
		cmocka_unit_test(test_an_unknown_key_has_the_nearest_as_hint),
		cmocka_unit_test(test_unknown_keys_in_files_are_listed),
		cmocka_unit_test(test_names_are_sorted_and_come_once),
		cmocka_unit_test(test_the_origin_is_where_the_value_was_set),
		cmocka_unit_test(
			test_drop_ins_are_read_in_the_order_of_their_names),
		cmocka_unit_test(test_no_directory_has_no_drop_ins),
		cmocka_unit_test(test_a_bad_drop_in_is_an_error),
		cmocka_unit_test(test_yes_and_no_have_other_words),
		cmocka_unit_test(test_a_bad_value_names_key_and_origin),
		cmocka_unit_test(test_sizes_and_durations_are_those_of_units),
		cmocka_unit_test(test_numbers_have_bounds),
		cmocka_unit_test(test_each_value_is_given_in_order),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

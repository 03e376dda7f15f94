/* Where settings come from, and which are stronger. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cmd.h"
#include "cli/settings.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

static const struct opt *const globals[] = {cmd_global_options, NULL};

/* A folder that stands for the user's configuration. */
struct fixture {
	char dir[32];
	char *file;
	struct arena *arena;
	struct opt_values session, options;
	struct conf *conf;
	struct settings settings;
	struct err err;
};

static int set_up(void **state)
{
	static const char *const variables[] = {
		"OIMCTL_CONTEXT", "OIMCTL_SERVER",  "OIMCTL_CONTROLLER",
		"OIMCTL_CACERT",  "OIMCTL_CERT",    "OIMCTL_KEY",
		"OIMCTL_OUTPUT",  "OIMCTL_TIMEOUT", "OIMCTL_TRACE",
		"NO_COLOR"};
	struct fixture *f = mem_zalloc(1, sizeof(*f));

	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		unsetenv(variables[i]);
	memcpy(f->dir, "/tmp/oim-settings.XXXXXX", 25);
	if (!mkdtemp(f->dir))
		return -1;
	f->file = mem_printf("%s/oimctl.conf", f->dir);
	f->arena = arena_new();
	f->session.arena = f->options.arena = f->arena;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	unlink(f->file);
	rmdir(f->dir);
	conf_free(f->conf);
	err_clear(&f->err);
	arena_free(f->arena);
	free(f->file);
	free(f);
	return 0;
}

static void write_file(const struct fixture *f, const char *text)
{
	FILE *file = fopen(f->file, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static int resolve(struct fixture *f)
{
	if (!f->conf)
		f->conf = settings_read(f->file, &f->err);
	if (!f->conf)
		return -1;
	return settings_resolve(&f->settings, f->conf, &f->session, &f->options,
				true, &f->err);
}

static void assert_setting(const struct fixture *f, enum setting which,
			   const char *value, const char *origin)
{
	assert_string_equal(settings_get(&f->settings, which), value);
	assert_string_equal(f->settings.all[which].origin, origin);
}

static void option(struct opt_values *values, const char *name,
		   const char *value)
{
	opt_set(values, opt_find(globals, name), value);
}

static void test_without_anything_there_are_defaults(void **state)
{
	struct fixture *f = *state;

	write_file(f, "");
	assert_int_equal(resolve(f), 0);
	assert_null(settings_get(&f->settings, SETTING_SERVER));
	assert_null(settings_get(&f->settings, SETTING_CONTEXT));
	assert_setting(f, SETTING_TLS_NAME, "component.registry", "built in");
	assert_int_equal(f->settings.timeout, 30 * UNITS_SECOND);
	assert_int_equal(f->settings.style.format, OUT_TABLE);
	assert_false(f->settings.plaintext);
}

static const char lab[] = "[defaults]\n"
			  "context = lab\n"
			  "server = /defaults\n"
			  "timeout = 5s\n"
			  "[context \"lab\"]\n"
			  "server = /lab\n"
			  "controller = node-7\n";

static void test_the_context_is_stronger_than_the_defaults(void **state)
{
	struct fixture *f = *state;
	char origin[64];

	write_file(f, lab);
	assert_int_equal(resolve(f), 0);
	snprintf(origin, sizeof(origin), "%s:6", f->file);
	assert_setting(f, SETTING_SERVER, "/lab", origin);
	snprintf(origin, sizeof(origin), "%s:4", f->file);
	assert_setting(f, SETTING_TIMEOUT, "5s", origin);
	assert_int_equal(f->settings.timeout, 5 * UNITS_SECOND);
}

static void test_the_environment_is_stronger_than_the_context(void **state)
{
	struct fixture *f = *state;

	write_file(f, lab);
	setenv("OIMCTL_SERVER", "/environment", 1);
	assert_int_equal(resolve(f), 0);
	assert_setting(f, SETTING_SERVER, "/environment",
		       "environment OIMCTL_SERVER");
	assert_string_equal(settings_get(&f->settings, SETTING_CONTROLLER),
			    "node-7");
}

static void test_an_empty_variable_is_none(void **state)
{
	struct fixture *f = *state;

	write_file(f, lab);
	setenv("OIMCTL_SERVER", "", 1);
	assert_int_equal(resolve(f), 0);
	assert_string_equal(settings_get(&f->settings, SETTING_SERVER), "/lab");
}

static void test_options_are_the_strongest(void **state)
{
	struct fixture *f = *state;

	write_file(f, lab);
	setenv("OIMCTL_SERVER", "/environment", 1);
	option(&f->session, "server", "/session");
	assert_int_equal(resolve(f), 0);
	assert_setting(f, SETTING_SERVER, "/session", "set in this session");
	option(&f->options, "server", "/option");
	assert_int_equal(resolve(f), 0);
	assert_setting(f, SETTING_SERVER, "/option", "option --server");
}

static void test_a_context_that_is_not_there_gets_the_nearest(void **state)
{
	struct fixture *f = *state;

	write_file(f, lab);
	option(&f->options, "context", "lob");
	assert_int_equal(resolve(f), -1);
	assert_int_equal(f->err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(f->err.msg,
			    "there is no context \"lob\" (option --context)");
	assert_string_equal(f->err.hint, "did you mean lab?");
}

static void test_a_bad_value_names_its_origin(void **state)
{
	struct fixture *f = *state;
	char begin[64];

	write_file(f, "[defaults]\ntimeout = soon\n");
	assert_int_equal(resolve(f), -1);
	assert_int_equal(f->err.code, GRPC_STATUS_INVALID_ARGUMENT);
	snprintf(begin, sizeof(begin), "%s:2: duration \"soon\"", f->file);
	assert_memory_equal(f->err.msg, begin, strlen(begin));
}

static void test_words_are_checked(void **state)
{
	static const char *const bad[][2] = {
		{"dialect", "klingon"},   {"color", "blue"},
		{"plaintext", "perhaps"}, {"trace", "2"},
		{"output", "xml"},
	};
	struct fixture *f = *state;

	write_file(f, "");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		option(&f->options, bad[i][0], bad[i][1]);
		assert_int_equal(resolve(f), -1);
		assert_int_equal(f->err.code, GRPC_STATUS_INVALID_ARGUMENT);
		err_clear(&f->err);
		option(&f->options, bad[i][0], NULL);
	}
	assert_int_equal(resolve(f), 0);
}

static void test_unknown_keys_are_reported_with_their_line(void **state)
{
	struct fixture *f = *state;
	const char *const *unknown;

	write_file(f, "[defaults]\nsever = /x\n");
	assert_int_equal(resolve(f), 0);
	unknown = conf_unknown(f->conf);
	assert_non_null(unknown[0]);
	assert_non_null(strstr(unknown[0], "oimctl.conf:2: "));
	assert_null(unknown[1]);
}

static void test_a_file_that_was_asked_for_must_be_there(void **state)
{
	struct fixture *f = *state;

	assert_null(settings_read("/nonexistent/file", &f->err));
	assert_int_equal(f->err.code, GRPC_STATUS_NOT_FOUND);
}

static void test_color_is_for_terminals(void **state)
{
	struct fixture *f = *state;
	struct settings s;

	write_file(f, "");
	setenv("TERM", "xterm", 1);
	assert_int_equal(resolve(f), 0);
	assert_true(f->settings.color);
	assert_int_equal(settings_resolve(&s, f->conf, &f->session, &f->options,
					  false, &f->err),
			 0);
	assert_false(s.color);
	setenv("NO_COLOR", "1", 1);
	assert_int_equal(resolve(f), 0);
	assert_false(f->settings.color);
	option(&f->options, "color", "always");
	assert_int_equal(resolve(f), 0);
	assert_true(f->settings.color);
}

static void test_a_dumb_terminal_has_no_color(void **state)
{
	struct fixture *f = *state;

	write_file(f, "");
	setenv("TERM", "dumb", 1);
	assert_int_equal(resolve(f), 0);
	assert_false(f->settings.color);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_without_anything_there_are_defaults),
		TEST(test_the_context_is_stronger_than_the_defaults),
		TEST(test_the_environment_is_stronger_than_the_context),
		TEST(test_an_empty_variable_is_none),
		TEST(test_options_are_the_strongest),
		TEST(test_a_context_that_is_not_there_gets_the_nearest),
		TEST(test_a_bad_value_names_its_origin),
		TEST(test_words_are_checked),
		TEST(test_unknown_keys_are_reported_with_their_line),
		TEST(test_a_file_that_was_asked_for_must_be_there),
		TEST(test_color_is_for_terminals),
		TEST(test_a_dumb_terminal_has_no_color),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

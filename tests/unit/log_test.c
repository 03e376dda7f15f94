/* The daemon's log: one line for each event, fit to be read and parsed. */

#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "daemon/audit.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/json.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"
#include "tests/unit/log_capture.h"

#define LOG_COMPONENT "test"

/* What nobody wants in a log. */
#define NASTY "a\nb\tc\x1b[31m\x7f\xc2\x85\xff\xe2\x80\xa8z"

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_INFO);
	log_set_format(LOG_FORMAT_TEXT);
	unsetenv("JOURNAL_STREAM");
	return 0;
}

/* One line with these fields in that format, without its newline. */
static char *line(enum log_format format, const struct log_field *fields,
		  const char *msg)
{
	struct log_capture log;
	char *text;

	log_set_format(format);
	log_capture_begin(&log);
	log_line(LOG_LEVEL_WARN, "part", fields, "%s", msg);
	text = log_capture_end(&log);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	text[strlen(text) - 1] = '\0';
	return text;
}

/* --- formats --- */

static void test_text_has_time_level_component_and_message(void **state)
{
	CLEANUP(cleanup_free)
	char *text = line(LOG_FORMAT_TEXT, NULL, "it is hot");
	int size = 0;

	(void)state;
	sscanf(text, "%*4u-%*2u-%*2uT%*2u:%*2u:%*6[0-9.]Z%n", &size);
	assert_true(size > 0);
	assert_string_equal(text + size, " warn  part: it is hot");
}

static void test_fields_follow_and_those_without_value_are_left_out(
	void **state)
{
	const struct log_field fields[] = {{"object", "d0"},
					   {"none", NULL},
					   {"words", "two words"},
					   {"empty", ""},
					   {NULL, NULL}};
	CLEANUP(cleanup_free) char *text = line(LOG_FORMAT_TEXT, fields, "m");

	(void)state;
	assert_non_null(strstr(text, " warn  part: m object=d0 "
				     "words=\"two words\" empty=\"\""));
}

static void test_logfmt_is_pairs_only(void **state)
{
	const struct log_field fields[] = {{"object", "a=b"}, {NULL, NULL}};
	CLEANUP(cleanup_free)
	char *text = line(LOG_FORMAT_LOGFMT, fields, "say \"hi\"");

	(void)state;
	assert_memory_equal(text, "time=", 5);
	assert_non_null(strstr(text, " level=warn component=part "
				     "msg=\"say \\\"hi\\\"\" object=\"a=b\""));
}

/* What stands behind the key of an object, as text. */
static const char *member(struct json_object *o, const char *key)
{
	return json_object_get_string(json_object_object_get(o, key));
}

static struct json_object *parse(const char *text)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct json_object *o = json_parse(text, strlen(text), &err);

	if (!o)
		fail_msg("%s: %s", err.msg, text);
	return o;
}

static void test_json_is_one_object_with_all_of_it(void **state)
{
	const struct log_field fields[] = {
		{"object", "d\"0\\"}, {"none", NULL}, {NULL, NULL}};
	CLEANUP(cleanup_free)
	char *text = line(LOG_FORMAT_JSON, fields, "it is hot");
	CLEANUP(cleanup_json) struct json_object *o = parse(text);

	(void)state;
	assert_int_equal(json_object_object_length(o), 5);
	assert_string_equal(member(o, "level"), "warn");
	assert_string_equal(member(o, "component"), "part");
	assert_string_equal(member(o, "msg"), "it is hot");
	assert_string_equal(member(o, "object"), "d\"0\\");
	assert_non_null(member(o, "time"));
}

/* --- what could confuse readers --- */

static void test_no_control_character_gets_into_any_format(void **state)
{
	const struct log_field fields[] = {{"object", NASTY}, {NULL, NULL}};

	(void)state;
	for (int f = LOG_FORMAT_TEXT; f <= LOG_FORMAT_JSON; f++) {
		CLEANUP(cleanup_free) char *text = line(f, fields, NASTY);

		assert_true(utf8_is_valid(text, strlen(text)));
		assert_false(utf8_has_control(text, strlen(text)));
	}
}

static void test_json_stays_json_whatever_is_logged(void **state)
{
	const struct log_field fields[] = {{"object", "\xff\"}"}, {NULL, NULL}};
	CLEANUP(cleanup_free) char *text = line(LOG_FORMAT_JSON, fields, NASTY);
	CLEANUP(cleanup_json) struct json_object *o = parse(text);

	(void)state;
	assert_memory_equal(member(o, "msg"), "a\nb\tc\x1b[31m\x7f\xc2\x85",
			    13);
}

/* Reads one value of logfmt; returns what follows it. */
static const char *take_value(const char *s, char *out)
{
	if (*s != '"') {
		while (*s && *s != ' ')
			*out++ = *s++;
		*out = '\0';
		return s;
	}
	for (s++; *s && *s != '"'; s++) {
		if (*s == '\\' && (s[1] == '"' || s[1] == '\\'))
			s++;
		*out++ = *s;
	}
	*out = '\0';
	return *s ? s + 1 : s;
}

static void test_a_value_cannot_pretend_to_be_other_fields(void **state)
{
	static const char *const values[] = {"x\" code=OK by=user.admin",
					     "x\\\" code=OK",
					     "x\\",
					     "\\",
					     "x y\\",
					     "\"",
					     "a\\\\\" b",
					     "x=y",
					     "\\n",
					     "x\\ny z"};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		const struct log_field fields[] = {{"object", values[i]},
						   {"code", "ABORTED"},
						   {NULL, NULL}};
		char read[64];

		for (int f = LOG_FORMAT_TEXT; f <= LOG_FORMAT_LOGFMT; f++) {
			CLEANUP(cleanup_free)
			char *text = line(f, fields, "m");
			const char *rest =
				take_value(strstr(text, " object=") + 8, read);

			assert_string_equal(read, values[i]);
			assert_string_equal(rest, " code=ABORTED");
		}
	}
}

/* --- levels --- */

static void test_a_line_above_the_level_is_not_written(void **state)
{
	CLEANUP(cleanup_free) char *text = NULL;
	struct log_capture log;

	(void)state;
	log_set_level(LOG_LEVEL_WARN);
	log_capture_begin(&log);
	log_error("e");
	log_warn("w");
	log_info("i");
	log_debug("d");
	text = log_capture_end(&log);
	assert_non_null(strstr(text, "error test: e\n"));
	assert_non_null(strstr(text, "warn  test: w\n"));
	assert_null(strstr(text, "info"));
	assert_null(strstr(text, "debug"));
	assert_false(log_is_debug());
	log_set_level(LOG_LEVEL_DEBUG);
	assert_true(log_is_debug());
}

static int evaluated;

static int evaluate(void)
{
	return ++evaluated;
}

static void test_what_is_not_debugged_is_not_even_evaluated(void **state)
{
	(void)state;
	log_debug("%d", evaluate());
	assert_int_equal(evaluated, 0);
}

static void test_names_of_levels_and_formats_are_read_in_any_case(void **state)
{
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	static const char *const formats[] = {"text", "logfmt", "json"};

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(log_level_parse(levels[i]), i + 1);
		assert_string_equal(log_level_name(i + 1), levels[i]);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(log_format_parse(formats[i]), i + 1);
		assert_string_equal(log_format_name(i + 1), formats[i]);
	}
	assert_int_equal(log_level_parse("WARN"), LOG_LEVEL_WARN);
	assert_int_equal(log_level_parse("warning"), 0);
	assert_int_equal(log_level_parse(""), 0);
	assert_int_equal(log_format_parse("JSON"), LOG_FORMAT_JSON);
	assert_int_equal(log_format_parse("js"), 0);
}

/* --- writing --- */

static void test_errno_is_left_as_it_was(void **state)
{
	CLEANUP(cleanup_free) char *text = NULL;
	struct log_capture log;

	(void)state;
	for (int f = LOG_FORMAT_TEXT; f <= LOG_FORMAT_JSON; f++) {
		log_set_format(f);
		free(text);
		log_capture_begin(&log);
		errno = EXDEV;
		log_warn("%m");
		assert_int_equal(errno, EXDEV);
		text = log_capture_end(&log);
		assert_non_null(strstr(text, strerror(EXDEV)));
	}
}

static void test_errno_is_left_when_the_log_cannot_be_written(void **state)
{
	int saved = dup(STDERR_FILENO), full = open("/dev/full", O_WRONLY);

	(void)state;
	dup2(full, STDERR_FILENO);
	errno = EXDEV;
	log_warn("nobody reads this");
	assert_int_equal(errno, EXDEV);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(full);
}

static void test_one_event_is_one_write(void **state)
{
	const struct log_field fields[] = {{"object", "d0"}, {NULL, NULL}};
	int saved = dup(STDERR_FILENO), pair[2];
	char buffer[4096];
	ssize_t size;

	(void)state;
	/* each write is a message of its own */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	dup2(pair[0], STDERR_FILENO);
	log_line(LOG_LEVEL_WARN, "part", fields, "one\ntwo");
	log_warn("three");
	dup2(saved, STDERR_FILENO);
	close(saved);
	size = read(pair[1], buffer, sizeof(buffer));
	assert_int_equal(buffer[size - 1], '\n');
	assert_non_null(memmem(buffer, size, "object=d0\n", 10));
	size = read(pair[1], buffer, sizeof(buffer));
	assert_non_null(memmem(buffer, size, "three\n", 6));
	close(pair[0]);
	close(pair[1]);
}

#define THREADS 4
#define LINES   200

static void *log_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < LINES; i++)
		log_warn("0123456789");
	return NULL;
}

static void test_lines_of_threads_do_not_mix(void **state)
{
	CLEANUP(cleanup_free) char *text = NULL;
	pthread_t threads[THREADS];
	struct log_capture log;
	int n = 0;

	(void)state;
	log_capture_begin(&log);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, log_many, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	text = log_capture_end(&log);
	for (char *s = text; (s = strstr(s, " warn  test: 0123456789\n")); n++)
		s++;
	assert_int_equal(n, THREADS * LINES);
}

/* --- audit --- */

/* The line for that caller, without what comes before the action. */
static char *audit_line(const struct caller *caller, const struct err *err)
{
	struct log_capture log;
	char *text, *start;

	log_capture_begin(&log);
	audit(caller, "map volume", "k1", "v1", err);
	text = log_capture_end(&log);
	start = strstr(text, "audit: ");
	assert_non_null(start);
	start = mem_strdup(start + strlen("audit: "));
	free(text);
	return start;
}

static void test_the_audit_says_who_what_which_and_the_result(void **state)
{
	const struct caller peer = {
		.local = true, .uid = 1000, .pid = 77, .peer = "unix:"};
	const struct caller named = {
		.names = (const char *const[]){"host.n1", "x", NULL},
		.peer = "ipv4:192.0.2.1:5"};
	CLEANUP(err_clear) struct err ok = ERR_INIT;
	CLEANUP(err_clear) struct err bad = ERR_INIT;
	CLEANUP(cleanup_free) char *first = audit_line(&peer, &ok);
	CLEANUP(cleanup_free) char *second = NULL;

	(void)state;
	assert_string_equal(first, "map volume controller=k1 object=v1 "
				   "uid=1000 pid=77 peer=unix: code=OK\n");
	err_set(&bad, GRPC_STATUS_NOT_FOUND, "there is none");
	second = audit_line(&named, &bad);
	assert_string_equal(second, "map volume controller=k1 object=v1 "
				    "by=host.n1 peer=ipv4:192.0.2.1:5 "
				    "code=NOT_FOUND error=\"there is none\"\n");
}

#define LOG_TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		LOG_TEST(test_text_has_time_level_component_and_message),
		LOG_TEST(
			test_fields_follow_and_those_without_value_are_left_out),
		LOG_TEST(test_logfmt_is_pairs_only),
		LOG_TEST(test_json_is_one_object_with_all_of_it),
		LOG_TEST(test_no_control_character_gets_into_any_format),
		LOG_TEST(test_json_stays_json_whatever_is_logged),
		LOG_TEST(test_a_value_cannot_pretend_to_be_other_fields),
		LOG_TEST(test_a_line_above_the_level_is_not_written),
		LOG_TEST(test_what_is_not_debugged_is_not_even_evaluated),
		LOG_TEST(test_names_of_levels_and_formats_are_read_in_any_case),
		LOG_TEST(test_errno_is_left_as_it_was),
		LOG_TEST(test_errno_is_left_when_the_log_cannot_be_written),
		LOG_TEST(test_one_event_is_one_write),
		LOG_TEST(test_lines_of_threads_do_not_mix),
		LOG_TEST(test_the_audit_says_who_what_which_and_the_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which address a controller registers if nobody says. */

#include "daemon/core/announce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"

#define ALONE  false
#define SHARED true

static const char *choose(bool is_shared, const char *first, const char *second)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	char *listen[] = {(char *)first, (char *)second, NULL};

	return announce_address("k1", listen, is_shared, &err);
}

static void test_alone_it_is_the_first_unix_socket(void **state)
{
	(void)state;
	assert_string_equal(choose(ALONE, "host:1", "unix:///a"), "unix:///a");
	assert_string_equal(choose(ALONE, "unix:///b", "unix:///a"),
			    "unix:///b");
}

static void test_alone_without_a_unix_socket_it_is_the_first_address(
	void **state)
{
	(void)state;
	assert_string_equal(choose(ALONE, "host:1", "other:2"), "host:1");
}

static void test_where_others_must_reach_it_it_is_on_tcp(void **state)
{
	(void)state;
	assert_string_equal(choose(SHARED, "unix:///a", "host:1"), "host:1");
	assert_string_equal(choose(SHARED, "[::1]:1", "host:1"), "[::1]:1");
}

static void test_what_means_every_interface_leads_nowhere(void **state)
{
	(void)state;
	assert_string_equal(choose(SHARED, "0.0.0.0:1", "host:1"), "host:1");
	assert_string_equal(choose(SHARED, "[::]:1", "host:1"), "host:1");
	assert_string_equal(choose(SHARED, ":1", "host:1"), "host:1");
}

static void test_a_unix_socket_that_others_cannot_reach_is_refused(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	char *listen[] = {(char *)"unix:///a", (char *)"0.0.0.0:1", NULL};

	(void)state;
	assert_null(announce_address("k1", listen, SHARED, &err));
	assert_int_equal(err.code, GRPC_STATUS_FAILED_PRECONDITION);
	assert_non_null(strstr(err.msg, "controller \"k1\""));
	assert_non_null(strstr(err.msg, "controller.k1.address"));
	assert_non_null(strstr(err.msg, "daemon.listen"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone_it_is_the_first_unix_socket),
		cmocka_unit_test(
			test_alone_without_a_unix_socket_it_is_the_first_address),
		cmocka_unit_test(test_where_others_must_reach_it_it_is_on_tcp),
		cmocka_unit_test(test_what_means_every_interface_leads_nowhere),
		cmocka_unit_test(
			test_a_unix_socket_that_others_cannot_reach_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The parameters of a Ceph volume. */

#include "daemon/core/ceph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "tests/unit/ceph_params.h"

/* As `ceph auth get-key` prints it. */
#define KEY "AQBSdFhcGthbGhAA2yKfkGsgzxZNSx8bCPJ0Ww=="

static void test_complete_parameters_are_accepted(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	Oim__V0__CephParams p = ceph_params(KEY);

	(void)state;
	assert_int_equal(ceph_check(&p, &err), 0);
}

static void test_user_and_secret_may_be_left_out(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	Oim__V0__CephParams p = ceph_params("");

	(void)state;
	p.user_id = (char *)"";
	assert_int_equal(ceph_check(&p, &err), 0);
}

static void test_each_of_the_others_is_needed_and_named(void **state)
{
	static const char *const names[] = {"monitors", "pool", "image"};

	(void)state;
	for (int i = 0; i < 3; i++) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		Oim__V0__CephParams p = ceph_params(KEY);
		char **fields[] = {&p.monitors, &p.pool, &p.image};

		*fields[i] = (char *)"";
		assert_int_equal(ceph_check(&p, &err), -1);
		assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
		assert_non_null(strstr(err.msg, names[i]));
	}
}

static void test_a_user_that_is_a_key_is_refused_and_never_shown(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	Oim__V0__CephParams p = ceph_params("admin-user");

	(void)state;
	p.user_id = (char *)KEY;
	assert_int_equal(ceph_check(&p, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_non_null(strstr(err.msg, "secret is field 1"));
	assert_non_null(strstr(err.msg, "user_id field 2"));
	assert_null(strstr(err.msg, KEY));
	assert_null(strstr(err.msg, "admin-user"));
}

static void test_a_user_that_only_resembles_a_key_is_accepted(void **state)
{
	static const char *const users[] = {
		"AQ", "admin==", "AQBS==",
		"AQBSdFhcGthbGhAA2yKfkGsgzxZNSx8bCPJ0Wwaa"};

	(void)state;
	for (size_t i = 0; i < sizeof(users) / sizeof(*users); i++) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		Oim__V0__CephParams p = ceph_params(KEY);

		p.user_id = (char *)users[i];
		assert_int_equal(ceph_check(&p, &err), 0);
	}
}

static void test_secrets_do_not_make_two_volumes(void **state)
{
	Oim__V0__CephParams a = ceph_params("one"), b = ceph_params("two");

	(void)state;
	assert_true(ceph_is_same(&a, &b));
}

static void test_every_other_field_does(void **state)
{
	const Oim__V0__CephParams a = ceph_params(KEY);

	(void)state;
	for (int i = 0; i < 4; i++) {
		Oim__V0__CephParams b = ceph_params(KEY);
		char **fields[] = {&b.monitors, &b.pool, &b.image, &b.user_id};

		*fields[i] = (char *)"another";
		assert_false(ceph_is_same(&a, &b));
		assert_false(ceph_is_same(&b, &a));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complete_parameters_are_accepted),
		cmocka_unit_test(test_user_and_secret_may_be_left_out),
		cmocka_unit_test(test_each_of_the_others_is_needed_and_named),
		cmocka_unit_test(
			test_a_user_that_is_a_key_is_refused_and_never_shown),
		cmocka_unit_test(
			test_a_user_that_only_resembles_a_key_is_accepted),
		cmocka_unit_test(test_secrets_do_not_make_two_volumes),
		cmocka_unit_test(test_every_other_field_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

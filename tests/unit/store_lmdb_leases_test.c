/* Deadlines of leases, with a clock that the test turns. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/store/lmdb_leases.h"
#include "proto/lib/units.h"

#define S UNITS_SECOND

static int make(void **state)
{
	*state = leases_new();
	return 0;
}

static int unmake(void **state)
{
	leases_free(*state);
	return 0;
}

static void assert_due(struct leases *l, int64_t now, size_t n, int64_t id)
{
	int64_t ids[8] = {0};

	assert_int_equal(leases_due(l, now, ids, 8), n);
	assert_int_equal(ids[0], id);
}

static void test_without_leases_there_is_nothing_to_look_for(void **state)
{
	assert_int_equal(leases_next(*state), INT64_MAX);
	assert_due(*state, 100 * S, 0, 0);
	assert_int_equal(leases_next(*state), INT64_MAX);
}

static void test_a_lease_is_due_when_its_time_is_over(void **state)
{
	leases_add(*state, 7, 10, 5 * S);
	assert_int_equal(leases_next(*state), 15 * S);
	assert_due(*state, 15 * S - 1, 0, 0);
	assert_due(*state, 15 * S, 1, 7);
}

static void test_a_lease_is_due_once(void **state)
{
	leases_add(*state, 7, 10, 0);
	assert_due(*state, 10 * S, 1, 7);
	assert_due(*state, 11 * S, 0, 0);
	assert_int_equal(leases_next(*state), INT64_MAX);
}

static void test_a_renewal_counts_from_its_time(void **state)
{
	leases_add(*state, 7, 10, 0);
	assert_true(leases_renew(*state, 7, 9 * S));
	assert_due(*state, 10 * S, 0, 0);
	assert_int_equal(leases_next(*state), 19 * S);
	assert_due(*state, 19 * S, 1, 7);
}

static void test_an_ending_lease_cannot_be_renewed(void **state)
{
	leases_add(*state, 7, 10, 0);
	assert_due(*state, 10 * S, 1, 7);
	assert_false(leases_renew(*state, 7, 10 * S));
}

static void test_a_revived_lease_is_due_later(void **state)
{
	leases_add(*state, 7, 10, 0);
	assert_due(*state, 10 * S, 1, 7);
	leases_revive(*state, 7, 11 * S);
	assert_int_equal(leases_next(*state), 11 * S);
	assert_due(*state, 11 * S, 1, 7);
	leases_revive(*state, 7, 12 * S);
	assert_true(leases_renew(*state, 7, 11 * S));
	assert_due(*state, 12 * S, 0, 0);
}

static void test_only_ending_leases_can_be_revived(void **state)
{
	leases_add(*state, 7, 10, 0);
	leases_revive(*state, 7, 1 * S);
	leases_revive(*state, 8, 1 * S);
	assert_int_equal(leases_next(*state), 10 * S);
	assert_due(*state, 9 * S, 0, 0);
}

static void test_a_removed_lease_is_not_there(void **state)
{
	leases_add(*state, 7, 10, 0);
	leases_add(*state, 8, 10, 0);
	leases_remove(*state, 7);
	leases_remove(*state, 9);
	assert_false(leases_has(*state, 7));
	assert_true(leases_has(*state, 8));
	assert_false(leases_renew(*state, 7, 0));
	assert_due(*state, 10 * S, 1, 8);
}

static void test_leases_are_found_in_any_order_of_ids(void **state)
{
	int64_t ids[100];

	for (int i = 0; i < 100; i++)
		leases_add(*state, 1 + i * 37 % 100, 10 + i, 0);
	for (int i = 0; i < 100; i += 2)
		leases_remove(*state, 1 + i * 37 % 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(leases_has(*state, 1 + i * 37 % 100), i % 2);
	assert_int_equal(leases_due(*state, 200 * S, ids, 100), 50);
}

static void test_searches_are_half_a_second_apart(void **state)
{
	leases_add(*state, 7, 10, 0);
	leases_add(*state, 8, 10, 1);
	assert_due(*state, 10 * S, 1, 7);
	assert_int_equal(leases_next(*state), 10 * S + LEASES_INTERVAL);
}

static void test_a_search_that_found_the_most_goes_on_at_once(void **state)
{
	int64_t ids[2];

	for (int i = 1; i <= 3; i++)
		leases_add(*state, i, 10, 0);
	assert_int_equal(leases_due(*state, 10 * S, ids, 2), 2);
	assert_int_equal(leases_next(*state), 10 * S);
	assert_int_equal(leases_due(*state, 10 * S, ids, 2), 1);
	assert_int_equal(ids[0], 3);
}

#define LEASES_TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEASES_TEST(test_without_leases_there_is_nothing_to_look_for),
		LEASES_TEST(test_a_lease_is_due_when_its_time_is_over),
		LEASES_TEST(test_a_lease_is_due_once),
		LEASES_TEST(test_a_renewal_counts_from_its_time),
		LEASES_TEST(test_an_ending_lease_cannot_be_renewed),
		LEASES_TEST(test_a_revived_lease_is_due_later),
		LEASES_TEST(test_only_ending_leases_can_be_revived),
		LEASES_TEST(test_a_removed_lease_is_not_there),
		LEASES_TEST(test_leases_are_found_in_any_order_of_ids),
		LEASES_TEST(test_searches_are_half_a_second_apart),
		LEASES_TEST(test_a_search_that_found_the_most_goes_on_at_once),
	};

	return cmocka_run_group_tests_name("leases", tests, NULL, NULL);
}

/* Who is lost, and what of it is news. */

#include "daemon/core/lost.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

#define S UNITS_SECOND

static int setup(void **state)
{
	*state = lost_new();
	return 0;
}

static int teardown(void **state)
{
	lost_free(*state);
	return 0;
}

static enum lost_news learn(struct lost *l, const char *id, int64_t lost,
			    int64_t contested)
{
	Oim__State__V1__Liveness r = OIM__STATE__V1__LIVENESS__INIT;

	r.ttl = 10;
	r.lost = lost;
	r.contested = contested;
	return lost_learn(l, id, &r);
}

static void test_who_is_lost_was_last_seen_a_time_to_live_before(void **state)
{
	struct lost *l = *state;

	assert_int_equal(lost_since(l, "k1"), 0);
	learn(l, "k1", 100 * S, 0);
	assert_int_equal(lost_since(l, "k1"), 90 * S);
	assert_int_equal(lost_since(l, "k10"), 0);
	assert_int_equal(lost_count(l), 1);
}

static void test_each_turn_is_news_once(void **state)
{
	struct lost *l = *state;

	assert_int_equal(learn(l, "k1", 0, 0), LOST_NOTHING);
	assert_int_equal(learn(l, "k1", 100 * S, 0), LOST_LOST);
	assert_int_equal(learn(l, "k1", 100 * S, 0), LOST_NOTHING);
	assert_int_equal(learn(l, "k1", 0, 0), LOST_READY);
	assert_int_equal(learn(l, "k1", 0, 0), LOST_NOTHING);
	assert_int_equal(lost_since(l, "k1"), 0);
	assert_int_equal(lost_count(l), 0);
}

static void test_who_is_removed_is_no_news(void **state)
{
	struct lost *l = *state;

	assert_int_equal(lost_learn(l, "k1", NULL), LOST_NOTHING);
	learn(l, "k1", 100 * S, 0);
	assert_int_equal(lost_learn(l, "k1", NULL), LOST_NOTHING);
	assert_int_equal(lost_count(l), 0);
	learn(l, "k2", 0, 100 * S);
	assert_int_equal(lost_learn(l, "k2", NULL), LOST_NOTHING);
}

static void test_a_quarrel_is_news_once_a_minute(void **state)
{
	struct lost *l = *state;

	assert_int_equal(learn(l, "k1", 0, 1000 * S), LOST_CONTESTED);
	assert_int_equal(learn(l, "k1", 0, 1000 * S), LOST_NOTHING);
	assert_int_equal(learn(l, "k1", 0, 1059 * S), LOST_NOTHING);
	assert_int_equal(learn(l, "k2", 0, 1059 * S), LOST_CONTESTED);
	assert_int_equal(learn(l, "k1", 0, 1061 * S), LOST_CONTESTED);
	assert_int_equal(learn(l, "k1", 0, 1062 * S), LOST_NOTHING);
	assert_int_equal(lost_count(l), 0);
}

static void test_who_is_not_found_any_more_is_forgotten(void **state)
{
	struct lost *l = *state;

	learn(l, "k1", 100 * S, 0);
	learn(l, "k2", 100 * S, 0);
	learn(l, "k3", 100 * S, 0);
	for (int i = 0; i < 2; i++) {
		lost_begin(l);
		assert_int_equal(learn(l, "k2", 100 * S, 0), LOST_NOTHING);
		lost_end(l);
		assert_int_equal(lost_count(l), 1);
		assert_int_equal(lost_since(l, "k2"), 90 * S);
	}
}

static void test_many_are_found_in_any_order(void **state)
{
	struct lost *l = *state;

	for (int i = 0; i < 1000; i++) {
		CLEANUP(cleanup_free)
		char *id = mem_printf("k%d", i * 7919 % 1000);

		assert_int_equal(learn(l, id, (i + 100) * S, 0), LOST_LOST);
	}
	assert_int_equal(lost_count(l), 1000);
	for (int i = 0; i < 1000; i++) {
		CLEANUP(cleanup_free)
		char *id = mem_printf("k%d", i * 7919 % 1000);

		assert_int_equal(lost_since(l, id), (i + 90) * S);
		assert_int_equal(learn(l, id, 0, 0), LOST_READY);
	}
	assert_int_equal(lost_count(l), 0);
}

#define LOST_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		LOST_TEST(test_who_is_lost_was_last_seen_a_time_to_live_before),
		LOST_TEST(test_each_turn_is_news_once),
		LOST_TEST(test_who_is_removed_is_no_news),
		LOST_TEST(test_a_quarrel_is_news_once_a_minute),
		LOST_TEST(test_who_is_not_found_any_more_is_forgotten),
		LOST_TEST(test_many_are_found_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Whether a store works, told to those who cannot wait for it. */

#include "daemon/core/probe.h"

#include <sched.h>

#include "proto/lib/units.h"
#include "tests/unit/away_store.h"
#include "tests/unit/core.h"

#define PATIENCE (20 * UNITS_SECOND)

struct fixture {
	char *dir;
	struct away_store store;
	struct probe *probe;
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));

	log_set_level(0);
	f->dir = core_make_dir();
	away_open(&f->store, core_open_store(f->dir));
	*state = f;
	return 0;
}

static void start(struct fixture *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	f->probe = probe_start(&f->store.store, UNITS_SECOND / 1000, &err);
	assert_non_null(f->probe);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	away_hold(&f->store, false);
	probe_stop(f->probe);
	store_close(f->store.disk);
	core_remove_dir(f->dir);
	free(f);
	return 0;
}

static int result(struct fixture *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	int rc = probe_result(f->probe, &err);

	assert_int_equal(rc == -1, !!err.code);
	return err.code;
}

static void wait_for(struct fixture *f, int code)
{
	int64_t until = units_monotonic() + PATIENCE;

	while (result(f) != code) {
		assert_true(units_monotonic() < until);
		sched_yield();
	}
}

static void test_a_failure_and_its_end_are_told(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(result(f), 0);
	f->store.is_broken = true;
	wait_for(f, GRPC_STATUS_UNAVAILABLE);
	f->store.is_broken = false;
	wait_for(f, 0);
}

static void test_nobody_waits_for_a_store_that_does_not_answer(void **state)
{
	struct fixture *f = *state;
	int64_t before = units_monotonic();

	away_hold(&f->store, true);
	start(f);
	away_wait(&f->store, 1);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(result(f), 0);
	assert_true(units_monotonic() - before < PATIENCE / 4);
}

static void test_an_answer_that_takes_long_is_none(void **state)
{
	struct fixture *f = *state;

	away_hold(&f->store, true);
	start(f);
	wait_for(f, GRPC_STATUS_UNAVAILABLE);
	away_hold(&f->store, false);
	wait_for(f, 0);
}

static void test_what_lasts_long_is_worth_no_wait(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct fixture *f = *state;

	start(f);
	assert_int_equal(probe_check(f->probe, &err), 0);
	f->store.is_broken = true;
	while (probe_check(f->probe, &err) == 0)
		sched_yield();
	assert_string_equal(err.msg, "the store is away");
	f->store.is_broken = false;
	do
		err_clear(&err);
	while (probe_check(f->probe, &err) == -1);
	assert_int_equal(probe_check(NULL, &err), 0);
}

#define PROBE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		PROBE_TEST(test_a_failure_and_its_end_are_told),
		PROBE_TEST(test_nobody_waits_for_a_store_that_does_not_answer),
		PROBE_TEST(test_what_lasts_long_is_worth_no_wait),
		PROBE_TEST(test_an_answer_that_takes_long_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

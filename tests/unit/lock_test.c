/* One operation per object at a time. */

#include "daemon/core/lock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"

static int make_locks(void **state)
{
	*state = locks_new();
	return 0;
}

static int free_locks(void **state)
{
	locks_free(*state);
	return 0;
}

static int take(struct locks *l, const char *id)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	lock_take(l, id, &err);
	return err.code;
}

static void test_an_id_that_is_taken_is_aborted(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_int_equal(take(*state, "v1"), 0);
	assert_int_equal(lock_take(*state, "v1", &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_ABORTED);
	assert_non_null(strstr(err.msg, "\"v1\""));
	assert_non_null(err.hint);
	lock_drop(*state, "v1");
}

static void test_an_id_that_was_dropped_can_be_taken_again(void **state)
{
	for (int i = 0; i < 3; i++) {
		assert_int_equal(take(*state, "v1"), 0);
		lock_drop(*state, "v1");
	}
}

static void test_ids_do_not_stand_in_each_others_way(void **state)
{
	static const char *const ids[] = {"v", "v1", "V1", "v1 ", "\xc3\xa4"};

	for (int i = 0; i < 5; i++)
		assert_int_equal(take(*state, ids[i]), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(take(*state, ids[i]), GRPC_STATUS_ABORTED);
	for (int i = 0; i < 5; i++)
		lock_drop(*state, ids[i]);
}

#define THREADS 4
#define ROUNDS  20000
#define IDS     16

static atomic_int owners[IDS];
static atomic_int taken;

/* Takes ids as they come, and sees that nobody else has them. */
static void *work(void *arg)
{
	struct locks *l = arg;
	unsigned seed = (unsigned)(uintptr_t)&seed;
	char id[8];

	for (int i = 0; i < ROUNDS; i++) {
		unsigned k = (seed = seed * 1103515245 + 12345) >> 16 & 15;

		snprintf(id, sizeof(id), "v%u", k);
		if (take(l, id))
			continue;
		if (atomic_fetch_add(&owners[k], 1))
			return "two have it";
		atomic_fetch_add(&taken, 1);
		atomic_fetch_sub(&owners[k], 1);
		lock_drop(l, id);
	}
	return NULL;
}

static void test_of_many_threads_one_has_an_id(void **state)
{
	pthread_t threads[THREADS];
	void *problem;

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, work, *state), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &problem);
		assert_null(problem);
	}
	assert_true(taken >= ROUNDS);
}

#define LOCK_TEST(f) cmocka_unit_test_setup_teardown(f, make_locks, free_locks)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		LOCK_TEST(test_an_id_that_is_taken_is_aborted),
		LOCK_TEST(test_an_id_that_was_dropped_can_be_taken_again),
		LOCK_TEST(test_ids_do_not_stand_in_each_others_way),
		LOCK_TEST(test_of_many_threads_one_has_an_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

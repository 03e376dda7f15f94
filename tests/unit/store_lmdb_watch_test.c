/* Watches of LMDB: what is remembered for them, and what is not any more. */

#include "tests/unit/store_engines.h"
#include "tests/unit/store_recorder.h"

#include <semaphore.h>

static void put_half_mebibyte(struct store *s)
{
	CLEANUP(cleanup_free) char *half = mem_zalloc(1, STORE_MAX_VALUE / 2);
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (store_put(s, "big", half, STORE_MAX_VALUE / 2, &err) < 0)
		fail_msg("%s", err.msg);
}

/* Waits in its first call until it is let go. */
struct slow {
	struct recorder r;
	sem_t called;
	sem_t go;
};

static void slowly(void *arg, const struct store_change *change)
{
	struct slow *slow = arg;

	if (slow->r.changes == 0) {
		sem_post(&slow->called);
		wait_on(&slow->go);
	}
	on_change(&slow->r, change);
}

static void put_128(struct store *s)
{
	struct store_op ops[STORE_MAX_OPS];
	char keys[STORE_MAX_OPS][8];
	struct store_txn txn = {.ops = ops, .n_ops = STORE_MAX_OPS};

	for (int i = 0; i < STORE_MAX_OPS; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%d", i);
		ops[i] = (struct store_op){
			.key = keys[i], .value = "x", .size = 1};
	}
	assert_int_equal(commit(s, &txn), STORE_DONE);
}

/* A watch is stuck while something is done so often; is it told gone, and
 * nothing then? */
static void assert_gone_after(struct store *s, void (*change)(struct store *s),
			      int times)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct slow slow = {.r = RECORDER_INIT};
	struct store_watch *w;

	sem_init(&slow.called, 0, 0);
	sem_init(&slow.go, 0, 0);
	w = store_watch(s, "", 0, slowly, &slow, &err);
	put(s, "first", "1");
	wait_on(&slow.called);
	for (int i = 0; i < times; i++)
		change(s);
	sem_post(&slow.go);
	recorder_expect(&slow.r, 2);
	put(s, "later", "1");
	store_unwatch(w);
	assert_true(slow.r.gone);
	assert_int_equal(slow.r.n, 1);
	assert_int_equal(slow.r.changes, 2);
	recorder_clear(&slow.r);
	sem_destroy(&slow.called);
	sem_destroy(&slow.go);
}

static void test_a_watch_10_000_events_behind_is_told_gone(void **state)
{
	assert_gone_after(store_of(state), put_128, 10000 / 128 + 1);
}

static void test_a_watch_16_mebibytes_behind_is_told_gone(void **state)
{
	assert_gone_after(store_of(state), put_half_mebibyte, 33);
}

static void test_a_watch_less_behind_misses_nothing(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct slow slow = {.r = RECORDER_INIT};
	struct store *s = store_of(state);
	struct store_watch *w;

	sem_init(&slow.called, 0, 0);
	sem_init(&slow.go, 0, 0);
	w = store_watch(s, "", 0, slowly, &slow, &err);
	for (int i = 0; i < 10; i++)
		put_128(s);
	sem_post(&slow.go);
	recorder_expect(&slow.r, 1280);
	store_unwatch(w);
	assert_int_equal(slow.r.n, 1280);
	assert_int_equal(slow.r.changes, 10);
	assert_false(slow.r.gone);
	recorder_clear(&slow.r);
	sem_destroy(&slow.called);
	sem_destroy(&slow.go);
}

static void test_changes_before_the_opening_are_gone(void **state)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	struct fixture *f = *state;
	int64_t revision = put(f->s, "a", "1");

	reopen(f);
	watch(f->s, "", revision, &r);
	recorder_expect(&r, 1);
	reopen(f);
	assert_true(r.gone);
	assert_int_equal(r.n, 0);
}

static void test_a_watch_goes_on_where_the_opening_was(void **state)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	struct fixture *f = *state;
	int64_t revision = put(f->s, "a", "1");

	reopen(f);
	watch(f->s, "", revision + 1, &r);
	put(f->s, "a", "2");
	recorder_expect(&r, 1);
	reopen(f);
	assert_false(r.gone);
	assert_int_equal(r.n, 1);
	assert_string_equal(r.records[0].value, "2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_a_watch_10_000_events_behind_is_told_gone),
		STORE_TEST(test_a_watch_16_mebibytes_behind_is_told_gone),
		STORE_TEST(test_a_watch_less_behind_misses_nothing),
		STORE_TEST(test_changes_before_the_opening_are_gone),
		STORE_TEST(test_a_watch_goes_on_where_the_opening_was),
	};

	return cmocka_run_group_tests_name("lmdb", tests, NULL, NULL);
}

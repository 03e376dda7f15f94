/* What every store promises of watches. */

#include "tests/unit/store_engines.h"
#include "tests/unit/store_recorder.h"

#include <semaphore.h>
#include <unistd.h>

static void assert_record(const struct record *r, const char *key,
			  const char *value, int64_t revision)
{
	assert_string_equal(r->key, key);
	if (value)
		assert_string_equal(r->value, value);
	else
		assert_null(r->value);
	assert_int_equal(r->revision, revision);
}

static void test_a_watch_tells_puts_and_deletes_in_order(void **state)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	struct store *s = store_of(state);
	struct store_watch *w = watch(s, "", 0, &r);
	int64_t first = put(s, "b", "1"), second = put(s, "a", "2");
	int64_t third = del(s, "b");

	recorder_expect(&r, 3);
	store_unwatch(w);
	assert_record(&r.records[0], "b", "1", first);
	assert_record(&r.records[1], "a", "2", second);
	assert_record(&r.records[2], "b", NULL, third);
	assert_int_equal(r.n, 3);
}

static void test_a_watch_tells_of_its_prefix_only(void **state)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	struct store *s = store_of(state);
	struct store_watch *w = watch(s, "b/", 0, &r);

	put(s, "a", "1");
	put(s, "b", "2");
	put(s, "b/x", "3");
	put(s, "c", "4");
	del(s, "b");
	put(s, "b/", "5");
	recorder_expect(&r, 2);
	store_unwatch(w);
	assert_int_equal(r.n, 2);
	assert_string_equal(r.records[0].key, "b/x");
	assert_string_equal(r.records[1].key, "b/");
}

static void test_a_revision_is_told_whole(void **state)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	struct store *s = store_of(state);
	struct store_op ops[] = {
		{.key = "b/1", .value = "1", .size = 1},
		{.key = "x", .value = "2", .size = 1},
		{.key = "b/0"},
		{.key = "b/2", .value = "3", .size = 1},
		{.key = "b/none"},
	};
	struct store_txn txn = {.ops = ops, .n_ops = 5};
	struct store_watch *w;

	put(s, "b/0", "0");
	w = watch(s, "b/", 0, &r);
	commit(s, &txn);
	recorder_expect(&r, 3);
	store_unwatch(w);
	assert_int_equal(r.n, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(r.records[i].revision, txn.revision);
		assert_int_equal(r.records[i].change, 0);
	}
}

static void test_a_watch_from_a_revision_begins_with_it(void **state)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	struct store *s = store_of(state);
	struct store_watch *w;
	int64_t second, third;

	put(s, "a", "1");
	second = put(s, "a", "2");
	third = put(s, "a", "3");
	w = watch(s, "", second, &r);
	recorder_expect(&r, 2);
	store_unwatch(w);
	assert_int_equal(r.n, 2);
	assert_record(&r.records[0], "a", "2", second);
	assert_record(&r.records[1], "a", "3", third);
}

static void test_a_watch_from_now_tells_nothing_old(void **state)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	struct store *s = store_of(state);
	struct store_watch *w;

	put(s, "a", "old");
	w = watch(s, "", 0, &r);
	put(s, "a", "new");
	recorder_expect(&r, 1);
	store_unwatch(w);
	assert_int_equal(r.n, 1);
	assert_string_equal(r.records[0].value, "new");
}

static void test_a_watch_from_the_next_revision_of_a_list_misses_nothing(
	void **state)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);
	struct store_list list;
	struct store_watch *w;

	put(s, "a", "listed");
	assert_int_equal(store_range(s, "", NULL, 0, a, &list, &err), 0);
	put(s, "a", "between");
	w = watch(s, "", list.revision + 1, &r);
	put(s, "a", "watched");
	recorder_expect(&r, 2);
	store_unwatch(w);
	assert_int_equal(r.n, 2);
	assert_string_equal(r.records[0].value, "between");
	assert_string_equal(r.records[1].value, "watched");
}

static void test_a_watch_from_the_future_waits_for_it(void **state)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	struct store *s = store_of(state);
	int64_t now = put(s, "a", "0");
	struct store_watch *w = watch(s, "", now + 3, &r);
	int64_t last, expected = 0;

	do {
		last = put(s, "a", "x");
		expected += last >= now + 3;
	} while (last < now + 4);
	recorder_expect(&r, expected);
	store_unwatch(w);
	assert_int_equal(r.n, expected);
	assert_true(r.records[0].revision >= now + 3);
	assert_int_equal(r.records[expected - 1].revision, last);
}

static void test_what_changes_nothing_is_not_told(void **state)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	struct store *s = store_of(state);
	struct store_watch *w = watch(s, "", 0, &r);
	struct store_compare compare = {"b", 1};
	struct store_op op = {.key = "a", .value = "refused", .size = 7};
	struct store_txn txn = {
		.compares = &compare, .n_compares = 1, .ops = &op, .n_ops = 1};

	del(s, "none");
	assert_int_equal(commit(s, &txn), STORE_REFUSED);
	put(s, "a", "1");
	recorder_expect(&r, 1);
	store_unwatch(w);
	assert_int_equal(r.n, 1);
	assert_string_equal(r.records[0].value, "1");
}

static void test_all_watches_are_told(void **state)
{
	struct recorder r[3] = {RECORDER_INIT, RECORDER_INIT, RECORDER_INIT};
	struct store *s = store_of(state);
	struct store_watch *w[3];

	for (int i = 0; i < 3; i++)
		w[i] = watch(s, "a", 0, &r[i]);
	put(s, "a", "1");
	store_unwatch(w[1]);
	put(s, "a", "2");
	for (int i = 0; i < 3; i += 2) {
		recorder_expect(&r[i], 2);
		store_unwatch(w[i]);
		assert_int_equal(r[i].n, 2);
	}
	assert_true(r[1].n <= 1);
	for (int i = 0; i < 3; i++)
		recorder_clear(&r[i]);
}

static void test_an_ended_watch_is_not_told(void **state)
{
	CLEANUP(recorder_clear) struct recorder ended = RECORDER_INIT;
	CLEANUP(recorder_clear) struct recorder other = RECORDER_INIT;
	struct store *s = store_of(state);
	struct store_watch *w = watch(s, "", 0, &ended);
	struct store_watch *still = watch(s, "", 0, &other);

	store_unwatch(w);
	put(s, "a", "1");
	recorder_expect(&other, 1);
	store_unwatch(still);
	assert_int_equal(ended.n, 0);
}

/* Submits something for whatever it is told, ten times. */
struct echo {
	struct store *s;
	struct store_txn txns[10];
	struct store_op op;
	int told;
	sem_t end;
};

static void after_echo(struct store_txn *txn)
{
	(void)txn;
}

static void echo(void *arg, const struct store_change *change)
{
	struct echo *e = arg;

	(void)change;
	if (e->told == 10) {
		sem_post(&e->end);
		return;
	}
	/* The last one may not be done yet: a change can be told before. */
	e->txns[e->told] = (struct store_txn){
		.ops = &e->op, .n_ops = 1, .done = after_echo};
	store_submit(e->s, &e->txns[e->told++]);
}

static void test_a_consumer_may_submit(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct fixture *f = *state;
	struct echo e = {.s = f->s,
			 .op = {.key = "a", .value = "x", .size = 1}};

	sem_init(&e.end, 0, 0);
	assert_non_null(store_watch(e.s, "a", 0, echo, &e, &err));
	put(e.s, "a", "1");
	wait_on(&e.end);
	reopen(f); /* also waits for the last one to be done */
	sem_destroy(&e.end);
	assert_int_equal(e.told, 10);
}

/* Submits when the store is already being closed. */
static void echo_late(void *arg, const struct store_change *change)
{
	struct echo *e = arg;

	(void)change;
	sem_post(&e->end);
	usleep(50000);
	e->txns[0] = (struct store_txn){
		.ops = &e->op, .n_ops = 1, .done = after_echo};
	store_submit(e->s, &e->txns[0]);
}

static void test_a_consumer_may_submit_while_the_store_is_closed(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct fixture *f = *state;
	struct echo e = {.s = f->s,
			 .op = {.key = "b", .value = "x", .size = 1}};

	sem_init(&e.end, 0, 0);
	assert_non_null(store_watch(f->s, "a", 0, echo_late, &e, &err));
	put(f->s, "a", "1");
	wait_on(&e.end);
	reopen(f);
	sem_destroy(&e.end);
	assert_int_equal(e.txns[0].result, STORE_DONE);
	assert_true(has(f->s, "b"));
}

#define WRITERS 8
#define PUTS    50

static void *put_many(void *arg)
{
	struct err err = ERR_INIT;

	for (int i = 0; i < PUTS; i++)
		if (store_put(arg, "busy", "x", 1, &err) < 0)
			abort();
	return NULL;
}

static void test_changes_of_many_writers_are_told_once_in_order(void **state)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	struct store *s = store_of(state);
	struct store_watch *w = watch(s, "busy", 0, &r);
	pthread_t threads[WRITERS];

	for (int i = 0; i < WRITERS; i++)
		if (pthread_create(&threads[i], NULL, put_many, s))
			abort();
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	recorder_expect(&r, WRITERS * PUTS);
	store_unwatch(w);
	assert_int_equal(r.n, WRITERS * PUTS);
	for (size_t i = 1; i < r.n; i++)
		assert_true(r.records[i - 1].revision < r.records[i].revision);
}

static void test_closing_ends_watches(void **state)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	struct fixture *f = *state;

	watch(f->s, "", 0, &r);
	reopen(f);
	put(f->s, "a", "1");
	assert_int_equal(r.n, 0);
}

static void test_a_watch_cannot_begin_before_the_first_revision(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct recorder r = RECORDER_INIT;

	assert_null(store_watch(store_of(state), "", -1, on_change, &r, &err));
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_a_watch_tells_puts_and_deletes_in_order),
		STORE_TEST(test_a_watch_tells_of_its_prefix_only),
		STORE_TEST(test_a_revision_is_told_whole),
		STORE_TEST(test_a_watch_from_a_revision_begins_with_it),
		STORE_TEST(test_a_watch_from_now_tells_nothing_old),
		STORE_TEST(
			test_a_watch_from_the_next_revision_of_a_list_misses_nothing),
		STORE_TEST(test_a_watch_from_the_future_waits_for_it),
		STORE_TEST(test_what_changes_nothing_is_not_told),
		STORE_TEST(test_all_watches_are_told),
		STORE_TEST(test_an_ended_watch_is_not_told),
		STORE_TEST(test_a_consumer_may_submit),
		STORE_TEST(
			test_a_consumer_may_submit_while_the_store_is_closed),
		STORE_TEST(test_changes_of_many_writers_are_told_once_in_order),
		STORE_TEST(test_closing_ends_watches),
		STORE_TEST(test_a_watch_cannot_begin_before_the_first_revision),
	};

	return RUN_ON_ENGINES(tests, NULL, NULL);
}

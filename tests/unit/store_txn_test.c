/* What every store promises of transactions. */

#include "tests/unit/store_engines.h"

#include <pthread.h>
#include <semaphore.h>

/* --- transactions --- */

static void test_all_keys_of_a_transaction_share_its_revision(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store *s = store_of(state);
	struct store_op ops[] = {{.key = "a", .value = "1", .size = 1},
				 {.key = "b", .value = "2", .size = 1},
				 {.key = "old"}};
	struct store_txn txn = {.ops = ops, .n_ops = 3};
	int64_t before = put(s, "old", "0");
	struct store_kv kv[2];

	assert_int_equal(commit(s, &txn), STORE_DONE);
	assert_true(txn.revision > before);
	assert_true(get(s, "a", a, &kv[0]));
	assert_true(get(s, "b", a, &kv[1]));
	assert_false(has(s, "old"));
	assert_int_equal(kv[0].mod_revision, txn.revision);
	assert_int_equal(kv[1].mod_revision, txn.revision);
}

static enum store_result put_if(struct store *s, const char *key,
				int64_t revision)
{
	struct store_compare compare = {.key = key, .mod_revision = revision};
	struct store_op ops[] = {{.key = key, .value = "new", .size = 3},
				 {.key = "log", .value = "x", .size = 1}};
	struct store_txn txn = {
		.compares = &compare, .n_compares = 1, .ops = ops, .n_ops = 2};

	return commit(s, &txn);
}

static void test_revision_0_means_that_there_is_no_such_key(void **state)
{
	struct store *s = store_of(state);

	assert_int_equal(put_if(s, "a", 0), STORE_DONE);
	assert_int_equal(put_if(s, "a", 0), STORE_REFUSED);
}

static void test_a_stale_compare_refuses_and_changes_nothing(void **state)
{
	struct store *s = store_of(state);
	int64_t first = put(s, "a", "1"), second = put(s, "a", "2");

	assert_int_equal(put_if(s, "a", first), STORE_REFUSED);
	assert_value(s, "a", "2");
	assert_false(has(s, "log"));
	assert_int_equal(revision_of(s), second);

	assert_int_equal(put_if(s, "a", second), STORE_DONE);
	assert_value(s, "a", "new");
	assert_true(has(s, "log"));
}

static void test_one_false_compare_among_true_ones_refuses(void **state)
{
	struct store *s = store_of(state);
	int64_t revision = put(s, "a", "1");
	struct store_compare compares[] = {{"a", revision}, {"b", 1}, {"c", 0}};
	struct store_op op = {.key = "a"};
	struct store_txn txn = {
		.compares = compares, .n_compares = 3, .ops = &op, .n_ops = 1};

	assert_int_equal(commit(s, &txn), STORE_REFUSED);
	assert_int_equal(txn.revision, 0);
	assert_true(has(s, "a"));
}

static void test_a_transaction_may_only_compare(void **state)
{
	struct store *s = store_of(state);
	int64_t revision = put(s, "a", "1");
	struct store_compare compare = {"a", revision};
	struct store_txn txn = {.compares = &compare, .n_compares = 1};

	assert_int_equal(commit(s, &txn), STORE_DONE);
	assert_int_equal(txn.revision, 0);
	compare.mod_revision++;
	assert_int_equal(commit(s, &txn), STORE_REFUSED);
	assert_int_equal(revision_of(s), revision);
}

static void test_a_key_may_be_written_once_in_a_transaction(void **state)
{
	struct store *s = store_of(state);
	struct store_op ops[] = {{.key = "a", .value = "1", .size = 1},
				 {.key = "b"},
				 {.key = "a"}};

	assert_refused(s, &(struct store_txn){.ops = ops, .n_ops = 3});
}

static void test_a_transaction_has_at_most_128_ops_and_compares(void **state)
{
	struct store *s = store_of(state);
	struct store_compare compares[STORE_MAX_OPS + 1] = {0};
	struct store_op ops[STORE_MAX_OPS + 1];
	char keys[STORE_MAX_OPS + 1][8];
	struct store_txn txn = {.compares = compares,
				.n_compares = STORE_MAX_OPS,
				.ops = ops,
				.n_ops = STORE_MAX_OPS};

	for (int i = 0; i <= STORE_MAX_OPS; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%d", i);
		compares[i].key = keys[i];
		ops[i] = (struct store_op){
			.key = keys[i], .value = "x", .size = 1};
	}
	txn.n_ops++;
	assert_refused(s, &txn);
	txn.n_ops--;
	txn.n_compares++;
	assert_refused(s, &txn);
	txn.n_compares--;
	assert_int_equal(commit(s, &txn), STORE_DONE);
	assert_true(has(s, "127"));
}

static void test_values_of_a_transaction_have_a_mebibyte_together(void **state)
{
	CLEANUP(cleanup_free) char *half = mem_zalloc(STORE_MAX_VALUE / 2, 1);
	struct store *s = store_of(state);
	struct store_op ops[] = {
		{.key = "a", .value = half, .size = STORE_MAX_VALUE / 2},
		{.key = "b", .value = half, .size = STORE_MAX_VALUE / 2},
		{.key = "c", .value = half, .size = 1},
	};

	assert_refused(s, &(struct store_txn){.ops = ops, .n_ops = 3});
	assert_int_equal(commit(s, &(struct store_txn){.ops = ops, .n_ops = 2}),
			 STORE_DONE);
}

static void test_a_transaction_without_anything_is_done(void **state)
{
	struct store *s = store_of(state);
	struct store_txn txn = {0};

	assert_int_equal(commit(s, &txn), STORE_DONE);
	assert_int_equal(txn.revision, 0);
}

/* --- submitting --- */

struct chain {
	struct store *s;
	struct store_txn txn;
	struct store_op op;
	char key[16];
	int left;
	int done;
	sem_t end;
};

static void next_in_chain(struct chain *c)
{
	snprintf(c->key, sizeof(c->key), "%d", --c->left);
	c->op = (struct store_op){.key = c->key, .value = "x", .size = 1};
	store_submit(c->s, &c->txn);
}

static void on_link_done(struct store_txn *txn)
{
	struct chain *c = txn->arg;

	c->done += txn->result == STORE_DONE;
	if (c->left)
		next_in_chain(c);
	else
		sem_post(&c->end);
}

static void test_a_transaction_that_is_done_may_submit_the_next(void **state)
{
	struct chain c = {.s = store_of(state), .left = 100};

	c.txn = (struct store_txn){
		.ops = &c.op, .n_ops = 1, .done = on_link_done, .arg = &c};
	sem_init(&c.end, 0, 0);
	next_in_chain(&c);
	wait_on(&c.end);
	sem_destroy(&c.end);
	assert_int_equal(c.done, 100);
	assert_true(has(c.s, "0"));
	assert_true(has(c.s, "99"));
}

static void count_failure(struct store_txn *txn)
{
	if (txn->result == STORE_FAILED &&
	    txn->err.code == GRPC_STATUS_INVALID_ARGUMENT)
		++*(int *)txn->arg;
	err_clear(&txn->err);
}

static void test_a_bad_transaction_is_done_at_once(void **state)
{
	int failures = 0;
	struct store_op op = {.key = "", .value = "x", .size = 1};
	struct store_txn txn = {.ops = &op,
				.n_ops = 1,
				.done = count_failure,
				.arg = &failures};

	store_submit(store_of(state), &txn);
	assert_int_equal(failures, 1);
}

static void count_done(struct store_txn *txn)
{
	__atomic_fetch_add((int *)txn->arg, txn->result == STORE_DONE,
			   __ATOMIC_SEQ_CST);
}

static void test_closing_waits_for_writes_under_way(void **state)
{
	enum { N = 50 };
	struct fixture *f = *state;
	struct store_txn txns[N];
	struct store_op ops[N];
	char keys[N][8];
	int done = 0;

	for (int i = 0; i < N; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%d", i);
		ops[i] = (struct store_op){
			.key = keys[i], .value = "x", .size = 1};
		txns[i] = (struct store_txn){.ops = &ops[i],
					     .n_ops = 1,
					     .done = count_done,
					     .arg = &done};
		store_submit(f->s, &txns[i]);
	}
	reopen(f);
	assert_int_equal(done, N);
	assert_true(has(f->s, "49"));
}

/* --- many at a time --- */

#define WRITERS 64
#define ROUNDS  10

struct worker {
	struct store *s;
	int number;
	int64_t revisions[ROUNDS];
	bool failed;
	pthread_t thread;
};

static void run_workers(struct worker *workers, struct store *s,
			void *(*run)(void *arg))
{
	for (int i = 0; i < WRITERS; i++) {
		workers[i].s = s;
		workers[i].number = i;
		if (pthread_create(&workers[i].thread, NULL, run, &workers[i]))
			abort();
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(workers[i].thread, NULL);
}

static void *put_own_keys(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < ROUNDS; i++) {
		char key[32];
		struct store_op op = {.key = key, .value = key};
		struct store_txn txn = {.ops = &op, .n_ops = 1};
		struct err err = ERR_INIT;

		op.size = (size_t)snprintf(key, sizeof(key), "%d/%d", w->number,
					   i);
		if (store_commit(w->s, &txn, &err) != STORE_DONE) {
			w->failed = true;
			err_clear(&err);
		}
		w->revisions[i] = txn.revision;
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void test_each_of_64_writers_gets_its_own_revisions(void **state)
{
	struct worker workers[WRITERS] = {0};
	int64_t all[WRITERS * ROUNDS];
	struct fixture *f = *state;

	run_workers(workers, f->s, put_own_keys);
	for (int i = 0; i < WRITERS; i++) {
		assert_false(workers[i].failed);
		for (int k = 1; k < ROUNDS; k++)
			assert_true(workers[i].revisions[k - 1] <
				    workers[i].revisions[k]);
		memcpy(all + i * ROUNDS, workers[i].revisions,
		       sizeof(workers[i].revisions));
	}
	qsort(all, WRITERS * ROUNDS, sizeof(*all), by_value);
	for (int i = 1; i < WRITERS * ROUNDS; i++)
		assert_true(all[i - 1] < all[i]);
}

static void test_what_64_writers_were_told_is_there_later(void **state)
{
	struct worker workers[WRITERS] = {0};
	struct fixture *f = *state;

	run_workers(workers, f->s, put_own_keys);
	reopen(f);
	for (int i = 0; i < WRITERS; i++)
		for (int k = 0; k < ROUNDS; k++) {
			char key[32];

			snprintf(key, sizeof(key), "%d/%d", i, k);
			assert_value(f->s, key, key);
		}
}

static bool try_increment(struct store *s, struct arena *a)
{
	struct err err = ERR_INIT;
	struct store_kv kv;
	char value[16];
	struct store_compare compare = {.key = "count"};
	struct store_op op = {.key = "count", .value = value};
	struct store_txn txn = {
		.compares = &compare, .n_compares = 1, .ops = &op, .n_ops = 1};

	if (store_get(s, "count", a, &kv, &err) != 1)
		abort();
	compare.mod_revision = kv.mod_revision;
	op.size = (size_t)snprintf(value, sizeof(value), "%ld",
				   strtol(kv.value, NULL, 10) + 1);
	return store_commit(s, &txn, &err) == STORE_DONE;
}

static void *increment(void *arg)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct worker *w = arg;

	while (!try_increment(w->s, a))
		arena_reset(a);
	return NULL;
}

static void test_no_increment_of_64_writers_is_lost(void **state)
{
	struct worker workers[WRITERS] = {0};
	struct store *s = store_of(state);

	put(s, "count", "0");
	run_workers(workers, s, increment);
	assert_value(s, "count", "64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_all_keys_of_a_transaction_share_its_revision),
		STORE_TEST(test_revision_0_means_that_there_is_no_such_key),
		STORE_TEST(test_a_stale_compare_refuses_and_changes_nothing),
		STORE_TEST(test_one_false_compare_among_true_ones_refuses),
		STORE_TEST(test_a_transaction_may_only_compare),
		STORE_TEST(test_a_key_may_be_written_once_in_a_transaction),
		STORE_TEST(test_a_transaction_has_at_most_128_ops_and_compares),
		STORE_TEST(
			test_values_of_a_transaction_have_a_mebibyte_together),
		STORE_TEST(test_a_transaction_without_anything_is_done),
		STORE_TEST(test_a_transaction_that_is_done_may_submit_the_next),
		STORE_TEST(test_a_bad_transaction_is_done_at_once),
		STORE_TEST(test_closing_waits_for_writes_under_way),
		STORE_TEST(test_each_of_64_writers_gets_its_own_revisions),
		STORE_TEST(test_what_64_writers_were_told_is_there_later),
		STORE_TEST(test_no_increment_of_64_writers_is_lost),
	};

	return RUN_ON_ENGINES(tests, NULL, NULL);
}

/* What every store promises of leases. */

#include "tests/unit/store_engines.h"
#include "tests/unit/store_recorder.h"

static int64_t grant(struct store *s, int64_t ttl)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	int64_t id = 0;

	if (store_lease_grant(s, ttl, &id, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(id > 0);
	return id;
}

static void end_lease(struct store *s, int64_t id)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (store_lease_revoke(s, id, &err) < 0)
		fail_msg("%s", err.msg);
}

static int renew_code(struct store *s, int64_t id)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	return store_lease_renew(s, id, &err) < 0 ? err.code : GRPC_STATUS_OK;
}

static int revoke_code(struct store *s, int64_t id)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	return store_lease_revoke(s, id, &err) < 0 ? err.code : GRPC_STATUS_OK;
}

static void test_a_lease_lasts_5_to_9e9_seconds(void **state)
{
	static const int64_t bad[] = {INT64_MIN, -1,
				      0,         STORE_MIN_TTL - 1,
				      INT64_MAX, STORE_MAX_TTL + 1};
	struct store *s = store_of(state);

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		int64_t id = 0;

		assert_int_equal(store_lease_grant(s, bad[i], &id, &err), -1);
		assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	}
	grant(s, STORE_MIN_TTL);
	grant(s, STORE_MAX_TTL);
}

static void test_a_key_says_its_lease(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store *s = store_of(state);
	int64_t id = grant(s, 60);
	struct store_kv kv;

	put_on(s, "a", "1", id);
	assert_true(get(s, "a", a, &kv));
	assert_int_equal(kv.lease, id);
}

static void test_a_revoked_lease_takes_its_keys_in_one_revision(void **state)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	struct store *s = store_of(state);
	int64_t id = grant(s, 60), other = grant(s, 60);
	struct store_watch *w;

	put_on(s, "a", "1", id);
	put_on(s, "b", "2", id);
	put_on(s, "c", "3", other);
	put(s, "d", "4");
	w = watch(s, "", 0, &r);
	end_lease(s, id);
	recorder_expect(&r, 2);
	store_unwatch(w);
	assert_int_equal(r.n, 2);
	assert_null(r.records[0].value);
	assert_null(r.records[1].value);
	assert_int_equal(r.records[0].revision, r.records[1].revision);
	assert_int_equal(r.records[0].change, r.records[1].change);
	assert_false(has(s, "a"));
	assert_false(has(s, "b"));
	assert_true(has(s, "c"));
	assert_true(has(s, "d"));
}

static void test_more_keys_than_a_transaction_has_end_with_a_lease(void **state)
{
	struct store *s = store_of(state);
	int64_t id = grant(s, 60);
	char key[16];

	for (int i = 0; i < 2 * STORE_MAX_OPS; i++) {
		snprintf(key, sizeof(key), "%d", i);
		put_on(s, key, "x", id);
	}
	end_lease(s, id);
	assert_false(has(s, "0"));
	assert_false(has(s, key));
}

static void test_an_ended_lease_is_not_found(void **state)
{
	struct store *s = store_of(state);
	int64_t id = grant(s, 60);

	end_lease(s, id);
	assert_int_equal(renew_code(s, id), GRPC_STATUS_NOT_FOUND);
	assert_int_equal(revoke_code(s, id), GRPC_STATUS_NOT_FOUND);
}

static void test_an_unknown_lease_is_not_found(void **state)
{
	struct store *s = store_of(state);

	assert_int_equal(renew_code(s, 4711), GRPC_STATUS_NOT_FOUND);
	assert_int_equal(revoke_code(s, 4711), GRPC_STATUS_NOT_FOUND);
}

static void test_a_put_on_an_unknown_lease_changes_nothing(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);
	struct store_op ops[] = {
		{.key = "a", .value = "1", .size = 1},
		{.key = "b", .value = "2", .size = 1, .lease = 4711}};
	struct store_txn txn = {.ops = ops, .n_ops = 2};

	assert_int_equal(store_commit(s, &txn, &err), STORE_FAILED);
	assert_int_equal(err.code, GRPC_STATUS_NOT_FOUND);
	assert_false(has(s, "a"));
	assert_false(has(s, "b"));
}

static void test_a_put_without_a_lease_detaches(void **state)
{
	struct store *s = store_of(state);
	int64_t id = grant(s, 60);

	put_on(s, "a", "1", id);
	put(s, "a", "2");
	end_lease(s, id);
	assert_value(s, "a", "2");
}

static void test_a_put_moves_a_key_to_another_lease(void **state)
{
	struct store *s = store_of(state);
	int64_t first = grant(s, 60), second = grant(s, 60);

	put_on(s, "a", "1", first);
	put_on(s, "a", "2", second);
	end_lease(s, first);
	assert_true(has(s, "a"));
	end_lease(s, second);
	assert_false(has(s, "a"));
}

static void test_a_deleted_key_does_not_come_back_to_its_lease(void **state)
{
	struct store *s = store_of(state);
	int64_t id = grant(s, 60);

	put_on(s, "a", "1", id);
	del(s, "a");
	put(s, "a", "2");
	end_lease(s, id);
	assert_value(s, "a", "2");
}

static void test_grants_and_renewals_change_no_revision(void **state)
{
	struct store *s = store_of(state);
	int64_t before = put(s, "a", "1"), id = grant(s, 60);

	assert_int_equal(renew_code(s, id), GRPC_STATUS_OK);
	end_lease(s, id);
	assert_int_equal(revision_of(s), before);
}

static void test_leases_are_there_after_opening_again(void **state)
{
	struct fixture *f = *state;
	int64_t id = grant(f->s, 60), ended = grant(f->s, 60);

	put_on(f->s, "a", "1", id);
	end_lease(f->s, ended);
	reopen(f);
	assert_int_equal(renew_code(f->s, id), GRPC_STATUS_OK);
	assert_int_equal(renew_code(f->s, ended), GRPC_STATUS_NOT_FOUND);
	end_lease(f->s, id);
	assert_false(has(f->s, "a"));
}

/* --- time --- */

/*
 * Lease times are seconds, so all that is about them happens at once, on two
 * stores: some leases are granted, after two seconds one is renewed and one
 * store is opened again, and then all end.
 */
#define TTL STORE_MIN_TTL

struct times {
	struct fixture *left; /* open all the time */
	struct fixture *right;
	int64_t plain;
	int64_t renewed;
	int64_t granted_at;
	int64_t renewed_at;
	int64_t opened_at;
	bool renewed_was_there; /* when the plain one had ended */
	bool opened_was_there;
	struct recorder left_told;
	struct recorder right_told;
};

static void let_leases_end(struct times *t)
{
	struct store *s = t->left->s;

	t->granted_at = units_monotonic();
	t->plain = grant(s, TTL);
	t->renewed = grant(s, TTL);
	put_on(s, "plain/1", "x", t->plain);
	put_on(s, "plain/2", "x", t->plain);
	put_on(s, "renewed", "x", t->renewed);
	put_on(t->right->s, "opened", "x", grant(t->right->s, TTL));
	watch(s, "", 0, &t->left_told);

	recorder_wait(&t->left_told, 1, t->granted_at + 2 * UNITS_SECOND);
	t->renewed_at = units_monotonic();
	assert_int_equal(renew_code(s, t->renewed), GRPC_STATUS_OK);
	t->opened_at = units_monotonic();
	reopen(t->right);
	watch(t->right->s, "", 0, &t->right_told);

	recorder_expect(&t->left_told, 2);
	t->renewed_was_there = has(s, "renewed");
	t->opened_was_there = has(t->right->s, "opened");
	recorder_expect(&t->left_told, 3);
	recorder_expect(&t->right_told, 1);
}

static int open_two(void **state)
{
	struct times *t = mem_zalloc(1, sizeof(*t));
	void *left, *right;

	open_fresh(&left);
	open_fresh(&right);
	*t = (struct times){.left = left,
			    .right = right,
			    .left_told = RECORDER_INIT,
			    .right_told = RECORDER_INIT};
	*state = t;
	let_leases_end(t);
	return 0;
}

static int remove_two(void **state)
{
	struct times *t = *state;
	void *left = t->left, *right = t->right;

	remove_store(&left);
	remove_store(&right);
	recorder_clear(&t->left_told);
	recorder_clear(&t->right_told);
	free(t);
	return 0;
}

/* Not earlier than its time, and later by seconds at most. */
static void assert_ended(const struct record *r, const char *key, int64_t from)
{
	assert_string_equal(r->key, key);
	assert_null(r->value);
	assert_in_range(r->time - from, TTL * UNITS_SECOND,
			(TTL + 10) * UNITS_SECOND);
}

static void test_a_lease_ends_after_its_time_in_one_revision(void **state)
{
	struct times *t = *state;
	struct record *r = t->left_told.records;

	assert_ended(&r[0], "plain/1", t->granted_at);
	assert_ended(&r[1], "plain/2", t->granted_at);
	assert_int_equal(r[0].revision, r[1].revision);
	assert_int_equal(renew_code(t->left->s, t->plain),
			 GRPC_STATUS_NOT_FOUND);
}

static void test_a_renewed_lease_lasts_its_time_from_then(void **state)
{
	struct times *t = *state;

	assert_true(t->renewed_was_there);
	assert_ended(&t->left_told.records[2], "renewed", t->renewed_at);
}

static void test_opening_again_never_makes_a_lease_shorter(void **state)
{
	struct times *t = *state;

	assert_ended(&t->right_told.records[0], "opened",
		     engine->restarts_leases ? t->opened_at : t->granted_at);
	/* How soon after its time it ends is not promised. */
	if (engine->restarts_leases)
		assert_true(t->opened_was_there);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_a_lease_lasts_5_to_9e9_seconds),
		STORE_TEST(test_a_key_says_its_lease),
		STORE_TEST(test_a_revoked_lease_takes_its_keys_in_one_revision),
		STORE_TEST(
			test_more_keys_than_a_transaction_has_end_with_a_lease),
		STORE_TEST(test_an_ended_lease_is_not_found),
		STORE_TEST(test_an_unknown_lease_is_not_found),
		STORE_TEST(test_a_put_on_an_unknown_lease_changes_nothing),
		STORE_TEST(test_a_put_without_a_lease_detaches),
		STORE_TEST(test_a_put_moves_a_key_to_another_lease),
		STORE_TEST(test_a_deleted_key_does_not_come_back_to_its_lease),
		STORE_TEST(test_grants_and_renewals_change_no_revision),
		STORE_TEST(test_leases_are_there_after_opening_again),
	};
	const struct CMUnitTest in_time[] = {
		cmocka_unit_test(
			test_a_lease_ends_after_its_time_in_one_revision),
		cmocka_unit_test(test_a_renewed_lease_lasts_its_time_from_then),
		cmocka_unit_test(
			test_opening_again_never_makes_a_lease_shorter),
	};

	return RUN_ON_ENGINES(tests, NULL, NULL) +
	       RUN_ON_ENGINES(in_time, open_two, remove_two);
}

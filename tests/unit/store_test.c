/* What every store promises: keys and ranges. */

#include "tests/unit/store_engines.h"

#include <pthread.h>

#include "oim/state/v1/state.pb-c.h"

/* --- keys --- */

static void test_a_key_that_was_put_is_read_back(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store *s = store_of(state);
	int64_t revision = put(s, "bdevs/a", "one");
	struct store_kv kv;

	assert_true(revision > 0);
	assert_true(get(s, "bdevs/a", a, &kv));
	assert_string_equal(kv.key, "bdevs/a");
	assert_string_equal(kv.value, "one");
	assert_int_equal(kv.size, 3);
	assert_int_equal(kv.create_revision, revision);
	assert_int_equal(kv.mod_revision, revision);
	assert_int_equal(kv.lease, 0);
}

static void test_a_key_that_was_not_put_is_not_there(void **state)
{
	struct store *s = store_of(state);

	put(s, "bdevs/a", "one");
	assert_false(has(s, "bdevs"));
	assert_false(has(s, "bdevs/"));
	assert_false(has(s, "bdevs/aa"));
}

static void test_an_empty_value_is_a_value(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);

	assert_int_equal(store_put(s, "a", NULL, 0, &err), 0);
	put(s, "b", "");
	assert_value(s, "a", "");
	assert_value(s, "b", "");
}

static void test_a_value_may_hold_any_bytes(void **state)
{
	static const unsigned char bytes[] = {0, 0xff, 0, 1, 0x80, 0};
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);
	struct store_kv kv;

	assert_int_equal(store_put(s, "k", bytes, sizeof(bytes), &err), 0);
	assert_true(get(s, "k", a, &kv));
	assert_int_equal(kv.size, sizeof(bytes));
	assert_memory_equal(kv.value, bytes, sizeof(bytes));
}

static void test_a_value_has_at_most_a_mebibyte(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(cleanup_free) char *big = mem_zalloc(STORE_MAX_VALUE + 1, 1);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);
	struct store_kv kv;

	memset(big, 'x', STORE_MAX_VALUE);
	assert_int_equal(store_put(s, "k", big, STORE_MAX_VALUE, &err), 0);
	assert_true(get(s, "k", a, &kv));
	assert_int_equal(kv.size, STORE_MAX_VALUE);
	assert_memory_equal(kv.value, big, STORE_MAX_VALUE);

	assert_int_equal(store_put(s, "k", big, STORE_MAX_VALUE + 1, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
}

static void test_a_key_has_1_to_480_bytes(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store *s = store_of(state);
	char longest[STORE_MAX_KEY + 1], too_long[STORE_MAX_KEY + 2];
	const char *const bad[] = {"", too_long};
	struct store_kv kv;

	snprintf(longest, sizeof(longest), "%0*d", STORE_MAX_KEY, 0);
	snprintf(too_long, sizeof(too_long), "%0*d", STORE_MAX_KEY + 1, 0);
	for (int i = 0; i < 2; i++) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		struct store_op op = {.key = bad[i], .value = "x", .size = 1};
		struct store_compare compare = {.key = bad[i]};

		assert_refused(s, &(struct store_txn){.ops = &op, .n_ops = 1});
		assert_refused(s, &(struct store_txn){.compares = &compare,
						      .n_compares = 1});
		assert_int_equal(store_get(s, bad[i], a, &kv, &err), -1);
		assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	}
	put(s, longest, "x");
	assert_value(s, longest, "x");
}

static void test_a_message_is_stored_encoded(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);
	Oim__State__V1__BDev bdev = OIM__STATE__V1__BDEV__INIT, *back;
	struct store_kv kv;

	bdev.name = "d0";
	bdev.size = 1 << 20;
	assert_int_equal(store_put_message(s, "bdevs/d0", &bdev.base, &err), 0);
	assert_true(get(s, "bdevs/d0", a, &kv));
	back = arena_unpack(a, &oim__state__v1__bdev__descriptor, kv.value,
			    kv.size);
	assert_non_null(back);
	assert_string_equal(back->name, "d0");
	assert_int_equal(back->size, 1 << 20);
}

static void test_an_empty_message_is_stored_too(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);
	Oim__State__V1__BDev bdev = OIM__STATE__V1__BDEV__INIT;

	assert_int_equal(store_put_message(s, "bdevs/d0", &bdev.base, &err), 0);
	assert_value(s, "bdevs/d0", "");
}

static void test_a_deleted_key_is_not_there(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);
	int64_t revision = put(s, "a", "1");

	assert_int_equal(store_delete(s, "a", &err), 0);
	assert_false(has(s, "a"));
	assert_true(revision_of(s) > revision);
}

static void test_a_delete_of_nothing_changes_nothing(void **state)
{
	struct store *s = store_of(state);
	int64_t before = put(s, "a", "1");

	assert_int_equal(del(s, "b"), 0);
	assert_int_equal(revision_of(s), before);
}

static void test_a_put_of_the_same_value_is_a_change(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store *s = store_of(state);
	int64_t first = put(s, "a", "1"), second = put(s, "a", "1");
	struct store_kv kv;

	assert_true(second > first);
	assert_true(get(s, "a", a, &kv));
	assert_int_equal(kv.create_revision, first);
	assert_int_equal(kv.mod_revision, second);
}

static void test_a_key_made_anew_is_a_new_one(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store *s = store_of(state);
	struct store_kv kv;
	int64_t anew;

	put(s, "a", "1");
	del(s, "a");
	anew = put(s, "a", "2");
	assert_true(get(s, "a", a, &kv));
	assert_int_equal(kv.create_revision, anew);
}

/* --- ranges --- */

static void list(struct store *s, const char *prefix, const char *after,
		 size_t limit, struct arena *a, struct store_list *l)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (store_range(s, prefix, after, limit, a, l, &err) < 0)
		fail_msg("%s", err.msg);
}

/* The keys of a range, each followed by a space. */
static const char *keys_of(struct store *s, const char *prefix,
			   const char *after, size_t limit, struct arena *a)
{
	struct store_list l;
	char *keys = arena_strdup(a, "");

	list(s, prefix, after, limit, a, &l);
	for (size_t i = 0; i < l.n; i++)
		keys = arena_printf(a, "%s%s ", keys, l.kvs[i].key);
	return keys;
}

static void put_some(struct store *s)
{
	static const char *const keys[] = {"b/2",    "a",   "b/10", "c", "b",
					   "b/\xff", "b/1", "b0",   "b/"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		put(s, keys[i], keys[i]);
}

static void test_a_range_has_the_keys_of_a_prefix_in_byte_order(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store *s = store_of(state);

	put_some(s);
	assert_string_equal(keys_of(s, "b/", NULL, 0, a),
			    "b/ b/1 b/10 b/2 b/\xff ");
	assert_string_equal(keys_of(s, "", NULL, 0, a),
			    "a b b/ b/1 b/10 b/2 b/\xff b0 c ");
	assert_string_equal(keys_of(s, "b/\xff", NULL, 0, a), "b/\xff ");
	assert_string_equal(keys_of(s, "bb", NULL, 0, a), "");
	assert_string_equal(keys_of(s, "\xff", NULL, 0, a), "");
}

static void test_a_range_begins_behind_a_key(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store *s = store_of(state);

	put_some(s);
	assert_string_equal(keys_of(s, "b/", "b/10", 0, a), "b/2 b/\xff ");
	assert_string_equal(keys_of(s, "b/", "b/11", 0, a), "b/2 b/\xff ");
	assert_string_equal(keys_of(s, "b/", "a", 2, a), "b/ b/1 ");
	assert_string_equal(keys_of(s, "b/", "b/", 2, a), "b/1 b/10 ");
	assert_string_equal(keys_of(s, "b/", "b/\xff", 0, a), "");
	assert_string_equal(keys_of(s, "b/", "c", 0, a), "");
	assert_string_equal(keys_of(s, "", "", 2, a), "a b ");
}

static void test_a_range_carries_what_get_does(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store *s = store_of(state);
	int64_t revision = put(s, "b", "two"), last = put(s, "a", "one");
	struct store_list l;

	list(s, "", NULL, 0, a, &l);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.kvs[1].key, "b");
	assert_string_equal(l.kvs[1].value, "two");
	assert_int_equal(l.kvs[1].size, 3);
	assert_int_equal(l.kvs[1].create_revision, revision);
	assert_int_equal(l.kvs[1].mod_revision, revision);
	assert_int_equal(l.revision, last);
	assert_false(l.more);
}

static void test_a_limit_says_whether_there_is_more(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store *s = store_of(state);
	struct store_list l;

	put_some(s);
	list(s, "b/", NULL, 4, a, &l);
	assert_int_equal(l.n, 4);
	assert_true(l.more);
	list(s, "b/", NULL, 5, a, &l);
	assert_int_equal(l.n, 5);
	assert_false(l.more);
}

static void test_pages_have_every_key_once(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store *s = store_of(state);
	struct store_list l = {.more = true};
	const char *after = NULL;
	size_t n = 0;

	put_some(s);
	while (l.more) {
		list(s, "", after, 2, a, &l);
		after = l.kvs[l.n - 1].key;
		n += l.n;
	}
	assert_int_equal(n, 9);
}

static void test_an_empty_store_has_an_empty_range(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store_list l;

	list(store_of(state), "", NULL, 0, a, &l);
	assert_int_equal(l.n, 0);
	assert_false(l.more);
}

struct flipper {
	struct store *s;
	bool stop;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;

	for (int i = 0; !__atomic_load_n(&f->stop, __ATOMIC_SEQ_CST); i++) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		char value[16];
		struct store_op ops[] = {{.key = "left", .value = value},
					 {.key = "right", .value = value}};
		struct store_txn txn = {.ops = ops, .n_ops = 2};

		ops[0].size = ops[1].size =
			(size_t)snprintf(value, sizeof(value), "%d", i);
		store_commit(f->s, &txn, &err);
	}
	return NULL;
}

static void test_a_range_is_one_snapshot(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct flipper f = {.s = store_of(state)};
	int changes = 0, differences = 0;
	int64_t last = 0;
	pthread_t thread;
	struct store_list l;

	if (pthread_create(&thread, NULL, flip, &f))
		abort();
	while (changes < 50) {
		list(f.s, "", NULL, 0, a, &l);
		if (l.n) {
			changes += l.revision != last;
			differences += l.n != 2 ||
				       strcmp(l.kvs[0].value, l.kvs[1].value) ||
				       l.kvs[0].mod_revision != l.revision;
		}
		last = l.revision;
		arena_reset(a);
	}
	__atomic_store_n(&f.stop, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	assert_int_equal(differences, 0);
}

struct visit {
	struct arena *a;
	char *keys;
	size_t left;
};

static bool note_key(void *arg, const struct store_kv *kv)
{
	struct visit *v = arg;

	v->keys = arena_printf(v->a, "%s%s=%.*s ", v->keys, kv->key,
			       (int)kv->size, (const char *)kv->value);
	return --v->left;
}

static void test_each_visits_in_order_until_told_to_stop(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);
	struct visit all = {.a = a, .keys = "", .left = 99};
	struct visit two = {.a = a, .keys = "", .left = 2};

	put_some(s);
	assert_int_equal(store_each(s, "b/1", note_key, &all, &err), 0);
	assert_string_equal(all.keys, "b/1=b/1 b/10=b/10 ");
	assert_int_equal(store_each(s, "", note_key, &two, &err), 0);
	assert_string_equal(two.keys, "a=a b=b ");
}

/* --- the store --- */

static void test_a_store_keeps_its_id_and_revision(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *id = mem_strdup(store_id(f->s));
	int64_t revision = put(f->s, "a", "1");

	reopen(f);
	assert_string_equal(store_id(f->s), id);
	assert_int_equal(revision_of(f->s), revision);
	assert_value(f->s, "a", "1");
	assert_true(put(f->s, "a", "2") > revision);
}

static void test_a_store_says_how_it_is(void **state)
{
	struct fixture *f = *state;
	int64_t revision = put(f->s, "a", "1");
	struct store_status status = status_of(f->s);

	assert_string_equal(status.engine, f->engine->name);
	assert_string_not_equal(status.location, "");
	assert_int_equal(status.revision, revision);
	assert_true(status.size > 0);
}

static void test_closing_none_does_nothing(void **state)
{
	(void)state;
	store_close(NULL);
	store_unwatch(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_a_key_that_was_put_is_read_back),
		STORE_TEST(test_a_key_that_was_not_put_is_not_there),
		STORE_TEST(test_an_empty_value_is_a_value),
		STORE_TEST(test_a_value_may_hold_any_bytes),
		STORE_TEST(test_a_value_has_at_most_a_mebibyte),
		STORE_TEST(test_a_key_has_1_to_480_bytes),
		STORE_TEST(test_a_message_is_stored_encoded),
		STORE_TEST(test_an_empty_message_is_stored_too),
		STORE_TEST(test_a_deleted_key_is_not_there),
		STORE_TEST(test_a_delete_of_nothing_changes_nothing),
		STORE_TEST(test_a_put_of_the_same_value_is_a_change),
		STORE_TEST(test_a_key_made_anew_is_a_new_one),
		STORE_TEST(test_a_range_has_the_keys_of_a_prefix_in_byte_order),
		STORE_TEST(test_a_range_begins_behind_a_key),
		STORE_TEST(test_a_range_carries_what_get_does),
		STORE_TEST(test_a_limit_says_whether_there_is_more),
		STORE_TEST(test_pages_have_every_key_once),
		STORE_TEST(test_an_empty_store_has_an_empty_range),
		STORE_TEST(test_a_range_is_one_snapshot),
		STORE_TEST(test_each_visits_in_order_until_told_to_stop),
		STORE_TEST(test_a_store_keeps_its_id_and_revision),
		STORE_TEST(test_a_store_says_how_it_is),
		STORE_TEST(test_closing_none_does_nothing),
	};

	return RUN_ON_ENGINES(tests, NULL, NULL);
}

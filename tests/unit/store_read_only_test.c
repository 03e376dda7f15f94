/* The embedded store when it is open for reading only. */

#include "tests/unit/store_engines.h"

static struct store *open_read_only(const char *place)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_lmdb_open_read_only(place, &err);

	if (!s)
		fail_msg("%s", err.msg);
	return s;
}

/* In place of the store that a test is given. */
static struct store *reopen_read_only(struct fixture *f)
{
	store_close(f->s);
	f->s = open_read_only(f->place);
	return f->s;
}

static void test_what_is_stored_is_read(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct fixture *f = *state;
	const char *id = arena_strdup(a, store_id(f->s));
	struct store_list list;
	struct store *s;

	put(f->s, "a", "1");
	put(f->s, "b", "2");
	s = reopen_read_only(f);
	assert_value(s, "a", "1");
	assert_false(has(s, "c"));
	assert_string_equal(store_id(s), id);
	assert_int_equal(revision_of(s), 2);
	assert_int_equal(store_range(s, "", NULL, 0, a, &list, &err), 0);
	assert_int_equal(list.n, 2);
}

static void test_all_else_is_refused(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct fixture *f = *state;
	struct store *s;
	int64_t lease;

	put(f->s, "a", "1");
	s = reopen_read_only(f);
	assert_int_equal(store_put(s, "a", "2", 1, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_FAILED_PRECONDITION);
	err_clear(&err);
	assert_int_equal(store_delete(s, "a", &err), -1);
	err_clear(&err);
	assert_null(store_watch(s, "", 0, NULL, NULL, &err));
	err_clear(&err);
	assert_int_equal(store_lease_grant(s, 60, &lease, &err), -1);
	err_clear(&err);
	assert_int_equal(store_lease_renew(s, 1, &err), -1);
	err_clear(&err);
	assert_int_equal(store_lease_revoke(s, 1, &err), -1);
	assert_value(s, "a", "1");
}

static void test_where_there_is_none_none_is_made(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *place = mem_printf("%s/none", f->place);

	assert_null(store_lmdb_open_read_only(place, &err));
	assert_int_equal(err.code, GRPC_STATUS_NOT_FOUND);
	assert_non_null(strstr(err.msg, place));
}

static void test_it_can_be_opened_for_writing_afterwards(void **state)
{
	struct fixture *f = *state;

	put(f->s, "a", "1");
	reopen_read_only(f);
	reopen(f);
	put(f->s, "a", "2");
	assert_value(f->s, "a", "2");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		STORE_TEST(test_what_is_stored_is_read),
		STORE_TEST(test_all_else_is_refused),
		STORE_TEST(test_where_there_is_none_none_is_made),
		STORE_TEST(test_it_can_be_opened_for_writing_afterwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The etcd engine where it differs: what it does when it is not known whether a
 * write was done (store.md section 5), and what cannot be opened.
 */

#include "tests/unit/store_engines.h"
#include "tests/unit/store_recorder.h"
#include "tests/unit/etcd_proxy.h"

#include <limits.h>
#include <sys/stat.h>

#include "daemon/log.h"
#include "daemon/store/etcd.h"

#define TXN   "/etcdserverpb.KV/Txn"
#define RANGE "/etcdserverpb.KV/Range"

static int setup(void **state)
{
	engine = &engines[1];
	log_set_level(LOG_LEVEL_ERROR);
	open_fresh(state);
	proxy_start(((struct fixture *)*state)->place);
	return 0;
}

static int teardown(void **state)
{
	proxy_stop();
	return remove_store(state);
}

/* --- verdicts --- */

static void test_each_failure_has_its_verdict(void **state)
{
	static const struct {
		int code;
		const char *text;
		bool unsent;
		enum etcd_verdict write, read;
	} rows[] = {
		{14, "cannot connect", true, ETCD_LATER, ETCD_LATER},
		{4, "no answer", true, ETCD_LATER, ETCD_LATER},
		{14, "the connection broke before the answer came", false,
		 ETCD_UNKNOWN, ETCD_LATER},
		{14, "Socket closed", false, ETCD_UNKNOWN, ETCD_LATER},
		{4, "no answer in time", false, ETCD_UNKNOWN, ETCD_LATER},
		{14, "etcdserver: request timed out", false, ETCD_UNKNOWN,
		 ETCD_LATER},
		{2, "context deadline exceeded", false, ETCD_UNKNOWN,
		 ETCD_LATER},
		{14, "etcdserver: leader changed", false, ETCD_UNKNOWN,
		 ETCD_LATER},
		{14, "etcdserver: no leader", false, ETCD_LATER, ETCD_LATER},
		{16, "etcdserver: invalid auth token", false, ETCD_TOKEN,
		 ETCD_TOKEN},
		{3, "etcdserver: user name is empty", false, ETCD_TOKEN,
		 ETCD_TOKEN},
		{3, "etcdserver: revision of auth store is old", false,
		 ETCD_TOKEN, ETCD_TOKEN},
		{3, "etcdserver: authentication failed, invalid user ID", true,
		 ETCD_FINAL, ETCD_FINAL},
		{8, "etcdserver: too many requests", false, ETCD_LATER,
		 ETCD_LATER},
		{8, "etcdserver: mvcc: database space exceeded", false,
		 ETCD_FINAL, ETCD_FINAL},
		{7, "etcdserver: permission denied", false, ETCD_FINAL,
		 ETCD_FINAL},
		{11, "etcdserver: mvcc: required revision", false, ETCD_FINAL,
		 ETCD_FINAL},
		{5, "etcdserver: requested lease not found", false, ETCD_FINAL,
		 ETCD_FINAL},
		{13, "something new", false, ETCD_UNKNOWN, ETCD_FINAL},
		{3, "something new", false, ETCD_UNKNOWN, ETCD_FINAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct err err = {.code = rows[i].code,
				  .msg = (char *)(uintptr_t)rows[i].text};

		assert_int_equal(etcd_judge(&err, rows[i].unsent, true),
				 rows[i].write);
		assert_int_equal(etcd_judge(&err, rows[i].unsent, false),
				 rows[i].read);
	}
}

/* --- writes that were perhaps done --- */

/* Puts a key whose mod revision must be that; -1: whatever it is. */
static enum store_result put_if(const char *key, const char *value,
				int64_t revision, struct store_txn *txn,
				struct err *err)
{
	struct store_compare compare = {key, revision};
	struct store_op op = {
		.key = key, .value = value, .size = strlen(value)};

	*txn = (struct store_txn){.ops = &op, .n_ops = 1};
	if (revision >= 0) {
		txn->compares = &compare;
		txn->n_compares = 1;
	}
	return store_commit(proxy.store, txn, err);
}

/* The transactions of a store behind the proxy, and the watch that counts. */
static void check_done_once(struct store *s, enum proxy_fault fault, int times,
			    int64_t revision)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_watch *w = watch(s, "a", 0, &r);
	struct store_txn txn;

	proxy_break(TXN, fault, times);
	assert_int_equal(put_if("a", "new", revision, &txn, &err), STORE_DONE);
	assert_true(proxy.calls > times);
	put(s, "a-end", "");
	recorder_expect(&r, 2);
	store_unwatch(w);
	assert_int_equal(r.n, 2);
	assert_string_equal(r.records[0].value, "new");
	assert_int_equal(r.records[0].revision, txn.revision);
	assert_value(s, "a", "new");
}

static const enum proxy_fault losses[] = {PROXY_LOSE_REQUEST, PROXY_LOSE_REPLY,
					  PROXY_NO_LEADER};
#define N_LOSSES (sizeof(losses) / sizeof(*losses))

static void test_a_create_that_gets_lost_is_done_once(void **state)
{
	struct store *s = store_of(state);

	for (size_t i = 0; i < N_LOSSES; i++) {
		del(s, "a");
		revision_of(proxy.store);
		check_done_once(s, losses[i], 1, 0);
	}
}

static void test_an_update_that_gets_lost_is_done_once(void **state)
{
	struct store *s = store_of(state);

	for (size_t i = 0; i < N_LOSSES; i++) {
		int64_t revision = put(s, "a", "old");

		revision_of(proxy.store);
		check_done_once(s, losses[i], 1, revision);
	}
}

/* The store behind the proxy has to have seen what the owner wrote. */
static void test_a_put_that_gets_lost_is_done_once(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);

	for (size_t i = 0; i < N_LOSSES; i++) {
		assert_int_equal(store_put(proxy.store, "a", "old", 3, &err),
				 0);
		check_done_once(s, losses[i], 1, -1);
	}
}

static void test_what_gets_lost_again_and_again_is_done_once(void **state)
{
	struct store *s = store_of(state);

	check_done_once(s, PROXY_LOSE_REPLY, 5, 0);
	revision_of(proxy.store);
	check_done_once(s, PROXY_LOSE_REQUEST, 5, -1);
}

static void put_new(int64_t revision)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_txn txn;

	proxy_break(TXN, PROXY_DELAY, 1);
	assert_int_equal(put_if("a", "new", revision, &txn, &err), STORE_DONE);
}

static void test_a_put_that_comes_late_undoes_nothing(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	put_new(-1);
	assert_int_equal(store_put(proxy.store, "a", "newer", 5, &err), 0);
	assert_false(proxy_deliver());
	assert_value(store_of(state), "a", "newer");
}

static void test_a_create_that_comes_late_does_not_bring_back(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	put_new(0);
	assert_int_equal(store_delete(proxy.store, "a", &err), 0);
	assert_false(proxy_deliver());
	assert_false(has(store_of(state), "a"));
}

/* As long as etcd is away nothing can be made sure of. */
static void test_what_was_unknown_is_settled_before_the_next(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_txn txn;

	proxy_break(TXN, PROXY_DELAY, INT_MAX);
	assert_int_equal(put_if("a", "new", -1, &txn, &err), STORE_FAILED);
	assert_non_null(strstr(err.msg, "not known"));
	err_clear(&err);
	proxy_break(TXN, PROXY_NONE, 0);
	assert_int_equal(store_put(proxy.store, "a", "newer", 5, &err), 0);
	assert_false(proxy_deliver());
	assert_value(store_of(state), "a", "newer");
}

static void write_as_another(void *arg)
{
	put(arg, "a", "another's");
}

static void test_what_another_wrote_meanwhile_is_not_overwritten(void **state)
{
	struct store *s = store_of(state);

	proxy.meanwhile = write_as_another;
	proxy.arg = s;
	for (int fault = PROXY_LOSE_REQUEST; fault <= PROXY_LOSE_REPLY;
	     fault++) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		struct store_txn txn;

		proxy_break(TXN, (enum proxy_fault)fault, 1);
		assert_int_equal(put_if("a", "new", -1, &txn, &err),
				 STORE_FAILED);
		assert_int_equal(err.code, GRPC_STATUS_UNAVAILABLE);
		assert_non_null(strstr(err.msg, "not known"));
		assert_value(s, "a", "another's");
	}
}

static void test_a_refusal_is_one_even_if_the_first_answer_is_lost(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);
	struct store_txn txn;
	int64_t revision = put(s, "a", "old");

	revision_of(proxy.store); /* which thus has seen it */
	proxy_break(TXN, PROXY_LOSE_REPLY, 1);
	assert_int_equal(put_if("a", "new", revision - 1, &txn, &err),
			 STORE_REFUSED);
	assert_value(s, "a", "old");
}

static void test_a_delete_under_a_compare_cannot_be_told_from_anothers(
	void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);
	struct store_compare compare = {"a", put(s, "a", "old")};
	struct store_op op = {.key = "a"};
	struct store_txn txn = {
		.compares = &compare, .n_compares = 1, .ops = &op, .n_ops = 1};

	proxy_break(TXN, PROXY_LOSE_REPLY, 1);
	assert_int_equal(store_commit(proxy.store, &txn, &err), STORE_FAILED);
	assert_int_equal(err.code, GRPC_STATUS_UNAVAILABLE);
	assert_false(has(s, "a"));
}

static void test_a_failure_whose_answer_is_lost_is_that_failure(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_op op = {
		.key = "a", .value = "1", .size = 1, .lease = 4711};
	struct store_txn txn = {.ops = &op, .n_ops = 1};

	(void)state;
	proxy_break(TXN, PROXY_LOSE_REPLY, 1);
	assert_int_equal(store_commit(proxy.store, &txn, &err), STORE_FAILED);
	assert_int_equal(err.code, GRPC_STATUS_NOT_FOUND);
}

/* With as many compares as etcd takes there is no room for one more. */
static void test_what_cannot_be_fenced_off_is_unknown(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_compare compares[STORE_MAX_OPS] = {0};
	struct store_op op = {.key = "a", .value = "1", .size = 1};
	struct store_txn txn = {.compares = compares,
				.n_compares = STORE_MAX_OPS,
				.ops = &op,
				.n_ops = 1};

	for (int i = 0; i < STORE_MAX_OPS; i++)
		compares[i].key = "none";
	proxy_break(TXN, PROXY_LOSE_REPLY, 1);
	assert_int_equal(store_commit(proxy.store, &txn, &err), STORE_FAILED);
	assert_int_equal(err.code, GRPC_STATUS_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "not known"));
	assert_int_equal(proxy.calls, 1);
	assert_true(has(store_of(state), "a"));
}

static void test_a_lease_whose_answer_is_lost_is_granted_once(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);
	int64_t id;

	proxy_break("/etcdserverpb.Lease/LeaseGrant", PROXY_LOSE_REQUEST, 1);
	assert_int_equal(store_lease_grant(proxy.store, 60, &id, &err), 0);
	assert_int_equal(store_lease_renew(s, id, &err), 0);
	proxy_break("/etcdserverpb.Lease/LeaseRevoke", PROXY_LOSE_REPLY, 1);
	assert_int_equal(store_lease_revoke(proxy.store, id, &err), 0);
	assert_int_equal(proxy.calls, 2);
	assert_int_equal(store_lease_renew(s, id, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_NOT_FOUND);
}

static void test_reads_are_repeated(void **state)
{
	put(store_of(state), "a", "1");
	proxy_break(RANGE, PROXY_LOSE_REPLY, 3);
	assert_value(proxy.store, "a", "1");
	assert_int_equal(proxy.calls, 4);
}

/* --- large ranges --- */

#define MANY (ETCD_PAGE + 200)

static void put_many(struct store *s)
{
	for (int i = 0; i < MANY; i += 100) {
		struct store_op ops[100];
		char keys[100][16];
		struct store_txn txn = {.ops = ops, .n_ops = 100};

		for (int k = 0; k < 100; k++) {
			snprintf(keys[k], sizeof(keys[k]), "%05d", i + k);
			ops[k] = (struct store_op){
				.key = keys[k], .value = "x", .size = 1};
		}
		assert_int_equal(commit(s, &txn), STORE_DONE);
	}
}

static bool count(void *arg, const struct store_kv *kv)
{
	size_t *n = arg;

	assert_int_equal(strtoul(kv->key, NULL, 10), *n);
	return ++*n < MANY - 1;
}

static void assert_whole(struct store *s)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_list list;
	size_t n = 0;

	assert_int_equal(store_range(s, "", NULL, 0, a, &list, &err), 0);
	assert_int_equal(list.n, MANY);
	for (size_t i = 0; i < list.n; i++)
		assert_int_equal(strtoul(list.kvs[i].key, NULL, 10), i);
	assert_int_equal(store_range(s, "", NULL, MANY - 1, a, &list, &err), 0);
	assert_int_equal(list.n, MANY - 1);
	assert_true(list.more);
	assert_int_equal(store_each(s, "", count, &n, &err), 0);
	assert_int_equal(n, MANY - 1);
}

static void test_a_range_of_many_pages_is_whole(void **state)
{
	struct store *s = store_of(state);

	put_many(s);
	assert_whole(s);
	proxy_break(RANGE, PROXY_TOO_LARGE, 1);
	assert_whole(proxy.store);
	assert_true(proxy.calls > 10);
}

static void test_a_page_of_one_key_that_is_too_large_is_an_error(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_list list;

	put(store_of(state), "a", "1");
	proxy_break(RANGE, PROXY_TOO_LARGE, 100);
	assert_int_equal(store_range(proxy.store, "", NULL, 0, a, &list, &err),
			 -1);
	assert_int_equal(err.code, GRPC_STATUS_RESOURCE_EXHAUSTED);
	assert_true(proxy.calls < 10);
}

/* --- another cluster --- */

static void check_gone(struct store *s, enum proxy_fault fault)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	CLEANUP(cleanup_free) char *id = mem_strdup(store_id(proxy.store));
	struct store_watch *w;

	put(s, "a", "1");
	w = watch(proxy.store, "", 0, &r);
	proxy_break(RANGE, fault, 1);
	assert_true(has(proxy.store, "a"));
	recorder_expect(&r, 1);
	assert_true(r.gone);
	store_unwatch(w);
	assert_int_equal(strcmp(store_id(proxy.store), id) != 0,
			 fault == PROXY_OTHER_CLUSTER);
}

static void test_watches_of_another_cluster_are_gone(void **state)
{
	check_gone(store_of(state), PROXY_OTHER_CLUSTER);
}

static void test_watches_of_an_old_backup_are_gone(void **state)
{
	check_gone(store_of(state), PROXY_OLD_REVISION);
}

/* --- away --- */

static void test_a_store_that_is_away_opens_and_is_unavailable(void **state)
{
	static const char *const endpoints[] = {"127.0.0.1:1", "127.0.0.1:2",
						NULL};
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_etcd_config config = {.endpoints = endpoints,
					   .prefix = "a/"};
	struct store *s = store_etcd_open(&config, &err);
	int64_t start = units_monotonic(), took;
	struct store_status status;

	(void)state;
	assert_non_null(s);
	assert_int_equal(store_check(s, &status, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_UNAVAILABLE);
	assert_string_equal(status.location, "127.0.0.1:1,127.0.0.1:2");
	assert_true(units_monotonic() - start < 5 * UNITS_SECOND);
	assert_string_equal(store_id(s), "");
	err_clear(&err);
	start = units_monotonic();
	assert_int_equal(store_put(s, "a", "1", 1, &err), -1);
	took = units_monotonic() - start;
	assert_int_equal(err.code, GRPC_STATUS_UNAVAILABLE);
	/* It never left. */
	assert_null(strstr(err.msg, "not known"));
	assert_in_range(took / UNITS_SECOND, 9, 13);
	store_close(s);
}

/* --- what cannot work --- */

static void assert_unusable(const struct store_etcd_config *config, int code,
			    const char *text)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_null(store_etcd_open(config, &err));
	assert_int_equal(err.code, code);
	if (!strstr(err.msg, text))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, text);
	assert_null(strstr(err.msg, "s3cret"));
}

static void test_what_cannot_work_is_not_opened(void **state)
{
	static const char *const good[] = {"127.0.0.1:1", NULL};
	static const char *const bad[] = {"127.0.0.1", NULL};
	static const char *const none[] = {NULL};
	struct fixture *f = *state;
	CLEANUP(cleanup_free)
	char *path = mem_printf("%s/password", etcd_server.dir);
	struct store_etcd_config config = {
		.endpoints = good, .prefix = f->place, .user = "u"};
	FILE *file = fopen(path, "we");

	assert_int_equal(fputs("s3cret\n", file) < 0 || fclose(file), 0);
	assert_unusable(&(struct store_etcd_config){bad, "", {0}, NULL, NULL},
			GRPC_STATUS_INVALID_ARGUMENT, "127.0.0.1");
	assert_unusable(&(struct store_etcd_config){none, "", {0}, NULL, NULL},
			GRPC_STATUS_INVALID_ARGUMENT, "endpoints");
	assert_unusable(&(struct store_etcd_config){good, "a", {0}, NULL, NULL},
			GRPC_STATUS_INVALID_ARGUMENT, "slash");
	config.password_file = "/nonexistent";
	assert_unusable(&config, GRPC_STATUS_FAILED_PRECONDITION,
			"/nonexistent");
	config.password_file = path;
	assert_int_equal(chmod(path, 0604), 0);
	assert_unusable(&config, GRPC_STATUS_FAILED_PRECONDITION, "others");
	config.password_file = "/dev/null";
	assert_unusable(&config, GRPC_STATUS_FAILED_PRECONDITION, "/dev/null");
	config.user = NULL;
	config.tls.ca = "/nonexistent";
	assert_unusable(&config, GRPC_STATUS_FAILED_PRECONDITION,
			"/nonexistent");
}

#define ETCD_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ETCD_TEST(test_each_failure_has_its_verdict),
		ETCD_TEST(test_a_create_that_gets_lost_is_done_once),
		ETCD_TEST(test_an_update_that_gets_lost_is_done_once),
		ETCD_TEST(test_a_put_that_gets_lost_is_done_once),
		ETCD_TEST(test_what_gets_lost_again_and_again_is_done_once),
		ETCD_TEST(test_a_put_that_comes_late_undoes_nothing),
		ETCD_TEST(test_a_create_that_comes_late_does_not_bring_back),
		ETCD_TEST(test_what_was_unknown_is_settled_before_the_next),
		ETCD_TEST(test_what_another_wrote_meanwhile_is_not_overwritten),
		ETCD_TEST(
			test_a_refusal_is_one_even_if_the_first_answer_is_lost),
		ETCD_TEST(
			test_a_delete_under_a_compare_cannot_be_told_from_anothers),
		ETCD_TEST(test_a_failure_whose_answer_is_lost_is_that_failure),
		ETCD_TEST(test_what_cannot_be_fenced_off_is_unknown),
		ETCD_TEST(test_a_lease_whose_answer_is_lost_is_granted_once),
		ETCD_TEST(test_reads_are_repeated),
		ETCD_TEST(test_a_range_of_many_pages_is_whole),
		ETCD_TEST(test_a_page_of_one_key_that_is_too_large_is_an_error),
		ETCD_TEST(test_watches_of_another_cluster_are_gone),
		ETCD_TEST(test_watches_of_an_old_backup_are_gone),
		ETCD_TEST(test_a_store_that_is_away_opens_and_is_unavailable),
		ETCD_TEST(test_what_cannot_work_is_not_opened),
	};

	engine = &engines[1];
	if (engine->missing())
		return cmocka_run_group_tests(missing_tests, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

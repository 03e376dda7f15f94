#ifndef OIM_TESTS_STORE_ENGINES_H
#define OIM_TESTS_STORE_ENGINES_H

/*
 * The engines that the suite of the store runs on, and what its tests share. A
 * test gets a fresh store as *state. Includes all that a test file needs.
 */

#include <ftw.h>
#include <inttypes.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/store/store.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "tests/unit/etcd_server.h"

struct engine {
	const char *name;
	/* Where a fresh store can be; the caller frees it. */
	char *(*make_place)(void);
	struct store *(*open)(const char *place, struct err *err);
	void (*remove_place)(const char *place);
	bool restarts_leases; /* when it is opened */
	/* Why it cannot be tested here; NULL: it can. */
	const char *(*missing)(void);
};

static inline char *make_directory(void)
{
	const char *tmp = getenv("TMPDIR");
	char *path = mem_printf("%s/oim-store-XXXXXX", tmp ? tmp : "/tmp");

	if (!mkdtemp(path))
		abort();
	return path;
}

static inline int remove_entry(const char *path, const struct stat *st,
			       int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void remove_directory(const char *path)
{
	nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline const char *nothing_is_missing(void)
{
	return NULL;
}

static const struct engine engines[] = {
	{"lmdb", make_directory, store_lmdb_open, remove_directory, true,
	 nothing_is_missing},
	{"etcd", etcd_server_new_prefix, etcd_server_open, etcd_server_clear,
	 false, etcd_server_missing},
	{0},
};

struct fixture {
	const struct engine *engine;
	char *place;
	struct store *s;
};

static const struct engine *engine = engines;

static inline struct store *open_at(const char *place)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = engine->open(place, &err);

	if (!s)
		fail_msg("%s", err.msg);
	return s;
}

static inline struct store *store_of(void **state)
{
	return ((struct fixture *)*state)->s;
}

static inline void reopen(struct fixture *f)
{
	store_close(f->s);
	f->s = NULL;
	f->s = open_at(f->place);
}

static inline int open_fresh(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));

	f->engine = engine;
	f->place = engine->make_place();
	f->s = open_at(f->place);
	*state = f;
	return 0;
}

static inline int remove_store(void **state)
{
	struct fixture *f = *state;

	store_close(f->s);
	f->engine->remove_place(f->place);
	free(f->place);
	free(f);
	return 0;
}

static inline void wait_on(sem_t *sem)
{
	while (sem_wait(sem) == -1)
		;
}

#define STORE_TEST(f)                                                          \
	cmocka_unit_test_setup_teardown(f, open_fresh, remove_store)

static inline void test_the_engine_is_here(void **state)
{
	(void)state;
	print_message("skipped: %s\n", engine->missing());
	skip();
}

static const struct CMUnitTest missing_tests[] = {
	cmocka_unit_test(test_the_engine_is_here),
};

/* Runs the tests on each engine; how many failed. */
#define RUN_ON_ENGINES(tests, setup, teardown)                                 \
	({                                                                     \
		int failed_ = 0;                                               \
                                                                               \
		for (engine = engines; engine->name; engine++)                 \
			failed_ +=                                             \
				engine->missing()                              \
					? cmocka_run_group_tests_name(         \
						  engine->name, missing_tests, \
						  NULL, NULL)                  \
					: cmocka_run_group_tests_name(         \
						  engine->name, tests, setup,  \
						  teardown);                   \
		failed_;                                                       \
	})

/* --- what most tests start with --- */

static inline enum store_result commit(struct store *s, struct store_txn *txn)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (store_commit(s, txn, &err) == STORE_FAILED)
		fail_msg("%s", err.msg);
	return txn->result;
}

/* Puts text on a lease (0: none); the revision. */
static inline int64_t put_on(struct store *s, const char *key,
			     const char *value, int64_t lease)
{
	struct store_op op = {.key = key,
			      .value = value,
			      .size = strlen(value),
			      .lease = lease};
	struct store_txn txn = {.ops = &op, .n_ops = 1};

	assert_int_equal(commit(s, &txn), STORE_DONE);
	return txn.revision;
}

static inline int64_t put(struct store *s, const char *key, const char *value)
{
	return put_on(s, key, value, 0);
}

static inline int64_t del(struct store *s, const char *key)
{
	struct store_op op = {.key = key};
	struct store_txn txn = {.ops = &op, .n_ops = 1};

	assert_int_equal(commit(s, &txn), STORE_DONE);
	return txn.revision;
}

static inline bool get(struct store *s, const char *key, struct arena *a,
		       struct store_kv *kv)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	int found = store_get(s, key, a, kv, &err);

	if (found < 0)
		fail_msg("%s", err.msg);
	return found;
}

static inline bool has(struct store *s, const char *key)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store_kv kv;

	return get(s, key, a, &kv);
}

static inline void assert_value(struct store *s, const char *key,
				const char *value)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store_kv kv;

	assert_true(get(s, key, a, &kv));
	assert_string_equal(kv.key, key);
	assert_int_equal(kv.size, strlen(value));
	assert_string_equal(kv.value, value);
}

static inline struct store_status status_of(struct store *s)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_status status;

	if (store_check(s, &status, &err) < 0)
		fail_msg("%s", err.msg);
	return status;
}

static inline int64_t revision_of(struct store *s)
{
	return status_of(s).revision;
}

/* A transaction that is beyond a limit. */
static inline void assert_refused(struct store *s, struct store_txn *txn)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	int64_t before = revision_of(s);

	assert_int_equal(store_commit(s, txn, &err), STORE_FAILED);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_int_equal(revision_of(s), before);
}

#endif

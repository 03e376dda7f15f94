/*
 * LMDB and the disk: when it waits for it, and what happens when it fails. The
 * two calls that LMDB waits in are this file's, which count, fail or hold them.
 */

#include "tests/unit/store_engines.h"
#include "tests/unit/store_recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/lib/units.h"

static struct {
	atomic_int syncs;   /* fdatasync: the pages are on the disk */
	atomic_int metas;   /* O_DSYNC writes: the new root is */
	atomic_int early;   /* roots written before their pages were synced */
	atomic_int refused; /* syncs that failed */
	atomic_int sync_error;
	atomic_bool once; /* the next one only */
	atomic_int meta_error;
	atomic_bool hold; /* the next sync, until it is let go */
	sem_t held;
	sem_t go;
} disk;

int fdatasync(int fd)
{
	if (atomic_exchange(&disk.hold, false)) {
		sem_post(&disk.held);
		wait_on(&disk.go);
	}
	if (disk.sync_error) {
		disk.refused++;
		errno = disk.sync_error;
		if (disk.once)
			disk.sync_error = 0;
		return -1;
	}
	disk.syncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	if (fcntl(fd, F_GETFL) & O_DSYNC) {
		if (disk.meta_error) {
			errno = disk.meta_error;
			return -1;
		}
		disk.early += ++disk.metas > disk.syncs;
	}
	return syscall(SYS_pwrite64, fd, buf, n, offset);
}

static int open_on_sound_disk(void **state)
{
	disk.sync_error = 0;
	disk.meta_error = 0;
	disk.once = false;
	open_fresh(state);
	disk.syncs = 0;
	disk.metas = 0;
	disk.early = 0;
	disk.refused = 0;
	return 0;
}

/* --- waits --- */

static void test_a_commit_waits_for_pages_then_root(void **state)
{
	struct store *s = store_of(state);

	for (int i = 1; i <= 10; i++) {
		put(s, "a", "1");
		assert_int_equal(disk.syncs, i);
		assert_int_equal(disk.metas, i);
	}
	assert_int_equal(disk.early, 0);
}

static void test_what_changes_nothing_does_not_wait(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);
	struct store_compare compare = {"a", 1};
	struct store_txn txn = {.compares = &compare, .n_compares = 1};

	commit(s, &txn);
	del(s, "none");
	has(s, "a");
	revision_of(s);
	assert_int_equal(store_lease_renew(s, 1, &err), -1);
	assert_int_equal(disk.syncs, 0);
	assert_int_equal(disk.metas, 0);
}

static void test_a_renewal_writes_nothing(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);
	int64_t id;

	assert_int_equal(store_lease_grant(s, 60, &id, &err), 0);
	assert_int_equal(disk.syncs, 1);
	assert_int_equal(store_lease_renew(s, id, &err), 0);
	assert_int_equal(disk.syncs, 1);
}

#define CROWD 64
#define OPS   128

/* Many transactions, of one op or more each. */
struct crowd {
	struct store_txn txns[CROWD];
	struct store_op ops[CROWD][OPS];
	char keys[CROWD][OPS][24];
	size_t n_ops;
	sem_t done;
};

static void on_done(struct store_txn *txn)
{
	sem_post(txn->arg);
}

static void submit_one(struct crowd *c, struct store *s, int i)
{
	for (size_t k = 0; k < c->n_ops; k++) {
		snprintf(c->keys[i][k], sizeof(c->keys[i][k]), "%d/%zu", i, k);
		c->ops[i][k] = (struct store_op){
			.key = c->keys[i][k], .value = "x", .size = 1};
	}
	c->txns[i] = (struct store_txn){.ops = c->ops[i],
					.n_ops = c->n_ops,
					.done = on_done,
					.arg = &c->done};
	store_submit(s, &c->txns[i]);
}

static void submit_crowd(struct crowd *c, struct store *s, size_t n_ops)
{
	c->n_ops = n_ops;
	sem_init(&c->done, 0, 0);
	for (int i = 0; i < CROWD; i++)
		submit_one(c, s, i);
}

static void wait_for_crowd(struct crowd *c)
{
	for (int i = 0; i < CROWD; i++)
		wait_on(&c->done);
	sem_destroy(&c->done);
}

static void *put_first(void *arg)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	store_put(arg, "first", "1", 1, &err);
	return NULL;
}

/* Writers come while a commit waits for the disk. */
static void gather_crowd(struct crowd *c, struct store *s, size_t n_ops)
{
	pthread_t thread;

	sem_init(&disk.held, 0, 0);
	sem_init(&disk.go, 0, 0);
	disk.hold = true;
	if (pthread_create(&thread, NULL, put_first, s))
		abort();
	wait_on(&disk.held);
	submit_crowd(c, s, n_ops);
	sem_post(&disk.go);
	pthread_join(thread, NULL);
}

static void test_writers_that_wait_share_the_next_commit(void **state)
{
	struct store *s = store_of(state);
	struct crowd c;

	gather_crowd(&c, s, 1);
	wait_for_crowd(&c);
	assert_int_equal(disk.syncs, 2);
	assert_int_equal(disk.metas, 2);
	for (int i = 1; i < CROWD; i++)
		assert_true(c.txns[i - 1].revision < c.txns[i].revision);
}

/* Else watches could not follow. */
static void test_a_commit_ends_with_a_thousand_ops(void **state)
{
	struct store *s = store_of(state);
	struct crowd c;

	gather_crowd(&c, s, OPS);
	wait_for_crowd(&c);
	assert_int_equal(disk.syncs, 1 + CROWD * OPS / 1024);
	assert_true(has(s, "63/127"));
}

/* --- failures --- */

static void assert_unavailable(struct store *s)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct err err[5] = {0};
	struct store_status status;
	struct store_kv kv;
	int64_t id;

	assert_int_equal(store_put(s, "b", "2", 1, &err[0]), -1);
	assert_int_equal(store_get(s, "a", a, &kv, &err[1]), -1);
	assert_int_equal(store_check(s, &status, &err[2]), -1);
	assert_int_equal(store_lease_grant(s, 60, &id, &err[3]), -1);
	assert_int_equal(store_lease_renew(s, 1, &err[4]), -1);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(err[i].code, GRPC_STATUS_UNAVAILABLE);
		err_clear(&err[i]);
	}
}

static void assert_disk_error_is_final(struct fixture *f, atomic_int *error)
{
	put(f->s, "a", "1");
	*error = EIO;
	assert_unavailable(f->s);
	*error = 0;
	assert_unavailable(f->s);
	reopen(f);
	assert_value(f->s, "a", "1");
	put(f->s, "a", "2");
}

static void test_no_answers_after_an_error_of_a_sync(void **state)
{
	assert_disk_error_is_final(*state, &disk.sync_error);
}

static void test_no_answers_after_an_error_of_the_root(void **state)
{
	assert_disk_error_is_final(*state, &disk.meta_error);
}

static void assert_crowd_unavailable(struct crowd *c)
{
	wait_for_crowd(c);
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(c->txns[i].result, STORE_FAILED);
		assert_int_equal(c->txns[i].err.code, GRPC_STATUS_UNAVAILABLE);
		assert_int_equal(c->txns[i].revision, 0);
		err_clear(&c->txns[i].err);
	}
}

static void test_a_disk_error_fails_all_of_the_commit(void **state)
{
	struct crowd c;

	disk.sync_error = EIO;
	submit_crowd(&c, store_of(state), 1);
	assert_crowd_unavailable(&c);
}

static void test_a_disk_error_fails_all_that_wait(void **state)
{
	struct fixture *f = *state;
	struct crowd c;

	disk.sync_error = EIO;
	disk.once = true;
	gather_crowd(&c, f->s, 1);
	assert_crowd_unavailable(&c);
	reopen(f);
	assert_false(has(f->s, "0/0"));
}

/* --- no space --- */

static int put_code(struct store *s)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	return store_put(s, "b", "2", 1, &err) < 0 ? err.code : GRPC_STATUS_OK;
}

static int check_code(struct store *s)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_status status;

	return store_check(s, &status, &err) < 0 ? err.code : GRPC_STATUS_OK;
}

static void assert_no_space_is_not_final(struct store *s, int error)
{
	put(s, "a", "1");
	disk.sync_error = error;
	assert_int_equal(put_code(s), GRPC_STATUS_RESOURCE_EXHAUSTED);
	assert_int_equal(check_code(s), GRPC_STATUS_RESOURCE_EXHAUSTED);
	assert_value(s, "a", "1");
	disk.sync_error = 0;
	assert_int_equal(put_code(s), GRPC_STATUS_OK);
}

static void test_a_full_disk_is_not_final(void **state)
{
	assert_no_space_is_not_final(store_of(state), ENOSPC);
}

static void test_a_full_quota_is_not_final(void **state)
{
	assert_no_space_is_not_final(store_of(state), EDQUOT);
}

static void test_no_space_for_the_root_is_an_error_of_the_disk(void **state)
{
	struct store *s = store_of(state);

	disk.meta_error = ENOSPC;
	assert_int_equal(put_code(s), GRPC_STATUS_UNAVAILABLE);
	assert_unavailable(s);
}

static void wait_for_refusals(int n)
{
	int64_t until = units_monotonic() + 60 * UNITS_SECOND;

	while (disk.refused < n) {
		assert_true(units_monotonic() < until);
		usleep(10000);
	}
}

static void test_a_store_notices_that_there_is_space_again(void **state)
{
	int64_t until = units_monotonic() + 60 * UNITS_SECOND;
	struct store *s = store_of(state);

	disk.sync_error = ENOSPC;
	assert_int_equal(put_code(s), GRPC_STATUS_RESOURCE_EXHAUSTED);
	wait_for_refusals(2); /* it has tried by itself */
	assert_int_equal(check_code(s), GRPC_STATUS_RESOURCE_EXHAUSTED);
	disk.sync_error = 0;
	while (check_code(s) != GRPC_STATUS_OK) {
		assert_true(units_monotonic() < until);
		usleep(10000);
	}
}

static void test_a_lease_that_cannot_be_ended_is_still_there(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_of(state);
	int64_t id;

	assert_int_equal(store_lease_grant(s, 60, &id, &err), 0);
	put_on(s, "a", "1", id);
	disk.sync_error = ENOSPC;
	assert_int_equal(store_lease_revoke(s, id, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_RESOURCE_EXHAUSTED);
	err_clear(&err);
	disk.sync_error = 0;
	assert_true(has(s, "a"));
	assert_int_equal(store_lease_renew(s, id, &err), 0);
	assert_int_equal(store_lease_revoke(s, id, &err), 0);
	assert_false(has(s, "a"));
}

static void test_a_lease_ends_when_there_is_space_again(void **state)
{
	CLEANUP(recorder_clear) struct recorder r = RECORDER_INIT;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct fixture *f = *state;
	int64_t id;

	assert_int_equal(store_lease_grant(f->s, STORE_MIN_TTL, &id, &err), 0);
	put_on(f->s, "a", "1", id);
	watch(f->s, "", 0, &r);
	disk.sync_error = ENOSPC;
	wait_for_refusals(1);
	assert_true(has(f->s, "a"));
	disk.sync_error = 0;
	recorder_expect(&r, 1);
	reopen(f);
	assert_null(r.records[0].value);
	assert_false(has(f->s, "a"));
}

#define DISK_TEST(f)                                                           \
	cmocka_unit_test_setup_teardown(f, open_on_sound_disk, remove_store)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_a_commit_waits_for_pages_then_root),
		DISK_TEST(test_what_changes_nothing_does_not_wait),
		DISK_TEST(test_a_renewal_writes_nothing),
		DISK_TEST(test_writers_that_wait_share_the_next_commit),
		DISK_TEST(test_a_commit_ends_with_a_thousand_ops),
		DISK_TEST(test_no_answers_after_an_error_of_a_sync),
		DISK_TEST(test_no_answers_after_an_error_of_the_root),
		DISK_TEST(test_a_disk_error_fails_all_of_the_commit),
		DISK_TEST(test_a_disk_error_fails_all_that_wait),
		DISK_TEST(test_a_full_disk_is_not_final),
		DISK_TEST(test_a_full_quota_is_not_final),
		DISK_TEST(test_no_space_for_the_root_is_an_error_of_the_disk),
		DISK_TEST(test_a_store_notices_that_there_is_space_again),
		DISK_TEST(test_a_lease_that_cannot_be_ended_is_still_there),
		DISK_TEST(test_a_lease_ends_when_there_is_space_again),
	};

	return cmocka_run_group_tests_name("lmdb", tests, NULL, NULL);
}

/*
 * LMDB on file systems that are full: small ones that only this process sees,
 * which takes root. They differ: a full tmpfs writes a part, XFS refuses even
 * to allocate what a file has already.
 */

#include "tests/unit/store_engines.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

struct fs {
	const char *name;
	const char *mount; /* with $D for the directory */
};

#define LOOP(type, size)                                                       \
	"truncate -s " size " $D.img && mkfs." type " -q $D.img && "           \
	"mount -o loop $D.img $D; status=$?; rm -f $D.img; exit $status"

static const struct fs all_fs[] = {
	{"lmdb on tmpfs", "mount -t tmpfs -o size=4m none $D"},
	{"lmdb on ext4", LOOP("ext4", "16m")},
	{"lmdb on xfs", LOOP("xfs", "320m")},
	{0},
};

static const struct fs *fs;

struct disk {
	char *path;
	char *place;
	char *ballast;
	bool is_mounted;
	struct store *s;
};

/* Into a mount namespace of our own, once. */
static bool leave_namespace(void)
{
	static bool left;

	if (!left)
		left = unshare(CLONE_NEWNS) == 0 &&
		       mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) ==
			       0;
	return left;
}

static int mount_small(void **state)
{
	struct disk *d = mem_zalloc(1, sizeof(*d));

	*state = d;
	d->path = make_directory();
	d->place = mem_printf("%s/store", d->path);
	d->ballast = mem_printf("%s/ballast", d->path);
	setenv("D", d->path, 1);
	d->is_mounted = leave_namespace() && system(fs->mount) == 0;
	if (d->is_mounted)
		d->s = open_at(d->place);
	return 0;
}

static int unmount_small(void **state)
{
	struct disk *d = *state;

	store_close(d->s);
	if (d->is_mounted)
		umount2(d->path, 0);
	rmdir(d->path);
	free(d->path);
	free(d->place);
	free(d->ballast);
	free(d);
	return 0;
}

static struct disk *need_disk(void **state)
{
	struct disk *d = *state;

	if (!d->is_mounted) {
		print_message("skipped: cannot make a small file system for "
			      "%s; it takes root and loop devices\n",
			      fs->name);
		skip();
	}
	return d;
}

static void open_again(struct disk *d)
{
	store_close(d->s);
	d->s = NULL;
	d->s = open_at(d->place);
}

/* Takes all space but so many bytes. */
static void fill(struct disk *d, size_t left)
{
	CLEANUP(cleanup_fd)
	int fd = open(d->ballast, O_CREAT | O_RDWR, 0600);
	off_t size = 0;

	assert_true(fd >= 0);
	for (off_t step = 256 << 20; step >= 4096;)
		if (posix_fallocate(fd, size, step) == 0)
			size += step;
		else
			step /= 2;
	assert_true(size >= (off_t)left);
	assert_int_equal(ftruncate(fd, size - (off_t)left), 0);
}

static void make_space(struct disk *d)
{
	assert_int_equal(unlink(d->ballast), 0);
}

static int put_code(struct store *s, const char *key, size_t size)
{
	CLEANUP(cleanup_free) char *value = mem_zalloc(1, size);
	CLEANUP(err_clear) struct err err = ERR_INIT;

	return store_put(s, key, value, size, &err) < 0 ? err.code
							: GRPC_STATUS_OK;
}

static void test_a_value_without_space_is_refused_until_there_is(void **state)
{
	struct disk *d = need_disk(state);

	put(d->s, "a", "1");
	fill(d, 64 << 10);
	assert_int_equal(put_code(d->s, "big", 512 << 10),
			 GRPC_STATUS_RESOURCE_EXHAUSTED);
	assert_value(d->s, "a", "1");
	assert_false(has(d->s, "big"));
	make_space(d);
	assert_int_equal(put_code(d->s, "big", 512 << 10), GRPC_STATUS_OK);
}

/* Until nothing fits any more; how many did. */
static int put_until_full(struct store *s)
{
	char key[16];
	int i;

	for (i = 0;; i++) {
		int code;

		snprintf(key, sizeof(key), "%d", i);
		code = put_code(s, key, 2000);
		if (code == GRPC_STATUS_RESOURCE_EXHAUSTED)
			return i;
		assert_int_equal(code, GRPC_STATUS_OK);
	}
}

static void test_what_was_acknowledged_before_it_was_full_is_there(void **state)
{
	struct disk *d = need_disk(state);
	char last[16], next[16];
	int n;

	fill(d, 256 << 10);
	n = put_until_full(d->s);
	assert_true(n > 10);
	snprintf(last, sizeof(last), "%d", n - 1);
	snprintf(next, sizeof(next), "%d", n);
	open_again(d);
	assert_true(has(d->s, "0"));
	assert_true(has(d->s, last));
	assert_false(has(d->s, next));
}

static void test_deletes_make_space_in_a_full_store(void **state)
{
	struct disk *d = need_disk(state);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	char key[16];
	int n;

	fill(d, 256 << 10);
	n = put_until_full(d->s);
	for (int i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "%d", i);
		if (store_delete(d->s, key, &err) < 0)
			fail_msg("delete %d of %d: %s", i, n, err.msg);
	}
	assert_int_equal(put_code(d->s, "new", 2000), GRPC_STATUS_OK);
}

static void test_a_store_opens_and_reads_on_a_full_disk(void **state)
{
	struct disk *d = need_disk(state);

	put(d->s, "a", "1");
	fill(d, 0);
	open_again(d);
	assert_value(d->s, "a", "1");
}

static void test_no_half_of_a_new_store_stays_on_a_full_disk(void **state)
{
	struct disk *d = need_disk(state);
	CLEANUP(cleanup_free) char *place = mem_printf("%s/new", d->path);

	for (size_t pages = 0; pages < 24; pages++) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		struct store *s;

		fill(d, pages * 4096);
		s = store_lmdb_open(place, &err);
		if (!s)
			assert_int_equal(err.code,
					 GRPC_STATUS_RESOURCE_EXHAUSTED);
		store_close(s);
		make_space(d);
		s = open_at(place);
		put(s, "a", "1");
		store_close(s);
		remove_directory(place);
	}
}

static void on_done(struct store_txn *txn)
{
	sem_post(txn->arg);
}

static void test_small_values_are_put_beside_one_without_space(void **state)
{
	enum { N = 20 };
	struct disk *d = need_disk(state);
	CLEANUP(cleanup_free) char *big = mem_zalloc(1, STORE_MAX_VALUE);
	struct store_txn txns[N];
	struct store_op ops[N];
	char keys[N][8];
	sem_t done;

	put(d->s, "a", "1");
	fill(d, 128 << 10);
	sem_init(&done, 0, 0);
	for (int i = 0; i < N; i++) {
		bool is_big = i % 5 == 2;

		snprintf(keys[i], sizeof(keys[i]), "%d", i);
		ops[i] = (struct store_op){
			.key = keys[i],
			.value = big,
			.size = is_big ? STORE_MAX_VALUE : 100,
		};
		txns[i] = (struct store_txn){.ops = &ops[i],
					     .n_ops = 1,
					     .done = on_done,
					     .arg = &done};
		store_submit(d->s, &txns[i]);
	}
	for (int i = 0; i < N; i++)
		wait_on(&done);
	sem_destroy(&done);
	for (int i = 0; i < N; i++) {
		assert_int_equal(txns[i].result,
				 i % 5 == 2 ? STORE_FAILED : STORE_DONE);
		err_clear(&txns[i].err);
	}
}

#define FULL_TEST(f)                                                           \
	cmocka_unit_test_setup_teardown(f, mount_small, unmount_small)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FULL_TEST(test_a_value_without_space_is_refused_until_there_is),
		FULL_TEST(
			test_what_was_acknowledged_before_it_was_full_is_there),
		FULL_TEST(test_deletes_make_space_in_a_full_store),
		FULL_TEST(test_a_store_opens_and_reads_on_a_full_disk),
		FULL_TEST(test_no_half_of_a_new_store_stays_on_a_full_disk),
		FULL_TEST(test_small_values_are_put_beside_one_without_space),
	};

	int failed = 0;

	for (fs = all_fs; fs->name; fs++)
		failed += cmocka_run_group_tests_name(fs->name, tests, NULL,
						      NULL);
	return failed;
}

/* Directories of files in memory. */

#include "daemon/host/memdir.h"

#include "proto/lib/cleanup.h"
#include "tests/unit/disk.h"

static int make_dir(void **state)
{
	*state = disk_make_dir();
	return 0;
}

static int remove_dir(void **state)
{
	disk_remove_dir(*state);
	return 0;
}

static void cleanup_memdir(struct memdir **d)
{
	memdir_close(*d);
}

static struct memdir *open_dir(const char *path)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct memdir *d = memdir_open(path, &err);

	if (!d)
		fail_msg("%s", err.msg);
	return d;
}

static void refuses(const char *path, int code, const char *why)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_null(memdir_open(path, &err));
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.msg, why));
}

static void test_a_directory_is_made_with_its_parents_for_us_alone(void **state)
{
	CLEANUP(cleanup_free) char *parent = mem_printf("%s/a", (char *)*state);
	CLEANUP(cleanup_free) char *path = mem_printf("%s//b/", parent);
	CLEANUP(cleanup_memdir) struct memdir *d = open_dir(path);
	struct stat st;

	assert_non_null(d);
	assert_int_equal(stat(parent, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_a_directory_is_used_by_one_at_a_time(void **state)
{
	struct memdir *d = open_dir(*state);

	refuses(*state, GRPC_STATUS_FAILED_PRECONDITION, "another daemon");
	memdir_close(d);
	memdir_close(open_dir(*state));
}

static void test_a_directory_that_is_not_in_memory_is_refused(void **state)
{
	char path[] = "/var/tmp/oim-test-XXXXXX";
	struct statfs fs;

	(void)state;
	assert_non_null(mkdtemp(path));
	assert_int_equal(statfs(path, &fs), 0);
	if (fs.f_type != TMPFS_MAGIC)
		refuses(path, GRPC_STATUS_FAILED_PRECONDITION, "tmpfs");
	rmdir(path);
	disk_skip_unless(fs.f_type != TMPFS_MAGIC, "a /var/tmp on disk");
}

static void test_a_relative_path_is_refused(void **state)
{
	(void)state;
	refuses("dev/shm/x", GRPC_STATUS_INVALID_ARGUMENT, "absolute");
}

static void test_a_symbolic_link_is_refused(void **state)
{
	CLEANUP(cleanup_free) char *link = mem_printf("%s/l", (char *)*state);
	CLEANUP(cleanup_free) char *below = mem_printf("%s/d", link);

	assert_int_equal(symlink(*state, link), 0);
	refuses(link, GRPC_STATUS_FAILED_PRECONDITION, "symbolic link");
	refuses(below, GRPC_STATUS_FAILED_PRECONDITION, "symbolic link");
}

static void test_a_directory_open_to_others_is_refused(void **state)
{
	assert_int_equal(chmod(*state, 0750), 0);
	refuses(*state, GRPC_STATUS_FAILED_PRECONDITION, "mode 0750");
}

static void test_a_directory_of_somebody_else_is_refused(void **state)
{
	CLEANUP(cleanup_free) char *path = mem_printf("%s/d", (char *)*state);

	NEEDS_ROOT();
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	refuses(path, GRPC_STATUS_FAILED_PRECONDITION, "user 65534");
}

/* Whoever owns /dev/shm/oim could put another directory in the place of ours.
 */
static void test_a_parent_that_somebody_else_planted_is_refused(void **state)
{
	CLEANUP(cleanup_free)
	char *planted = mem_printf("%s/p", (char *)*state);
	CLEANUP(cleanup_free) char *path = mem_printf("%s/d", planted);

	NEEDS_ROOT();
	assert_int_equal(chmod(*state, 01777), 0);
	assert_int_equal(mkdir(planted, 0755), 0);
	memdir_close(open_dir(path));
	assert_int_equal(chown(planted, NOBODY, NOBODY), 0);
	refuses(path, GRPC_STATUS_FAILED_PRECONDITION, "replaced by other");
}

static void test_a_directory_that_is_removed_is_noticed(void **state)
{
	CLEANUP(cleanup_free) char *path = mem_printf("%s/d", (char *)*state);
	CLEANUP(cleanup_memdir) struct memdir *d = open_dir(path);
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_int_equal(memdir_check(d, &err), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(memdir_check(d, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_UNAVAILABLE);
	err_clear(&err);
	assert_int_equal(memdir_create(d, "f", 512, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_UNAVAILABLE);
}

static void test_a_file_has_all_its_memory_from_the_start(void **state)
{
	CLEANUP(cleanup_memdir) struct memdir *d = open_dir(*state);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct stat st;

	assert_int_equal(memdir_create(d, "f", 1 << 20, &err), 0);
	assert_int_equal(memdir_stat(d, "f", &st, &err), 1);
	assert_int_equal(st.st_size, 1 << 20);
	assert_int_equal(st.st_blocks, (1 << 20) / 512);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_a_file_that_is_made_anew_is_empty(void **state)
{
	CLEANUP(cleanup_memdir) struct memdir *d = open_dir(*state);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_fd) int fd = -1;
	char byte = 'x';

	assert_int_equal(memdir_create(d, "f", 512, &err), 0);
	fd = memdir_file(d, "f", &err);
	assert_int_equal(pwrite(fd, &byte, 1, 0), 1);
	close(fd);
	assert_int_equal(memdir_create(d, "f", 1024, &err), 0);
	fd = memdir_file(d, "f", &err);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 0);
}

static void test_files_outlive_the_one_who_made_them(void **state)
{
	CLEANUP(cleanup_memdir) struct memdir *d = open_dir(*state);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct stat st;

	assert_int_equal(memdir_create(d, "f", 512, &err), 0);
	memdir_close(d);
	d = open_dir(*state);
	assert_int_equal(memdir_stat(d, "f", &st, &err), 1);
}

static void test_a_file_that_is_absent_is_said_so(void **state)
{
	CLEANUP(cleanup_memdir) struct memdir *d = open_dir(*state);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct stat st;

	assert_int_equal(memdir_stat(d, "f", &st, &err), 0);
	assert_int_equal(memdir_remove(d, "f", &err), 0);
	assert_int_equal(memdir_file(d, "f", &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_NOT_FOUND);
}

/* The directory itself counts a page of its own. */
static void mount_small(const char *path)
{
	NEEDS_MOUNT();
	assert_int_equal(mount("tmpfs", path, "tmpfs", 0, "size=1m,mode=700"),
			 0);
}

static void test_a_full_directory_refuses_and_keeps_nothing(void **state)
{
	struct memdir *d;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct stat st;

	mount_small(*state);
	d = open_dir(*state);
	assert_int_equal(memdir_create(d, "a", 768 << 10, &err), 0);
	assert_int_equal(memdir_create(d, "b", 512 << 10, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(err.msg, "512KiB"));
	assert_non_null(strstr(err.msg, "256KiB"));
	err_clear(&err);
	assert_int_equal(memdir_stat(d, "b", &st, &err), 0);
	assert_int_equal(memdir_create(d, "c", 256 << 10, &err), 0);
	assert_int_equal(memdir_remove(d, "a", &err), 0);
	assert_int_equal(memdir_create(d, "b", 512 << 10, &err), 0);
	memdir_close(d);
	assert_int_equal(umount(*state), 0);
}

static void test_capacity_is_that_of_the_whole_file_system(void **state)
{
	struct memdir *d;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	uint64_t bytes = 0;

	mount_small(*state);
	d = open_dir(*state);
	assert_int_equal(memdir_create(d, "a", 512 << 10, &err), 0);
	assert_int_equal(memdir_capacity(d, &bytes, &err), 0);
	assert_int_equal(bytes, 1 << 20);
	memdir_close(d);
	assert_int_equal(umount(*state), 0);
}

static void test_more_than_the_memory_is_refused_without_a_limit(void **state)
{
	struct memdir *d;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	uint64_t bytes = 0;

	NEEDS_MOUNT();
	assert_int_equal(mount("tmpfs", *state, "tmpfs", 0, "size=0,mode=700"),
			 0);
	d = open_dir(*state);
	assert_int_equal(memdir_capacity(d, &bytes, &err), 0);
	assert_true(bytes > 1 << 20);
	assert_int_equal(memdir_create(d, "a", UINT64_MAX - 511, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_RESOURCE_EXHAUSTED);
	memdir_close(d);
	assert_int_equal(umount(*state), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_directory_is_made_with_its_parents_for_us_alone),
		TEST(test_a_directory_is_used_by_one_at_a_time),
		TEST(test_a_directory_that_is_not_in_memory_is_refused),
		TEST(test_a_relative_path_is_refused),
		TEST(test_a_symbolic_link_is_refused),
		TEST(test_a_directory_open_to_others_is_refused),
		TEST(test_a_directory_of_somebody_else_is_refused),
		TEST(test_a_parent_that_somebody_else_planted_is_refused),
		TEST(test_a_directory_that_is_removed_is_noticed),
		TEST(test_a_file_has_all_its_memory_from_the_start),
		TEST(test_a_file_that_is_made_anew_is_empty),
		TEST(test_files_outlive_the_one_who_made_them),
		TEST(test_a_file_that_is_absent_is_said_so),
		TEST(test_a_full_directory_refuses_and_keeps_nothing),
		TEST(test_capacity_is_that_of_the_whole_file_system),
		TEST(test_more_than_the_memory_is_refused_without_a_limit),
	};

	disk_hide_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

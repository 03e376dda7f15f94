/* Disks that are held: detach says by whom and changes nothing. */

#include "daemon/host/holder.h"

#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "tests/unit/loop_file.h"

/* A child that prepares something, says so, and stays until it is let go. */
struct helper {
	pid_t pid;
	int ready;
	int hold;
};

static struct helper start_helper(void (*prepare)(struct loop_file *f),
				  struct loop_file *f)
{
	struct helper h;
	int ready[2], hold[2];
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	h.pid = fork();
	if (h.pid == 0) {
		close(hold[1]);
		prctl(PR_SET_NAME, "holding hand");
		prepare(f);
		_exit(write(ready[1], "", 1) == 1 &&
				      read(hold[0], &byte, 1) == 0
			      ? 0
			      : 1);
	}
	close(ready[1]);
	close(hold[0]);
	h.ready = ready[0];
	h.hold = hold[1];
	assert_int_equal(read(h.ready, &byte, 1), 1);
	return h;
}

static void end_helper(struct helper *h)
{
	close(h->hold);
	close(h->ready);
	disk_join(h->pid);
}

static void open_disk(struct loop_file *f)
{
	if (open(f->path, O_RDWR | O_CLOEXEC) == -1)
		_exit(2);
}

static void open_disk_alone(struct loop_file *f)
{
	if (open(f->path, O_RDONLY | O_EXCL | O_CLOEXEC) == -1)
		_exit(2);
}

static void refuses_and_changes_nothing(struct loop_file *f,
					void (*prepare)(struct loop_file *f),
					const char *holder)
{
	struct helper h;
	struct loop_info64 info;
	int fd;

	attach(f);
	h = start_helper(prepare, f);
	detach_refuses(f, holder);
	assert_int_equal(probe(f), LOOP_BOUND);
	fd = open(f->path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(ioctl(fd, LOOP_GET_STATUS64, &info), 0);
	assert_false(info.lo_flags & LO_FLAGS_AUTOCLEAR);
	close(fd);
	end_helper(&h);
	assert_int_equal(probe(f), LOOP_BOUND);
	detach(f);
	assert_int_equal(probe(f), LOOP_ABSENT);
}

static void test_a_process_that_has_the_disk_open_is_named(void **state)
{
	NEEDS_LOOP();
	refuses_and_changes_nothing(*state, open_disk,
				    "open in holding hand (pid ");
}

static void test_a_process_that_has_the_disk_alone_is_named(void **state)
{
	NEEDS_LOOP();
	refuses_and_changes_nothing(*state, open_disk_alone,
				    "open in holding hand (pid ");
}

static void make_fs(struct loop_file *f)
{
	CLEANUP(cleanup_free)
	char *command = mem_printf("mkfs.ext4 -q %s 2>&1", f->path);

	assert_int_equal(system(command), 0);
}

static char *mount_point(struct loop_file *f)
{
	char *path = mem_printf("%s/the mount point", f->dir);

	assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
	return path;
}

static void test_the_mount_point_of_a_disk_is_named(void **state)
{
	struct loop_file *f = *state;
	CLEANUP(cleanup_free) char *point = mount_point(f);
	CLEANUP(cleanup_free) char *text = mem_printf("mounted at %s", point);

	NEEDS_LOOP();
	NEEDS_MOUNT();
	attach(f);
	make_fs(f);
	assert_int_equal(mount(f->path, point, "ext4", 0, NULL), 0);
	detach_refuses(f, text);
	assert_int_equal(probe(f), LOOP_BOUND);
	assert_int_equal(umount(point), 0);
	detach(f);
}

static void mount_elsewhere(struct loop_file *f)
{
	CLEANUP(cleanup_free) char *point = mount_point(f);

	if (unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount(f->path, point, "ext4", 0, NULL) == -1)
		_exit(2);
}

static void test_a_mount_in_another_namespace_is_named(void **state)
{
	struct loop_file *f = *state;
	CLEANUP(cleanup_free) char *point = mount_point(f);
	CLEANUP(cleanup_free)
	char *text = mem_printf(
		"mounted at %s in the mount namespace of holding hand (pid ",
		point);

	NEEDS_LOOP();
	NEEDS_MOUNT();
	attach(f);
	make_fs(f);
	refuses_and_changes_nothing(f, mount_elsewhere, text);
}

static void test_a_mounted_partition_holds_its_disk(void **state)
{
	struct loop_file *f = *state;
	CLEANUP(cleanup_free) char *point = mount_point(f);
	CLEANUP(cleanup_free) char *part = mem_printf("%sp1", f->path);
	CLEANUP(cleanup_free)
	char *command = mem_printf(
		"addpart %s 1 0 4096 && mkfs.ext4 -q %s 2>&1", f->path, part);

	NEEDS_LOOP();
	NEEDS_MOUNT();
	attach(f);
	assert_int_equal(system(command), 0);
	assert_int_equal(mount(part, point, "ext4", 0, NULL), 0);
	detach_refuses(f, "mounted at ");
	assert_int_equal(umount(point), 0);
	detach(f);
	assert_int_equal(probe(f), LOOP_ABSENT);
}

static void test_a_disk_used_as_swap_is_said_so(void **state)
{
	struct loop_file *f = *state;
	CLEANUP(cleanup_free)
	char *on = mem_printf("mkswap -q %s && swapon %s", f->path, f->path);
	CLEANUP(cleanup_free) char *off = mem_printf("swapoff %s", f->path);

	NEEDS_LOOP();
	attach(f);
	disk_skip_unless(system(on) == 0, "a kernel with swap");
	detach_refuses(f, "used as swap");
	assert_int_equal(system(off), 0);
	detach(f);
}

static void test_nobody_is_named_for_a_disk_that_is_free(void **state)
{
	struct loop_file *f = *state;

	NEEDS_LOOP();
	attach(f);
	assert_null(holder_find_claim(f->path + strlen("/dev/")));
	assert_null(holder_find_process(f->path + strlen("/dev/")));
}

static void test_discards_stay_off_after_a_refusal(void **state)
{
	struct loop_file *f = *state;
	uint64_t all[2] = {0, LOOP_FILE_SIZE};
	int fd;

	NEEDS_LOOP();
	attach(f);
	fd = open(f->path, O_RDWR | O_CLOEXEC);
	detach_refuses(f, "open in");
	assert_int_equal(ioctl(fd, BLKDISCARD, all), -1);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_file, remove_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_process_that_has_the_disk_open_is_named),
		TEST(test_a_process_that_has_the_disk_alone_is_named),
		TEST(test_the_mount_point_of_a_disk_is_named),
		TEST(test_a_mount_in_another_namespace_is_named),
		TEST(test_a_mounted_partition_holds_its_disk),
		TEST(test_a_disk_used_as_swap_is_said_so),
		TEST(test_nobody_is_named_for_a_disk_that_is_free),
		TEST(test_discards_stay_off_after_a_refusal),
	};

	disk_hide_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

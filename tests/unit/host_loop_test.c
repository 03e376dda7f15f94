/* Real loop devices. */

#include "daemon/host/loop.h"

#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "daemon/host/sysfile.h"
#include "tests/unit/loop_file.h"

static off_t blocks(struct loop_file *f)
{
	struct stat st;

	assert_int_equal(fstat(f->fd, &st), 0);
	return st.st_blocks;
}

/* --- attach, detach --- */

static void test_a_number_is_not_chosen_twice(void **state)
{
	struct loop_file *f = *state;
	unsigned int first = f->number;

	choose(f);
	assert_int_not_equal(f->number, first);
	assert_true(f->number >= LOOP_FIRST && f->number <= LOOP_LAST);
}

static void test_an_attached_file_is_a_disk_with_sectors_of_512(void **state)
{
	struct loop_file *f = *state;
	unsigned char block[512] = "hello";
	char byte;
	int fd, sector;
	uint64_t size;

	NEEDS_LOOP();
	attach(f);
	assert_int_equal(probe(f), LOOP_BOUND);
	fd = open(f->path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(ioctl(fd, BLKSSZGET, &sector), 0);
	assert_int_equal(ioctl(fd, BLKGETSIZE64, &size), 0);
	close(fd);
	assert_int_equal(sector, 512);
	assert_int_equal(size, LOOP_FILE_SIZE);
	disk_io(f->path, true, 512, block, sizeof(block));
	assert_int_equal(pread(f->fd, &byte, 1, 512), 1);
	assert_int_equal(byte, 'h');
	detach(f);
	assert_int_equal(probe(f), LOOP_ABSENT);
}

static void test_attach_and_detach_can_be_repeated(void **state)
{
	struct loop_file *f = *state;

	NEEDS_LOOP();
	attach(f);
	attach(f);
	assert_int_equal(probe(f), LOOP_BOUND);
	detach(f);
	detach(f);
	assert_int_equal(probe(f), LOOP_ABSENT);
}

static void test_a_number_that_is_taken_is_aborted_and_left_alone(void **state)
{
	struct loop_file *f = *state;
	struct loop_file other = *f;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct stat st;

	NEEDS_LOOP();
	attach(f);
	other.fd = open(f->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(fstat(other.fd, &st), 0);
	other.backing.ino = st.st_ino;
	assert_int_equal(loop_attach(other.number, other.fd, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_ABORTED);
	assert_int_equal(probe(&other), LOOP_FOREIGN);
	detach(&other);
	assert_int_equal(probe(f), LOOP_BOUND);
	close(other.fd);
}

static void test_a_device_without_a_file_is_finished_or_removed(void **state)
{
	struct loop_file *f = *state;
	int control;

	NEEDS_LOOP();
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	assert_int_not_equal(ioctl(control, LOOP_CTL_ADD, (long)f->number), -1);
	assert_int_equal(probe(f), LOOP_UNBOUND);
	detach(f);
	assert_int_equal(probe(f), LOOP_ABSENT);
	assert_int_not_equal(ioctl(control, LOOP_CTL_ADD, (long)f->number), -1);
	attach(f);
	assert_int_equal(probe(f), LOOP_BOUND);
	close(control);
}

static void test_no_memory_is_given_back_by_discards(void **state)
{
	struct loop_file *f = *state;
	uint64_t all[2] = {0, LOOP_FILE_SIZE};
	off_t before = blocks(f);
	int fd;

	NEEDS_LOOP();
	attach(f);
	fd = open(f->path, O_RDWR | O_CLOEXEC);
	assert_int_equal(ioctl(fd, BLKDISCARD, all), -1);
	assert_int_equal(ioctl(fd, BLKZEROOUT, all), 0);
	close(fd);
	assert_int_equal(blocks(f), before);
}

static void test_a_static_dev_gets_its_node_and_loses_it(void **state)
{
	struct loop_file *f = *state;
	struct stat st;

	NEEDS_LOOP();
	attach(f);
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(probe(f), LOOP_BOUND);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(S_ISBLK(st.st_mode));
	assert_int_equal(st.st_rdev, makedev(LOOP_MAJOR, f->number));
	detach(f);
	assert_int_equal(access(f->path, F_OK), -1);
}

static void test_a_number_whose_node_is_taken_is_not_chosen(void **state)
{
	struct loop_file *f = *state;
	char path[32];
	int fd;

	NEEDS_LOOP();
	/* numbers are chosen in turn */
	snprintf(path, sizeof(path), "/dev/loop%u",
		 f->number == LOOP_LAST ? LOOP_FIRST : f->number + 1);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_not_equal(fd, -1);
	close(fd);
	choose(f);
	unlink(path);
	assert_string_not_equal(f->path, path);
}

/* --- dirty pages --- */

struct writer {
	struct loop_file *file;
	int fd;
	bool failed;
};

/* Writes without a sync and closes at the moment when detach has closed the
 * disk and would have the kernel clear it, were it not open here. */
static void *write_late(void *arg)
{
	struct writer *w = arg;
	CLEANUP(cleanup_free)
	char *path = mem_printf("/sys/block/%s/loop/autoclear",
				strrchr(w->file->path, '/') + 1);
	unsigned char page[4096];
	bool armed = false;

	memset(page, 'w', sizeof(page));
	while (!armed) {
		CLEANUP(cleanup_free) char *text = sysfile_read(path);

		armed = !text || strcmp(text, "1") == 0;
	}
	w->failed = pwrite(w->fd, page, sizeof(page), 8192) != sizeof(page);
	close(w->fd);
	return NULL;
}

static void test_what_is_written_up_to_the_last_close_is_kept(void **state)
{
	struct loop_file *f = *state;
	struct writer w = {.file = f};
	unsigned char page[4096];
	pthread_t thread;

	NEEDS_LOOP();
	attach(f);
	w.fd = open(f->path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pthread_create(&thread, NULL, write_late, &w), 0);
	detach(f);
	pthread_join(thread, NULL);
	assert_false(w.failed);
	assert_int_equal(probe(f), LOOP_ABSENT);
	assert_int_equal(pread(f->fd, page, sizeof(page), 8192), sizeof(page));
	assert_int_equal(page[0], 'w');
	assert_int_equal(page[4095], 'w');
}

static void test_without_privilege_it_is_said_what_is_missing(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct loop_file *f = *state;
	pid_t pid;

	NEEDS_ROOT();
	pid = fork();
	if (pid == 0) {
		bool good = setresuid(NOBODY, NOBODY, NOBODY) == 0 &&
			    loop_attach(f->number, f->fd, &err) == -1 &&
			    err.code == GRPC_STATUS_FAILED_PRECONDITION &&
			    strstr(err.msg, "/dev/loop-control") && err.hint &&
			    strstr(err.hint, "CAP_SYS_ADMIN");
		_exit(good ? 0 : 1);
	}
	disk_join(pid);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_file, remove_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_number_is_not_chosen_twice),
		TEST(test_an_attached_file_is_a_disk_with_sectors_of_512),
		TEST(test_attach_and_detach_can_be_repeated),
		TEST(test_a_number_that_is_taken_is_aborted_and_left_alone),
		TEST(test_a_device_without_a_file_is_finished_or_removed),
		TEST(test_no_memory_is_given_back_by_discards),
		TEST(test_a_static_dev_gets_its_node_and_loses_it),
		TEST(test_a_number_whose_node_is_taken_is_not_chosen),
		TEST(test_what_is_written_up_to_the_last_close_is_kept),
		TEST(test_without_privilege_it_is_said_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

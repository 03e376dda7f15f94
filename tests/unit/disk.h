#ifndef OIM_TESTS_DISK_H
#define OIM_TESTS_DISK_H

/* What tests with real disks and directories in memory share. */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/magic.h>

#include <cmocka.h>

#include "proto/lib/mem.h"

#define NOBODY 65534

static inline bool disk_can_attach(void)
{
	return geteuid() == 0 && access("/dev/loop-control", R_OK | W_OK) == 0;
}

static inline void disk_skip_unless(bool possible, const char *need)
{
	if (possible)
		return;
	print_message("skipped: needs %s\n", need);
	skip();
}

#define NEEDS_ROOT() disk_skip_unless(geteuid() == 0, "root")
#define NEEDS_MOUNT()                                                          \
	disk_skip_unless(disk_mounts_hidden, "root with CAP_SYS_ADMIN")
#define NEEDS_LOOP()                                                           \
	disk_skip_unless(disk_can_attach(), "root and /dev/loop-control")

/* Whether what is mounted from here on is seen by this program alone and ends
 * with it: called once, before the tests. */
static bool disk_mounts_hidden;

static inline void disk_hide_mounts(void)
{
	disk_mounts_hidden =
		geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* A new directory in memory, mode 0700; disk_remove_dir() frees it. */
static inline char *disk_make_dir(void)
{
	char *dir = mem_strdup("/dev/shm/oim-test-XXXXXX");

	assert_non_null(mkdtemp(dir));
	return dir;
}

static inline int disk_remove_one(const char *path, const struct stat *st,
				  int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void disk_remove_dir(char *dir)
{
	nftw(dir, disk_remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

/* Reads and writes whole blocks past all caches. */
static inline void disk_io(const char *path, bool writing, off_t offset,
			   unsigned char *block, size_t size)
{
	void *buffer = NULL;
	int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	ssize_t done;

	assert_int_not_equal(fd, -1);
	assert_int_equal(posix_memalign(&buffer, 4096, size), 0);
	memcpy(buffer, block, size);
	done = writing ? pwrite(fd, buffer, size, offset)
		       : pread(fd, buffer, size, offset);
	assert_int_equal(done, size);
	memcpy(block, buffer, size);
	free(buffer);
	close(fd);
}

/* Waits for a child that has to end well. */
static inline void disk_join(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#endif

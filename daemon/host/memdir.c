/* Files in memory: a directory on a tmpfs. */

#include "daemon/host/memdir.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

struct memdir {
	int fd;
	char *path;
};

/* --- open --- */

/* Others could have put it where it is, or put something else there. */
static bool is_exposed(const struct stat *parent, const struct stat *st)
{
	if (!(parent->st_mode & (S_IWGRP | S_IWOTH)))
		return false;
	return !(parent->st_mode & S_ISVTX) ||
	       (st->st_uid != 0 && st->st_uid != geteuid());
}

/* Opens, or makes, the directory whose name ends path at length; the caller
 * closes the result. */
static int enter(int parent, const char *path, int length, struct err *err)
{
	CLEANUP(cleanup_free) char *so_far = mem_printf("%.*s", length, path);
	const char *name = strrchr(so_far, '/') + 1;
	CLEANUP(cleanup_fd) int fd = -1;
	struct stat above, st;

	if (mkdirat(parent, name, 0700) == -1 && errno != EEXIST)
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "cannot make directory %s: %m", so_far);
	fd = openat(parent, name,
		    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return err_set(
			err, GRPC_STATUS_FAILED_PRECONDITION,
			errno == ENOTDIR
				? "%s is a symbolic link or a file, not a directory"
				: "cannot open directory %s: %m",
			so_far);
	if (fstat(parent, &above) == -1 || fstat(fd, &st) == -1)
		return err_errno(err, "look at %s", so_far);
	if (is_exposed(&above, &st))
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "%s can be replaced by other users", so_far);
	return steal_fd(&fd);
}

/* An O_PATH descriptor of the directory, which the caller closes. */
static int walk(const char *path, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = open("/", O_PATH | O_CLOEXEC);
	const char *end = path;

	if (*path != '/')
		return err_set(
			err, GRPC_STATUS_INVALID_ARGUMENT,
			"memory directory \"%s\" is not an absolute path",
			path);
	while (end += strspn(end, "/"), *end) {
		int next;

		end = strchrnul(end, '/');
		next = enter(fd, path, end - path, err);
		if (next == -1)
			return -1;
		close(fd);
		fd = next;
	}
	return steal_fd(&fd);
}

static int check_ours(int fd, const char *path, struct err *err)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) == -1 || fstat(fd, &st) == -1)
		return err_errno(err, "look at %s", path);
	if (fs.f_type != TMPFS_MAGIC)
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "memory directory %s is not on a tmpfs", path);
	if (st.st_uid != geteuid())
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "memory directory %s belongs to user %u", path,
			       (unsigned int)st.st_uid);
	if (st.st_mode & 077)
		return err_set(
			err, GRPC_STATUS_FAILED_PRECONDITION,
			"memory directory %s is open to other users (mode %04o, must be 0700)",
			path, st.st_mode & 07777);
	return 0;
}

/* The kernel drops the lock with the last descriptor of the directory. */
static int lock(int fd, const char *path, struct err *err)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(
			err, GRPC_STATUS_FAILED_PRECONDITION,
			"memory directory %s is in use by another daemon",
			path);
	return err_errno(err, "lock %s", path);
}

struct memdir *memdir_open(const char *path, struct err *err)
{
	CLEANUP(cleanup_fd) int place = walk(path, err);
	CLEANUP(cleanup_fd) int fd = -1;
	struct memdir *d;

	if (place == -1)
		return NULL;
	fd = openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1) {
		err_errno(err, "open %s", path);
		return NULL;
	}
	if (check_ours(fd, path, err) < 0 || lock(fd, path, err) < 0)
		return NULL;
	d = mem_zalloc(1, sizeof(*d));
	d->fd = steal_fd(&fd);
	d->path = mem_strdup(path);
	return d;
}

void memdir_close(struct memdir *d)
{
	if (!d)
		return;
	close(d->fd);
	free(d->path);
	free(d);
}

int memdir_check(struct memdir *d, struct err *err)
{
	struct stat st;

	if (fstat(d->fd, &st) == -1)
		return err_errno(err, "look at %s", d->path);
	if (st.st_nlink == 0)
		return err_set(err, GRPC_STATUS_UNAVAILABLE,
			       "memory directory %s has been removed", d->path);
	return 0;
}

/* --- space --- */

int memdir_capacity(struct memdir *d, uint64_t *bytes, struct err *err)
{
	struct statvfs fs;

	if (fstatvfs(d->fd, &fs) == -1)
		return err_errno(err, "look at %s", d->path);
	*bytes = fs.f_blocks * fs.f_frsize;
	/* a tmpfs without a limit */
	if (!*bytes)
		*bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) *
			 (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

/* Memory and swap that can be had. A tmpfs may be larger than that, and to fill
 * it beyond makes the kernel kill processes. */
static uint64_t free_memory(void)
{
	CLEANUP(cleanup_file) FILE *file = fopen("/proc/meminfo", "re");
	CLEANUP(cleanup_free) char *line = NULL;
	uint64_t total = 0, kib;
	size_t size = 0;

	if (!file)
		return UINT64_MAX;
	while (getline(&line, &size, file) != -1)
		if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1 ||
		    sscanf(line, "SwapFree: %" SCNu64, &kib) == 1)
			total += kib * 1024;
	return total;
}

static uint64_t free_space(struct memdir *d)
{
	uint64_t memory = free_memory();
	struct statvfs fs;

	if (fstatvfs(d->fd, &fs) == -1 || !fs.f_blocks ||
	    fs.f_bavail * fs.f_frsize > memory)
		return memory;
	return fs.f_bavail * fs.f_frsize;
}

static int too_big(struct memdir *d, uint64_t size, struct err *err)
{
	CLEANUP(cleanup_free) char *want = units_format_size(size);
	CLEANUP(cleanup_free) char *have = units_format_size(free_space(d));

	return err_set(err, GRPC_STATUS_RESOURCE_EXHAUSTED,
		       "%s do not fit into memory directory %s: %s are free",
		       want, d->path, have);
}

/* --- files --- */

static void check_name(const char *name)
{
	assert(*name && *name != '.' && !strchr(name, '/'));
	(void)name;
}

static int allocate(struct memdir *d, int fd, uint64_t size, struct err *err)
{
	if (size > free_space(d))
		return too_big(d, size, err);
	while (fallocate(fd, 0, 0, (off_t)size) == -1)
		switch (errno) {
		case EINTR:
			continue;
		case ENOSPC:
		case ENOMEM:
		case EDQUOT:
		case EFBIG:
			return too_big(d, size, err);
		default:
			return err_errno(err,
					 "allocate %" PRIu64 " bytes in %s",
					 size, d->path);
		}
	return 0;
}

int memdir_create(struct memdir *d, const char *name, uint64_t size,
		  struct err *err)
{
	CLEANUP(cleanup_fd) int fd = -1;
	char self[64];

	check_name(name);
	if (memdir_check(d, err) < 0 || memdir_remove(d, name, err) < 0)
		return -1;
	/* without a name until it is complete, so nothing is ever left over */
	fd = openat(d->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd == -1)
		return err_errno(err, "make a file in %s", d->path);
	if (allocate(d, fd, size, err) < 0)
		return -1;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, d->fd, name, AT_SYMLINK_FOLLOW) == -1)
		return err_errno(err, "make %s/%s", d->path, name);
	return 0;
}

int memdir_remove(struct memdir *d, const char *name, struct err *err)
{
	check_name(name);
	if (unlinkat(d->fd, name, 0) == -1 && errno != ENOENT)
		return err_errno(err, "remove %s/%s", d->path, name);
	return 0;
}

int memdir_stat(struct memdir *d, const char *name, struct stat *st,
		struct err *err)
{
	check_name(name);
	if (fstatat(d->fd, name, st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	if (errno == ENOENT)
		return 0;
	return err_errno(err, "look at %s/%s", d->path, name);
}

int memdir_file(struct memdir *d, const char *name, struct err *err)
{
	int fd;

	check_name(name);
	fd = openat(d->fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		err_errno(err, "open %s/%s", d->path, name);
	return fd;
}

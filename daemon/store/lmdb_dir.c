/*
 * The directory of a store: who may see it, and who has it. LMDB leaves both to
 * us: a second process could open it too, and the umask would decide on modes.
 */

#include "daemon/store/lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

/*
 * LMDB maps lock.mdb writable and leaves it sparse, so on a file system that is
 * full a new reader would get SIGBUS. It takes the number of readers, a
 * thousand then, from the size that it finds.
 */
#define READER_TABLE_SIZE (64 << 10)

int lmdb_dir_sync(const char *path, struct err *err)
{
	CLEANUP(cleanup_fd)
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1 || fsync(fd) == -1)
		return err_errno(err, "sync directory %s", path);
	return 0;
}

static int make_dir(const char *path, struct err *err)
{
	CLEANUP(cleanup_free) char *parent = mem_printf("%s/..", path);

	if (mkdir(path, 0700) == -1)
		return errno == EEXIST ? 0 : err_errno(err, "make directory");
	if (chmod(path, 0700) == -1)
		return err_errno(err, "set mode of directory");
	return lmdb_dir_sync(parent, err);
}

/* The file, made if it is absent; the descriptor is the caller's. */
static int make_file(const char *dir, const char *name, struct err *err)
{
	CLEANUP(cleanup_free) char *path = mem_printf("%s/%s", dir, name);
	CLEANUP(cleanup_fd) int fd = -1;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1)
		return err_errno(err, "open %s", name);
	if (fchmod(fd, 0600) == -1)
		return err_errno(err, "set the mode of %s", name);
	return steal_fd(&fd);
}

static int refuse_second(int fd, struct err *err)
{
	char pid[16] = "";

	if (pread(fd, pid, sizeof(pid) - 1, 0) <= 0)
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "another process has it open");
	return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
		       "process %ld has it open", strtol(pid, NULL, 10));
}

/* The pid helps whoever finds it locked; a full disk must not matter here. */
static int write_pid(int fd, struct err *err)
{
	char pid[16];
	ssize_t n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

	if (ftruncate(fd, pwrite(fd, pid, (size_t)n, 0) == n ? n : 0) == -1)
		return err_errno(err, "write to lock");
	return 0;
}

static int lock(const char *path, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = make_file(path, "lock", err);

	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		return errno == EWOULDBLOCK ? refuse_second(fd, err)
					    : err_errno(err, "take the lock");
	if (write_pid(fd, err) < 0)
		return -1;
	return steal_fd(&fd);
}

static int make_reader_table(const char *path, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = make_file(path, "lock.mdb", err);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == -1)
		return err_errno(err, "look at lock.mdb");
	/* A full XFS refuses even to allocate what is there already. */
	if (st.st_size >= READER_TABLE_SIZE &&
	    st.st_blocks * 512 >= READER_TABLE_SIZE)
		return 0;
	errno = posix_fallocate(fd, 0, READER_TABLE_SIZE);
	return errno ? err_errno(err, "allocate lock.mdb") : 0;
}

static int make_data(const char *path, bool *is_new, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = make_file(path, "data.mdb", err);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == -1)
		return err_errno(err, "look at data.mdb");
	*is_new = st.st_size == 0;
	return 0;
}

int lmdb_dir_lock(const char *path, bool *is_new, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = -1;

	if (make_dir(path, err) < 0)
		return -1;
	fd = lock(path, err);
	if (fd < 0 || make_reader_table(path, err) < 0 ||
	    make_data(path, is_new, err) < 0)
		return -1;
	return steal_fd(&fd);
}

void lmdb_dir_discard(const char *path)
{
	CLEANUP(cleanup_free) char *data = mem_printf("%s/data.mdb", path);

	unlink(data);
}

/* Files that are there as a whole or not at all. */

#include "daemon/host/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

static int write_all(int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t n = write(fd, text, size);

		if (n == -1 && errno != EINTR)
			return -1;
		if (n > 0) {
			text += n;
			size -= (size_t)n;
		}
	}
	return fsync(fd);
}

static int sync_folder(const char *path)
{
	CLEANUP(cleanup_free) char *copy = mem_strdup(path);
	CLEANUP(cleanup_fd)
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd == -1 ? -1 : fsync(fd);
}

int newfile_write(const char *path, const char *text, size_t size,
		  struct err *err)
{
	CLEANUP(cleanup_free) char *temporary = mem_printf("%s.XXXXXX", path);
	CLEANUP(cleanup_fd) int fd = mkostemp(temporary, O_CLOEXEC);

	if (fd == -1)
		return err_errno(err, "make a file beside %s", path);
	if (fchmod(fd, 0600) == -1 || write_all(fd, text, size) == -1 ||
	    rename(temporary, path) == -1) {
		err_errno(err, "write %s", path);
		unlink(temporary);
		return -1;
	}
	return sync_folder(path) == -1 ? err_errno(err, "sync %s", path) : 0;
}

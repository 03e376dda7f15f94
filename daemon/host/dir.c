/* Making directories. */

#include "daemon/host/dir.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

int dir_make(const char *path, mode_t mode, struct err *err)
{
	CLEANUP(cleanup_free) char *part = mem_strdup(path);
	struct stat st;

	for (char *slash = strchr(part + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) == -1 && errno != EEXIST)
			return err_errno(err, "cannot make directory \"%s\"",
					 part);
		*slash = '/';
	}
	if (mkdir(path, mode) == -1 && errno != EEXIST)
		return err_errno(err, "cannot make directory \"%s\"", path);
	if (stat(path, &st) == -1 || !S_ISDIR(st.st_mode)) {
		errno = ENOTDIR;
		return err_errno(err, "\"%s\"", path);
	}
	return 0;
}

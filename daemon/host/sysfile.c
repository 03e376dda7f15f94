/* Reading and writing the kernel's one-line files. */

#include "daemon/host/sysfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

char *sysfile_read(const char *path)
{
	CLEANUP(cleanup_file) FILE *file = fopen(path, "re");
	CLEANUP(cleanup_free) char *line = NULL;
	size_t size = 0;

	if (!file)
		return NULL;
	errno = 0;
	if (getline(&line, &size, file) == -1)
		return errno ? NULL : mem_strdup("");
	line[strcspn(line, "\n")] = '\0';
	return STEAL(line);
}

int sysfile_write(const char *path, const char *text)
{
	CLEANUP(cleanup_fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd == -1 || write(fd, text, strlen(text)) == -1 ? -1 : 0;
}

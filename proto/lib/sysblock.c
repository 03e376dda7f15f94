/* The rule by which the two ends of a mapping find its disk in sysfs. */

#include "proto/lib/sysblock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

/* A partition has a file that says so, and its directory is in the disk's. */
static bool is_partition(int root, const char *entry, const char *target)
{
	const char *block = strstr(target, "/block/");
	char path[300];

	for (const char *next = block; next; next = strstr(next + 1, "/block/"))
		block = next;
	if (block && strchr(block + strlen("/block/"), '/'))
		return true;
	snprintf(path, sizeof(path), "%s/partition", entry);
	return faccessat(root, path, F_OK, 0) == 0;
}

/* Whether the entry is a disk that fits, which *disk then tells. One that
 * vanishes meanwhile does not fit. */
static bool is_match(int root, const char *entry, const char *device,
		     const char *lun, struct sysblock_disk *disk)
{
	char target[PATH_MAX];
	const char *name;
	ssize_t size;

	if (sscanf(entry, "%u:%u", &disk->major, &disk->minor) != 2)
		return false;
	size = readlinkat(root, entry, target, sizeof(target) - 1);
	if (size == -1)
		return false;
	target[size] = '\0';
	if (!strstr(target, device) || (lun && !strstr(target, lun)) ||
	    is_partition(root, entry, target))
		return false;
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= sizeof(disk->name))
		return false;
	memcpy(disk->name, name, strlen(name) + 1);
	/* sysfs has no slashes in names, /dev has: "cciss!c0d0" */
	for (char *c = disk->name; (c = strchr(c, '!'));)
		*c = '/';
	return true;
}

static int ambiguous(const char *device, const char *scsi, const char *names,
		     struct err *err)
{
	return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
		       "device \"%s\"%s%s fits several disks: %s", device,
		       *scsi ? " with SCSI " : "", scsi, names);
}

int sysblock_find(const char *root, const char *device, const char *scsi,
		  struct sysblock_disk *disk, struct err *err)
{
	CLEANUP(cleanup_free)
	char *lun = *scsi ? mem_printf(":%s/block/", scsi) : NULL;
	CLEANUP(cleanup_free) char *names = NULL;
	CLEANUP(cleanup_dir) DIR *dir = opendir(root);
	struct sysblock_disk found;
	const struct dirent *entry;
	int count = 0;

	if (!*device)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "empty device");
	if (!dir)
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "cannot list %s: %m", root);
	while ((entry = readdir(dir))) {
		char *list;

		if (!is_match(dirfd(dir), entry->d_name, device, lun, &found))
			continue;
		list = mem_printf("%s%s%s", names ? names : "",
				  names ? ", " : "", found.name);
		free(names);
		names = list;
		*disk = found;
		count++;
	}
	return count > 1 ? ambiguous(device, scsi, names, err) : count;
}

/* Nodes and links below /dev. */

#include "daemon/host/devfile.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define BY_ID  "/dev/disk/by-id"
#define PREFIX "oim-"

int devfile_make_node(const char *disk, dev_t dev)
{
	CLEANUP(cleanup_free) char *path = mem_printf("/dev/%s", disk);

	if (mknod(path, S_IFBLK | 0600, dev) == -1 && errno != EEXIST)
		return -1;
	return 0;
}

void devfile_remove_node(const char *disk, dev_t dev)
{
	CLEANUP(cleanup_free) char *path = mem_printf("/dev/%s", disk);
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == dev)
		unlink(path);
}

/* Where a link is made before it gets its name; each disk has its own, so that
 * what a crash leaves is found again. */
static char *draft_path(const char *disk)
{
	return mem_printf(BY_ID "/." PREFIX "%s", disk);
}

static bool leads_to(const char *path, const char *disk)
{
	CLEANUP(cleanup_free) char *want = mem_printf("../../%s", disk);
	char target[PATH_MAX];
	ssize_t size = readlink(path, target, sizeof(target));

	return size != -1 && (size_t)size == strlen(want) &&
	       memcmp(target, want, size) == 0;
}

/* Whether the link leads to a disk that is there. */
static bool is_taken(const char *path)
{
	CLEANUP(cleanup_free) char *entry = NULL;
	char target[PATH_MAX];
	ssize_t size = readlink(path, target, sizeof(target) - 1);

	if (size == -1)
		return false;
	target[size] = '\0';
	if (strncmp(target, "../../", 6) != 0)
		return false;
	entry = mem_printf("/sys/class/block/%s", target + 6);
	return access(entry, F_OK) == 0;
}

static int make_dir(const char *path)
{
	return mkdir(path, 0755) == -1 && errno != EEXIST ? -1 : 0;
}

int devfile_make_link(const char *name, const char *disk, struct err *err)
{
	CLEANUP(cleanup_free)
	char *path = mem_printf(BY_ID "/" PREFIX "%s", name);
	CLEANUP(cleanup_free) char *draft = draft_path(disk);
	CLEANUP(cleanup_free) char *target = mem_printf("../../%s", disk);

	if (is_taken(path))
		return 0;
	unlink(draft);
	if (make_dir("/dev/disk") == 0 && make_dir(BY_ID) == 0 &&
	    symlink(target, draft) == 0 && rename(draft, path) == 0)
		return 0;
	err_errno(err, "make link %s", path);
	unlink(draft);
	return -1;
}

static void remove_links(const char *disk)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir(BY_ID);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
			devfile_remove_link(entry->d_name + strlen(PREFIX),
					    disk);
}

void devfile_remove_link(const char *name, const char *disk)
{
	CLEANUP(cleanup_free) char *draft = draft_path(disk);
	CLEANUP(cleanup_free) char *path = NULL;

	if (!name) {
		remove_links(disk);
		return;
	}
	path = mem_printf(BY_ID "/" PREFIX "%s", name);
	unlink(draft);
	if (leads_to(path, disk))
		unlink(path);
}

bool devfile_has_link(const char *name, const char *disk)
{
	CLEANUP(cleanup_free)
	char *path = mem_printf(BY_ID "/" PREFIX "%s", name);

	return leads_to(path, disk);
}

bool devfile_is_link_taken(const char *name)
{
	CLEANUP(cleanup_free)
	char *path = mem_printf(BY_ID "/" PREFIX "%s", name);

	return is_taken(path);
}

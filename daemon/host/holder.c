/* Looks through /proc and /sys for the holders of a disk. */

#include "daemon/host/holder.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "daemon/host/sysfile.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"

/* A disk and its partitions: to hold one is to hold the disk. */
struct devices {
	dev_t *devs;
	size_t count;
};

static void cleanup_devices(struct devices *d)
{
	free(d->devs);
}

static bool has_device(const struct devices *d, dev_t dev)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->devs[i] == dev)
			return true;
	return false;
}

static bool has_path(const struct devices *d, const char *path)
{
	struct stat st;

	return strncmp(path, "/dev/", 5) == 0 && stat(path, &st) == 0 &&
	       S_ISBLK(st.st_mode) && has_device(d, st.st_rdev);
}

static void add_device(struct devices *d, const char *path)
{
	CLEANUP(cleanup_free) char *text = sysfile_read(path);
	unsigned int major, minor;

	if (!text || sscanf(text, "%u:%u", &major, &minor) != 2)
		return;
	d->devs = mem_realloc(d->devs, d->count + 1, sizeof(*d->devs));
	d->devs[d->count++] = makedev(major, minor);
}

static void list_devices(const char *disk, struct devices *d)
{
	CLEANUP(cleanup_free)
	char *path = mem_printf("/sys/class/block/%s", disk);
	CLEANUP(cleanup_free) char *own = mem_printf("%s/dev", path);
	CLEANUP(cleanup_dir) DIR *dir = opendir(path);
	const struct dirent *entry;

	add_device(d, own);
	while (dir && (entry = readdir(dir))) {
		CLEANUP(cleanup_free) char *part = NULL;

		if (strncmp(entry->d_name, disk, strlen(disk)) != 0)
			continue;
		part = mem_printf("%s/%s/dev", path, entry->d_name);
		add_device(d, part);
	}
}

/* Undoes the \040 and so on of mountinfo and swaps, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++, to++) {
		*to = *s;
		if (*s == '\\' && s[1] && s[2] && s[3]) {
			*to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				     (s[3] - '0'));
			s += 3;
		}
	}
	*to = '\0';
}

/* The mount point if the line is about one of the devices. Some file systems
 * (btrfs) have device numbers of their own: there the source tells. */
static char *match_mount(const struct devices *d, const char *line)
{
	CLEANUP(cleanup_free) char *point = NULL;
	CLEANUP(cleanup_free) char *source = NULL;
	const char *rest = strstr(line, " - ");
	unsigned int major, minor;

	if (!rest ||
	    sscanf(line, "%*d %*d %u:%u %*s %ms", &major, &minor, &point) !=
		    3 ||
	    sscanf(rest, " - %*s %ms", &source) != 1)
		return NULL;
	unescape(source);
	if (!has_device(d, makedev(major, minor)) && !has_path(d, source))
		return NULL;
	unescape(point);
	return STEAL(point);
}

static char *find_mount(const struct devices *d, const char *pid)
{
	CLEANUP(cleanup_free)
	char *path = mem_printf("/proc/%s/mountinfo", pid);
	CLEANUP(cleanup_file) FILE *file = fopen(path, "re");
	CLEANUP(cleanup_free) char *line = NULL;
	char *point = NULL;
	size_t size = 0;

	while (file && !point && getline(&line, &size, file) != -1)
		point = match_mount(d, line);
	return point;
}

/* "NAME (pid 7)" */
static char *process_name(const char *pid)
{
	CLEANUP(cleanup_free) char *path = mem_printf("/proc/%s/comm", pid);
	CLEANUP(cleanup_free) char *comm = sysfile_read(path);

	return mem_printf("%s (pid %s)", comm ? comm : "a process", pid);
}

/* Calls find for each process until one gives a text. */
static char *each_process(char *(*find)(const char *pid, void *arg), void *arg)
{
	CLEANUP(cleanup_dir) DIR *dir = opendir("/proc");
	const struct dirent *entry;
	char *text = NULL;

	while (dir && !text && (entry = readdir(dir)))
		if (isdigit((unsigned char)*entry->d_name))
			text = find(entry->d_name, arg);
	return text;
}

/* Mount namespaces that have been looked at. */
struct mount_search {
	const struct devices *devices;
	ino_t *seen;
	size_t count;
};

static bool is_seen(struct mount_search *s, const char *pid)
{
	CLEANUP(cleanup_free) char *path = mem_printf("/proc/%s/ns/mnt", pid);
	struct stat st;

	if (stat(path, &st) == -1)
		return true;
	for (size_t i = 0; i < s->count; i++)
		if (s->seen[i] == st.st_ino)
			return true;
	s->seen = mem_realloc(s->seen, s->count + 1, sizeof(*s->seen));
	s->seen[s->count++] = st.st_ino;
	return false;
}

static char *mounted_in(const char *pid, void *arg)
{
	struct mount_search *s = arg;
	CLEANUP(cleanup_free) char *point = NULL;
	CLEANUP(cleanup_free) char *process = NULL;

	if (is_seen(s, pid))
		return NULL;
	point = find_mount(s->devices, pid);
	if (!point)
		return NULL;
	process = process_name(pid);
	return mem_printf("mounted at %s in the mount namespace of %s", point,
			  process);
}

static char *mounted(const struct devices *d)
{
	struct mount_search s = {.devices = d};
	CLEANUP(cleanup_free) char *point = find_mount(d, "self");
	char *text;

	if (point)
		return mem_printf("mounted at %s", point);
	is_seen(&s, "self");
	text = each_process(mounted_in, &s);
	free(s.seen);
	return text;
}

static char *swapped(const struct devices *d)
{
	CLEANUP(cleanup_file) FILE *file = fopen("/proc/swaps", "re");
	CLEANUP(cleanup_free) char *line = NULL;
	bool found = false;
	size_t size = 0;

	while (file && !found && getline(&line, &size, file) != -1) {
		line[strcspn(line, " \t\n")] = '\0';
		unescape(line);
		found = has_path(d, line);
	}
	return found ? mem_strdup("used as swap") : NULL;
}

/* The first disk that the device is part of: one of device mapper (with its
 * name there), md or the like. */
static char *part_of(dev_t dev)
{
	CLEANUP(cleanup_free)
	char *path = mem_printf("/sys/dev/block/%u:%u/holders", major(dev),
				minor(dev));
	CLEANUP(cleanup_dir) DIR *dir = opendir(path);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		CLEANUP(cleanup_free) char *file = NULL;
		CLEANUP(cleanup_free) char *name = NULL;

		if (*entry->d_name == '.')
			continue;
		file = mem_printf("/sys/class/block/%s/dm/name", entry->d_name);
		name = sysfile_read(file);
		return name ? mem_printf("part of %s (%s)", entry->d_name, name)
			    : mem_printf("part of %s", entry->d_name);
	}
	return NULL;
}

/* What others have named goes into messages: mount points, processes. */
static char *printable(const char *text)
{
	return text ? utf8_printable(text, strlen(text)) : NULL;
}

char *holder_find_claim(const char *disk)
{
	CLEANUP(cleanup_devices) struct devices d = {0};
	CLEANUP(cleanup_free) char *text = NULL;

	list_devices(disk, &d);
	text = mounted(&d);
	if (!text)
		text = swapped(&d);
	for (size_t i = 0; !text && i < d.count; i++)
		text = part_of(d.devs[i]);
	return printable(text);
}

/* statx without a sync, so that a dead file server does not stop us. */
static char *open_in(const char *pid, void *arg)
{
	CLEANUP(cleanup_free) char *path = mem_printf("/proc/%s/fd", pid);
	CLEANUP(cleanup_dir) DIR *dir = opendir(path);
	CLEANUP(cleanup_free) char *process = NULL;
	const struct dirent *entry;
	struct statx st;

	while (dir && (entry = readdir(dir))) {
		if (statx(dirfd(dir), entry->d_name, AT_STATX_DONT_SYNC,
			  STATX_TYPE, &st) == -1 ||
		    !S_ISBLK(st.stx_mode) ||
		    !has_device(arg,
				makedev(st.stx_rdev_major, st.stx_rdev_minor)))
			continue;
		process = process_name(pid);
		return mem_printf("open in %s", process);
	}
	return NULL;
}

char *holder_find_process(const char *disk)
{
	CLEANUP(cleanup_devices) struct devices d = {0};
	CLEANUP(cleanup_free) char *text = NULL;

	list_devices(disk, &d);
	text = each_process(open_in, &d);
	return printable(text);
}

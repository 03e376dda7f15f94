/*
 * Loop devices by /dev/loop-control and the LOOP_ ioctls (loop(4)), as Linux
 * 5.8 and later have them.
 */

#include "daemon/host/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "daemon/host/devfile.h"
#include "daemon/host/holder.h"
#include "daemon/host/sysfile.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

#define CONTROL "/dev/loop-control"

/* A busy device is tried again this often, and for so long. */
#define INTERVAL (UNITS_SECOND / 100)
#define PATIENCE (UNITS_SECOND / 2)

char *loop_name(unsigned int number, char name[LOOP_NAME_SIZE])
{
	snprintf(name, LOOP_NAME_SIZE, "loop%u", number);
	return name;
}

static bool has_file(const char *dir, unsigned int number)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/loop%u", dir, number);
	return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_there(unsigned int number)
{
	return has_file("/sys/block", number);
}

int loop_choose(unsigned int *number, struct err *err)
{
	static atomic_uint next;
	const unsigned int count = LOOP_LAST - LOOP_FIRST + 1;
	/* each process begins elsewhere: two rarely choose the same */
	const unsigned int first = (unsigned int)getpid() * 1009;

	for (unsigned int i = 0; i < count; i++) {
		*number = LOOP_FIRST +
			  (first + atomic_fetch_add(&next, 1)) % count;
		/* what stands in the place of its node would stay there */
		if (!is_there(*number) && !has_file("/dev", *number))
			return 0;
	}
	return err_set(err, GRPC_STATUS_RESOURCE_EXHAUSTED,
		       "all loop devices from %d to %d are in use", LOOP_FIRST,
		       LOOP_LAST);
}

/* An error of a system call on that file. */
static int fail(const char *verb, const char *path, struct err *err)
{
	switch (errno) {
	case EACCES:
	case EPERM:
	case EROFS:
		err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			"cannot %s %s: %m", verb, path);
		return err_hint(
			err,
			"disks are attached with the privilege of root (CAP_SYS_ADMIN), and in a container with the /dev and a writable /sys of the host");
	default:
		return err_errno(err, "%s %s", verb, path);
	}
}

static int fail_at(const char *verb, unsigned int number, struct err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/dev/loop%u", number);
	return fail(verb, path, err);
}

/* LOOP_CTL_ADD or LOOP_CTL_REMOVE; -1 and errno. */
static int control(unsigned long request, unsigned int number)
{
	CLEANUP(cleanup_fd) int fd = open(CONTROL, O_RDWR | O_CLOEXEC);

	return fd == -1 ? -1 : ioctl(fd, request, (long)number);
}

/* Opens the device, by a node made for it if there is none (devtmpfs would have
 * made it before LOOP_CTL_ADD came back). To open a stale node could make the
 * kernel create the device, hence the first look. -1 and errno. */
static int open_device(unsigned int number, int flags)
{
	char name[LOOP_NAME_SIZE];
	char path[64];
	int fd;

	if (!is_there(number)) {
		errno = ENOENT;
		return -1;
	}
	snprintf(path, sizeof(path), "/dev/%s", loop_name(number, name));
	fd = open(path, flags | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT &&
	    devfile_make_node(name, makedev(LOOP_MAJOR, number)) == 0)
		fd = open(path, flags | O_CLOEXEC);
	return fd;
}

/* What the open device is bound to, and how. -1 and errno. */
static int look(int fd, const struct loop_backing *backing,
		struct loop_info64 *info, enum loop_state *state)
{
	*info = (struct loop_info64){0};
	if (ioctl(fd, LOOP_GET_STATUS64, info) == 0)
		*state = info->lo_device == backing->dev &&
					 info->lo_inode == backing->ino
				 ? LOOP_BOUND
				 : LOOP_FOREIGN;
	else if (errno == ENXIO)
		*state = LOOP_UNBOUND;
	else
		return -1;
	return 0;
}

/* A device that is gone, or about to go, cannot be opened. */
static bool is_gone(int error)
{
	return error == ENOENT || error == ENXIO || error == ENODEV;
}

int loop_probe(unsigned int number, const struct loop_backing *backing,
	       enum loop_state *state, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = open_device(number, O_RDONLY);
	struct loop_info64 info;

	if (fd == -1 && is_gone(errno)) {
		*state = is_there(number) ? LOOP_UNBOUND : LOOP_ABSENT;
		return 0;
	}
	if (fd == -1 || look(fd, backing, &info, state) == -1)
		return fail_at("look at", number, err);
	return 0;
}

/* --- attach --- */

static int add(unsigned int number, struct err *err)
{
	CLEANUP(cleanup_free)
	char *max_part = sysfile_read("/sys/module/loop/parameters/max_part");

	/* then the minor number is a multiple of the device's, and too big */
	if (max_part && strcmp(max_part, "0") != 0)
		return err_set(
			err, GRPC_STATUS_FAILED_PRECONDITION,
			"loop devices of this host have no number %u while the kernel's loop.max_part is %s: it must be 0",
			number, max_part);
	if (control(LOOP_CTL_ADD, number) != -1 || errno == EEXIST)
		return 0;
	if (!is_gone(errno))
		return fail("use", CONTROL, err);
	err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
		"this host has no loop devices: cannot use %s: %m", CONTROL);
	return err_hint(err, "load the kernel's module: modprobe loop");
}

/* -1 and errno, which is EBUSY if the device is bound already. */
static int configure(int device, int fd)
{
	struct loop_config config = {
		.fd = fd,
		.block_size = 512,
		.info = {.lo_flags = LO_FLAGS_DIRECT_IO},
	};

	if (ioctl(device, LOOP_CONFIGURE, &config) == 0)
		return 0;
	if (errno != EINVAL)
		return -1;
	config.info.lo_flags = 0;
	return ioctl(device, LOOP_CONFIGURE, &config);
}

/*
 * Makes a bound device one that stays: it is not cleared when it is closed, and
 * it does not give back the memory of its file. (mkfs discards all blocks; what
 * is written later could then find the memory full.) -1 and errno.
 */
static int settle(int device, unsigned int number, struct loop_info64 *info)
{
	char path[64];

	if (info->lo_flags & LO_FLAGS_AUTOCLEAR) {
		info->lo_flags &= ~LO_FLAGS_AUTOCLEAR;
		if (ioctl(device, LOOP_SET_STATUS64, info) == -1)
			return -1;
	}
	snprintf(path, sizeof(path),
		 "/sys/block/loop%u/queue/discard_max_bytes", number);
	return sysfile_write(path, "0");
}

static int taken(unsigned int number, struct err *err)
{
	return err_set(err, GRPC_STATUS_ABORTED,
		       "/dev/loop%u has been taken by somebody else", number);
}

int loop_attach(unsigned int number, int fd, struct err *err)
{
	CLEANUP(cleanup_fd) int device = -1;
	struct loop_backing backing;
	struct loop_info64 info;
	enum loop_state state;
	struct stat st;

	if (add(number, err) < 0)
		return -1;
	device = open_device(number, O_RDWR);
	if (device == -1)
		return is_gone(errno) ? taken(number, err)
				      : fail_at("open", number, err);
	if (configure(device, fd) == -1 && errno != EBUSY)
		return fail_at("configure", number, err);
	if (fstat(fd, &st) == -1)
		return err_errno(err, "look at the file for /dev/loop%u",
				 number);
	backing = (struct loop_backing){st.st_dev, st.st_ino};
	if (look(device, &backing, &info, &state) == -1)
		return fail_at("look at", number, err);
	if (state != LOOP_BOUND)
		return taken(number, err);
	if (settle(device, number, &info) == -1)
		return fail_at("set up", number, err);
	return 0;
}

/* --- detach --- */

/* Disarms what take_away() armed. */
static void restore(unsigned int number, const struct loop_backing *backing)
{
	CLEANUP(cleanup_fd) int device = open_device(number, O_RDWR);
	struct loop_info64 info;
	enum loop_state state;

	if (device != -1 && look(device, backing, &info, &state) == 0 &&
	    state == LOOP_BOUND)
		settle(device, number, &info);
}

/*
 * Removes the device unless it is bound to another file. -1 and errno, which is
 * EBUSY while somebody has it: then nothing has changed.
 *
 * LOOP_CLR_FD would drop what a process wrote and did not sync before it closed
 * the disk under our descriptor. A device that is to be cleared at the last
 * close is synced before; if others have it open, that was not the last close.
 */
static int take_away(unsigned int number, const struct loop_backing *backing)
{
	int device = open_device(number, O_RDWR | O_EXCL);
	struct loop_info64 info;
	enum loop_state state;
	int rc, error;

	if (device == -1)
		return -1;
	rc = look(device, backing, &info, &state);
	if (rc == 0 && state == LOOP_BOUND) {
		info.lo_flags |= LO_FLAGS_AUTOCLEAR;
		rc = ioctl(device, LOOP_SET_STATUS64, &info);
	}
	error = errno;
	close(device);
	errno = error;
	if (rc == -1 || state == LOOP_FOREIGN)
		return rc;
	if (control(LOOP_CTL_REMOVE, number) == 0)
		return 0;
	error = errno;
	restore(number, backing);
	errno = error;
	return -1;
}

static int busy(unsigned int number, const char *holder, struct err *err)
{
	return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
		       "/dev/loop%u is %s", number,
		       holder ? holder
			      : "in use, by whom cannot be seen from here");
}

int loop_detach(unsigned int number, const struct loop_backing *backing,
		struct err *err)
{
	const struct timespec interval = {.tv_nsec = INTERVAL};
	const int64_t deadline = units_monotonic() + PATIENCE;
	enum loop_state state;
	char name[LOOP_NAME_SIZE];

	loop_name(number, name);
	for (bool first = true;; first = false) {
		CLEANUP(cleanup_free) char *holder = NULL;
		bool last;

		if (loop_probe(number, backing, &state, err) < 0)
			return -1;
		if (state == LOOP_ABSENT || state == LOOP_FOREIGN ||
		    take_away(number, backing) == 0)
			break;
		if (errno != EBUSY && !is_gone(errno))
			return fail_at("detach", number, err);
		last = units_monotonic() > deadline;
		if (first || last)
			holder = holder_find_claim(name);
		if (!holder && last)
			holder = holder_find_process(name);
		if (holder || last)
			return busy(number, holder, err);
		nanosleep(&interval, NULL);
	}
	if (!is_there(number))
		devfile_remove_node(name, makedev(LOOP_MAJOR, number));
	return 0;
}

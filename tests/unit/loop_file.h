#ifndef OIM_TESTS_LOOP_FILE_H
#define OIM_TESTS_LOOP_FILE_H

/* What tests of loop devices start from: a file in memory with a number. */

#include "daemon/host/loop.h"
#include "proto/lib/cleanup.h"
#include "tests/unit/disk.h"

#define LOOP_FILE_SIZE (4 << 20)

/* A file in memory, and the number of the loop device that it gets. */
struct loop_file {
	char *dir;
	int fd;
	struct loop_backing backing;
	unsigned int number;
	char path[32];
};

static inline void choose(struct loop_file *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	char name[LOOP_NAME_SIZE];

	assert_int_equal(loop_choose(&f->number, &err), 0);
	snprintf(f->path, sizeof(f->path), "/dev/%s",
		 loop_name(f->number, name));
}

static inline int make_file(void **state)
{
	struct loop_file *f = mem_zalloc(1, sizeof(*f));
	struct stat st;

	f->dir = disk_make_dir();
	f->fd = open(f->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (f->fd == -1 || fallocate(f->fd, 0, 0, LOOP_FILE_SIZE) == -1 ||
	    fstat(f->fd, &st) == -1)
		return -1;
	f->backing = (struct loop_backing){st.st_dev, st.st_ino};
	choose(f);
	*state = f;
	return 0;
}

/* A test that fails leaves no device behind. */
static inline int remove_file(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct loop_file *f = *state;

	if (disk_can_attach())
		loop_detach(f->number, &f->backing, &err);
	close(f->fd);
	disk_remove_dir(f->dir);
	free(f);
	return 0;
}

static inline void attach(struct loop_file *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (loop_attach(f->number, f->fd, &err) < 0)
		fail_msg("%s", err.msg);
}

static inline void detach(struct loop_file *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (loop_detach(f->number, &f->backing, &err) < 0)
		fail_msg("%s", err.msg);
}

static inline void detach_refuses(struct loop_file *f, const char *holder)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_int_equal(loop_detach(f->number, &f->backing, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_FAILED_PRECONDITION);
	assert_non_null(strstr(err.msg, f->path));
	if (!strstr(err.msg, holder))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, holder);
}

static inline enum loop_state probe(struct loop_file *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	enum loop_state state;

	assert_int_equal(loop_probe(f->number, &f->backing, &state, &err), 0);
	return state;
}

#endif

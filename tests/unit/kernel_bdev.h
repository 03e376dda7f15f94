#ifndef OIM_TESTS_KERNEL_BDEV_H
#define OIM_TESTS_KERNEL_BDEV_H

/* What tests of the kernel plane start from: a plane, and the name of a bdev.
 */

#include "daemon/plane/plane.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/sysblock.h"
#include "tests/unit/disk.h"

#define MIB    (1 << 20)
#define PREFIX "/dev/disk/by-id/oim-"

static const struct plane_source source = {.kind = PLANE_MALLOC, .size = MIB};

struct kernel_bdev {
	char *dir;
	char *name; /* of a bdev, not the same in two runs */
	struct plane *plane;
	struct plane_attachment a;
};

static inline struct plane *open_plane(const char *dir)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct plane_config config = {.controller = "c1", .memory_dir = dir};
	struct plane *p = plane_open("kernel", &config, &err);

	if (!p)
		fail_msg("%s", err.msg);
	return p;
}

static inline int make_plane(void **state)
{
	struct kernel_bdev *f = mem_zalloc(1, sizeof(*f));

	f->dir = disk_make_dir();
	f->name = mem_printf("d%s", strrchr(f->dir, '-'));
	f->plane = open_plane(f->dir);
	*state = f;
	return 0;
}

/* A test that fails leaves no device behind. */
static inline int remove_plane(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct kernel_bdev *f = *state;

	if (f->a.token && disk_can_attach())
		plane_detach(f->plane, f->name, f->a.token, &err);
	plane_close(f->plane);
	plane_attachment_clear(&f->a);
	disk_remove_dir(f->dir);
	free(f->name);
	free(f);
	return 0;
}

static inline void good(int rc, struct err *err)
{
	if (rc < 0)
		fail_msg("%s", err->msg);
}

static inline void create(struct kernel_bdev *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	good(plane_create(f->plane, f->name, &source, &err), &err);
}

static inline void plan(struct kernel_bdev *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	good(plane_plan(f->plane, f->name, &f->a, &err), &err);
}

static inline void attach(struct kernel_bdev *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	plan(f);
	good(plane_attach(f->plane, f->name, &f->a, &err), &err);
}

static inline void detach(struct kernel_bdev *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	good(plane_detach(f->plane, f->name, f->a.token, &err), &err);
}

static inline enum plane_state probe(struct kernel_bdev *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	enum plane_state state;

	good(plane_probe(f->plane, f->name, f->a.token, &state, &err), &err);
	return state;
}

/* "/dev/loop1000000" of what is attached. */
static inline char *disk_path(struct kernel_bdev *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct sysblock_disk disk;

	assert_int_equal(sysblock_find(SYSBLOCK_ROOT, f->a.device, f->a.scsi,
				       &disk, &err),
			 1);
	return mem_printf("/dev/%s", disk.name);
}

static inline unsigned int number(struct kernel_bdev *f)
{
	unsigned int n = 0;

	assert_int_equal(sscanf(f->a.token, "loop:%u:", &n), 1);
	return n;
}

static inline bool has_link(struct kernel_bdev *f)
{
	CLEANUP(cleanup_free) char *link = mem_printf(PREFIX "%s", f->name);
	struct stat st;

	return lstat(link, &st) == 0;
}

/* Nothing of the attachment is left: no device, no node, no link. */
static inline void assert_gone(struct kernel_bdev *f)
{
	CLEANUP(cleanup_free) char *node = mem_printf("/dev/loop%u", number(f));

	assert_int_equal(probe(f), PLANE_ABSENT);
	assert_int_equal(access(node, F_OK), -1);
	assert_false(has_link(f));
}

#endif

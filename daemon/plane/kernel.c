/*
 * The kernel plane: malloc bdevs are files in memory, attached as loop devices.
 * Its token is "loop:NUMBER:DEV:INO", the last two those of the file.
 */

#include "daemon/plane/plane.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/host/devfile.h"
#include "daemon/host/loop.h"
#include "daemon/host/memdir.h"
#include "daemon/host/sysfile.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"

#define MEMORY_ROOT "/dev/shm/oim"
#define BOOT_ID     "/proc/sys/kernel/random/boot_id"

struct kernel_plane {
	struct plane plane;
	struct memdir *memory;
	char *boot_id;
};

/* Where a bdev is, or is to be, attached. */
struct place {
	unsigned int number;
	char disk[LOOP_NAME_SIZE];
	struct loop_backing backing;
};

static struct kernel_plane *kernel_plane(struct plane *p)
{
	return (struct kernel_plane *)p;
}

static void kernel_close(struct plane *p)
{
	struct kernel_plane *k = kernel_plane(p);

	memdir_close(k->memory);
	free(k->boot_id);
	free(k);
}

static struct plane *kernel_open(const struct plane_config *config,
				 struct err *err)
{
	char name[ID_FILE_NAME_SIZE];
	CLEANUP(cleanup_free)
	char *dir =
		config->memory_dir
			? mem_strdup(config->memory_dir)
			: mem_printf(MEMORY_ROOT "/%s",
				     id_file_name(config->controller, name));
	CLEANUP(cleanup_free) char *boot_id = sysfile_read(BOOT_ID);
	struct kernel_plane *k;
	struct memdir *memory;

	if (!boot_id) {
		err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			"cannot read " BOOT_ID ": %m");
		return NULL;
	}
	memory = memdir_open(dir, err);
	if (!memory)
		return NULL;
	k = mem_zalloc(1, sizeof(*k));
	k->plane.ops = &plane_kernel;
	k->memory = memory;
	k->boot_id = STEAL(boot_id);
	return &k->plane;
}

static int kernel_check(struct plane *p, struct err *err)
{
	return memdir_check(kernel_plane(p)->memory, err);
}

static int kernel_capacity(struct plane *p, uint64_t *bytes, struct err *err)
{
	return memdir_capacity(kernel_plane(p)->memory, bytes, err);
}

static const char *kernel_epoch(const struct plane *p, enum plane_kind kind)
{
	const struct kernel_plane *k = (const struct kernel_plane *)p;

	return kind == PLANE_MALLOC ? k->boot_id : NULL;
}

/* --- bdevs --- */

static int kernel_create(struct plane *p, const char *name,
			 const struct plane_source *source, struct err *err)
{
	if (source->kind != PLANE_MALLOC)
		return err_set(err, GRPC_STATUS_UNIMPLEMENTED,
			       "the kernel plane cannot map Ceph images");
	return memdir_create(kernel_plane(p)->memory, name, source->size, err);
}

static int kernel_remove(struct plane *p, const char *name, struct err *err)
{
	return memdir_remove(kernel_plane(p)->memory, name, err);
}

static int kernel_stat(struct plane *p, const char *name,
		       struct plane_stat *stat, struct err *err)
{
	struct stat st;
	int rc = memdir_stat(kernel_plane(p)->memory, name, &st, err);

	if (rc == 1)
		stat->size = (uint64_t)st.st_size;
	return rc;
}

/* --- attachments --- */

/* A token that is not of this plane names nothing that is here. */
static bool find_place(const char *token, struct place *place)
{
	int size = 0;

	if (sscanf(token, "loop:%u:%" SCNu64 ":%" SCNu64 "%n", &place->number,
		   &place->backing.dev, &place->backing.ino, &size) != 3 ||
	    token[size] || place->number < LOOP_FIRST ||
	    place->number > LOOP_LAST)
		return false;
	loop_name(place->number, place->disk);
	return true;
}

static int kernel_plan(struct plane *p, const char *name,
		       struct plane_attachment *a, struct err *err)
{
	unsigned int number;
	struct stat st;
	int rc = memdir_stat(kernel_plane(p)->memory, name, &st, err);

	if (rc == 0)
		return err_set(err, GRPC_STATUS_NOT_FOUND,
			       "there is no bdev \"%s\"", name);
	if (rc < 0 || loop_choose(&number, err) < 0)
		return -1;
	free(a->token);
	a->token = mem_printf("loop:%u:%ju:%ju", number, (uintmax_t)st.st_dev,
			      (uintmax_t)st.st_ino);
	return 0;
}

static int kernel_detach(struct plane *p, const char *name, const char *token,
			 struct err *err)
{
	struct place place;

	(void)p;
	if (!find_place(token, &place))
		return 0;
	if (loop_detach(place.number, &place.backing, err) < 0)
		return -1;
	devfile_remove_link(name, place.disk);
	return 0;
}

static int attach(struct plane *p, const char *name, const char *token,
		  struct place *place, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct stat st;

	if (!find_place(token, place))
		return err_set(err, GRPC_STATUS_ABORTED,
			       "\"%s\" is not a plan of the kernel plane",
			       token);
	fd = memdir_file(kernel_plane(p)->memory, name, err);
	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1)
		return err_errno(err, "look at bdev \"%s\"", name);
	if (st.st_dev != place->backing.dev || st.st_ino != place->backing.ino)
		return err_set(err, GRPC_STATUS_ABORTED,
			       "bdev \"%s\" has been made anew", name);
	if (loop_attach(place->number, fd, err) < 0)
		return -1;
	return devfile_make_link(name, place->disk, err);
}

static int kernel_attach(struct plane *p, const char *name,
			 struct plane_attachment *a, struct err *err)
{
	CLEANUP(err_clear) struct err ignored = ERR_INIT;
	struct place place;

	if (attach(p, name, a->token, &place, err) < 0) {
		kernel_detach(p, name, a->token, &ignored);
		return -1;
	}
	free(a->device);
	free(a->scsi);
	a->device = mem_printf("/devices/virtual/block/%s", place.disk);
	a->scsi = mem_strdup("");
	return 0;
}

static int kernel_probe(struct plane *p, const char *name, const char *token,
			enum plane_state *state, struct err *err)
{
	enum loop_state loop;
	struct place place;
	bool linked;

	(void)p;
	*state = PLANE_ABSENT;
	if (!find_place(token, &place))
		return 0;
	if (loop_probe(place.number, &place.backing, &loop, err) < 0)
		return -1;
	linked = name && devfile_has_link(name, place.disk);
	if (loop == LOOP_BOUND && (!name || devfile_is_link_taken(name)))
		*state = PLANE_ATTACHED;
	else if (loop == LOOP_BOUND || loop == LOOP_UNBOUND || linked)
		*state = PLANE_PARTIAL;
	return 0;
}

const struct plane_ops plane_kernel = {
	.name = "kernel",
	.open = kernel_open,
	.close = kernel_close,
	.check = kernel_check,
	.capacity = kernel_capacity,
	.create = kernel_create,
	.remove = kernel_remove,
	.stat = kernel_stat,
	.plan = kernel_plan,
	.attach = kernel_attach,
	.detach = kernel_detach,
	.probe = kernel_probe,
	.epoch = kernel_epoch,
};

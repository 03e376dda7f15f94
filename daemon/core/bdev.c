/* Provisioning block devices. */

#include "daemon/core/bdev.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/mapping.h"
#include "daemon/log.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/units.h"

#define LOG_COMPONENT "bdev"

#define SECTOR   512
#define MALLOC   "malloc"
#define TYPE     (&oim__state__v1__bdev__descriptor)
#define READY    OIM__STATE__V1__BDEV__STATE__READY
#define CREATING OIM__STATE__V1__BDEV__STATE__CREATING
#define DELETING OIM__STATE__V1__BDEV__STATE__DELETING

/* --- records --- */

static int get(const struct controller *c, const char *name, struct arena *a,
	       Oim__State__V1__BDev **b, struct err *err)
{
	return controller_get(c, controller_key(c, BDEV_KIND, name, a), TYPE, a,
			      b, err);
}

static int put(const struct controller *c, Oim__State__V1__BDev *b,
	       Oim__State__V1__BDev__State state, struct arena *a,
	       struct err *err)
{
	b->state = state;
	return store_put_message(c->store,
				 controller_key(c, BDEV_KIND, b->name, a),
				 &b->base, err);
}

static int drop(struct controller *c, const Oim__State__V1__BDev *b,
		struct arena *a, struct err *err)
{
	if (store_delete(c->store, controller_key(c, BDEV_KIND, b->name, a),
			 err) == -1)
		return -1;
	c->malloc_used -= b->size;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp((*(Oim__State__V1__BDev *const *)a)->name,
		      (*(Oim__State__V1__BDev *const *)b)->name);
}

int bdev_list(struct controller *c, struct arena *a,
	      Oim__State__V1__BDev ***bdevs, size_t *n, struct err *err)
{
	Oim__State__V1__BDev **all;
	size_t total;

	if (controller_list(c, BDEV_KIND, TYPE, a, &all, &total, err) == -1)
		return -1;
	*n = 0;
	for (size_t i = 0; i < total; i++)
		if (all[i]->state == READY)
			all[(*n)++] = all[i];
	qsort(all, *n, sizeof(*all), compare);
	*bdevs = all;
	return 0;
}

int bdev_find(struct controller *c, const char *name, struct arena *a,
	      Oim__State__V1__BDev **bdev, struct err *err)
{
	int rc = get(c, name, a, bdev, err);

	return rc == 1 && (*bdev)->state != READY ? 0 : rc;
}

int bdev_exists(struct controller *c, const char *name, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	Oim__State__V1__BDev *b;

	return get(c, name, a, &b, err);
}

int bdev_check(struct controller *c, const char *name, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	char file[ID_FILE_NAME_SIZE];
	Oim__State__V1__BDev *b;
	struct plane_stat stat;
	int rc;

	if (id_check(name, "bdev name", err) == -1)
		return -1;
	rc = bdev_find(c, name, a, &b, err);
	if (rc == 0)
		return err_set(err, GRPC_STATUS_NOT_FOUND,
			       "there is no malloc bdev \"%s\"", name);
	if (rc == -1)
		return -1;
	rc = plane_stat(c->plane, id_file_name(name, file), &stat, err);
	if (rc == 0)
		return err_set(err, GRPC_STATUS_NOT_FOUND,
			       "the memory of malloc bdev \"%s\" is gone",
			       name);
	return rc == 1 ? 0 : -1;
}

/* --- creating --- */

static int refuse_size(const struct controller *c, const char *name,
		       uint64_t size, uint64_t used, struct err *err)
{
	CLEANUP(cleanup_free) char *want = units_format_size(size);
	CLEANUP(cleanup_free) char *have = units_format_size(used);
	CLEANUP(cleanup_free) char *limit = units_format_size(c->malloc_limit);

	err_set(err, GRPC_STATUS_RESOURCE_EXHAUSTED,
		"no room for malloc bdev \"%s\" of %s: %s of %s are in use",
		name, want, have, limit);
	return err_hint(err,
			"the limit is controller.%s.malloc-limit of the daemon",
			c->id);
}

/* Counts the bdev in, if there is room for it. What does not fit is never
 * counted, not for a moment: it would stand in the way of others. */
static int reserve(struct controller *c, const char *name, uint64_t size,
		   struct err *err)
{
	uint64_t used = c->malloc_used;

	do {
		if (used > c->malloc_limit || size > c->malloc_limit - used)
			return refuse_size(c, name, size, used, err);
	} while (!atomic_compare_exchange_weak(&c->malloc_used, &used,
					       used + size));
	return 0;
}

static int make(struct controller *c, Oim__State__V1__BDev *b, struct arena *a,
		struct err *err)
{
	struct plane_source source = {.kind = PLANE_MALLOC, .size = b->size};
	char file[ID_FILE_NAME_SIZE];

	if (plane_create(c->plane, id_file_name(b->name, file), &source, err) ==
	    -1)
		return -1;
	return put(c, b, READY, a, err);
}

/* Takes back what was begun; what cannot be taken back now is at the next
 * start. */
static void undo(struct controller *c, const Oim__State__V1__BDev *b,
		 struct arena *a)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	char file[ID_FILE_NAME_SIZE];

	if (plane_remove(c->plane, id_file_name(b->name, file), &err) == -1 ||
	    drop(c, b, a, &err) == -1)
		log_warn(
			"leftover of bdev \"%s\" stays until the next start: %s",
			b->name, err.msg);
}

static int create(struct controller *c, const char *name, uint64_t size,
		  struct arena *a, struct err *err)
{
	Oim__State__V1__BDev b = OIM__STATE__V1__BDEV__INIT;
	const char *epoch = plane_epoch(c->plane, PLANE_MALLOC);

	b.name = (char *)name;
	b.controller_id = c->id;
	b.kind = (char *)MALLOC;
	b.size = size;
	b.created = units_now();
	if (epoch)
		b.epoch = (char *)epoch;
	if (reserve(c, name, size, err) == -1)
		return -1;
	if (put(c, &b, CREATING, a, err) == -1) {
		/* What may be there all the same counts. */
		if (err->code != GRPC_STATUS_UNAVAILABLE)
			c->malloc_used -= size;
		return -1;
	}
	if (make(c, &b, a, err) == 0)
		return 0;
	undo(c, &b, a);
	return -1;
}

/* --- removing --- */

static int destroy(struct controller *c, Oim__State__V1__BDev *b,
		   struct arena *a, struct err *err)
{
	char file[ID_FILE_NAME_SIZE];

	if (put(c, b, DELETING, a, err) == -1 ||
	    plane_remove(c->plane, id_file_name(b->name, file), err) == -1)
		return -1;
	return drop(c, b, a, err);
}

static int refuse_mapped(const char *name, struct err *err)
{
	err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
		"bdev \"%s\" is mapped as volume \"%s\"", name, name);
	return err_hint(err, "unmap the volume first");
}

/* --- both --- */

/*
 * What a record that is there means for making a bdev of that size: 1 it is
 * made already, 0 it can be made now, -1 it cannot.
 */
static int examine(struct controller *c, Oim__State__V1__BDev *b, bool mapped,
		   uint64_t size, struct arena *a, struct err *err)
{
	char file[ID_FILE_NAME_SIZE];
	struct plane_stat stat;
	int rc;

	if (b->state == READY) {
		rc = plane_stat(c->plane, id_file_name(b->name, file), &stat,
				err);
		if (rc == -1)
			return -1;
		if (rc == 1 && stat.size == size)
			return 1;
		if (rc == 1)
			return err_set(err, GRPC_STATUS_ALREADY_EXISTS,
				       "bdev \"%s\" has %" PRIu64
				       " bytes, not %" PRIu64,
				       b->name, stat.size, size);
		/* Not under a mapping that somebody trusts. */
		if (mapped)
			return refuse_mapped(b->name, err);
		log_warn(
			"the memory of malloc bdev \"%s\" is gone, it is made anew",
			b->name);
	}
	return destroy(c, b, a, err);
}

static int provision(struct controller *c, const char *name, uint64_t size,
		     struct arena *a, bool *changed, struct err *err)
{
	Oim__State__V1__BDev *b = NULL;
	int found = get(c, name, a, &b, err);
	int mapped = found == -1 ? -1 : mapping_exists(c, name, err);
	int rc;

	if (mapped == -1)
		return -1;
	if (!found && !size)
		return 0;
	if ((mapped && !found) || (mapped && !size)) {
		*changed = true;
		return refuse_mapped(name, err);
	}
	rc = found && size ? examine(c, b, mapped, size, a, err) : 0;
	if (rc)
		return rc == 1 ? 0 : -1;
	*changed = true;
	return size ? create(c, name, size, a, err) : destroy(c, b, a, err);
}

static void tell(struct controller *c, const char *name, uint64_t size)
{
	CLEANUP(cleanup_free) char *text = units_format_size(size);

	if (size)
		events_publish(c->events, "bdev.provisioned", c->id, name,
			       "bdev \"%s\" of %s is there", name, text);
	else
		events_publish(c->events, "bdev.removed", c->id, name,
			       "bdev \"%s\" is removed", name);
}

int bdev_provision(struct controller *c, const struct op *op, const char *name,
		   int64_t size, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	bool changed = false;
	int rc;

	if (id_check(name, "bdev name", err) == -1)
		return -1;
	if (size < 0 || size % SECTOR)
		return err_set(
			err, GRPC_STATUS_INVALID_ARGUMENT,
			"size %" PRId64 " of bdev \"%s\" is %s", size, name,
			size < 0 ? "negative" : "not a multiple of 512 bytes");
	if (op_check(op, err) == -1 || lock_take(c->locks, name, err) == -1)
		return -1;
	rc = provision(c, name, (uint64_t)size, a, &changed, err);
	if (rc == 0 && changed)
		tell(c, name, (uint64_t)size);
	lock_drop(c->locks, name);
	if (changed)
		audit(op->caller, size ? "provision bdev" : "remove bdev",
		      c->id, name, err);
	return rc;
}

/* --- starting --- */

/* Records that the plane cannot act upon now stay for the next start. */
static int recover(struct controller *c, Oim__State__V1__BDev *b,
		   struct arena *a, struct err *err)
{
	const char *epoch = plane_epoch(c->plane, PLANE_MALLOC);
	char file[ID_FILE_NAME_SIZE];
	bool is_lost = *b->epoch && (!epoch || strcmp(b->epoch, epoch) != 0);
	const char *action = NULL;

	c->malloc_used += b->size;
	if (is_lost)
		action = "forget bdev, its memory is gone";
	else if (b->state != READY)
		action = "remove bdev, half done";
	if (!action)
		return 0;
	if (plane_remove(c->plane, id_file_name(b->name, file), err) == -1) {
		log_warn("leftover of bdev \"%s\" stays: %s", b->name,
			 err->msg);
		err_clear(err);
		return 0;
	}
	if (drop(c, b, a, err) == -1)
		return err_wrap(err, "bdev \"%s\"", b->name);
	audit(&audit_self, action, c->id, b->name, err);
	if (is_lost)
		events_publish(c->events, "record.dropped", c->id, b->name,
			       "bdev \"%s\" is forgotten, its memory is gone",
			       b->name);
	else
		tell(c, b->name, 0);
	return 0;
}

int bdev_recover(struct controller *c, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	Oim__State__V1__BDev **all;
	size_t n;

	if (controller_list(c, BDEV_KIND, TYPE, a, &all, &n, err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (recover(c, all[i], a, err) == -1)
			return -1;
	return 0;
}

#ifndef OIM_BDEV_H
#define OIM_BDEV_H

/*
 * Block devices that a controller provisions. Their records are
 * oim.state.v1.BDev. Every function may block.
 */

#include <stdint.h>

#include "daemon/core/controller.h"
#include "daemon/core/op.h"
#include "oim/state/v1/state.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/err.h"

/* Of its records: the first part of their keys. */
#define BDEV_KIND "bdevs"

/*
 * Makes a malloc bdev of size bytes, or removes it if size is 0. Repeating
 * either changes nothing. INVALID_ARGUMENT: negative, or no multiple of 512;
 * ALREADY_EXISTS: there with another size; RESOURCE_EXHAUSTED: more than the
 * controller may use, or than there is; FAILED_PRECONDITION: to be removed, but
 * mapped; ABORTED: another operation on it is under way.
 */
int bdev_provision(struct controller *c, const struct op *op, const char *name,
		   int64_t size, struct err *err);

/*
 * NOT_FOUND if there is no such malloc bdev; what the plane says if it does not
 * answer.
 */
int bdev_check(struct controller *c, const char *name, struct err *err);

/* 1 and the record of a bdev that is ready; 0; or -1. */
int bdev_find(struct controller *c, const char *name, struct arena *a,
	      Oim__State__V1__BDev **bdev, struct err *err);

/* Whether a bdev of that name is recorded, in whatever state: 1, 0, -1. */
int bdev_exists(struct controller *c, const char *name, struct err *err);

/* Those that are ready, by name, in the arena. */
int bdev_list(struct controller *c, struct arena *a,
	      Oim__State__V1__BDev ***bdevs, size_t *n, struct err *err);

/* At start: finishes or undoes what was begun, forgets what a reboot took. */
int bdev_recover(struct controller *c, struct err *err);

#endif

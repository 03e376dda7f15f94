#ifndef OIM_MAPPING_H
#define OIM_MAPPING_H

/*
 * Volumes that a controller has made appear as disks. Their records are
 * oim.state.v1.Mapping. Whoever maps a volume, for whatever protocol, calls
 * these. Every function may block.
 */

#include "daemon/core/controller.h"
#include "daemon/core/op.h"
#include "oim/state/v1/state.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/err.h"

/* Of its records: the first part of their keys. */
#define MAPPING_KIND "mappings"

/* What a volume is. ceph is NULL for the malloc bdev named like the volume. */
struct mapping_params {
	const Oim__V0__CephParams *ceph;
};

/*
 * Makes the volume a disk; *mapping, in the arena, is its record. Repeating it
 * with the same parameters returns the same and changes nothing but, if it is
 * another one, the secret. NOT_FOUND: no such malloc bdev; ALREADY_EXISTS:
 * mapped with other parameters; INVALID_ARGUMENT: incomplete parameters;
 * ABORTED: another operation on it is under way.
 */
int mapping_map(struct controller *c, const struct op *op, const char *volume,
		const struct mapping_params *params, struct arena *a,
		Oim__State__V1__Mapping **mapping, struct err *err);

/*
 * Removes the disk and keeps the data. What is not mapped is fine.
 * FAILED_PRECONDITION: it is in use; names the holder, and nothing has changed.
 */
int mapping_unmap(struct controller *c, const struct op *op, const char *volume,
		  struct err *err);

/* Whether a mapping of that volume is recorded, in whatever state: 1, 0, -1. */
int mapping_exists(struct controller *c, const char *volume, struct err *err);

/* Those that are recorded, by volume, in the arena. */
int mapping_list(struct controller *c, struct arena *a,
		 Oim__State__V1__Mapping ***mappings, size_t *n,
		 struct err *err);

/* "attached" and so on. */
const char *mapping_state_name(Oim__State__V1__Mapping__State state);

/*
 * At start: finishes or undoes what was begun, attaches again what should be
 * attached and is not, forgets what a reboot took.
 */
int mapping_recover(struct controller *c, struct err *err);

#endif

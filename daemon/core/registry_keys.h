#ifndef OIM_REGISTRY_KEYS_H
#define OIM_REGISTRY_KEYS_H

/* The registry's keys in the store: for the files that implement registry.h,
 * and those that tell and move what is there. */

#include "daemon/core/registry.h"
#include "daemon/store/store.h"
#include "proto/lib/arena.h"
#include "proto/lib/err.h"

#define REGISTRY_PREFIX  "controllers/"
#define REGISTRY_ADDRESS "/address"

/* Bytes of a path, so that it fits into a key with a slash behind it. */
#define REGISTRY_MAX_PATH (STORE_MAX_KEY - sizeof(REGISTRY_PREFIX))

struct registry {
	struct store *store;
	struct probe *probe; /* may be NULL */
};

/* The path without empty elements, in the arena. */
char *registry_clean_path(const char *path, struct arena *a, struct err *err);

/* The id if the cleaned path is "<id>/address", else NULL; in the arena. */
const char *registry_id_of_path(const char *path, struct arena *a);

/*
 * From a change whose caller may make it on: sets or removes the entry of
 * change->object, and what says whether its controller is alive.
 */
void registry_put_entry(struct registry *r, struct registry_change *change);

/* The end of a change that has written, or has failed to. */
void registry_finish(struct registry_change *change);

#endif

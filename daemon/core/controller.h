#ifndef OIM_CONTROLLER_H
#define OIM_CONTROLLER_H

/*
 * A controller of this daemon: an id, a plane, and the records of what it made.
 * What it can do is in bdev.h and mapping.h.
 *
 * Records are in the node's store under the controller's and the object's file
 * names (id.h); an operation on an object holds its id in locks, from the check
 * of the caller's arguments to the reply. Any thread.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/events.h"
#include "daemon/core/lock.h"
#include "daemon/plane/plane.h"
#include "daemon/store/store.h"
#include "proto/lib/arena.h"
#include "proto/lib/err.h"

struct controller_config {
	const char *id;
	const char *plane;      /* "kernel", "null" */
	const char *memory_dir; /* of the kernel plane; NULL: its default */
	uint64_t malloc_limit;  /* bytes of malloc bdevs; 0: half of what the
				   plane can hold */
	struct events *events;  /* where it tells what happens; may be NULL */
};

struct controller {
	char *id;
	struct plane *plane;
	struct store *store; /* the node's */
	struct locks *locks; /* ids of bdevs and volumes */
	struct events *events;
	bool has_failed; /* at the last controller_watch() */
	uint64_t malloc_limit;
	_Atomic uint64_t malloc_used; /* bytes of malloc bdevs recorded */
};

/*
 * Opens the plane and brings what is there and what is recorded together: what
 * a crash left half done is finished or undone. The store is borrowed.
 */
struct controller *controller_open(const struct controller_config *config,
				   struct store *store, struct err *err);

/* No operation may be under way. What is mapped stays mapped. */
void controller_close(struct controller *c);

/* "kernel" and so on. */
const char *controller_plane_name(const struct controller *c);

/* Whether the plane answers. May block. */
int controller_check(const struct controller *c, struct err *err);

/* The same, now and then: tells when the answer changes. One thread. */
void controller_watch(struct controller *c);

/* The key of a record: "kind/controller/name" with file names, in the arena. */
char *controller_key(const struct controller *c, const char *kind,
		     const char *name, struct arena *a);

/*
 * 1 and the record of that key, unpacked into the arena; 0 if there is none; or
 * -1, DATA_LOSS if it is damaged. *record is a pointer to the type's struct.
 */
int controller_get(const struct controller *c, const char *key,
		   const ProtobufCMessageDescriptor *type, struct arena *a,
		   void *record, struct err *err);

/* All records of a kind, in the order of their keys; *records is an array of
 * such pointers. */
int controller_list(const struct controller *c, const char *kind,
		    const ProtobufCMessageDescriptor *type, struct arena *a,
		    void *records, size_t *n, struct err *err);

/* --- all controllers of a daemon --- */

struct controllers {
	struct controller **items; /* in the order of the configuration */
	size_t n;
};

/* NULL if there is none of that id. */
struct controller *controllers_find(const struct controllers *cs,
				    const char *id);

/*
 * Warns of records of controllers that are not among these: they are left
 * alone, with what they stand for, until the controller is configured again.
 */
void controllers_note_others(const struct controllers *cs, struct store *store);

#endif

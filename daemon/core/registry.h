#ifndef OIM_REGISTRY_H
#define OIM_REGISTRY_H

/*
 * The registry: which controller is where, and other values that belong to
 * controllers. One set of data with two views: entries (an id and an address),
 * and values at paths, of which "<id>/address" is an entry's address.
 *
 * Nothing is kept in memory: every answer is read from the store. Any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/op.h"
#include "daemon/core/probe.h"
#include "daemon/store/store.h"
#include "proto/lib/arena.h"
#include "proto/lib/err.h"

struct registry;

/* The store is borrowed. */
struct registry *registry_new(struct store *store);
void registry_free(struct registry *r);

/* Nobody waits for a store of which the probe, which is borrowed, says that it
 * is away. */
void registry_set_probe(struct registry *r, struct probe *probe);

/* Whether reading never waits (store_is_embedded), so that a thread that must
 * not block may do it. */
bool registry_is_embedded(const struct registry *r);

/* --- reading --- */

/* 1 and the address in the arena, 0 if it is not registered, or -1. */
int registry_find(struct registry *r, const char *id, struct arena *a,
		  const char **address, struct err *err);

/* An entry as it is stored: an encoded oim.state.v1.RegistryEntry. */
struct registry_entry {
	const char *id;
	const void *record;
	size_t size;
};

/* All entries, by id, in the arena. */
int registry_entries(struct registry *r, struct arena *a,
		     struct registry_entry **entries, size_t *n,
		     struct err *err);

struct registry_value {
	const char *path;
	const char *value;
};

/*
 * The value at a path and those below it, by path, in the arena. Paths are
 * cleaned as registry_set() does; an empty one means all.
 */
int registry_values(struct registry *r, const char *path, struct arena *a,
		    struct registry_value **values, size_t *n, struct err *err);

/* --- changing --- */

/*
 * One change. Whoever makes it embeds or allocates this, and leaves it alone
 * until done() is called, once, perhaps before registry_set() returns, on any
 * thread; err then says what came of it and is the caller's to clear.
 */
struct registry_change {
	const struct op *op;
	struct arena *arena; /* lent for as long as the change lasts */
	const char *path;
	const char *value; /* empty: to be removed */

	/* Of an entry: what the caller says of its time to live, in seconds,
	 * and of who it is (liveness.h). NULL: nothing, it is static. */
	const char *ttl, *instance;

	void (*done)(struct registry_change *change);
	void *arg;
	struct err err;

	/*
	 * Lets fn(change) be called by a thread that may block; false if there
	 * is none to be had. NULL: the caller's own thread may.
	 */
	bool (*work)(struct registry_change *change,
		     void (*fn)(struct registry_change *change));

	/* The registry's own. */
	struct registry *registry;
	const char *action, *object;
	int64_t seconds; /* ttl; 0: static */
	struct store_txn txn;
	struct store_op ops[3];
	struct store_compare no_record;
};

/*
 * Sets a value, or removes it. Path: elements between slashes; empty ones are
 * dropped; "." and "..", control characters and more than the store's keys can
 * take are INVALID_ARGUMENT, as is an empty path. What is there already is not
 * written again.
 */
void registry_set(struct registry *r, struct registry_change *change);

/*
 * The same for the entry of a controller: change->path is its id. With a time
 * to live it has to be registered again within that time, or it is lost; doing
 * so writes nothing. Without one it is static.
 */
void registry_register(struct registry *r, struct registry_change *change);

/* Does one of these, with what work, done and arg are for, and waits. */
int registry_wait(struct registry *r,
		  void (*fn)(struct registry *r,
			     struct registry_change *change),
		  struct registry_change *change, struct err *err);

#endif

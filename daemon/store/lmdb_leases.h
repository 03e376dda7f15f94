#ifndef OIM_STORE_LMDB_LEASES_H
#define OIM_STORE_LMDB_LEASES_H

/*
 * The deadlines of leases, in memory: a renewal is an assignment, and all start
 * again in full when the store is opened. What is on disk is not seen here.
 * Times are nanoseconds of CLOCK_MONOTONIC, given by the caller. Any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far apart two searches for leases that are due are at least. */
#define LEASES_INTERVAL INT64_C(500000000)

struct leases;

struct leases *leases_new(void);
/* NULL is fine. */
void leases_free(struct leases *l);

/* ttl is in seconds. */
void leases_add(struct leases *l, int64_t id, int64_t ttl, int64_t now);
void leases_remove(struct leases *l, int64_t id);
bool leases_has(struct leases *l, int64_t id);

/* False if there is no such lease, or it is ending. */
bool leases_renew(struct leases *l, int64_t id, int64_t now);

/* When leases_due() should be called next; INT64_MAX: never. */
int64_t leases_next(struct leases *l);

/*
 * Up to max leases whose time is over. They are ending: they cannot be renewed,
 * until they are removed or leases_revive() lets them last until that time (of
 * others it changes nothing).
 */
size_t leases_due(struct leases *l, int64_t now, int64_t *ids, size_t max);
void leases_revive(struct leases *l, int64_t id, int64_t until);

#endif

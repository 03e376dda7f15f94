#ifndef OIM_LIVENESS_H
#define OIM_LIVENESS_H

/*
 * Whether the controllers of the registry are still there. One that registers
 * with a time to live has two records beside its entry: alive/ID, on a lease
 * that every registration renews, and liveness/ID, which stays. When the lease
 * has ended the controller is lost until it registers again; its entry stays.
 * Entries without these records are static. Any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/store/store.h"
#include "oim/state/v1/state.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/err.h"

#define LIVENESS_ALIVE  "alive/"
#define LIVENESS_RECORD "liveness/"

/* What callers send with a registration, as metadata. */
#define LIVENESS_TTL_KEY      "oim-ttl"
#define LIVENESS_INSTANCE_KEY "oim-instance"

/* Seconds from text, at least what the store can do. INVALID_ARGUMENT. */
int liveness_parse_ttl(const char *text, int64_t *ttl, struct err *err);

/* Whether text can be an instance: short. INVALID_ARGUMENT. */
int liveness_check_instance(const char *text, struct err *err);

/* --- one controller --- */

struct liveness {
	const Oim__State__V1__Liveness *record; /* NULL: static */
	int64_t revision;                       /* of it; 0 if there is none */
	const char *instance; /* that is alive; NULL: none is */
	int64_t lease;        /* its own */
};

/* What the store has, in the arena. */
int liveness_read(struct store *store, const char *id, struct arena *a,
		  struct liveness *live, struct err *err);

/*
 * What its record becomes when an instance registers ("": it does not say who
 * it is), in the arena: it is not lost; and when it is one that was replaced
 * before, two have this id. address is the one registered so far, or NULL.
 */
Oim__State__V1__Liveness *liveness_renew(const struct liveness *live,
					 int64_t ttl, const char *instance,
					 const char *address, struct arena *a);

/*
 * Marks the controller as lost, if it registered with a time to live and is not
 * alive: by whichever daemon is the first to do so.
 */
int liveness_mark_lost(struct store *store, const char *id, struct err *err);

/* The time since which a lost controller has not registered. */
int64_t liveness_seen(const Oim__State__V1__Liveness *record);

/* --- all of them --- */

struct liveness_item {
	const char *id;
	Oim__State__V1__Liveness record; /* without former */
	bool is_alive;
};

/* Those that are not static, by id, in the arena. */
int liveness_list(struct store *store, struct arena *a,
		  struct liveness_item **items, size_t *n, struct err *err);

/* NULL: that id is static. */
const struct liveness_item *liveness_find(const struct liveness_item *items,
					  size_t n, const char *id);

/* "static", "ready" or "lost" (oim.admin.v1.Controller); NULL is static. */
const char *liveness_state(const struct liveness_item *item);

/* Of a lost one: since when, in nanoseconds since 1970; else 0. */
int64_t liveness_since(const struct liveness_item *item);

/* What is wrong with it while it is not lost, in the arena; NULL if nothing. */
const char *liveness_problem(const struct liveness_item *item, struct arena *a);

#endif

#ifndef OIM_LIVENESS_WATCH_H
#define OIM_LIVENESS_WATCH_H

/*
 * A daemon with a registry watches who is alive: it marks those whose time has
 * run out as lost, and knows who is lost and between whom there is a quarrel,
 * whichever daemon has found that. One thread; while the store is away it tries
 * again and again.
 */

#include <stddef.h>
#include <stdint.h>

#include "daemon/core/events.h"
#include "daemon/store/store.h"
#include "proto/lib/err.h"

struct liveness_watch;

/* Both are borrowed; the store is not waited for. events may be NULL: where it
 * is told who is lost, ready again, and contested. */
struct liveness_watch *liveness_watch_start(struct store *store,
					    struct events *events,
					    struct err *err);

/* Waits for what it has asked the store. NULL is fine. */
void liveness_watch_stop(struct liveness_watch *w);

/*
 * Since when a controller has not registered, in nanoseconds since 1970; 0 if
 * it is not lost. From memory: for explanations, not for decisions. Any thread;
 * NULL knows nobody.
 */
int64_t liveness_watch_seen(struct liveness_watch *w, const char *id);

/* How many are lost; likewise. */
size_t liveness_watch_lost(struct liveness_watch *w);

#endif

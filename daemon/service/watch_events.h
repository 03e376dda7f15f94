#ifndef OIM_SERVICE_WATCH_EVENTS_H
#define OIM_SERVICE_WATCH_EVENTS_H

/*
 * oim.admin.v1.Admin/WatchEvents: events to whoever follows them. Each reads
 * from the ring of events at its own pace: what it has not taken yet is there
 * and not here, so a slow one costs nothing, and in the end it is told that it
 * has missed some.
 */

#include "daemon/core/events.h"
#include "daemon/rpc/rpc.h"

struct watch_events;

/* Events are borrowed. */
struct watch_events *watch_events_new(struct events *events);

/* When rpc runs, and before rpc_drain(): followers hear of new events between
 * the two. */
void watch_events_start(struct watch_events *w, struct rpc *rpc);
void watch_events_stop(struct watch_events *w);

/* After rpc_free(). NULL is fine. */
void watch_events_free(struct watch_events *w);

extern const struct call_stream watch_events_stream;

#endif

#ifndef OIM_REGISTRY_EVENTS_H
#define OIM_REGISTRY_EVENTS_H

/*
 * Tells of changes of the registry, whoever makes them: by any API, by another
 * daemon on the same store, by somebody who writes to the store. It watches the
 * store and keeps no copy of what is in it.
 *
 * controller.registered, controller.moved, controller.removed; value.set,
 * value.removed; and registry.missed where the store could not tell all
 * changes: then those to what is still there follow, but not what was removed.
 */

#include "daemon/core/events.h"
#include "daemon/store/store.h"
#include "proto/lib/err.h"

struct registry_events;

/*
 * From now on; if the store is away, from when it is back. Both are borrowed.
 */
struct registry_events *registry_events_start(struct store *cluster,
					      struct events *events,
					      struct err *err);

/* NULL is fine. */
void registry_events_stop(struct registry_events *r);

#endif

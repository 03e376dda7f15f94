#ifndef OIM_SERVICE_ADMIN_H
#define OIM_SERVICE_ADMIN_H

/* oim.admin.v1.Admin: what operators see of a daemon. arg: struct admin. */

#include <stdatomic.h>

#include "daemon/core/announce.h"
#include "daemon/core/controller.h"
#include "daemon/core/liveness_watch.h"
#include "daemon/core/registry.h"
#include "daemon/core/stores.h"
#include "daemon/rpc/rpc.h"
#include "daemon/service/watch_events.h"

/* What there is to be seen; filled in before rpc_start(). */
struct admin {
	int64_t started;           /* ns since 1970 */
	const char *const *listen; /* as printed, NULL-terminated */
	const struct stores *stores;
	struct registry *registry;       /* NULL if there is none here */
	struct liveness_watch *liveness; /* likewise */
	const struct controllers *controllers;
	struct announce *const *announces; /* by controller; NULL: not */
	struct watch_events *watch;        /* for WatchEvents */
	atomic_bool draining;
};

extern const struct rpc_method service_admin[];

/* Whether the caller may see what the call is about. */
int admin_check_access(const struct call *call, struct err *err);

#endif

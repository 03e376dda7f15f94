#ifndef OIM_ROUTE_H
#define OIM_ROUTE_H

/*
 * Which calls are served here, which are forwarded, and which are refused
 * (design, section 4). Where rpc and core meet: main hands this to rpc.
 */

#include <stdbool.h>

#include "daemon/core/controller.h"
#include "daemon/core/liveness_watch.h"
#include "daemon/core/registry.h"
#include "daemon/rpc/rpc.h"

struct routes {
	struct registry *registry; /* NULL if there is none here */
	const struct controllers *controllers;
	bool has_tls;
	struct liveness_watch *liveness; /* may be NULL */
	struct rpc *rpc;                 /* for look-ups that may take long */
};

/* A rpc_router_fn; arg is struct routes. */
bool route_call(void *arg, struct rpc_route *route);

#endif

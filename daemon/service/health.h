#ifndef OIM_SERVICE_HEALTH_H
#define OIM_SERVICE_HEALTH_H

/*
 * grpc.health.v1.Health: whether each service can do its work now. arg: struct
 * health.
 */

#include <stdbool.h>

#include "daemon/rpc/rpc.h"

struct health;

/* Knows these services, all serving; the empty name, for all of them, comes of
 * itself. Names are borrowed, the array ends with NULL. */
struct health *health_new(const char *const *services);

/* After rpc_free(). */
void health_free(struct health *h);

/*
 * Says how a service is, or all if it is NULL, and tells whoever watches. One
 * thread at a time, while rpc runs.
 */
void health_set(struct health *h, struct rpc *rpc, const char *service,
		bool serving);

extern const struct rpc_method service_health[];

#endif

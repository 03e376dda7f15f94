#ifndef OIM_SERVICE_REGISTRY_H
#define OIM_SERVICE_REGISTRY_H

/* oim.v0.Registry, in both its revisions. arg: struct registry. */

#include "daemon/core/registry.h"
#include "daemon/rpc/rpc.h"

/* Its methods: on the loop if reading that registry never waits, else on
 * workers. */
const struct rpc_method *service_registry_methods(const struct registry *r);

#endif

#ifndef OIM_SERVICE_REGISTRY_H
#define OIM_SERVICE_REGISTRY_H

/* oim.v0.Registry, in both its revisions. arg: struct registry. */

#include "daemon/rpc/rpc.h"

extern const struct rpc_method service_registry[];

#endif

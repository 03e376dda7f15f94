#ifndef OIM_SERVICE_REFLECTION_H
#define OIM_SERVICE_REFLECTION_H

/*
 * grpc.reflection: what a server offers, for clients that have no contracts.
 * arg: the full names of its services, an array that ends with NULL.
 */

#include "daemon/rpc/rpc.h"

/* For v1, and for v1alpha, which is the same on the wire. */
extern const struct rpc_method service_reflection[];

#endif

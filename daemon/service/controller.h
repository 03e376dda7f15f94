#ifndef OIM_SERVICE_CONTROLLER_H
#define OIM_SERVICE_CONTROLLER_H

/* oim.v0.Controller. arg: struct controllers, of which there is at least one.
 */

#include "daemon/rpc/rpc.h"

extern const struct rpc_method service_controller[];

#endif

#ifndef OIM_OP_OF_CALL_H
#define OIM_OP_OF_CALL_H

/* The operation of core that a call asks for; lives as long as the call. */

#include "daemon/core/op.h"
#include "daemon/rpc/call.h"

const struct op *op_of_call(struct call *call);

#endif

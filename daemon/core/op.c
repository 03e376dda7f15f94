/* Operations: whether they are still wanted. */

#include "daemon/core/op.h"

#include "proto/lib/units.h"

const struct op op_self = {.caller = &audit_self, .deadline = INT64_MAX};

int op_check(const struct op *op, struct err *err)
{
	if (op->is_cancelled && op->is_cancelled(op->arg))
		return err_set(err, GRPC_STATUS_CANCELLED,
			       "the caller has gone");
	if (op->deadline != INT64_MAX && units_monotonic() >= op->deadline)
		return err_set(err, GRPC_STATUS_DEADLINE_EXCEEDED,
			       "the deadline has passed");
	return 0;
}

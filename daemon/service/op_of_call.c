/* From calls to operations. */

#include "daemon/service/op_of_call.h"

static bool is_cancelled(void *arg)
{
	return call_is_cancelled(arg);
}

const struct op *op_of_call(struct call *call)
{
	struct op *op = arena_alloc(call_arena(call), sizeof(*op));

	*op = (struct op){.caller = call_caller(call),
			  .deadline = call_deadline(call),
			  .is_cancelled = is_cancelled,
			  .arg = call};
	return op;
}

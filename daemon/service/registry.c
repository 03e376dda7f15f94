/* oim.v0.Registry: entries, and values at paths. */

#include "daemon/service/registry.h"

#include <string.h>

#include "daemon/core/access.h"
#include "daemon/core/liveness.h"
#include "daemon/core/registry.h"
#include "daemon/service/op_of_call.h"
#include "oim/v0/oim.pb-c.h"
#include "proto/lib/mem.h"

/* --- changing: ends when the store has it --- */

static void on_changed(struct registry_change *change)
{
	call_finish(change->arg, &change->err);
}

/* What is to be done by a worker. */
struct work {
	struct registry_change *change;
	void (*fn)(struct registry_change *change);
};

static void run_work(void *arg)
{
	const struct work *w = arg;

	w->fn(w->change);
}

static bool work(struct registry_change *change,
		 void (*fn)(struct registry_change *change))
{
	struct call *call = change->arg;
	struct work *w = arena_alloc(call_arena(call), sizeof(*w));

	*w = (struct work){change, fn};
	return call_work(call, run_work, w);
}

static struct registry_change *change_of_call(struct call *call,
					      const char *path,
					      const char *value)
{
	struct registry_change *change =
		arena_alloc(call_arena(call), sizeof(*change));
	/* Else we are on a worker already. */
	bool is_inline = registry_is_embedded(call_arg(call));

	*change = (struct registry_change){
		.op = op_of_call(call),
		.arena = call_arena(call),
		.path = path,
		.value = value,
		.ttl = call_metadata(call, LIVENESS_TTL_KEY),
		.instance = call_metadata(call, LIVENESS_INSTANCE_KEY),
		.work = is_inline ? work : NULL,
		.done = on_changed,
		.arg = call};
	return change;
}

static int register_controller(struct call *call, const void *request,
			       void *reply, struct err *err)
{
	const Oim__V0__RegisterControllerRequest *r = request;

	(void)reply;
	(void)err;
	registry_register(call_arg(call),
			  change_of_call(call, r->controller_id, r->address));
	return CALL_LATER;
}

static int set_value(struct call *call, const void *request, void *reply,
		     struct err *err)
{
	const Oim__V0__SetValueRequest *r = request;

	(void)reply;
	if (!r->value)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "missing value");
	registry_set(call_arg(call),
		     change_of_call(call, r->value->path, r->value->value));
	return CALL_LATER;
}

/* --- reading --- */

/* As a varint (protobuf.dev, "Encoding"). */
static uint8_t *put_size(uint8_t *out, size_t size)
{
	for (; size >= 0x80; size >>= 7)
		*out++ = (uint8_t)(size | 0x80);
	*out++ = (uint8_t)size;
	return out;
}

static size_t size_of_size(size_t size)
{
	size_t n = 1;

	for (; size >= 0x80; size >>= 7)
		n++;
	return n;
}

/*
 * The reply is made of the records as they are stored: what they hold are the
 * fields of DBEntry (state.proto), so they are its encoded entries.
 */
static int get_controllers(struct call *call, const void *request, void *reply,
			   struct err *err)
{
	const uint8_t tag = 1 << 3 | 2; /* field 1, with a length */
	struct registry_entry *entries;
	size_t n, size = 0;
	uint8_t *bytes, *out;

	(void)request;
	(void)reply;
	if (access_read(call_caller(call), err) == -1 ||
	    registry_entries(call_arg(call), call_arena(call), &entries, &n,
			     err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		size += 1 + size_of_size(entries[i].size) + entries[i].size;
	out = bytes = mem_alloc(size);
	for (size_t i = 0; i < n; i++) {
		*out++ = tag;
		out = put_size(out, entries[i].size);
		memcpy(out, entries[i].record, entries[i].size);
		out += entries[i].size;
	}
	call_reply_encoded(call, bytes, size);
	return 0;
}

static int get_values(struct call *call, const void *request, void *reply,
		      struct err *err)
{
	const Oim__V0__GetValuesRequest *r = request;
	Oim__V0__GetValuesReply *result = reply;
	struct arena *a = call_arena(call);
	struct registry_value *values;
	size_t n;

	if (access_read(call_caller(call), err) == -1 ||
	    registry_values(call_arg(call), r->path, a, &values, &n, err) == -1)
		return -1;
	result->values = arena_alloc(a, n * sizeof(*result->values));
	result->n_values = n;
	for (size_t i = 0; i < n; i++) {
		Oim__V0__Value *v =
			arena_message(a, &oim__v0__value__descriptor);

		v->path = (char *)values[i].path;
		v->value = (char *)values[i].value;
		result->values[i] = v;
	}
	return 0;
}

/* --- methods --- */

#define METHODS(where)                                                         \
	{                                                                      \
		{.name = "RegisterController",                                 \
		 .unary = register_controller,                                 \
		 .flags = (where)},                                            \
			{.name = "GetControllers",                             \
			 .unary = get_controllers,                             \
			 .flags = (where)},                                    \
			{.name = "SetValue",                                   \
			 .unary = set_value,                                   \
			 .flags = (where)},                                    \
			{.name = "GetValues",                                  \
			 .unary = get_values,                                  \
			 .flags = (where)},                                    \
			{.name = NULL},                                        \
	}

const struct rpc_method *service_registry_methods(const struct registry *r)
{
	static const struct rpc_method on_loop[] = METHODS(RPC_INLINE);
	static const struct rpc_method on_workers[] = METHODS(0);

	return registry_is_embedded(r) ? on_loop : on_workers;
}

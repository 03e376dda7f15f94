/* Calls: their objects, and the unary ones from request to reply. */

#include "daemon/rpc/call.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>

#include "daemon/log.h"
#include "daemon/rpc/inflate.h"
#include "daemon/rpc/server.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/json.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"
#include "proto/lib/wire.h"

#define LOG_COMPONENT "rpc"

/* Call objects kept for the next calls. */
#define MAX_IDLE 128

/* --- objects --- */

struct call *call_new(struct rpc_server *server, const struct method *method)
{
	struct rpc *rpc = server->rpc;
	struct call *call = rpc->idle;
	struct arena *arena;

	if (call) {
		rpc->idle = call->next_idle;
		rpc->n_idle--;
		arena = call->arena;
	} else {
		call = mem_alloc(sizeof(*call));
		arena = arena_new();
	}
	memset(call, 0, sizeof(*call));
	call->arena = arena;
	call->server = server;
	call->method = method;
	call->message = grpc_empty_slice();
	call->details_md.value = grpc_empty_slice();
	grpc_metadata_array_init(&call->md);
	if (!method)
		grpc_call_details_init(&call->details);
	return call;
}

void call_ref(struct call *call)
{
	call->refs++;
}

static void count_down(struct rpc *rpc)
{
	loop_count_call(rpc->loop, -1);
	pthread_mutex_lock(&rpc->mu);
	if (--rpc->live == 0)
		pthread_cond_broadcast(&rpc->changed);
	pthread_mutex_unlock(&rpc->mu);
}

void call_unref(struct call *call)
{
	struct rpc *rpc = call->server->rpc;

	if (--call->refs > 0)
		return;
	if (call->grpc) {
		grpc_call_unref(call->grpc);
		count_down(rpc);
	}
	if (call->payload)
		grpc_byte_buffer_destroy(call->payload);
	if (call->sending)
		grpc_byte_buffer_destroy(call->sending);
	grpc_slice_unref(call->message);
	grpc_slice_unref(call->details_md.value);
	if (!call->method)
		grpc_call_details_destroy(&call->details);
	grpc_metadata_array_destroy(&call->md);
	if (call->identity)
		tls_identity_release(call->identity);
	gpr_free(call->peer);
	free(call->route.address);
	free(call->route.peer_name);
	free(call->route.note);
	err_clear(&call->route.err);
	err_clear(&call->err);
	free(call->encoded);
	if (rpc->n_idle == MAX_IDLE) {
		arena_free(call->arena);
		free(call);
		return;
	}
	arena_reset(call->arena);
	call->next_idle = rpc->idle;
	rpc->idle = call;
	rpc->n_idle++;
}

static void on_closed(void *arg, bool ok)
{
	struct call *call = arg;

	(void)ok; /* it always is */
	if (call->was_cancelled)
		atomic_store(&call->cancelled, true);
	if (call->was_cancelled && call->stream.link)
		stream_cancelled(call);
	if (call->was_cancelled && call->forward)
		forward_cancelled(call);
	call_unref(call);
}

void call_watch_close(struct call *call)
{
	grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};

	op.data.recv_close_on_server.cancelled = &call->was_cancelled;
	call->closed = (struct tag){on_closed, call};
	call->watches_close = true;
	call_ref(call);
	if (grpc_call_start_batch(call->grpc, &op, 1, &call->closed, NULL))
		call_unref(call);
}

/* --- what handlers may look at --- */

void *call_arg(const struct call *call)
{
	return call->method->arg;
}

struct arena *call_arena(struct call *call)
{
	return call->arena;
}

const struct caller *call_caller(const struct call *call)
{
	return &call->caller;
}

const char *call_controller(const struct call *call)
{
	return call->route.controller;
}

const char *call_metadata(struct call *call, const char *key)
{
	for (size_t i = 0; i < call->md.count; i++) {
		const grpc_metadata *md = &call->md.metadata[i];

		if (grpc_slice_str_cmp(md->key, key) == 0)
			return arena_dup(call->arena,
					 GRPC_SLICE_START_PTR(md->value),
					 GRPC_SLICE_LENGTH(md->value));
	}
	return NULL;
}

int64_t call_deadline(const struct call *call)
{
	gpr_timespec t =
		gpr_convert_clock_type(call->deadline, GPR_CLOCK_MONOTONIC);
	gpr_timespec left;

	if (gpr_time_cmp(t, gpr_inf_future(t.clock_type)) == 0)
		return INT64_MAX;
	/* gRPC's monotonic clock starts elsewhere. */
	left = gpr_time_sub(t, gpr_now(GPR_CLOCK_MONOTONIC));
	return units_monotonic() + left.tv_sec * UNITS_SECOND + left.tv_nsec;
}

bool call_is_cancelled(const struct call *call)
{
	return atomic_load(&((struct call *)call)->cancelled);
}

void call_reply_encoded(struct call *call, void *bytes, size_t size)
{
	call->encoded = bytes;
	call->encoded_size = size;
}

/* --- decoding --- */

/* The bytes of a message; the slice is unref'd by the caller. */
static int read_bytes(grpc_byte_buffer *bytes, grpc_slice *all, struct err *err)
{
	grpc_byte_buffer_reader reader;

	if (inflate_is_needed(bytes))
		return inflate_bytes(bytes, RPC_MAX_MESSAGE, all, err);
	if (bytes->data.raw.slice_buffer.count == 1) {
		*all = grpc_slice_ref(bytes->data.raw.slice_buffer.slices[0]);
		return 0;
	}
	grpc_byte_buffer_reader_init(&reader, bytes);
	*all = grpc_byte_buffer_reader_readall(&reader);
	grpc_byte_buffer_reader_destroy(&reader);
	return 0;
}

static void log_request(const struct call *call, const void *request)
{
	CLEANUP(cleanup_json)
	struct json_object *json = json_from_message(request, JSON_NO_DEFAULTS);
	CLEANUP(cleanup_free) char *text = json_text(json, false);

	log_debug("%s/%s from %s: %s", call->method->service,
		  call->method->row->name, call->caller.peer, text);
}

void *call_decode(struct call *call, struct arena *a, grpc_byte_buffer *bytes,
		  struct err *err)
{
	const ProtobufCMessageDescriptor *type = call->method->request;
	void *request = NULL;
	const uint8_t *start;
	grpc_slice data;
	size_t size;

	if (read_bytes(bytes, &data, err) == -1)
		return NULL;
	start = GRPC_SLICE_START_PTR(data);
	size = GRPC_SLICE_LENGTH(data);
	if (wire_check(type, start, size, WIRE_MAX_FIELDS, err) == 0) {
		request = arena_unpack(a, type, start, size);
		if (!request)
			err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
				"the request does not decode as %s",
				type->name);
		else if (log_is_debug())
			log_request(call, request);
	}
	grpc_slice_unref(data);
	return request;
}

grpc_byte_buffer *call_encode(const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	grpc_slice slice = grpc_slice_malloc(size);
	grpc_byte_buffer *bytes;

	protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
	bytes = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return bytes;
}

/* --- replying --- */

void call_log(const struct call *call, int code)
{
	char us[24];
	struct log_field fields[] = {
		{"method", call->route.method},
		{"service", call->route.service},
		{"controller", call->route.controller},
		{"peer", call->caller.peer},
		{"code", err_code_name(code)},
		{"us", us},
		{NULL, NULL},
	};

	if (!log_is_debug())
		return;
	snprintf(us, sizeof(us), "%" PRId64,
		 (units_monotonic() - call->started) / 1000);
	log_line(LOG_LEVEL_DEBUG, LOG_COMPONENT, fields, "call");
}

static void on_replied(void *arg, bool ok)
{
	(void)ok;
	call_unref(arg);
}

static grpc_byte_buffer *take_encoded(struct call *call)
{
	grpc_slice slice =
		grpc_slice_new(call->encoded, call->encoded_size, free);
	grpc_byte_buffer *bytes = grpc_raw_byte_buffer_create(&slice, 1);

	grpc_slice_unref(slice);
	call->encoded = NULL;
	return bytes;
}

/* Sends reply or error, and drops the reference of whoever had the call. */
static void reply(struct call *call)
{
	grpc_op ops[4] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}};
	size_t n = 1;

	if (!call->err.code) {
		call->sending = call->encoded ? take_encoded(call)
					      : call_encode(call->reply);
		ops[n].op = GRPC_OP_SEND_MESSAGE;
		ops[n++].data.send_message.send_message = call->sending;
	}
	call_status_op(call, &ops[n++], &call->err);
	if (!call->watches_close) {
		ops[n].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
		ops[n++].data.recv_close_on_server.cancelled =
			&call->was_cancelled;
	}
	call_log(call, call->err.code);
	call->sent = (struct tag){on_replied, call};
	if (grpc_call_start_batch(call->grpc, ops, n, &call->sent, NULL))
		call_unref(call);
}

void call_refuse(struct call *call, struct err *err)
{
	err_move(&call->err, err);
	call_ref(call);
	reply(call);
}

static void reply_task(void *arg)
{
	reply(arg);
}

void call_finish(struct call *call, struct err *err)
{
	err_move(&call->err, err);
	call->task = (struct task){reply_task, call, NULL};
	loop_post(call->server->rpc->loop, &call->task);
}

bool call_work(struct call *call, void (*fn)(void *arg), void *arg)
{
	return rpc_work(call->server->rpc, fn, arg);
}

/* --- handling --- */

static void handle(struct call *call)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	int rc = call->method->row->unary(call, call->request, call->reply,
					  &err);

	/* Not ours any more: it may have been finished by now. */
	if (rc == CALL_LATER)
		return;
	assert((rc == 0) == !err.code);
	if (call->method->row->flags & RPC_INLINE) {
		err_move(&call->err, &err);
		reply(call);
	} else {
		call_finish(call, &err);
	}
}

static void run_job(void *arg)
{
	struct call *call = arg;
	CLEANUP(err_clear) struct err err = ERR_INIT;

	/* Whoever gave up while it waited does not want the effect. */
	if (call_is_cancelled(call)) {
		err_set(&err, GRPC_STATUS_CANCELLED, "the caller has gone");
		call_finish(call, &err);
		return;
	}
	handle(call);
}

void call_serve(struct call *call)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const struct method *m = call->method;

	if (!call->payload) {
		err_set(&err, GRPC_STATUS_INTERNAL,
			"the request has no message");
		call_refuse(call, &err);
		return;
	}
	call->request = call_decode(call, call->arena, call->payload, &err);
	if (!call->request) {
		call_refuse(call, &err);
		return;
	}
	call->reply = arena_message(call->arena, m->reply);
	call_ref(call);
	if (m->row->flags & RPC_INLINE) {
		handle(call);
		return;
	}
	call_watch_close(call);
	call->job = (struct job){run_job, call, NULL};
	if (!workers_add(call->server->rpc->workers, &call->job)) {
		err_set(&call->err, GRPC_STATUS_RESOURCE_EXHAUSTED,
			"the daemon is busy: %u calls wait already",
			call->server->rpc->config.queue);
		reply(call);
	}
}

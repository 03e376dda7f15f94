/* What all calls have in common: core's objects, and messages on the wire. */

#include "proto/lib/client_exchange.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/wire.h"

static bool is_binary(const char *key)
{
	size_t size = strlen(key);

	return size > 4 && strcmp(key + size - 4, "-bin") == 0;
}

static int check_md(const struct client_md *md, const grpc_metadata *core,
		    struct err *err)
{
	if (!grpc_header_key_is_legal(core->key))
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "bad metadata key \"%s\"", md->key);
	if (!is_binary(md->key) &&
	    !grpc_header_nonbin_value_is_legal(core->value))
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "metadata \"%s\" can only carry printable ASCII",
			       md->key);
	return 0;
}

static int copy_md(struct exchange *x, const struct client_md *md, size_t n,
		   struct err *err)
{
	x->md = mem_zalloc(n, sizeof(*x->md));
	for (; x->n_md < n; x->n_md++, md++) {
		grpc_metadata *copy = &x->md[x->n_md];

		copy->key = grpc_slice_from_copied_string(md->key);
		copy->value =
			grpc_slice_from_copied_buffer(md->value, md->size);
		if (check_md(md, copy, err) < 0) {
			x->n_md++;
			return -1;
		}
	}
	return 0;
}

static void free_md(struct exchange *x)
{
	for (size_t i = 0; i < x->n_md; i++) {
		grpc_slice_unref(x->md[i].key);
		grpc_slice_unref(x->md[i].value);
	}
	free(x->md);
}

static gpr_timespec deadline_of(const struct client_call *what)
{
	if (!what->deadline)
		return gpr_inf_future(GPR_CLOCK_MONOTONIC);
	return gpr_time_from_nanos(what->deadline, GPR_CLOCK_MONOTONIC);
}

static void start(struct exchange *x, const struct client_call *what)
{
	struct client *c = x->client;
	grpc_slice method = grpc_slice_from_copied_string(what->method);

	x->channel = client_take_channel(c);
	x->queue = grpc_completion_queue_create_for_pluck(NULL);
	x->core = grpc_channel_create_call(
		x->channel->core, NULL, GRPC_PROPAGATE_DEFAULTS, x->queue,
		method, NULL, deadline_of(what), NULL);
	grpc_slice_unref(method);
	pthread_mutex_lock(&c->lock);
	LIST_INSERT_HEAD(&c->calls, x, siblings);
	pthread_mutex_unlock(&c->lock);
}

int exchange_init(struct exchange *x, struct client *c,
		  const struct client_call *what, struct err *err)
{
	memset(x, 0, sizeof(*x));
	x->client = c;
	x->reply_type = what->reply_type;
	x->outcome.message = grpc_empty_slice();
	if (copy_md(x, what->md, what->n_md, err) < 0) {
		free_md(x);
		return -1;
	}
	x->method = mem_strdup(what->method);
	grpc_metadata_array_init(&x->headers);
	grpc_metadata_array_init(&x->outcome.trailers);
	start(x, what);
	return 0;
}

void exchange_clear(struct exchange *x)
{
	struct client *c = x->client;

	pthread_mutex_lock(&c->lock);
	LIST_REMOVE(x, siblings);
	pthread_mutex_unlock(&c->lock);
	grpc_call_unref(x->core);
	grpc_completion_queue_destroy(x->queue);
	client_unref_channel(c, x->channel);
	grpc_metadata_array_destroy(&x->headers);
	grpc_metadata_array_destroy(&x->outcome.trailers);
	grpc_slice_unref(x->outcome.message);
	gpr_free((char *)(uintptr_t)x->outcome.error);
	free_md(x);
	free(x->method);
}

grpc_op exchange_op_send_headers(const struct exchange *x)
{
	grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA};

	op.data.send_initial_metadata.metadata = x->md;
	op.data.send_initial_metadata.count = x->n_md;
	return op;
}

grpc_op exchange_op_receive_headers(struct exchange *x)
{
	grpc_op op = {.op = GRPC_OP_RECV_INITIAL_METADATA};

	op.data.recv_initial_metadata.recv_initial_metadata = &x->headers;
	return op;
}

grpc_op exchange_op_receive_status(struct exchange *x)
{
	grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
	struct outcome *o = &x->outcome;

	op.data.recv_status_on_client.status = &o->code;
	op.data.recv_status_on_client.status_details = &o->message;
	op.data.recv_status_on_client.trailing_metadata = &o->trailers;
	op.data.recv_status_on_client.error_string = &o->error;
	return op;
}

void exchange_start(struct exchange *x, const grpc_op *ops, size_t n, void *tag)
{
	if (grpc_call_start_batch(x->core, ops, n, tag, NULL) != GRPC_CALL_OK)
		abort(); /* a mistake of ours */
}

bool exchange_wait(struct exchange *x, void *tag)
{
	return grpc_completion_queue_pluck(
		       x->queue, tag, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL)
		.success;
}

grpc_byte_buffer *exchange_pack(const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	grpc_slice slice = grpc_slice_malloc(size);
	grpc_byte_buffer *buffer;

	protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
	buffer = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return buffer;
}

static int internal(const struct exchange *x, struct err *err,
		    const char *reason)
{
	return err_set(err, GRPC_STATUS_INTERNAL, "bad reply of %s from %s: %s",
		       x->method, x->client->name, reason);
}

static void *unpack(const struct exchange *x, grpc_slice bytes, struct arena *a,
		    struct err *err)
{
	CLEANUP(err_clear) struct err bad = ERR_INIT;
	const uint8_t *data = GRPC_SLICE_START_PTR(bytes);
	size_t size = GRPC_SLICE_LENGTH(bytes);
	void *message = NULL;

	if (wire_check(x->reply_type, data, size, WIRE_ANY_FIELDS, &bad) < 0)
		internal(x, err, bad.msg);
	else if (!(message = arena_unpack(a, x->reply_type, data, size)))
		internal(x, err, "it does not decode");
	return message;
}

void *exchange_unpack(const struct exchange *x, grpc_byte_buffer *buffer,
		      struct arena *a, struct err *err)
{
	grpc_byte_buffer_reader reader;
	grpc_slice bytes;
	void *message;

	if (!buffer || !grpc_byte_buffer_reader_init(&reader, buffer)) {
		internal(x, err, "there is no message");
		return NULL;
	}
	bytes = grpc_byte_buffer_reader_readall(&reader);
	message = unpack(x, bytes, a, err);
	grpc_slice_unref(bytes);
	grpc_byte_buffer_reader_destroy(&reader);
	return message;
}

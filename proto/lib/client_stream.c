/* Calls of any shape, message by message. */

#include "proto/lib/client.h"

#include <stdbool.h>
#include <stdlib.h>

#include <grpc/grpc.h>

#include "proto/lib/client_exchange.h"
#include "proto/lib/mem.h"

/* The addresses of its fields are the tags of the batches. */
struct client_stream {
	struct exchange call; /* headers and status: begins and ends it */
	char sending;
	char receiving;
	bool ended; /* the status is known */
};

static void start(struct client_stream *s)
{
	grpc_op ops[] = {
		exchange_op_send_headers(&s->call),
		exchange_op_receive_headers(&s->call),
		exchange_op_receive_status(&s->call),
	};

	exchange_start(&s->call, ops, sizeof(ops) / sizeof(*ops), &s->call);
}

struct client_stream *client_stream_open(struct client *c,
					 const struct client_call *call,
					 struct err *err)
{
	struct client_stream *s = mem_zalloc(1, sizeof(*s));

	if (exchange_init(&s->call, c, call, err) < 0) {
		free(s);
		return NULL;
	}
	start(s);
	return s;
}

static int send_op(struct client_stream *s, const grpc_op *op)
{
	exchange_start(&s->call, op, 1, &s->sending);
	return exchange_wait(&s->call, &s->sending) ? 0 : -1;
}

int client_stream_send(struct client_stream *s, const ProtobufCMessage *request)
{
	grpc_byte_buffer *buffer = exchange_pack(request);
	grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};
	int ret;

	op.data.send_message.send_message = buffer;
	ret = send_op(s, &op);
	grpc_byte_buffer_destroy(buffer);
	return ret;
}

int client_stream_close_send(struct client_stream *s)
{
	grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};

	return send_op(s, &op);
}

static void wait_for_end(struct client_stream *s)
{
	if (!s->ended)
		exchange_wait(&s->call, &s->call);
	s->ended = true;
}

static grpc_byte_buffer *receive(struct client_stream *s)
{
	grpc_byte_buffer *buffer = NULL;
	grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};

	op.data.recv_message.recv_message = &buffer;
	exchange_start(&s->call, &op, 1, &s->receiving);
	exchange_wait(&s->call, &s->receiving);
	return buffer;
}

int client_stream_receive(struct client_stream *s, struct arena *a,
			  void **reply, struct err *err)
{
	grpc_byte_buffer *buffer = s->ended ? NULL : receive(s);

	if (!buffer) {
		wait_for_end(s);
		return exchange_result(&s->call, err);
	}
	*reply = exchange_unpack(&s->call, buffer, a, err);
	grpc_byte_buffer_destroy(buffer);
	return *reply ? 1 : -1;
}

void client_stream_cancel(struct client_stream *s)
{
	grpc_call_cancel(s->call.core, NULL);
}

void client_stream_free(struct client_stream *s)
{
	if (!s)
		return;
	client_stream_cancel(s);
	wait_for_end(s);
	exchange_clear(&s->call);
	free(s);
}

/* Streaming calls: requests one by one, replies in order, then the status. */

#include "daemon/rpc/call.h"

#include <stdlib.h>

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>

#include "daemon/rpc/server.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

void call_set_state(struct call *call, void *state)
{
	call->stream.state = state;
}

void *call_state(const struct call *call)
{
	return call->stream.state;
}

size_t call_waiting(const struct call *call)
{
	return call->stream.n_out;
}

static void pop(struct call *call)
{
	struct outgoing *first = call->stream.out;

	call->stream.out = first->next;
	if (!call->stream.out)
		call->stream.out_end = &call->stream.out;
	call->stream.n_out--;
	grpc_byte_buffer_destroy(first->bytes);
	free(first);
}

/* Nothing more will be sent: the handler lets go, and so do we. */
static void finish(struct call *call)
{
	const struct call_stream *handler = call->method->row->stream;

	if (call->stream.finished)
		return;
	call->stream.finished = true;
	call->stream.ended = true;
	*call->stream.link = call->stream.next;
	if (call->stream.next)
		call->stream.next->stream.link = call->stream.link;
	if (handler->close)
		handler->close(call);
	/* The first may be under way; it is freed with the call. */
	while (call->stream.out && !call->stream.sending)
		pop(call);
	call_unref(call);
}

void stream_cancelled(struct call *call)
{
	finish(call);
}

/* --- sending --- */

static void on_sent(void *arg, bool ok);

/* Sends the first message that waits, and the status if nothing follows. */
static void send_next(struct call *call)
{
	struct outgoing *first = call->stream.out;
	grpc_op ops[3];
	size_t n = 0;

	if (call->stream.sending || call->stream.finished ||
	    (!first && !call->stream.ended))
		return;
	if (!call->stream.has_begun)
		ops[n++] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
	if (first) {
		ops[n] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
		ops[n].data.send_message.send_message = first->bytes;
		/* With headers, core would wait for a write that never comes.
		 */
		if (first->next && call->stream.has_begun)
			ops[n].flags = GRPC_WRITE_BUFFER_HINT;
		n++;
	}
	if (call->stream.ended && (!first || !first->next)) {
		call->stream.status_sent = true;
		call_status_op(call, &ops[n++], &call->err);
		call_log(call, call->err.code);
	}
	call->stream.has_begun = true;
	call->stream.sending = true;
	call->sent = (struct tag){on_sent, call};
	call_ref(call);
	if (grpc_call_start_batch(call->grpc, ops, n, &call->sent, NULL))
		on_sent(call, false);
}

static void receive(struct call *call);

static void on_sent(void *arg, bool ok)
{
	struct call *call = arg;
	const struct call_stream *handler = call->method->row->stream;

	call->stream.sending = false;
	if (call->stream.out)
		pop(call);
	if (!ok || call->stream.status_sent) {
		finish(call);
	} else if (!call->stream.finished) {
		send_next(call);
		if (!call->stream.out && !call->stream.ended &&
		    handler->drained)
			handler->drained(call);
		if (!call->stream.out)
			receive(call);
	}
	/* Left over if it was cancelled meanwhile. */
	while (call->stream.finished && call->stream.out)
		pop(call);
	call_unref(call);
}

void call_send(struct call *call, const ProtobufCMessage *message)
{
	struct outgoing *out;

	if (call->stream.ended)
		return;
	out = mem_zalloc(1, sizeof(*out));
	out->bytes = call_encode(message);
	*call->stream.out_end = out;
	call->stream.out_end = &out->next;
	call->stream.n_out++;
	send_next(call);
}

void call_end(struct call *call, struct err *err)
{
	if (call->stream.ended)
		return;
	call->stream.ended = true;
	if (err)
		err_move(&call->err, err);
	send_next(call);
}

void stream_end_all(struct rpc *rpc)
{
	struct call *next;

	for (struct call *call = rpc->streams; call; call = next) {
		CLEANUP(err_clear) struct err err = ERR_INIT;

		next = call->stream.next;
		err_set(&err, GRPC_STATUS_UNAVAILABLE, RPC_DRAINING_MESSAGE);
		call_end(call, &err);
	}
}

/* --- receiving --- */

static void take_request(struct call *call, grpc_byte_buffer *bytes)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	void *request = call_decode(call, a, bytes, &err);

	if (request)
		call->method->row->stream->message(call, request);
	else
		call_end(call, &err);
}

static void take_half_close(struct call *call)
{
	const struct call_stream *handler = call->method->row->stream;

	call->stream.half_closed = true;
	if (handler->half_closed)
		handler->half_closed(call);
	else
		call_end(call, NULL);
}

static void on_received(void *arg, bool ok)
{
	struct call *call = arg;
	grpc_byte_buffer *bytes = call->stream.message;

	call->stream.reading = false;
	call->stream.message = NULL;
	if (!call->stream.ended) {
		if (ok && bytes)
			take_request(call, bytes);
		else if (ok &&
			 !grpc_call_failed_before_recv_message(call->grpc))
			take_half_close(call);
		else /* that it is cancelled is heard of separately */
			call->stream.half_closed = true;
		if (!call->stream.out)
			receive(call);
	}
	if (bytes)
		grpc_byte_buffer_destroy(bytes);
	call_unref(call);
}

static void receive(struct call *call)
{
	grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};

	if (call->stream.reading || call->stream.half_closed ||
	    call->stream.ended)
		return;
	op.data.recv_message.recv_message = &call->stream.message;
	call->stream.received = (struct tag){on_received, call};
	call->stream.reading = true;
	call_ref(call);
	if (grpc_call_start_batch(call->grpc, &op, 1, &call->stream.received,
				  NULL))
		on_received(call, false);
}

/* Server streaming: core has the request already. */
static void serve_one_request(struct call *call)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	call->stream.half_closed = true;
	if (call->payload) {
		take_request(call, call->payload);
		return;
	}
	err_set(&err, GRPC_STATUS_INTERNAL, "the request has no message");
	call_end(call, &err);
}

void stream_serve(struct call *call)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const struct call_stream *handler = call->method->row->stream;
	struct rpc *rpc = call->server->rpc;

	call->stream.out_end = &call->stream.out;
	call->stream.next = rpc->streams;
	call->stream.link = &rpc->streams;
	if (rpc->streams)
		rpc->streams->stream.link = &call->stream.next;
	rpc->streams = call;
	call_ref(call); /* until finish() */
	call_ref(call); /* until we return */
	call_watch_close(call);
	if (handler->open(call, &err) == -1) {
		call_end(call, &err);
	} else if (handler->one_request) {
		serve_one_request(call);
	} else {
		receive(call);
	}
	call_unref(call);
}

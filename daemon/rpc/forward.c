/*
 * Forwarding: messages pass through undecoded, in both directions at once, any
 * number of them, with metadata, deadline, cancellation and status. At most two
 * messages are held in each direction; flow control does the rest.
 *
 *	client <-- down --> us <-- up --> controller
 */

#include "daemon/rpc/server.h"

#include <stdlib.h>

#include <grpc/byte_buffer.h>
#include <grpc/slice.h>

#include "daemon/log.h"
#include "daemon/rpc/inflate.h"
#include "daemon/rpc/metadata.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define LOG_COMPONENT "rpc"

/* How often a call may be forwarded. */
#define MAX_HOPS 3

/* Messages on their way from one side to the other. */
struct flow {
	grpc_byte_buffer *in;  /* received, waits */
	grpc_byte_buffer *out; /* being sent, or next */
	grpc_byte_buffer *slot;
	struct tag received, sent;
	bool reading, ended, sending;
	bool broken; /* it ended, but not where its sender meant it to */
};

struct forward {
	LIST_ENTRY(forward) siblings; /* in rpc->forwards */
	struct call *down;
	grpc_call *up;
	struct channel *channel;
	int refs; /* one for each batch under way, and one while we look */

	bool is_unary; /* and everything but headers is received at once */
	struct flow requests;
	bool begun;  /* headers have been sent up */
	bool closed; /* so has the end of the requests */
	struct metadata md;

	struct flow replies;
	struct tag headers_received, status_received;
	grpc_metadata_array headers, trailers;
	bool has_headers, headers_known, headers_sent;
	bool status_known, status_sent;
	grpc_status_code status;
	grpc_slice message;
	struct err err; /* why we ended the call, if we did */
};

static void step_requests(struct forward *f);
static void step_replies(struct forward *f);

static void unref(struct forward *f)
{
	struct channels *channels = f->down->server->rpc->channels;
	grpc_byte_buffer *left[] = {f->requests.in, f->requests.out,
				    f->replies.in, f->replies.out};

	if (--f->refs)
		return;
	LIST_REMOVE(f, siblings);
	for (size_t i = 0; i < sizeof(left) / sizeof(*left); i++)
		if (left[i])
			grpc_byte_buffer_destroy(left[i]);
	grpc_call_unref(f->up);
	channel_put(channels, f->channel);
	grpc_metadata_array_destroy(&f->headers);
	grpc_metadata_array_destroy(&f->trailers);
	grpc_slice_unref(f->message);
	metadata_clear(&f->md);
	err_clear(&f->err);
	f->down->forward = NULL;
	call_unref(f->down);
	free(f);
}

/* Starts a batch whose completion drops the reference that is taken here. */
static void start(struct forward *f, grpc_call *call, const grpc_op *ops,
		  size_t n, struct tag *tag)
{
	f->refs++;
	if (grpc_call_start_batch(call, ops, n, tag, NULL))
		tag->done(tag->arg, false);
}

/* Ends the call; the client gets err, which is taken, for the controller's
 * status. */
static void fail(struct forward *f, struct err *err)
{
	if (!f->err.code)
		err_move(&f->err, err);
	grpc_call_cancel(f->up, NULL);
}

/* --- receiving --- */

/* What is wrong with a reply is no fault of the client's. */
static int blame_controller(const struct forward *f, struct err *err)
{
	if (err->code == GRPC_STATUS_INVALID_ARGUMENT)
		err->code = GRPC_STATUS_INTERNAL;
	return err_wrap(err, "controller \"%s\"", f->down->route.controller);
}

/*
 * A message leaves uncompressed: what the headers say of compression, which
 * core keeps to itself, is between two neighbours.
 */
static int unpack(struct forward *f, struct flow *flow, struct err *err)
{
	bool is_reply = flow == &f->replies;
	size_t max = is_reply ? RPC_MAX_REPLY : RPC_MAX_MESSAGE;
	grpc_slice slice;

	if (!inflate_is_needed(flow->slot))
		return 0;
	if (inflate_bytes(flow->slot, max, &slice, err) == -1)
		return is_reply ? blame_controller(f, err) : -1;
	grpc_byte_buffer_destroy(flow->slot);
	flow->slot = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return 0;
}

static void take_received(struct forward *f, struct flow *flow, bool ok)
{
	grpc_call *call = flow == &f->requests ? f->down->grpc : f->up;
	CLEANUP(err_clear) struct err err = ERR_INIT;

	flow->reading = false;
	if (ok && flow->slot && unpack(f, flow, &err) == 0) {
		flow->in = STEAL(flow->slot);
		return;
	}
	flow->ended = true;
	flow->broken =
		!ok || flow->slot || grpc_call_failed_before_recv_message(call);
	if (flow->slot)
		grpc_byte_buffer_destroy(STEAL(flow->slot));
	if (err.code)
		fail(f, &err);
}

/* Asks for the next message; true if that is settled already. */
static bool receive(struct forward *f, struct flow *flow, grpc_call *call)
{
	grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
	bool ok;

	op.data.recv_message.recv_message = &flow->slot;
	flow->reading = true;
	f->refs++;
	if (!loop_try_batch(f->down->server->rpc->loop, call, &op, 1,
			    &flow->received, &ok))
		return false;
	f->refs--;
	take_received(f, flow, ok);
	return true;
}

/* Has a message ready to be sent, if there is one, and the next one behind. */
static void fill(struct forward *f, struct flow *flow, grpc_call *call)
{
	bool again = true;

	while (again) {
		again = false;
		if (!flow->sending && !flow->out && flow->in) {
			flow->out = flow->in;
			flow->in = NULL;
			again = true;
		}
		if (!flow->reading && !flow->ended && !flow->in)
			again |= receive(f, flow, call);
	}
}

static void forget_sent(struct flow *flow)
{
	flow->sending = false;
	if (flow->out)
		grpc_byte_buffer_destroy(flow->out);
	flow->out = NULL;
}

/* --- from the client --- */

static void on_request(void *arg, bool ok)
{
	struct forward *f = arg;

	take_received(f, &f->requests, ok);
	step_requests(f);
	unref(f);
}

static void on_request_sent(void *arg, bool ok)
{
	struct forward *f = arg;

	(void)ok; /* if not, the status says why */
	forget_sent(&f->requests);
	step_requests(f);
	unref(f);
}

/* The controller has done what it was asked to, so what cannot be passed on is
 * left out. */
static void leave_out_illegal(struct forward *f, grpc_metadata_array *md)
{
	if (metadata_keep_legal(md))
		log_warn("controller \"%s\" sent metadata that is not allowed",
			 f->down->route.controller);
}

/*
 * The status when nothing was heard from the controller: core's own words do
 * not say whom it could not reach. Asked when headers and status come, in any
 * order: the loop may get completions of two threads the other way round.
 */
static void explain_status(struct forward *f)
{
	const struct rpc_route *route = &f->down->route;
	CLEANUP(cleanup_free) char *words = NULL;
	CLEANUP(cleanup_free) char *text = NULL;

	if (!f->status_known || !f->headers_known || f->has_headers ||
	    f->status != GRPC_STATUS_UNAVAILABLE)
		return;
	channel_failed(f->down->server->rpc->channels, f->channel);
	words = grpc_slice_to_c_string(f->message);
	text = mem_printf("controller \"%s\" at \"%s\" does not answer%s%s: %s",
			  route->controller, route->address,
			  route->note ? ", and " : "",
			  route->note ? route->note : "", words);
	grpc_slice_unref(f->message);
	f->message = grpc_slice_from_copied_string(text);
}

static void on_headers(void *arg, bool ok)
{
	struct forward *f = arg;

	leave_out_illegal(f, &f->headers);
	f->headers_known = true;
	f->has_headers = ok;
	if (!ok)
		f->replies.ended = true;
	explain_status(f);
	step_replies(f);
	unref(f);
}

static void on_status(void *arg, bool ok)
{
	struct forward *f = arg;

	(void)ok; /* it always is */
	leave_out_illegal(f, &f->trailers);
	f->status_known = true;
	explain_status(f);
	step_replies(f);
	unref(f);
}

static grpc_op op_send_headers(const struct forward *f)
{
	grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA};

	op.data.send_initial_metadata.count = f->md.n;
	op.data.send_initial_metadata.metadata = f->md.entries;
	return op;
}

static grpc_op op_receive_status(struct forward *f)
{
	grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};

	op.data.recv_status_on_client.trailing_metadata = &f->trailers;
	op.data.recv_status_on_client.status = &f->status;
	op.data.recv_status_on_client.status_details = &f->message;
	return op;
}

static void ask_for_headers(struct forward *f)
{
	grpc_op op = {.op = GRPC_OP_RECV_INITIAL_METADATA};

	op.data.recv_initial_metadata.recv_initial_metadata = &f->headers;
	start(f, f->up, &op, 1, &f->headers_received);
}

static void ask_for_status(struct forward *f)
{
	grpc_op op = op_receive_status(f);

	start(f, f->up, &op, 1, &f->status_received);
}

static void step_requests(struct forward *f)
{
	struct flow *flow = &f->requests;
	bool first = !f->begun;
	grpc_op ops[3];
	size_t n = 0;

	if (flow->sending || f->status_sent)
		return;
	fill(f, flow, f->down->grpc);
	if (first) {
		ops[n++] = op_send_headers(f);
		f->begun = true;
	}
	if (flow->out) {
		ops[n] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
		ops[n++].data.send_message.send_message = flow->out;
	}
	/* A controller must not take half of a stream for the whole: what broke
	 * off will be cancelled. */
	if (flow->ended && !flow->broken && !flow->in && !f->closed) {
		ops[n++] = (grpc_op){.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
		f->closed = true;
	}
	if (!n)
		return;
	flow->sending = true;
	start(f, f->up, ops, n, &flow->sent);
	if (first) {
		ask_for_headers(f);
		ask_for_status(f);
	}
}

/* --- from the controller --- */

static void on_reply(void *arg, bool ok)
{
	struct forward *f = arg;

	take_received(f, &f->replies, ok);
	step_replies(f);
	unref(f);
}

static void on_reply_sent(void *arg, bool ok)
{
	struct forward *f = arg;

	forget_sent(&f->replies);
	if (!ok)
		grpc_call_cancel(f->up, NULL);
	step_replies(f);
	unref(f);
}

/* Fills in the op that ends the call. */
static void end_replies(struct forward *f, grpc_op *op)
{
	f->status_sent = true;
	if (f->err.code) {
		call_status_op(f->down, op, &f->err);
		call_log(f->down, f->err.code);
		return;
	}
	*op = (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
	op->data.send_status_from_server.status = f->status;
	op->data.send_status_from_server.status_details = &f->message;
	op->data.send_status_from_server.trailing_metadata =
		f->trailers.metadata;
	op->data.send_status_from_server.trailing_metadata_count =
		f->trailers.count;
	call_log(f->down, f->status);
}

static void step_replies(struct forward *f)
{
	struct flow *flow = &f->replies;
	bool last;
	grpc_op ops[3];
	size_t n = 0;

	if (flow->sending || f->status_sent || !f->headers_known ||
	    (f->is_unary && !f->status_known))
		return;
	fill(f, flow, f->up);
	last = flow->ended && !flow->in;
	/* The status is at hand, and then all of it leaves in one write. */
	if (last && !f->status_known)
		return;
	if (!flow->out && !last && f->headers_sent)
		return;
	if (!f->headers_sent) {
		ops[n] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
		ops[n].data.send_initial_metadata.count = f->headers.count;
		ops[n++].data.send_initial_metadata.metadata =
			f->headers.metadata;
		f->headers_sent = true;
	}
	if (flow->out) {
		ops[n] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
		ops[n++].data.send_message.send_message = flow->out;
	}
	if (last)
		end_replies(f, &ops[n++]);
	flow->sending = true;
	start(f, f->down->grpc, ops, n, &flow->sent);
}

/*
 * --- one request and one reply, in as few batches as there can be ---
 *
 * A controller that sends a second reply makes the call wait until its
 * deadline, as it does any client of core's.
 */

static void on_answer(void *arg, bool ok)
{
	struct forward *f = arg;

	forget_sent(&f->requests);
	take_received(f, &f->replies, true);
	f->replies.ended = true;
	on_status(f, ok);
}

static void ask_once(struct forward *f)
{
	grpc_op ops[] = {
		op_send_headers(f),
		{.op = GRPC_OP_SEND_MESSAGE},
		{.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
		{.op = GRPC_OP_RECV_MESSAGE},
		op_receive_status(f),
	};

	f->is_unary = true;
	f->requests.out = STEAL(f->requests.in);
	f->requests.sending = true;
	f->replies.reading = true;
	ops[1].data.send_message.send_message = f->requests.out;
	ops[3].data.recv_message.recv_message = &f->replies.slot;
	f->status_received.done = on_answer;
	start(f, f->up, ops, sizeof(ops) / sizeof(*ops), &f->status_received);
	ask_for_headers(f);
}

void forward_cancelled(struct call *call)
{
	grpc_call_cancel(call->forward->up, NULL);
}

void forward_end_streams(struct rpc *rpc)
{
	struct forward *f;

	LIST_FOREACH (f, &rpc->forwards, siblings) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		const struct method *m = f->down->method;

		if (!m || !m->row->stream || !m->row->stream->one_request)
			continue;
		err_set(&err, GRPC_STATUS_UNAVAILABLE, RPC_DRAINING_MESSAGE);
		fail(f, &err);
	}
}

/* --- beginning --- */

static void set_tags(struct forward *f)
{
	f->requests.received = (struct tag){on_request, f};
	f->requests.sent = (struct tag){on_request_sent, f};
	f->replies.received = (struct tag){on_reply, f};
	f->replies.sent = (struct tag){on_reply_sent, f};
	f->headers_received = (struct tag){on_headers, f};
	f->status_received = (struct tag){on_status, f};
}

static void begin(struct call *call, struct channel *channel,
		  unsigned long hops)
{
	struct forward *f = mem_zalloc(1, sizeof(*f));
	grpc_slice path =
		call->method ? call->method->path : call->details.method;

	f->down = call;
	f->channel = channel;
	f->refs = 1;
	f->message = grpc_empty_slice();
	grpc_metadata_array_init(&f->headers);
	grpc_metadata_array_init(&f->trailers);
	set_tags(f);
	metadata_copy(&f->md, &call->md, hops);
	f->up = grpc_channel_create_call(channel_grpc(channel), NULL, 0,
					 loop_queue(call->server->rpc->loop),
					 path, NULL, call->deadline, NULL);
	call->forward = f;
	LIST_INSERT_HEAD(&call->server->rpc->forwards, f, siblings);
	call_ref(call);
	call_watch_close(call);
	/* A registered method comes with its first message. */
	f->requests.slot = STEAL(call->payload);
	if (f->requests.slot)
		take_received(f, &f->requests, true);
	if (f->requests.in && call->method->row->unary)
		ask_once(f);
	else
		step_requests(f);
	unref(f);
}

void forward_call(struct call *call)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const struct rpc_route *route = &call->route;
	unsigned long hops = metadata_hops(&call->md);
	struct channel *channel = NULL;

	if (hops >= MAX_HOPS)
		err_set(&err, GRPC_STATUS_UNAVAILABLE,
			"the call for controller \"%s\" was forwarded %lu times: registries point at each other",
			route->controller, hops);
	else if (metadata_check(&call->md, &err) == 0)
		channel = channels_get(call->server->rpc->channels,
				       route->controller, route->address,
				       route->peer_name, &err);
	if (channel)
		begin(call, channel, hops + 1);
	else
		call_refuse(call, &err);
}

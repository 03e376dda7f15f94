#ifndef OIM_RPC_SERVER_H
#define OIM_RPC_SERVER_H

/*
 * The insides of rpc, for its own files only: what a call is while it is being
 * served, and which file does which part of its life.
 *
 *	rpc.c      starts, and frees
 *	server.c   listens, accepts, finds the way of a call
 *	drain.c    stops
 *	call.c     serves unary calls, and what all calls share
 *	status.c   errors as clients get them
 *	stream.c   serves streaming calls
 *	forward.c  forwards
 *
 * Unless said otherwise everything here happens on the loop.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <grpc/grpc.h>

#include "daemon/rpc/channels.h"
#include "daemon/rpc/listen.h"
#include "daemon/rpc/loop.h"
#include "daemon/rpc/peer.h"
#include "daemon/rpc/rpc.h"
#include "daemon/rpc/workers.h"

/* Bytes of a message that is received; what gRPC itself has as default. */
#define RPC_MAX_MESSAGE (4 << 20)

/* Bytes of a compressed reply of a controller when it is unpacked; others are
 * passed on however large they are. */
#define RPC_MAX_REPLY (64 << 20)

/*
 * Bytes of all that is being received. Core looks at the size of a message only
 * when it is complete, so that without this a few calls that announce gigabytes
 * would fill memory. When it is used up core closes idle connections, then ends
 * calls.
 */
#define RPC_MAX_MEMORY (128 << 20)

#define RPC_DRAINING_MESSAGE "the daemon is shutting down"

struct rpc {
	struct rpc_config config;
	struct loop *loop;
	struct workers *workers;
	struct listeners *listeners;
	struct channels *channels;
	grpc_resource_quota *memory; /* of connections to both sides */
	struct rpc_server *servers;

	struct call *idle; /* call objects to be used again */
	int n_idle;
	struct call *streams; /* being served, linked by stream.next */
	LIST_HEAD(, forward) forwards;
	bool draining;   /* new calls are refused */
	bool is_running; /* the loop is; for main only */

	pthread_mutex_t mu; /* for what follows */
	pthread_cond_t changed;
	int live;          /* calls accepted and not yet freed */
	unsigned accepted; /* all that ever were */
	int shutting;      /* servers whose shutdown is not complete */
};

struct rpc_server {
	struct rpc *rpc;
	grpc_server *grpc;
	rpc_router_fn *router;
	void *router_arg;
	struct method *methods;
	struct rpc_server *next;
	struct tag shut;
};

/* A row of a service as it is registered with core. */
struct method {
	const struct rpc_method *row;
	const char *service;
	grpc_slice path;
	void *arg;
	const ProtobufCMessageDescriptor *request, *reply;
	void *registered;
	bool comes_with_request; /* core reads the first message */
	struct method *next;
};

/* One message that a stream has to send. */
struct outgoing {
	grpc_byte_buffer *bytes;
	struct outgoing *next;
};

struct call {
	struct rpc_server *server;
	const struct method *method; /* NULL: it came to no row */
	grpc_call *grpc;
	grpc_call_details details; /* of a call that came to no row */
	grpc_metadata_array md;
	gpr_timespec deadline;
	grpc_byte_buffer *payload; /* the first request, or NULL */
	struct call *next_idle;

	struct arena *arena;
	struct caller caller;
	char *peer;
	const struct tls_identity *identity;
	struct rpc_route route;
	int64_t started;

	/* One for each batch under way, the job, and the handler that is late.
	 */
	int refs;
	struct tag accepted;
	struct tag closed;
	struct tag sent;
	struct task task;
	struct job job;
	bool watches_close; /* RECV_CLOSE_ON_SERVER has been started */
	int was_cancelled;  /* its result */
	atomic_bool cancelled;

	const void *request;
	void *reply;
	void *encoded;
	size_t encoded_size;
	struct err err;

	/* What is being sent. */
	grpc_byte_buffer *sending;
	grpc_slice message;
	grpc_metadata details_md;

	struct forward *forward; /* while it is being forwarded */

	struct {
		void *state;
		struct tag received;
		grpc_byte_buffer *message;
		bool reading, half_closed, has_begun, sending;
		bool ended, status_sent, finished;
		struct outgoing *out, **out_end;
		size_t n_out;
		struct call *next, **link;
	} stream;
};

/* --- server.c --- */

/* Accepts calls; the loop does not run yet. */
void server_start(struct rpc_server *server);
void server_free(struct rpc_server *server);

/* --- drain.c --- */

/* Ends all calls and connections of all servers. */
void server_shut_all(struct rpc *rpc);

/* --- call.c --- */

/* A new or used call object, with nothing in it. */
struct call *call_new(struct rpc_server *server, const struct method *method);
void call_ref(struct call *call);
/* The last one frees it. */
void call_unref(struct call *call);

/* Learns of the end of the call: needed before anything that takes time. */
void call_watch_close(struct call *call);

/* Serves a unary call of call->method. */
void call_serve(struct call *call);

/* Ends a call that has not sent anything with err, which is taken. */
void call_refuse(struct call *call, struct err *err);

/* Decodes a request of call->method into the arena; NULL and err. */
void *call_decode(struct call *call, struct arena *a, grpc_byte_buffer *bytes,
		  struct err *err);
grpc_byte_buffer *call_encode(const ProtobufCMessage *message);

/* Says at level debug how the call ended. */
void call_log(const struct call *call, int code);

/* --- status.c --- */

/* Fills in the op that ends a call with err; once for a call, which keeps what
 * it points to. */
void call_status_op(struct call *call, grpc_op *op, const struct err *err);

/* --- stream.c --- */

void stream_serve(struct call *call);

/* The client has gone. */
void stream_cancelled(struct call *call);

/* Ends all streams that are being served. */
void stream_end_all(struct rpc *rpc);

/* --- forward.c --- */

/* Ends the forwarded calls that are known to last until somebody does. */
void forward_end_streams(struct rpc *rpc);

/* Forwards the call as call->route says. */
void forward_call(struct call *call);

/* The client has gone. */
void forward_cancelled(struct call *call);

#endif

#ifndef OIM_CLIENT_H
#define OIM_CLIENT_H

/*
 * gRPC calls as functions that wait: for oimctl, for controllers that register
 * themselves, for tests.
 *
 * A client is one connection, made at the first call and made again when it
 * breaks. Any number of threads may use it at once. gRPC core is started with
 * the first client and stopped with the last.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "proto/lib/arena.h"
#include "proto/lib/err.h"

struct tls;
struct client;
struct client_stream;

struct client_config {
	const char *address; /* as address_parse_server() takes it */
	struct tls *tls; /* for TCP; NULL: plaintext. Not for Unix sockets */
	/* Who the server must be, one of its identities (tls.h). NULL: whoever
	 * the host of the address is, a name or an IP, by the usual rules;
	 * revocation is not looked at then. */
	const char *tls_name;
	int64_t backoff; /* most between attempts to connect, ns; 0: 1 s */
	int64_t connect; /* most that an attempt takes, ns; 0: 20 s */
	/* Ping a server that is silent while calls wait for it, and give the
	 * connection up without an answer; ns; 0: never. */
	int64_t keepalive;
	int64_t keepalive_timeout; /* 0: 20 s */
	size_t reply_max;          /* bytes of a message; 0: 64 MiB */
};

/* INVALID_ARGUMENT if the address is bad. Does not connect yet. */
struct client *client_new(const struct client_config *config, struct err *err);

/* No call may be under way. NULL is fine. */
void client_free(struct client *c);
static inline void cleanup_client(struct client **c)
{
	client_free(*c);
}

/* One entry of metadata. Keys that end in "-bin" carry any bytes. */
struct client_md {
	const char *key;
	const char *value;
	size_t size; /* of value */
};

struct client_call {
	const char *method; /* "/package.Service/Method" */
	const ProtobufCMessageDescriptor *reply_type;
	const struct client_md *md;
	size_t n_md;
	int64_t deadline; /* of CLOCK_MONOTONIC, ns; 0: none */
	/* If not NULL: where client_unary() says of a call that failed whether
	 * it never was on a connection, so that the server has not seen it. */
	bool *unsent;
};

/*
 * Calls and waits. The reply is unpacked into the arena. On failure err has the
 * server's code and message, its details in err->status and what they advise
 * (google.rpc.Help) in err->hint. When the connection fails, the message says
 * why as precisely as can be found out: no such socket, no permission, refused,
 * unknown host, and for TLS expired, unknown authority, wrong name with both
 * names, client certificate refused. Text in the reply that is not UTF-8 or
 * holds a NUL is INTERNAL.
 */
void *client_unary(struct client *c, const struct client_call *call,
		   const ProtobufCMessage *request, struct arena *a,
		   struct err *err);

/*
 * A call of any shape. Sending and receiving may be done by two threads; each
 * waits. client_stream_receive() returns 1 with a message, 0 when the server
 * has ended the call with OK, -1 with its error. client_stream_send() returns
 * -1 without setting err if the call has ended: receive then says why.
 */
struct client_stream *client_stream_open(struct client *c,
					 const struct client_call *call,
					 struct err *err);
int client_stream_send(struct client_stream *s,
		       const ProtobufCMessage *request);
int client_stream_close_send(struct client_stream *s);
int client_stream_receive(struct client_stream *s, struct arena *a,
			  void **reply, struct err *err);

/* Cancels the call: who sends or receives is told so. Any thread. */
void client_stream_cancel(struct client_stream *s);

/* Cancels the call if it has not ended, and frees it. NULL is fine. */
void client_stream_free(struct client_stream *s);

/*
 * Cancels all calls under way: they end with CANCELLED. Later calls are not
 * touched. For a thread that waits for signals.
 */
void client_cancel(struct client *c);

/*
 * gRPC core logs to stderr whatever goes wrong. This stops it, for programs
 * that say it themselves; GRPC_VERBOSITY or GRPC_TRACE in the environment keep
 * it. To be called before the first client is made.
 */
void client_silence_core(void);

#endif

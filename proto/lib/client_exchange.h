#ifndef OIM_CLIENT_EXCHANGE_H
#define OIM_CLIENT_EXCHANGE_H

/*
 * What calls with one answer (client.c) and streams (client_stream.c) have in
 * common. Only client*.c look in here.
 */

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include <grpc/grpc.h>

#include "proto/lib/address.h"
#include "proto/lib/client.h"
#include "proto/lib/err.h"
#include "proto/lib/tls.h"

/* A connection with one set of certificates. */
struct channel {
	grpc_channel *core;
	unsigned generation; /* of the certificates */
	unsigned refs;       /* under client->lock */
};

struct client {
	struct address address;
	char *name; /* of the server, as it is printed */
	struct tls *tls;
	char *tls_name;              /* NULL: the host of the address */
	struct client_config config; /* its numbers; the rest is copied above */

	pthread_mutex_t lock; /* guards what follows */
	struct channel *channel;
	LIST_HEAD(, exchange) calls;
	unsigned cancels; /* how often client_cancel() was called */
};

/* A reference to the channel for new calls. */
struct channel *client_take_channel(struct client *c);
void client_unref_channel(struct client *c, struct channel *channel);
/* New calls make a new one. */
void client_drop_channel(struct client *c, struct channel *channel);

/* How a call ended. */
struct outcome {
	grpc_status_code code;
	grpc_slice message;
	grpc_metadata_array trailers;
	const char *error; /* core's own story of it; NULL if it went well */
};

/*
 * A call. It has a completion queue of its own, of the kind in which a thread
 * waits for one tag, so that one may send while another receives.
 */
struct exchange {
	LIST_ENTRY(exchange) siblings; /* under client->lock */
	struct client *client;
	struct channel *channel;
	const ProtobufCMessageDescriptor *reply_type;
	char *method; /* for messages */
	grpc_completion_queue *queue;
	grpc_call *core;
	grpc_metadata *md;
	size_t n_md;
	grpc_metadata_array headers; /* of the reply */
	struct outcome outcome;
	bool unsent; /* it failed and never was on a connection */
	bool stale;  /* see exchange_result() */
};

/*
 * Makes a call, of which nothing is sent yet, and lets client_cancel() know of
 * it. INVALID_ARGUMENT if the metadata is such that it cannot be sent.
 */
int exchange_init(struct exchange *x, struct client *c,
		  const struct client_call *what, struct err *err);
/* No batch may be outstanding. */
void exchange_clear(struct exchange *x);

/* What every call sends first, receives first, and ends with. */
grpc_op exchange_op_send_headers(const struct exchange *x);
grpc_op exchange_op_receive_headers(struct exchange *x);
grpc_op exchange_op_receive_status(struct exchange *x);

/* Starts a batch; waits until it is done and returns whether it succeeded. */
void exchange_start(struct exchange *x, const grpc_op *ops, size_t n,
		    void *tag);
bool exchange_wait(struct exchange *x, void *tag);

grpc_byte_buffer *exchange_pack(const ProtobufCMessage *message);
/* Into the arena; NULL is INTERNAL, whether it is bad or not there at all. */
void *exchange_unpack(const struct exchange *x, grpc_byte_buffer *buffer,
		      struct arena *a, struct err *err);

/*
 * Once the status is received: 0 if it is OK, else -1 with all that can be
 * found out. The call is stale if core had no connection to use, but there is
 * nothing that would hinder a new one: it was never sent, and a new call on a
 * new channel will do better.
 */
int exchange_result(struct exchange *x, struct err *err);

#endif

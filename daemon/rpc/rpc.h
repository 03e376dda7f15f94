#ifndef OIM_RPC_H
#define OIM_RPC_H

/*
 * The daemon's side of gRPC: accepts calls, decodes, dispatches to handlers,
 * encodes; forwards what is meant for another controller. Knows no service and
 * no rule.
 *
 * One thread, the loop, does everything that does not block; a bounded pool of
 * workers runs the handlers that may. The life of a struct rpc: rpc_new(),
 * rpc_server_new() and rpc_listen() for each socket, rpc_start(), rpc_drain(),
 * rpc_free(), all by one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "daemon/audit.h"
#include "daemon/rpc/call.h"
#include "proto/lib/err.h"
#include "proto/lib/tls.h"

struct rpc;
struct rpc_server;

/* --- services --- */

/*
 * One method of a service. Exactly one of unary and stream is set. The types
 * are the contract's unless request and reply say otherwise (then they agree
 * with it on the wire).
 */
struct rpc_method {
	const char *name;
	call_unary_fn *unary;
	const struct call_stream *stream;
	unsigned flags;
	const ProtobufCMessageDescriptor *request;
	const ProtobufCMessageDescriptor *reply;
};

/* The handler runs on the loop: it reads memory and embedded stores, and never
 * makes a system call that can block. */
#define RPC_INLINE 1u

/* It is answered while rpc_drain() waits for other calls. */
#define RPC_WHILE_DRAINING 2u

/* A service; methods of the contract without a row are UNIMPLEMENTED. */
struct rpc_service {
	const ProtobufCServiceDescriptor *contract;
	const struct rpc_method *methods; /* ends with name NULL */
	void *arg;                        /* call_arg() of the handlers */
};

/* --- routing --- */

enum rpc_verdict {
	RPC_SERVE = 1, /* here; UNIMPLEMENTED if there is no row for it */
	RPC_FORWARD,   /* to address */
	RPC_REFUSE,    /* with err */
};

/*
 * One call whose way is to be found. The controller comes from the metadata
 * "controllerid" or, for ids that are not ASCII, "controllerid-bin"; a call
 * that has several values of these, or one that is not UTF-8, is refused.
 */
struct rpc_route {
	/* The question; valid until done() has been called. */
	const char *service;    /* "oim.v0.Controller" */
	const char *method;     /* "MapVolume" */
	const char *controller; /* any text; NULL if there is none */
	const struct caller *caller;

	/* The answer; strings are freed with free(). */
	enum rpc_verdict verdict;
	char *address;   /* RPC_FORWARD: as it is registered */
	char *peer_name; /* who must be there, where TLS is used */
	char *note;      /* to be said if nobody answers there; or NULL */
	struct err err;

	/* Set by rpc: to be called once if the router answers later, by any
	 * thread, even before the router has returned. */
	void (*done)(struct rpc_route *route);
};

/*
 * Decides whether a call is served, forwarded or refused; asked once for every
 * call, on the loop, so it must not block. True: it has answered; false: it
 * calls route->done(route) when it has.
 */
typedef bool rpc_router_fn(void *arg, struct rpc_route *route);

/* --- the daemon --- */

struct rpc_config {
	unsigned workers; /* threads at most */
	unsigned queue;   /* calls that wait for a worker, at most */
	struct tls *tls;  /* for TCP, listening and dialling; may be NULL */
	bool plaintext;   /* without tls: TCP is allowed on loopback */
};

struct rpc *rpc_new(const struct rpc_config *config);

/*
 * A set of services on sockets of their own. Without a router nothing is
 * forwarded and every call is served. Everything is borrowed until rpc_free().
 */
struct rpc_server *rpc_server_new(struct rpc *rpc,
				  const struct rpc_service *const services[],
				  rpc_router_fn *router, void *router_arg);

/*
 * Listens on an address (address_parse_listen). A Unix socket gets mode 0660
 * and the group "oim" if there is one; a stale one is replaced, a live one is
 * refused. Calls are answered from rpc_start() on. *bound is the address as it
 * is printed, with the port that the kernel chose; the caller frees it.
 */
int rpc_listen(struct rpc_server *server, const char *address, char **bound,
	       struct err *err);

int rpc_start(struct rpc *rpc, struct err *err);

/*
 * Stops: new calls are UNAVAILABLE, streams of ours are ended, and forwarded
 * ones that would last as long as the client likes (of server streaming methods
 * of ours); other calls may finish for grace nanoseconds, then everything is
 * cancelled. Handlers that run on workers are waited for. Unix sockets are
 * removed at once, TCP ports are closed when the last call has ended.
 */
void rpc_drain(struct rpc *rpc, int64_t grace);

void rpc_free(struct rpc *rpc);

/* Runs fn(arg) on the loop. Any thread, from rpc_start() to rpc_drain(). */
void rpc_post(struct rpc *rpc, void (*fn)(void *arg), void *arg);

/*
 * Runs fn(arg) on a worker; false if the queue is full. Any thread, likewise.
 */
bool rpc_work(struct rpc *rpc, void (*fn)(void *arg), void *arg);

#endif

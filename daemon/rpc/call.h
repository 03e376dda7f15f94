#ifndef OIM_CALL_H
#define OIM_CALL_H

/*
 * A call as its handler sees it.
 *
 * A unary handler gets a decoded request and an initialized reply, fills the
 * reply and returns 0, or sets err and returns -1. Whatever it allocates for
 * the reply comes from call_arena() and dies with the call. It runs on a
 * worker, or on the loop if its method says RPC_INLINE. It may also return
 * CALL_LATER and let any thread call call_finish() when the reply, which stays
 * valid, is complete; that may be before the handler returns.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "daemon/audit.h"
#include "proto/lib/arena.h"
#include "proto/lib/err.h"

struct call;

#define CALL_LATER 1

typedef int call_unary_fn(struct call *call, const void *request, void *reply,
			  struct err *err);

/* The arg of the service. */
void *call_arg(const struct call *call);

/* One thread at a time uses it: the handler's, then that of call_finish(). */
struct arena *call_arena(struct call *call);

const struct caller *call_caller(const struct call *call);

/* Whom the call is for (rpc_route), NULL if its metadata does not say. */
const char *call_controller(const struct call *call);

/* The first value of a key of the call's metadata as text, or NULL. */
const char *call_metadata(struct call *call, const char *key);

/* Of CLOCK_MONOTONIC, in nanoseconds; INT64_MAX if there is none. */
int64_t call_deadline(const struct call *call);

/* Whether nobody waits for the reply any more. Any thread; for handlers on
 * workers (an inline one never sees it). */
bool call_is_cancelled(const struct call *call);

/*
 * Sends these bytes as the reply instead of the reply message: for replies that
 * are made of stored bytes. They are malloc'd; the call owns them.
 */
void call_reply_encoded(struct call *call, void *bytes, size_t size);

/* Ends a call whose handler returned CALL_LATER. Takes what err holds; an unset
 * err is success. Any thread, once. */
void call_finish(struct call *call, struct err *err);

/*
 * Runs fn(arg) on a worker; false if the queue is full. For inline handlers
 * that find that they would block, and return CALL_LATER.
 */
bool call_work(struct call *call, void (*fn)(void *arg), void *arg);

/* --- streams --- */

/*
 * A streaming method: events on the loop, which therefore must not block, and
 * which are all on one call the same thread's. The order is open, message and
 * drained any number of times, half_closed at most once, close once.
 */
struct call_stream {
	/* A new call. On -1 it ends with err, and only close follows. */
	int (*open)(struct call *call, struct err *err);

	/* A request came. The next one comes only when all that was sent is
	 * taken. */
	void (*message)(struct call *call, const void *request);

	/* No more requests will come. NULL: ends the call with OK. */
	void (*half_closed)(struct call *call);

	/* All that was sent has been taken by the client; may be NULL. */
	void (*drained)(struct call *call);

	/* The call is over: release what call_state() holds. May be NULL. */
	void (*close)(struct call *call);

	/* The client sends exactly one request (server streaming). */
	bool one_request;
};

/* Sends a message, which is encoded at once. Ignored after call_end(). */
void call_send(struct call *call, const ProtobufCMessage *message);

/* How many messages wait to be taken by the client. */
size_t call_waiting(const struct call *call);

/* Ends the call after what was sent. Takes what err holds; NULL or unset: OK.
 */
void call_end(struct call *call, struct err *err);

void call_set_state(struct call *call, void *state);
void *call_state(const struct call *call);

#endif

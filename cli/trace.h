#ifndef OIM_TRACE_H
#define OIM_TRACE_H

/*
 * --trace: what goes over the wire, on stderr, with secrets left out. Any
 * thread.
 */

#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "proto/lib/err.h"

struct ask;
struct task;

void trace_request(const struct task *t, const struct ask *what);
/* One more message of a stream, either way. */
void trace_message(char direction, const ProtobufCMessage *message);
/* How it ended: a reply, NULL and err, or NULL alone for a stream. ns: since
 * the request. */
void trace_reply(const ProtobufCMessage *reply, const struct err *err,
		 int64_t ns);

#endif

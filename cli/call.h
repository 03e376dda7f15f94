#ifndef OIM_CALL_H
#define OIM_CALL_H

/*
 * Any method of the contracts, with requests and replies as JSON.
 */

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "cli/task.h"
#include "proto/lib/arena.h"
#include "proto/lib/descriptors.h"
#include "proto/lib/err.h"

/* The names of all methods, NULL-terminated, in the arena. */
const char *const *call_methods(struct arena *a);

/*
 * Whether a request, as it stands on the command line, may have a secret in it:
 * it has, or nobody can tell.
 */
bool call_is_secret(const char *method, const char *input);

/* The requests of one call: one, but for methods that take a stream. */
struct call_input {
	ProtobufCMessage **messages;
	size_t n;
};

/* Calls a method that streams, and prints each reply as it comes. */
int call_stream(struct task *t, const struct descriptors_method *m,
		const char *name, const struct call_input *input,
		struct err *err);

/* The reply, with secrets only if --show-secrets says so. The caller puts it.
 */
struct json_object *call_json(const struct task *t,
			      const ProtobufCMessage *reply);

#endif

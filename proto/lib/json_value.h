#ifndef OIM_JSON_VALUE_H
#define OIM_JSON_VALUE_H

/*
 * Single values from JSON, and the errors that say where one is. For
 * json_read.c only.
 */

#include <stddef.h>

#include <json-c/json.h>
#include <protobuf-c/protobuf-c.h>

#include "proto/lib/arena.h"
#include "proto/lib/err.h"

/* A value that is read, and the way to it from the document. */
struct json_place {
	const struct json_place *up; /* NULL for the document */
	const char *name;            /* in an object, else NULL */
	size_t index;                /* in a list */
	struct json_object *value;
};

struct json_reader {
	struct arena *arena;
	struct err *err;
};

/* "value.path: expected a string", INVALID_ARGUMENT. Returns -1. */
int json_fail(const struct json_place *at, struct json_reader *r,
	      const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The text of a string; or NULL after an error that says what was expected. */
const char *json_read_text(const struct json_place *at, struct json_reader *r,
			   const char *what);

/* Reads a value of a field that is no message, or an element of it. */
int json_read_value(const struct json_place *at, struct json_reader *r,
		    const ProtobufCFieldDescriptor *field, void *to);

#endif

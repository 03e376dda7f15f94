#ifndef OIM_JSON_H
#define OIM_JSON_H

/*
 * Messages as JSON and back, by their descriptors and the proto3 JSON mapping
 * (protobuf.dev, "ProtoJSON format"): lowerCamelCase names, 64-bit integers as
 * strings, bytes as base64, enums by name, Timestamp, Duration, Any and the
 * wrappers in their own forms, maps as objects. This is the only codec between
 * the two: output, traces, logs and requests typed by people all use it. Any
 * thread; the locale's LC_NUMERIC stays "C", which it is unless set.
 */

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>
#include <protobuf-c/protobuf-c.h>

#include "proto/lib/arena.h"
#include "proto/lib/err.h"

#define JSON_SHOW_SECRETS 1u /* else secret fields that are set read "***" */
#define JSON_NO_DEFAULTS  2u /* leave out fields that have their default */

/*
 * Fields with their default value are there (lists as [], maps as {}), but not
 * messages and members of a oneof that are not set. Which fields are secret
 * says secret_fields (descriptors.h). In Any, types that this program does not
 * know read {"@type": ..., "value": base64}, and so does what is not of the
 * type it claims, if secrets are shown. The caller puts the object.
 */
struct json_object *json_from_message(const ProtobufCMessage *message,
				      unsigned flags);

/*
 * The message, in the arena. Accepts what the mapping demands of parsers: both
 * forms of names, numbers as strings and strings of numbers, null as default.
 * An unknown field, a value of the wrong type or out of range, text that is not
 * UTF-8 or holds a NUL: NULL and INVALID_ARGUMENT with the path to the place,
 * as in "value.path: expected a string".
 */
ProtobufCMessage *json_to_message(const ProtobufCMessageDescriptor *type,
				  struct json_object *object, struct arena *a,
				  struct err *err);

/*
 * Parses exactly one JSON document of size bytes (strict: no comments, no
 * trailing text, depth at most 64, no key twice); INVALID_ARGUMENT with line
 * and column. The caller puts the object. NULL means failure or the document
 * "null": look at err.
 */
struct json_object *json_parse(const char *text, size_t size, struct err *err);

/*
 * The text on one line, slashes not escaped, control characters and bytes that
 * are not UTF-8 escaped as \u00NN and \ufffd; pretty adds newlines and two
 * spaces of indentation. The caller frees it.
 */
char *json_text(struct json_object *object, bool pretty);

static inline void cleanup_json(struct json_object **object)
{
	json_object_put(*object);
}

#endif

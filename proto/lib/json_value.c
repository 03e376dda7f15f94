/* Single values from JSON, and the errors that say where one is. */

#include "proto/lib/json_value.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/json_number.h"
#include "proto/lib/json_type.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"

static char *path_of(const struct json_place *at)
{
	CLEANUP(cleanup_free) char *up = NULL;

	if (!at->up)
		return mem_strdup("");
	up = path_of(at->up);
	if (!at->name)
		return mem_printf("%s[%zu]", up, at->index);
	return mem_printf("%s%s%s", up, *up ? "." : "", at->name);
}

int json_fail(const struct json_place *at, struct json_reader *r,
	      const char *format, ...)
{
	CLEANUP(cleanup_free) char *path = path_of(at);
	CLEANUP(cleanup_free) char *why = NULL;
	CLEANUP(cleanup_free) char *whole = NULL;
	CLEANUP(cleanup_free) char *shown = NULL;
	va_list ap;

	va_start(ap, format);
	why = mem_vprintf(format, ap);
	va_end(ap);
	whole = mem_printf("%s%s%s", path, *path ? ": " : "", why);
	shown = utf8_printable(whole, strlen(whole));
	return err_set(r->err, GRPC_STATUS_INVALID_ARGUMENT, "%s", shown);
}

const char *json_read_text(const struct json_place *at, struct json_reader *r,
			   const char *what)
{
	const char *s = json_object_get_string(at->value);
	size_t size;

	if (!json_object_is_type(at->value, json_type_string)) {
		json_fail(at, r, "expected %s", what);
		return NULL;
	}
	size = (size_t)json_object_get_string_len(at->value);
	if (!utf8_is_valid(s, size)) {
		json_fail(at, r, "text is not UTF-8");
		return NULL;
	}
	if (memchr(s, '\0', size)) {
		json_fail(at, r, "text holds a NUL");
		return NULL;
	}
	return s;
}

/* The number, or the string of one, as text; or NULL after an error. */
static const char *number(const struct json_place *at, struct json_reader *r)
{
	const char *s = NULL;
	size_t size;

	switch (json_object_get_type(at->value)) {
	case json_type_int:
	case json_type_double:
	case json_type_string:
		s = json_object_get_string(at->value);
		break;
	default:
		break;
	}
	size = s ? json_number_size(s) : 0;
	if (!size || s[size]) {
		json_fail(at, r, "expected a number");
		return NULL;
	}
	return s;
}

static int read_whole(const struct json_place *at, struct json_reader *r,
		      bool is_signed, size_t size, void *to)
{
	uint64_t max = size == 4 ? UINT32_MAX : UINT64_MAX, magnitude;
	const char *s = number(at, r), *why;
	bool negative;

	if (!s)
		return -1;
	why = json_number_whole(s, &negative, &magnitude);
	if (is_signed)
		max = max / 2 + negative;
	else if (negative)
		max = 0;
	if (!why && magnitude > max)
		why = "out of range";
	if (why)
		return json_fail(at, r, "%s", why);
	if (negative)
		magnitude = -magnitude;
	if (size == 4)
		*(uint32_t *)to = (uint32_t)magnitude;
	else
		*(uint64_t *)to = magnitude;
	return 0;
}

static int read_double(const struct json_place *at, struct json_reader *r,
		       double *to)
{
	static const struct {
		const char *name;
		double value;
	} names[] = {
		{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
	const char *s = json_object_get_string(at->value);

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (json_object_is_type(at->value, json_type_string) &&
		    !strcmp(s, names[i].name)) {
			*to = names[i].value;
			return 0;
		}
	s = number(at, r);
	if (!s)
		return -1;
	*to = strtod(s, NULL);
	return isinf(*to) ? json_fail(at, r, "out of range") : 0;
}

static int read_float(const struct json_place *at, struct json_reader *r,
		      float *to)
{
	double d;

	if (read_double(at, r, &d) < 0)
		return -1;
	*to = (float)d;
	return isinf(*to) && !isinf(d) ? json_fail(at, r, "out of range") : 0;
}

static int read_enum(const struct json_place *at, struct json_reader *r,
		     const ProtobufCEnumDescriptor *type, int *to)
{
	const ProtobufCEnumValue *v;
	const char *s;

	if (json_object_is_type(at->value, json_type_int))
		return read_whole(at, r, true, sizeof(*to), to);
	s = json_read_text(at, r, "the name of a value");
	if (!s)
		return -1;
	v = protobuf_c_enum_descriptor_get_value_by_name(type, s);
	if (!v)
		return json_fail(at, r, "\"%s\" is no value of %s", s,
				 type->name);
	*to = v->value;
	return 0;
}

static int read_string(const struct json_place *at, struct json_reader *r,
		       char **to)
{
	const char *s = json_read_text(at, r, "a string");

	if (!s)
		return -1;
	*to = arena_strdup(r->arena, s);
	return 0;
}

/* Both alphabets are fine, and so is leaving out the padding. */
static bool decode_base64(const char *s, struct arena *a,
			  ProtobufCBinaryData *to)
{
	size_t size = strlen(s), used, i;
	unsigned char *block;

	used = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			 "0123456789+/-_");
	if (used % 4 == 1 || strspn(s + used, "=") < size - used ||
	    (used < size && (size % 4 || size - used > 2)))
		return false;
	block = arena_alloc(a, used + 4);
	for (i = 0; i < used; i++)
		block[i] = s[i] == '-' ? '+' : s[i] == '_' ? '/' : s[i];
	for (; i % 4; i++)
		block[i] = 'A';
	to->len = used * 3 / 4;
	to->data = arena_alloc(a, i);
	return EVP_DecodeBlock(to->data, block, (int)i) >= 0;
}

static int read_bytes(const struct json_place *at, struct json_reader *r,
		      ProtobufCBinaryData *to)
{
	const char *s = json_read_text(at, r, "a string of base64");

	if (!s)
		return -1;
	if (!decode_base64(s, r->arena, to))
		return json_fail(at, r, "expected a string of base64");
	return 0;
}

static int read_bool(const struct json_place *at, struct json_reader *r,
		     protobuf_c_boolean *to)
{
	if (!json_object_is_type(at->value, json_type_boolean))
		return json_fail(at, r, "expected true or false");
	*to = json_object_get_boolean(at->value);
	return 0;
}

int json_read_value(const struct json_place *at, struct json_reader *r,
		    const ProtobufCFieldDescriptor *field, void *to)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_FLOAT:
		return read_float(at, r, to);
	case PROTOBUF_C_TYPE_DOUBLE:
		return read_double(at, r, to);
	case PROTOBUF_C_TYPE_BOOL:
		return read_bool(at, r, to);
	case PROTOBUF_C_TYPE_ENUM:
		return read_enum(at, r, field->descriptor, to);
	case PROTOBUF_C_TYPE_STRING:
		return read_string(at, r, to);
	case PROTOBUF_C_TYPE_BYTES:
		return read_bytes(at, r, to);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return read_whole(at, r, false, json_value_size(field->type),
				  to);
	default:
		return read_whole(at, r, true, json_value_size(field->type),
				  to);
	}
}

/*
 * A walk over encoded messages, byte by byte as protobuf-c will unpack them:
 * what passes here does not fail there.
 */

#include "proto/lib/wire.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "proto/lib/utf8.h"

/* Fields of one type that can be told apart; our largest has far fewer. */
#define MAX_FIELDS_OF_TYPE 256

struct walk {
	size_t fields; /* met so far */
	struct err *err;
};

/* What is left of the message that is walked over. */
struct span {
	const uint8_t *at, *end;
};

static bool varint(struct span *s, unsigned max_bytes, uint64_t *value)
{
	unsigned shift = 0;
	uint8_t byte;

	*value = 0;
	do {
		if (s->at == s->end || shift == 7 * max_bytes)
			return false;
		byte = *s->at++;
		*value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return true;
}

static bool skip(struct span *s, uint64_t size)
{
	if (size > (size_t)(s->end - s->at))
		return false;
	s->at += size;
	return true;
}

/* Takes what a length and so many bytes make up. */
static bool prefixed(struct span *s, struct span *body)
{
	uint64_t size;

	if (!varint(s, 5, &size))
		return false;
	body->at = s->at;
	if (!skip(s, size))
		return false;
	body->end = s->at;
	return true;
}

static bool skip_value(struct span *s, unsigned wire_type)
{
	struct span body;
	uint64_t value;

	switch (wire_type) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		return varint(s, 10, &value);
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		return skip(s, 8);
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		return prefixed(s, &body);
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		return skip(s, 4);
	default: /* groups: proto3 has none */
		return false;
	}
}

static unsigned wire_type_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return PROTOBUF_C_WIRE_TYPE_32BIT;
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return PROTOBUF_C_WIRE_TYPE_64BIT;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
	default:
		return PROTOBUF_C_WIRE_TYPE_VARINT;
	}
}

static int malformed(const ProtobufCMessageDescriptor *type, struct walk *w)
{
	return err_set(w->err, GRPC_STATUS_INVALID_ARGUMENT,
		       "%s: malformed message", type->name);
}

static int refuse(const ProtobufCMessageDescriptor *type,
		  const ProtobufCFieldDescriptor *field, const char *why,
		  struct walk *w)
{
	return err_set(w->err, GRPC_STATUS_INVALID_ARGUMENT, "%s.%s: %s",
		       type->name, field->name, why);
}

static int count(struct walk *w)
{
	if (++w->fields <= WIRE_MAX_FIELDS)
		return 0;
	return err_set(w->err, GRPC_STATUS_RESOURCE_EXHAUSTED,
		       "message has more than %d fields", WIRE_MAX_FIELDS);
}

static int packed(const ProtobufCMessageDescriptor *type, unsigned wire_type,
		  struct span s, struct walk *w)
{
	while (s.at < s.end) {
		if (!skip_value(&s, wire_type))
			return malformed(type, w);
		if (count(w) < 0)
			return -1;
	}
	return 0;
}

static int text(const ProtobufCMessageDescriptor *type,
		const ProtobufCFieldDescriptor *field, struct span s,
		struct walk *w)
{
	size_t size = (size_t)(s.end - s.at);

	if (memchr(s.at, '\0', size))
		return refuse(type, field, "text holds a NUL", w);
	if (!utf8_is_valid((const char *)s.at, size))
		return refuse(type, field, "text is not UTF-8", w);
	return 0;
}

/* Whether this field was met before; now it was. */
static bool was_seen(const ProtobufCMessageDescriptor *type,
		     const ProtobufCFieldDescriptor *field, uint64_t *seen)
{
	size_t i = (size_t)(field - type->fields);
	uint64_t bit = UINT64_C(1) << (i % 64);
	bool was = seen[i / 64] & bit;

	seen[i / 64] |= bit;
	return was;
}

static int message(const ProtobufCMessageDescriptor *type, struct span s,
		   unsigned depth, struct walk *w);

static int value(const ProtobufCMessageDescriptor *type,
		 const ProtobufCFieldDescriptor *field, unsigned wire_type,
		 struct span *s, uint64_t *seen, unsigned depth, struct walk *w)
{
	unsigned expected = wire_type_of(field->type);
	struct span body;

	if (wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
		if (wire_type != expected)
			return refuse(type, field, "wrong wire type", w);
		return skip_value(s, wire_type) ? 0 : malformed(type, w);
	}
	if (wire_type != expected && field->label != PROTOBUF_C_LABEL_REPEATED)
		return refuse(type, field, "wrong wire type", w);
	if (!prefixed(s, &body))
		return malformed(type, w);
	if (wire_type != expected)
		return packed(type, expected, body, w);
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return text(type, field, body, w);
	if (field->type != PROTOBUF_C_TYPE_MESSAGE)
		return 0;
	if (field->label != PROTOBUF_C_LABEL_REPEATED &&
	    was_seen(type, field, seen))
		return refuse(type, field, "given twice", w);
	return message(field->descriptor, body, depth + 1, w);
}

static int message(const ProtobufCMessageDescriptor *type, struct span s,
		   unsigned depth, struct walk *w)
{
	uint64_t seen[MAX_FIELDS_OF_TYPE / 64] = {0};
	const ProtobufCFieldDescriptor *field;
	unsigned wire_type;
	uint64_t tag;

	assert(type->n_fields <= MAX_FIELDS_OF_TYPE);
	if (depth > WIRE_MAX_DEPTH)
		return err_set(w->err, GRPC_STATUS_RESOURCE_EXHAUSTED,
			       "more than %d messages within each other",
			       WIRE_MAX_DEPTH);
	while (s.at < s.end) {
		if (!varint(&s, 5, &tag) || tag > UINT32_MAX || tag < 8)
			return malformed(type, w);
		if (count(w) < 0)
			return -1;
		wire_type = tag & 7;
		field = protobuf_c_message_descriptor_get_field(
			type, (unsigned)(tag >> 3));
		if (field) {
			if (value(type, field, wire_type, &s, seen, depth, w) <
			    0)
				return -1;
		} else if (!skip_value(&s, wire_type)) {
			return malformed(type, w);
		}
	}
	return 0;
}

int wire_check(const ProtobufCMessageDescriptor *type, const uint8_t *data,
	       size_t size, struct err *err)
{
	struct walk w = {.err = err};
	/* An empty message may be nowhere, to which nothing can be added. */
	struct span s = {.at = data, .end = size ? data + size : data};

	return message(type, s, 0, &w);
}

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

struct span {
	const uint8_t *at, *end;
};

/* What all messages within each other share. */
struct walk {
	size_t fields; /* met so far */
	size_t max_fields;
	struct err *err;
};

/* A message that is walked over. */
struct frame {
	const ProtobufCMessageDescriptor *type;
	struct span left;
	unsigned depth;
	uint64_t seen[MAX_FIELDS_OF_TYPE / 64]; /* messages not repeated */
	struct walk *walk;
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

static int malformed(const struct frame *f)
{
	return err_set(f->walk->err, GRPC_STATUS_INVALID_ARGUMENT,
		       "%s: malformed message", f->type->name);
}

static int refuse(const struct frame *f, const ProtobufCFieldDescriptor *field,
		  const char *why)
{
	return err_set(f->walk->err, GRPC_STATUS_INVALID_ARGUMENT, "%s.%s: %s",
		       f->type->name, field->name, why);
}

static int count(struct walk *w)
{
	if (++w->fields <= w->max_fields)
		return 0;
	return err_set(w->err, GRPC_STATUS_RESOURCE_EXHAUSTED,
		       "message has more than %zu fields", w->max_fields);
}

static int packed(const struct frame *f, unsigned wire_type, struct span s)
{
	while (s.at < s.end) {
		if (!skip_value(&s, wire_type))
			return malformed(f);
		if (count(f->walk) < 0)
			return -1;
	}
	return 0;
}

static int text(const struct frame *f, const ProtobufCFieldDescriptor *field,
		struct span s)
{
	size_t size = (size_t)(s.end - s.at);

	if (memchr(s.at, '\0', size))
		return refuse(f, field, "text holds a NUL");
	if (!utf8_is_valid((const char *)s.at, size))
		return refuse(f, field, "text is not UTF-8");
	return 0;
}

/* Whether this field was met before; now it was. */
static bool was_seen(struct frame *f, const ProtobufCFieldDescriptor *field)
{
	size_t i = (size_t)(field - f->type->fields);
	uint64_t bit = UINT64_C(1) << (i % 64);
	bool was = f->seen[i / 64] & bit;

	f->seen[i / 64] |= bit;
	return was;
}

static int message(const ProtobufCMessageDescriptor *type, struct span s,
		   unsigned depth, struct walk *w);

static int value(struct frame *f, const ProtobufCFieldDescriptor *field,
		 unsigned wire_type)
{
	unsigned expected = wire_type_of(field->type);
	bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
	bool prefix = wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
	struct span body;

	if (wire_type != expected && !(prefix && repeated))
		return refuse(f, field, "wrong wire type");
	if (!prefix)
		return skip_value(&f->left, wire_type) ? 0 : malformed(f);
	if (!prefixed(&f->left, &body))
		return malformed(f);
	if (wire_type != expected)
		return packed(f, expected, body);
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return text(f, field, body);
	if (field->type != PROTOBUF_C_TYPE_MESSAGE)
		return 0;
	if (!repeated && was_seen(f, field))
		return refuse(f, field, "given twice");
	return message(field->descriptor, body, f->depth + 1, f->walk);
}

static int field(struct frame *f)
{
	const ProtobufCFieldDescriptor *known;
	uint64_t tag;

	if (!varint(&f->left, 5, &tag) || tag > UINT32_MAX || tag < 8)
		return malformed(f);
	if (count(f->walk) < 0)
		return -1;
	known = protobuf_c_message_descriptor_get_field(f->type,
							(unsigned)(tag >> 3));
	if (known)
		return value(f, known, tag & 7);
	return skip_value(&f->left, tag & 7) ? 0 : malformed(f);
}

static int message(const ProtobufCMessageDescriptor *type, struct span s,
		   unsigned depth, struct walk *w)
{
	struct frame f = {.type = type, .left = s, .depth = depth, .walk = w};

	assert(type->n_fields <= MAX_FIELDS_OF_TYPE);
	if (depth > WIRE_MAX_DEPTH)
		return err_set(w->err, GRPC_STATUS_RESOURCE_EXHAUSTED,
			       "more than %d messages within each other",
			       WIRE_MAX_DEPTH);
	while (f.left.at < f.left.end)
		if (field(&f) < 0)
			return -1;
	return 0;
}

int wire_check(const ProtobufCMessageDescriptor *type, const uint8_t *data,
	       size_t size, size_t max_fields, struct err *err)
{
	struct walk w = {.max_fields = max_fields, .err = err};
	/* An empty message may be nowhere, to which nothing can be added. */
	struct span s = {.at = data, .end = size ? data + size : data};

	return message(type, s, 0, &w);
}

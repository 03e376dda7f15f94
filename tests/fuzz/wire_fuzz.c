/*
 * What wire_check() lets through, protobuf-c unpacks, every string in it is
 * text, and it packs to something that is let through again. The first byte
 * chooses the type.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "google/rpc/status.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "oim/v0/compat.pb-c.h"
#include "oim/v0/oim.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/json.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"
#include "proto/lib/wire.h"
#include "tests/kinds.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
	&oim__tests__scalars__descriptor,
	&oim__tests__lists__descriptor,
	&oim__tests__maps__descriptor,
	&oim__tests__tree__descriptor,
	&oim__tests__known__descriptor,
	&oim__v0__map_volume_request__descriptor,
	&oim__v0__compat__map_volume__descriptor,
	&oim__v0__get_controller_request__descriptor,
	&google__rpc__status__descriptor,
	&grpc__reflection__v1__server_reflection_request__descriptor,
};

static void check_strings(const ProtobufCMessage *m);

static void check_value(const ProtobufCFieldDescriptor *field, const char *p)
{
	const char *s = *(char *const *)p;

	if (field->type == PROTOBUF_C_TYPE_STRING)
		assert(!s || utf8_is_valid(s, strlen(s)));
	else if (field->type == PROTOBUF_C_TYPE_MESSAGE && s)
		check_strings((const ProtobufCMessage *)s);
}

static void check_strings(const ProtobufCMessage *m)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		const char *p = (const char *)m + f->offset;
		const char *q = (const char *)m + f->quantifier_offset;

		if (f->type != PROTOBUF_C_TYPE_STRING &&
		    f->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			for (size_t j = 0; j < *(const size_t *)q; j++)
				check_value(f, *(const char *const *)p +
						       j * sizeof(char *));
		else if (!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
			 *(const uint32_t *)q == f->id)
			check_value(f, p);
	}
}

static void check_again(const ProtobufCMessage *m)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	size_t size = protobuf_c_message_get_packed_size(m);
	CLEANUP(cleanup_free) uint8_t *data = mem_alloc(size);

	assert(protobuf_c_message_pack(m, data) == size);
	if (wire_check(m->descriptor, data, size, WIRE_MAX_FIELDS, &err) < 0)
		abort();
}

/* JSON of it is JSON, if it is not nested deeper than that may be. */
static void check_json(const ProtobufCMessage *m)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_json)
	struct json_object *object = json_from_message(m, 0);
	CLEANUP(cleanup_free) char *text = json_text(object, false);
	CLEANUP(cleanup_json)
	struct json_object *back = json_parse(text, strlen(text), &err);

	assert(utf8_is_valid(text, strlen(text)));
	assert(!utf8_has_control(text, strlen(text)));
	assert(back || !strcmp(text, "null") ||
	       strstr(err.msg, "nesting too deep"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	const ProtobufCMessageDescriptor *type;
	const ProtobufCMessage *m;

	if (!size)
		return 0;
	type = types[*data++ % (sizeof(types) / sizeof(*types))];
	if (wire_check(type, data, --size, WIRE_MAX_FIELDS, &err) < 0) {
		assert(err.code == GRPC_STATUS_INVALID_ARGUMENT ||
		       err.code == GRPC_STATUS_RESOURCE_EXHAUSTED);
		return 0;
	}
	m = arena_unpack(a, type, data, size);
	assert(m);
	check_strings(m);
	check_again(m);
	check_json(m);
	return 0;
}

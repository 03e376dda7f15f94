/*
 * JSON to a message and back: what can be read is written so that it reads the
 * same again, goes over the wire, and shows no secret. The first byte chooses
 * the type.
 */

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "google/rpc/status.pb-c.h"
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
	&oim__tests__scalars__descriptor, &oim__tests__lists__descriptor,
	&oim__tests__maps__descriptor,    &oim__tests__tree__descriptor,
	&oim__tests__known__descriptor,   &oim__v0__ceph_params__descriptor,
	&google__rpc__status__descriptor,
};

static void check_error(const struct err *err)
{
	assert(err->code == GRPC_STATUS_INVALID_ARGUMENT);
	assert(utf8_is_valid(err->msg, strlen(err->msg)));
	assert(!utf8_has_control(err->msg, strlen(err->msg)));
}

static struct json_object *must_parse(const char *text)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct json_object *object = json_parse(text, strlen(text), &err);

	if (err.code)
		abort();
	return object;
}

/* Text of an object reads back as the same text, on a line and pretty. */
static void check_text(struct json_object *object)
{
	CLEANUP(cleanup_free) char *text = json_text(object, false);
	CLEANUP(cleanup_free) char *pretty = json_text(object, true);
	CLEANUP(cleanup_json) struct json_object *back = must_parse(text);
	CLEANUP(cleanup_json) struct json_object *same = must_parse(pretty);
	CLEANUP(cleanup_free) char *text_back = json_text(back, false);
	CLEANUP(cleanup_free) char *text_same = json_text(same, false);

	assert(!utf8_has_control(text, strlen(text)));
	assert(!strcmp(text, text_back));
	assert(!strcmp(text, text_same));
}

static void check_wire(const ProtobufCMessage *m)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	size_t size = protobuf_c_message_get_packed_size(m);
	CLEANUP(cleanup_free) uint8_t *data = mem_alloc(size);

	protobuf_c_message_pack(m, data);
	if (wire_check(m->descriptor, data, size, WIRE_MAX_FIELDS, &err) < 0)
		abort();
}

static void check_again(const ProtobufCMessage *m, struct arena *a)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_json)
	struct json_object *object = json_from_message(m, JSON_SHOW_SECRETS);
	CLEANUP(cleanup_free) char *text = json_text(object, false);
	CLEANUP(cleanup_json) struct json_object *back = must_parse(text);
	const ProtobufCMessage *m_back =
		json_to_message(m->descriptor, back, a, &err);
	CLEANUP(cleanup_json) struct json_object *again = NULL;
	CLEANUP(cleanup_free) char *text_again = NULL;

	assert(m_back);
	again = json_from_message(m_back, JSON_SHOW_SECRETS);
	text_again = json_text(again, false);
	assert(!strcmp(text, text_again));
}

static void check_secrets(const ProtobufCMessage *m)
{
	const Oim__V0__CephParams *params = (const void *)m;
	CLEANUP(cleanup_json)
	struct json_object *object = json_from_message(m, 0);
	const char *shown = json_object_get_string(
		json_object_object_get(object, "secret"));

	assert(!strcmp(shown, *params->secret ? "***" : ""));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(cleanup_json) struct json_object *object = NULL;
	const ProtobufCMessageDescriptor *type;
	const ProtobufCMessage *m;

	if (!size)
		return 0;
	type = types[*data++ % (sizeof(types) / sizeof(*types))];
	object = json_parse((const char *)data, --size, &err);
	if (!err.code) {
		check_text(object);
		m = json_to_message(type, object, a, &err);
	}
	if (err.code) {
		check_error(&err);
		return 0;
	}
	check_wire(m);
	check_again(m, a);
	if (type == &oim__v0__ceph_params__descriptor)
		check_secrets(m);
	return 0;
}

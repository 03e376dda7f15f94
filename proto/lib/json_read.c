/* JSON to messages; json_value.c reads what is in their fields. */

#include "proto/lib/json.h"

#include <string.h>

#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/descriptors.h"
#include "proto/lib/json_time.h"
#include "proto/lib/json_type.h"
#include "proto/lib/json_value.h"
#include "proto/lib/nearest.h"

static int read_message(const struct json_place *at, struct json_reader *r,
			const ProtobufCMessageDescriptor *type,
			ProtobufCMessage **to);

static void *member(ProtobufCMessage *m, unsigned offset)
{
	return (char *)m + offset;
}

static int read_value(const struct json_place *at, struct json_reader *r,
		      const ProtobufCFieldDescriptor *field, void *to)
{
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return read_message(at, r, field->descriptor, to);
	return json_read_value(at, r, field, to);
}

static int read_list(const struct json_place *at, struct json_reader *r,
		     const ProtobufCFieldDescriptor *field, size_t *n,
		     void **to)
{
	size_t size = json_value_size(field->type);
	char *elements;

	if (!json_object_is_type(at->value, json_type_array))
		return json_fail(at, r, "expected a list");
	*n = json_object_array_length(at->value);
	*to = elements = arena_zalloc(r->arena, *n, size);
	for (size_t i = 0; i < *n; i++) {
		struct json_place in = {
			.up = at,
			.index = i,
			.value = json_object_array_get_idx(at->value, i),
		};

		if (!in.value)
			return json_fail(&in, r, "null cannot be in a list");
		if (read_value(&in, r, field, elements + i * size) < 0)
			return -1;
	}
	return 0;
}

/* Keys are strings in JSON, whatever they are in the message. */
static int read_key(const struct json_place *at, struct json_reader *r,
		    const ProtobufCFieldDescriptor *field, void *to)
{
	CLEANUP(cleanup_json) struct json_object *key = NULL;
	struct json_place in = *at;

	if (field->type == PROTOBUF_C_TYPE_BOOL &&
	    (!strcmp(at->name, "true") || !strcmp(at->name, "false")))
		key = json_object_new_boolean(*at->name == 't');
	else
		key = json_object_new_string(at->name);
	in.value = key;
	return json_read_value(&in, r, field, to);
}

static int read_map(const struct json_place *at, struct json_reader *r,
		    const ProtobufCMessageDescriptor *type, size_t *n,
		    ProtobufCMessage ***to)
{
	const ProtobufCFieldDescriptor *key = &type->fields[0];
	const ProtobufCFieldDescriptor *value = &type->fields[1];
	struct json_object_iter i;

	if (!json_object_is_type(at->value, json_type_object))
		return json_fail(at, r, "expected an object");
	*to = arena_zalloc(r->arena,
			   (size_t)json_object_object_length(at->value),
			   sizeof(**to));
	json_object_object_foreachC(at->value, i)
	{
		struct json_place in = {
			.up = at, .name = i.key, .value = i.val};
		ProtobufCMessage *entry = arena_message(r->arena, type);

		if (!i.val)
			return json_fail(&in, r, "null cannot be in a map");
		if (read_key(&in, r, key, member(entry, key->offset)) < 0 ||
		    read_value(&in, r, value, member(entry, value->offset)) < 0)
			return -1;
		(*to)[(*n)++] = entry;
	}
	return 0;
}

static int read_field(const struct json_place *at, struct json_reader *r,
		      const ProtobufCFieldDescriptor *field,
		      ProtobufCMessage *m)
{
	void *to = member(m, field->offset);
	void *quantifier = member(m, field->quantifier_offset);

	if (json_is_map(m->descriptor, field))
		return read_map(at, r, field->descriptor, quantifier, to);
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return read_list(at, r, field, quantifier, to);
	if (read_value(at, r, field, to) < 0)
		return -1;
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		*(uint32_t *)quantifier = field->id;
	else if (field->label == PROTOBUF_C_LABEL_OPTIONAL &&
		 field->quantifier_offset)
		*(protobuf_c_boolean *)quantifier = true;
	return 0;
}

static int unknown_field(const struct json_place *at, struct json_reader *r,
			 const ProtobufCMessageDescriptor *type)
{
	const char **names =
		arena_zalloc(r->arena, type->n_fields + 1, sizeof(*names));
	const char *near;

	for (unsigned i = 0; i < type->n_fields; i++) {
		char name[JSON_NAME_SIZE];

		names[i] = arena_strdup(r->arena,
					json_name_of(&type->fields[i], name));
	}
	json_fail(at, r, "%s has no such field", type->name);
	near = nearest_find(at->name, names);
	return near ? err_hint(r->err, "did you mean \"%s\"?", near) : -1;
}

/* Whether another member of the same oneof has been read. */
static bool is_taken(const ProtobufCFieldDescriptor *field, ProtobufCMessage *m)
{
	return field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
	       *(uint32_t *)member(m, field->quantifier_offset);
}

/* The fields of an object, but not the "@type" that Any has beside them. */
static int read_fields(const struct json_place *at, struct json_reader *r,
		       bool in_any, ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *type = m->descriptor;
	bool *seen = arena_zalloc(r->arena, type->n_fields, sizeof(*seen));
	const ProtobufCFieldDescriptor *field;
	struct json_object_iter i;

	if (!json_object_is_type(at->value, json_type_object))
		return json_fail(at, r, "expected an object");
	json_object_object_foreachC(at->value, i)
	{
		struct json_place in = {
			.up = at, .name = i.key, .value = i.val};

		if (in_any && !strcmp(i.key, "@type"))
			continue;
		field = json_find_field(type, i.key);
		if (!field)
			return unknown_field(&in, r, type);
		if (seen[field - type->fields])
			return json_fail(&in, r, "given twice");
		seen[field - type->fields] = true;
		if (!i.val)
			continue;
		if (is_taken(field, m))
			return json_fail(&in, r,
					 "excludes another field that is set");
		if (read_field(&in, r, field, m) < 0)
			return -1;
	}
	return 0;
}

/* Packs what an Any holds. */
static void pack(struct json_reader *r, const ProtobufCMessage *content,
		 Google__Protobuf__Any *any)
{
	any->value.len = protobuf_c_message_get_packed_size(content);
	any->value.data = arena_alloc(r->arena, any->value.len);
	protobuf_c_message_pack(content, any->value.data);
}

/* What stands under "value", and nothing else does beside "@type". */
static int find_content(const struct json_place *at, struct json_reader *r,
			struct json_place *content)
{
	*content = (struct json_place){.up = at, .name = "value"};
	if (json_object_object_length(at->value) != 2 ||
	    !json_object_object_get_ex(at->value, "value", &content->value))
		return json_fail(at, r, "expected \"@type\" and \"value\"");
	return 0;
}

static int read_any(const struct json_place *at, struct json_reader *r,
		    Google__Protobuf__Any *any)
{
	static const ProtobufCFieldDescriptor bytes = {
		.type = PROTOBUF_C_TYPE_BYTES};
	struct json_place type_at = {.up = at, .name = "@type"}, in;
	const ProtobufCMessageDescriptor *type;
	ProtobufCMessage *content;
	const char *url, *slash;

	if (!json_object_is_type(at->value, json_type_object))
		return json_fail(at, r, "expected an object");
	if (!json_object_object_length(at->value))
		return 0;
	json_object_object_get_ex(at->value, "@type", &type_at.value);
	url = json_read_text(&type_at, r, "the URL of a type");
	if (!url)
		return -1;
	slash = strrchr(url, '/');
	if (!slash)
		return json_fail(&type_at, r, "expected the URL of a type");
	any->type_url = arena_strdup(r->arena, url);
	type = descriptors_find_message(slash + 1);
	if (type && json_form_of(type) == JSON_FORM_OBJECT) {
		content = arena_message(r->arena, type);
		if (read_fields(at, r, true, content) < 0)
			return -1;
		pack(r, content, any);
		return 0;
	}
	if (find_content(at, r, &in) < 0)
		return -1;
	if (!type)
		return json_read_value(&in, r, &bytes, &any->value);
	if (read_message(&in, r, type, &content) < 0)
		return -1;
	pack(r, content, any);
	return 0;
}

static int read_time(const struct json_place *at, struct json_reader *r,
		     Google__Protobuf__Timestamp *to)
{
	const char *s = json_read_text(at, r, "a time");

	if (!s)
		return -1;
	if (!json_time_parse(s, &to->seconds, &to->nanos))
		return json_fail(at, r,
				 "expected a time such as "
				 "2026-11-20T07:02:00Z");
	return 0;
}

static int read_duration(const struct json_place *at, struct json_reader *r,
			 Google__Protobuf__Duration *to)
{
	const char *s = json_read_text(at, r, "a duration");

	if (!s)
		return -1;
	if (!json_duration_parse(s, &to->seconds, &to->nanos))
		return json_fail(at, r, "expected a duration such as 1.5s");
	return 0;
}

/* The message is set in any case; null makes one with defaults. */
static int read_message(const struct json_place *at, struct json_reader *r,
			const ProtobufCMessageDescriptor *type,
			ProtobufCMessage **to)
{
	const ProtobufCFieldDescriptor *field = type->fields;
	void *m = arena_message(r->arena, type);

	*to = m;
	if (!at->value)
		return 0;
	switch (json_form_of(type)) {
	case JSON_FORM_TIME:
		return read_time(at, r, m);
	case JSON_FORM_DURATION:
		return read_duration(at, r, m);
	case JSON_FORM_WRAPPER:
		return read_value(at, r, field, member(m, field->offset));
	case JSON_FORM_ANY:
		return read_any(at, r, m);
	case JSON_FORM_OBJECT:
		break;
	}
	return read_fields(at, r, false, m);
}

ProtobufCMessage *json_to_message(const ProtobufCMessageDescriptor *type,
				  struct json_object *object, struct arena *a,
				  struct err *err)
{
	struct json_place at = {.value = object};
	struct json_reader r = {.arena = a, .err = err};
	ProtobufCMessage *m;

	return read_message(&at, &r, type, &m) < 0 ? NULL : m;
}

/* Messages to JSON. */

#include "proto/lib/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/descriptors.h"
#include "proto/lib/json_time.h"
#include "proto/lib/json_type.h"
#include "proto/lib/mem.h"
#include "proto/lib/wire.h"

/* Messages in each other before what is in an Any stays encoded. */
#define MAX_DEPTH 64

struct writer {
	unsigned flags;
	unsigned depth;
};

static struct json_object *message(const ProtobufCMessage *m, struct writer *w);

/* A short text that reads back as the same number, and never as an int. */
static struct json_object *number(double d, bool is_float)
{
	char text[32];

	if (isnan(d))
		return json_object_new_string("NaN");
	if (isinf(d))
		return json_object_new_string(d < 0 ? "-Infinity" : "Infinity");
	for (int digits = 6; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, d);
		if (is_float ? strtof(text, NULL) == (float)d
			     : strtod(text, NULL) == d)
			break;
	}
	if (!strpbrk(text, ".e"))
		strncat(text, ".0", sizeof(text) - strlen(text) - 1);
	return json_object_new_double_s(d, text);
}

static struct json_object *base64(const ProtobufCBinaryData *data)
{
	CLEANUP(cleanup_free)
	char *text = mem_alloc(4 * ((data->len + 2) / 3) + 1);
	int size = EVP_EncodeBlock((unsigned char *)text, data->data,
				   (int)data->len);

	return json_object_new_string_len(text, size);
}

static struct json_object *text_of_u64(uint64_t value)
{
	char text[24];

	return json_object_new_string_len(
		text, snprintf(text, sizeof(text), "%" PRIu64, value));
}

static struct json_object *text_of_i64(int64_t value)
{
	char text[24];

	return json_object_new_string_len(
		text, snprintf(text, sizeof(text), "%" PRId64, value));
}

static struct json_object *name_of_enum(const ProtobufCEnumDescriptor *type,
					int value)
{
	const ProtobufCEnumValue *v =
		protobuf_c_enum_descriptor_get_value(type, value);

	return v ? json_object_new_string(v->name) : json_object_new_int(value);
}

/* The value of a field, or of an element of it, that is at p. */
static struct json_object *value(const ProtobufCFieldDescriptor *field,
				 const void *p, struct writer *w)
{
	const char *s;

	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return json_object_new_int(*(const int32_t *)p);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return json_object_new_int64(*(const uint32_t *)p);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return text_of_i64(*(const int64_t *)p);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return text_of_u64(*(const uint64_t *)p);
	case PROTOBUF_C_TYPE_FLOAT:
		return number(*(const float *)p, true);
	case PROTOBUF_C_TYPE_DOUBLE:
		return number(*(const double *)p, false);
	case PROTOBUF_C_TYPE_BOOL:
		return json_object_new_boolean(*(const protobuf_c_boolean *)p);
	case PROTOBUF_C_TYPE_ENUM:
		return name_of_enum(field->descriptor, *(const int *)p);
	case PROTOBUF_C_TYPE_STRING:
		s = *(char *const *)p;
		return json_object_new_string(s ? s : "");
	case PROTOBUF_C_TYPE_BYTES:
		return base64(p);
	case PROTOBUF_C_TYPE_MESSAGE:
		return message(*(ProtobufCMessage *const *)p, w);
	}
	return NULL;
}

static bool is_default(const ProtobufCFieldDescriptor *field, const void *p)
{
	static const uint8_t zero[sizeof(uint64_t)];
	const char *s;

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		s = *(char *const *)p;
		return !s || !*s;
	case PROTOBUF_C_TYPE_BYTES:
		return !((const ProtobufCBinaryData *)p)->len;
	default:
		return !memcmp(p, zero, json_value_size(field->type));
	}
}

/* The same, redacted if it is secret and set. */
static struct json_object *shown(const ProtobufCFieldDescriptor *field,
				 const void *p, bool secret, struct writer *w)
{
	if (secret && !is_default(field, p))
		return json_object_new_string("***");
	return value(field, p, w);
}

static const void *member(const ProtobufCMessage *m, unsigned offset)
{
	return (const char *)m + offset;
}

/* A key of a map as text; the caller frees it. */
static char *key_text(const ProtobufCFieldDescriptor *field, const void *p)
{
	struct json_object *key = value(field, p, NULL);
	char *text = mem_strdup(json_object_get_string(key));

	json_object_put(key);
	return text;
}

/*
 * protobuf-c leaves the value NULL where an entry has a key and an empty
 * message.
 */
static struct json_object *value_of_entry(const ProtobufCMessage *entry,
					  bool secret, struct writer *w)
{
	const ProtobufCFieldDescriptor *field = &entry->descriptor->fields[1];
	CLEANUP(cleanup_arena) struct arena *a = NULL;
	const void *p = member(entry, field->offset);
	void *empty;

	if (field->type == PROTOBUF_C_TYPE_MESSAGE && is_default(field, p)) {
		a = arena_new();
		empty = arena_message(a, field->descriptor);
		return message(empty, w);
	}
	return shown(field, p, secret, w);
}

static struct json_object *map(ProtobufCMessage *const *entries, size_t n,
			       bool secret, struct writer *w)
{
	struct json_object *object = json_object_new_object();

	for (size_t i = 0; i < n; i++) {
		const ProtobufCFieldDescriptor *key =
			&entries[i]->descriptor->fields[0];
		CLEANUP(cleanup_free)
		char *text = key_text(key, member(entries[i], key->offset));

		json_object_object_add(object, text,
				       value_of_entry(entries[i], secret, w));
	}
	return object;
}

static struct json_object *list(const ProtobufCFieldDescriptor *field,
				const char *elements, size_t n, bool secret,
				struct writer *w)
{
	struct json_object *array = json_object_new_array_ext((int)n);
	size_t size = json_value_size(field->type);

	for (size_t i = 0; i < n; i++)
		json_object_array_add(
			array, shown(field, elements + i * size, secret, w));
	return array;
}

/* Whether a field that is not repeated has a value, a default or not. */
static bool is_set(const ProtobufCMessage *m,
		   const ProtobufCFieldDescriptor *field)
{
	const void *p = member(m, field->offset);
	const void *has = member(m, field->quantifier_offset);

	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)has == field->id;
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(ProtobufCMessage *const *)p;
	if (field->label != PROTOBUF_C_LABEL_OPTIONAL)
		return true;
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return *(const void *const *)p &&
		       *(const void *const *)p != field->default_value;
	return *(const protobuf_c_boolean *)has;
}

/* The value of a field; NULL if it is left out. */
static struct json_object *field_value(const ProtobufCMessage *m,
				       const ProtobufCFieldDescriptor *field,
				       struct writer *w)
{
	const void *p = member(m, field->offset);
	bool all = !(w->flags & JSON_NO_DEFAULTS), secret;
	size_t n;

	secret = !(w->flags & JSON_SHOW_SECRETS) &&
		 descriptors_is_secret(m->descriptor->name, field->name);
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		n = *(const size_t *)member(m, field->quantifier_offset);
		if (!n && !all)
			return NULL;
		if (json_is_map(m->descriptor, field))
			return map(*(ProtobufCMessage *const *const *)p, n,
				   secret, w);
		return list(field, *(const char *const *)p, n, secret, w);
	}
	if (!is_set(m, field))
		return NULL;
	if (!all && field->label == PROTOBUF_C_LABEL_NONE &&
	    !(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
	    is_default(field, p))
		return NULL;
	return shown(field, p, secret, w);
}

static void add_fields(struct json_object *object, const ProtobufCMessage *m,
		       struct writer *w)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field =
			&m->descriptor->fields[i];
		struct json_object *v = field_value(m, field, w);
		char name[JSON_NAME_SIZE];

		if (v)
			json_object_object_add_ex(object,
						  json_name_of(field, name), v,
						  JSON_C_OBJECT_ADD_KEY_IS_NEW);
	}
}

/* What is in it, in the arena; NULL if it does not decode as that type. */
static const ProtobufCMessage *content(const Google__Protobuf__Any *any,
				       const ProtobufCMessageDescriptor *type,
				       struct arena *a)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (wire_check(type, any->value.data, any->value.len, WIRE_MAX_FIELDS,
		       &err) < 0)
		return NULL;
	return arena_unpack(a, type, any->value.data, any->value.len);
}

static struct json_object *any_object(const Google__Protobuf__Any *any,
				      struct writer *w)
{
	struct json_object *object = json_object_new_object();
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	const char *slash = strrchr(any->type_url, '/');
	const ProtobufCMessageDescriptor *type =
		slash ? descriptors_find_message(slash + 1) : NULL;
	const ProtobufCMessage *m = NULL;
	struct json_object *v;

	if (!*any->type_url && !any->value.len)
		return object;
	json_object_object_add(object, "@type",
			       json_object_new_string(any->type_url));
	if (type && w->depth < MAX_DEPTH)
		m = content(any, type, a);
	if (m && json_form_of(type) == JSON_FORM_OBJECT) {
		add_fields(object, m, w);
		return object;
	}
	if (m)
		v = message(m, w);
	else if (type && !(w->flags & JSON_SHOW_SECRETS))
		v = json_object_new_string("***"); /* may hold some */
	else
		v = base64(&any->value);
	json_object_object_add(object, "value", v);
	return object;
}

/* The text, which is freed; or NULL for NULL. */
static struct json_object *take_text(char *text)
{
	struct json_object *object = text ? json_object_new_string(text) : NULL;

	free(text);
	return object;
}

/* The form that a type of its own has; NULL if this one cannot have it. */
static struct json_object *own_form(const ProtobufCMessage *m, struct writer *w)
{
	const Google__Protobuf__Timestamp *t = (const void *)m;
	const Google__Protobuf__Duration *d = (const void *)m;
	const ProtobufCFieldDescriptor *field = m->descriptor->fields;

	switch (json_form_of(m->descriptor)) {
	case JSON_FORM_TIME:
		return take_text(json_time_text(t->seconds, t->nanos));
	case JSON_FORM_DURATION:
		return take_text(json_duration_text(d->seconds, d->nanos));
	case JSON_FORM_WRAPPER:
		return value(field, member(m, field->offset), w);
	case JSON_FORM_ANY:
		return any_object((const Google__Protobuf__Any *)m, w);
	case JSON_FORM_OBJECT:
		break;
	}
	return NULL;
}

static struct json_object *message(const ProtobufCMessage *m, struct writer *w)
{
	struct json_object *object;

	w->depth++;
	object = own_form(m, w);
	if (!object) {
		object = json_object_new_object();
		add_fields(object, m, w);
	}
	w->depth--;
	return object;
}

struct json_object *json_from_message(const ProtobufCMessage *m, unsigned flags)
{
	struct writer w = {.flags = flags};

	return message(m, &w);
}

/* What the proto3 JSON mapping derives from descriptors. */

#include "proto/lib/json_type.h"

#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"

enum json_form json_form_of(const ProtobufCMessageDescriptor *type)
{
	if (strcmp(type->package_name, "google.protobuf") != 0)
		return JSON_FORM_OBJECT;
	if (type == &google__protobuf__timestamp__descriptor)
		return JSON_FORM_TIME;
	if (type == &google__protobuf__duration__descriptor)
		return JSON_FORM_DURATION;
	if (type == &google__protobuf__any__descriptor)
		return JSON_FORM_ANY;
	/* Wrappers are the only ones there with such a field alone. */
	if (type->n_fields == 1 && !strcmp(type->fields[0].name, "value"))
		return JSON_FORM_WRAPPER;
	return JSON_FORM_OBJECT;
}

/* Descriptors do not say it, but protoc names the entries after the field. */
bool json_is_map(const ProtobufCMessageDescriptor *type,
		 const ProtobufCFieldDescriptor *field)
{
	const ProtobufCMessageDescriptor *entry = field->descriptor;
	size_t size = strlen(type->name);
	const char *name, *c = field->name;
	bool upper = true;

	if (field->label != PROTOBUF_C_LABEL_REPEATED ||
	    field->type != PROTOBUF_C_TYPE_MESSAGE || entry->n_fields != 2 ||
	    strncmp(entry->name, type->name, size) != 0 ||
	    entry->name[size] != '.')
		return false;
	for (name = entry->name + size + 1; *c; c++) {
		if (*c == '_') {
			upper = true;
			continue;
		}
		if (*name++ != (upper ? toupper((unsigned char)*c) : *c))
			return false;
		upper = false;
	}
	return !strcmp(name, "Entry") && entry->fields[0].id == 1 &&
	       !strcmp(entry->fields[0].name, "key") &&
	       entry->fields[1].id == 2 &&
	       !strcmp(entry->fields[1].name, "value");
}

char *json_name_of(const ProtobufCFieldDescriptor *field,
		   char name[JSON_NAME_SIZE])
{
	const char *c = field->name;
	char *out = name;

	assert(strlen(c) < JSON_NAME_SIZE);
	for (; *c; c++)
		if (*c != '_')
			*out++ = *c;
		else if (c[1] != '_' && c[1])
			*out++ = (char)toupper((unsigned char)*++c);
	*out = '\0';
	return name;
}

const ProtobufCFieldDescriptor *json_find_field(
	const ProtobufCMessageDescriptor *type, const char *name)
{
	char buf[JSON_NAME_SIZE];

	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];

		if (!strcmp(field->name, name) ||
		    !strcmp(json_name_of(field, buf), name))
			return field;
	}
	return NULL;
}

size_t json_value_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return 4;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_ENUM:
		return sizeof(int);
	case PROTOBUF_C_TYPE_STRING:
		return sizeof(char *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(ProtobufCMessage *);
	}
	assert(!"no such type");
	return 0;
}

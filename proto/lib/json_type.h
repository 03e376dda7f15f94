#ifndef OIM_JSON_TYPE_H
#define OIM_JSON_TYPE_H

/*
 * How types and fields look in JSON, which follows from their descriptors. For
 * json_read.c and json_write.c only.
 */

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

enum json_form {
	JSON_FORM_OBJECT = 1,
	JSON_FORM_TIME,     /* google.protobuf.Timestamp, a string */
	JSON_FORM_DURATION, /* google.protobuf.Duration, a string */
	JSON_FORM_WRAPPER,  /* google.protobuf.XValue: its field, bare */
	JSON_FORM_ANY,      /* an object that has "@type" */
};

enum json_form json_form_of(const ProtobufCMessageDescriptor *type);

/*
 * Whether a field of that message is a map: repeated entries of key and value,
 * fields 0 and 1 of their type.
 */
bool json_is_map(const ProtobufCMessageDescriptor *type,
		 const ProtobufCFieldDescriptor *field);

/* "volumeId" for volume_id, as protoc makes it; returns name. */
#define JSON_NAME_SIZE 128
char *json_name_of(const ProtobufCFieldDescriptor *field,
		   char name[JSON_NAME_SIZE]);

/* The field of that name, in either form; NULL if there is none. */
const ProtobufCFieldDescriptor *json_find_field(
	const ProtobufCMessageDescriptor *type, const char *name);

/* Bytes of a value in a message or a list. */
size_t json_value_size(ProtobufCType type);

#endif

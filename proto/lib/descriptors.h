#ifndef OIM_DESCRIPTORS_H
#define OIM_DESCRIPTORS_H

/*
 * What the program knows of its own contracts, beside the protobuf-c
 * descriptors: they do not say which methods stream and carry no options.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

/* Generated: the public contracts as encoded google.protobuf.FileDescriptorSet,
 * and the full names of all secret fields, NULL-terminated. */
extern const uint8_t descriptors_data[];
extern const size_t descriptors_size;
extern const char *const secret_fields[];

/* The services of the public contracts, NULL-terminated. */
extern const ProtobufCServiceDescriptor *const descriptors_services[];

struct descriptors_method {
	const ProtobufCServiceDescriptor *service;
	const ProtobufCMethodDescriptor *method;
	bool client_streams;
	bool server_streams;
};

/*
 * Finds "package.Service/Method", with or without a leading slash, or with a
 * dot before the method. Any thread.
 */
bool descriptors_find_method(const char *name, struct descriptors_method *m);

/* Whether that field, by the full name of its message, is secret. */
bool descriptors_is_secret(const char *message, const char *field);

/* The message type of that full name among the contracts and the well-known
 * types that Any may carry; NULL if unknown. */
const ProtobufCMessageDescriptor *descriptors_find_message(const char *name);

/*
 * The encoded FileDescriptorProto of a file by its name, or of the file that
 * defines a symbol (service, method, message, field, enum, value, extension by
 * full name without a leading dot); NULL if there is none. Parsed at the first
 * call and kept.
 */
const ProtobufCBinaryData *descriptors_file(const char *name);
const char *descriptors_file_of(const char *symbol);
/* The names of the files that it imports directly, NULL-terminated. */
const char *const *descriptors_imports(const char *file);

#endif

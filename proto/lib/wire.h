#ifndef OIM_WIRE_H
#define OIM_WIRE_H

/*
 * Looking at encoded messages before they are unpacked. protobuf-c cuts strings
 * at a NUL and accepts any bytes in them, which would make two ids of one; it
 * also trusts the sender with the depth and the number of messages. When a
 * message that is not repeated comes twice it merges them, but loses numbers on
 * the way, and copies the lists in them each time.
 */

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "proto/lib/err.h"

/* Messages within messages. */
#define WIRE_MAX_DEPTH 64
/* Fields in one request, those of its messages, the elements of packed ones and
 * unknown ones included; and for messages of somebody who is trusted. */
#define WIRE_MAX_FIELDS 100000
#define WIRE_ANY_FIELDS SIZE_MAX

/*
 * 0 if protobuf-c will unpack the bytes as that type of proto3, every string in
 * them is UTF-8 without NUL, and no message that is not repeated comes twice.
 * Otherwise INVALID_ARGUMENT, with the full name of the field where there is
 * one, or RESOURCE_EXHAUSTED if there are more than max_fields. Fields that the
 * type does not have are only walked over. The walk uses no memory but its
 * stack. Any thread.
 */
int wire_check(const ProtobufCMessageDescriptor *type, const uint8_t *data,
	       size_t size, size_t max_fields, struct err *err);

#endif

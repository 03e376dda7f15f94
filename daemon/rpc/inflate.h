#ifndef OIM_RPC_INFLATE_H
#define OIM_RPC_INFLATE_H

/*
 * Compressed messages. Core would unpack a message of any size that is within
 * the limit while it is packed, and 4 MiB of gzip can be 4 GiB of nothing: so
 * our servers and channels leave messages as they come
 * (grpc.per_message_decompression), and whoever takes one unpacks it here.
 */

#include <stdbool.h>
#include <stddef.h>

#include <grpc/grpc.h>

#include "proto/lib/err.h"

bool inflate_is_needed(const grpc_byte_buffer *bytes);

/*
 * What a compressed message is unpacked, at most max bytes: more is
 * RESOURCE_EXHAUSTED, what is not compressed as it says INVALID_ARGUMENT. The
 * caller unrefs *out.
 */
int inflate_bytes(grpc_byte_buffer *bytes, size_t max, grpc_slice *out,
		  struct err *err);

#endif

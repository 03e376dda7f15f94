#ifndef OIM_RPC_METADATA_H
#define OIM_RPC_METADATA_H

/*
 * What becomes of metadata when a call is forwarded: it is passed on as it is,
 * with the number of times that the call was forwarded ("oim-hops").
 *
 * Core receives more than it sends (RFC 9113, 8.2.1), and does not start a
 * batch with entries that it would not send.
 */

#include <stdbool.h>
#include <stddef.h>

#include <grpc/grpc.h>

#include "proto/lib/err.h"

/* As many entries as are sent; what they point to is not owned, except that
 * the last one is the hops. */
struct metadata {
	grpc_metadata *entries;
	size_t n;
};

/* How often the call has been forwarded. */
unsigned long metadata_hops(const grpc_metadata_array *md);

/* INVALID_ARGUMENT, naming the key, if it cannot be sent. */
int metadata_check(const grpc_metadata_array *md, struct err *err);

/* Removes what cannot be sent; whether there was any. */
bool metadata_keep_legal(grpc_metadata_array *md);

/* The entries of from, which must live as long, with the hops counted anew. */
void metadata_copy(struct metadata *md, const grpc_metadata_array *from,
		   unsigned long hops);
void metadata_clear(struct metadata *md);

#endif

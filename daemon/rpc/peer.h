#ifndef OIM_RPC_PEER_H
#define OIM_RPC_PEER_H

/*
 * Who is at the other end. gRPC core says nothing of the process behind a Unix
 * socket, so our own listeners ask the kernel when they accept, and remember by
 * descriptor. (When a descriptor is used again while a call of its predecessor
 * is still being accepted, the call is put down to the wrong process; all
 * callers on Unix sockets may do the same things.)
 */

#include <grpc/grpc.h>

#include "daemon/audit.h"
#include "proto/lib/tls.h"

/* Remembers whom the kernel names for a connected Unix socket. Any thread. */
void peer_remember(int fd);

/*
 * Fills in the caller of a call. *text and *identity are what it points to:
 * gpr_free() and tls_identity_release() (if not NULL) when it is not needed any
 * more. Without tls all callers are local.
 */
void peer_of_call(grpc_call *call, struct tls *tls, struct caller *caller,
		  char **text, const struct tls_identity **identity);

#endif

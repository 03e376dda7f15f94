#ifndef OIM_RPC_LISTEN_H
#define OIM_RPC_LISTEN_H

/*
 * Unix sockets that we accept on ourselves (core would take over a live one
 * without a word, and tells nothing of the process at the other end), and what
 * it takes to bind TCP ports without sharing them.
 */

#include <sys/types.h>

#include <grpc/grpc.h>

#include "proto/lib/address.h"
#include "proto/lib/err.h"

struct listeners;

struct listeners *listeners_new(void);

/*
 * Binds the path: mode 0660, group "oim" if there is one. A socket that nobody
 * answers on is replaced; a live one, or anything that is not a socket, is
 * FAILED_PRECONDITION. A lock beside it is held meanwhile.
 */
int listeners_add_unix(struct listeners *ls, grpc_server *server,
		       const char *path, struct err *err);

/* Accepts connections, on a thread of its own, for servers that run. */
int listeners_start(struct listeners *ls, struct err *err);

/* Stops accepting and removes the sockets that are still ours. */
void listeners_stop(struct listeners *ls);

void listeners_free(struct listeners *ls);

/*
 * Has core bind every address that the host name stands for, all to one port;
 * *port is it. Addresses of a family that this host does not have are left
 * out. FAILED_PRECONDITION if one is in use.
 */
int listen_tcp(grpc_server *server, const struct address *a,
	       grpc_server_credentials *creds, int *port, struct err *err);

#endif

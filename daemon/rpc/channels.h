#ifndef OIM_RPC_CHANNELS_H
#define OIM_RPC_CHANNELS_H

/*
 * Connections to controllers, kept from call to call: one for each address and
 * name that must be there. A controller whose address changes leaves its
 * connection, and one that nobody is at any more, or that was idle for a while,
 * is closed. On the loop only.
 */

#include <stdint.h>

#include <grpc/grpc.h>

#include "proto/lib/err.h"
#include "proto/lib/tls.h"

struct channels;
struct channel;

/* Both are borrowed; tls may be NULL. */
struct channels *channels_new(struct tls *tls, grpc_resource_quota *memory);
void channels_free(struct channels *cs);

/* What makes a server or a channel take its memory from there. */
grpc_arg channels_memory_arg(grpc_resource_quota *memory);

/*
 * The connection to a controller that is at that address. Every TCP connection
 * is mutual TLS if there is tls: then peer_name must be there. The user gives
 * it back with channel_put(). NULL and UNAVAILABLE, naming the forms that can
 * be dialled, if the address is not one of them.
 */
struct channel *channels_get(struct channels *cs, const char *controller,
			     const char *address, const char *peer_name,
			     struct err *err);
void channel_put(struct channels *cs, struct channel *c);

grpc_channel *channel_grpc(const struct channel *c);

/* Says that no connection could be made: the next user tries anew, at once. */
void channel_failed(struct channels *cs, struct channel *c);

/* Closes what no call has used for that long, in ns. To be called now and then.
 */
void channels_sweep(struct channels *cs, int64_t idle);

#endif

#ifndef OIM_DIAGNOSE_H
#define OIM_DIAGNOSE_H

/*
 * Why a connection to a gRPC server failed. gRPC core tells it in words that
 * help nobody, so the connection is tried once more by hand.
 */

#include "proto/lib/address.h"
#include "proto/lib/err.h"

struct tls;

/*
 * Connects, and with TLS shakes hands as gRPC core would (tls and tls_name as
 * in struct client_config), for at most a second; the look-up of a name may
 * take longer. Returns 0 if nothing is found to be wrong, else -1 with the
 * reason as UNAVAILABLE: a phrase such as "no such socket" that fits behind
 * the address, and a hint where there is one. Sends no request. Any thread.
 */
int diagnose(const struct address *a, struct tls *tls, const char *tls_name,
	     struct err *err);

#endif

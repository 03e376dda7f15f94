#ifndef OIM_DIAGNOSE_TLS_H
#define OIM_DIAGNOSE_TLS_H

/*
 * The part of diagnose() after the connection: fd is a connected socket that
 * does not block and stays the caller's; until is of CLOCK_MONOTONIC, ns.
 */

#include <stdint.h>

#include "proto/lib/err.h"
#include "proto/lib/tls.h"

/* Whether a handshake with the material of tls would work. Without a tls_name
 * the server must be that host. */
int diagnose_tls(int fd, struct tls *tls, const char *tls_name,
		 const char *host, int64_t until, struct err *err);

/* Whether the server expects TLS where there was none. */
int diagnose_plaintext(int fd, int64_t until, struct err *err);

#endif

#ifndef OIM_ACCESS_H
#define OIM_ACCESS_H

/*
 * Who may do what (design, section 5): the only place that knows. A caller on a
 * Unix socket, or on plaintext loopback, may do everything; others are what
 * their certificate's names say.
 *
 * 0, or -1 with PERMISSION_DENIED (UNAUTHENTICATED for a revoked certificate)
 * naming the caller and what is missing. Any thread.
 */

#include <stdbool.h>

#include "daemon/audit.h"
#include "proto/lib/err.h"

/* Read the registry, health and reflection. */
int access_read(const struct caller *caller, struct err *err);

/* See and change what belongs to no controller. */
int access_admin(const struct caller *caller, struct err *err);

/* Set a value of the registry that belongs to the controller id. */
int access_set(const struct caller *caller, const char *id, struct err *err);

/*
 * Register that address for a controller: as access_set(); but a Unix socket is
 * for administrators only, since the registry would dial any socket of its
 * host.
 */
int access_register(const struct caller *caller, const char *id,
		    const char *address, struct err *err);

/*
 * Call a controller: directly, if it is one of this daemon, else by being
 * forwarded. is_forwarding says that this daemon has a registry; service is the
 * full name of the service called.
 */
int access_controller(const struct caller *caller, const char *id,
		      const char *service, bool is_forwarding, struct err *err);

/*
 * INVALID_ARGUMENT if there can be no certificate for "role.id": neither is it
 * short enough for a common name nor all ASCII, as a DNS name must be.
 */
int access_can_certify(const char *role, const char *id, struct err *err);

#endif

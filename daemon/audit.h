#ifndef OIM_AUDIT_H
#define OIM_AUDIT_H

/*
 * Who asks, and the record of what was changed for whom: every change of state
 * writes one line with who, what, which object and the result.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "proto/lib/err.h"

/* The other end of a call, or this daemon itself. */
struct caller {
	bool local; /* a Unix socket or plaintext on loopback: may all */
	uid_t uid;  /* of the process at the other end of a Unix socket, */
	pid_t pid;  /* pid 0 if it is not known */
	const char *const *names; /* of the certificate (tls.h), or NULL */
	bool revoked;             /* the certificate is, and names is NULL */
	const char *peer;         /* as gRPC core names it, for people */
};

/* Who does what the daemon does of its own accord. */
extern const struct caller audit_self;

/* Whether the certificate carries that name. */
bool caller_has_name(const struct caller *caller, const char *name);

/*
 * Writes the line, at level info and with component "audit". action is a verb
 * and a noun as in "map volume", object its id, container the controller's id
 * or NULL. err is what came of it; an unset one is "ok".
 */
void audit(const struct caller *caller, const char *action,
	   const char *container, const char *object, const struct err *err);

#endif

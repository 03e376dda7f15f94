/* Who may do what. */

#include "daemon/core/access.h"

#include <string.h>

#include "proto/lib/address.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

/* Bytes of a common name (RFC 5280, ub-common-name). */
#define MAX_COMMON_NAME 64

static bool is_admin(const struct caller *caller)
{
	return caller->local || caller_has_name(caller, "user.admin");
}

/* Whether it carries the name role.id. */
static bool is(const struct caller *caller, const char *role, const char *id)
{
	size_t size = strlen(role);

	for (const char *const *n = caller->names; n && *n; n++)
		if (strncmp(*n, role, size) == 0 && (*n)[size] == '.' &&
		    strcmp(*n + size + 1, id) == 0)
			return true;
	return false;
}

/* Whether it carries a name of that role. */
static bool has_role(const struct caller *caller, const char *role)
{
	size_t size = strlen(role);

	for (const char *const *n = caller->names; n && *n; n++)
		if (strncmp(*n, role, size) == 0 && (*n)[size] == '.')
			return true;
	return false;
}

static int refuse(const struct caller *caller, struct err *err,
		  const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(const struct caller *caller, struct err *err,
		  const char *format, ...)
{
	CLEANUP(cleanup_free) char *what = NULL;
	va_list ap;

	if (caller->revoked)
		return err_set(err, GRPC_STATUS_UNAUTHENTICATED,
			       "the certificate of the caller is revoked");
	va_start(ap, format);
	what = mem_vprintf(format, ap);
	va_end(ap);
	return err_set(err, GRPC_STATUS_PERMISSION_DENIED,
		       "caller \"%s\" is not allowed to %s",
		       caller->names && *caller->names ? *caller->names : "",
		       what);
}

int access_read(const struct caller *caller, struct err *err)
{
	if (is_admin(caller) || has_role(caller, "user") ||
	    has_role(caller, "controller") || has_role(caller, "host"))
		return 0;
	return refuse(caller, err, "read anything here");
}

int access_admin(const struct caller *caller, struct err *err)
{
	if (is_admin(caller))
		return 0;
	return refuse(caller, err, "see or change the daemon as a whole");
}

int access_set(const struct caller *caller, const char *id, struct err *err)
{
	if (is_admin(caller) || is(caller, "controller", id))
		return 0;
	return refuse(caller, err, "set anything of \"%s\"", id);
}

int access_register(const struct caller *caller, const char *id,
		    const char *address, struct err *err)
{
	if (access_set(caller, id, err) == -1)
		return -1;
	if (is_admin(caller) || !address_is_unix(address))
		return 0;
	return refuse(caller, err, "register the Unix socket \"%s\"", address);
}

static bool is_for_controllers(const char *service)
{
	return strcmp(service, "oim.v0.Controller") == 0 ||
	       strcmp(service, "oim.admin.v1.Admin") == 0;
}

int access_controller(const struct caller *caller, const char *id,
		      const char *service, bool is_forwarding, struct err *err)
{
	if (is_admin(caller) ||
	    (caller_has_name(caller, "component.registry") &&
	     is_for_controllers(service)) ||
	    (is_forwarding && is(caller, "host", id)))
		return 0;
	return refuse(caller, err, "contact controller \"%s\"", id);
}

int access_can_certify(const char *role, const char *id, struct err *err)
{
	size_t size = strlen(role) + 1 + strlen(id);

	if (size <= MAX_COMMON_NAME)
		return 0;
	for (const char *c = id; *c; c++)
		if ((unsigned char)*c >= 0x80 || *c == ' ')
			return err_set(
				err, GRPC_STATUS_INVALID_ARGUMENT,
				"no certificate can carry the name \"%s.%s\": it is too long for a common name and not a DNS name, so \"%s\" cannot be used with TLS",
				role, id, id);
	return 0;
}

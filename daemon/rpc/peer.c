/* Who is at the other end of a call. */

#include "daemon/rpc/peer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <grpc/grpc_security.h>
#include <grpc/grpc_security_constants.h>

#include "proto/lib/mem.h"

static struct {
	pthread_mutex_t mu;
	struct ucred *creds; /* by descriptor */
	size_t n;
} known = {.mu = PTHREAD_MUTEX_INITIALIZER};

void peer_remember(int fd)
{
	struct ucred cred = {0};
	socklen_t size = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == -1)
		cred = (struct ucred){0};
	pthread_mutex_lock(&known.mu);
	if ((size_t)fd >= known.n) {
		size_t n = (size_t)fd + 64;

		known.creds = mem_realloc(known.creds, n, sizeof(*known.creds));
		memset(known.creds + known.n, 0,
		       (n - known.n) * sizeof(*known.creds));
		known.n = n;
	}
	known.creds[fd] = cred;
	pthread_mutex_unlock(&known.mu);
}

static void recall(size_t fd, struct caller *caller)
{
	pthread_mutex_lock(&known.mu);
	if (fd < known.n) {
		caller->uid = known.creds[fd].uid;
		caller->pid = known.creds[fd].pid;
	}
	pthread_mutex_unlock(&known.mu);
}

static const struct tls_identity *identify(grpc_call *call, struct tls *tls)
{
	grpc_auth_context *context = grpc_call_auth_context(call);
	const struct tls_identity *identity = NULL;
	grpc_auth_property_iterator it;
	const grpc_auth_property *pem;

	if (!context)
		return NULL;
	it = grpc_auth_context_find_properties_by_name(
		context, GRPC_X509_PEM_CERT_PROPERTY_NAME);
	pem = grpc_auth_property_iterator_next(&it);
	if (pem)
		identity = tls_identity_of(tls, pem->value, pem->value_length);
	grpc_auth_context_release(context);
	return identity;
}

void peer_of_call(grpc_call *call, struct tls *tls, struct caller *caller,
		  char **text, const struct tls_identity **identity)
{
	*text = grpc_call_get_peer(call);
	*identity = NULL;
	*caller = (struct caller){.peer = *text};
	if (strncmp(*text, "fd:", 3) == 0) {
		caller->local = true;
		caller->peer = "unix";
		recall(strtoul(*text + 3, NULL, 10), caller);
	} else if (!tls) {
		caller->local = true;
	} else {
		*identity = identify(call, tls);
		caller->revoked = *identity && (*identity)->revoked;
		if (*identity && !caller->revoked)
			caller->names = (*identity)->names;
	}
}

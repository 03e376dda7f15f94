#ifndef OIM_CONNECTION_H
#define OIM_CONNECTION_H

/*
 * The connection to the server that the settings name. It is opened by the
 * first command that needs it and kept for those after it, until one wants
 * another.
 */

#include "cli/settings.h"
#include "proto/lib/client.h"
#include "proto/lib/err.h"

struct tls;

struct connection {
	struct client *client; /* NULL: none */
	struct tls *tls;
	char *key;     /* the settings it was made of */
	char *name;    /* of the server, as it is printed */
	bool is_local; /* by a Unix socket */
};

/*
 * The client, borrowed. Without a server in the settings it is the first of the
 * usual sockets on which somebody answers. INVALID_ARGUMENT if settings for TCP
 * are missing.
 */
struct client *connection_open(struct connection *c, const struct settings *s,
			       struct err *err);
void connection_clear(struct connection *c);

#endif

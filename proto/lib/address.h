#ifndef OIM_ADDRESS_H
#define OIM_ADDRESS_H

/*
 * Addresses of gRPC servers, in all the forms that operators, configuration
 * and registered controllers use, and in the one that gRPC core takes. All
 * errors are INVALID_ARGUMENT and list the forms that are accepted.
 */

#include <stdbool.h>
#include <stdint.h>

#include "proto/lib/err.h"

enum address_kind {
	ADDRESS_UNIX = 1,
	ADDRESS_TCP,
};

struct address {
	enum address_kind kind;
	char *path;    /* of a Unix socket, absolute; else NULL */
	char *host;    /* name or IP without brackets, else NULL; "" is any
			  interface to listen on, this host to a client, and
			  refused for a controller, which is elsewhere */
	uint16_t port; /* 0 only where listening: the kernel chooses */
	char *target;  /* for gRPC core: "unix:/path" with %XX where a URI needs
			  it; to listen "host:port"; to dial
			  "dns:///host:port", "ipv4:..." or "ipv6:..." */
};

/*
 * What a server can listen on: unix:/path, unix:///path, /path, host:port,
 * dns:///host:port, tcp://host:port. IPv6 literals stand in brackets.
 */
int address_parse_listen(const char *s, struct address *a, struct err *err);

/* What oimctl dials: the same, and ipv4:, ipv6:, dns:host:port. Port not 0. */
int address_parse_server(const char *s, struct address *a, struct err *err);

/*
 * What a registry dials for a controller (design: Routing): unix:/path,
 * unix:///path, dns:, ipv4:, ipv6: and host:port.
 */
int address_parse_controller(const char *s, struct address *a, struct err *err);

/*
 * Whether it is reached from this host only: a Unix socket, localhost, an IP
 * of 127.0.0.0/8, ::1. Names are not looked up: other names, and none, are not
 * loopback.
 */
bool address_is_loopback(const struct address *a);

/* Whether the text names a Unix socket, however it is spelt and however bad. */
bool address_is_unix(const char *s);

/*
 * As it is printed and may be parsed again: "unix:///path", "host:port",
 * "[::1]:port", and "dns:///dns:port" for a host that is named like a scheme.
 * The caller frees it.
 */
char *address_format(const struct address *a);

/* Fits CLEANUP(). */
void address_clear(struct address *a);

#endif

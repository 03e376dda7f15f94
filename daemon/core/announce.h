#ifndef OIM_ANNOUNCE_H
#define OIM_ANNOUNCE_H

/*
 * A controller registers itself: at once, and again every interval, with the
 * registry of this daemon or of another one over a connection that is kept.
 * While that fails it is tried more often, less and less so. After three
 * intervals without a word the registry takes it for lost; the entry stays.
 * One thread for each controller.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/registry.h"
#include "proto/lib/err.h"
#include "proto/lib/tls.h"

struct announce_config {
	const char *controller; /* its id */
	const char *address;    /* what is registered */
	const char *registry;   /* address of another daemon, or NULL: */
	struct registry *local; /* this one's */
	struct tls *tls;        /* for TCP; may be NULL */
	int64_t interval;       /* ns */
};

/*
 * Which of the addresses that a daemon listens on (as printed, NULL-terminated)
 * a controller registers unless one is configured: a Unix socket if there is
 * one. Where other daemons serve the same registry they must reach it, too:
 * then it is the first on TCP that names a host, and FAILED_PRECONDITION if
 * there is none.
 */
const char *announce_address(const char *controller, char *const *listen,
			     bool is_shared, struct err *err);

struct announce;

/* All that the config points to is borrowed. */
struct announce *announce_start(const struct announce_config *config,
				struct err *err);

/* NULL is fine. */
void announce_stop(struct announce *a);

struct announce_status {
	const char *registry; /* "local" or its address */
	const char *address;
	int64_t succeeded; /* last, in ns since 1970; 0: never */
	char *problem;     /* of the last attempt, or NULL; the caller's */
};

void announce_status(struct announce *a, struct announce_status *status);

#endif

#ifndef OIM_DAEMON_H
#define OIM_DAEMON_H

/*
 * The daemon put together: which parts there are, what each is given, and in
 * which order they start and stop. Used by main()'s thread only, with all
 * signals blocked.
 */

#include "daemon/config.h"
#include "proto/lib/err.h"

struct daemon;

/*
 * Opens the store and the controllers, listens, and answers. Prints "listening
 * on ADDRESS" to stdout for each address then. The config is borrowed.
 */
struct daemon *daemon_start(const struct config *config, struct err *err);

/* Lets calls finish, stops, and frees. */
void daemon_stop(struct daemon *d);

/*
 * Looks whether all is well, and tells whoever watches. Every few seconds. -1
 * if only a new start can help: the outcome of a write to the node's store is
 * not known, and nothing is done before it is.
 */
int daemon_watch(struct daemon *d, struct err *err);

/* Reads certificates again; a bad file keeps the old ones. */
int daemon_reload(struct daemon *d, struct err *err);

#endif

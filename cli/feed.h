#ifndef OIM_CLI_FEED_H
#define OIM_CLI_FEED_H

/*
 * The events of a daemon, by one call that is made again where it broke off.
 * Leaves its task alone, so that several threads may each have one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/task.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/err.h"

struct feed;

struct feed_config {
	const char *controller;   /* whom the call is for, or NULL */
	const char *const *kinds; /* none: all */
	size_t n_kinds;
	const char *after; /* a position; NULL: from now on, or ... */
	bool oldest;      /* ... from the oldest; so too when some are missed */
	int64_t deadline; /* of CLOCK_MONOTONIC, ns; 0: none */

	bool is_needed; /* the first call must succeed */

	/*
	 * Sleeps before another attempt; false: to be given up. NULL: a call
	 * that has ended is an error at once.
	 */
	bool (*pause)(void *arg, int64_t ns);
	void *arg;
};

/* The connection is open. What the config points to is borrowed. */
struct feed *feed_new(const struct task *t, const struct feed_config *config);
/* NULL is fine. */
void feed_free(struct feed *f);

enum feed_news {
	FEED_BEGUN = 1, /* a call has: the reply says where the feed stands */
	FEED_EVENTS,    /* some, or only a position */
	FEED_MISSED,    /* some cannot be had any more; a call begins anew */
};

/*
 * Waits for news; the reply is in the arena. Once a call has begun, its end is
 * news only if what comes next cannot go on behind it. -1: it has failed.
 */
int feed_next(struct feed *f, struct arena *a,
	      const Oim__Admin__V1__WatchEventsReply **reply, struct err *err);

/* The call, for --dry-run. */
void feed_plan(struct task *t, const struct feed_config *config);

#endif

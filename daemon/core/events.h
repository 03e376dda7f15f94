#ifndef OIM_EVENTS_H
#define OIM_EVENTS_H

/*
 * What happens in this daemon and in the registry, for whoever follows it: the
 * last EVENTS_KEPT events are in memory, numbered; a follower reads at its own
 * pace and is told when it has fallen behind. Any thread.
 */

#include <stddef.h>
#include <stdint.h>

#include "proto/lib/arena.h"
#include "proto/lib/err.h"

#define EVENTS_KEPT 10000

struct events;

struct event {
	uint64_t sequence; /* from 1 */
	int64_t time;      /* ns since 1970 */
	const char *kind;  /* as in oim.admin.v1.Event */
	const char *controller;
	const char *object;
	const char *message;
};

struct events *events_new(void);
void events_free(struct events *e);

/* Made anew for each events_new(): sequences compare only within one. */
const char *events_instance(const struct events *e);

/*
 * Adds an event, copied; sequence and time are set here. NULL for events does
 * nothing, so that core can be tested and used without a feed. Strings may be
 * NULL.
 */
void events_publish(struct events *e, const char *kind, const char *controller,
		    const char *object, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* The sequence of the last event; 0 if there was none. */
uint64_t events_last(struct events *e);

/*
 * Those behind a sequence, at most limit, copied into the arena; OUT_OF_RANGE
 * if some of these are not kept any more, or if it is beyond the last.
 */
int events_read(struct events *e, uint64_t after, size_t limit, struct arena *a,
		struct event **list, size_t *n, struct err *err);

/*
 * Calls wake(arg) after each events_publish(), on its thread; it must not block
 * nor call events. After events_unfollow() has returned it is not called again.
 */
struct events_follower;
struct events_follower *events_follow(struct events *e, void (*wake)(void *arg),
				      void *arg);
void events_unfollow(struct events *e, struct events_follower *f);

#endif

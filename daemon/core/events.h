#ifndef OIM_EVENTS_H
#define OIM_EVENTS_H

/*
 * What happens in this daemon and in the registry, for whoever follows it: the
 * last EVENTS_KEPT events are in memory (fewer if they are so long that they
 * would take more than EVENTS_BYTES), numbered; a follower reads at its own
 * pace and is told when it has fallen behind. Any thread.
 */

#include <stddef.h>
#include <stdint.h>

#include "proto/lib/arena.h"
#include "proto/lib/err.h"

#define EVENTS_KEPT  10000
#define EVENTS_BYTES (8u << 20)

/* Bytes of each of its texts; what is longer is cut. */
#define EVENTS_TEXT 1023

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
/* Nobody may follow any more. NULL is fine. */
void events_free(struct events *e);

/* Made anew for each events_new(): sequences compare only within one. */
const char *events_instance(const struct events *e);

/*
 * Adds an event, copied; sequence and time are set here. NULL for events does
 * nothing, so that core can be tested and used without a feed. Controller and
 * object may be NULL; what is not UTF-8 ends a text. Waits for nobody.
 */
void events_publish(struct events *e, const char *kind, const char *controller,
		    const char *object, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* The sequence of the last event; 0 if there was none. */
uint64_t events_last(struct events *e);

/* The sequence behind which all those begin that are kept. */
uint64_t events_oldest(struct events *e);

/* Which ones are wanted. */
struct events_filter {
	const char *const
		*kinds;         /* these, and what begins with one and a dot */
	size_t n_kinds;         /* 0: all */
	const char *controller; /* NULL: of all, and of none */
};

struct events_batch {
	struct event *items;
	size_t n;
	uint64_t position; /* all up to it that are wanted have been told */
};

/*
 * Those that are wanted behind a sequence, at most limit, copied into the
 * arena. It looks at so many events at once that it may find none and yet be
 * not at the end: go on behind the position. OUT_OF_RANGE: some behind the
 * sequence are not kept any more, or it is beyond the last.
 */
int events_read(struct events *e, uint64_t after,
		const struct events_filter *filter, size_t limit,
		struct arena *a, struct events_batch *batch, struct err *err);

/*
 * Calls wake(arg) after each events_publish(), on its thread; it must not block
 * nor call events. After events_unfollow() has returned it is not called again.
 */
struct events_follower;
struct events_follower *events_follow(struct events *e, void (*wake)(void *arg),
				      void *arg);
/* NULL for the follower is fine. */
void events_unfollow(struct events *e, struct events_follower *f);

#endif

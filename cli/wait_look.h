#ifndef OIM_CLI_WAIT_LOOK_H
#define OIM_CLI_WAIT_LOOK_H

/*
 * How objects are just now, for wait: which states there are to wait for, and
 * whether the objects that are the task's arguments are in one of them.
 */

#include <stdbool.h>

#include "cli/task.h"
#include "proto/lib/err.h"

/* What must be true of an object, and what must not (wait_look.c). */
struct wait_state {
	const char *name;
	unsigned needs, excludes;
};

/* One look. The task comes first: replies are added to it. */
struct look {
	struct task task;
	const struct wait_state *state; /* that is waited for */
	unsigned *found;                /* by argument */
	bool is_partial;                /* not everybody could be asked */
};

struct wait_kind {
	const char *id;                  /* what its ids are called */
	bool everywhere;                 /* all controllers are asked */
	const struct wait_state *states; /* ended by one without a name */
	int (*look)(struct look *l, struct err *err);
};

extern const struct wait_kind wait_controllers, wait_mappings, wait_bdevs;

/* Whether what was found of an object is that state, for sure. */
bool look_is_so(const struct look *l, unsigned found);

#endif

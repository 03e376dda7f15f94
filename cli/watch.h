#ifndef OIM_CLI_WATCH_H
#define OIM_CLI_WATCH_H

/*
 * --watch of lists: what the list says, and again whenever that has changed.
 */

#include <stdbool.h>

#include "cli/opt.h"
#include "cli/task.h"
#include "proto/lib/err.h"

/* The option, for tables of options. */
#define WATCH_OPTION                                                           \
	{                                                                      \
		"watch", 'w', NULL, "print it again whenever it has changed",  \
			0, NULL                                                \
	}
extern const struct opt watch_options[]; /* it alone */

/*
 * Describes the list by list(), once or, with the option, until interrupted.
 * everywhere: what it says depends on all controllers that the server knows.
 */
int watch_list(struct task *t, bool everywhere,
	       int (*list)(struct task *t, struct err *err), struct err *err);

#endif

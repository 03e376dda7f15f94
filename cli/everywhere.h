#ifndef OIM_EVERYWHERE_H
#define OIM_EVERYWHERE_H

/*
 * Asking all controllers that the server knows: its own in one call, the others
 * through it, many at once.
 */

#include "cli/ask.h"
#include "cli/task.h"
#include "proto/lib/err.h"

/*
 * Calls add() with each reply; what->controller is not used. With a controller
 * in the settings only that one is asked, and its error is that of the
 * command; else those that fail are noted in the output, the status then is
 * STATUS_SOME.
 */
int everywhere_ask(struct task *t, const struct ask *what,
		   void (*add)(struct task *t, const void *reply),
		   struct err *err);

/* What there is of a controller. */
extern const struct ask everywhere_bdevs, everywhere_mappings;

#endif

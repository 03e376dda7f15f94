#ifndef OIM_ITEMS_H
#define OIM_ITEMS_H

/*
 * What "list" and "show" share: the one without arguments is about all objects,
 * the other about those with the ids that are its arguments.
 */

#include <stdbool.h>

#include "cli/task.h"
#include "proto/lib/err.h"

/* Whether all arguments are ids; what says of what. */
int items_check(const struct task *t, const char *what, struct err *err);

/* Whether the command is about the object of that id. */
bool items_has(const struct task *t, const char *id);

/*
 * Once all rows are there. What was asked for and is not among them is an
 * error, unless some were failed to be asked about. A single object that was
 * asked for becomes the document, of that kind. field is that of the id.
 */
int items_finish(struct task *t, const char *field, const char *kind,
		 struct err *err);

#endif

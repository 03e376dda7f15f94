#ifndef OIM_HINTS_H
#define OIM_HINTS_H

#include "cli/task.h"
#include "proto/lib/err.h"

/*
 * Says in an error of the server what the user can do next, unless the server
 * did, and its terser messages in words. May ask the server again, for a
 * quarter of a second.
 */
void hints_add(struct task *t, struct err *err);

#endif

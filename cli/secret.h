#ifndef OIM_SECRET_H
#define OIM_SECRET_H

/*
 * Secrets come from files and from stdin only, never from the command line.
 */

#include "cli/task.h"
#include "proto/lib/err.h"

/*
 * Reads the file, "-" being stdin: one line of text, the newline is not part of
 * it. On a terminal it is asked for and not shown. The caller frees it with
 * mem_free_secret().
 */
char *secret_read(struct task *t, const char *file, struct err *err);

#endif

#ifndef OIM_SESSION_H
#define OIM_SESSION_H

/*
 * What holds for all commands of the shell and of a batch file.
 */

#include "cli/task.h"
#include "proto/lib/err.h"

/* Global options of the command that opens a session hold for all of it. */
void session_adopt(struct session *s, const struct opt_values *opts);

/* What the options are, to be put back with session_restore(). */
struct opt_values session_save(struct session *s);
void session_restore(struct session *s, const struct opt_values *saved);

/*
 * Sets an option for all commands that follow, or with NULL takes it back. A
 * bad value changes nothing.
 */
int session_set(struct task *t, enum setting which, const char *value,
		struct err *err);

/* Runs one line. Returns its exit status. */
int session_run_line(struct session *s, const char *line);

#endif

#ifndef OIM_REPORT_H
#define OIM_REPORT_H

/*
 * All that is said on stderr, but for --trace.
 */

#include "cli/task.h"
#include "proto/lib/err.h"

/*
 * Prints why the command failed, as JSON if that is the output. status is the
 * exit status that it will have.
 */
void report_error(const struct task *t, const struct err *err, int status);

/* Prints which members of a list failed, unless the output says so. */
void report_failures(const struct task *t);

/* "oimctl: warning: ...", unless --quiet. */
void report_warning(const struct task *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A line if --verbose. */
void report_note(const struct task *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif

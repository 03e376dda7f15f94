#ifndef OIM_LOCK_H
#define OIM_LOCK_H

/*
 * One operation per object at a time: a set of ids that are being worked on.
 * Nobody waits: the second one is told to repeat. Any thread.
 */

#include "proto/lib/err.h"

struct locks;

struct locks *locks_new(void);
void locks_free(struct locks *l);

/* ABORTED if the id is taken. */
int lock_take(struct locks *l, const char *id, struct err *err);
void lock_drop(struct locks *l, const char *id);

#endif

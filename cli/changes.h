#ifndef OIM_CLI_CHANGES_H
#define OIM_CLI_CHANGES_H

/*
 * When to list again: as soon as something may have changed, told by the events
 * of the server and of the controllers that it reaches. Each has a thread.
 * Where nobody tells events, it is time every few seconds.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cli/task.h"
#include "proto/lib/err.h"

struct changes;

/*
 * Follows the events of the server, or of the controller in the settings; what
 * happens after it has returned is not missed. The task outlives it.
 */
struct changes *changes_begin(struct task *t, struct err *err);

/* Those of all controllers that the server knows but does not have itself, too,
 * if they are not followed yet. */
int changes_follow_all(struct changes *c, struct task *t, struct err *err);

/* 1: list again; 0: the deadline (CLOCK_MONOTONIC, 0: none) has passed; -1: it
 * is interrupted, or broken for good. */
int changes_wait(struct changes *c, int64_t deadline, struct err *err);

/* NULL is fine. */
void changes_end(struct changes *c);
static inline void cleanup_changes(struct changes **c)
{
	changes_end(*c);
}

/*
 * The end of a command that waits: its deadline if somebody asked for one, else
 * 0. Each round of it has the task's time for itself.
 */
int64_t changes_deadline(const struct task *t);
int64_t changes_round(int64_t deadline);

/* Whether a round that failed is no reason to give up: the server, or the way
 * to it, is away and may come back. */
bool changes_can_pass(const struct err *err, int64_t deadline);

#endif

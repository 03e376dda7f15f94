#ifndef OIM_RPC_LOOP_H
#define OIM_RPC_LOOP_H

/*
 * The loop: one completion queue and the one thread that serves it. Whatever
 * completes runs there, tag by tag; tasks posted by other threads and timers
 * run there too. Nothing that runs there may block.
 */

#include <stdbool.h>
#include <stdint.h>

#include <grpc/grpc.h>

#include "proto/lib/err.h"

struct loop;

/* What a completion runs, and for whom. A field of the object that waits. */
struct tag {
	void (*done)(void *arg, bool ok);
	void *arg;
};

/* Something to run on the loop, a field likewise. */
struct task {
	void (*run)(void *arg);
	void *arg;
	struct task *next;
};

struct loop *loop_new(void);

/* After loop_stop(). */
void loop_free(struct loop *l);

int loop_start(struct loop *l, struct err *err);

/* Ends the thread, if it was started, when everything under way has completed.
 * By another thread, once there is nothing left that starts something. */
void loop_stop(struct loop *l);

grpc_completion_queue *loop_queue(struct loop *l);

/* Runs the task soon, in the order of posting. Any thread. */
void loop_post(struct loop *l, struct task *task);

/*
 * Runs every(arg) on the loop about each period nanoseconds from now on. One
 * per loop; before loop_start().
 */
void loop_every(struct loop *l, int64_t period, void (*every)(void *arg),
		void *arg);

/*
 * Calls alive on the loop: with more than one, what they send is gathered into
 * bursts (cork.h). On the loop only.
 */
void loop_count_call(struct loop *l, int difference);

/*
 * Starts a batch that may complete within this very call, as a receive whose
 * data is here does: then returns true and *ok, and the tag is not run. Else it
 * will be. On the loop only; a refused batch counts as completed with ok false.
 */
bool loop_try_batch(struct loop *l, grpc_call *call, const grpc_op *ops,
		    size_t n, struct tag *tag, bool *ok);

#endif

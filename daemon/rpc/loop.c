/* The completion queue and its thread. */

#include "daemon/rpc/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/support/time.h>

#include "daemon/rpc/cork.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

/*
 * Completions that are handled between two turns of the corks: enough to make
 * few packets of many replies, and few enough that the other side has something
 * to do while we handle the next ones.
 */
#define BURST 16

struct loop {
	grpc_completion_queue *queue;
	pthread_t thread;
	bool is_running;
	int calls;
	struct corks *corks;

	/* Completions that loop_try_batch() met, owed to their tags. */
	struct owed {
		struct tag *tag;
		bool ok;
	} * owed;
	size_t n_owed, max_owed;

	/* An empty batch on this call is how another thread wakes the loop. */
	grpc_channel *nowhere;
	grpc_call *waker;
	struct tag wake;
	pthread_mutex_t mu; /* for the two below; innermost */
	struct task *tasks, **tasks_end;

	int64_t period, due;
	void (*every)(void *arg);
	void *every_arg;
};

static void run_tasks(void *arg, bool ok)
{
	struct loop *l = arg;
	struct task *task, *next;

	(void)ok;
	pthread_mutex_lock(&l->mu);
	task = l->tasks;
	l->tasks = NULL;
	l->tasks_end = &l->tasks;
	pthread_mutex_unlock(&l->mu);
	for (; task; task = next) {
		next = task->next;
		task->run(task->arg);
	}
}

void loop_post(struct loop *l, struct task *task)
{
	bool was_empty;

	task->next = NULL;
	pthread_mutex_lock(&l->mu);
	was_empty = !l->tasks;
	*l->tasks_end = task;
	l->tasks_end = &task->next;
	pthread_mutex_unlock(&l->mu);
	if (was_empty)
		grpc_call_start_batch(l->waker, NULL, 0, &l->wake, NULL);
}

struct loop *loop_new(void)
{
	struct loop *l = mem_zalloc(1, sizeof(*l));

	l->queue = grpc_completion_queue_create_for_next(NULL);
	l->nowhere = grpc_lame_client_channel_create(
		NULL, GRPC_STATUS_UNAVAILABLE, "nowhere");
	l->waker = grpc_channel_create_call(
		l->nowhere, NULL, 0, l->queue,
		grpc_slice_from_static_string("/"), NULL,
		gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
	l->wake = (struct tag){run_tasks, l};
	l->tasks_end = &l->tasks;
	pthread_mutex_init(&l->mu, NULL);
	l->corks = corks_new();
	return l;
}

void loop_free(struct loop *l)
{
	grpc_call_unref(l->waker);
	grpc_channel_destroy(l->nowhere);
	grpc_completion_queue_destroy(l->queue);
	corks_free(l->corks);
	free(l->owed);
	pthread_mutex_destroy(&l->mu);
	free(l);
}

grpc_completion_queue *loop_queue(struct loop *l)
{
	return l->queue;
}

void loop_every(struct loop *l, int64_t period, void (*every)(void *arg),
		void *arg)
{
	l->period = period;
	l->due = units_monotonic() + period;
	l->every = every;
	l->every_arg = arg;
}

void loop_count_call(struct loop *l, int difference)
{
	l->calls += difference;
}

bool loop_try_batch(struct loop *l, grpc_call *call, const grpc_op *ops,
		    size_t n, struct tag *tag, bool *ok)
{
	void *completed;
	int success;
	grpc_call_error error;

	grpc_completion_queue_thread_local_cache_init(l->queue);
	error = grpc_call_start_batch(call, ops, n, tag, NULL);
	if (!grpc_completion_queue_thread_local_cache_flush(
		    l->queue, &completed, &success)) {
		*ok = false;
		return error != GRPC_CALL_OK;
	}
	if (completed == tag) {
		*ok = success;
		return true;
	}
	/* Another event came by. To run it here could meet its object halfway
	 * through a step. */
	if (l->n_owed == l->max_owed) {
		l->max_owed += 16;
		l->owed = mem_realloc(l->owed, l->max_owed, sizeof(*l->owed));
	}
	l->owed[l->n_owed++] = (struct owed){completed, success};
	*ok = false;
	return error != GRPC_CALL_OK;
}

static void dispatch(struct loop *l, grpc_event ev)
{
	struct tag *tag = ev.tag;

	tag->done(tag->arg, ev.success);
	for (size_t i = 0; i < l->n_owed; i++)
		l->owed[i].tag->done(l->owed[i].tag->arg, l->owed[i].ok);
	l->n_owed = 0;
}

static gpr_timespec until(const struct loop *l)
{
	if (!l->every)
		return gpr_inf_future(GPR_CLOCK_MONOTONIC);
	return gpr_time_add(
		gpr_now(GPR_CLOCK_MONOTONIC),
		gpr_time_from_nanos(l->due - units_monotonic(), GPR_TIMESPAN));
}

static void tick(struct loop *l)
{
	if (!l->every || units_monotonic() < l->due)
		return;
	l->due = units_monotonic() + l->period;
	l->every(l->every_arg);
}

static void *run(void *arg)
{
	struct loop *l = arg;
	gpr_timespec now = gpr_inf_past(GPR_CLOCK_MONOTONIC);
	grpc_event ev;

	for (;;) {
		ev = grpc_completion_queue_next(l->queue, until(l), NULL);
		if (ev.type == GRPC_QUEUE_SHUTDOWN)
			return NULL;
		if (ev.type == GRPC_OP_COMPLETE) {
			bool burst =
				l->calls > 1; /* a lone call pays nothing */

			if (burst)
				corks_put(l->corks);
			dispatch(l, ev);
			for (int n = 0; burst && n < BURST; n++) {
				ev = grpc_completion_queue_next(l->queue, now,
								NULL);
				if (ev.type != GRPC_OP_COMPLETE)
					break;
				dispatch(l, ev);
			}
			if (burst)
				corks_pull(l->corks);
			if (ev.type == GRPC_QUEUE_SHUTDOWN)
				return NULL;
		}
		tick(l);
	}
}

int loop_start(struct loop *l, struct err *err)
{
	int error = pthread_create(&l->thread, NULL, run, l);

	if (error) {
		errno = error;
		return err_errno(err, "cannot start a thread");
	}
	pthread_setname_np(l->thread, "loop");
	l->is_running = true;
	return 0;
}

/* Takes what is left in a queue that no thread has served. */
static void drain(struct loop *l)
{
	gpr_timespec never = gpr_inf_future(GPR_CLOCK_REALTIME);
	grpc_event ev;

	do {
		ev = grpc_completion_queue_next(l->queue, never, NULL);
	} while (ev.type != GRPC_QUEUE_SHUTDOWN);
}

void loop_stop(struct loop *l)
{
	grpc_completion_queue_shutdown(l->queue);
	if (l->is_running)
		pthread_join(l->thread, NULL);
	else
		drain(l);
}

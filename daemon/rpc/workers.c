/* The pool of worker threads. */

#include "daemon/rpc/workers.h"

#include <pthread.h>
#include <stdlib.h>

#include "proto/lib/mem.h"

struct worker {
	struct workers *pool;
	pthread_t thread;
	pthread_cond_t wake;
	bool is_idle;
	struct worker *next; /* that is idle */
};

struct workers {
	pthread_mutex_t mu;
	struct worker *idle; /* the last one to become so first */
	struct job *jobs, **end;
	unsigned queued, max_queued;
	unsigned busy, n, max; /* threads that run a job, that there are */
	bool stop;
	struct worker all[];
};

struct workers *workers_new(unsigned threads, unsigned queue)
{
	struct workers *w =
		mem_zalloc(1, sizeof(*w) + threads * sizeof(*w->all));

	pthread_mutex_init(&w->mu, NULL);
	w->end = &w->jobs;
	w->max = threads;
	w->max_queued = queue;
	return w;
}

/* Waits for a job. */
static void idle(struct workers *w, struct worker *self)
{
	self->is_idle = true;
	self->next = w->idle;
	w->idle = self;
	while (self->is_idle && !w->stop)
		pthread_cond_wait(&self->wake, &w->mu);
}

/* Wakes the one whose memory is still warm: what a job leaves behind in caches
 * and in the heap of its thread is used again. */
static void wake_one(struct workers *w)
{
	struct worker *one = w->idle;

	if (!one)
		return;
	w->idle = one->next;
	one->is_idle = false;
	pthread_cond_signal(&one->wake);
}

static void *run(void *arg)
{
	struct worker *self = arg;
	struct workers *w = self->pool;
	struct job *job;

	pthread_mutex_lock(&w->mu);
	for (;;) {
		while (!w->jobs && !w->stop)
			idle(w, self);
		job = w->jobs;
		if (!job)
			break;
		w->jobs = job->next;
		if (!w->jobs)
			w->end = &w->jobs;
		w->queued--;
		w->busy++;
		pthread_mutex_unlock(&w->mu);
		job->run(job->arg);
		pthread_mutex_lock(&w->mu);
		w->busy--;
	}
	pthread_mutex_unlock(&w->mu);
	return NULL;
}

static void add_worker(struct workers *w)
{
	struct worker *new = &w->all[w->n];

	*new = (struct worker){.pool = w, .wake = PTHREAD_COND_INITIALIZER};
	if (pthread_create(&new->thread, NULL, run, new))
		return;
	pthread_setname_np(new->thread, "worker");
	w->n++;
}

bool workers_add(struct workers *w, struct job *job)
{
	bool added = false;

	pthread_mutex_lock(&w->mu);
	/* Jobs that a thread is free for are not yet taken, but do not wait. */
	if (w->queued >= w->n - w->busy && w->n < w->max)
		add_worker(w);
	/* Without a thread (the first could not be started) nothing waits. */
	if (w->n && w->queued < w->max_queued + w->n - w->busy) {
		job->next = NULL;
		*w->end = job;
		w->end = &job->next;
		w->queued++;
		added = true;
		wake_one(w);
	}
	pthread_mutex_unlock(&w->mu);
	return added;
}

void workers_free(struct workers *w)
{
	pthread_mutex_lock(&w->mu);
	w->stop = true;
	for (unsigned i = 0; i < w->n; i++)
		pthread_cond_signal(&w->all[i].wake);
	pthread_mutex_unlock(&w->mu);
	for (unsigned i = 0; i < w->n; i++)
		pthread_join(w->all[i].thread, NULL);
	pthread_mutex_destroy(&w->mu);
	free(w);
}

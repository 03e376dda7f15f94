/* The pool of worker threads. */

#include "daemon/rpc/workers.h"

#include <pthread.h>
#include <stdlib.h>

#include "proto/lib/mem.h"

struct workers {
	pthread_mutex_t mu;
	pthread_cond_t work;
	struct job *jobs, **end;
	unsigned queued, max_queued;
	unsigned busy, n, max; /* threads that run a job, that there are */
	bool stop;
	pthread_t threads[];
};

struct workers *workers_new(unsigned threads, unsigned queue)
{
	struct workers *w =
		mem_zalloc(1, sizeof(*w) + threads * sizeof(*w->threads));

	pthread_mutex_init(&w->mu, NULL);
	pthread_cond_init(&w->work, NULL);
	w->end = &w->jobs;
	w->max = threads;
	w->max_queued = queue;
	return w;
}

static void *run(void *arg)
{
	struct workers *w = arg;
	struct job *job;

	pthread_mutex_lock(&w->mu);
	for (;;) {
		while (!w->jobs && !w->stop)
			pthread_cond_wait(&w->work, &w->mu);
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

bool workers_add(struct workers *w, struct job *job)
{
	bool added = false;

	pthread_mutex_lock(&w->mu);
	/* Jobs that a thread is free for are not yet taken, but do not wait. */
	if (w->queued >= w->n - w->busy && w->n < w->max &&
	    pthread_create(&w->threads[w->n], NULL, run, w) == 0)
		pthread_setname_np(w->threads[w->n++], "worker");
	/* Without a thread (the first could not be started) nothing waits. */
	if (w->n && w->queued < w->max_queued + w->n - w->busy) {
		job->next = NULL;
		*w->end = job;
		w->end = &job->next;
		w->queued++;
		added = true;
		pthread_cond_signal(&w->work);
	}
	pthread_mutex_unlock(&w->mu);
	return added;
}

void workers_free(struct workers *w)
{
	pthread_mutex_lock(&w->mu);
	w->stop = true;
	pthread_cond_broadcast(&w->work);
	pthread_mutex_unlock(&w->mu);
	for (unsigned i = 0; i < w->n; i++)
		pthread_join(w->threads[i], NULL);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->mu);
	free(w);
}

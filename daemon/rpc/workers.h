#ifndef OIM_RPC_WORKERS_H
#define OIM_RPC_WORKERS_H

/*
 * A bounded pool of threads for what may block. Threads are started when there
 * is work and none is idle, and stay.
 */

#include <stdbool.h>

struct workers;

struct job {
	void (*run)(void *arg);
	void *arg;
	struct job *next;
};

/* So many threads at most, and so many jobs that wait for one of them. */
struct workers *workers_new(unsigned threads, unsigned queue);

/* False if the queue is full. The job is a field of what it is about, and is
 * not touched any more when it runs. Any thread. */
bool workers_add(struct workers *w, struct job *job);

/* Runs what is queued, waits for all threads, frees. */
void workers_free(struct workers *w);

#endif

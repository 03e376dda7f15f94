/* Threads for transactions: calls to etcd wait, those who submit must not. */

#include "daemon/store/etcd.h"

#include <stdlib.h>
#include <time.h>

#include "proto/lib/mem.h"

/* How long a thread waits for something to do. */
#define IDLE (10 * UNITS_SECOND)

struct etcd_pool {
	void (*run)(void *arg, struct store_txn *txn);
	void *arg;

	pthread_mutex_t mu; /* guards what follows */
	pthread_cond_t work;
	pthread_cond_t gone; /* a thread has ended */
	struct store_txn *head;
	struct store_txn **tail;
	size_t queued;
	size_t idle; /* threads */
	size_t threads;
	bool stop;
};

struct etcd_pool *etcd_pool_new(void (*run)(void *arg, struct store_txn *txn),
				void *arg)
{
	struct etcd_pool *p = mem_zalloc(1, sizeof(*p));

	p->run = run;
	p->arg = arg;
	p->tail = &p->head;
	pthread_mutex_init(&p->mu, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->gone, NULL);
	return p;
}

/* Needs mu. Waits; false: there is nothing, and will not be. */
static bool wait_for_work(struct etcd_pool *p)
{
	int64_t until = units_monotonic() + IDLE;
	struct timespec ts = {.tv_sec = until / UNITS_SECOND,
			      .tv_nsec = until % UNITS_SECOND};
	int rc = 0;

	p->idle++;
	while (rc == 0 && !p->head && !p->stop)
		rc = pthread_cond_clockwait(&p->work, &p->mu, CLOCK_MONOTONIC,
					    &ts);
	p->idle--;
	return p->head;
}

/* Needs mu. */
static struct store_txn *take(struct etcd_pool *p)
{
	struct store_txn *txn = p->head;

	p->head = txn->next;
	if (!p->head)
		p->tail = &p->head;
	p->queued--;
	return txn;
}

static void *work(void *arg)
{
	struct etcd_pool *p = arg;

	pthread_mutex_lock(&p->mu);
	while (wait_for_work(p)) {
		struct store_txn *txn = take(p);

		pthread_mutex_unlock(&p->mu);
		p->run(p->arg, txn);
		pthread_mutex_lock(&p->mu);
	}
	p->threads--;
	pthread_cond_signal(&p->gone);
	pthread_mutex_unlock(&p->mu);
	return NULL;
}

/* Needs mu. */
static void start_thread(struct etcd_pool *p)
{
	pthread_attr_t detached;
	pthread_t thread;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &detached, work, p) == 0)
		p->threads++;
	pthread_attr_destroy(&detached);
}

bool etcd_pool_add(struct etcd_pool *p, struct store_txn *txn)
{
	bool can;

	pthread_mutex_lock(&p->mu);
	if (!p->stop && p->idle <= p->queued && p->threads < ETCD_THREADS)
		start_thread(p);
	can = !p->stop && p->threads;
	if (can) {
		txn->next = NULL;
		*p->tail = txn;
		p->tail = &txn->next;
		p->queued++;
		pthread_cond_signal(&p->work);
	}
	pthread_mutex_unlock(&p->mu);
	return can;
}

void etcd_pool_free(struct etcd_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->mu);
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	while (p->threads)
		pthread_cond_wait(&p->gone, &p->mu);
	pthread_mutex_unlock(&p->mu);
	pthread_cond_destroy(&p->gone);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->mu);
	free(p);
}

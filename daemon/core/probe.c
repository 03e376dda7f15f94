/* Whether a store works, found out by a thread that may wait for it. */

#include "daemon/core/probe.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

/* How long an answer may take. */
#define PATIENCE (5 * UNITS_SECOND)

/* After how many periods it is away for those who would wait. */
#define HOPE 5

struct probe {
	struct store *store;
	int64_t period;
	pthread_t thread;

	pthread_mutex_t mu; /* for what follows */
	pthread_cond_t wake;
	bool stop;
	int64_t asked;   /* of CLOCK_MONOTONIC; 0: it has answered */
	struct err last; /* what it answered */
	int64_t worked;  /* when it last worked, or was first asked */
};

/* With the lock held; gives it away meanwhile. */
static void ask(struct probe *p)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_status status;

	p->asked = units_monotonic();
	pthread_mutex_unlock(&p->mu);
	store_check(p->store, &status, &err);
	pthread_mutex_lock(&p->mu);
	p->asked = 0;
	err_clear(&p->last);
	err_move(&p->last, &err);
	if (!p->last.code)
		p->worked = units_monotonic();
}

static void *run(void *arg)
{
	struct probe *p = arg;

	pthread_mutex_lock(&p->mu);
	while (!p->stop) {
		int64_t next;
		struct timespec ts;
		int rc = 0;

		ask(p);
		next = units_monotonic() + p->period;
		ts = (struct timespec){next / UNITS_SECOND,
				       next % UNITS_SECOND};
		while (!p->stop && rc != ETIMEDOUT)
			rc = pthread_cond_clockwait(&p->wake, &p->mu,
						    CLOCK_MONOTONIC, &ts);
	}
	pthread_mutex_unlock(&p->mu);
	return NULL;
}

static void forget(struct probe *p)
{
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->mu);
	err_clear(&p->last);
	free(p);
}

struct probe *probe_start(struct store *store, int64_t period, struct err *err)
{
	struct probe *p = mem_zalloc(1, sizeof(*p));
	int error;

	p->store = store;
	p->period = period;
	p->worked = units_monotonic();
	pthread_mutex_init(&p->mu, NULL);
	pthread_cond_init(&p->wake, NULL);
	error = pthread_create(&p->thread, NULL, run, p);
	if (error) {
		errno = error;
		err_errno(err, "cannot start a thread");
		forget(p);
		return NULL;
	}
	pthread_setname_np(p->thread, "probe");
	return p;
}

void probe_stop(struct probe *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->mu);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->mu);
	pthread_join(p->thread, NULL);
	forget(p);
}

int probe_result(struct probe *p, struct err *err)
{
	int64_t asked;
	int rc = 0;

	pthread_mutex_lock(&p->mu);
	asked = p->asked;
	if (p->last.code)
		rc = err_set(err, p->last.code, "%s", p->last.msg);
	pthread_mutex_unlock(&p->mu);
	if (rc == -1 || !asked || units_monotonic() - asked < PATIENCE)
		return rc;
	return err_set(err, GRPC_STATUS_UNAVAILABLE,
		       "the store has not answered for %" PRId64 " s",
		       (units_monotonic() - asked) / UNITS_SECOND);
}

int probe_check(struct probe *p, struct err *err)
{
	int64_t worked;

	if (!p)
		return 0;
	pthread_mutex_lock(&p->mu);
	worked = p->worked;
	pthread_mutex_unlock(&p->mu);
	if (units_monotonic() - worked < HOPE * p->period)
		return 0;
	return probe_result(p, err);
}

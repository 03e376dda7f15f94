/* The stop: calls may finish, new ones are refused, then all is closed. */

#include "daemon/rpc/server.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include <grpc/grpc.h>

#include "daemon/log.h"
#include "proto/lib/units.h"

#define LOG_COMPONENT "rpc"

/* How long no call may have come for a server to be shut down. */
#define QUIET (UNITS_SECOND / 100)

static void on_shut(void *arg, bool ok)
{
	struct rpc *rpc = ((struct rpc_server *)arg)->rpc;

	(void)ok;
	pthread_mutex_lock(&rpc->mu);
	rpc->shutting--;
	pthread_cond_broadcast(&rpc->changed);
	pthread_mutex_unlock(&rpc->mu);
}

static void begin_draining(void *arg)
{
	struct rpc *rpc = arg;

	stream_end_all(rpc);
	forward_end_streams(rpc);
	pthread_mutex_lock(&rpc->mu);
	rpc->draining = true;
	pthread_cond_broadcast(&rpc->changed);
	pthread_mutex_unlock(&rpc->mu);
}

/* Waits until no call is left; false if that is not so at the end. */
static bool wait_until_idle(struct rpc *rpc, int64_t end)
{
	struct timespec until = {end / UNITS_SECOND, end % UNITS_SECOND};
	int rc = 0;

	pthread_mutex_lock(&rpc->mu);
	while ((!rpc->draining || rpc->live) && rc == 0)
		rc = pthread_cond_clockwait(&rpc->changed, &rpc->mu,
					    CLOCK_MONOTONIC, &until);
	pthread_mutex_unlock(&rpc->mu);
	return rc == 0;
}

/* Whether a call comes within a moment. */
static bool comes_another(struct rpc *rpc)
{
	int64_t end = units_monotonic() + QUIET;
	struct timespec until = {end / UNITS_SECOND, end % UNITS_SECOND};
	unsigned before;
	bool came;
	int rc = 0;

	pthread_mutex_lock(&rpc->mu);
	before = rpc->accepted;
	while (rpc->accepted == before && rc == 0)
		rc = pthread_cond_clockwait(&rpc->changed, &rpc->mu,
					    CLOCK_MONOTONIC, &until);
	came = rpc->accepted != before;
	pthread_mutex_unlock(&rpc->mu);
	return came;
}

void server_shut_all(struct rpc *rpc)
{
	for (struct rpc_server *s = rpc->servers; s; s = s->next) {
		pthread_mutex_lock(&rpc->mu);
		rpc->shutting++;
		pthread_mutex_unlock(&rpc->mu);
		s->shut = (struct tag){on_shut, s};
		grpc_server_shutdown_and_notify(s->grpc, loop_queue(rpc->loop),
						&s->shut);
		/* Else it waits for clients that do not read. */
		grpc_server_cancel_all_calls(s->grpc);
	}
}

static void wait_until_shut(struct rpc *rpc)
{
	pthread_mutex_lock(&rpc->mu);
	while (rpc->shutting || rpc->live)
		pthread_cond_wait(&rpc->changed, &rpc->mu);
	pthread_mutex_unlock(&rpc->mu);
}

void rpc_drain(struct rpc *rpc, int64_t grace)
{
	int64_t end = units_monotonic() + grace;
	bool idle;

	if (!rpc->is_running)
		return;
	listeners_stop(rpc->listeners);
	rpc_post(rpc, begin_draining, rpc);
	/* From the shutdown on core ends new calls with CANCELLED, which
	 * clients do not repeat. So we refuse them, while there are any. */
	do
		idle = wait_until_idle(rpc, end);
	while (idle && comes_another(rpc) && units_monotonic() < end);
	if (!idle)
		log_warn("calls that are still under way are cancelled");
	server_shut_all(rpc);
	wait_until_shut(rpc);
}

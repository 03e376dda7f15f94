/* What all servers of the daemon share, from its start to its end. */

#include "daemon/rpc/server.h"

#include <stdlib.h>
#include <string.h>

#include <grpc/support/log.h>

#include "daemon/log.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

#define LOG_COMPONENT "rpc"

/* Between two looks for connections to controllers that no call used for so
 * long. */
#define SWEEP_PERIOD (30 * UNITS_SECOND)
#define MAX_IDLE     (300 * UNITS_SECOND)

/*
 * What core has to say: mostly what the caller is told as well. Exceptions are
 * failed handshakes, of which the other side only sees a closed connection, and
 * a port that does not accept any more.
 */
static void on_core_log(gpr_log_func_args *args)
{
	bool is_error = args->severity == GPR_LOG_SEVERITY_ERROR;

	if (is_error && strstr(args->file, "security"))
		log_warn("%s", args->message);
	else if (is_error && strstr(args->file, "tcp_server"))
		log_error("a TCP port is closed until the daemon restarts: %s",
			  args->message);
	else
		log_debug("%s", args->message);
}

static void sweep(void *arg)
{
	struct rpc *rpc = arg;

	channels_sweep(rpc->channels, MAX_IDLE);
}

/*
 * Debian builds abseil without NDEBUG: each lock that core takes is looked for
 * in a graph of all locks, to find cycles, a tenth of the time of a call. There
 * is no C interface to this switch; under another name it stays as it was.
 */
extern void set_deadlock_detection(int mode) __asm__(
	"_ZN4absl7debian329SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE")
	__attribute__((weak));

struct rpc *rpc_new(const struct rpc_config *config)
{
	struct rpc *rpc = mem_zalloc(1, sizeof(*rpc));

	if (set_deadlock_detection)
		set_deadlock_detection(0); /* kIgnore */
	gpr_set_log_function(on_core_log);
	grpc_init();
	rpc->config = *config;
	rpc->loop = loop_new();
	rpc->workers = workers_new(config->workers, config->queue);
	rpc->listeners = listeners_new();
	rpc->memory = grpc_resource_quota_create("oimd");
	grpc_resource_quota_resize(rpc->memory, RPC_MAX_MEMORY);
	rpc->channels = channels_new(config->tls, rpc->memory);
	pthread_mutex_init(&rpc->mu, NULL);
	pthread_cond_init(&rpc->changed, NULL);
	loop_every(rpc->loop, SWEEP_PERIOD, sweep, rpc);
	return rpc;
}

int rpc_start(struct rpc *rpc, struct err *err)
{
	/* There is no loop yet to disagree with. */
	for (struct rpc_server *s = rpc->servers; s; s = s->next)
		server_start(s);
	if (loop_start(rpc->loop, err) == -1)
		return -1;
	rpc->is_running = true;
	return listeners_start(rpc->listeners, err);
}

/* A task that owns itself. */
struct posted {
	struct task task;
	struct job job;
	void (*fn)(void *arg);
	void *arg;
};

static void run_posted(void *arg)
{
	struct posted *p = arg;

	p->fn(p->arg);
	free(p);
}

static struct posted *posted_new(void (*fn)(void *arg), void *arg)
{
	struct posted *p = mem_zalloc(1, sizeof(*p));

	p->task = (struct task){run_posted, p, NULL};
	p->job = (struct job){run_posted, p, NULL};
	p->fn = fn;
	p->arg = arg;
	return p;
}

void rpc_post(struct rpc *rpc, void (*fn)(void *arg), void *arg)
{
	loop_post(rpc->loop, &posted_new(fn, arg)->task);
}

bool rpc_work(struct rpc *rpc, void (*fn)(void *arg), void *arg)
{
	struct posted *p = posted_new(fn, arg);

	if (workers_add(rpc->workers, &p->job))
		return true;
	free(p);
	return false;
}

void rpc_free(struct rpc *rpc)
{
	struct rpc_server *next;
	struct call *call;

	if (!rpc->is_running)
		server_shut_all(rpc); /* else core refuses to free them */
	workers_free(rpc->workers);
	loop_stop(rpc->loop);
	channels_free(rpc->channels);
	listeners_free(rpc->listeners);
	for (struct rpc_server *s = rpc->servers; s; s = next) {
		next = s->next;
		server_free(s);
	}
	while ((call = rpc->idle)) {
		rpc->idle = call->next_idle;
		arena_free(call->arena);
		free(call);
	}
	loop_free(rpc->loop);
	grpc_resource_quota_unref(rpc->memory);
	grpc_shutdown();
	pthread_cond_destroy(&rpc->changed);
	pthread_mutex_destroy(&rpc->mu);
	free(rpc);
}

#ifndef OIM_TEST_RPC_FIXTURE_H
#define OIM_TEST_RPC_FIXTURE_H

/*
 * What tests of rpc have in common: a server of methods that the test has
 * written, a client of it, and a stage where the test meets its handlers.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/rpc/call.h"
#include "daemon/rpc/rpc.h"
#include "grpc/health/v1/health.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"
#include "tests/unit/client_fixture.h"

#define WORKERS 2
#define QUEUE   2

/* Events are counted, and waited for. */
enum event {
	ENTERED = 0, /* a handler began */
	LEFT,        /* and is about to return */
	ANSWERED,    /* a call by another thread */
	OPENED,      /* of streams */
	RECEIVED,
	HALF_CLOSED,
	DRAINED,
	CLOSED,
	EVENTS,
};

struct stage {
	pthread_mutex_t mu;
	pthread_cond_t changed;
	int counts[EVENTS];
	bool is_open; /* handlers that wait may go on */
};

static struct stage stage;

static inline void happens(enum event event)
{
	pthread_mutex_lock(&stage.mu);
	stage.counts[event]++;
	pthread_cond_broadcast(&stage.changed);
	pthread_mutex_unlock(&stage.mu);
}

static inline int count(enum event event)
{
	int n;

	pthread_mutex_lock(&stage.mu);
	n = stage.counts[event];
	pthread_mutex_unlock(&stage.mu);
	return n;
}

/* Waits until it has happened so often. */
static inline void await(enum event event, int n)
{
	pthread_mutex_lock(&stage.mu);
	while (stage.counts[event] < n)
		pthread_cond_wait(&stage.changed, &stage.mu);
	pthread_mutex_unlock(&stage.mu);
}

static inline void wait_for_stage(void)
{
	pthread_mutex_lock(&stage.mu);
	while (!stage.is_open)
		pthread_cond_wait(&stage.changed, &stage.mu);
	pthread_mutex_unlock(&stage.mu);
}

static inline void open_stage(void)
{
	pthread_mutex_lock(&stage.mu);
	stage.is_open = true;
	pthread_cond_broadcast(&stage.changed);
	pthread_mutex_unlock(&stage.mu);
}

struct rpc_fixture {
	struct fixture client; /* first: *state is used as either */
	struct rpc *rpc;
	struct rpc_server *server;
	char *address;
};

/* The rows of a service whose messages are all text; arg for call_arg(). */
static inline void serve(struct rpc_fixture *f,
			 const struct rpc_method *methods, void *arg,
			 rpc_router_fn *router)
{
	static struct rpc_service service;
	const struct rpc_service *services[] = {&service, NULL};
	struct rpc_config config = {
		.workers = WORKERS, .queue = QUEUE, .plaintext = true};

	service = (struct rpc_service){&grpc__health__v1__health__descriptor,
				       methods, arg};
	f->rpc = rpc_new(&config);
	f->server = rpc_server_new(f->rpc, services, router, arg);
	assert_int_equal(rpc_listen(f->server, "127.0.0.1:0", &f->address,
				    &f->client.err),
			 0);
	assert_int_equal(rpc_start(f->rpc, &f->client.err), 0);
	connect_to(&f->client, f->address, NULL, NULL);
}

static inline void stop_serving(struct rpc_fixture *f)
{
	if (!f->rpc)
		return;
	rpc_drain(f->rpc, UNITS_SECOND);
	rpc_free(f->rpc);
	f->rpc = NULL;
}

static inline int rpc_setup(void **state)
{
	struct rpc_fixture *f = mem_zalloc(1, sizeof(*f));

	stage = (struct stage){.mu = PTHREAD_MUTEX_INITIALIZER,
			       .changed = PTHREAD_COND_INITIALIZER};
	f->client.arena = arena_new();
	*state = f;
	return 0;
}

static inline int rpc_teardown(void **state)
{
	struct rpc_fixture *f = *state;

	open_stage();
	stop_serving(f);
	free(f->address);
	return teardown(state);
}

/* A method of that service; one that is asked for text and answers with it. */
#define PATH(name) "/grpc.health.v1.Health/" name
#define TEXT_METHOD(method_name, ...)                                          \
	{                                                                      \
		.name = (method_name), .request = TEXT_TYPE,                   \
		.reply = TEXT_TYPE, __VA_ARGS__                                \
	}

/* A call by a thread of its own. */
struct background {
	pthread_t thread;
	struct fixture own; /* shares the client, nothing else */
	const char *method;
	int64_t deadline;
	char *reply; /* copied, NULL on failure */
};

static inline void *run_background(void *arg)
{
	struct background *b = arg;
	const char *reply =
		call_until(&b->own, b->method, "hello", b->deadline);

	b->reply = mem_strdup(reply);
	happens(ANSWERED);
	return NULL;
}

static inline void begin(struct background *b, struct rpc_fixture *f,
			 const char *method, int64_t timeout)
{
	*b = (struct background){.method = method,
				 .deadline = units_monotonic() + timeout};
	b->own.client = f->client.client;
	b->own.arena = arena_new();
	assert_int_equal(pthread_create(&b->thread, NULL, run_background, b),
			 0);
}

static inline void finish(struct background *b)
{
	pthread_join(b->thread, NULL);
	arena_free(b->own.arena);
}

static inline void clear(struct background *b)
{
	free(b->reply);
	err_clear(&b->own.err);
}

#endif

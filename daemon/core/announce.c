/* Controllers that register themselves. */

#include "daemon/core/announce.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "daemon/core/liveness.h"
#include "daemon/log.h"
#include "oim/v0/oim.pb-c.h"
#include "proto/lib/address.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/client.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

#define LOG_COMPONENT "announce"

#define METHOD        "/oim.v0.Registry/RegisterController"
#define REGISTRY_NAME "component.registry"

/* How long an attempt may take. */
#define PATIENCE (10 * UNITS_SECOND)
/* The first pause after a failure; it doubles up to the interval. */
#define FIRST_RETRY UNITS_SECOND
/* After how many intervals without a word a controller counts as lost. */
#define TTL_INTERVALS 3

struct announce {
	struct announce_config config;
	struct client *client;
	char ttl[24];      /* seconds */
	char instance[33]; /* made anew at each start */
	pthread_t thread;

	pthread_mutex_t mu; /* for what follows */
	pthread_cond_t wake;
	bool stop;
	int64_t succeeded;
	char *problem;
};

static int register_there(struct announce *a, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *arena = arena_new();
	Oim__V0__RegisterControllerRequest request =
		OIM__V0__REGISTER_CONTROLLER_REQUEST__INIT;
	struct client_md md[] = {
		{LIVENESS_TTL_KEY, a->ttl, strlen(a->ttl)},
		{LIVENESS_INSTANCE_KEY, a->instance, strlen(a->instance)},
	};
	struct client_call call = {
		.method = METHOD,
		.reply_type = &oim__v0__register_controller_reply__descriptor,
		.md = md,
		.n_md = 2,
		.deadline = units_monotonic() + PATIENCE,
	};

	request.controller_id = (char *)a->config.controller;
	request.address = (char *)a->config.address;
	return client_unary(a->client, &call, &request.base, arena, err) ? 0
									 : -1;
}

static int register_here(struct announce *a, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *arena = arena_new();
	struct registry_change change = {
		.op = &op_self,
		.path = a->config.controller,
		.value = a->config.address,
		.ttl = a->ttl,
		.instance = a->instance,
		.arena = arena,
	};

	return registry_wait(a->config.local, registry_register, &change, err);
}

/* Tells of the first failure and of the end of a row of them. */
static void note(struct announce *a, struct err *err)
{
	bool was_well, stops;

	pthread_mutex_lock(&a->mu);
	was_well = !a->problem;
	stops = a->stop; /* and may have cancelled the call */
	free(a->problem);
	a->problem = mem_strdup(err->msg);
	if (!err->msg)
		a->succeeded = units_now();
	pthread_mutex_unlock(&a->mu);
	if (err->msg && was_well && !stops)
		log_warn("controller \"%s\" cannot register: %s",
			 a->config.controller, err->msg);
	else if (!err->msg && !was_well)
		log_info("controller \"%s\" is registered again",
			 a->config.controller);
}

/* Up to a fifth more or less, so that a cluster does not move in step. */
static int64_t jitter(int64_t pause)
{
	uint32_t r = 0;

	if (getrandom(&r, sizeof(r), 0) == -1)
		return pause;
	return pause / 5 * 4 +
	       (int64_t)((double)(pause / 5 * 2) * r / UINT32_MAX);
}

/* False if it is time to stop. */
static bool pause_for(struct announce *a, int64_t pause)
{
	int64_t until = units_monotonic() + jitter(pause);
	struct timespec ts = {until / UNITS_SECOND, until % UNITS_SECOND};
	int rc = 0;
	bool stop;

	pthread_mutex_lock(&a->mu);
	while (!a->stop && rc != ETIMEDOUT)
		rc = pthread_cond_clockwait(&a->wake, &a->mu, CLOCK_MONOTONIC,
					    &ts);
	stop = a->stop;
	pthread_mutex_unlock(&a->mu);
	return !stop;
}

static void *run(void *arg)
{
	struct announce *a = arg;
	const struct announce_config *config = &a->config;
	int64_t pause, retry = FIRST_RETRY;

	do {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		int rc = a->client ? register_there(a, &err)
				   : register_here(a, &err);

		note(a, &err);
		if (rc == 0)
			retry = FIRST_RETRY;
		pause = rc == 0 || retry > config->interval ? config->interval
							    : retry;
		if (rc == -1)
			retry = 2 * pause;
	} while (pause_for(a, pause));
	return NULL;
}

/* Whether it leads to this daemon from elsewhere. */
static bool has_host(const char *listen)
{
	CLEANUP(err_clear) struct err ignored = ERR_INIT;
	CLEANUP(address_clear) struct address a = {0};

	return !address_is_unix(listen) &&
	       address_parse_listen(listen, &a, &ignored) == 0 && *a.host &&
	       strcmp(a.host, "0.0.0.0") != 0 && strcmp(a.host, "::") != 0;
}

const char *announce_address(const char *controller, char *const *listen,
			     bool is_shared, struct err *err)
{
	for (char *const *l = listen; *l; l++)
		if (is_shared ? has_host(*l) : address_is_unix(*l))
			return *l;
	if (!is_shared)
		return listen[0];
	err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
		"controller \"%s\" has no address at which the other daemons of the registry could reach it: set controller.%s.address, or have a host and a port in daemon.listen",
		controller, controller);
	return NULL;
}

static int connect_there(struct announce *a, struct err *err)
{
	struct client_config config = {.address = a->config.registry,
				       .tls = a->config.tls,
				       .tls_name = REGISTRY_NAME};

	a->client = client_new(&config, err);
	return a->client ? 0 : -1;
}

/* Who it is, and for how long it is so when nothing is heard of it. */
static void name(struct announce *a)
{
	int64_t ttl = (TTL_INTERVALS * a->config.interval + UNITS_SECOND - 1) /
		      UNITS_SECOND;

	if (ttl < STORE_MIN_TTL)
		ttl = STORE_MIN_TTL;
	snprintf(a->ttl, sizeof(a->ttl), "%" PRId64, ttl);
	/* If that fails it says nothing of who it is. */
	id_random(a->instance, sizeof(a->instance));
}

struct announce *announce_start(const struct announce_config *config,
				struct err *err)
{
	struct announce *a = mem_zalloc(1, sizeof(*a));
	int error;

	a->config = *config;
	pthread_mutex_init(&a->mu, NULL);
	pthread_cond_init(&a->wake, NULL);
	name(a);
	if (config->registry && connect_there(a, err) == -1) {
		err_wrap(err, "registry of controller \"%s\"",
			 config->controller);
		free(a);
		return NULL;
	}
	error = pthread_create(&a->thread, NULL, run, a);
	if (error) {
		errno = error;
		err_errno(err, "cannot start a thread");
		client_free(a->client);
		free(a);
		return NULL;
	}
	pthread_setname_np(a->thread, "announce");
	return a;
}

static bool has_ended(struct announce *a)
{
	int64_t until = units_monotonic() + UNITS_SECOND / 100;
	struct timespec ts = {until / UNITS_SECOND, until % UNITS_SECOND};

	return pthread_clockjoin_np(a->thread, NULL, CLOCK_MONOTONIC, &ts) == 0;
}

void announce_stop(struct announce *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->mu);
	a->stop = true;
	pthread_cond_signal(&a->wake);
	pthread_mutex_unlock(&a->mu);
	/* It may be about to begin a call. */
	while (!has_ended(a))
		if (a->client)
			client_cancel(a->client);
	client_free(a->client);
	pthread_cond_destroy(&a->wake);
	pthread_mutex_destroy(&a->mu);
	free(a->problem);
	free(a);
}

void announce_status(struct announce *a, struct announce_status *status)
{
	pthread_mutex_lock(&a->mu);
	status->registry = a->config.registry ? a->config.registry : "local";
	status->address = a->config.address;
	status->succeeded = a->succeeded;
	status->problem = mem_strdup(a->problem);
	pthread_mutex_unlock(&a->mu);
}

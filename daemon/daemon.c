/* The daemon put together. */

#include "daemon/daemon.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/announce.h"
#include "daemon/core/controller.h"
#include "daemon/core/events.h"
#include "daemon/core/liveness_watch.h"
#include "daemon/core/probe.h"
#include "daemon/core/registry.h"
#include "daemon/core/registry_events.h"
#include "daemon/core/stores.h"
#include "daemon/host/dir.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/route.h"
#include "daemon/rpc/rpc.h"
#include "daemon/service/admin.h"
#include "daemon/service/controller.h"
#include "daemon/service/health.h"
#include "daemon/service/reflection.h"
#include "daemon/service/registry.h"
#include "daemon/service/watch_events.h"
#include "daemon/store/store.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.pb-c.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "oim/v0/oim.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/tls.h"
#include "proto/lib/units.h"

#define LOG_COMPONENT "daemon"

#define MAX_SERVICES 8

/* From one look whether the store of the cluster answers to the next. */
#define PROBE_PERIOD (2 * UNITS_SECOND)

struct daemon {
	const struct config *config;
	struct tls *tls;
	struct stores stores;
	struct probe *probe; /* of the cluster's, if it may take long */
	struct events *events;
	struct registry *registry;
	struct liveness_watch *liveness; /* with a registry, as is the next */
	struct registry_events *registry_events;
	struct controllers controllers;
	struct announce **announces; /* as controllers */
	struct rpc *rpc;
	char **bound; /* what it listens on, NULL-terminated */

	struct rpc_service services[MAX_SERVICES];
	const struct rpc_service *service_list[MAX_SERVICES + 1];
	const char *service_names[MAX_SERVICES + 1];
	size_t n_services;
	struct health *health;
	struct watch_events *watch_events;
	struct admin admin;
	struct routes routes;
	bool is_serving; /* rpc runs */
	bool is_ill;
	size_t n_lost; /* as systemd knows it */
};

/* --- parts --- */

static void on_certificates(void *arg, const struct err *err)
{
	(void)arg;
	if (err)
		log_error("certificates are not changed: %s", err->msg);
	else
		log_info("new certificates are in use");
}

static int open_tls(struct daemon *d, struct err *err)
{
	if (!d->config->tls.ca)
		return 0;
	d->tls = tls_new(&d->config->tls, err);
	if (!d->tls)
		return -1;
	tls_on_refresh(d->tls, on_certificates, NULL);
	return 0;
}

/* Whether the cluster's store is this daemon's alone. */
static bool is_embedded(const struct daemon *d)
{
	return store_is_embedded(d->stores.cluster);
}

static int open_store(struct daemon *d, struct err *err)
{
	const struct config *config = d->config;

	if (config->run_dir && dir_make(config->run_dir, 0755, err) == -1)
		return -1;
	if (config->state_dir && dir_make(config->state_dir, 0700, err) == -1)
		return -1;
	d->stores.node = store_lmdb_open(config->store_path, err);
	if (!d->stores.node)
		return -1;
	d->stores.cluster = d->stores.node;
	if (config->has_etcd)
		d->stores.cluster = store_etcd_open(&config->etcd, err);
	if (!d->stores.cluster)
		return err_wrap(err, "store");
	return 0;
}

/* The registry, and who looks after the store that it is in. */
static int open_registry(struct daemon *d, struct err *err)
{
	if (d->config->registry) {
		d->registry = registry_new(d->stores.cluster);
		d->liveness =
			liveness_watch_start(d->stores.cluster, d->events, err);
		d->registry_events = registry_events_start(d->stores.cluster,
							   d->events, err);
		if (!d->liveness || !d->registry_events)
			return -1;
	}
	if (is_embedded(d))
		return 0;
	d->probe = probe_start(d->stores.cluster, PROBE_PERIOD, err);
	if (!d->probe)
		return -1;
	if (d->registry)
		registry_set_probe(d->registry, d->probe);
	return 0;
}

static int open_controllers(struct daemon *d, struct err *err)
{
	size_t n = d->config->n_controllers;

	d->controllers.items = mem_zalloc(n, sizeof(*d->controllers.items));
	d->announces = mem_zalloc(n, sizeof(*d->announces));
	for (size_t i = 0; i < n; i++) {
		const struct config_controller *k = &d->config->controllers[i];
		struct controller_config config = {k->id, k->plane,
						   k->memory_dir,
						   k->malloc_limit, d->events};
		struct controller *c =
			controller_open(&config, d->stores.node, err);

		if (!c)
			return -1;
		d->controllers.items[d->controllers.n++] = c;
	}
	controllers_note_others(&d->controllers, d->stores.node);
	return 0;
}

static void add_service(struct daemon *d,
			const ProtobufCServiceDescriptor *contract,
			const struct rpc_method *methods, void *arg)
{
	size_t i = d->n_services++;

	d->services[i] = (struct rpc_service){contract, methods, arg};
	d->service_list[i] = &d->services[i];
	d->service_names[i] = contract->name;
}

static void add_services(struct daemon *d)
{
	if (d->registry)
		add_service(d, &oim__v0__registry__descriptor,
			    service_registry_methods(d->registry), d->registry);
	/* What a registry forwards is served, too, and a call whose method core
	 * knows comes with its request. */
	if (d->controllers.n || d->registry)
		add_service(d, &oim__v0__controller__descriptor,
			    service_controller, &d->controllers);
	add_service(d, &oim__admin__v1__admin__descriptor, service_admin,
		    &d->admin);
	/* What has health are those that do the work. */
	d->health = health_new(d->service_names);
	add_service(d, &grpc__health__v1__health__descriptor, service_health,
		    d->health);
	add_service(d, &grpc__reflection__v1__server_reflection__descriptor,
		    service_reflection, d->service_names);
	add_service(d,
		    &grpc__reflection__v1alpha__server_reflection__descriptor,
		    service_reflection, d->service_names);
}

static int listen_all(struct daemon *d, struct rpc_server *server,
		      struct err *err)
{
	const char *const *listen = d->config->listen;
	size_t n = 0;

	while (listen[n])
		n++;
	d->bound = mem_zalloc(n + 1, sizeof(*d->bound));
	for (size_t i = 0; i < n; i++)
		if (rpc_listen(server, listen[i], &d->bound[i], err) == -1)
			return -1;
	return 0;
}

static int open_rpc(struct daemon *d, struct err *err)
{
	struct rpc_config config = {.workers = (unsigned)d->config->workers,
				    .queue = (unsigned)d->config->queue,
				    .tls = d->tls,
				    .plaintext = d->config->plaintext};
	struct rpc_server *server;

	d->rpc = rpc_new(&config);
	d->routes = (struct routes){.registry = d->registry,
				    .controllers = &d->controllers,
				    .has_tls = d->tls != NULL,
				    .liveness = d->liveness,
				    .rpc = d->rpc};
	d->watch_events = watch_events_new(d->events);
	add_services(d);
	server =
		rpc_server_new(d->rpc, d->service_list, route_call, &d->routes);
	if (listen_all(d, server, err) == -1)
		return -1;
	d->admin.started = units_now();
	d->admin.listen = (const char *const *)d->bound;
	d->admin.stores = &d->stores;
	d->admin.registry = d->registry;
	d->admin.liveness = d->liveness;
	d->admin.controllers = &d->controllers;
	d->admin.announces = d->announces;
	d->admin.watch = d->watch_events;
	return 0;
}

static int start_announces(struct daemon *d, struct err *err)
{
	for (size_t i = 0; i < d->controllers.n; i++) {
		const struct config_controller *k = &d->config->controllers[i];
		struct announce_config config = {
			.controller = k->id,
			.address = k->address,
			.registry = k->registry,
			.local = d->registry,
			.tls = d->tls,
			.interval = k->interval,
		};

		if (!config.registry && !config.local)
			continue;
		if (!config.address)
			config.address = announce_address(
				k->id, d->bound,
				!config.registry && !is_embedded(d), err);
		if (!config.address)
			return -1;
		d->announces[i] = announce_start(&config, err);
		if (!d->announces[i])
			return -1;
	}
	return 0;
}

/* When all that calls look at is there. */
static int start_rpc(struct daemon *d, struct err *err)
{
	if (rpc_start(d->rpc, err) == -1)
		return -1;
	d->is_serving = true;
	watch_events_start(d->watch_events, d->rpc);
	return 0;
}

static void stop_rpc(struct daemon *d)
{
	if (d->is_serving) {
		d->admin.draining = true;
		health_set(d->health, d->rpc, NULL, false);
		watch_events_stop(d->watch_events);
	}
	if (d->rpc)
		rpc_drain(d->rpc, d->config->drain);
}

/* --- the whole --- */

struct daemon *daemon_start(const struct config *config, struct err *err)
{
	struct daemon *d = mem_zalloc(1, sizeof(*d));

	d->config = config;
	d->events = events_new();
	if (open_tls(d, err) == -1 || open_store(d, err) == -1 ||
	    open_registry(d, err) == -1 || open_controllers(d, err) == -1 ||
	    open_rpc(d, err) == -1 || start_announces(d, err) == -1 ||
	    start_rpc(d, err) == -1) {
		daemon_stop(d);
		return NULL;
	}
	for (char **b = d->bound; *b; b++)
		printf("listening on %s\n", *b);
	fflush(stdout);
	notify("READY=1\nSTATUS=%zu controllers here", d->controllers.n);
	return d;
}

void daemon_stop(struct daemon *d)
{
	notify("STOPPING=1");
	stop_rpc(d);
	for (size_t i = 0; i < d->controllers.n; i++)
		announce_stop(d->announces[i]);
	if (d->rpc)
		rpc_free(d->rpc);
	watch_events_free(d->watch_events);
	health_free(d->health);
	for (size_t i = 0; i < d->controllers.n; i++)
		controller_close(d->controllers.items[i]);
	free(d->controllers.items);
	free(d->announces);
	registry_events_stop(d->registry_events);
	probe_stop(d->probe);
	liveness_watch_stop(d->liveness);
	registry_free(d->registry);
	if (d->stores.cluster != d->stores.node)
		store_close(d->stores.cluster);
	store_close(d->stores.node);
	events_free(d->events);
	tls_unref(d->tls);
	for (char **b = d->bound; b && *b; b++)
		free(*b);
	free(d->bound);
	free(d);
}

/*
 * What depends on the node's store alone serves while the cluster's is away.
 * is_lost: a write to the node's has an outcome that is not known, and only who
 * opens it anew finds out.
 */
static bool check_stores(struct daemon *d, bool *is_lost, struct err *trouble)
{
	const char *registry = oim__v0__registry__descriptor.name;
	struct store_status status;
	bool node = store_check(d->stores.node, &status, trouble) == 0;
	bool cluster = node;

	*is_lost = !node && trouble->code == GRPC_STATUS_UNAVAILABLE;
	if (node && d->probe)
		cluster = probe_result(d->probe, trouble) == 0;
	for (const char **s = d->service_names; *s; s++)
		health_set(d->health, d->rpc, *s,
			   strcmp(*s, registry) == 0 ? cluster : node);
	return cluster;
}

static void tell_systemd(struct daemon *d)
{
	size_t n_lost = liveness_watch_lost(d->liveness);

	if (n_lost == d->n_lost)
		return;
	d->n_lost = n_lost;
	notify("STATUS=%zu controllers here, %zu of the registry lost",
	       d->controllers.n, n_lost);
}

int daemon_watch(struct daemon *d, struct err *err)
{
	CLEANUP(err_clear) struct err trouble = ERR_INIT;
	bool is_lost;
	bool is_ill = !check_stores(d, &is_lost, &trouble);

	if (is_ill && !d->is_ill)
		log_error("the store does not work: %s", trouble.msg);
	else if (!is_ill && d->is_ill)
		log_info("the store works again");
	d->is_ill = is_ill;
	for (size_t i = 0; i < d->controllers.n; i++)
		controller_watch(d->controllers.items[i]);
	if (is_lost)
		err_move(err, &trouble);
	err_clear(&trouble);
	tell_systemd(d);
	if (d->tls) /* on_certificates() tells */
		tls_refresh(d->tls, false, &trouble);
	return is_lost ? -1 : 0;
}

int daemon_reload(struct daemon *d, struct err *err)
{
	return d->tls ? tls_refresh(d->tls, true, err) : 0;
}

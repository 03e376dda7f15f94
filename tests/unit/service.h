#ifndef OIM_TESTS_SERVICE_H
#define OIM_TESTS_SERVICE_H

/*
 * What tests of services share: the services of a daemon with a registry and
 * two controllers on null planes, behind a Unix socket, and a client.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/core/registry_events.h"
#include "daemon/log.h"
#include "daemon/route.h"
#include "daemon/rpc/rpc.h"
#include "daemon/service/admin.h"
#include "daemon/service/controller.h"
#include "daemon/service/registry.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "oim/v0/compat.pb-c.h"
#include "oim/v0/oim.pb-c.h"
#include "proto/lib/client.h"
#include "proto/lib/units.h"
#include "tests/unit/away_store.h"
#include "tests/unit/core.h"

#define SERVICE_WORKERS 4
#define SERVICE_QUEUE   16

struct service {
	char *dir;
	struct stores stores;
	struct away_store away;
	struct events *events;
	struct registry_events *registry_events;
	struct watch_events *watch;
	struct registry *registry;
	struct controller *items[2];
	struct controllers controllers;
	struct announce *announces[2]; /* none */
	struct admin admin;
	struct routes routes;
	struct rpc_service services[3];
	const struct rpc_service *list[4];
	struct rpc *rpc;
	char *address;
	struct client *client;
	struct arena *arena;
	const char *controller;     /* named by calls; NULL: none */
	const char *ttl, *instance; /* said by calls, likewise */
	struct err err;             /* of the last call */
};

static inline void service_open_controllers(struct service *f)
{
	static const char *const ids[] = {"k1", "k2"};

	for (int i = 0; i < 2; i++) {
		const struct controller_config config = {
			.id = ids[i], .plane = "null", .events = f->events};

		f->items[i] = controller_open(&config, f->stores.node, &f->err);
		assert_non_null(f->items[i]);
	}
	f->controllers = (struct controllers){f->items, 2};
}

static inline void service_listen(struct service *f)
{
	const struct rpc_config config = {.workers = SERVICE_WORKERS,
					  .queue = SERVICE_QUEUE};
	CLEANUP(cleanup_free) char *socket = mem_printf("unix:%s/s", f->dir);
	struct rpc_server *server;

	f->services[0] = (struct rpc_service){
		&oim__v0__registry__descriptor,
		service_registry_methods(f->registry), f->registry};
	f->services[1] =
		(struct rpc_service){&oim__v0__controller__descriptor,
				     service_controller, &f->controllers};
	f->services[2] = (struct rpc_service){
		&oim__admin__v1__admin__descriptor, service_admin, &f->admin};
	for (int i = 0; i < 3; i++)
		f->list[i] = &f->services[i];
	f->rpc = rpc_new(&config);
	f->routes.rpc = f->rpc;
	server = rpc_server_new(f->rpc, f->list, route_call, &f->routes);
	if (rpc_listen(server, socket, &f->address, &f->err) == -1 ||
	    rpc_start(f->rpc, &f->err) == -1)
		fail_msg("%s", f->err.msg);
}

static inline void service_start(struct service *f)
{
	static const char *const nowhere[] = {NULL};

	f->events = events_new();
	f->registry = registry_new(f->stores.cluster);
	f->registry_events =
		registry_events_start(f->stores.cluster, f->events, &f->err);
	assert_non_null(f->registry_events);
	service_open_controllers(f);
	f->routes = (struct routes){.registry = f->registry,
				    .controllers = &f->controllers};
	f->watch = watch_events_new(f->events);
	f->admin = (struct admin){.listen = nowhere,
				  .stores = &f->stores,
				  .registry = f->registry,
				  .controllers = &f->controllers,
				  .announces = f->announces,
				  .watch = f->watch};
	service_listen(f);
	watch_events_start(f->watch, f->rpc);
	f->client = client_new(&(struct client_config){.address = f->address},
			       &f->err);
	assert_non_null(f->client);
	f->arena = arena_new();
	f->controller = "k1";
}

static inline struct service *service_new(void)
{
	struct service *f = mem_zalloc(1, sizeof(*f));

	log_set_level(0);
	f->dir = core_make_dir();
	f->stores.node = core_open_store(f->dir);
	f->stores.cluster = f->stores.node;
	return f;
}

static inline int service_open(void **state)
{
	*state = service_new();
	service_start(*state);
	return 0;
}

/* The cluster's store is not embedded. */
static inline int service_open_away(void **state)
{
	struct service *f = service_new();

	away_open(&f->away, f->stores.node);
	f->stores.cluster = &f->away.store;
	service_start(f);
	*state = f;
	return 0;
}

static inline int service_close(void **state)
{
	struct service *f = *state;

	client_free(f->client);
	watch_events_stop(f->watch);
	rpc_drain(f->rpc, UNITS_SECOND);
	rpc_free(f->rpc);
	for (int i = 0; i < 2; i++)
		controller_close(f->items[i]);
	watch_events_free(f->watch);
	registry_events_stop(f->registry_events);
	registry_free(f->registry);
	events_free(f->events);
	store_close(f->stores.node);
	core_remove_dir(f->dir);
	arena_free(f->arena);
	err_clear(&f->err);
	free(f->address);
	free(f);
	return 0;
}

#define SERVICE_TEST(f)                                                        \
	cmocka_unit_test_setup_teardown(f, service_open, service_close)

static inline size_t service_metadata(const struct service *f,
				      struct client_md md[3])
{
	const char *keys[] = {"controllerid", "oim-ttl", "oim-instance"};
	const char *values[] = {f->controller, f->ttl, f->instance};
	size_t n = 0;

	for (int i = 0; i < 3; i++)
		if (values[i])
			md[n++] = (struct client_md){keys[i], values[i],
						     strlen(values[i])};
	return n;
}

/* The reply, or NULL with f->err. */
static inline void *service_call(struct service *f, const char *method,
				 const ProtobufCMessage *request,
				 const ProtobufCMessageDescriptor *type)
{
	struct client_md md[3];
	const struct client_call call = {
		.method = method,
		.reply_type = type,
		.md = md,
		.n_md = service_metadata(f, md),
		.deadline = units_monotonic() + 20 * UNITS_SECOND,
	};

	err_clear(&f->err);
	return client_unary(f->client, &call, request, f->arena, &f->err);
}

/* The last call failed with that code and that text. */
static inline void service_failed(struct service *f, int code, const char *text)
{
	const char *msg = f->err.msg ? f->err.msg : "";

	assert_int_equal(f->err.code, code);
	if (!strstr(msg, text))
		fail_msg("\"%s\" does not say \"%s\"", msg, text);
}

static inline int service_provision(struct service *f, const char *name,
				    int64_t size)
{
	Oim__V0__ProvisionMallocBDevRequest r =
		OIM__V0__PROVISION_MALLOC_BDEV_REQUEST__INIT;

	r.bdev_name = (char *)name;
	r.size = size;
	service_call(f, "/oim.v0.Controller/ProvisionMallocBDev", &r.base,
		     &oim__v0__provision_malloc_bdev_reply__descriptor);
	return f->err.code;
}

static inline int service_unmap(struct service *f, const char *volume)
{
	Oim__V0__UnmapVolumeRequest r = OIM__V0__UNMAP_VOLUME_REQUEST__INIT;

	r.volume_id = (char *)volume;
	service_call(f, "/oim.v0.Controller/UnmapVolume", &r.base,
		     &oim__v0__unmap_volume_reply__descriptor);
	return f->err.code;
}

/* A request of any form; the device, or NULL. */
static inline const char *service_map(struct service *f,
				      const ProtobufCMessage *request)
{
	Oim__V0__MapVolumeReply *reply =
		service_call(f, "/oim.v0.Controller/MapVolume", request,
			     &oim__v0__map_volume_reply__descriptor);

	return reply ? reply->device : NULL;
}

static inline const char *service_map_malloc(struct service *f,
					     const char *volume)
{
	Oim__V0__MapVolumeRequest r = OIM__V0__MAP_VOLUME_REQUEST__INIT;
	Oim__V0__MallocParams malloc_params = OIM__V0__MALLOC_PARAMS__INIT;

	r.volume_id = (char *)volume;
	r.params_case = OIM__V0__MAP_VOLUME_REQUEST__PARAMS_MALLOC;
	r.malloc = &malloc_params;
	return service_map(f, &r.base);
}

static inline const char *service_map_ceph(struct service *f,
					   const char *volume,
					   Oim__V0__CephParams *params)
{
	Oim__V0__MapVolumeRequest r = OIM__V0__MAP_VOLUME_REQUEST__INIT;

	r.volume_id = (char *)volume;
	r.params_case = OIM__V0__MAP_VOLUME_REQUEST__PARAMS_CEPH;
	r.ceph = params;
	return service_map(f, &r.base);
}

#endif

/* The way of a call. */

#include "daemon/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/access.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

#define CONTROLLER "oim.v0.Controller"
#define ADMIN      "oim.admin.v1.Admin"

/* Services of the daemon itself: never forwarded, whatever the metadata says.
 */
static bool is_own(const char *service)
{
	static const char *const own[] = {
		"oim.v0.Registry",
		"grpc.health.v1.Health",
		"grpc.reflection.v1.ServerReflection",
		"grpc.reflection.v1alpha.ServerReflection",
	};

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (strcmp(service, own[i]) == 0)
			return true;
	return false;
}

static int refuse_ambiguous(const struct controllers *cs, struct err *err)
{
	CLEANUP(cleanup_free) char *ids = NULL;
	size_t size;
	FILE *out = open_memstream(&ids, &size);

	for (size_t i = 0; i < cs->n; i++)
		fprintf(out, "%s%s", i ? ", " : "", cs->items[i]->id);
	fclose(out);
	return err_set(
		err, GRPC_STATUS_INVALID_ARGUMENT,
		"\"controllerid\" is missing in the metadata, and there are several controllers here: %s",
		ids);
}

/* A call of oim.v0.Controller that does not say for whom. */
static int find_only(const struct routes *routes, struct rpc_route *route)
{
	const struct controllers *cs = routes->controllers;

	if (!cs->n)
		return err_set(
			&route->err, GRPC_STATUS_UNIMPLEMENTED,
			"there is no controller here, and \"controllerid\" is missing in the metadata");
	if (cs->n > 1)
		return refuse_ambiguous(cs, &route->err);
	return access_controller(route->caller, cs->items[0]->id,
				 route->service, routes->registry != NULL,
				 &route->err);
}

/* What is to be said if nobody answers. */
static void note_lost(const struct routes *routes, struct rpc_route *route)
{
	int64_t seen = liveness_watch_seen(routes->liveness, route->controller);
	CLEANUP(cleanup_free) char *text = NULL;

	if (!seen)
		return;
	text = units_format_time(seen / UNITS_SECOND * UNITS_SECOND);
	route->note = mem_printf("it has not registered since %s", text);
}

/* Reads the registry. */
static int forward(const struct routes *routes, struct rpc_route *route)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	const char *id = route->controller;
	const char *address = NULL;
	int found = 0;

	if (routes->registry)
		found = registry_find(routes->registry, id, a, &address,
				      &route->err);
	if (found == -1)
		return -1;
	if (!found)
		return err_set(&route->err, GRPC_STATUS_UNAVAILABLE,
			       "%s: not registered", id);
	route->verdict = RPC_FORWARD;
	route->address = mem_strdup(address);
	note_lost(routes, route);
	if (!routes->has_tls)
		return 0;
	route->peer_name = mem_printf("controller.%s", id);
	return access_can_certify("controller", id, &route->err);
}

/* --- a registry whose store may take long to answer --- */

struct lookup {
	const struct routes *routes;
	struct rpc_route *route;
};

static void run_lookup(void *arg)
{
	struct lookup *l = arg;
	struct rpc_route *route = l->route;

	if (forward(l->routes, route) == -1)
		route->verdict = RPC_REFUSE;
	free(l);
	route->done(route);
}

static bool forward_later(const struct routes *routes, struct rpc_route *route)
{
	struct lookup *l = mem_alloc(sizeof(*l));

	*l = (struct lookup){routes, route};
	if (rpc_work(routes->rpc, run_lookup, l))
		return false;
	free(l);
	route->verdict = RPC_REFUSE;
	err_set(&route->err, GRPC_STATUS_RESOURCE_EXHAUSTED,
		"the daemon is busy: too many calls wait already");
	return true;
}

/* --- the table --- */

/* Of a call that is for a controller elsewhere. */
#define ELSEWHERE 1

static int find(const struct routes *routes, struct rpc_route *route)
{
	const char *id = route->controller;

	if (is_own(route->service) ||
	    (!id && strcmp(route->service, ADMIN) == 0))
		return 0;
	if (!id)
		return strcmp(route->service, CONTROLLER) == 0
			       ? find_only(routes, route)
			       : 0;
	if (access_controller(route->caller, id, route->service,
			      routes->registry != NULL, &route->err) == -1)
		return -1;
	return controllers_find(routes->controllers, id) ? 0 : ELSEWHERE;
}

bool route_call(void *arg, struct rpc_route *route)
{
	const struct routes *routes = arg;
	int rc = find(routes, route);

	route->verdict = RPC_SERVE;
	if (rc == ELSEWHERE && routes->registry &&
	    !registry_is_embedded(routes->registry))
		return forward_later(routes, route);
	if (rc == ELSEWHERE)
		rc = forward(routes, route);
	if (rc == -1)
		route->verdict = RPC_REFUSE;
	return true;
}

/* oim.admin.v1.Admin. */

#include "daemon/service/admin.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/core/access.h"
#include "daemon/core/bdev.h"
#include "daemon/core/liveness.h"
#include "daemon/core/mapping.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "oim/state/v1/state.pb-c.h"
#include "proto/lib/cleanup.h"

/*
 * Whether the call is about that controller: routing has allowed a call that
 * names one; one that names none is about all.
 */
static bool is_about(const struct call *call, const struct controller *c)
{
	const char *id = call_controller(call);

	return !id || strcmp(id, c->id) == 0;
}

int admin_check_access(const struct call *call, struct err *err)
{
	return call_controller(call) ? 0 : access_admin(call_caller(call), err);
}

/* Room for more pointers behind those that are there. */
static void *extend(struct arena *a, void *items, size_t n, size_t more)
{
	void **all = arena_alloc(a, (n + more) * sizeof(*all));

	return n ? memcpy(all, items, n * sizeof(*all)) : all;
}

/* --- status --- */

static int describe_store(const struct admin *admin,
			  Oim__Admin__V1__GetStatusReply *reply,
			  struct arena *a)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_status status = {0};

	reply->store =
		arena_message(a, &oim__admin__v1__store_status__descriptor);
	if (stores_check(admin->stores, &status, &err) == -1) {
		reply->problem = arena_strdup(a, err.msg);
		return -1;
	}
	reply->store->engine = (char *)status.engine;
	reply->store->location = (char *)status.location;
	reply->store->revision = status.revision;
	reply->store->size = (int64_t)status.size;
	return 0;
}

static void describe_registry(const struct admin *admin,
			      Oim__Admin__V1__GetStatusReply *reply,
			      struct arena *a)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct registry_entry *entries;
	size_t n;

	if (registry_entries(admin->registry, a, &entries, &n, &err) == 0) {
		reply->registered = (int64_t)n;
		reply->lost = (int64_t)liveness_watch_lost(admin->liveness);
		return;
	}
	reply->serving = false;
	reply->problem = arena_strdup(a, err.msg);
}

static void describe_announce(struct announce *announce,
			      Oim__Admin__V1__ControllerStatus *s,
			      struct arena *a)
{
	struct announce_status status;

	announce_status(announce, &status);
	s->registry = (char *)status.registry;
	s->address = (char *)status.address;
	s->registered = status.succeeded;
	if (status.problem)
		s->registration_problem = arena_strdup(a, status.problem);
	free(status.problem);
}

static Oim__Admin__V1__ControllerStatus *describe_controller(
	struct controller *c, struct announce *announce, struct arena *a)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	Oim__Admin__V1__ControllerStatus *s = arena_message(
		a, &oim__admin__v1__controller_status__descriptor);
	Oim__State__V1__BDev **bdevs;
	Oim__State__V1__Mapping **mappings;
	size_t n;

	s->controller_id = c->id;
	s->plane = (char *)controller_plane_name(c);
	s->malloc_used = (int64_t)c->malloc_used;
	s->malloc_limit = (int64_t)c->malloc_limit;
	s->ready = controller_check(c, &err) == 0;
	if (s->ready && bdev_list(c, a, &bdevs, &n, &err) == 0)
		s->bdevs = (int64_t)n;
	if (s->ready && mapping_list(c, a, &mappings, &n, &err) == 0)
		s->mappings = (int64_t)n;
	if (err.msg)
		s->problem = arena_strdup(a, err.msg);
	if (announce)
		describe_announce(announce, s, a);
	return s;
}

static int get_status(struct call *call, const void *request, void *reply,
		      struct err *err)
{
	const struct admin *admin = call_arg(call);
	const struct controllers *cs = admin->controllers;
	Oim__Admin__V1__GetStatusReply *r = reply;
	struct arena *a = call_arena(call);
	char host[256] = "";

	(void)request;
	if (admin_check_access(call, err) == -1)
		return -1;
	gethostname(host, sizeof(host) - 1);
	r->version = (char *)OIM_VERSION;
	r->started = admin->started;
	r->pid = getpid();
	r->host = arena_strdup(a, host);
	for (r->listen = (char **)admin->listen; r->listen[r->n_listen];)
		r->n_listen++;
	r->serving = describe_store(admin, r, a) == 0 && !admin->draining;
	if (admin->draining)
		r->problem = (char *)"the daemon is shutting down";
	r->registry = admin->registry != NULL;
	if (r->serving && admin->registry)
		describe_registry(admin, r, a);
	r->controllers = arena_alloc(a, cs->n * sizeof(*r->controllers));
	for (size_t i = 0; i < cs->n; i++)
		if (is_about(call, cs->items[i]))
			r->controllers[r->n_controllers++] =
				describe_controller(cs->items[i],
						    admin->announces[i], a);
	return 0;
}

/* --- controllers --- */

static int compare_controllers(const void *a, const void *b)
{
	return strcmp((*(Oim__Admin__V1__Controller *const *)a)->controller_id,
		      (*(Oim__Admin__V1__Controller *const *)b)->controller_id);
}

static Oim__Admin__V1__Controller *add_controller(
	Oim__Admin__V1__ListControllersReply *r, const char *id,
	struct arena *a)
{
	Oim__Admin__V1__Controller *c =
		arena_message(a, &oim__admin__v1__controller__descriptor);

	c->controller_id = (char *)id;
	return r->controllers[r->n_controllers++] = c;
}

static void describe_liveness(Oim__Admin__V1__Controller *c,
			      const struct liveness_item *item, struct arena *a)
{
	const char *problem = liveness_problem(item, a);

	c->state = (char *)liveness_state(item);
	c->since = liveness_since(item);
	if (item)
		c->ttl = item->record.ttl;
	if (problem)
		c->problem = (char *)problem;
}

/* Those of the registry. */
static int add_entries(const struct admin *admin,
		       Oim__Admin__V1__ListControllersReply *r, struct arena *a,
		       struct err *err)
{
	struct registry_entry *entries;
	struct liveness_item *items;
	size_t n, n_items;

	/* In this order: what has an entry has its record. */
	if (registry_entries(admin->registry, a, &entries, &n, err) == -1 ||
	    liveness_list(admin->stores->cluster, a, &items, &n_items, err) ==
		    -1)
		return -1;
	r->controllers = arena_alloc(a, n * sizeof(*r->controllers));
	for (size_t i = 0; i < n; i++) {
		Oim__State__V1__RegistryEntry *e = arena_unpack(
			a, &oim__state__v1__registry_entry__descriptor,
			entries[i].record, entries[i].size);
		Oim__Admin__V1__Controller *c =
			add_controller(r, entries[i].id, a);

		c->address = e ? e->address : (char *)"";
		describe_liveness(
			c, liveness_find(items, n_items, c->controller_id), a);
	}
	return 0;
}

/* Those of this daemon that are not registered are listed as well. */
static void add_local(Oim__Admin__V1__ListControllersReply *r,
		      const struct controller *c, size_t n_registered,
		      struct arena *a)
{
	Oim__Admin__V1__Controller *found = NULL;

	for (size_t i = 0; i < n_registered && !found; i++)
		if (strcmp(r->controllers[i]->controller_id, c->id) == 0)
			found = r->controllers[i];
	if (!found)
		found = add_controller(r, c->id, a);
	found->here = true;
	found->plane = (char *)controller_plane_name(c);
}

static int list_controllers(struct call *call, const void *request, void *reply,
			    struct err *err)
{
	const struct admin *admin = call_arg(call);
	const struct controllers *cs = admin->controllers;
	Oim__Admin__V1__ListControllersReply *r = reply;
	struct arena *a = call_arena(call);
	size_t n;

	(void)request;
	if (!call_controller(call) && access_read(call_caller(call), err) == -1)
		return -1;
	if (admin->registry && add_entries(admin, r, a, err) == -1)
		return -1;
	n = r->n_controllers;
	r->controllers = extend(a, r->controllers, n, cs->n);
	for (size_t i = 0; i < cs->n; i++)
		add_local(r, cs->items[i], n, a);
	qsort(r->controllers, r->n_controllers, sizeof(*r->controllers),
	      compare_controllers);
	return 0;
}

/* --- bdevs --- */

static void add_bdev(Oim__Admin__V1__ListBDevsReply *r, struct controller *c,
		     const Oim__State__V1__BDev *b, struct arena *a)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	Oim__Admin__V1__BDev *item =
		arena_message(a, &oim__admin__v1__bdev__descriptor);

	item->name = b->name;
	item->controller_id = c->id;
	item->plane = (char *)controller_plane_name(c);
	item->kind = b->kind;
	item->size = (int64_t)b->size;
	item->created = b->created;
	item->mapped = mapping_exists(c, b->name, &err) == 1;
	if (!err.msg)
		bdev_check(c, b->name, &err);
	if (err.msg)
		item->problem = arena_strdup(a, err.msg);
	r->bdevs[r->n_bdevs++] = item;
}

static int list_bdevs(struct call *call, const void *request, void *reply,
		      struct err *err)
{
	const struct admin *admin = call_arg(call);
	const struct controllers *cs = admin->controllers;
	Oim__Admin__V1__ListBDevsReply *r = reply;
	struct arena *a = call_arena(call);

	(void)request;
	if (admin_check_access(call, err) == -1)
		return -1;
	for (size_t i = 0; i < cs->n; i++) {
		Oim__State__V1__BDev **bdevs;
		size_t n;

		if (!is_about(call, cs->items[i]))
			continue;
		if (bdev_list(cs->items[i], a, &bdevs, &n, err) == -1)
			return -1;
		r->bdevs = extend(a, r->bdevs, r->n_bdevs, n);
		for (size_t k = 0; k < n; k++)
			add_bdev(r, cs->items[i], bdevs[k], a);
	}
	return 0;
}

/* --- mappings --- */

static void add_mapping(Oim__Admin__V1__ListMappingsReply *r,
			const struct controller *c,
			const Oim__State__V1__Mapping *m, struct arena *a)
{
	Oim__Admin__V1__Mapping *item =
		arena_message(a, &oim__admin__v1__mapping__descriptor);

	item->volume_id = m->volume_id;
	item->controller_id = c->id;
	item->plane = (char *)controller_plane_name(c);
	item->device = m->device;
	item->scsi = m->scsi;
	item->size = (int64_t)m->size;
	item->since = m->since;
	item->kind = m->kind;
	item->state = (char *)mapping_state_name(m->state);
	r->mappings[r->n_mappings++] = item;
}

static int list_mappings(struct call *call, const void *request, void *reply,
			 struct err *err)
{
	const struct admin *admin = call_arg(call);
	const struct controllers *cs = admin->controllers;
	Oim__Admin__V1__ListMappingsReply *r = reply;
	struct arena *a = call_arena(call);

	(void)request;
	if (admin_check_access(call, err) == -1)
		return -1;
	for (size_t i = 0; i < cs->n; i++) {
		Oim__State__V1__Mapping **mappings;
		size_t n;

		if (!is_about(call, cs->items[i]))
			continue;
		if (mapping_list(cs->items[i], a, &mappings, &n, err) == -1)
			return -1;
		r->mappings = extend(a, r->mappings, r->n_mappings, n);
		for (size_t k = 0; k < n; k++)
			add_mapping(r, cs->items[i], mappings[k], a);
	}
	return 0;
}

const struct rpc_method service_admin[] = {
	{.name = "GetStatus", .unary = get_status},
	{.name = "ListControllers", .unary = list_controllers},
	{.name = "ListBDevs", .unary = list_bdevs},
	{.name = "ListMappings", .unary = list_mappings},
	{.name = "WatchEvents", .stream = &watch_events_stream},
	{.name = NULL},
};

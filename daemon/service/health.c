/* grpc.health.v1.Health. */

#include "daemon/service/health.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/access.h"
#include "grpc/health/v1/health.pb-c.h"
#include "proto/lib/mem.h"

#define STATUS(name)                                                           \
	GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus status;

struct item {
	const char *service; /* "" for all */
	atomic_bool serving;
};

/* One that watches; in the list of its health while the call lasts. */
struct watcher {
	struct call *call;
	const struct item *item; /* NULL: an unknown service */
	status told;
	struct watcher *next, **link;
};

struct health {
	struct watcher *watchers; /* of the loop */
	size_t n;
	struct item items[];
};

struct health *health_new(const char *const *services)
{
	struct health *h;
	size_t n = 0;

	while (services[n])
		n++;
	h = mem_zalloc(1, sizeof(*h) + (n + 1) * sizeof(*h->items));
	h->n = n + 1;
	h->items[0].service = "";
	for (size_t i = 0; i < n; i++)
		h->items[i + 1].service = services[i];
	for (size_t i = 0; i < h->n; i++)
		h->items[i].serving = true;
	return h;
}

void health_free(struct health *h)
{
	free(h);
}

static const struct item *find(const struct health *h, const char *service)
{
	for (size_t i = 0; i < h->n; i++)
		if (strcmp(h->items[i].service, service) == 0)
			return &h->items[i];
	return NULL;
}

static status status_of(const struct item *item)
{
	if (!item)
		return STATUS(SERVICE_UNKNOWN);
	return item->serving ? STATUS(SERVING) : STATUS(NOT_SERVING);
}

/* Tells it the status that it does not know yet; when it has not taken the last
 * one, later. */
static void tell(struct watcher *w)
{
	Grpc__Health__V1__HealthCheckResponse response =
		GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	status now = status_of(w->item);

	if (now == w->told || call_waiting(w->call))
		return;
	w->told = now;
	response.status = now;
	call_send(w->call, &response.base);
}

static void tell_all(void *arg)
{
	struct health *h = arg;

	for (struct watcher *w = h->watchers; w; w = w->next)
		tell(w);
}

void health_set(struct health *h, struct rpc *rpc, const char *service,
		bool serving)
{
	bool all = true, changed = false;

	for (size_t i = 1; i < h->n; i++) {
		struct item *item = &h->items[i];

		if (!service || strcmp(service, item->service) == 0)
			changed |= atomic_exchange(&item->serving, serving) !=
				   serving;
		all &= item->serving;
	}
	h->items[0].serving = all;
	if (changed)
		rpc_post(rpc, tell_all, h);
}

/* --- methods --- */

static int check(struct call *call, const void *request, void *reply,
		 struct err *err)
{
	const Grpc__Health__V1__HealthCheckRequest *r = request;
	Grpc__Health__V1__HealthCheckResponse *result = reply;
	const struct item *item = find(call_arg(call), r->service);

	if (access_read(call_caller(call), err) == -1)
		return -1;
	if (!item)
		return err_set(err, GRPC_STATUS_NOT_FOUND,
			       "there is no service \"%s\"", r->service);
	result->status = status_of(item);
	return 0;
}

static int list(struct call *call, const void *request, void *reply,
		struct err *err)
{
	Grpc__Health__V1__HealthListResponse *result = reply;
	const struct health *h = call_arg(call);
	struct arena *a = call_arena(call);

	(void)request;
	if (access_read(call_caller(call), err) == -1)
		return -1;
	result->statuses = arena_alloc(a, h->n * sizeof(*result->statuses));
	result->n_statuses = h->n;
	for (size_t i = 0; i < h->n; i++) {
		Grpc__Health__V1__HealthListResponse__StatusesEntry *e = arena_message(
			a,
			&grpc__health__v1__health_list_response__statuses_entry__descriptor);

		e->key = (char *)h->items[i].service;
		e->value = arena_message(
			a,
			&grpc__health__v1__health_check_response__descriptor);
		e->value->status = status_of(&h->items[i]);
		result->statuses[i] = e;
	}
	return 0;
}

static int open_watch(struct call *call, struct err *err)
{
	struct health *h = call_arg(call);
	struct watcher *w;

	if (access_read(call_caller(call), err) == -1)
		return -1;
	w = mem_zalloc(1, sizeof(*w));
	w->call = call;
	w->told = STATUS(UNKNOWN);
	w->next = h->watchers;
	w->link = &h->watchers;
	if (w->next)
		w->next->link = &w->next;
	h->watchers = w;
	call_set_state(call, w);
	return 0;
}

static void watch(struct call *call, const void *request)
{
	const Grpc__Health__V1__HealthCheckRequest *r = request;
	struct watcher *w = call_state(call);

	w->item = find(call_arg(call), r->service);
	tell(w);
}

static void on_drained(struct call *call)
{
	tell(call_state(call));
}

static void close_watch(struct call *call)
{
	struct watcher *w = call_state(call);

	if (!w)
		return;
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	free(w);
}

static const struct call_stream watch_stream = {
	.open = open_watch,
	.message = watch,
	.drained = on_drained,
	.close = close_watch,
	.one_request = true,
};

const struct rpc_method service_health[] = {
	{.name = "Check",
	 .unary = check,
	 .flags = RPC_INLINE | RPC_WHILE_DRAINING},
	{.name = "List",
	 .unary = list,
	 .flags = RPC_INLINE | RPC_WHILE_DRAINING},
	{.name = "Watch", .stream = &watch_stream},
	{.name = NULL},
};

/* WatchEvents of oim.admin.v1.Admin. */

#include "daemon/service/watch_events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "daemon/service/admin.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

/* Events in one reply. */
#define BATCH 128

/* How many that are not wanted may pass until the position is told: a follower
 * that comes back with an old one would seem to have missed some. */
#define MAX_SILENCE (EVENTS_KEPT / 4)

#define MAX_KINDS 64

/* One that follows; in the list of its feed while the call lasts. */
struct watcher {
	LIST_ENTRY(watcher) siblings;
	struct call *call;
	struct watch_events *feed;
	struct arena *arena; /* of the filter */
	struct events_filter filter;
	uint64_t position; /* of the last event that was looked at */
	uint64_t told;     /* as the follower knows it */
	uint64_t start;    /* where the feed stood at first */
	bool has_begun;    /* the request is there */
	bool from_oldest;  /* and nothing was told yet, whatever is lost */
};

struct watch_events {
	struct events *events;
	struct rpc *rpc;
	struct events_follower *follower;
	atomic_bool is_posted;         /* tell_all() is about to run */
	LIST_HEAD(, watcher) watchers; /* of the loop */
};

struct watch_events *watch_events_new(struct events *events)
{
	struct watch_events *w = mem_zalloc(1, sizeof(*w));

	w->events = events;
	LIST_INIT(&w->watchers);
	return w;
}

void watch_events_free(struct watch_events *w)
{
	free(w);
}

/* --- replies --- */

static char *text_of(const struct watch_events *feed, uint64_t sequence,
		     struct arena *a)
{
	return arena_printf(a, "%s:%" PRIu64, events_instance(feed->events),
			    sequence);
}

static Oim__Admin__V1__Event *describe(const struct watch_events *feed,
				       const struct event *event,
				       struct arena *a)
{
	Oim__Admin__V1__Event *e =
		arena_message(a, &oim__admin__v1__event__descriptor);

	e->position = text_of(feed, event->sequence, a);
	e->time = event->time;
	e->kind = (char *)event->kind;
	e->controller_id = (char *)event->controller;
	e->object = (char *)event->object;
	e->message = (char *)event->message;
	return e;
}

/* Up to that position; the batch may be NULL. */
static void send(struct watcher *w, const struct events_batch *batch,
		 uint64_t position, struct arena *a)
{
	Oim__Admin__V1__WatchEventsReply r =
		OIM__ADMIN__V1__WATCH_EVENTS_REPLY__INIT;

	r.position = text_of(w->feed, position, a);
	if (batch) {
		r.events = arena_alloc(a, batch->n * sizeof(*r.events));
		for (size_t i = 0; i < batch->n; i++)
			r.events[r.n_events++] =
				describe(w->feed, &batch->items[i], a);
	}
	call_send(w->call, &r.base);
}

static void end(struct watcher *w, struct err *err)
{
	if (err->code == GRPC_STATUS_OUT_OF_RANGE)
		err_hint(err, "list again, and follow from now on");
	call_end(w->call, err);
}

/* Whether the follower is to know how far it is, though there is nothing. */
static bool is_news(const struct watcher *w)
{
	return (w->told < w->start && w->position >= w->start) ||
	       w->position - w->told >= MAX_SILENCE;
}

static int read_some(struct watcher *w, struct events_batch *batch,
		     struct arena *a, struct err *err)
{
	struct events *events = w->feed->events;

	while (events_read(events, w->position, &w->filter, BATCH, a, batch,
			   err) == -1) {
		if (!w->from_oldest)
			return -1;
		err_clear(err);
		w->position = events_oldest(events);
	}
	w->position = batch->position;
	return 0;
}

/* Sends the next events, if the follower has taken those before. It may be gone
 * then. */
static void pump(struct watcher *w)
{
	CLEANUP(cleanup_arena) struct arena *a = NULL;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	uint64_t last = events_last(w->feed->events);
	struct events_batch batch = {0};

	if (!w->has_begun || call_waiting(w->call))
		return;
	a = arena_new();
	while (!batch.n && w->position < last)
		if (read_some(w, &batch, a, &err) == -1) {
			end(w, &err);
			return;
		}
	if (!batch.n && !is_news(w))
		return;
	w->told = w->position;
	w->from_oldest = false;
	send(w, &batch, w->position, a);
}

/* --- news --- */

static void tell_all(void *arg)
{
	struct watch_events *feed = arg;
	struct watcher *w, *next;

	/* Before it is looked what there is: what comes later posts again. */
	feed->is_posted = false;
	for (w = LIST_FIRST(&feed->watchers); w; w = next) {
		next = LIST_NEXT(w, siblings);
		pump(w);
	}
}

static void wake(void *arg)
{
	struct watch_events *feed = arg;

	if (!atomic_exchange(&feed->is_posted, true))
		rpc_post(feed->rpc, tell_all, feed);
}

void watch_events_start(struct watch_events *w, struct rpc *rpc)
{
	w->rpc = rpc;
	w->follower = events_follow(w->events, wake, w);
}

void watch_events_stop(struct watch_events *w)
{
	events_unfollow(w->events, STEAL(w->follower));
}

/* --- the call --- */

static int refuse_position(const char *text, struct err *err)
{
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		       "\"%s\" is no position", text);
}

static int parse_position(const struct watch_events *feed, const char *text,
			  uint64_t *sequence, struct err *err)
{
	const char *instance = events_instance(feed->events);
	const char *colon = strchr(text, ':');
	char *rest;

	if (!colon || colon[1] < '0' || colon[1] > '9')
		return refuse_position(text, err);
	errno = 0;
	*sequence = strtoull(colon + 1, &rest, 10);
	if (*rest || errno)
		return refuse_position(text, err);
	if ((size_t)(colon - text) == strlen(instance) &&
	    strncmp(text, instance, strlen(instance)) == 0)
		return 0;
	return err_set(
		err, GRPC_STATUS_OUT_OF_RANGE,
		"position %s is not one of this daemon since its start; list again",
		text);
}

/* Where to begin. */
static int set_position(struct watcher *w,
			const Oim__Admin__V1__WatchEventsRequest *r,
			struct err *err)
{
	struct events *events = w->feed->events;

	w->start = w->position = events_last(events);
	if (r->oldest && *r->after)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "\"oldest\" and \"after\" exclude each other");
	w->from_oldest = r->oldest;
	if (r->oldest)
		w->position = events_oldest(events);
	else if (*r->after &&
		 parse_position(w->feed, r->after, &w->position, err) == -1)
		return -1;
	w->told = w->position;
	return 0;
}

/* What is wanted. */
static int set_filter(struct watcher *w,
		      const Oim__Admin__V1__WatchEventsRequest *r,
		      struct err *err)
{
	const char *only = call_controller(w->call);
	const char **kinds;

	if (r->n_kinds > MAX_KINDS)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "%zu kinds are too many, at most %d are allowed",
			       r->n_kinds, MAX_KINDS);
	if (only && *r->controller_id && strcmp(only, r->controller_id) != 0)
		return err_set(
			err, GRPC_STATUS_INVALID_ARGUMENT,
			"the call is about controller \"%s\" and asks for events of \"%s\"",
			only, r->controller_id);
	kinds = arena_alloc(w->arena, r->n_kinds * sizeof(*kinds));
	for (size_t i = 0; i < r->n_kinds; i++)
		kinds[i] = arena_strdup(w->arena, r->kinds[i]);
	if (!only && *r->controller_id)
		only = r->controller_id;
	w->filter = (struct events_filter){
		.kinds = kinds,
		.n_kinds = r->n_kinds,
		.controller = only ? arena_strdup(w->arena, only) : NULL,
	};
	return 0;
}

static int open_watcher(struct call *call, struct err *err)
{
	const struct admin *admin = call_arg(call);
	struct watcher *w;

	if (admin_check_access(call, err) == -1)
		return -1;
	w = mem_zalloc(1, sizeof(*w));
	w->call = call;
	w->feed = admin->watch;
	w->arena = arena_new();
	LIST_INSERT_HEAD(&w->feed->watchers, w, siblings);
	call_set_state(call, w);
	return 0;
}

static void begin(struct call *call, const void *request)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct watcher *w = call_state(call);
	struct events_batch none;

	/* A position that is gone ends the call before it seems to begin. */
	if (set_filter(w, request, &err) == -1 ||
	    set_position(w, request, &err) == -1 ||
	    (!w->from_oldest && events_read(w->feed->events, w->position, NULL,
					    0, a, &none, &err) == -1)) {
		end(w, &err);
		return;
	}
	w->has_begun = true;
	send(w, NULL, w->start, a);
}

static void on_drained(struct call *call)
{
	pump(call_state(call));
}

static void close_watcher(struct call *call)
{
	struct watcher *w = call_state(call);

	if (!w)
		return;
	LIST_REMOVE(w, siblings);
	arena_free(w->arena);
	free(w);
}

const struct call_stream watch_events_stream = {
	.open = open_watcher,
	.message = begin,
	.drained = on_drained,
	.close = close_watcher,
	.one_request = true,
};

/* Changes of the registry as events. */

#include "daemon/core/registry_events.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/core/registry_keys.h"
#include "daemon/log.h"
#include "oim/state/v1/state.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

#define LOG_COMPONENT "registry"

/* Until the store is asked again when it is away. */
#define PAUSE UNITS_SECOND

/* Entries that are read at once when all are listed. */
#define PAGE 256

struct registry_events {
	struct store *store;
	struct events *events;
	pthread_t thread;
	struct store_watch *watch; /* of the thread, as is the next */
	bool has_begun;            /* told is a revision */

	pthread_mutex_t mu; /* of all below */
	pthread_cond_t changed;
	int64_t told; /* the revision up to which all is told */
	bool is_gone; /* the watch has ended */
	bool stop;
};

/* --- one change --- */

static void tell_entry(struct registry_events *r, const struct store_event *e,
		       const char *id, struct arena *a)
{
	const Oim__State__V1__RegistryEntry *entry;
	bool is_new = e->kv.create_revision == e->kv.mod_revision;

	if (e->deleted) {
		events_publish(r->events, "controller.removed", id, NULL,
			       "controller \"%s\" is not registered any more",
			       id);
		return;
	}
	entry = arena_unpack(a, &oim__state__v1__registry_entry__descriptor,
			     e->kv.value, e->kv.size);
	events_publish(r->events,
		       is_new ? "controller.registered" : "controller.moved",
		       id, NULL, "controller \"%s\" is %s %s", id,
		       is_new ? "registered at" : "now at",
		       entry ? entry->address : "an address that is damaged");
}

static void tell_value(struct registry_events *r, const struct store_event *e,
		       const char *path, const char *owner, struct arena *a)
{
	const Oim__State__V1__RegistryValue *value;

	if (e->deleted) {
		events_publish(r->events, "value.removed", owner, path,
			       "value \"%s\" is removed", path);
		return;
	}
	value = arena_unpack(a, &oim__state__v1__registry_value__descriptor,
			     e->kv.value, e->kv.size);
	events_publish(r->events, "value.set", owner, path,
		       "value \"%s\" is %s%s%s", path, value ? "\"" : "",
		       value ? value->value : "damaged", value ? "\"" : "");
}

static void tell(struct registry_events *r, const struct store_event *e,
		 struct arena *a)
{
	const char *path = e->kv.key + strlen(REGISTRY_PREFIX);
	size_t size = strcspn(path, "/");
	const char *owner = arena_dup(a, path, size);

	if (strcmp(path + size, REGISTRY_ADDRESS) == 0)
		tell_entry(r, e, owner, a);
	else
		tell_value(r, e, path, owner, a);
}

static void on_change(void *arg, const struct store_change *change)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct registry_events *r = arg;

	for (size_t i = 0; i < change->n; i++) {
		tell(r, &change->events[i], a);
		arena_reset(a);
	}
	pthread_mutex_lock(&r->mu);
	if (change->n)
		r->told = change->events[change->n - 1].kv.mod_revision;
	if (change->gone) {
		r->is_gone = true;
		pthread_cond_signal(&r->changed);
	}
	pthread_mutex_unlock(&r->mu);
}

/* --- all that could not be told --- */

/* What has changed behind a revision, of a page of entries. */
static void tell_page(struct registry_events *r, const struct store_list *page,
		      int64_t behind, struct arena *a)
{
	for (size_t i = 0; i < page->n; i++) {
		const struct store_event e = {.kv = page->kvs[i]};

		if (e.kv.mod_revision > behind)
			tell(r, &e, a);
	}
}

/*
 * Tells what has changed in what is there; *revision is where to go on. Pages
 * are no snapshot together: what changes while they are read may be told twice,
 * but is told.
 */
static int tell_changed(struct registry_events *r, int64_t behind,
			int64_t *revision, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(cleanup_free) char *after = NULL;
	struct store_list page = {.more = true};

	*revision = 0;
	while (page.more) {
		arena_reset(a);
		if (store_range(r->store, REGISTRY_PREFIX, after, PAGE, a,
				&page, err) == -1)
			return -1;
		if (!*revision)
			*revision = page.revision;
		if (page.n) {
			free(after);
			after = mem_strdup(page.kvs[page.n - 1].key);
		}
		tell_page(r, &page, behind, a);
	}
	return 0;
}

/* --- following --- */

static int64_t told(struct registry_events *r)
{
	int64_t revision;

	pthread_mutex_lock(&r->mu);
	revision = r->told;
	pthread_mutex_unlock(&r->mu);
	return revision;
}

/* Where the store stands. */
static int find_revision(struct registry_events *r, int64_t *revision,
			 struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store_list list;

	if (store_range(r->store, REGISTRY_PREFIX, NULL, 1, a, &list, err) ==
	    -1)
		return -1;
	*revision = list.revision;
	return 0;
}

/* Begins to watch, behind what has been told. What a watch that has ended did
 * not tell is told first, as far as it can still be seen. */
static int begin(struct registry_events *r, struct err *err)
{
	bool is_again = r->has_begun;
	int64_t revision;
	int rc;

	if (is_again)
		rc = tell_changed(r, told(r), &revision, err);
	else
		rc = find_revision(r, &revision, err);
	if (rc == -1)
		return -1;
	pthread_mutex_lock(&r->mu);
	r->told = revision;
	r->is_gone = false;
	pthread_mutex_unlock(&r->mu);
	r->has_begun = true;
	r->watch = store_watch(r->store, REGISTRY_PREFIX, revision + 1,
			       on_change, r, err);
	if (!r->watch)
		return -1;
	if (is_again)
		events_publish(
			r->events, "registry.missed", NULL, NULL,
			"changes of the registry may have been missed, list it again");
	return 0;
}

/* The same; says when trouble begins and ends. */
static bool try_to_begin(struct registry_events *r, bool has_failed)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (begin(r, &err) == 0) {
		if (has_failed)
			log_info("changes of the registry are told again");
		return true;
	}
	if (!has_failed)
		log_warn("changes of the registry are not told: %s", err.msg);
	return false;
}

/* Until the watch has ended or, without one, for a while; whether to go on. */
static bool wait_for_work(struct registry_events *r)
{
	int64_t end = units_monotonic() + PAUSE;
	struct timespec until = {end / UNITS_SECOND, end % UNITS_SECOND};
	int rc = 0;
	bool stop;

	pthread_mutex_lock(&r->mu);
	while (!r->stop && r->watch && !r->is_gone)
		pthread_cond_wait(&r->changed, &r->mu);
	while (!r->stop && !r->watch && rc != ETIMEDOUT)
		rc = pthread_cond_clockwait(&r->changed, &r->mu,
					    CLOCK_MONOTONIC, &until);
	stop = r->stop;
	pthread_mutex_unlock(&r->mu);
	return !stop;
}

static void *run(void *arg)
{
	struct registry_events *r = arg;
	bool has_failed = false;

	if (!r->watch)
		has_failed = !try_to_begin(r, false);
	while (wait_for_work(r)) {
		store_unwatch(STEAL(r->watch));
		has_failed = !try_to_begin(r, has_failed);
	}
	store_unwatch(STEAL(r->watch));
	return NULL;
}

struct registry_events *registry_events_start(struct store *cluster,
					      struct events *events,
					      struct err *err)
{
	struct registry_events *r = mem_zalloc(1, sizeof(*r));

	r->store = cluster;
	r->events = events;
	pthread_mutex_init(&r->mu, NULL);
	pthread_cond_init(&r->changed, NULL);
	/* Before anything can change it. */
	if (store_is_embedded(cluster))
		try_to_begin(r, false);
	errno = pthread_create(&r->thread, NULL, run, r);
	if (errno) {
		err_errno(err, "cannot start a thread");
		store_unwatch(r->watch);
		free(r);
		return NULL;
	}
	pthread_setname_np(r->thread, "registry");
	return r;
}

void registry_events_stop(struct registry_events *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->mu);
	r->stop = true;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->mu);
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->mu);
	free(r);
}

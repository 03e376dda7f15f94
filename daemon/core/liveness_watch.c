/*
 * Who is lost, as the store tells. What it tells is put into a queue, because
 * its threads must not wait for the store, and looked at by a thread of ours.
 */

#include "daemon/core/liveness_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/core/liveness.h"
#include "daemon/core/lost.h"
#include "daemon/log.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

#define LOG_COMPONENT "registry"

/* Until a store that has failed is asked again. */
#define RETRY UNITS_SECOND

/* What the store has told. */
struct item {
	char *id;
	bool is_end;  /* of its lease, or it was removed */
	void *record; /* what is stored now; NULL: nothing */
	size_t size;
	struct item *next;
};

struct liveness_watch {
	struct store *store;
	struct events *events;
	struct lost *lost;
	pthread_t thread;
	struct store_watch *alive, *records; /* of the thread */
	bool is_settled;                     /* it has seen what there was */

	pthread_mutex_t mu; /* for what follows */
	pthread_cond_t wake;
	struct item *items, **end;
	bool must_scan; /* and watch anew */
	bool stop;
};

/* --- the queue --- */

static void free_items(struct item *items)
{
	struct item *next;

	for (; items; items = next) {
		next = items->next;
		free(items->id);
		free(items->record);
		free(items);
	}
}

static struct item *take_items(struct liveness_watch *w)
{
	struct item *items;

	pthread_mutex_lock(&w->mu);
	items = w->items;
	w->items = NULL;
	w->end = &w->items;
	pthread_mutex_unlock(&w->mu);
	return items;
}

/* With the lock held. */
static void add_item(struct liveness_watch *w, const struct store_event *event,
		     bool is_end)
{
	struct item *item = mem_zalloc(1, sizeof(*item));

	item->id = mem_strdup(strchr(event->kv.key, '/') + 1);
	item->is_end = is_end;
	if (!event->deleted) {
		item->record = mem_dup(event->kv.value, event->kv.size);
		item->size = event->kv.size;
	}
	*w->end = item;
	w->end = &item->next;
}

static void on_alive(void *arg, const struct store_change *change)
{
	struct liveness_watch *w = arg;

	pthread_mutex_lock(&w->mu);
	for (size_t i = 0; i < change->n; i++)
		if (change->events[i].deleted)
			add_item(w, &change->events[i], true);
	w->must_scan |= change->gone;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->mu);
}

static void on_record(void *arg, const struct store_change *change)
{
	struct liveness_watch *w = arg;

	pthread_mutex_lock(&w->mu);
	for (size_t i = 0; i < change->n; i++)
		add_item(w, &change->events[i], false);
	w->must_scan |= change->gone;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->mu);
}

/* --- what it means --- */

/* Every turn in the life of a controller, of all daemons, comes by here. */
static void tell(struct liveness_watch *w, const char *id, enum lost_news news,
		 const Oim__State__V1__Liveness *r)
{
	CLEANUP(cleanup_free) char *seen = NULL;

	switch (news) {
	case LOST_NOTHING:
		break;
	case LOST_LOST:
		seen = units_format_time(liveness_seen(r) / UNITS_SECOND *
					 UNITS_SECOND);
		log_warn(
			"controller \"%s\" is lost: it has not registered since %s",
			id, seen);
		events_publish(w->events, "controller.lost", id, NULL,
			       "controller \"%s\" has not registered since %s",
			       id, seen);
		break;
	case LOST_READY:
		log_info("controller \"%s\" is not lost any more", id);
		events_publish(w->events, "controller.ready", id, NULL,
			       "controller \"%s\" is not lost any more", id);
		break;
	case LOST_CONTESTED:
		log_warn(
			"two controllers register as \"%s\" in turn, one of them at \"%s\"",
			id, r->rival);
		events_publish(
			w->events, "controller.contested", id, NULL,
			"two controllers register as \"%s\" in turn, one of them at \"%s\"",
			id, r->rival);
		break;
	}
}

static void look_at(struct liveness_watch *w, const char *id,
		    const Oim__State__V1__Liveness *r)
{
	enum lost_news news = lost_learn(w->lost, id, r);

	if (w->is_settled)
		tell(w, id, news, r);
}

/* --- the thread --- */

static int watch_anew(struct liveness_watch *w, struct err *err)
{
	store_unwatch(w->alive);
	store_unwatch(w->records);
	w->alive = w->records = NULL;
	free_items(take_items(w));
	w->alive = store_watch(w->store, LIVENESS_ALIVE, 0, on_alive, w, err);
	if (w->alive)
		w->records = store_watch(w->store, LIVENESS_RECORD, 0,
					 on_record, w, err);
	return w->records ? 0 : -1;
}

/* Looks at all of them, for whatever happened while nobody watched. */
static int scan(struct liveness_watch *w, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct liveness_item *items;
	size_t n;

	if (liveness_list(w->store, a, &items, &n, err) == -1)
		return -1;
	lost_begin(w->lost);
	for (size_t i = 0; i < n; i++)
		look_at(w, items[i].id, &items[i].record);
	lost_end(w->lost);
	w->is_settled = true;
	for (size_t i = 0; i < n; i++)
		if (!items[i].is_alive && !items[i].record.lost &&
		    liveness_mark_lost(w->store, items[i].id, err) == -1)
			return -1;
	return 0;
}

static int handle(struct liveness_watch *w, const struct item *item,
		  struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();

	if (item->is_end)
		return liveness_mark_lost(w->store, item->id, err);
	look_at(w, item->id,
		item->record
			? arena_unpack(a, &oim__state__v1__liveness__descriptor,
				       item->record, item->size)
			: NULL);
	return 0;
}

/* All that there is to do now. */
static int step(struct liveness_watch *w, bool must_scan, struct err *err)
{
	struct item *items;
	int rc = 0;

	if (must_scan && (watch_anew(w, err) == -1 || scan(w, err) == -1))
		return -1;
	items = take_items(w);
	for (const struct item *i = items; i && rc == 0; i = i->next)
		rc = handle(w, i, err);
	free_items(items);
	return rc;
}

/* Waits until there is something to do, and at least so long; false: to stop.
 */
static bool wait_for_work(struct liveness_watch *w, int64_t pause,
			  bool *must_scan)
{
	int64_t until = units_monotonic() + pause;
	struct timespec ts = {until / UNITS_SECOND, until % UNITS_SECOND};
	int rc = pause ? 0 : ETIMEDOUT;
	bool stop;

	pthread_mutex_lock(&w->mu);
	while (!w->stop && rc != ETIMEDOUT)
		rc = pthread_cond_clockwait(&w->wake, &w->mu, CLOCK_MONOTONIC,
					    &ts);
	while (!w->stop && !w->must_scan && !w->items)
		pthread_cond_wait(&w->wake, &w->mu);
	*must_scan = w->must_scan;
	w->must_scan = false;
	stop = w->stop;
	pthread_mutex_unlock(&w->mu);
	return !stop;
}

static void *run(void *arg)
{
	struct liveness_watch *w = arg;
	int64_t pause = 0;
	bool must_scan;

	while (wait_for_work(w, pause, &must_scan)) {
		CLEANUP(err_clear) struct err err = ERR_INIT;

		pause = 0;
		if (step(w, must_scan, &err) == 0)
			continue;
		log_debug("who is alive is not known: %s", err.msg);
		pause = RETRY;
		pthread_mutex_lock(&w->mu);
		w->must_scan = true;
		pthread_mutex_unlock(&w->mu);
	}
	store_unwatch(w->alive);
	store_unwatch(w->records);
	return NULL;
}

/* --- from outside --- */

static void forget(struct liveness_watch *w)
{
	free_items(w->items);
	lost_free(w->lost);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->mu);
	free(w);
}

struct liveness_watch *liveness_watch_start(struct store *store,
					    struct events *events,
					    struct err *err)
{
	struct liveness_watch *w = mem_zalloc(1, sizeof(*w));
	int error;

	w->store = store;
	w->events = events;
	w->lost = lost_new();
	w->end = &w->items;
	w->must_scan = true;
	pthread_mutex_init(&w->mu, NULL);
	pthread_cond_init(&w->wake, NULL);
	error = pthread_create(&w->thread, NULL, run, w);
	if (error) {
		errno = error;
		err_errno(err, "cannot start a thread");
		forget(w);
		return NULL;
	}
	pthread_setname_np(w->thread, "liveness");
	return w;
}

void liveness_watch_stop(struct liveness_watch *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->mu);
	w->stop = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->mu);
	pthread_join(w->thread, NULL);
	forget(w);
}

int64_t liveness_watch_seen(struct liveness_watch *w, const char *id)
{
	return w ? lost_since(w->lost, id) : 0;
}

size_t liveness_watch_lost(struct liveness_watch *w)
{
	return w ? lost_count(w->lost) : 0;
}

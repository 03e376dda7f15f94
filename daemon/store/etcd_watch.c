/*
 * Watches: each has a thread that follows a stream, and after it ended another
 * one from where it was. What happens to a position that etcd has forgotten is
 * in store.md sections 4 and 5.
 */

#include "daemon/store/etcd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/log.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define LOG_COMPONENT "store"

struct etcd_watch {
	struct store_watch base;
	LIST_ENTRY(etcd_watch) siblings; /* under etcd->watching */
	struct etcd *s;
	struct arena *keys;
	ProtobufCBinaryData key, end; /* the range */
	void (*fn)(void *arg, const struct store_change *change);
	void *arg;
	pthread_t thread;

	/* The thread's own. */
	int64_t next; /* revision to be told */
	unsigned history;
	bool is_ill;     /* and the log says so */
	bool is_refused; /* by the last stream: there is no hurry */
	struct arena *a; /* of what is told next */
	struct store_event *events;
	size_t n, size;

	/* Under etcd->watching. */
	struct client_stream *stream;
	bool stop;
};

/* What a stream, or a response of it, has come to. */
enum step {
	STEP_ON = 1,
	STEP_AGAIN, /* the stream is over, the watch is not */
	STEP_GONE,
};

/* --- telling --- */

static void add(struct etcd_watch *w, const Mvccpb__Event *from)
{
	struct store_event e = {.deleted = from->type ==
					   MVCCPB__EVENT__EVENT_TYPE__DELETE};

	if (!from->kv || from->kv->mod_revision < w->next ||
	    !etcd_take(w->s, w->a, from->kv, &e.kv))
		return;
	if (e.deleted) {
		e.kv.value = NULL;
		e.kv.lease = 0;
	}
	if (w->n == w->size) {
		w->size = w->size ? 2 * w->size : 16;
		w->events = mem_realloc(w->events, w->size, sizeof(*w->events));
	}
	w->events[w->n++] = e;
}

static void tell(struct etcd_watch *w)
{
	if (w->n) {
		w->fn(w->arg,
		      &(struct store_change){.events = w->events, .n = w->n});
		w->next = w->events[w->n - 1].kv.mod_revision + 1;
	}
	w->n = 0;
	arena_reset(w->a);
}

/* --- one stream --- */

static int trouble(struct etcd_watch *w, const char *why)
{
	if (!w->is_ill)
		log_warn("watch of %.*s: %s", (int)w->key.len,
			 (const char *)w->key.data, why);
	w->is_ill = true;
	return STEP_AGAIN;
}

/*
 * Whether etcd still knows all from next on: it accepts a watch that begins at
 * the very revision up to which it has forgotten, and leaves its deletes out.
 */
static enum step check_position(struct etcd_watch *w)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
	int64_t seen = etcd_seen(w->s); /* before we ask */

	request.key = w->key;
	request.revision = w->next > 1 ? w->next - 1 : 1;
	request.keys_only = true;
	if (etcd_read(w->s, &request, units_monotonic() + ETCD_ATTEMPT, a,
		      &err))
		return STEP_ON;
	if (etcd_is_compacted(&err))
		return STEP_GONE;
	/* What was there once cannot be in the future. */
	if (etcd_is_future(&err))
		return request.revision > seen ? STEP_ON : STEP_GONE;
	return trouble(w, err.msg);
}

static enum step on_created(struct etcd_watch *w, size_t at)
{
	enum step step = check_position(w);

	if (step != STEP_ON)
		return step;
	etcd_works(w->s, at);
	if (w->is_ill)
		log_info("watch of %.*s works again", (int)w->key.len,
			 (const char *)w->key.data);
	w->is_ill = false;
	return STEP_ON;
}

static enum step on_response(struct etcd_watch *w, size_t at,
			     const Etcdserverpb__WatchResponse *r)
{
	etcd_note(w->s, r->header, 0);
	if (etcd_history(w->s) != w->history ||
	    (r->canceled && r->compact_revision > 0))
		return STEP_GONE;
	if (r->canceled) {
		w->is_refused = true;
		return trouble(w, r->cancel_reason);
	}
	if (r->created)
		return on_created(w, at);
	for (size_t i = 0; i < r->n_events; i++)
		add(w, r->events[i]);
	if (!r->fragment)
		tell(w);
	return STEP_ON;
}

static enum step receive(struct etcd_watch *w, size_t at, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	enum step step = STEP_ON;
	void *response;

	while (step == STEP_ON &&
	       client_stream_receive(w->stream, a, &response, err) == 1) {
		step = on_response(w, at, response);
		arena_reset(a);
	}
	return step == STEP_ON ? STEP_AGAIN : step;
}

static void create(struct etcd_watch *w)
{
	Etcdserverpb__WatchCreateRequest create =
		ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;
	Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;

	create.key = w->key;
	create.range_end = w->end;
	create.start_revision = w->next;
	create.fragment = true;
	request.request_union_case =
		ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
	request.create_request = &create;
	client_stream_send(w->stream, &request.base); /* receive() sees why */
}

/* Makes the stream known to who may want to end it. */
static bool publish(struct etcd_watch *w, struct client_stream *stream)
{
	bool stop;

	pthread_mutex_lock(&w->s->watching);
	stop = w->stop;
	w->stream = stop ? NULL : stream;
	pthread_mutex_unlock(&w->s->watching);
	return !stop;
}

static struct client_stream *open_stream(struct etcd_watch *w, size_t at,
					 struct client_md md[ETCD_MD],
					 size_t *n_md, struct arena *a,
					 struct err *err)
{
	struct client_call what = {
		.method = "/etcdserverpb.Watch/Watch",
		.reply_type = &etcdserverpb__watch_response__descriptor,
		.md = md,
	};

	if (etcd_auth_metadata(w->s, at, units_monotonic() + ETCD_ATTEMPT, a,
			       md, n_md, err) < 0)
		return NULL;
	what.n_md = *n_md;
	return client_stream_open(w->s->endpoints[at].client, &what, err);
}

static enum step follow(struct etcd_watch *w)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct client_md md[ETCD_MD];
	size_t at = etcd_current(w->s), n_md = 0;
	enum step step = STEP_AGAIN;
	struct client_stream *stream;

	w->is_refused = false;
	stream = open_stream(w, at, md, &n_md, a, &err);
	if (stream && publish(w, stream)) {
		create(w);
		step = receive(w, at, &err);
		publish(w, NULL);
	}
	client_stream_free(stream);
	/* A bad token may look like one that is not permitted to watch. */
	if (w->is_refused || etcd_judge(&err, false, false) == ETCD_TOKEN)
		etcd_auth_forget(w->s, md, n_md);
	else if (err.code && err.code != GRPC_STATUS_CANCELLED)
		etcd_fails(w->s, at, &err);
	w->n = 0;
	arena_reset(w->a);
	return step;
}

/* --- thread --- */

/* Between two streams; false: it is over. */
static bool wait_a_little(struct etcd_watch *w)
{
	int64_t until = units_monotonic() +
			(w->is_refused ? UNITS_SECOND : etcd_pause());
	struct timespec ts = {.tv_sec = until / UNITS_SECOND,
			      .tv_nsec = until % UNITS_SECOND};
	int rc = 0;
	bool stop;

	pthread_mutex_lock(&w->s->watching);
	while (rc == 0 && !w->stop)
		rc = pthread_cond_clockwait(&w->s->kick, &w->s->watching,
					    CLOCK_MONOTONIC, &ts);
	stop = w->stop;
	pthread_mutex_unlock(&w->s->watching);
	return !stop;
}

static void *run(void *arg)
{
	struct etcd_watch *w = arg;
	enum step step;

	do {
		if (etcd_history(w->s) != w->history)
			step = STEP_GONE;
		else
			step = follow(w);
	} while (step == STEP_AGAIN && wait_a_little(w));
	if (step == STEP_GONE)
		w->fn(w->arg, &(struct store_change){.gone = true});
	return NULL;
}

/* --- engine --- */

/* The revision of now, as etcd has it. */
static int find_now(struct etcd_watch *w, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
	const Etcdserverpb__RangeResponse *reply;

	request.key = w->key;
	request.keys_only = true;
	reply = etcd_read(w->s, &request, 0, a, err);
	if (!reply)
		return -1;
	w->next = (reply->header ? reply->header->revision : 0) + 1;
	return 0;
}

static void watch_free(struct etcd_watch *w)
{
	arena_free(w->keys);
	arena_free(w->a);
	free(w->events);
	free(w);
}

static int start(struct etcd_watch *w, struct err *err)
{
	w->history = etcd_history(w->s);
	if (!w->next && find_now(w, err) < 0)
		return -1;
	errno = pthread_create(&w->thread, NULL, run, w);
	if (errno)
		return err_errno(err, "start a thread");
	pthread_mutex_lock(&w->s->watching);
	LIST_INSERT_HEAD(&w->s->watches, w, siblings);
	pthread_mutex_unlock(&w->s->watching);
	return 0;
}

struct store_watch *etcd_watch(struct store *base, const char *prefix,
			       int64_t from,
			       void (*fn)(void *arg,
					  const struct store_change *change),
			       void *arg, struct err *err)
{
	struct etcd_watch *w = mem_zalloc(1, sizeof(*w));

	w->base.store = base;
	w->s = (struct etcd *)base;
	w->keys = arena_new();
	w->a = arena_new();
	w->fn = fn;
	w->arg = arg;
	w->next = from;
	etcd_range_of(w->s, w->keys, prefix, NULL, &w->key, &w->end);
	if (start(w, err) == 0)
		return &w->base;
	watch_free(w);
	return NULL;
}

void etcd_unwatch(struct store_watch *base)
{
	struct etcd_watch *w = (struct etcd_watch *)base;
	struct etcd *s = w->s;

	pthread_mutex_lock(&s->watching);
	LIST_REMOVE(w, siblings);
	w->stop = true;
	if (w->stream)
		client_stream_cancel(w->stream);
	pthread_cond_broadcast(&s->kick);
	pthread_mutex_unlock(&s->watching);
	pthread_join(w->thread, NULL);
	watch_free(w);
}

void etcd_watches_end(struct etcd *s)
{
	struct etcd_watch *w;

	while ((w = LIST_FIRST(&s->watches)))
		etcd_unwatch(&w->base);
}

void etcd_watches_kick(struct etcd *s)
{
	struct etcd_watch *w;

	pthread_mutex_lock(&s->watching);
	for (w = LIST_FIRST(&s->watches); w; w = LIST_NEXT(w, siblings))
		if (w->stream)
			client_stream_cancel(w->stream);
	pthread_mutex_unlock(&s->watching);
}

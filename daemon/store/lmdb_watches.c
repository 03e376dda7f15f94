/* The ring of the latest revisions, and the thread that tells watches. */

#include "daemon/store/lmdb_watches.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

struct revision {
	unsigned refs; /* under watches.mu once it is in the ring */
	int64_t number;
	size_t bytes; /* of the whole allocation */
	char *end;    /* of the copies made so far */
	size_t n;
	struct store_event events[]; /* behind them the copies */
};

struct watch {
	struct store_watch base;
	char *prefix;
	int64_t position; /* the revision to be told next */
	void (*fn)(void *arg, const struct store_change *change);
	void *arg;
	bool is_busy; /* fn runs; it stays in the list until it has returned */
	bool is_gone;
	struct watch *next;
};

struct watches {
	pthread_mutex_t mu; /* of all below; not held while fn runs */
	pthread_cond_t work;
	pthread_cond_t idle; /* a watch is not busy any more */
	pthread_t thread;
	bool has_thread;
	bool stop;
	struct watch *list;

	/* Revisions last - n + 1 to last; a number's place is its remainder. */
	struct revision *ring[WATCHES_EVENTS];
	int64_t last;
	size_t n;
	size_t events;
	size_t bytes;
};

/* --- revisions --- */

struct revision *revision_new(int64_t number, const struct store_op *ops,
			      size_t n)
{
	size_t head = sizeof(struct revision) + n * sizeof(struct store_event);
	size_t bytes = head;
	struct revision *r;

	for (size_t i = 0; i < n; i++)
		bytes += strlen(ops[i].key) + 1 +
			 (ops[i].value ? ops[i].size : 0);
	r = mem_alloc(bytes);
	*r = (struct revision){.refs = 1,
			       .number = number,
			       .bytes = bytes,
			       .end = (char *)r + head};
	return r;
}

static const void *copy(struct revision *r, const void *data, size_t size)
{
	char *to = r->end;

	r->end += size;
	return memcpy(to, data, size);
}

void revision_add(struct revision *r, const struct store_kv *kv)
{
	struct store_event *e = &r->events[r->n++];

	*e = (struct store_event){.kv = *kv, .deleted = !kv->value};
	e->kv.key = copy(r, kv->key, strlen(kv->key) + 1);
	if (kv->value)
		e->kv.value = copy(r, kv->value, kv->size);
}

bool revision_is_empty(const struct revision *r)
{
	return r->n == 0;
}

void revision_free(struct revision *r)
{
	free(r);
}

static void unref(struct revision *r)
{
	if (--r->refs == 0)
		free(r);
}

/* --- ring --- */

static struct revision **place(struct watches *w, int64_t number)
{
	return &w->ring[number % WATCHES_EVENTS];
}

static void drop_oldest(struct watches *w)
{
	struct revision *r = *place(w, w->last - (int64_t)w->n + 1);

	w->n--;
	w->events -= r->n;
	w->bytes -= r->bytes;
	unref(r);
}

static void push(struct watches *w, struct revision *r)
{
	assert(r->number == w->last + 1);
	while (w->n && (w->events + r->n > WATCHES_EVENTS ||
			w->bytes + r->bytes > WATCHES_BYTES))
		drop_oldest(w);
	*place(w, r->number) = r;
	w->last = r->number;
	w->n++;
	w->events += r->n;
	w->bytes += r->bytes;
}

void watches_tell(struct watches *w, struct revision **revisions, size_t n)
{
	pthread_mutex_lock(&w->mu);
	for (size_t i = 0; i < n; i++)
		push(w, revisions[i]);
	if (w->list)
		pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->mu);
}

/* --- thread --- */

static bool concerns(const struct watch *watch, const struct store_event *e)
{
	return strncmp(e->kv.key, watch->prefix, strlen(watch->prefix)) == 0;
}

static size_t count(const struct watch *watch, const struct revision *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += concerns(watch, &r->events[i]);
	return n;
}

static void call(struct watches *w, struct watch *watch,
		 const struct store_change *change)
{
	watch->is_busy = true;
	pthread_mutex_unlock(&w->mu);
	watch->fn(watch->arg, change);
	pthread_mutex_lock(&w->mu);
	watch->is_busy = false;
	pthread_cond_broadcast(&w->idle);
}

static void tell(struct watches *w, struct watch *watch, struct revision *r,
		 size_t n)
{
	CLEANUP(cleanup_free)
	struct store_event *events = mem_zalloc(n, sizeof(*events));
	struct store_change change = {.events = events, .n = n};

	n = 0;
	for (size_t i = 0; i < r->n; i++)
		if (concerns(watch, &r->events[i]))
			events[n++] = r->events[i];
	r->refs++;
	call(w, watch, &change);
	unref(r);
}

/* Tells the watch its next change; false if there is none. */
static bool advance(struct watches *w, struct watch *watch)
{
	while (!w->stop && !watch->is_gone && watch->position <= w->last) {
		struct revision *r;
		size_t n;

		if (watch->position <= w->last - (int64_t)w->n) {
			watch->is_gone = true;
			call(w, watch, &(struct store_change){.gone = true});
			return true;
		}
		r = *place(w, watch->position++);
		n = count(watch, r);
		if (n) {
			tell(w, watch, r, n);
			return true;
		}
	}
	return false;
}

static void *run(void *arg)
{
	struct watches *w = arg;

	pthread_mutex_lock(&w->mu);
	while (!w->stop) {
		bool told = false;

		for (struct watch *i = w->list; i; i = i->next)
			told |= advance(w, i);
		if (!told && !w->stop)
			pthread_cond_wait(&w->work, &w->mu);
	}
	pthread_mutex_unlock(&w->mu);
	return NULL;
}

/* --- watches --- */

struct store_watch *watches_add(
	struct watches *w, struct store *s, const char *prefix, int64_t from,
	void (*fn)(void *arg, const struct store_change *change), void *arg)
{
	struct watch *watch = mem_alloc(sizeof(*watch));

	*watch = (struct watch){
		.base.store = s,
		.prefix = mem_strdup(prefix),
		.fn = fn,
		.arg = arg,
	};
	pthread_mutex_lock(&w->mu);
	watch->position = from ? from : w->last + 1;
	watch->next = w->list;
	w->list = watch;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->mu);
	return &watch->base;
}

static void free_watch(struct watch *watch)
{
	free(watch->prefix);
	free(watch);
}

void watches_remove(struct watches *w, struct store_watch *base)
{
	struct watch *watch = (struct watch *)base;
	struct watch **i;

	assert(!pthread_equal(pthread_self(), w->thread));
	pthread_mutex_lock(&w->mu);
	watch->is_gone = true;
	while (watch->is_busy)
		pthread_cond_wait(&w->idle, &w->mu);
	for (i = &w->list; *i != watch; i = &(*i)->next)
		;
	*i = watch->next;
	pthread_mutex_unlock(&w->mu);
	free_watch(watch);
}

struct watches *watches_new(int64_t last, struct err *err)
{
	struct watches *w = mem_zalloc(1, sizeof(*w));
	int rc;

	w->last = last;
	pthread_mutex_init(&w->mu, NULL);
	pthread_cond_init(&w->work, NULL);
	pthread_cond_init(&w->idle, NULL);
	rc = pthread_create(&w->thread, NULL, run, w);
	w->has_thread = rc == 0;
	if (rc) {
		watches_free(w);
		errno = rc;
		err_errno(err, "start a thread");
		return NULL;
	}
	return w;
}

void watches_stop(struct watches *w)
{
	if (!w || !w->has_thread)
		return;
	pthread_mutex_lock(&w->mu);
	w->stop = true;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->mu);
	pthread_join(w->thread, NULL);
	w->has_thread = false;
}

void watches_free(struct watches *w)
{
	if (!w)
		return;
	watches_stop(w);
	while (w->list) {
		struct watch *next = w->list->next;

		free_watch(w->list);
		w->list = next;
	}
	while (w->n)
		drop_oldest(w);
	pthread_cond_destroy(&w->idle);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->mu);
	free(w);
}

/* The latest events, in a ring. Who tells them to clients is in service. */

#include "daemon/core/events.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proto/lib/id.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"
#include "proto/lib/utf8.h"

#define INSTANCE_BYTES 8

/* How many events one events_read() looks at: it holds the lock meanwhile. */
#define MAX_LOOK 1000

/* An event as it is kept, in one piece with its texts. */
struct entry {
	struct event event;
	size_t bytes;       /* of it all */
	struct entry *next; /* of those that are let go */
	char texts[];
};

struct events_follower {
	LIST_ENTRY(events_follower) siblings;
	void (*wake)(void *arg);
	void *arg;
};

struct events {
	char instance[2 * INSTANCE_BYTES + 1];
	pthread_mutex_t mu; /* of all below */
	LIST_HEAD(, events_follower) followers;

	/* Those of sequences last - n + 1 to last; a sequence's place is its
	 * remainder. */
	struct entry *ring[EVENTS_KEPT];
	uint64_t last;
	size_t n;
	size_t bytes;
};

struct events *events_new(void)
{
	struct events *e = mem_zalloc(1, sizeof(*e));

	if (id_random(e->instance, sizeof(e->instance)) == -1)
		abort(); /* so few bytes are always there */
	pthread_mutex_init(&e->mu, NULL);
	LIST_INIT(&e->followers);
	return e;
}

void events_free(struct events *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		free(e->ring[i]);
	pthread_mutex_destroy(&e->mu);
	free(e);
}

const char *events_instance(const struct events *e)
{
	return e->instance;
}

/* --- adding --- */

/* Copies a text to where the next one goes. */
static const char *put_text(char **out, const char *text, size_t size)
{
	char *start = *out;

	memcpy(start, text, size);
	start[size] = '\0';
	*out += size + 1;
	return start;
}

static size_t size_of(const char *text)
{
	return utf8_valid_prefix(text, strnlen(text, EVENTS_TEXT));
}

static struct entry *entry_new(const char *const texts[4])
{
	size_t sizes[4], bytes = sizeof(struct entry);
	struct entry *entry;
	char *out;

	for (int i = 0; i < 4; i++) {
		sizes[i] = size_of(texts[i]);
		bytes += sizes[i] + 1;
	}
	entry = mem_alloc(bytes);
	entry->bytes = bytes;
	entry->next = NULL;
	out = entry->texts;
	entry->event = (struct event){
		.kind = put_text(&out, texts[0], sizes[0]),
		.controller = put_text(&out, texts[1], sizes[1]),
		.object = put_text(&out, texts[2], sizes[2]),
		.message = put_text(&out, texts[3], sizes[3]),
	};
	return entry;
}

/* Takes the oldest one out; needs the lock. */
static struct entry *drop_oldest(struct events *e)
{
	struct entry **place = &e->ring[(e->last - e->n + 1) % EVENTS_KEPT];
	struct entry *entry = *place;

	*place = NULL;
	e->n--;
	e->bytes -= entry->bytes;
	return entry;
}

/* Adds it and returns those that it takes the place of; needs the lock. */
static struct entry *add(struct events *e, struct entry *entry)
{
	struct entry *dropped = NULL;

	while (e->n == EVENTS_KEPT ||
	       (e->n && e->bytes + entry->bytes > EVENTS_BYTES)) {
		struct entry *oldest = drop_oldest(e);

		oldest->next = dropped;
		dropped = oldest;
	}
	entry->event.sequence = ++e->last;
	entry->event.time = units_now();
	e->ring[e->last % EVENTS_KEPT] = entry;
	e->n++;
	e->bytes += entry->bytes;
	return dropped;
}

void events_publish(struct events *e, const char *kind, const char *controller,
		    const char *object, const char *format, ...)
{
	char message[EVENTS_TEXT + 1];
	struct entry *entry, *dropped;
	struct events_follower *f;
	va_list ap;

	if (!e)
		return;
	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	entry = entry_new((const char *const[]){kind,
						controller ? controller : "",
						object ? object : "", message});
	pthread_mutex_lock(&e->mu);
	dropped = add(e, entry);
	LIST_FOREACH (f, &e->followers, siblings)
		f->wake(f->arg);
	pthread_mutex_unlock(&e->mu);
	while (dropped) {
		entry = dropped;
		dropped = entry->next;
		free(entry);
	}
}

/* --- reading --- */

uint64_t events_last(struct events *e)
{
	uint64_t last;

	pthread_mutex_lock(&e->mu);
	last = e->last;
	pthread_mutex_unlock(&e->mu);
	return last;
}

uint64_t events_oldest(struct events *e)
{
	uint64_t oldest;

	pthread_mutex_lock(&e->mu);
	oldest = e->last - e->n;
	pthread_mutex_unlock(&e->mu);
	return oldest;
}

static bool has_kind(const struct events_filter *filter, const char *kind)
{
	for (size_t i = 0; i < filter->n_kinds; i++) {
		size_t size = strlen(filter->kinds[i]);

		if (strncmp(kind, filter->kinds[i], size) == 0 &&
		    (!kind[size] || kind[size] == '.'))
			return true;
	}
	return !filter->n_kinds;
}

static bool is_wanted(const struct events_filter *filter,
		      const struct event *event)
{
	if (!filter)
		return true;
	return (!filter->controller ||
		strcmp(filter->controller, event->controller) == 0) &&
	       has_kind(filter, event->kind);
}

static struct event copy(const struct event *event, struct arena *a)
{
	struct event c = *event;

	c.kind = arena_strdup(a, event->kind);
	c.controller = arena_strdup(a, event->controller);
	c.object = arena_strdup(a, event->object);
	c.message = arena_strdup(a, event->message);
	return c;
}

/* Needs the lock, as does what follows. */
static int check_position(const struct events *e, uint64_t after,
			  struct err *err)
{
	if (after > e->last)
		return err_set(err, GRPC_STATUS_OUT_OF_RANGE,
			       "event %" PRIu64
			       " has not happened, the last is %" PRIu64
			       "; list again",
			       after, e->last);
	if (after < e->last - e->n)
		return err_set(err, GRPC_STATUS_OUT_OF_RANGE,
			       "events behind %" PRIu64
			       " are not kept any more, the oldest is %" PRIu64
			       "; list again",
			       after, e->last - e->n + 1);
	return 0;
}

static void take(const struct events *e, const struct events_filter *filter,
		 size_t limit, struct arena *a, struct events_batch *batch)
{
	for (size_t looked = 0;
	     looked < MAX_LOOK && batch->n < limit && batch->position < e->last;
	     looked++) {
		const struct entry *entry =
			e->ring[++batch->position % EVENTS_KEPT];

		if (is_wanted(filter, &entry->event))
			batch->items[batch->n++] = copy(&entry->event, a);
	}
}

int events_read(struct events *e, uint64_t after,
		const struct events_filter *filter, size_t limit,
		struct arena *a, struct events_batch *batch, struct err *err)
{
	int rc;

	*batch = (struct events_batch){
		.items = arena_alloc(a, limit * sizeof(*batch->items)),
		.position = after,
	};
	pthread_mutex_lock(&e->mu);
	rc = check_position(e, after, err);
	if (rc == 0)
		take(e, filter, limit, a, batch);
	pthread_mutex_unlock(&e->mu);
	return rc;
}

/* --- following --- */

struct events_follower *events_follow(struct events *e, void (*wake)(void *arg),
				      void *arg)
{
	struct events_follower *f = mem_alloc(sizeof(*f));

	f->wake = wake;
	f->arg = arg;
	pthread_mutex_lock(&e->mu);
	LIST_INSERT_HEAD(&e->followers, f, siblings);
	pthread_mutex_unlock(&e->mu);
	return f;
}

void events_unfollow(struct events *e, struct events_follower *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&e->mu);
	LIST_REMOVE(f, siblings);
	pthread_mutex_unlock(&e->mu);
	free(f);
}

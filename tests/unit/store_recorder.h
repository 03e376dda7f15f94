#ifndef OIM_TESTS_STORE_RECORDER_H
#define OIM_TESTS_STORE_RECORDER_H

/* A consumer of a watch that writes down what it is told. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/store/store.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

struct record {
	char *key;
	char *value; /* NULL: deleted */
	int64_t revision;
	int64_t lease;
	size_t change; /* the number of the call that told it */
	int64_t time;
};

struct recorder {
	pthread_mutex_t mu;
	pthread_cond_t more;
	struct record *records;
	size_t n;
	size_t changes;
	bool gone;
};

#define RECORDER_INIT                                                          \
	{                                                                      \
		.mu = PTHREAD_MUTEX_INITIALIZER,                               \
		.more = PTHREAD_COND_INITIALIZER                               \
	}

static inline void record(struct recorder *r, const struct store_event *e)
{
	r->records = mem_realloc(r->records, r->n + 1, sizeof(*r->records));
	r->records[r->n++] = (struct record){
		.key = mem_strdup(e->kv.key),
		.value = e->deleted ? NULL : mem_dup(e->kv.value, e->kv.size),
		.revision = e->kv.mod_revision,
		.lease = e->kv.lease,
		.change = r->changes,
		.time = units_monotonic(),
	};
}

static inline void on_change(void *arg, const struct store_change *change)
{
	struct recorder *r = arg;

	pthread_mutex_lock(&r->mu);
	for (size_t i = 0; i < change->n; i++)
		record(r, &change->events[i]);
	r->changes++;
	r->gone |= change->gone;
	pthread_cond_signal(&r->more);
	pthread_mutex_unlock(&r->mu);
}

/* Until there are n records, gone, or it is time; how many there are. */
static inline size_t recorder_wait(struct recorder *r, size_t n, int64_t until)
{
	struct timespec ts = {.tv_sec = until / UNITS_SECOND,
			      .tv_nsec = until % UNITS_SECOND};
	int rc = 0;

	pthread_mutex_lock(&r->mu);
	while (rc == 0 && r->n < n && !r->gone)
		rc = pthread_cond_clockwait(&r->more, &r->mu, CLOCK_MONOTONIC,
					    &ts);
	n = r->n;
	pthread_mutex_unlock(&r->mu);
	return n;
}

/* Fails the test if there are not n records, or gone, within a minute. */
static inline void recorder_expect(struct recorder *r, size_t n)
{
	size_t got = recorder_wait(r, n, units_monotonic() + 60 * UNITS_SECOND);

	if (got < n && !r->gone)
		fail_msg("told %zu changes of %zu", got, n);
}

static inline void recorder_clear(struct recorder *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->records[i].key);
		free(r->records[i].value);
	}
	free(r->records);
	r->records = NULL;
	r->n = 0;
}

static inline struct store_watch *watch(struct store *s, const char *prefix,
					int64_t from, struct recorder *r)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_watch *w =
		store_watch(s, prefix, from, on_change, r, &err);

	if (!w)
		fail_msg("%s", err.msg);
	return w;
}

#endif

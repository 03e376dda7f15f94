/*
 * Deadlines in an array sorted by id. Who is due is found by looking at all,
 * which for ten thousand takes some microseconds, twice a second at most.
 */

#include "daemon/store/lmdb_leases.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proto/lib/mem.h"
#include "proto/lib/units.h"

struct lease {
	int64_t id;
	int64_t ttl; /* nanoseconds */
	int64_t deadline;
	bool is_ending;
};

struct leases {
	pthread_mutex_t mu; /* of all below */
	struct lease *all;
	size_t n;
	size_t size;
	int64_t next;
};

struct leases *leases_new(void)
{
	struct leases *l = mem_zalloc(1, sizeof(*l));

	pthread_mutex_init(&l->mu, NULL);
	l->next = INT64_MAX;
	return l;
}

void leases_free(struct leases *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->mu);
	free(l->all);
	free(l);
}

/* The place of the first lease whose id is not below that. */
static size_t place(const struct leases *l, int64_t id)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->all[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct lease *find(const struct leases *l, int64_t id)
{
	size_t i = place(l, id);

	return i < l->n && l->all[i].id == id ? &l->all[i] : NULL;
}

static void look_at(struct leases *l, int64_t time)
{
	if (time < l->next)
		l->next = time;
}

void leases_add(struct leases *l, int64_t id, int64_t ttl, int64_t now)
{
	struct lease *at;
	size_t i;

	ttl *= UNITS_SECOND;
	pthread_mutex_lock(&l->mu);
	if (l->n == l->size) {
		l->size = l->size ? 2 * l->size : 16;
		l->all = mem_realloc(l->all, l->size, sizeof(*l->all));
	}
	i = place(l, id);
	at = &l->all[i];
	memmove(at + 1, at, (l->n++ - i) * sizeof(*at));
	*at = (struct lease){.id = id, .ttl = ttl, .deadline = now + ttl};
	look_at(l, at->deadline);
	pthread_mutex_unlock(&l->mu);
}

void leases_remove(struct leases *l, int64_t id)
{
	struct lease *at;

	pthread_mutex_lock(&l->mu);
	at = find(l, id);
	if (at)
		memmove(at, at + 1,
			(size_t)(l->all + l->n-- - (at + 1)) * sizeof(*at));
	pthread_mutex_unlock(&l->mu);
}

bool leases_has(struct leases *l, int64_t id)
{
	bool has;

	pthread_mutex_lock(&l->mu);
	has = find(l, id);
	pthread_mutex_unlock(&l->mu);
	return has;
}

bool leases_renew(struct leases *l, int64_t id, int64_t now)
{
	struct lease *at;
	bool can;

	pthread_mutex_lock(&l->mu);
	at = find(l, id);
	can = at && !at->is_ending;
	if (can)
		at->deadline = now + at->ttl;
	pthread_mutex_unlock(&l->mu);
	return can;
}

int64_t leases_next(struct leases *l)
{
	int64_t next;

	pthread_mutex_lock(&l->mu);
	next = l->next;
	pthread_mutex_unlock(&l->mu);
	return next;
}

size_t leases_due(struct leases *l, int64_t now, int64_t *ids, size_t max)
{
	int64_t next = INT64_MAX;
	size_t n = 0;

	pthread_mutex_lock(&l->mu);
	for (size_t i = 0; i < l->n; i++) {
		struct lease *at = &l->all[i];

		if (at->is_ending)
			continue;
		if (at->deadline <= now && n < max) {
			at->is_ending = true;
			ids[n++] = at->id;
		} else if (at->deadline < next) {
			next = at->deadline;
		}
	}
	if (next < now + LEASES_INTERVAL)
		next = now + LEASES_INTERVAL;
	l->next = n < max ? next : now;
	pthread_mutex_unlock(&l->mu);
	return n;
}

void leases_revive(struct leases *l, int64_t id, int64_t until)
{
	struct lease *at;

	pthread_mutex_lock(&l->mu);
	at = find(l, id);
	if (at && at->is_ending) {
		at->is_ending = false;
		at->deadline = until;
		look_at(l, until);
	}
	pthread_mutex_unlock(&l->mu);
}

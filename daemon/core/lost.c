/* Who is lost: an array by id, mostly empty. */

#include "daemon/core/lost.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/liveness.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

/* How often a quarrel is news. */
#define PERIOD (60 * UNITS_SECOND)

/* One that is lost, or that there is a quarrel about. */
struct known {
	char *id;
	int64_t lost, seen;
	int64_t contested, told; /* the last time, and the last that was news */
	bool is_found;           /* since lost_begin() */
};

struct lost {
	pthread_mutex_t mu; /* for what follows */
	struct known *all;
	size_t n, max, n_lost;
};

struct lost *lost_new(void)
{
	struct lost *l = mem_zalloc(1, sizeof(*l));

	pthread_mutex_init(&l->mu, NULL);
	return l;
}

void lost_free(struct lost *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->all[i].id);
	free(l->all);
	pthread_mutex_destroy(&l->mu);
	free(l);
}

/* The place of the first one that is not below that id. */
static size_t place(const struct lost *l, const char *id)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(l->all[mid].id, id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct known *find(const struct lost *l, const char *id)
{
	size_t i = place(l, id);

	return i < l->n && strcmp(l->all[i].id, id) == 0 ? &l->all[i] : NULL;
}

static struct known *find_or_add(struct lost *l, const char *id)
{
	size_t i = place(l, id);
	struct known *k = find(l, id);

	if (k)
		return k;
	if (l->n == l->max) {
		l->max = l->max ? 2 * l->max : 16;
		l->all = mem_realloc(l->all, l->max, sizeof(*k));
	}
	k = &l->all[i];
	memmove(k + 1, k, (l->n++ - i) * sizeof(*k));
	*k = (struct known){.id = mem_strdup(id)};
	return k;
}

static void drop(struct lost *l, struct known *k)
{
	l->n_lost -= k->lost != 0;
	free(k->id);
	memmove(k, k + 1, (size_t)(l->all + l->n-- - (k + 1)) * sizeof(*k));
}

/* With the lock held. */
static enum lost_news learn(struct lost *l, const char *id,
			    const Oim__State__V1__Liveness *r)
{
	bool matters = r && (r->lost || r->contested);
	struct known *k = matters ? find_or_add(l, id) : find(l, id);
	struct known old;

	if (!k)
		return LOST_NOTHING;
	old = *k;
	k->is_found = true;
	l->n_lost += (r && r->lost) - (old.lost != 0);
	k->lost = r ? r->lost : 0;
	k->seen = k->lost ? liveness_seen(r) : 0;
	k->contested = r ? r->contested : 0;
	if (!matters)
		drop(l, k);
	if (r && !old.lost != !r->lost)
		return r->lost ? LOST_LOST : LOST_READY;
	if (!r || r->contested == old.contested ||
	    r->contested - old.told < PERIOD)
		return LOST_NOTHING;
	k->told = r->contested;
	return LOST_CONTESTED;
}

enum lost_news lost_learn(struct lost *l, const char *id,
			  const Oim__State__V1__Liveness *record)
{
	enum lost_news news;

	pthread_mutex_lock(&l->mu);
	news = learn(l, id, record);
	pthread_mutex_unlock(&l->mu);
	return news;
}

void lost_begin(struct lost *l)
{
	pthread_mutex_lock(&l->mu);
	for (size_t i = 0; i < l->n; i++)
		l->all[i].is_found = false;
	pthread_mutex_unlock(&l->mu);
}

void lost_end(struct lost *l)
{
	pthread_mutex_lock(&l->mu);
	for (size_t i = l->n; i-- > 0;)
		if (!l->all[i].is_found)
			drop(l, &l->all[i]);
	pthread_mutex_unlock(&l->mu);
}

int64_t lost_since(struct lost *l, const char *id)
{
	const struct known *k;
	int64_t since = 0;

	pthread_mutex_lock(&l->mu);
	k = find(l, id);
	if (k && k->lost)
		since = k->seen;
	pthread_mutex_unlock(&l->mu);
	return since;
}

size_t lost_count(struct lost *l)
{
	size_t n;

	pthread_mutex_lock(&l->mu);
	n = l->n_lost;
	pthread_mutex_unlock(&l->mu);
	return n;
}

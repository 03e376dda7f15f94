#ifndef OIM_TESTS_AWAY_STORE_H
#define OIM_TESTS_AWAY_STORE_H

/*
 * A store that is not embedded, in front of a real one: it answers when the
 * test lets it, and is never asked on the loop of rpc.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/store/store.h"
#include "proto/lib/arena.h"
#include "proto/lib/err.h"

struct away_store {
	struct store store;
	struct store *disk;
	pthread_mutex_t mu; /* for what follows */
	pthread_cond_t changed;
	bool is_held;          /* nobody gets an answer */
	atomic_bool is_broken; /* the answer is an error */
	unsigned asked;        /* how often */
};

static inline void away_hold(struct away_store *s, bool is_held)
{
	pthread_mutex_lock(&s->mu);
	s->is_held = is_held;
	s->asked = 0;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mu);
}

/* Waits until it has been asked so often since it was held. */
static inline void away_wait(struct away_store *s, unsigned n)
{
	pthread_mutex_lock(&s->mu);
	while (s->asked < n)
		pthread_cond_wait(&s->changed, &s->mu);
	pthread_mutex_unlock(&s->mu);
}

static inline int away_ask(struct store *base, struct err *err)
{
	struct away_store *s = (struct away_store *)base;
	char thread[16] = "";
	bool is_broken;

	pthread_getname_np(pthread_self(), thread, sizeof(thread));
	assert_string_not_equal(thread, "loop");
	pthread_mutex_lock(&s->mu);
	s->asked++;
	pthread_cond_broadcast(&s->changed);
	while (s->is_held)
		pthread_cond_wait(&s->changed, &s->mu);
	is_broken = s->is_broken;
	pthread_mutex_unlock(&s->mu);
	if (!is_broken)
		return 0;
	return err_set(err, GRPC_STATUS_UNAVAILABLE, "the store is away");
}

static inline struct store *away_disk(struct store *base)
{
	return ((struct away_store *)base)->disk;
}

static inline int away_check(struct store *s, struct store_status *status,
			     struct err *err)
{
	return away_ask(s, err) ? -1 : store_check(away_disk(s), status, err);
}

static inline int away_get(struct store *s, const char *key, struct arena *a,
			   struct store_kv *kv, struct err *err)
{
	return away_ask(s, err) ? -1 : store_get(away_disk(s), key, a, kv, err);
}

static inline int away_range(struct store *s, const char *prefix,
			     const char *after, size_t limit, struct arena *a,
			     struct store_list *list, struct err *err)
{
	return away_ask(s, err) ? -1
				: store_range(away_disk(s), prefix, after,
					      limit, a, list, err);
}

static inline int away_each(struct store *s, const char *prefix,
			    bool (*visit)(void *arg, const struct store_kv *kv),
			    void *arg, struct err *err)
{
	return away_ask(s, err)
		       ? -1
		       : store_each(away_disk(s), prefix, visit, arg, err);
}

static inline void away_submit(struct store *s, struct store_txn *txn)
{
	if (away_ask(s, &txn->err) == 0) {
		store_submit(away_disk(s), txn);
		return;
	}
	txn->result = STORE_FAILED;
	txn->done(txn);
}

static inline struct store_watch *away_watch(
	struct store *s, const char *prefix, int64_t from,
	void (*fn)(void *arg, const struct store_change *change), void *arg,
	struct err *err)
{
	return away_ask(s, err)
		       ? NULL
		       : store_watch(away_disk(s), prefix, from, fn, arg, err);
}

static inline int away_grant(struct store *s, int64_t ttl, int64_t *id,
			     struct err *err)
{
	return away_ask(s, err) ? -1
				: store_lease_grant(away_disk(s), ttl, id, err);
}

static inline int away_renew(struct store *s, int64_t id, struct err *err)
{
	return away_ask(s, err) ? -1 : store_lease_renew(away_disk(s), id, err);
}

static inline int away_revoke(struct store *s, int64_t id, struct err *err)
{
	return away_ask(s, err) ? -1
				: store_lease_revoke(away_disk(s), id, err);
}

static const struct store_engine away_engine = {
	.name = "away",
	.check = away_check,
	.get = away_get,
	.range = away_range,
	.each = away_each,
	.submit = away_submit,
	.watch = away_watch,
	.lease_grant = away_grant,
	.lease_renew = away_renew,
	.lease_revoke = away_revoke,
};

static inline void away_open(struct away_store *s, struct store *disk)
{
	*s = (struct away_store){.store.engine = &away_engine,
				 .disk = disk,
				 .mu = PTHREAD_MUTEX_INITIALIZER,
				 .changed = PTHREAD_COND_INITIALIZER};
}

#endif

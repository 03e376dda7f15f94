#ifndef OIM_TESTS_FAULTY_STORE_H
#define OIM_TESTS_FAULTY_STORE_H

/*
 * A store that fails when a test wants it to, in front of a real one: any of
 * its writes, reads, or all that follow.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "daemon/store/store.h"
#include "proto/lib/arena.h"
#include "proto/lib/err.h"

enum faulty_kind {
	FAULTY_FULL = 1, /* RESOURCE_EXHAUSTED: not done */
	FAULTY_LOST,     /* UNAVAILABLE: not done, as it turns out */
	FAULTY_UNKNOWN,  /* UNAVAILABLE: done, as it turns out */
};

struct faulty_store {
	struct store store;
	struct store *disk;
	atomic_uint writes;    /* that were asked for */
	unsigned fails_at;     /* the write that fails, from 1; 0: none */
	bool stays_broken;     /* and all that come after it */
	enum faulty_kind kind; /* of that failure */
	atomic_bool is_unreadable;

	bool is_mute; /* new watches are told nothing */
	void (*watcher)(void *arg, const struct store_change *change);
	void *watcher_arg; /* of the last watch */
};

static inline int faulty_read(struct faulty_store *f, struct err *err)
{
	if (!f->is_unreadable)
		return 0;
	return err_set(err, GRPC_STATUS_UNAVAILABLE, "the store is away");
}

static inline int faulty_get(struct store *s, const char *key, struct arena *a,
			     struct store_kv *kv, struct err *err)
{
	struct faulty_store *f = (struct faulty_store *)s;

	return faulty_read(f, err) == -1 ? -1
					 : store_get(f->disk, key, a, kv, err);
}

static inline int faulty_range(struct store *s, const char *prefix,
			       const char *after, size_t limit, struct arena *a,
			       struct store_list *list, struct err *err)
{
	struct faulty_store *f = (struct faulty_store *)s;

	if (faulty_read(f, err) == -1)
		return -1;
	return store_range(f->disk, prefix, after, limit, a, list, err);
}

static inline int faulty_each(struct store *s, const char *prefix,
			      bool (*visit)(void *arg,
					    const struct store_kv *kv),
			      void *arg, struct err *err)
{
	struct faulty_store *f = (struct faulty_store *)s;

	if (faulty_read(f, err) == -1)
		return -1;
	return store_each(f->disk, prefix, visit, arg, err);
}

/* Whether the n-th write fails. */
static inline bool faulty_is_due(const struct faulty_store *f, unsigned n)
{
	if (!f->fails_at || n < f->fails_at)
		return false;
	return f->stays_broken || n == f->fails_at;
}

static inline void faulty_submit(struct store *s, struct store_txn *txn)
{
	struct faulty_store *f = (struct faulty_store *)s;
	struct store_txn copy = *txn;
	unsigned n = ++f->writes;

	if (!faulty_is_due(f, n)) {
		store_submit(f->disk, txn);
		return;
	}
	/* only the first failure is of that kind: then the store is down */
	if (f->kind == FAULTY_UNKNOWN && n == f->fails_at)
		store_commit(f->disk, &copy, &txn->err);
	txn->result = STORE_FAILED;
	err_clear(&txn->err);
	err_set(&txn->err,
		f->kind == FAULTY_FULL ? GRPC_STATUS_RESOURCE_EXHAUSTED
				       : GRPC_STATUS_UNAVAILABLE,
		"the write has failed");
	txn->done(txn);
}

static inline struct store_watch *faulty_watch(
	struct store *s, const char *prefix, int64_t from,
	void (*fn)(void *arg, const struct store_change *change), void *arg,
	struct err *err)
{
	struct faulty_store *f = (struct faulty_store *)s;

	if (faulty_read(f, err) == -1)
		return NULL;
	f->watcher = fn;
	f->watcher_arg = arg;
	return store_watch(f->disk, f->is_mute ? "nobody/" : prefix, from, fn,
			   arg, err);
}

static inline int faulty_grant(struct store *s, int64_t ttl, int64_t *id,
			       struct err *err)
{
	struct faulty_store *f = (struct faulty_store *)s;

	return faulty_read(f, err) == -1
		       ? -1
		       : store_lease_grant(f->disk, ttl, id, err);
}

static inline int faulty_renew(struct store *s, int64_t id, struct err *err)
{
	struct faulty_store *f = (struct faulty_store *)s;

	return faulty_read(f, err) == -1 ? -1
					 : store_lease_renew(f->disk, id, err);
}

static inline int faulty_revoke(struct store *s, int64_t id, struct err *err)
{
	struct faulty_store *f = (struct faulty_store *)s;

	return faulty_read(f, err) == -1 ? -1
					 : store_lease_revoke(f->disk, id, err);
}

static inline const char *faulty_id(const struct store *s)
{
	return store_id(((const struct faulty_store *)s)->disk);
}

static const struct store_engine faulty_engine = {
	.name = "faulty",
	.embedded = true,
	.id = faulty_id,
	.get = faulty_get,
	.range = faulty_range,
	.each = faulty_each,
	.submit = faulty_submit,
	.watch = faulty_watch,
	.lease_grant = faulty_grant,
	.lease_renew = faulty_renew,
	.lease_revoke = faulty_revoke,
};

/* All the ways in which a write can fail, and what comes after it. */
struct faulty_breakdown {
	enum faulty_kind kind;
	bool stays_broken;
	bool restarts; /* the call is repeated by the next daemon */
	int code;      /* that the call fails with */
};

#define FAULTY_BREAKDOWNS 12

static inline struct faulty_breakdown faulty_breakdown(int i)
{
	enum faulty_kind kind = FAULTY_FULL + i / 4;

	return (struct faulty_breakdown){
		kind, i & 1, i & 2,
		kind == FAULTY_FULL ? GRPC_STATUS_RESOURCE_EXHAUSTED
				    : GRPC_STATUS_UNAVAILABLE};
}

/* From the n-th write from now on. */
static inline void faulty_break(struct faulty_store *f, unsigned n,
				enum faulty_kind kind, bool stays_broken)
{
	f->writes = 0;
	f->fails_at = n;
	f->kind = kind;
	f->stays_broken = stays_broken;
}

static inline void faulty_mend(struct faulty_store *f)
{
	f->writes = 0;
	f->fails_at = 0;
	f->stays_broken = f->is_unreadable = false;
}

#endif

/*
 * Reading. Nothing here waits but for the map to move: a read transaction is
 * never held while somebody else decides when it ends.
 */

#include "daemon/store/lmdb.h"

#include <stdlib.h>
#include <string.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

/* --- transactions --- */

static int read_failed(struct lmdb *s, int rc, struct err *err)
{
	lmdb_err(rc, err);
	return err_wrap(err, "read store %s", s->path);
}

static struct lmdb_reader *pop(struct lmdb *s)
{
	struct lmdb_reader *r;

	pthread_mutex_lock(&s->idle_mu);
	r = s->idle;
	if (r)
		s->idle = r->next;
	pthread_mutex_unlock(&s->idle_mu);
	return r;
}

static void push(struct lmdb *s, struct lmdb_reader *r)
{
	pthread_mutex_lock(&s->idle_mu);
	r->next = s->idle;
	s->idle = r;
	pthread_mutex_unlock(&s->idle_mu);
}

static struct lmdb_reader *begin(struct lmdb *s, struct err *err)
{
	struct lmdb_reader *r = pop(s);
	MDB_txn *txn = r ? r->txn : NULL;
	int rc;

	if (txn)
		rc = mdb_txn_renew(txn);
	else
		rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	/* Another process has made it larger. */
	if (rc == MDB_MAP_RESIZED && s->is_read_only &&
	    !(rc = mdb_env_set_mapsize(s->env, 0)))
		rc = r ? mdb_txn_renew(txn)
		       : mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (rc) {
		if (r)
			push(s, r);
		read_failed(s, rc, err);
		return NULL;
	}
	if (!r) {
		r = mem_alloc(sizeof(*r));
		r->txn = txn;
	}
	return r;
}

struct lmdb_reader *lmdb_read_begin(struct lmdb *s, struct err *err)
{
	struct lmdb_reader *r = NULL;

	pthread_rwlock_rdlock(&s->map);
	if (lmdb_alive(s, err) == 0)
		r = begin(s, err);
	if (!r)
		pthread_rwlock_unlock(&s->map);
	return r;
}

void lmdb_read_end(struct lmdb *s, struct lmdb_reader *r)
{
	mdb_txn_reset(r->txn);
	push(s, r);
	pthread_rwlock_unlock(&s->map);
}

void lmdb_readers_free(struct lmdb *s)
{
	struct lmdb_reader *r;

	while ((r = pop(s))) {
		mdb_txn_abort(r->txn);
		free(r);
	}
}

/* --- records --- */

int lmdb_read_header(const MDB_val *record, struct lmdb_header *h)
{
	if (record->mv_size < sizeof(*h))
		return MDB_CORRUPTED;
	memcpy(h, record->mv_data, sizeof(*h));
	return 0;
}

/* All but the key. Points into the map. */
static int decode(const MDB_val *record, struct store_kv *kv)
{
	struct lmdb_header h;
	int rc = lmdb_read_header(record, &h);

	if (rc)
		return rc;
	*kv = (struct store_kv){
		.value = (const char *)record->mv_data + sizeof(h),
		.size = record->mv_size - sizeof(h),
		.create_revision = h.create_revision,
		.mod_revision = h.mod_revision,
		.lease = h.lease,
	};
	return 0;
}

int lmdb_get(struct store *base, const char *key, struct arena *a,
	     struct store_kv *kv, struct err *err)
{
	struct lmdb *s = (struct lmdb *)base;
	MDB_val k = lmdb_val(key, strlen(key)), record;
	struct lmdb_reader *r = lmdb_read_begin(s, err);
	int rc;

	if (!r)
		return -1;
	rc = mdb_get(r->txn, s->kv, &k, &record);
	if (!rc)
		rc = decode(&record, kv);
	if (!rc) {
		kv->key = arena_strdup(a, key);
		kv->value = arena_dup(a, kv->value, kv->size);
	}
	lmdb_read_end(s, r);
	if (rc == MDB_NOTFOUND)
		return 0;
	return rc ? read_failed(s, rc, err) : 1;
}

/* --- ranges --- */

/* A walk over the keys that begin with prefix. */
struct walk {
	MDB_cursor *cursor;
	const char *prefix;
	size_t prefix_size;
	struct store_kv kv; /* key and value point to what dies with the walk */
	char key[STORE_MAX_KEY + 1];
};

static bool is_beyond(const struct walk *w, const MDB_val *key)
{
	return key->mv_size < w->prefix_size ||
	       memcmp(key->mv_data, w->prefix, w->prefix_size) != 0;
}

/* MDB_NOTFOUND behind the last. */
static int take(struct walk *w, int rc, const MDB_val *key,
		const MDB_val *record)
{
	if (rc)
		return rc;
	if (is_beyond(w, key))
		return MDB_NOTFOUND;
	if (key->mv_size > STORE_MAX_KEY)
		return MDB_CORRUPTED;
	rc = decode(record, &w->kv);
	if (rc)
		return rc;
	memcpy(w->key, key->mv_data, key->mv_size);
	w->key[key->mv_size] = '\0';
	w->kv.key = w->key;
	return 0;
}

static int next(struct walk *w)
{
	MDB_val key, record;
	int rc = mdb_cursor_get(w->cursor, &key, &record, MDB_NEXT);

	return take(w, rc, &key, &record);
}

static int first(struct walk *w, const char *after)
{
	const char *start = w->prefix;
	MDB_val key, record;
	int rc;

	if (after && strcmp(after, start) >= 0)
		start = after;
	else
		after = NULL;
	if (!*start) /* LMDB has no empty keys, not even to begin with */
		rc = mdb_cursor_get(w->cursor, &key, &record, MDB_FIRST);
	else {
		key = lmdb_val(start, strlen(start));
		rc = mdb_cursor_get(w->cursor, &key, &record, MDB_SET_RANGE);
	}
	rc = take(w, rc, &key, &record);
	if (!rc && after && strcmp(w->key, after) == 0)
		return next(w);
	return rc;
}

static int walk_open(struct lmdb *s, struct lmdb_reader *r, const char *prefix,
		     struct walk *w)
{
	w->prefix = prefix;
	w->prefix_size = strlen(prefix);
	return mdb_cursor_open(r->txn, s->kv, &w->cursor);
}

static int collect(struct walk *w, const char *after, size_t limit,
		   struct arena *a, struct store_list *list)
{
	CLEANUP(cleanup_free) struct store_kv *kvs = NULL;
	size_t size = 0;
	int rc;

	for (rc = first(w, after); !rc; rc = next(w)) {
		if (limit && list->n == limit) {
			list->more = true;
			break;
		}
		if (list->n == size) {
			size = size ? 2 * size : 16;
			kvs = mem_realloc(kvs, size, sizeof(*kvs));
		}
		kvs[list->n] = w->kv;
		kvs[list->n].key = arena_strdup(a, w->key);
		kvs[list->n++].value = arena_dup(a, w->kv.value, w->kv.size);
	}
	list->kvs = arena_dup(a, kvs, list->n * sizeof(*kvs));
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int lmdb_range(struct store *base, const char *prefix, const char *after,
	       size_t limit, struct arena *a, struct store_list *list,
	       struct err *err)
{
	struct lmdb *s = (struct lmdb *)base;
	struct lmdb_reader *r = lmdb_read_begin(s, err);
	struct walk w;
	int rc;

	if (!r)
		return -1;
	*list = (struct store_list){0};
	rc = lmdb_revision(s, r->txn, &list->revision);
	if (!rc)
		rc = walk_open(s, r, prefix, &w);
	if (!rc) {
		rc = collect(&w, after, limit, a, list);
		mdb_cursor_close(w.cursor);
	}
	lmdb_read_end(s, r);
	return rc ? read_failed(s, rc, err) : 0;
}

int lmdb_each(struct store *base, const char *prefix,
	      bool (*visit)(void *arg, const struct store_kv *kv), void *arg,
	      struct err *err)
{
	struct lmdb *s = (struct lmdb *)base;
	struct lmdb_reader *r = lmdb_read_begin(s, err);
	struct walk w;
	int rc;

	if (!r)
		return -1;
	rc = walk_open(s, r, prefix, &w);
	if (!rc) {
		for (rc = first(&w, NULL); !rc && visit(arg, &w.kv);)
			rc = next(&w);
		mdb_cursor_close(w.cursor);
	}
	lmdb_read_end(s, r);
	return rc && rc != MDB_NOTFOUND ? read_failed(s, rc, err) : 0;
}

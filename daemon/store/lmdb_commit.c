/*
 * From a list of transactions to a commit, and what is done when it does not
 * succeed: the map is full, the file system is full, or the disk has failed.
 */

#include "daemon/store/lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

static void fail(struct lmdb *s, int rc)
{
	if (!atomic_load(&s->failure))
		atomic_store(&s->failure, mem_strdup(mdb_strerror(rc)));
}

static void refuse(struct lmdb *s, struct store_txn *txns, int code,
		   const char *why)
{
	for (; txns; txns = txns->next) {
		txns->result = STORE_FAILED;
		txns->revision = 0;
		err_clear(&txns->err);
		err_set(&txns->err, code, "write to store %s: %s", s->path,
			why);
	}
}

/* --- attempts --- */

static int apply_all(struct lmdb_batch *b, struct store_txn *txns)
{
	int64_t before;
	int rc = lmdb_revision(b->s, b->txn, &b->revision);

	before = b->revision;
	for (struct store_txn *t = txns; !rc && t; t = t->next)
		rc = lmdb_apply(b, t);
	if (!rc && (b->revision != before || !txns))
		rc = lmdb_set_revision(b->s, b->txn, b->revision);
	return rc;
}

/* One attempt; if it succeeds b has its revisions. */
static int commit(struct lmdb_batch *b, struct store_txn *txns)
{
	int rc = mdb_txn_begin(b->s->env, NULL, 0, &b->txn);

	if (rc)
		return rc;
	rc = apply_all(b, txns);
	if (rc)
		mdb_txn_abort(b->txn);
	else
		rc = mdb_txn_commit(b->txn);
	while (rc && b->n)
		revision_free(b->revisions[--b->n]);
	return rc;
}

/* LMDB gives up the old map first: after a failure there is none. */
static int grow(struct lmdb *s)
{
	MDB_envinfo info;
	int rc;

	pthread_rwlock_wrlock(&s->map);
	rc = mdb_env_info(s->env, &info);
	if (!rc)
		rc = mdb_env_set_mapsize(s->env, 2 * info.me_mapsize);
	if (rc)
		fail(s, rc);
	pthread_rwlock_unlock(&s->map);
	return rc;
}

/* --- a full file system --- */

/* After a write of the meta page has failed LMDB begins nothing any more. */
static bool is_sound(struct lmdb *s)
{
	MDB_txn *txn;

	if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn))
		return false;
	mdb_txn_abort(txn);
	return true;
}

static off_t size_of(const struct store_txn *txns)
{
	size_t size = STORE_MAX_VALUE; /* for the tree and what is free in it */

	for (; txns; txns = txns->next)
		for (size_t i = 0; i < txns->n_ops; i++)
			size += STORE_MAX_KEY + txns->ops[i].size;
	return (off_t)size;
}

/*
 * LMDB says EIO when only a part of the pages could be written, which is how
 * most full file systems begin. So try whether there is room for all of it.
 */
static bool has_no_room(struct lmdb *s, const struct store_txn *txns)
{
	struct stat st;
	int fd;

	if (mdb_env_get_fd(s->env, &fd) || fstat(fd, &st) == -1)
		return false;
	return fallocate(fd, FALLOC_FL_KEEP_SIZE, st.st_size, size_of(txns)) ==
		       -1 &&
	       (errno == ENOSPC || errno == EDQUOT);
}

bool lmdb_is_full(struct lmdb *s, int rc, const struct store_txn *txns)
{
	if (rc == EIO)
		return is_sound(s) && has_no_room(s, txns);
	return (rc == ENOSPC || rc == EDQUOT) && is_sound(s);
}

/* So that only those are refused that need more than there is. */
static void commit_each(struct lmdb *s, struct store_txn *txns)
{
	while (txns) {
		struct store_txn *next = txns->next;

		txns->next = NULL;
		lmdb_commit(s, txns);
		txns->next = next;
		txns = next;
	}
}

static void on_full(struct lmdb *s, struct store_txn *txns)
{
	atomic_store(&s->is_full, true);
	if (txns && txns->next)
		commit_each(s, txns);
	else
		refuse(s, txns, GRPC_STATUS_RESOURCE_EXHAUSTED,
		       "no space left");
}

/* --- a batch --- */

static size_t count(const struct store_txn *txns)
{
	size_t n = 0;

	for (; txns; txns = txns->next)
		n++;
	return n;
}

void lmdb_commit(struct lmdb *s, struct store_txn *txns)
{
	CLEANUP(cleanup_free)
	struct revision **revisions =
		mem_zalloc(count(txns), sizeof(*revisions));
	struct lmdb_batch b = {.s = s, .revisions = revisions};
	int rc;

	if (atomic_load(&s->failure)) {
		refuse(s, txns, GRPC_STATUS_UNAVAILABLE, "it failed earlier");
		return;
	}
	do {
		rc = commit(&b, txns);
	} while (rc == MDB_MAP_FULL && (rc = grow(s)) == 0);
	if (!rc) {
		watches_tell(s->watches, b.revisions, b.n);
		if (!txns)
			atomic_store(&s->is_full, false);
	} else if (lmdb_is_full(s, rc, txns)) {
		on_full(s, txns);
	} else {
		fail(s, rc);
		refuse(s, txns, GRPC_STATUS_UNAVAILABLE,
		       "it failed, and what was done is not known");
	}
}

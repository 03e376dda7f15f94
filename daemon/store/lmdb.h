#ifndef OIM_STORE_LMDB_H
#define OIM_STORE_LMDB_H

/*
 * The inside of the LMDB engine (store.md 1 to 3); nobody else includes this.
 *
 * One thread writes: it takes all transactions that are waiting, applies them
 * in one LMDB transaction, commits, and calls them done. Readers are the
 * callers' threads, each with a read transaction from a list of idle ones.
 *
 * Four databases:
 *	meta       schema, rev (int64_t), id (text)
 *	kv         key -> struct lmdb_header, value
 *	lease      id -> ttl in seconds (int64_t)
 *	lease_key  id, key -> nothing
 * Lease ids are 8 bytes, big endian; other numbers are in host order, as all of
 * LMDB's file.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lmdb.h>

#include "daemon/store/lmdb_leases.h"
#include "daemon/store/lmdb_watches.h"
#include "daemon/store/store.h"
#include "proto/lib/err.h"

#define LMDB_SCHEMA   1
#define LMDB_MIN_MAP  (UINT64_C(16) << 20) /* doubled whenever it is full */
#define LMDB_ID_BYTES 16

struct lmdb_header {
	int64_t mod_revision;
	int64_t create_revision;
	int64_t version; /* puts since it was created */
	int64_t lease;
};

struct lmdb_reader {
	MDB_txn *txn;
	struct lmdb_reader *next; /* while idle */
};

struct lmdb_writer;

struct lmdb {
	struct store base;
	char *path;
	bool is_read_only; /* no lock, watches, writer */
	char id[2 * LMDB_ID_BYTES + 1];
	int lock; /* our own, held while open */

	MDB_env *env;
	MDB_dbi meta;
	MDB_dbi kv;
	MDB_dbi lease;
	MDB_dbi lease_key;

	/*
	 * Shared while a read transaction is active, exclusive while the map
	 * moves: LMDB lets it move under a reader, who then gets SIGBUS. Kind:
	 * prefers writers, so a thread never takes it twice.
	 */
	pthread_rwlock_t map;
	pthread_mutex_t idle_mu;
	struct lmdb_reader *idle;

	struct watches *watches;
	struct leases *leases;
	struct lmdb_writer *writer;

	_Atomic(char *) failure; /* why nothing works any more, or NULL */
	atomic_bool is_full;     /* there was no space when it was last tried */
};

/* --- lmdb.c --- */

/* Sets err from LMDB's result, which may be an errno; returns -1. */
int lmdb_err(int rc, struct err *err);

/* UNAVAILABLE if the store has failed. */
int lmdb_alive(struct lmdb *s, struct err *err);

/* The store's revision in meta; 0 or LMDB's result. */
int lmdb_revision(struct lmdb *s, MDB_txn *txn, int64_t *revision);
int lmdb_set_revision(struct lmdb *s, MDB_txn *txn, int64_t revision);

/* Opens it with that engine; see store.h. */
struct store *lmdb_open(const char *path, const struct store_engine *engine,
			bool is_read_only, struct err *err);

/* What both engines have in common. */
void lmdb_close(struct store *base);
int lmdb_check(struct store *base, struct store_status *status,
	       struct err *err);
const char *lmdb_id(const struct store *base);

static inline MDB_val lmdb_val(const void *data, size_t size)
{
	return (MDB_val){.mv_size = size, .mv_data = (void *)(uintptr_t)data};
}

/* --- lmdb_dir.c --- */

/*
 * Makes the directory and its files where they are absent, with their modes
 * whatever the umask, and locks it; the lock, or -1. *is_new: there is no data.
 */
int lmdb_dir_lock(const char *path, bool *is_new, struct err *err);

/* Makes the names in a directory durable. */
int lmdb_dir_sync(const char *path, struct err *err);

/* Takes the data away again, of a new store that could not be finished. */
void lmdb_dir_discard(const char *path);

/* --- lmdb_read.c --- */

/* Every successful begin is followed by an end, in the same thread. */
struct lmdb_reader *lmdb_read_begin(struct lmdb *s, struct err *err);
void lmdb_read_end(struct lmdb *s, struct lmdb_reader *r);
void lmdb_readers_free(struct lmdb *s);

/* The header that a record begins with; 0 or LMDB's result. */
int lmdb_read_header(const MDB_val *record, struct lmdb_header *h);

int lmdb_get(struct store *base, const char *key, struct arena *a,
	     struct store_kv *kv, struct err *err);
int lmdb_range(struct store *base, const char *prefix, const char *after,
	       size_t limit, struct arena *a, struct store_list *list,
	       struct err *err);
int lmdb_each(struct store *base, const char *prefix,
	      bool (*visit)(void *arg, const struct store_kv *kv), void *arg,
	      struct err *err);

/* --- lmdb_apply.c --- */

/* One LMDB transaction with all that is applied in it. */
struct lmdb_batch {
	struct lmdb *s;
	MDB_txn *txn;
	int64_t revision;            /* the last one given */
	struct revision **revisions; /* that were given */
	size_t n;
};

/*
 * Applies one transaction and sets its verdict; 0, or LMDB's result if the
 * batch must be aborted (then it may be applied again in another one).
 *
 * An op without a key is about the lease itself: with a value, its ttl, the
 * lease is granted; without, it ends. Such an op is alone.
 */
int lmdb_apply(struct lmdb_batch *b, struct store_txn *txn);

/* --- lmdb_write.c --- */

struct lmdb_writer *lmdb_writer_new(struct lmdb *s, struct err *err);
/* Waits for all that was submitted. NULL is fine. */
void lmdb_writer_free(struct lmdb_writer *w);

void lmdb_submit(struct store *base, struct store_txn *txn);

/* --- lmdb_commit.c --- */

/*
 * Commits a list of transactions as one, or one by one where not all find
 * space, and sets their verdicts; the map grows as needed. An empty list finds
 * out whether a file system that was full has space again. Writer thread only.
 */
void lmdb_commit(struct lmdb *s, struct store_txn *txns);

/* Whether LMDB's result of a commit means that there was no space for those. */
bool lmdb_is_full(struct lmdb *s, int rc, const struct store_txn *txns);

/* --- lmdb_lease.c --- */

int lmdb_lease_grant(struct store *base, int64_t ttl, int64_t *id,
		     struct err *err);
int lmdb_lease_renew(struct store *base, int64_t id, struct err *err);
int lmdb_lease_revoke(struct store *base, int64_t id, struct err *err);

/* NOT_FOUND; returns -1. */
int lmdb_lease_missing(int64_t id, struct err *err);

/* The key of a lease in its databases. */
void lmdb_lease_encode(int64_t id, unsigned char bytes[8]);
int64_t lmdb_lease_decode(const void *bytes);

/* Reads the leases at start. 0 or LMDB's result. */
int lmdb_lease_load(struct lmdb *s, MDB_txn *txn);

/* What a transaction that is done means for the deadlines. */
void lmdb_lease_settle(struct lmdb *s, const struct store_txn *txn);

#endif

#ifndef OIM_STORE_H
#define OIM_STORE_H

/*
 * What must survive: ordered keys with values, a revision for each key and one
 * for the store, transactions, watches and leases. Two engines keep the same
 * promises (store.md section 6), one suite of tests holds them to it.
 *
 * Keys are strings of 1 to STORE_MAX_KEY bytes in byte order; values have at
 * most STORE_MAX_VALUE bytes, those of one transaction together too; they are
 * encoded messages of oim.state.v1, and may be empty. Beyond a limit:
 * INVALID_ARGUMENT.
 *
 * All functions may be called by any thread unless they say otherwise. Errors:
 * UNAVAILABLE the store is away or failing (of a write: the outcome is not
 * known); RESOURCE_EXHAUSTED it is full, and works again when there is space.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/lib/arena.h"
#include "proto/lib/err.h"
#include "proto/lib/tls.h"

#define STORE_MAX_KEY   480
#define STORE_MAX_VALUE (1u << 20)
#define STORE_MAX_OPS   128 /* compares, and ops, of one transaction */
#define STORE_MIN_TTL   5   /* seconds */
#define STORE_MAX_TTL   INT64_C(9000000000)

struct store;

/* Waits for writes under way, ends and frees all watches. NULL is fine. */
void store_close(struct store *s);

struct store_status {
	const char *engine;
	const char *location; /* a path or endpoints, never a password */
	int64_t revision;
	uint64_t size; /* bytes on disk */
};

/* Whether the store can be read and written now, and where it stands; *status
 * points into the store or static memory. */
int store_check(struct store *s, struct store_status *status, struct err *err);

/* Whether reads never wait for another process or machine, so that a thread
 * that must not block may do them. */
bool store_is_embedded(const struct store *s);

/*
 * The store's own name, made once: revisions compare only within one. Constant
 * while open, but for a cluster that is replaced by another one meanwhile; ""
 * as long as that has never been reached. Valid until the store is closed.
 */
const char *store_id(const struct store *s);

/* --- reading --- */

struct store_kv {
	const char *key;
	const void *value;
	size_t size; /* of value */
	int64_t create_revision;
	int64_t mod_revision;
	int64_t lease; /* 0: none */
};

/* 1 and *kv, copied into the arena; 0 if there is no such key; or -1. */
int store_get(struct store *s, const char *key, struct arena *a,
	      struct store_kv *kv, struct err *err);

struct store_list {
	const struct store_kv *kvs;
	size_t n;
	bool more;        /* the limit cut it; go on after the last key */
	int64_t revision; /* the store's, of which this is a snapshot */
};

/*
 * The keys that begin with prefix ("": all), behind after (NULL: from the
 * first), at most limit (0: all), copied into the arena. One snapshot; pages
 * are not one together.
 */
int store_range(struct store *s, const char *prefix, const char *after,
		size_t limit, struct arena *a, struct store_list *list,
		struct err *err);

/*
 * Calls visit for each of those keys in order, without copying: what kv points
 * to is gone when visit returns. visit must not block nor call the store; it
 * returns false to stop. For hot paths. On failure visit may have been called.
 */
int store_each(struct store *s, const char *prefix,
	       bool (*visit)(void *arg, const struct store_kv *kv), void *arg,
	       struct err *err);

/* --- writing --- */

/* True if the key's mod revision is that; 0: if there is no such key. */
struct store_compare {
	const char *key;
	int64_t mod_revision;
};

struct store_op {
	const char *key;
	const void *value; /* NULL: delete the key, if it is there */
	size_t size;
	int64_t lease; /* of a put: attach to it; 0: to none (and detach). One
			* that is not there: STORE_FAILED with NOT_FOUND. */
};

enum store_result {
	STORE_DONE = 1,
	STORE_REFUSED, /* a compare was false; nothing changed */
	STORE_FAILED,  /* err says why; if UNAVAILABLE it may have been done */
};

/*
 * If all compares are true, do all ops, else nothing. A transaction that
 * changes something gives one new revision to the store and to all its keys; a
 * put changes even with the same value, a delete of nothing does not. Each key
 * may be in one op only.
 *
 * The caller owns the struct and all it points to, and leaves them alone until
 * it is done. A transaction without compares is for keys with one owner.
 *
 * One that failed with UNAVAILABLE and "not known" in its words may have been
 * done, and may still be until the next one of this store is sent. Engines
 * repeat one by themselves only when they have made sure that it was not done
 * and cannot be any more; where keys that somebody else has written since do
 * not tell, it is not known.
 */
struct store_txn {
	const struct store_compare *compares;
	size_t n_compares;
	const struct store_op *ops;
	size_t n_ops;

	/* Set when it is done. */
	enum store_result result;
	int64_t revision; /* of the change, or 0 if there was none */
	struct err err;   /* the caller clears it */

	/*
	 * Called once when it is done and, if the result is STORE_DONE,
	 * durable; on any thread, also before store_submit() returns. Must not
	 * block and not wait for the store; it may submit. The txn is the
	 * caller's again from the call on.
	 */
	void (*done)(struct store_txn *txn);
	void *arg;

	struct store_txn *next; /* the engine's while under way */
};

void store_submit(struct store *s, struct store_txn *txn);

/* Submits and waits (done is not used). STORE_FAILED moves txn->err to err. */
enum store_result store_commit(struct store *s, struct store_txn *txn,
			       struct err *err);

/* One put or delete without compares; 0 or -1. */
int store_put(struct store *s, const char *key, const void *value, size_t size,
	      struct err *err);
int store_put_message(struct store *s, const char *key,
		      const ProtobufCMessage *message, struct err *err);
int store_delete(struct store *s, const char *key, struct err *err);

/* --- watching --- */

struct store_event {
	struct store_kv kv; /* of a delete: key and mod_revision only */
	bool deleted;
};

/*
 * What a watch tells: events of one or more whole revisions, in order, each
 * once; or (n = 0 and gone) that changes since the last call can no longer be
 * told: list and watch anew. After gone nothing more is told.
 */
struct store_change {
	const struct store_event *events;
	size_t n;
	bool gone;
};

struct store_watch;

/*
 * Tells fn of every change of keys that begin with prefix, from revision from
 * on (0: from now). fn is called on a thread of the store, by one at a time; it
 * must not block and may submit, but not unwatch. What it is given is gone when
 * it returns. A change may be told before its transaction is called done.
 */
struct store_watch *store_watch(struct store *s, const char *prefix,
				int64_t from,
				void (*fn)(void *arg,
					   const struct store_change *change),
				void *arg, struct err *err);

/* After it returns fn is not called again. NULL is fine. */
void store_unwatch(struct store_watch *w);

/* --- leases --- */

/*
 * A lease ends at the earliest ttl seconds after its last renewal; later by
 * seconds, or by a full ttl when the store was opened again meanwhile. Its end
 * deletes all keys attached to it, in one revision. Ids are positive.
 */
int store_lease_grant(struct store *s, int64_t ttl, int64_t *id,
		      struct err *err);
/* NOT_FOUND if it has ended. Writes nothing. */
int store_lease_renew(struct store *s, int64_t id, struct err *err);
int store_lease_revoke(struct store *s, int64_t id, struct err *err);

/* --- engines --- */

/*
 * The embedded engine: LMDB in the directory path, which is made (0700; files
 * 0600) if it is absent. One process at a time: FAILED_PRECONDITION names the
 * pid of another one. A schema from a newer version is refused likewise.
 */
struct store *store_lmdb_open(const char *path, struct err *err);

/*
 * The same for reading, also while another process has it open, whose writes
 * are seen. NOT_FOUND if there is no store. All but reading is
 * FAILED_PRECONDITION. Not to be kept open: a reader that is stopped makes the
 * other's file grow. One thread, and never the path that this process has open.
 */
struct store *store_lmdb_open_read_only(const char *path, struct err *err);

/*
 * etcd (3.4 or later), spoken to as several members of one cluster; strings are
 * copied. The members need not be there yet: until one is, everything is
 * UNAVAILABLE. INVALID_ARGUMENT or FAILED_PRECONDITION: what is configured
 * cannot work (an endpoint that is no address, a file that cannot be read).
 *
 * Reads and writes end within ten seconds, and store_check() within three, plus
 * at most one for the last attempt. When etcd refuses us (user, password,
 * permission) calls fail with FAILED_PRECONDITION.
 */
struct store_etcd_config {
	const char *const *endpoints; /* NULL-terminated: host:port */
	const char *prefix;           /* of all keys; "" or ends with "/" */
	struct tls_files tls;         /* ca NULL: plaintext; cert NULL: none */
	const char *user;             /* NULL: no password */
	const char *password_file;    /* read when a token is needed */
};
struct store *store_etcd_open(const struct store_etcd_config *config,
			      struct err *err);

/* As store_commit(), without its checks: for what engines do themselves. */
enum store_result store_wait(struct store *s, struct store_txn *txn,
			     struct err *err);

/* What an engine implements; store.c checks arguments and dispatches. */
struct store_engine {
	const char *name;
	bool embedded;
	void (*close)(struct store *s);
	int (*check)(struct store *s, struct store_status *status,
		     struct err *err);
	const char *(*id)(const struct store *s);
	int (*get)(struct store *s, const char *key, struct arena *a,
		   struct store_kv *kv, struct err *err);
	int (*range)(struct store *s, const char *prefix, const char *after,
		     size_t limit, struct arena *a, struct store_list *list,
		     struct err *err);
	int (*each)(struct store *s, const char *prefix,
		    bool (*visit)(void *arg, const struct store_kv *kv),
		    void *arg, struct err *err);
	void (*submit)(struct store *s, struct store_txn *txn);
	struct store_watch *(*watch)(
		struct store *s, const char *prefix, int64_t from,
		void (*fn)(void *arg, const struct store_change *change),
		void *arg, struct err *err);
	void (*unwatch)(struct store_watch *w);
	int (*lease_grant)(struct store *s, int64_t ttl, int64_t *id,
			   struct err *err);
	int (*lease_renew)(struct store *s, int64_t id, struct err *err);
	int (*lease_revoke)(struct store *s, int64_t id, struct err *err);
};

/* The first member of an engine's own struct, and of its watches. */
struct store {
	const struct store_engine *engine;
};
struct store_watch {
	struct store *store;
};

#endif

#ifndef OIM_STORE_ETCD_H
#define OIM_STORE_ETCD_H

/*
 * The insides of the etcd engine (store.md sections 4 and 5); only etcd*.c look
 * in here.
 *
 * Every call to etcd is made of attempts with deadlines of their own. One
 * endpoint is in use, by all; when an attempt fails there, it is the next one's
 * turn. What an attempt has done is not always known: see etcd_judge().
 *
 * Locks: authenticating before lock; watching is taken alone.
 * Nobody who was given as a callback is called with one held.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/store/store.h"
#include "etcd/rpc.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/client.h"
#include "proto/lib/err.h"
#include "proto/lib/tls.h"
#include "proto/lib/units.h"

#define ETCD_ATTEMPT UNITS_SECOND        /* one attempt */
#define ETCD_LIMIT   (10 * UNITS_SECOND) /* all attempts of a call */
#define ETCD_CHECK   (3 * UNITS_SECOND)  /* those of store_check() */
#define ETCD_THREADS 64                  /* transactions at a time */
#define ETCD_PAGE    10000               /* keys of one reply */

struct etcd_watch;
struct etcd_pool;

struct etcd_endpoint {
	struct client *client;
	char *name;
	bool is_bad; /* and the log says so; under etcd->lock */
};

/* Clusters that were met, newest first. */
struct etcd_id {
	struct etcd_id *older;
	char text[];
};

struct etcd {
	struct store base;
	char *prefix; /* of all keys in etcd */
	size_t prefix_size;
	char *location; /* the endpoints */
	struct tls *tls;
	char *user; /* NULL: no token */
	char *password_file;
	struct etcd_endpoint *endpoints;
	size_t n_endpoints;
	struct etcd_pool *pool; /* of transactions */

	pthread_mutex_t authenticating; /* one at a time */
	ProtobufCBinaryData fence_key;  /* etcd_txn.c */

	pthread_mutex_t lock; /* guards what follows */
	size_t current;       /* the endpoint in use */
	char *token;
	bool no_auth; /* etcd asks for no token */
	uint64_t cluster_id;
	int64_t revision;  /* the highest seen */
	int64_t fence;     /* its mod revision */
	bool fence_is_due; /* before anything else is sent */
	bool is_settling;  /* somebody puts the fence */
	pthread_cond_t settled;
	unsigned history; /* how often the cluster was found to be another */
	struct etcd_id *ids;
	bool is_closing; /* nothing is repeated any more */

	pthread_mutex_t watching; /* guards what follows, and of each watch
				   * whether it is to end and its stream */
	pthread_cond_t kick;
	LIST_HEAD(, etcd_watch) watches;
};

/* --- verdicts (etcd_verdict.c) --- */

/* What to do about an attempt that failed. */
enum etcd_verdict {
	ETCD_FINAL = 1, /* it was refused: tell */
	ETCD_LATER,     /* not carried out: the next endpoint may do it */
	ETCD_UNKNOWN,   /* perhaps carried out, perhaps later */
	ETCD_TOKEN,     /* not carried out for want of a good token */
};

/* unsent: the server has not seen it. */
enum etcd_verdict etcd_judge(const struct err *err, bool unsent, bool is_write);

/* Gives an error that is final a code that is the store's to give (store.h):
 * what etcd has against us is no fault of who calls the store. */
void etcd_translate(struct err *err);

bool etcd_is_compacted(const struct err *err);
bool etcd_is_future(const struct err *err);

/* --- calls (etcd_cluster.c) --- */

struct etcd_call {
	const char *method;
	const ProtobufCMessageDescriptor *reply_type;
	const ProtobufCMessage *request;
	/* What to send once an attempt may have been carried out: something
	 * that does no harm then. NULL: nothing, it has failed. */
	const ProtobufCMessage *again;
	bool is_write;
	bool is_stream; /* one request and one reply on a stream */
	bool is_local;  /* the member answers alone and may lag behind */
	int64_t until;  /* of CLOCK_MONOTONIC; 0: ETCD_LIMIT from now */

	/* Set by etcd_call(). */
	bool is_unsure; /* one before the last attempt was perhaps carried out;
			 * if the call failed: the last one, too */
};

/* The reply in the arena. On failure the outcome of a write is known unless
 * is_unsure. */
void *etcd_call(struct etcd *s, struct etcd_call *call, struct arena *a,
		struct err *err);

/* The endpoint in use; that it works; that it does not, and the next one is. */
size_t etcd_current(struct etcd *s);
void etcd_works(struct etcd *s, size_t at);
void etcd_fails(struct etcd *s, size_t at, const struct err *err);

/* Takes in what a header says. seen: a revision that the reply cannot be older
 * than; 0 if the member answered alone. */
void etcd_note(struct etcd *s, const Etcdserverpb__ResponseHeader *header,
	       int64_t seen);
int64_t etcd_seen(struct etcd *s);
unsigned etcd_history(struct etcd *s);

/* A while before the next attempt, in ns: 50 to 200 ms, never twice the same.
 */
int64_t etcd_pause(void);

/* --- token (etcd_auth.c) --- */

#define ETCD_MD 2

/* The metadata of a call to that endpoint; asks for a token if one is needed.
 */
int etcd_auth_metadata(struct etcd *s, size_t at, int64_t deadline,
		       struct arena *a, struct client_md md[ETCD_MD], size_t *n,
		       struct err *err);
/* The token in the metadata, or that there was none, did not do. */
void etcd_auth_forget(struct etcd *s, const struct client_md *md, size_t n);
/* Whether the password can be read. */
int etcd_auth_check(const struct etcd *s, struct err *err);

/* --- keys and reading (etcd_read.c) --- */

/* The key in etcd. */
ProtobufCBinaryData etcd_key(const struct etcd *s, struct arena *a,
			     const char *key);
/* The range of keys that begin with prefix, behind after if that is not NULL.
 */
void etcd_range_of(const struct etcd *s, struct arena *a, const char *prefix,
		   const char *after, ProtobufCBinaryData *key,
		   ProtobufCBinaryData *end);
/* Copies it; false if no store can have written such a key. */
bool etcd_take(const struct etcd *s, struct arena *a,
	       const Mvccpb__KeyValue *from, struct store_kv *kv);
void *etcd_read(struct etcd *s, const Etcdserverpb__RangeRequest *request,
		int64_t until, struct arena *a, struct err *err);

int etcd_get(struct store *base, const char *key, struct arena *a,
	     struct store_kv *kv, struct err *err);
int etcd_range(struct store *base, const char *prefix, const char *after,
	       size_t limit, struct arena *a, struct store_list *list,
	       struct err *err);
int etcd_each(struct store *base, const char *prefix,
	      bool (*visit)(void *arg, const struct store_kv *kv), void *arg,
	      struct err *err);

/* --- fence (etcd_fence.c) --- */

int etcd_fence_init(struct etcd *s, struct err *err);
/* The mod revision that it has, as far as is known. */
int64_t etcd_fence(struct etcd *s);
/* It has been found to be that by who took it for was. */
void etcd_set_fence(struct etcd *s, int64_t was, int64_t revision);
/* One at a time puts it; false: it is not our turn in time. */
bool etcd_fence_begin(struct etcd *s, int64_t until);
void etcd_fence_end(struct etcd *s);
/* Something may come late, and the fence could not be put. */
bool etcd_fence_is_due(struct etcd *s);
void etcd_fence_set_due(struct etcd *s, bool is_due);
/* Removes the key, if there is one and etcd is there. */
void etcd_fence_clear(struct etcd *s);

/* --- transactions as etcd takes them (etcd_request.c) --- */

/* Whether there is room for the fence among the compares. */
bool etcd_can_fence(const struct store_txn *txn);
Etcdserverpb__TxnRequest *etcd_request_new(const struct etcd *s,
					   struct arena *a,
					   const struct store_txn *txn,
					   int64_t fence);
/* Puts the fence, if raise, and reads n_keys of those that are written. */
Etcdserverpb__TxnRequest *etcd_settlement_new(const struct etcd *s,
					      struct arena *a,
					      const struct store_txn *txn,
					      size_t n_keys, bool raise);

/* --- writing (etcd_pool.c, etcd_txn.c) --- */

/*
 * Threads that run transactions, each until it is done. They are made when
 * there is nobody to take one and go when there has been none for a while.
 */
struct etcd_pool *etcd_pool_new(void (*run)(void *arg, struct store_txn *txn),
				void *arg);
/* False: the store is being closed, or there is no thread to be had. */
bool etcd_pool_add(struct etcd_pool *p, struct store_txn *txn);
/* Waits for all that was added. */
void etcd_pool_free(struct etcd_pool *p);

void etcd_submit(struct store *base, struct store_txn *txn);
void etcd_run(void *arg, struct store_txn *txn);

/* --- watching (etcd_watch.c) --- */

struct store_watch *etcd_watch(struct store *base, const char *prefix,
			       int64_t from,
			       void (*fn)(void *arg,
					  const struct store_change *change),
			       void *arg, struct err *err);
void etcd_unwatch(struct store_watch *base);
void etcd_watches_end(struct etcd *s);
/* Lets all watches look whether the cluster is still the same. */
void etcd_watches_kick(struct etcd *s);

/* --- leases (etcd_lease.c) --- */

int etcd_lease_grant(struct store *base, int64_t ttl, int64_t *id,
		     struct err *err);
int etcd_lease_renew(struct store *base, int64_t id, struct err *err);
int etcd_lease_revoke(struct store *base, int64_t id, struct err *err);

#endif

/*
 * The writer thread: group commit with gathering (store.md 1 and 3), and what
 * has to be done from time to time.
 */

#include "daemon/store/lmdb.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "proto/lib/mem.h"
#include "proto/lib/units.h"

/*
 * Who has just been served will be back soon: before a batch is taken, wait
 * until as many are there as the last round saw, at most a quarter of the time
 * of the last commit and never over GATHER. Without it two groups take turns
 * and every writer waits for two commits. A wait shorter than NO_GATHER costs
 * more than it brings.
 */
#define GATHER    (UNITS_SECOND / 1000)
#define NO_GATHER (UNITS_SECOND / 100000)

/* A batch ends behind the transaction that reaches one of these. Watches must
 * be able to follow, so it is a small part of what they remember. */
#define BATCH_OPS   (WATCHES_EVENTS / 10)
#define BATCH_BYTES (WATCHES_BYTES / 4)

#define READER_CHECK_INTERVAL (60 * UNITS_SECOND)
#define PROBE_INTERVAL        UNITS_SECOND
#define MAX_EXPIRIES          64

/* The end of a lease, submitted by the writer itself. */
struct expiry {
	struct store_txn txn;
	struct store_op op;
};

struct lmdb_writer {
	struct lmdb *s;
	pthread_t thread;

	pthread_mutex_t mu; /* of the next ones */
	pthread_cond_t work;
	struct store_txn *head;
	struct store_txn **tail;
	size_t queued;
	size_t wanted; /* wake the thread when so many are queued */
	bool stop;

	/* The thread's own. */
	size_t expected; /* how many are likely to be queued soon */
	int64_t took;    /* the last commit */
	int64_t reader_check;
	int64_t probe;
	struct expiry expiries[MAX_EXPIRIES];
};

/* --- submitting --- */

static void refuse(struct store_txn *txn)
{
	txn->result = STORE_FAILED;
	txn->done(txn);
}

void lmdb_submit(struct store *base, struct store_txn *txn)
{
	struct lmdb *s = (struct lmdb *)base;
	struct lmdb_writer *w = s->writer;
	bool can;

	if (lmdb_alive(s, &txn->err) < 0) {
		refuse(txn);
		return;
	}
	pthread_mutex_lock(&w->mu);
	can = !w->stop;
	if (can) {
		*w->tail = txn;
		w->tail = &txn->next;
		if (++w->queued == w->wanted)
			pthread_cond_signal(&w->work);
	}
	pthread_mutex_unlock(&w->mu);
	if (!can) {
		err_set(&txn->err, GRPC_STATUS_UNAVAILABLE,
			"store %s is being closed", s->path);
		refuse(txn);
	}
}

/* --- queue --- */

/* Until so many are queued, or it is time, or the store is being closed. */
static void wait_for(struct lmdb_writer *w, size_t wanted, int64_t until)
{
	struct timespec ts = {.tv_sec = until / UNITS_SECOND,
			      .tv_nsec = until % UNITS_SECOND};
	int rc = 0;

	w->wanted = wanted;
	while (rc == 0 && w->queued < wanted && !w->stop)
		rc = pthread_cond_clockwait(&w->work, &w->mu, CLOCK_MONOTONIC,
					    &ts);
	w->wanted = 0;
}

static void gather(struct lmdb_writer *w)
{
	int64_t most = w->took / 4 < GATHER ? w->took / 4 : GATHER;

	if (w->queued < w->expected && most >= NO_GATHER)
		wait_for(w, w->expected, units_monotonic() + most);
}

/* The next batch, and how many it has. */
static struct store_txn *take(struct lmdb_writer *w, size_t *n)
{
	struct store_txn *batch = w->head, **end = &w->head;
	size_t ops = 0, bytes = 0;

	*n = 0;
	while (*end && ops < BATCH_OPS && bytes < BATCH_BYTES) {
		const struct store_txn *txn = *end;

		for (size_t i = 0; i < txn->n_ops; i++)
			bytes += txn->ops[i].size;
		ops += txn->n_ops;
		++*n;
		end = &(*end)->next;
	}
	w->head = *end;
	if (!w->head)
		w->tail = &w->head;
	if (*n)
		*end = NULL;
	w->queued -= *n;
	return batch;
}

/* --- thread --- */

/* Puts the ends of leases that are due before the batch. */
static struct store_txn *add_expiries(struct lmdb_writer *w,
				      struct store_txn *batch, int64_t now)
{
	int64_t ids[MAX_EXPIRIES];
	size_t n = 0;

	if (now >= leases_next(w->s->leases))
		n = leases_due(w->s->leases, now, ids, MAX_EXPIRIES);
	for (size_t i = 0; i < n; i++) {
		struct expiry *e = &w->expiries[i];

		e->op = (struct store_op){.lease = ids[i]};
		e->txn = (struct store_txn){
			.ops = &e->op, .n_ops = 1, .next = batch};
		batch = &e->txn;
	}
	return batch;
}

static void finish(struct lmdb_writer *w, struct store_txn *batch)
{
	while (batch) {
		struct store_txn *txn = batch;

		batch = txn->next;
		lmdb_lease_settle(w->s, txn);
		if (txn->done)
			txn->done(txn);
		else
			err_clear(&txn->err);
	}
}

static bool has_failed(const struct lmdb_writer *w)
{
	return atomic_load(&w->s->failure);
}

static int64_t next_chore(const struct lmdb_writer *w)
{
	int64_t next = w->reader_check, lease = leases_next(w->s->leases);

	if (has_failed(w))
		return INT64_MAX;
	if (lease < next)
		next = lease;
	return w->probe && w->probe < next ? w->probe : next;
}

static void do_chores(struct lmdb_writer *w, int64_t now)
{
	if (has_failed(w))
		return;
	if (now >= w->reader_check) {
		mdb_reader_check(w->s->env, NULL);
		w->reader_check = now + READER_CHECK_INTERVAL;
	}
	if (w->probe && now >= w->probe)
		lmdb_commit(w->s, NULL);
	if (!atomic_load(&w->s->is_full))
		w->probe = 0;
	else if (now >= w->probe)
		w->probe = now + PROBE_INTERVAL;
}

static void work(struct lmdb_writer *w, struct store_txn *batch, size_t n)
{
	int64_t start = units_monotonic(), now;

	if (!has_failed(w))
		batch = add_expiries(w, batch, start);
	if (batch)
		lmdb_commit(w->s, batch);
	now = units_monotonic();
	w->took = now - start;
	pthread_mutex_lock(&w->mu);
	w->expected = n + w->queued;
	pthread_mutex_unlock(&w->mu);
	finish(w, batch);
	do_chores(w, now);
}

static void *run(void *arg)
{
	struct lmdb_writer *w = arg;

	pthread_mutex_lock(&w->mu);
	for (;;) {
		struct store_txn *batch;
		size_t n;

		wait_for(w, 1, next_chore(w));
		if (w->stop && !w->head)
			break;
		gather(w);
		batch = take(w, &n);
		pthread_mutex_unlock(&w->mu);
		work(w, batch, n);
		pthread_mutex_lock(&w->mu);
	}
	pthread_mutex_unlock(&w->mu);
	return NULL;
}

struct lmdb_writer *lmdb_writer_new(struct lmdb *s, struct err *err)
{
	struct lmdb_writer *w = mem_zalloc(1, sizeof(*w));
	int rc;

	w->s = s;
	w->tail = &w->head;
	w->reader_check = units_monotonic() + READER_CHECK_INTERVAL;
	pthread_mutex_init(&w->mu, NULL);
	pthread_cond_init(&w->work, NULL);
	rc = pthread_create(&w->thread, NULL, run, w);
	if (rc == 0)
		return w;
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->mu);
	free(w);
	errno = rc;
	err_errno(err, "start a thread");
	return NULL;
}

void lmdb_writer_free(struct lmdb_writer *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->mu);
	w->stop = true;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->mu);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->mu);
	free(w);
}

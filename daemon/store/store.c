/*
 * What all engines share: the limits, dispatch, and waiting for a transaction.
 */

#include "daemon/store/store.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <string.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

static int check_text(const char *what, const char *s, struct err *err)
{
	if (strnlen(s, STORE_MAX_KEY + 1) <= STORE_MAX_KEY)
		return 0;
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		       "%s in the store has at most %d bytes", what,
		       STORE_MAX_KEY);
}

static int check_key(const char *key, struct err *err)
{
	if (!*key)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "a key in the store cannot be empty");
	return check_text("a key", key, err);
}

void store_close(struct store *s)
{
	if (s)
		s->engine->close(s);
}

int store_check(struct store *s, struct store_status *status, struct err *err)
{
	return s->engine->check(s, status, err);
}

bool store_is_embedded(const struct store *s)
{
	return s->engine->embedded;
}

const char *store_id(const struct store *s)
{
	return s->engine->id(s);
}

/* --- reading --- */

int store_get(struct store *s, const char *key, struct arena *a,
	      struct store_kv *kv, struct err *err)
{
	if (check_key(key, err) < 0)
		return -1;
	return s->engine->get(s, key, a, kv, err);
}

int store_range(struct store *s, const char *prefix, const char *after,
		size_t limit, struct arena *a, struct store_list *list,
		struct err *err)
{
	if (check_text("a prefix", prefix, err) < 0 ||
	    (after && check_text("a key", after, err) < 0))
		return -1;
	return s->engine->range(s, prefix, after, limit, a, list, err);
}

int store_each(struct store *s, const char *prefix,
	       bool (*visit)(void *arg, const struct store_kv *kv), void *arg,
	       struct err *err)
{
	if (check_text("a prefix", prefix, err) < 0)
		return -1;
	return s->engine->each(s, prefix, visit, arg, err);
}

/* --- writing --- */

static int check_op(const struct store_op *op, size_t *room, struct err *err)
{
	if (check_key(op->key, err) < 0)
		return -1;
	if (!op->value)
		return 0;
	if (op->size > *room)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "the values of a transaction have at most %u "
			       "bytes together",
			       STORE_MAX_VALUE);
	*room -= op->size;
	if (op->lease < 0)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "a lease cannot be negative");
	return 0;
}

/* Quadratic; most transactions have less than five ops. */
static int check_distinct(const struct store_op *ops, size_t n, struct err *err)
{
	for (size_t i = 1; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(ops[i].key, ops[k].key) == 0)
				return err_set(
					err, GRPC_STATUS_INVALID_ARGUMENT,
					"a transaction can write a key once only");
	return 0;
}

static int check_txn(const struct store_txn *txn, struct err *err)
{
	size_t room = STORE_MAX_VALUE;

	if (txn->n_compares > STORE_MAX_OPS || txn->n_ops > STORE_MAX_OPS)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "a transaction has at most %d compares and ops",
			       STORE_MAX_OPS);
	for (size_t i = 0; i < txn->n_compares; i++)
		if (check_key(txn->compares[i].key, err) < 0)
			return -1;
	for (size_t i = 0; i < txn->n_ops; i++)
		if (check_op(&txn->ops[i], &room, err) < 0)
			return -1;
	return check_distinct(txn->ops, txn->n_ops, err);
}

static void reset(struct store_txn *txn)
{
	txn->revision = 0;
	txn->err = ERR_INIT;
	txn->next = NULL;
}

void store_submit(struct store *s, struct store_txn *txn)
{
	reset(txn);
	if (check_txn(txn, &txn->err) < 0) {
		txn->result = STORE_FAILED;
		txn->done(txn);
		return;
	}
	s->engine->submit(s, txn);
}

static void on_done(struct store_txn *txn)
{
	sem_post(txn->arg);
}

enum store_result store_wait(struct store *s, struct store_txn *txn,
			     struct err *err)
{
	sem_t done;

	reset(txn);
	sem_init(&done, 0, 0);
	txn->done = on_done;
	txn->arg = &done;
	s->engine->submit(s, txn);
	while (sem_wait(&done) == -1)
		assert(errno == EINTR);
	sem_destroy(&done);
	if (txn->result == STORE_FAILED)
		err_move(err, &txn->err);
	return txn->result;
}

enum store_result store_commit(struct store *s, struct store_txn *txn,
			       struct err *err)
{
	reset(txn);
	if (check_txn(txn, err) < 0)
		return txn->result = STORE_FAILED;
	return store_wait(s, txn, err);
}

static int commit_op(struct store *s, const struct store_op *op,
		     struct err *err)
{
	struct store_txn txn = {.ops = op, .n_ops = 1};

	return store_commit(s, &txn, err) == STORE_DONE ? 0 : -1;
}

int store_put(struct store *s, const char *key, const void *value, size_t size,
	      struct err *err)
{
	struct store_op op = {.key = key, .value = value, .size = size};

	if (!size)
		op.value = ""; /* NULL would delete */
	return commit_op(s, &op, err);
}

int store_put_message(struct store *s, const char *key,
		      const ProtobufCMessage *message, struct err *err)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	CLEANUP(cleanup_free) uint8_t *value = mem_alloc(size);

	protobuf_c_message_pack(message, value);
	return store_put(s, key, value, size, err);
}

int store_delete(struct store *s, const char *key, struct err *err)
{
	struct store_op op = {.key = key};

	return commit_op(s, &op, err);
}

/* --- watching and leases --- */

struct store_watch *store_watch(struct store *s, const char *prefix,
				int64_t from,
				void (*fn)(void *arg,
					   const struct store_change *change),
				void *arg, struct err *err)
{
	if (check_text("a prefix", prefix, err) < 0)
		return NULL;
	if (from < 0) {
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"a revision cannot be negative");
		return NULL;
	}
	return s->engine->watch(s, prefix, from, fn, arg, err);
}

void store_unwatch(struct store_watch *w)
{
	if (w)
		w->store->engine->unwatch(w);
}

int store_lease_grant(struct store *s, int64_t ttl, int64_t *id,
		      struct err *err)
{
	if (ttl < STORE_MIN_TTL || ttl > STORE_MAX_TTL)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "a lease lasts %d to %" PRId64 " seconds",
			       STORE_MIN_TTL, STORE_MAX_TTL);
	return s->engine->lease_grant(s, ttl, id, err);
}

int store_lease_renew(struct store *s, int64_t id, struct err *err)
{
	return s->engine->lease_renew(s, id, err);
}

int store_lease_revoke(struct store *s, int64_t id, struct err *err)
{
	return s->engine->lease_revoke(s, id, err);
}

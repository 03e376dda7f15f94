/*
 * Transactions, and what to do when it is not known whether one was done.
 *
 * A member that is slow may carry out a request long after it was given up, and
 * undo with it what was written since. So each transaction also compares a key
 * of this store that nobody sees, the fence. When an outcome is not known the
 * fence is put anew: from then on the request is done or never will be, and the
 * keys, read along with that, say which.
 */

#include "daemon/store/etcd.h"

#include <string.h>

#include "proto/lib/cleanup.h"

/* A transaction on its way. */
struct run {
	struct etcd *s;
	struct store_txn *txn;
	struct arena *a;
	int64_t base;  /* the revision when it was submitted, or an older one */
	int64_t fence; /* that it was sent with */
	int64_t until;
};

/* What a round has come to: a result, or that it is to be sent again. */
#define AGAIN 0

/* --- requests --- */

static Etcdserverpb__Compare *compare(struct run *r, ProtobufCBinaryData key,
				      int64_t revision)
{
	Etcdserverpb__Compare *c =
		arena_message(r->a, &etcdserverpb__compare__descriptor);

	c->target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD;
	c->key = key;
	c->target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION;
	c->mod_revision = revision;
	return c;
}

static Etcdserverpb__RequestOp *put(struct run *r, ProtobufCBinaryData key,
				    const struct store_op *op)
{
	Etcdserverpb__RequestOp *request =
		arena_message(r->a, &etcdserverpb__request_op__descriptor);
	Etcdserverpb__PutRequest *p =
		arena_message(r->a, &etcdserverpb__put_request__descriptor);

	p->key = key;
	p->value.data = (uint8_t *)(uintptr_t)op->value;
	p->value.len = op->size;
	p->lease = op->lease;
	request->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
	request->request_put = p;
	return request;
}

static Etcdserverpb__RequestOp *del(struct run *r, ProtobufCBinaryData key)
{
	Etcdserverpb__RequestOp *request =
		arena_message(r->a, &etcdserverpb__request_op__descriptor);
	Etcdserverpb__DeleteRangeRequest *d = arena_message(
		r->a, &etcdserverpb__delete_range_request__descriptor);

	d->key = key;
	request->request_case =
		ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
	request->request_delete_range = d;
	return request;
}

static Etcdserverpb__RequestOp *look(struct run *r, ProtobufCBinaryData key)
{
	Etcdserverpb__RequestOp *request =
		arena_message(r->a, &etcdserverpb__request_op__descriptor);
	Etcdserverpb__RangeRequest *range =
		arena_message(r->a, &etcdserverpb__range_request__descriptor);

	range->key = key;
	request->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
	request->request_range = range;
	return request;
}

/* Whether there is room for the fence among the compares. */
static bool is_fenced(const struct store_txn *txn)
{
	return txn->n_ops && txn->n_compares < STORE_MAX_OPS;
}

/* The look at the fence also makes etcd judge the compares by what the cluster
 * has: without it a member would take what it has itself, be it old. */
static Etcdserverpb__TxnRequest *request_new(struct run *r)
{
	const struct store_txn *txn = r->txn;
	Etcdserverpb__TxnRequest *t =
		arena_message(r->a, &etcdserverpb__txn_request__descriptor);

	t->compare =
		arena_zalloc(r->a, txn->n_compares + 1, sizeof(*t->compare));
	for (size_t i = 0; i < txn->n_compares; i++)
		t->compare[t->n_compare++] =
			compare(r, etcd_key(r->s, r->a, txn->compares[i].key),
				txn->compares[i].mod_revision);
	if (is_fenced(txn))
		t->compare[t->n_compare++] =
			compare(r, r->s->fence_key, r->fence);
	t->success = arena_zalloc(r->a, txn->n_ops, sizeof(*t->success));
	for (size_t i = 0; i < txn->n_ops; i++) {
		const struct store_op *op = &txn->ops[i];
		ProtobufCBinaryData key = etcd_key(r->s, r->a, op->key);

		t->success[t->n_success++] =
			op->value ? put(r, key, op) : del(r, key);
	}
	t->failure = arena_zalloc(r->a, 1, sizeof(*t->failure));
	t->failure[t->n_failure++] = look(r, r->s->fence_key);
	return t;
}

/* Reads all keys that are written; puts the fence too, if raise. */
static Etcdserverpb__TxnRequest *settlement_new(struct run *r, bool raise)
{
	static const struct store_op empty = {.value = ""};
	const struct store_txn *txn = r->txn;
	Etcdserverpb__TxnRequest *t =
		arena_message(r->a, &etcdserverpb__txn_request__descriptor);

	t->success = arena_zalloc(r->a, txn->n_ops + 1, sizeof(*t->success));
	for (size_t i = 0; i < txn->n_ops; i++)
		t->success[t->n_success++] =
			look(r, etcd_key(r->s, r->a, txn->ops[i].key));
	if (raise)
		t->success[t->n_success++] = put(r, r->s->fence_key, &empty);
	return t;
}

/* --- replies --- */

static bool has_changed(const Etcdserverpb__TxnResponse *reply)
{
	for (size_t i = 0; i < reply->n_responses; i++) {
		const Etcdserverpb__ResponseOp *r = reply->responses[i];

		if (r->response_case !=
			    ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE ||
		    r->response_delete_range->deleted)
			return true;
	}
	return false;
}

/* What a key was found to be: NULL if it is not there. */
static const Mvccpb__KeyValue *found(const Etcdserverpb__TxnResponse *reply,
				     size_t i)
{
	const Etcdserverpb__ResponseOp *r = reply->responses[i];

	if (r->response_case !=
		    ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE ||
	    !r->response_range->n_kvs)
		return NULL;
	return r->response_range->kvs[0];
}

static bool is_same(const Mvccpb__KeyValue *kv, const struct store_op *op)
{
	return kv->value.len == op->size && kv->lease == op->lease &&
	       (!op->size || memcmp(kv->value.data, op->value, op->size) == 0);
}

/* The revision in which it was done, if that can be seen; else 0. */
static int64_t revision_of_ours(const struct run *r,
				const Etcdserverpb__TxnResponse *reply)
{
	const struct store_txn *txn = r->txn;
	int64_t revision = 0;

	for (size_t i = 0; i < txn->n_ops; i++) {
		const Mvccpb__KeyValue *kv = found(reply, i);

		if (!kv != !txn->ops[i].value)
			return 0;
		if (!kv)
			continue;
		if (kv->mod_revision <= r->base || !is_same(kv, &txn->ops[i]) ||
		    (revision && revision != kv->mod_revision))
			return 0;
		revision = kv->mod_revision;
	}
	return revision;
}

/*
 * What the keys that it would have written say of a transaction that is not
 * there: with one that is older than it, it was not done; with none but newer
 * ones somebody may have written over it.
 */
static bool can_be_sent_again(const struct run *r,
			      const Etcdserverpb__TxnResponse *reply)
{
	bool all_absent = true, has_puts = false;

	for (size_t i = 0; i < r->txn->n_ops; i++) {
		const Mvccpb__KeyValue *kv = found(reply, i);

		if (kv && kv->mod_revision <= r->base)
			return true;
		all_absent &= !kv;
		has_puts |= r->txn->ops[i].value != NULL;
	}
	/* Deletes under compares may have been done, by us or another. */
	return all_absent && (has_puts || !r->txn->n_compares);
}

static int unknown(struct run *r, const char *why)
{
	struct err *err = &r->txn->err;

	if (why)
		err_set(err, GRPC_STATUS_UNAVAILABLE, "%s", why);
	err->code = GRPC_STATUS_UNAVAILABLE;
	err_wrap(err, "it is not known whether the write was done");
	return STORE_FAILED;
}

/* --- rounds --- */

static const Etcdserverpb__TxnResponse *call_txn(
	struct run *r, const Etcdserverpb__TxnRequest *request,
	const Etcdserverpb__TxnRequest *again, bool is_write, bool *is_unsure)
{
	struct etcd_call call = {
		.method = "/etcdserverpb.KV/Txn",
		.reply_type = &etcdserverpb__txn_response__descriptor,
		.request = &request->base,
		.again = again ? &again->base : NULL,
		.is_write = is_write,
		.until = r->until,
	};
	const Etcdserverpb__TxnResponse *reply =
		etcd_call(r->s, &call, r->a, &r->txn->err);

	*is_unsure = call.is_unsure;
	return reply;
}

/* Makes sure that what was sent is done or never will be; the keys as they are
 * then. Who waited while another did this needs only to look. */
static const Etcdserverpb__TxnResponse *settle(struct run *r)
{
	const Etcdserverpb__TxnResponse *reply;
	const Etcdserverpb__TxnRequest *t;
	bool raise, unsure;

	err_clear(&r->txn->err);
	pthread_mutex_lock(&r->s->settling);
	raise = etcd_fence(r->s) == r->fence;
	t = settlement_new(r, raise);
	reply = call_txn(r, t, t, raise, &unsure);
	if (reply && raise && reply->header)
		etcd_set_fence(r->s, r->fence, reply->header->revision);
	pthread_mutex_unlock(&r->s->settling);
	return reply;
}

/* After an outcome that is not known. */
static int recover(struct run *r)
{
	const Etcdserverpb__TxnResponse *reply;

	if (!is_fenced(r->txn) || r->txn->n_ops == STORE_MAX_OPS)
		return unknown(r, NULL);
	reply = settle(r);
	if (!reply)
		return unknown(r, NULL);
	if (reply->n_responses < r->txn->n_ops)
		return unknown(r, "etcd's answer is incomplete");
	r->txn->revision = revision_of_ours(r, reply);
	if (r->txn->revision)
		return STORE_DONE;
	if (can_be_sent_again(r, reply))
		return AGAIN;
	return unknown(r, "etcd failed meanwhile, and the keys have changed");
}

/* Whether it was the fence that was in the way. */
static bool was_fenced_off(struct run *r,
			   const Etcdserverpb__TxnResponse *reply)
{
	const Mvccpb__KeyValue *fence =
		reply->n_responses ? found(reply, 0) : NULL;
	int64_t revision = fence ? fence->mod_revision : 0;

	if (!is_fenced(r->txn) || revision == r->fence)
		return false;
	etcd_set_fence(r->s, r->fence, revision);
	return true;
}

static int send(struct run *r)
{
	const Etcdserverpb__TxnResponse *reply;
	bool unsure;

	r->fence = etcd_fence(r->s);
	reply = call_txn(r, request_new(r), NULL, r->txn->n_ops > 0, &unsure);
	if (!reply)
		return unsure ? recover(r) : STORE_FAILED;
	if (!reply->succeeded)
		return was_fenced_off(r, reply) ? AGAIN : STORE_REFUSED;
	if (has_changed(reply) && reply->header)
		r->txn->revision = reply->header->revision;
	return STORE_DONE;
}

void etcd_run(void *arg, struct store_txn *txn)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct run r = {.s = arg, .txn = txn, .a = a};
	int result;

	r.base = etcd_seen(r.s);
	r.until = units_monotonic() + ETCD_LIMIT;
	do
		result = send(&r);
	while (result == AGAIN);
	txn->result = (enum store_result)result;
	txn->done(txn);
}

void etcd_submit(struct store *base, struct store_txn *txn)
{
	struct etcd *s = (struct etcd *)base;

	if (!txn->n_compares && !txn->n_ops) {
		txn->result = STORE_DONE; /* always true, changes nothing */
	} else if (etcd_pool_add(s->pool, txn)) {
		return;
	} else {
		txn->result = STORE_FAILED;
		err_set(&txn->err, GRPC_STATUS_UNAVAILABLE,
			"the store is being closed");
	}
	txn->done(txn);
}

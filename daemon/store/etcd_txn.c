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

/* Needs etcd_fence_begin(). Puts the fence, if raise, and reads the first keys.
 */
static const Etcdserverpb__TxnResponse *put_fence(struct run *r, size_t n_keys,
						  bool raise)
{
	const Etcdserverpb__TxnRequest *t =
		etcd_settlement_new(r->s, r->a, r->txn, n_keys, raise);
	const Etcdserverpb__TxnResponse *reply;
	bool unsure;

	reply = call_txn(r, t, t, raise, &unsure);
	if (raise && reply && reply->header)
		etcd_set_fence(r->s, r->fence, reply->header->revision);
	if (raise)
		etcd_fence_set_due(r->s, !reply);
	return reply;
}

/* Makes sure that what was sent is done or never will be; the keys as they are
 * then. Who waited while another did this needs only to look. NULL: the fence
 * is due; the error stays what it is, or says why. */
static const Etcdserverpb__TxnResponse *settle(struct run *r)
{
	const Etcdserverpb__TxnResponse *reply;

	if (!etcd_fence_begin(r->s, r->until)) {
		etcd_fence_set_due(r->s, true);
		return NULL;
	}
	err_clear(&r->txn->err);
	reply = put_fence(r, r->txn->n_ops, etcd_fence(r->s) == r->fence);
	etcd_fence_end(r->s);
	return reply;
}

/* What came to nothing then is done first. */
static int catch_up(struct run *r)
{
	int rc = 0;

	if (!etcd_fence_is_due(r->s))
		return 0;
	if (!etcd_fence_begin(r->s, r->until))
		return err_set(&r->txn->err, GRPC_STATUS_UNAVAILABLE,
			       "etcd does not answer");
	r->fence = etcd_fence(r->s);
	if (etcd_fence_is_due(r->s) && !put_fence(r, 0, true))
		rc = -1;
	etcd_fence_end(r->s);
	return rc;
}

/* After an outcome that is not known. */
static int recover(struct run *r)
{
	const Etcdserverpb__TxnResponse *reply;

	if (!etcd_can_fence(r->txn) || r->txn->n_ops == STORE_MAX_OPS) {
		etcd_fence_set_due(r->s, true);
		return unknown(r, NULL);
	}
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

	if (!etcd_can_fence(r->txn) || revision == r->fence)
		return false;
	etcd_set_fence(r->s, r->fence, revision);
	return true;
}

static int send(struct run *r)
{
	const Etcdserverpb__TxnResponse *reply;
	bool unsure;

	if (etcd_can_fence(r->txn) && catch_up(r) < 0)
		return STORE_FAILED;
	r->fence = etcd_fence(r->s);
	reply = call_txn(r, etcd_request_new(r->s, r->a, r->txn, r->fence),
			 NULL, r->txn->n_ops > 0, &unsure);
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

/*
 * Transactions, and what to do when it is not known whether one was carried
 * out.
 *
 * It is sent again, with more compares and a look at the keys if they are
 * false: beside those of the caller, that no key it writes has changed since it
 * was submitted. So it is never carried out twice, nor over what somebody else
 * has written meanwhile; and if all that it puts is there with one new
 * revision, and nothing that it deletes, it was carried out before.
 */

#include "daemon/store/etcd.h"

#include <string.h>

#include "proto/lib/cleanup.h"

/* A transaction on its way. */
struct run {
	struct etcd *s;
	struct store_txn *txn;
	struct arena *a;
	int64_t base; /* the revision when it was submitted, or an older one */
	size_t n_guards; /* compares that were added for the repetition */
};

/* --- requests --- */

static Etcdserverpb__Compare *compare(struct run *r, const char *key,
				      Etcdserverpb__Compare__CompareResult is,
				      int64_t revision)
{
	Etcdserverpb__Compare *c =
		arena_message(r->a, &etcdserverpb__compare__descriptor);

	c->result = is;
	c->target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD;
	c->key = etcd_key(r->s, r->a, key);
	c->target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION;
	c->mod_revision = revision;
	return c;
}

static Etcdserverpb__RequestOp *put(struct run *r, const struct store_op *op)
{
	Etcdserverpb__RequestOp *request =
		arena_message(r->a, &etcdserverpb__request_op__descriptor);
	Etcdserverpb__PutRequest *p =
		arena_message(r->a, &etcdserverpb__put_request__descriptor);

	p->key = etcd_key(r->s, r->a, op->key);
	p->value.data = (uint8_t *)(uintptr_t)op->value;
	p->value.len = op->size;
	p->lease = op->lease;
	request->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
	request->request_put = p;
	return request;
}

static Etcdserverpb__RequestOp *delete (struct run *r,
					const struct store_op *op)
{
	Etcdserverpb__RequestOp *request =
		arena_message(r->a, &etcdserverpb__request_op__descriptor);
	Etcdserverpb__DeleteRangeRequest *d = arena_message(
		r->a, &etcdserverpb__delete_range_request__descriptor);

	d->key = etcd_key(r->s, r->a, op->key);
	request->request_case =
		ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
	request->request_delete_range = d;
	return request;
}

static Etcdserverpb__RequestOp *look(struct run *r, const char *key)
{
	Etcdserverpb__RequestOp *request =
		arena_message(r->a, &etcdserverpb__request_op__descriptor);
	Etcdserverpb__RangeRequest *range =
		arena_message(r->a, &etcdserverpb__range_request__descriptor);

	range->key = etcd_key(r->s, r->a, key);
	request->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
	request->request_range = range;
	return request;
}

/* With room for so many compares beside those of the caller. */
static Etcdserverpb__TxnRequest *request_new(struct run *r, size_t more)
{
	const struct store_txn *txn = r->txn;
	Etcdserverpb__TxnRequest *t =
		arena_message(r->a, &etcdserverpb__txn_request__descriptor);

	t->compare =
		arena_zalloc(r->a, txn->n_compares + more, sizeof(*t->compare));
	for (size_t i = 0; i < txn->n_compares; i++)
		t->compare[t->n_compare++] =
			compare(r, txn->compares[i].key,
				ETCDSERVERPB__COMPARE__COMPARE_RESULT__EQUAL,
				txn->compares[i].mod_revision);
	t->success = arena_zalloc(r->a, txn->n_ops, sizeof(*t->success));
	for (size_t i = 0; i < txn->n_ops; i++)
		t->success[t->n_success++] = txn->ops[i].value
						     ? put(r, &txn->ops[i])
						     : delete (r, &txn->ops[i]);
	t->failure = arena_zalloc(r->a, txn->n_ops + 1, sizeof(*t->failure));
	return t;
}

/* What is sent first. Without a read or a write in it a member would judge the
 * compares by what it has itself, be it old. */
static Etcdserverpb__TxnRequest *first_request(struct run *r)
{
	Etcdserverpb__TxnRequest *t = request_new(r, 0);

	if (!t->n_success)
		t->failure[t->n_failure++] = look(r, r->txn->compares[0].key);
	return t;
}

static bool is_compared(const struct store_txn *txn, const char *key)
{
	for (size_t i = 0; i < txn->n_compares; i++)
		if (strcmp(txn->compares[i].key, key) == 0)
			return true;
	return false;
}

/* What is sent again; NULL if it would have too many compares for etcd. */
static Etcdserverpb__TxnRequest *repetition(struct run *r)
{
	const struct store_txn *txn = r->txn;
	Etcdserverpb__TxnRequest *t = request_new(r, txn->n_ops);

	for (size_t i = 0; i < txn->n_ops; i++) {
		const char *key = txn->ops[i].key;

		t->failure[t->n_failure++] = look(r, key);
		if (is_compared(txn, key))
			continue;
		t->compare[t->n_compare++] = compare(
			r, key, ETCDSERVERPB__COMPARE__COMPARE_RESULT__LESS,
			r->base + 1);
		r->n_guards++;
	}
	return t->n_compare <= STORE_MAX_OPS ? t : NULL;
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

/* The revision in which it was carried out, if that can be seen; else 0. */
static int64_t revision_of_ours(const struct run *r,
				const Etcdserverpb__TxnResponse *reply)
{
	const struct store_txn *txn = r->txn;
	int64_t revision = 0;

	if (reply->n_responses != txn->n_ops)
		return 0;
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

/* Whether one of the keys that it would have put is older than it. */
static bool was_never_done(const struct run *r,
			   const Etcdserverpb__TxnResponse *reply)
{
	for (size_t i = 0; i < r->txn->n_ops && i < reply->n_responses; i++) {
		const Mvccpb__KeyValue *kv = found(reply, i);

		if (r->txn->ops[i].value && kv && kv->mod_revision <= r->base)
			return true;
	}
	return false;
}

static enum store_result unknown(struct run *r, const char *why)
{
	struct err *err = &r->txn->err;

	if (why)
		err_set(err, GRPC_STATUS_UNAVAILABLE, "%s", why);
	err->code = GRPC_STATUS_UNAVAILABLE;
	err_wrap(err, "it is not known whether the write was done");
	return STORE_FAILED;
}

/* The compares of the repetition were false. */
static enum store_result decide(struct run *r,
				const Etcdserverpb__TxnResponse *reply)
{
	r->txn->revision = revision_of_ours(r, reply);
	if (r->txn->revision)
		return STORE_DONE;
	if (!r->n_guards && was_never_done(r, reply))
		return STORE_REFUSED;
	return unknown(r, "etcd failed meanwhile, and the keys have changed "
			  "since");
}

static enum store_result run(struct run *r)
{
	struct etcd_call call = {
		.method = "/etcdserverpb.KV/Txn",
		.reply_type = &etcdserverpb__txn_response__descriptor,
		.is_write = r->txn->n_ops > 0,
	};
	const Etcdserverpb__TxnRequest *again = repetition(r);
	const Etcdserverpb__TxnResponse *reply;

	call.request = &first_request(r)->base;
	call.again = again ? &again->base : NULL;
	reply = etcd_call(r->s, &call, r->a, &r->txn->err);
	if (!reply)
		return call.is_unsure ? unknown(r, NULL) : STORE_FAILED;
	if (!reply->succeeded)
		return call.is_unsure ? decide(r, reply) : STORE_REFUSED;
	if (has_changed(reply) && reply->header)
		r->txn->revision = reply->header->revision;
	return STORE_DONE;
}

void etcd_run(void *arg, struct store_txn *txn)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct run r = {.s = arg, .txn = txn, .a = a};

	r.base = etcd_seen(r.s);
	txn->result = run(&r);
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

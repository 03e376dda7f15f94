/* Transactions as they are sent to etcd; why so is in etcd_txn.c. */

#include "daemon/store/etcd.h"

static Etcdserverpb__Compare *compare(struct arena *a, ProtobufCBinaryData key,
				      int64_t revision)
{
	Etcdserverpb__Compare *c =
		arena_message(a, &etcdserverpb__compare__descriptor);

	c->target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD;
	c->key = key;
	c->target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION;
	c->mod_revision = revision;
	return c;
}

static Etcdserverpb__RequestOp *put(struct arena *a, ProtobufCBinaryData key,
				    const struct store_op *op)
{
	Etcdserverpb__RequestOp *request =
		arena_message(a, &etcdserverpb__request_op__descriptor);
	Etcdserverpb__PutRequest *p =
		arena_message(a, &etcdserverpb__put_request__descriptor);

	p->key = key;
	p->value.data = (uint8_t *)(uintptr_t)op->value;
	p->value.len = op->size;
	p->lease = op->lease;
	request->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
	request->request_put = p;
	return request;
}

static Etcdserverpb__RequestOp *del(struct arena *a, ProtobufCBinaryData key)
{
	Etcdserverpb__RequestOp *request =
		arena_message(a, &etcdserverpb__request_op__descriptor);
	Etcdserverpb__DeleteRangeRequest *d = arena_message(
		a, &etcdserverpb__delete_range_request__descriptor);

	d->key = key;
	request->request_case =
		ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
	request->request_delete_range = d;
	return request;
}

static Etcdserverpb__RequestOp *look(struct arena *a, ProtobufCBinaryData key)
{
	Etcdserverpb__RequestOp *request =
		arena_message(a, &etcdserverpb__request_op__descriptor);
	Etcdserverpb__RangeRequest *range =
		arena_message(a, &etcdserverpb__range_request__descriptor);

	range->key = key;
	request->request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
	request->request_range = range;
	return request;
}

bool etcd_can_fence(const struct store_txn *txn)
{
	return txn->n_ops && txn->n_compares < STORE_MAX_OPS;
}

/* The look at the fence also makes etcd judge the compares by what the cluster
 * has: without it a member would take what it has itself, be it old. */
Etcdserverpb__TxnRequest *etcd_request_new(const struct etcd *s,
					   struct arena *a,
					   const struct store_txn *txn,
					   int64_t fence)
{
	Etcdserverpb__TxnRequest *t =
		arena_message(a, &etcdserverpb__txn_request__descriptor);

	t->compare = arena_zalloc(a, txn->n_compares + 1, sizeof(*t->compare));
	for (size_t i = 0; i < txn->n_compares; i++)
		t->compare[t->n_compare++] =
			compare(a, etcd_key(s, a, txn->compares[i].key),
				txn->compares[i].mod_revision);
	if (etcd_can_fence(txn))
		t->compare[t->n_compare++] = compare(a, s->fence_key, fence);
	t->success = arena_zalloc(a, txn->n_ops, sizeof(*t->success));
	for (size_t i = 0; i < txn->n_ops; i++) {
		const struct store_op *op = &txn->ops[i];
		ProtobufCBinaryData key = etcd_key(s, a, op->key);

		t->success[t->n_success++] =
			op->value ? put(a, key, op) : del(a, key);
	}
	t->failure = arena_zalloc(a, 1, sizeof(*t->failure));
	t->failure[t->n_failure++] = look(a, s->fence_key);
	return t;
}

Etcdserverpb__TxnRequest *etcd_settlement_new(const struct etcd *s,
					      struct arena *a,
					      const struct store_txn *txn,
					      size_t n_keys, bool raise)
{
	static const struct store_op empty = {.value = ""};
	Etcdserverpb__TxnRequest *t =
		arena_message(a, &etcdserverpb__txn_request__descriptor);

	t->success = arena_zalloc(a, n_keys + 1, sizeof(*t->success));
	for (size_t i = 0; i < n_keys; i++)
		t->success[t->n_success++] =
			look(a, etcd_key(s, a, txn->ops[i].key));
	if (raise)
		t->success[t->n_success++] = put(a, s->fence_key, &empty);
	return t;
}

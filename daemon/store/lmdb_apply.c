/* What one transaction does to the databases. */

#include "daemon/store/lmdb.h"

#include <string.h>

#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

/* A key's header; all zero if there is no such key. */
static int find(struct lmdb_batch *b, const char *key, struct lmdb_header *h)
{
	MDB_val k = lmdb_val(key, strlen(key)), record;
	int rc = mdb_get(b->txn, b->s->kv, &k, &record);

	if (!rc)
		return lmdb_read_header(&record, h);
	*h = (struct lmdb_header){0};
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* --- attached to leases --- */

struct lease_key {
	unsigned char bytes[8 + STORE_MAX_KEY];
};

static MDB_val encode(struct lease_key *to, int64_t lease, const char *key)
{
	size_t size = strlen(key);

	lmdb_lease_encode(lease, to->bytes);
	memcpy(to->bytes + 8, key, size);
	return lmdb_val(to->bytes, 8 + size);
}

static int attach(struct lmdb_batch *b, int64_t lease, const char *key)
{
	struct lease_key buffer;
	MDB_val k = encode(&buffer, lease, key), nothing = lmdb_val("", 0);

	return lease ? mdb_put(b->txn, b->s->lease_key, &k, &nothing, 0) : 0;
}

static int detach(struct lmdb_batch *b, int64_t lease, const char *key)
{
	struct lease_key buffer;
	MDB_val k = encode(&buffer, lease, key);

	return lease ? mdb_del(b->txn, b->s->lease_key, &k, NULL) : 0;
}

/* --- ops --- */

static int put(struct lmdb_batch *b, const struct store_op *op,
	       struct revision *r, int64_t number)
{
	MDB_val k = lmdb_val(op->key, strlen(op->key)), record;
	struct lmdb_header h;
	int64_t before;
	int rc = find(b, op->key, &h);

	if (rc)
		return rc;
	before = h.lease;
	h.mod_revision = number;
	if (!h.version++)
		h.create_revision = number;
	h.lease = op->lease;
	record = lmdb_val(NULL, sizeof(h) + op->size);
	rc = mdb_put(b->txn, b->s->kv, &k, &record, MDB_RESERVE);
	if (rc)
		return rc;
	memcpy(record.mv_data, &h, sizeof(h));
	memcpy((char *)record.mv_data + sizeof(h), op->value, op->size);
	revision_add(r, &(struct store_kv){
				.key = op->key,
				.value = op->value,
				.size = op->size,
				.create_revision = h.create_revision,
				.mod_revision = number,
				.lease = op->lease,
			});
	if (before == op->lease)
		return 0;
	rc = detach(b, before, op->key);
	return rc ? rc : attach(b, op->lease, op->key);
}

static int del(struct lmdb_batch *b, const struct store_op *op,
	       struct revision *r, int64_t number)
{
	MDB_val k = lmdb_val(op->key, strlen(op->key));
	struct lmdb_header h;
	int rc = find(b, op->key, &h);

	if (rc || !h.version)
		return rc;
	rc = mdb_del(b->txn, b->s->kv, &k, NULL);
	if (!rc)
		rc = detach(b, h.lease, op->key);
	revision_add(r, &(struct store_kv){
				.key = op->key,
				.mod_revision = number,
			});
	return rc;
}

static int apply_ops(struct lmdb_batch *b, const struct store_op *ops, size_t n,
		     int64_t *revision)
{
	int64_t number = b->revision + 1;
	struct revision *r = revision_new(number, ops, n);
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++)
		rc = ops[i].value ? put(b, &ops[i], r, number)
				  : del(b, &ops[i], r, number);
	if (rc || revision_is_empty(r)) {
		revision_free(r);
		return rc;
	}
	b->revisions[b->n++] = r;
	b->revision = *revision = number;
	return 0;
}

/* --- leases --- */

static int find_lease(struct lmdb_batch *b, int64_t id)
{
	unsigned char bytes[8];
	MDB_val k = lmdb_val(bytes, sizeof(bytes)), ttl;

	lmdb_lease_encode(id, bytes);
	return mdb_get(b->txn, b->s->lease, &k, &ttl);
}

static int grant(struct lmdb_batch *b, const struct store_op *op)
{
	unsigned char bytes[8];
	MDB_val k = lmdb_val(bytes, sizeof(bytes));
	MDB_val ttl = lmdb_val(op->value, op->size);

	lmdb_lease_encode(op->lease, bytes);
	return mdb_put(b->txn, b->s->lease, &k, &ttl, MDB_NOOVERWRITE);
}

/* Deletions of all keys of the lease, in the arena. */
static int list_keys(struct lmdb_batch *b, int64_t id, struct arena *a,
		     struct store_op **ops, size_t *n)
{
	unsigned char bytes[8];
	MDB_val k = lmdb_val(bytes, sizeof(bytes)), nothing;
	MDB_cursor *cursor;
	size_t size = 0;
	int rc = mdb_cursor_open(b->txn, b->s->lease_key, &cursor);

	if (rc)
		return rc;
	lmdb_lease_encode(id, bytes);
	rc = mdb_cursor_get(cursor, &k, &nothing, MDB_SET_RANGE);
	while (!rc && lmdb_lease_decode(k.mv_data) == id) {
		if (*n == size) {
			size = size ? 2 * size : 16;
			*ops = mem_realloc(*ops, size, sizeof(**ops));
		}
		(*ops)[(*n)++] = (struct store_op){
			.key = arena_dup(a, (char *)k.mv_data + 8,
					 k.mv_size - 8),
		};
		rc = mdb_cursor_get(cursor, &k, &nothing, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int end(struct lmdb_batch *b, int64_t id, int64_t *revision)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(cleanup_free) struct store_op *ops = NULL;
	unsigned char bytes[8];
	MDB_val k = lmdb_val(bytes, sizeof(bytes));
	size_t n = 0;
	int rc = list_keys(b, id, a, &ops, &n);

	if (!rc)
		rc = apply_ops(b, ops, n, revision);
	lmdb_lease_encode(id, bytes);
	return rc ? rc : mdb_del(b->txn, b->s->lease, &k, NULL);
}

/* --- transactions --- */

static int check_compares(struct lmdb_batch *b, struct store_txn *txn)
{
	for (size_t i = 0; i < txn->n_compares; i++) {
		struct lmdb_header h;
		int rc = find(b, txn->compares[i].key, &h);

		if (rc)
			return rc;
		if (h.mod_revision != txn->compares[i].mod_revision) {
			txn->result = STORE_REFUSED;
			return 0;
		}
	}
	return 0;
}

static bool is_grant(const struct store_op *op)
{
	return !op->key && op->value;
}

/* Leases that are attached to, or that end, must be there. */
static int check_leases(struct lmdb_batch *b, struct store_txn *txn)
{
	for (size_t i = 0; i < txn->n_ops; i++) {
		const struct store_op *op = &txn->ops[i];
		int rc;

		if (is_grant(op) || (op->key && (!op->value || !op->lease)))
			continue;
		rc = find_lease(b, op->lease);
		if (rc == MDB_NOTFOUND) {
			txn->result = STORE_FAILED;
			lmdb_lease_missing(op->lease, &txn->err);
			return 0;
		}
		if (rc)
			return rc;
	}
	return 0;
}

int lmdb_apply(struct lmdb_batch *b, struct store_txn *txn)
{
	int rc;

	err_clear(&txn->err);
	txn->revision = 0;
	txn->result = STORE_DONE;
	rc = check_compares(b, txn);
	if (!rc && txn->result == STORE_DONE)
		rc = check_leases(b, txn);
	if (rc || txn->result != STORE_DONE)
		return rc;
	if (txn->n_ops == 0 || txn->ops->key)
		return apply_ops(b, txn->ops, txn->n_ops, &txn->revision);
	return is_grant(txn->ops) ? grant(b, txn->ops)
				  : end(b, txn->ops->lease, &txn->revision);
}

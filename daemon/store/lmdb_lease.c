/* Leases: ids, times to live and keys on disk, deadlines in memory. */

#include "daemon/store/lmdb.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "proto/lib/units.h"

/* Until what could not be ended is tried again. */
#define RETRY UNITS_SECOND

void lmdb_lease_encode(int64_t id, unsigned char bytes[8])
{
	uint64_t big = htobe64((uint64_t)id);

	memcpy(bytes, &big, sizeof(big));
}

int64_t lmdb_lease_decode(const void *bytes)
{
	uint64_t big;

	memcpy(&big, bytes, sizeof(big));
	return (int64_t)be64toh(big);
}

int lmdb_lease_missing(int64_t id, struct err *err)
{
	return err_set(err, GRPC_STATUS_NOT_FOUND,
		       "there is no lease %" PRId64 ", or it has ended", id);
}

static int load(struct lmdb *s, MDB_cursor *cursor)
{
	int64_t now = units_monotonic(), ttl;
	MDB_val key, value;
	int rc;

	while (!(rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) {
		if (key.mv_size != 8 || value.mv_size != sizeof(ttl))
			return MDB_CORRUPTED;
		memcpy(&ttl, value.mv_data, sizeof(ttl));
		leases_add(s->leases, lmdb_lease_decode(key.mv_data), ttl, now);
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int lmdb_lease_load(struct lmdb *s, MDB_txn *txn)
{
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, s->lease, &cursor);

	if (rc)
		return rc;
	rc = load(s, cursor);
	mdb_cursor_close(cursor);
	return rc;
}

void lmdb_lease_settle(struct lmdb *s, const struct store_txn *txn)
{
	const struct store_op *op = txn->ops;
	int64_t now, ttl;

	if (txn->n_ops != 1 || op->key)
		return;
	now = units_monotonic();
	if (txn->result != STORE_DONE) {
		leases_revive(s->leases, op->lease, now + RETRY);
	} else if (op->value) {
		memcpy(&ttl, op->value, sizeof(ttl));
		leases_add(s->leases, op->lease, ttl, now);
	} else {
		leases_remove(s->leases, op->lease);
	}
}

/* Random, so that no id comes again after a lease has ended. */
static int make_id(struct lmdb *s, int64_t *id, struct err *err)
{
	do {
		if (getrandom(id, sizeof(*id), 0) != sizeof(*id))
			return err_errno(err, "make a lease id");
		*id &= INT64_MAX;
	} while (!*id || leases_has(s->leases, *id));
	return 0;
}

int lmdb_lease_grant(struct store *base, int64_t ttl, int64_t *id,
		     struct err *err)
{
	struct lmdb *s = (struct lmdb *)base;
	struct store_op op = {.value = &ttl, .size = sizeof(ttl)};
	struct store_txn txn = {.ops = &op, .n_ops = 1};

	if (make_id(s, &op.lease, err) < 0 ||
	    store_wait(base, &txn, err) != STORE_DONE)
		return -1;
	*id = op.lease;
	return 0;
}

int lmdb_lease_renew(struct store *base, int64_t id, struct err *err)
{
	struct lmdb *s = (struct lmdb *)base;

	if (lmdb_alive(s, err) < 0)
		return -1;
	if (leases_renew(s->leases, id, units_monotonic()))
		return 0;
	return lmdb_lease_missing(id, err);
}

int lmdb_lease_revoke(struct store *base, int64_t id, struct err *err)
{
	struct store_op op = {.lease = id};
	struct store_txn txn = {.ops = &op, .n_ops = 1};

	return store_wait(base, &txn, err) == STORE_DONE ? 0 : -1;
}

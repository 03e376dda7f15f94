/* The LMDB engine for reading, beside the process that has the store open. */

#include "daemon/store/lmdb.h"

#include <stddef.h>

static int refuse(struct err *err)
{
	return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
		       "the store is open for reading only");
}

static void submit(struct store *s, struct store_txn *txn)
{
	(void)s;
	refuse(&txn->err);
	txn->result = STORE_FAILED;
	txn->done(txn);
}

static struct store_watch *watch(struct store *s, const char *prefix,
				 int64_t from,
				 void (*fn)(void *arg,
					    const struct store_change *change),
				 void *arg, struct err *err)
{
	(void)s;
	(void)prefix;
	(void)from;
	(void)fn;
	(void)arg;
	refuse(err);
	return NULL;
}

static void unwatch(struct store_watch *w)
{
	(void)w;
}

static int grant(struct store *s, int64_t ttl, int64_t *id, struct err *err)
{
	(void)s;
	(void)ttl;
	(void)id;
	return refuse(err);
}

static int renew_or_revoke(struct store *s, int64_t id, struct err *err)
{
	(void)s;
	(void)id;
	return refuse(err);
}

static const struct store_engine engine = {
	.name = "lmdb",
	.embedded = true,
	.close = lmdb_close,
	.check = lmdb_check,
	.id = lmdb_id,
	.get = lmdb_get,
	.range = lmdb_range,
	.each = lmdb_each,
	.submit = submit,
	.watch = watch,
	.unwatch = unwatch,
	.lease_grant = grant,
	.lease_renew = renew_or_revoke,
	.lease_revoke = renew_or_revoke,
};

struct store *store_lmdb_open_read_only(const char *path, struct err *err)
{
	return lmdb_open(path, &engine, true, err);
}

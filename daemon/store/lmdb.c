/* The LMDB engine: opening, closing, and how it is. */

#include "daemon/store/lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"

int lmdb_err(int rc, struct err *err)
{
	switch (rc) {
	case ENOSPC:
	case EDQUOT:
	case MDB_READERS_FULL:
		return err_set(err, GRPC_STATUS_RESOURCE_EXHAUSTED, "%s",
			       mdb_strerror(rc));
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
		return err_set(err, GRPC_STATUS_DATA_LOSS, "%s",
			       mdb_strerror(rc));
	default:
		return err_set(err, GRPC_STATUS_UNAVAILABLE, "%s",
			       mdb_strerror(rc));
	}
}

int lmdb_alive(struct lmdb *s, struct err *err)
{
	const char *failure = atomic_load(&s->failure);

	if (!failure)
		return 0;
	return err_set(err, GRPC_STATUS_UNAVAILABLE,
		       "store %s failed earlier: %s", s->path, failure);
}

static int get_number(struct lmdb *s, MDB_txn *txn, const char *name,
		      int64_t *number)
{
	MDB_val key = lmdb_val(name, strlen(name)), value;
	int rc = mdb_get(txn, s->meta, &key, &value);

	if (rc)
		return rc;
	if (value.mv_size != sizeof(*number))
		return MDB_CORRUPTED;
	memcpy(number, value.mv_data, sizeof(*number));
	return 0;
}

static int put_meta(struct lmdb *s, MDB_txn *txn, const char *name,
		    const void *data, size_t size)
{
	MDB_val key = lmdb_val(name, strlen(name));
	MDB_val value = lmdb_val(data, size);

	return mdb_put(txn, s->meta, &key, &value, 0);
}

int lmdb_revision(struct lmdb *s, MDB_txn *txn, int64_t *revision)
{
	return get_number(s, txn, "rev", revision);
}

int lmdb_set_revision(struct lmdb *s, MDB_txn *txn, int64_t revision)
{
	return put_meta(s, txn, "rev", &revision, sizeof(revision));
}

/* --- opening --- */

static int fill_meta(struct lmdb *s, MDB_txn *txn)
{
	int64_t schema = LMDB_SCHEMA;
	int rc = id_random(s->id, sizeof(s->id)) == -1 ? errno : 0;

	if (!rc)
		rc = put_meta(s, txn, "schema", &schema, sizeof(schema));
	if (!rc)
		rc = put_meta(s, txn, "id", s->id, strlen(s->id));
	return rc ? rc : lmdb_set_revision(s, txn, 0);
}

static int read_id(struct lmdb *s, MDB_txn *txn)
{
	MDB_val key = lmdb_val("id", 2), value;
	int rc = mdb_get(txn, s->meta, &key, &value);

	if (rc)
		return rc;
	if (value.mv_size != sizeof(s->id) - 1)
		return MDB_CORRUPTED;
	memcpy(s->id, value.mv_data, value.mv_size);
	return 0;
}

static int read_meta(struct lmdb *s, MDB_txn *txn, struct err *err)
{
	int64_t schema, revision;
	int rc = get_number(s, txn, "schema", &schema);

	if (rc == MDB_NOTFOUND && !s->is_read_only)
		rc = fill_meta(s, txn);
	else if (!rc && schema != LMDB_SCHEMA)
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "its schema is version %" PRId64
			       ", this program knows version %d",
			       schema, LMDB_SCHEMA);
	if (!rc)
		rc = read_id(s, txn);
	if (!rc)
		rc = lmdb_revision(s, txn, &revision);
	if (!rc)
		rc = lmdb_lease_load(s, txn);
	return rc ? lmdb_err(rc, err) : 0;
}

static int open_databases(struct lmdb *s, MDB_txn *txn)
{
	const struct {
		const char *name;
		MDB_dbi *dbi;
	} databases[] = {
		{"meta", &s->meta},
		{"kv", &s->kv},
		{"lease", &s->lease},
		{"lease_key", &s->lease_key},
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(databases) / sizeof(*databases);
	     i++)
		rc = mdb_dbi_open(txn, databases[i].name,
				  s->is_read_only ? 0 : MDB_CREATE,
				  databases[i].dbi);
	return rc;
}

/* All in one transaction: a store that is refused stays as it was. */
static int prepare(struct lmdb *s, struct err *err)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, s->is_read_only ? MDB_RDONLY : 0,
			       &txn);

	/* Just now another process has made it larger. */
	if (rc == MDB_MAP_RESIZED && s->is_read_only &&
	    !(rc = mdb_env_set_mapsize(s->env, 0)))
		rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (rc)
		return lmdb_err(rc, err);
	rc = open_databases(s, txn);
	if (rc)
		lmdb_err(rc, err);
	else
		rc = read_meta(s, txn, err);
	if (rc) {
		mdb_txn_abort(txn);
		return -1;
	}
	rc = mdb_txn_commit(txn);
	if (lmdb_is_full(s, rc, NULL))
		rc = ENOSPC;
	return rc ? lmdb_err(rc, err) : 0;
}

static int open_env(struct lmdb *s, struct err *err)
{
	int rc = mdb_env_create(&s->env), fd;

	if (!rc)
		rc = mdb_env_set_maxdbs(s->env, 4);
	if (!rc)
		rc = mdb_env_set_mapsize(s->env, LMDB_MIN_MAP);
	if (!rc)
		rc = mdb_env_open(
			s->env, s->path,
			MDB_NOTLS | (s->is_read_only ? MDB_RDONLY : 0), 0600);
	if (rc == ENOENT && s->is_read_only)
		return err_set(err, GRPC_STATUS_NOT_FOUND, "there is none");
	if (!rc)
		rc = mdb_reader_check(s->env, NULL);
	if (!rc)
		rc = mdb_env_get_fd(s->env, &fd);
	if (rc)
		return lmdb_err(rc, err);
	/* LMDB leaves this one to be inherited. */
	return fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ? err_errno(err, "data.mdb")
						    : 0;
}

static bool touch(void *arg, const struct store_kv *kv)
{
	volatile unsigned *sum = arg;

	for (size_t i = 0; i < kv->size; i += 4096)
		*sum += ((const unsigned char *)kv->value)[i];
	return true;
}

/* Reads it all once, so that later no reader waits for the disk. */
static int warm_up(struct lmdb *s, struct err *err)
{
	unsigned sum = 0;

	return lmdb_each(&s->base, "", touch, &sum, err);
}

static int open_all(struct lmdb *s, bool *is_new, struct err *err)
{
	struct store_status status;

	if (s->is_read_only)
		return open_env(s, err) < 0 || prepare(s, err) < 0 ? -1 : 0;
	s->lock = lmdb_dir_lock(s->path, is_new, err);
	if (s->lock < 0 || open_env(s, err) < 0 || prepare(s, err) < 0 ||
	    (*is_new && lmdb_dir_sync(s->path, err) < 0) ||
	    warm_up(s, err) < 0 || store_check(&s->base, &status, err) < 0)
		return -1;
	s->watches = watches_new(status.revision, err);
	if (!s->watches)
		return -1;
	s->writer = lmdb_writer_new(s, err);
	return s->writer ? 0 : -1;
}

/* --- engine --- */

void lmdb_close(struct store *base)
{
	struct lmdb *s = (struct lmdb *)base;

	watches_stop(s->watches); /* a consumer may submit until then */
	lmdb_writer_free(s->writer);
	watches_free(s->watches);
	leases_free(s->leases);
	lmdb_readers_free(s);
	if (s->env)
		mdb_env_close(s->env);
	if (s->lock >= 0)
		close(s->lock);
	pthread_rwlock_destroy(&s->map);
	pthread_mutex_destroy(&s->idle_mu);
	free(atomic_load(&s->failure));
	free(s->path);
	free(s);
}

static int fill_status(struct lmdb *s, MDB_txn *txn,
		       struct store_status *status, struct err *err)
{
	int64_t revision = 0;
	struct stat st;
	int rc, fd;

	rc = lmdb_revision(s, txn, &revision);
	if (!rc)
		rc = mdb_env_get_fd(s->env, &fd);
	if (rc)
		return lmdb_err(rc, err);
	if (fstat(fd, &st) == -1)
		return err_errno(err, "look at store %s", s->path);
	*status = (struct store_status){
		.engine = s->base.engine->name,
		.location = s->path,
		.revision = revision,
		.size = (uint64_t)st.st_size,
	};
	return 0;
}

int lmdb_check(struct store *base, struct store_status *status, struct err *err)
{
	struct lmdb *s = (struct lmdb *)base;
	struct lmdb_reader *r = lmdb_read_begin(s, err);
	int rc;

	if (!r)
		return -1;
	/* One of another process that was killed would make the file grow. */
	mdb_reader_check(s->env, NULL);
	rc = fill_status(s, r->txn, status, err);
	lmdb_read_end(s, r);
	if (rc == 0 && atomic_load(&s->is_full))
		return err_set(err, GRPC_STATUS_RESOURCE_EXHAUSTED,
			       "store %s: no space left", s->path);
	return rc;
}

const char *lmdb_id(const struct store *base)
{
	return ((const struct lmdb *)base)->id;
}

static struct store_watch *watch(struct store *base, const char *prefix,
				 int64_t from,
				 void (*fn)(void *arg,
					    const struct store_change *change),
				 void *arg, struct err *err)
{
	struct lmdb *s = (struct lmdb *)base;

	if (lmdb_alive(s, err) < 0)
		return NULL;
	return watches_add(s->watches, base, prefix, from, fn, arg);
}

static void unwatch(struct store_watch *w)
{
	watches_remove(((struct lmdb *)w->store)->watches, w);
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
	.submit = lmdb_submit,
	.watch = watch,
	.unwatch = unwatch,
	.lease_grant = lmdb_lease_grant,
	.lease_renew = lmdb_lease_renew,
	.lease_revoke = lmdb_lease_revoke,
};

static void init_locks(struct lmdb *s)
{
	pthread_rwlockattr_t kind;

	pthread_rwlockattr_init(&kind);
	pthread_rwlockattr_setkind_np(
		&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&s->map, &kind);
	pthread_rwlockattr_destroy(&kind);
	pthread_mutex_init(&s->idle_mu, NULL);
}

struct store *store_lmdb_open(const char *path, struct err *err)
{
	return lmdb_open(path, &engine, false, err);
}

struct store *lmdb_open(const char *path, const struct store_engine *e,
			bool is_read_only, struct err *err)
{
	struct lmdb *s = mem_zalloc(1, sizeof(*s));
	bool is_new = false;

	s->base.engine = e;
	s->is_read_only = is_read_only;
	s->path = mem_strdup(path);
	s->lock = -1;
	s->leases = leases_new();
	init_locks(s);
	if (open_all(s, &is_new, err) == 0)
		return &s->base;
	err_wrap(err, "open store %s", path);
	if (is_new)
		lmdb_dir_discard(path);
	lmdb_close(&s->base);
	return NULL;
}

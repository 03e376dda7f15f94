/* Leases: etcd keeps them; ids are ours, so that a grant may be repeated. */

#include "daemon/store/etcd.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "proto/lib/cleanup.h"

static int missing(int64_t id, struct err *err)
{
	err_clear(err);
	return err_set(err, GRPC_STATUS_NOT_FOUND,
		       "there is no lease %" PRId64 ", or it has ended", id);
}

static int make_id(int64_t *id, struct err *err)
{
	do {
		if (getrandom(id, sizeof(*id), 0) != sizeof(*id))
			return err_errno(err, "make a lease id");
		*id &= INT64_MAX;
	} while (!*id);
	return 0;
}

/* 1: the id is taken by somebody else. */
static int grant(struct etcd *s, int64_t ttl, int64_t id, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	Etcdserverpb__LeaseGrantRequest request =
		ETCDSERVERPB__LEASE_GRANT_REQUEST__INIT;
	struct etcd_call call = {
		.method = "/etcdserverpb.Lease/LeaseGrant",
		.reply_type = &etcdserverpb__lease_grant_response__descriptor,
		.request = &request.base,
		.again = &request.base,
		.is_write = true,
	};

	request.ttl = ttl;
	request.id = id;
	if (etcd_call(s, &call, a, err))
		return 0;
	if (!strstr(err->msg, "lease already exists"))
		return -1;
	err_clear(err);
	if (!call.is_unsure)
		return 1;
	/* Granted by an attempt that seemed to fail: its time began then. */
	return etcd_lease_renew(&s->base, id, err);
}

int etcd_lease_grant(struct store *base, int64_t ttl, int64_t *id,
		     struct err *err)
{
	int rc;

	do {
		if (make_id(id, err) < 0)
			return -1;
		rc = grant((struct etcd *)base, ttl, *id, err);
	} while (rc > 0);
	return rc;
}

int etcd_lease_renew(struct store *base, int64_t id, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	Etcdserverpb__LeaseKeepAliveRequest request =
		ETCDSERVERPB__LEASE_KEEP_ALIVE_REQUEST__INIT;
	struct etcd_call call = {
		.method = "/etcdserverpb.Lease/LeaseKeepAlive",
		.reply_type =
			&etcdserverpb__lease_keep_alive_response__descriptor,
		.request = &request.base,
		.is_stream = true,
		.is_local = true,
	};
	const Etcdserverpb__LeaseKeepAliveResponse *reply;

	request.id = id;
	reply = etcd_call((struct etcd *)base, &call, a, err);
	if (!reply)
		return -1;
	return reply->ttl > 0 ? 0 : missing(id, err);
}

int etcd_lease_revoke(struct store *base, int64_t id, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	Etcdserverpb__LeaseRevokeRequest request =
		ETCDSERVERPB__LEASE_REVOKE_REQUEST__INIT;
	struct etcd_call call = {
		.method = "/etcdserverpb.Lease/LeaseRevoke",
		.reply_type = &etcdserverpb__lease_revoke_response__descriptor,
		.request = &request.base,
		.again = &request.base,
		.is_write = true,
	};

	request.id = id;
	if (etcd_call((struct etcd *)base, &call, a, err))
		return 0;
	if (err->code != GRPC_STATUS_NOT_FOUND)
		return -1;
	if (!call.is_unsure)
		return missing(id, err);
	err_clear(err); /* an attempt that seemed to fail has done it */
	return 0;
}

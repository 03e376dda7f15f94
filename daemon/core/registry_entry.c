/*
 * Entries of controllers, as they are written: each together with what says
 * whether its controller is alive (liveness.h).
 */

#include "daemon/core/registry_keys.h"

#include <string.h>

#include "daemon/core/liveness.h"
#include "oim/state/v1/state.pb-c.h"
#include "proto/lib/cleanup.h"

/* How often a write is tried while others write the same. */
#define ATTEMPTS 8

enum { ENTRY, RECORD, ALIVE }; /* of registry_change.ops */

/* What the store has of a controller. */
struct known {
	const char *address; /* NULL: it is not registered */
	int64_t revision;    /* of that, 0: likewise */
	struct liveness live;
};

/* --- ops --- */

static void set_key(struct registry_change *change, int i, const char *before,
		    const char *behind)
{
	size_t size = strlen(before) + strlen(change->object) + strlen(behind);
	char *key = arena_alloc(change->arena, size + 1);

	stpcpy(stpcpy(stpcpy(key, before), change->object), behind);
	change->ops[i] = (struct store_op){.key = key};
}

/* Deletions of all three. */
static void set_keys(struct registry_change *change)
{
	set_key(change, ENTRY, REGISTRY_PREFIX, REGISTRY_ADDRESS);
	set_key(change, RECORD, LIVENESS_RECORD, "");
	set_key(change, ALIVE, LIVENESS_ALIVE, "");
}

static void set_value(struct registry_change *change, int i,
		      const ProtobufCMessage *message, int64_t lease)
{
	uint8_t *bytes = arena_alloc(
		change->arena, protobuf_c_message_get_packed_size(message));

	change->ops[i].size = protobuf_c_message_pack(message, bytes);
	change->ops[i].value = bytes;
	change->ops[i].lease = lease;
}

static void set_entry(struct registry_change *change)
{
	Oim__State__V1__RegistryEntry entry =
		OIM__STATE__V1__REGISTRY_ENTRY__INIT;

	entry.controller_id = (char *)change->object;
	entry.address = (char *)change->value;
	set_value(change, ENTRY, &entry.base, 0);
}

static int read_known(struct registry *r, struct registry_change *change,
		      struct known *k)
{
	Oim__State__V1__RegistryEntry *entry = NULL;
	struct store_kv kv;
	int rc = store_get(r->store, change->ops[ENTRY].key, change->arena, &kv,
			   &change->err);

	*k = (struct known){0};
	if (rc == -1)
		return -1;
	if (rc == 1) {
		k->revision = kv.mod_revision;
		entry = arena_unpack(
			change->arena,
			&oim__state__v1__registry_entry__descriptor, kv.value,
			kv.size);
		/* A damaged one is like none: it is written anew. */
		k->address = entry ? entry->address : NULL;
	}
	return liveness_read(r->store, change->object, change->arena, &k->live,
			     &change->err);
}

/* --- static entries, and none --- */

static void on_stored(struct store_txn *txn);

/* As many ops as that, if what n compares say is true. */
static void submit(struct registry_change *change, size_t n_compares,
		   size_t n_ops)
{
	change->no_record = (struct store_compare){change->ops[RECORD].key, 0};
	change->txn = (struct store_txn){.compares = &change->no_record,
					 .n_compares = n_compares,
					 .ops = change->ops,
					 .n_ops = n_ops,
					 .done = on_stored,
					 .arg = change};
	store_submit(change->registry->store, &change->txn);
}

static void on_stored(struct store_txn *txn)
{
	struct registry_change *change = txn->arg;

	/* It has got a time to live meanwhile. The last one counts. */
	if (txn->result == STORE_REFUSED) {
		submit(change, 0, 3);
		return;
	}
	err_move(&change->err, &txn->err);
	registry_finish(change);
}

static void put_static(struct registry *r, struct registry_change *change)
{
	struct known k;
	bool is_stored;

	if (read_known(r, change, &k) == -1) {
		change->done(change);
		return;
	}
	is_stored = *change->value
			    ? k.address && strcmp(k.address, change->value) == 0
			    : !k.revision;
	if (is_stored && !k.live.record) {
		change->done(change);
		return;
	}
	if (*change->value)
		set_entry(change);
	if (k.live.record)
		submit(change, 0, 3);
	else
		submit(change, 1, 1);
}

/* --- entries with a time to live --- */

/* Whether the store has all that a registration says. */
static bool is_known(const struct registry_change *change,
		     const struct known *k)
{
	const struct liveness *live = &k->live;

	return k->address && strcmp(k->address, change->value) == 0 &&
	       live->instance &&
	       strcmp(live->instance, change->instance) == 0 &&
	       live->record->ttl == change->seconds && !live->record->lost;
}

/* The same, or -1 with NOT_FOUND for a lease that has ended. */
static int renew(struct registry *r, struct registry_change *change,
		 int64_t lease)
{
	int rc = store_lease_renew(r->store, lease, &change->err);

	if (rc == 0 || change->err.code != GRPC_STATUS_NOT_FOUND)
		return rc;
	err_clear(&change->err);
	return 1;
}

/*
 * A lease to put the controller on: the one that it is on, renewed, if there is
 * one of that time, or *granted, which is made if it is 0.
 */
static int find_lease(struct registry *r, struct registry_change *change,
		      const struct known *k, int64_t *granted, int64_t *lease)
{
	const struct liveness *live = &k->live;
	int rc = 1;

	if (live->lease && live->record->ttl == change->seconds)
		rc = renew(r, change, live->lease);
	if (rc != 1) {
		*lease = live->lease;
		return rc;
	}
	if (!*granted && store_lease_grant(r->store, change->seconds, granted,
					   &change->err) == -1)
		return -1;
	*lease = *granted;
	return 0;
}

/* Writes what is not yet so, unless somebody else writes at the same time. */
static enum store_result put_alive(struct registry *r,
				   struct registry_change *change,
				   const struct known *k, int64_t lease)
{
	Oim__State__V1__Alive alive = OIM__STATE__V1__ALIVE__INIT;
	const Oim__State__V1__Liveness *record =
		liveness_renew(&k->live, change->seconds, change->instance,
			       k->address, change->arena);
	bool has_entry = k->address && strcmp(k->address, change->value) == 0;
	struct store_compare compares[] = {
		{NULL, k->revision},
		{NULL, k->live.revision},
	};

	compares[0].key = change->ops[ENTRY].key;
	compares[1].key = change->ops[RECORD].key;
	alive.instance = (char *)change->instance;
	set_entry(change);
	set_value(change, ALIVE, &alive.base, lease);
	set_value(change, RECORD, &record->base, 0);
	change->txn = (struct store_txn){.compares = compares,
					 .n_compares = 2,
					 .ops = change->ops + has_entry,
					 .n_ops = 3 - has_entry};
	return store_commit(r->store, &change->txn, &change->err);
}

/* 1 if it is done, 0 to try again, or -1. */
static int attempt(struct registry *r, struct registry_change *change,
		   int64_t *granted, bool *has_written)
{
	struct known k;
	int64_t lease;

	if (read_known(r, change, &k) == -1 ||
	    find_lease(r, change, &k, granted, &lease) == -1)
		return -1;
	if (lease != *granted && is_known(change, &k))
		return 1;
	*has_written = true;
	switch (put_alive(r, change, &k, lease)) {
	case STORE_DONE:
		if (lease == *granted)
			*granted = 0; /* it is in use */
		return 1;
	case STORE_REFUSED:
		return 0;
	case STORE_FAILED:
		break;
	}
	if (change->err.code != GRPC_STATUS_NOT_FOUND)
		return -1;
	/* The lease has ended meanwhile. */
	err_clear(&change->err);
	if (lease == *granted)
		*granted = 0;
	return 0;
}

/* May block. */
static void put_dynamic(struct registry_change *change)
{
	CLEANUP(err_clear) struct err ignored = ERR_INIT;
	struct registry *r = change->registry;
	bool has_written = false;
	int64_t granted = 0;
	int rc = 0;

	for (int i = 0; i < ATTEMPTS && rc == 0; i++)
		rc = attempt(r, change, &granted, &has_written);
	if (granted) /* if that fails, it ends by itself */
		store_lease_revoke(r->store, granted, &ignored);
	if (rc == 0)
		err_set(&change->err, GRPC_STATUS_ABORTED,
			"others register controller \"%s\" at the same time",
			change->object);
	if (has_written)
		registry_finish(change);
	else
		change->done(change);
}

/* Whether there is nothing to write; reads only, as renewals do. */
static int renew_only(struct registry *r, struct registry_change *change)
{
	struct known k;
	int rc;

	if (read_known(r, change, &k) == -1)
		return -1;
	if (!is_known(change, &k))
		return 0;
	rc = renew(r, change, k.live.lease);
	return rc == 0 ? 1 : rc == 1 ? 0 : -1;
}

static void put_later(struct registry *r, struct registry_change *change)
{
	int rc = renew_only(r, change);

	if (rc == 0 && change->work(change, put_dynamic))
		return;
	if (rc == 0)
		err_set(&change->err, GRPC_STATUS_RESOURCE_EXHAUSTED,
			"the daemon is busy: too many calls wait already");
	change->done(change);
}

void registry_put_entry(struct registry *r, struct registry_change *change)
{
	change->registry = r;
	set_keys(change);
	if (!change->seconds)
		put_static(r, change);
	else if (change->work)
		put_later(r, change);
	else
		put_dynamic(change);
}

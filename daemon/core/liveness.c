/* The records of who is alive, and what follows from them. Who looks when they
 * change is in liveness_watch.c. */

#include "daemon/core/liveness.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

/* Bytes of an instance. */
#define MAX_INSTANCE 64

/* How many instances that were replaced are remembered. */
#define MAX_FORMER 4

/* --- what callers say --- */

int liveness_parse_ttl(const char *text, int64_t *ttl, struct err *err)
{
	char *end;

	errno = 0;
	*ttl = strtoll(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || *ttl > STORE_MAX_TTL)
		return err_set(
			err, GRPC_STATUS_INVALID_ARGUMENT,
			"\"" LIVENESS_TTL_KEY
			"\" in the metadata is a number of seconds, not more than %" PRId64,
			STORE_MAX_TTL);
	if (*ttl < STORE_MIN_TTL)
		*ttl = STORE_MIN_TTL;
	return 0;
}

int liveness_check_instance(const char *text, struct err *err)
{
	if (strnlen(text, MAX_INSTANCE + 1) <= MAX_INSTANCE)
		return 0;
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		       "\"" LIVENESS_INSTANCE_KEY
		       "\" in the metadata has at most %d bytes",
		       MAX_INSTANCE);
}

/* --- one controller --- */

static int damaged(const char *key, struct err *err)
{
	return err_set(err, GRPC_STATUS_DATA_LOSS,
		       "the registry's record \"%s\" is damaged", key);
}

/* As store_get(), and unpacks it. */
static int get(struct store *store, const char *key,
	       const ProtobufCMessageDescriptor *type, struct arena *a,
	       struct store_kv *kv, void *message, struct err *err)
{
	int rc = store_get(store, key, a, kv, err);

	if (rc != 1)
		return rc;
	*(void **)message = arena_unpack(a, type, kv->value, kv->size);
	return *(void **)message ? 1 : damaged(key, err);
}

int liveness_read(struct store *store, const char *id, struct arena *a,
		  struct liveness *live, struct err *err)
{
	Oim__State__V1__Alive *alive;
	struct store_kv kv;
	int rc;

	*live = (struct liveness){0};
	rc = get(store, arena_printf(a, LIVENESS_RECORD "%s", id),
		 &oim__state__v1__liveness__descriptor, a, &kv, &live->record,
		 err);
	/* Both are written together, and this one stays longer. */
	if (rc != 1)
		return rc;
	live->revision = kv.mod_revision;
	rc = get(store, arena_printf(a, LIVENESS_ALIVE "%s", id),
		 &oim__state__v1__alive__descriptor, a, &kv, &alive, err);
	if (rc == 1) {
		live->instance = alive->instance;
		live->lease = kv.lease;
	}
	return rc == -1 ? -1 : 0;
}

static bool is_former(const Oim__State__V1__Liveness *record,
		      const char *instance)
{
	for (size_t i = 0; i < record->n_former; i++)
		if (strcmp(record->former[i], instance) == 0)
			return true;
	return false;
}

/* Those who were replaced before, behind the one who is being replaced now. */
static void take_former(Oim__State__V1__Liveness *next,
			const struct liveness *live, const char *instance,
			struct arena *a)
{
	next->former = arena_alloc(a, MAX_FORMER * sizeof(*next->former));
	next->former[next->n_former++] = (char *)live->instance;
	for (size_t i = 0; i < live->record->n_former; i++)
		if (strcmp(live->record->former[i], instance) != 0 &&
		    next->n_former < MAX_FORMER)
			next->former[next->n_former++] =
				live->record->former[i];
}

Oim__State__V1__Liveness *liveness_renew(const struct liveness *live,
					 int64_t ttl, const char *instance,
					 const char *address, struct arena *a)
{
	const Oim__State__V1__Liveness *old = live->record;
	Oim__State__V1__Liveness *next =
		arena_message(a, &oim__state__v1__liveness__descriptor);

	if (old)
		*next = *old;
	next->ttl = ttl;
	next->lost = 0;
	if (!live->instance || !*live->instance || !*instance ||
	    strcmp(live->instance, instance) == 0)
		return next;
	next->n_former = 0;
	take_former(next, live, instance, a);
	/* Whoever was started anew is never heard of again as who it was. */
	if (is_former(old, instance)) {
		next->contested = units_now();
		next->rival = address ? (char *)address : (char *)"";
	}
	return next;
}

static int put_lost(struct store *store, const char *id,
		    const struct liveness *live, struct arena *a,
		    struct err *err)
{
	Oim__State__V1__Liveness next = *live->record;
	struct store_op op = {.key = arena_printf(a, LIVENESS_RECORD "%s", id)};
	struct store_compare compares[] = {
		{op.key, live->revision},
		{arena_printf(a, LIVENESS_ALIVE "%s", id), 0},
	};
	struct store_txn txn = {
		.compares = compares, .n_compares = 2, .ops = &op, .n_ops = 1};
	uint8_t *bytes;

	next.lost = units_now();
	bytes = arena_alloc(a,
			    oim__state__v1__liveness__get_packed_size(&next));
	op.size = oim__state__v1__liveness__pack(&next, bytes);
	op.value = bytes;
	/* Refused: it has registered, or somebody else has seen it. */
	return store_commit(store, &txn, err) == STORE_FAILED ? -1 : 0;
}

int liveness_mark_lost(struct store *store, const char *id, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct liveness live;

	if (liveness_read(store, id, a, &live, err) == -1)
		return -1;
	if (!live.record || live.record->lost || live.instance)
		return 0;
	return put_lost(store, id, &live, a, err);
}

int64_t liveness_seen(const Oim__State__V1__Liveness *record)
{
	return record->lost - record->ttl * UNITS_SECOND;
}

/* --- all of them --- */

/* Ten thousand are listed without copying what nobody looks at. */
struct collection {
	struct arena *arena;   /* of what stays */
	struct arena *scratch; /* of one record */
	struct liveness_item *items;
	size_t n, max;
	size_t next; /* that may be alive */
	struct err *err;
};

static bool add_record(void *arg, const struct store_kv *kv)
{
	struct collection *c = arg;
	struct liveness_item *item;
	Oim__State__V1__Liveness *r =
		arena_unpack(c->scratch, &oim__state__v1__liveness__descriptor,
			     kv->value, kv->size);

	if (!r) {
		damaged(kv->key, c->err);
		return false;
	}
	if (c->n == c->max) {
		c->max = c->max ? 2 * c->max : 16;
		c->items = mem_realloc(c->items, c->max, sizeof(*item));
	}
	item = &c->items[c->n++];
	*item = (struct liveness_item){
		.id = arena_strdup(c->arena, kv->key + strlen(LIVENESS_RECORD)),
		.record = *r};
	item->record.former = NULL;
	item->record.n_former = 0;
	item->record.rival = arena_strdup(c->arena, r->rival);
	arena_reset(c->scratch);
	return true;
}

/* Both come in the order of ids. */
static bool note_alive(void *arg, const struct store_kv *kv)
{
	const char *id = kv->key + strlen(LIVENESS_ALIVE);
	struct collection *c = arg;

	while (c->next < c->n && strcmp(c->items[c->next].id, id) < 0)
		c->next++;
	if (c->next < c->n && strcmp(c->items[c->next].id, id) == 0)
		c->items[c->next++].is_alive = true;
	return true;
}

static int collect(struct store *store, struct collection *c, struct err *err)
{
	/* In this order: a record is there when its controller becomes alive.
	 */
	if (store_each(store, LIVENESS_RECORD, add_record, c, err) == -1 ||
	    err->code)
		return -1;
	return store_each(store, LIVENESS_ALIVE, note_alive, c, err);
}

int liveness_list(struct store *store, struct arena *a,
		  struct liveness_item **items, size_t *n, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *scratch = arena_new();
	struct collection c = {.arena = a, .scratch = scratch, .err = err};
	CLEANUP(cleanup_free) struct liveness_item *found = NULL;
	int rc = collect(store, &c, err);

	found = c.items;
	if (rc == -1)
		return -1;
	*n = c.n;
	*items = arena_dup(a, found, c.n * sizeof(*found));
	return 0;
}

static int compare_items(const void *a, const void *b)
{
	return strcmp(((const struct liveness_item *)a)->id,
		      ((const struct liveness_item *)b)->id);
}

const struct liveness_item *liveness_find(const struct liveness_item *items,
					  size_t n, const char *id)
{
	const struct liveness_item key = {.id = id};

	return n ? bsearch(&key, items, n, sizeof(key), compare_items) : NULL;
}

const char *liveness_state(const struct liveness_item *item)
{
	if (!item)
		return "static";
	return item->is_alive && !item->record.lost ? "ready" : "lost";
}

int64_t liveness_since(const struct liveness_item *item)
{
	if (!item || item->record.lost)
		return item ? item->record.lost : 0;
	/* Nobody has marked it yet. */
	return item->is_alive ? 0 : units_now();
}

const char *liveness_problem(const struct liveness_item *item, struct arena *a)
{
	const Oim__State__V1__Liveness *r = item ? &item->record : NULL;

	/* As long as it goes on, each registers within that time. */
	if (!r || !r->contested || r->lost ||
	    units_now() - r->contested > r->ttl * UNITS_SECOND)
		return NULL;
	return arena_printf(
		a,
		"two controllers register this id in turn, one of them at \"%s\"",
		r->rival);
}

/* The registry: entries and values, read from the store and written to it. */

#include "daemon/core/registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/access.h"
#include "oim/state/v1/state.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"

#define PREFIX  "controllers/"
#define ADDRESS "/address"

/* Bytes of a path, so that it fits into a key with a slash behind it. */
#define MAX_PATH (STORE_MAX_KEY - sizeof(PREFIX))

struct registry {
	struct store *store;
};

struct registry *registry_new(struct store *store)
{
	struct registry *r = mem_zalloc(1, sizeof(*r));

	r->store = store;
	return r;
}

void registry_free(struct registry *r)
{
	free(r);
}

/* --- paths --- */

/* Appends one element; returns where the next one goes. */
static char *append(char *out, const char *start, const char *element,
		    size_t size)
{
	if (out > start)
		*out++ = '/';
	memcpy(out, element, size);
	return out + size;
}

/* The path without empty elements, in the arena. */
static char *clean_path(const char *path, struct arena *a, struct err *err)
{
	size_t size = strlen(path);
	char *start = arena_alloc(a, size + 1), *out = start;

	if (utf8_has_control(path, size)) {
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"the path contains a control character");
		return NULL;
	}
	for (const char *end; *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, '/');
		size = (size_t)(end - path);
		if ((size == 1 && *path == '.') ||
		    (size == 2 && memcmp(path, "..", 2) == 0)) {
			err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
				"\"%.*s\" is not allowed as an element of a path",
				(int)size, path);
			return NULL;
		}
		if (size)
			out = append(out, start, path, size);
	}
	*out = '\0';
	if ((size_t)(out - start) <= MAX_PATH)
		return start;
	err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		"a path of %zu bytes is too long, at most %zu are allowed",
		(size_t)(out - start), MAX_PATH);
	return NULL;
}

/* The id if the cleaned path is "<id>/address", else NULL; in the arena. */
static const char *id_of_path(const char *path, struct arena *a)
{
	const char *slash = strchr(path, '/');

	if (!slash || strcmp(slash, ADDRESS) != 0)
		return NULL;
	return arena_dup(a, path, (size_t)(slash - path));
}

/* --- reading --- */

int registry_find(struct registry *r, const char *id, struct arena *a,
		  const char **address, struct err *err)
{
	CLEANUP(err_clear) struct err ignored = ERR_INIT;
	Oim__State__V1__RegistryEntry *entry;
	struct store_kv kv;
	int rc;

	/* "a/b/address" is a value of "a". */
	if (id_check(id, "controller id", &ignored) == -1)
		return 0;
	rc = store_get(r->store, arena_printf(a, PREFIX "%s" ADDRESS, id), a,
		       &kv, err);
	if (rc != 1)
		return rc;
	entry = arena_unpack(a, &oim__state__v1__registry_entry__descriptor,
			     kv.value, kv.size);
	if (!entry)
		return err_set(err, GRPC_STATUS_DATA_LOSS,
			       "the registry's entry of \"%s\" is damaged", id);
	*address = entry->address;
	return 1;
}

/* Things of one size that are found one by one. */
struct collection {
	struct arena *arena;
	size_t n, max;
	struct registry_entry *entries;
};

static bool add_entry(void *arg, const struct store_kv *kv)
{
	struct collection *c = arg;
	const char *path = kv->key + sizeof(PREFIX) - 1;
	const char *slash = strchr(path, '/');
	struct registry_entry *e;

	if (!slash || strcmp(slash, ADDRESS) != 0)
		return true;
	if (c->n == c->max) {
		c->max = c->max ? 2 * c->max : 16;
		c->entries = mem_realloc(c->entries, c->max, sizeof(*e));
	}
	e = &c->entries[c->n++];
	e->id = arena_dup(c->arena, path, (size_t)(slash - path));
	e->record = arena_dup(c->arena, kv->value, kv->size);
	e->size = kv->size;
	return true;
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct registry_entry *)a)->id,
		      ((const struct registry_entry *)b)->id);
}

int registry_entries(struct registry *r, struct arena *a,
		     struct registry_entry **entries, size_t *n,
		     struct err *err)
{
	struct collection c = {.arena = a};
	CLEANUP(cleanup_free) struct registry_entry *found = NULL;
	int rc = store_each(r->store, PREFIX, add_entry, &c, err);

	found = c.entries;
	if (rc == -1)
		return -1;
	/* Keys are nearly in order: "a-b/address" comes before "a/address". */
	for (size_t i = 1; i < c.n; i++)
		if (strcmp(found[i - 1].id, found[i].id) > 0) {
			qsort(found, c.n, sizeof(*found), compare_entries);
			break;
		}
	*entries = arena_dup(a, found, c.n * sizeof(*found));
	*n = c.n;
	return 0;
}

/* The text that is stored at a path; NULL if it does not decode. */
static const char *value_of(const struct store_kv *kv, const char *path,
			    struct arena *a)
{
	Oim__State__V1__RegistryEntry *entry;
	Oim__State__V1__RegistryValue *value;

	if (id_of_path(path, a)) {
		entry = arena_unpack(
			a, &oim__state__v1__registry_entry__descriptor,
			kv->value, kv->size);
		return entry ? entry->address : NULL;
	}
	value = arena_unpack(a, &oim__state__v1__registry_value__descriptor,
			     kv->value, kv->size);
	return value ? value->value : NULL;
}

static int compare_values(const void *a, const void *b)
{
	return strcmp(((const struct registry_value *)a)->path,
		      ((const struct registry_value *)b)->path);
}

int registry_values(struct registry *r, const char *path, struct arena *a,
		    struct registry_value **values, size_t *n, struct err *err)
{
	const char *clean = clean_path(path, a, err);
	struct store_list below = {0};
	struct store_kv at;
	int rc = 0;

	if (!clean)
		return -1;
	if (*clean)
		rc = store_get(r->store, arena_printf(a, PREFIX "%s", clean), a,
			       &at, err);
	if (rc == -1 || store_range(r->store,
				    arena_printf(a, PREFIX "%s%s", clean,
						 *clean ? "/" : ""),
				    NULL, 0, a, &below, err) == -1)
		return -1;
	*values = arena_alloc(a, (below.n + 1) * sizeof(**values));
	*n = 0;
	for (size_t i = 0; i < below.n + (rc == 1); i++) {
		const struct store_kv *kv = i < below.n ? &below.kvs[i] : &at;
		struct registry_value *v = &(*values)[(*n)++];

		v->path = kv->key + sizeof(PREFIX) - 1;
		v->value = value_of(kv, v->path, a);
		if (!v->value)
			return err_set(err, GRPC_STATUS_DATA_LOSS,
				       "the registry's value \"%s\" is damaged",
				       v->path);
	}
	qsort(*values, *n, sizeof(**values), compare_values);
	return 0;
}

/* --- changing --- */

static void finish(struct registry_change *change)
{
	audit(change->op->caller, change->action, NULL, change->object,
	      &change->err);
	change->done(change);
}

static void on_stored(struct store_txn *txn)
{
	struct registry_change *change = txn->arg;

	err_move(&change->err, &txn->err);
	finish(change);
}

/* What the store is to hold at the path; nothing for an empty value. */
static void encode(struct registry_change *change, const char *id)
{
	Oim__State__V1__RegistryEntry entry =
		OIM__STATE__V1__REGISTRY_ENTRY__INIT;
	Oim__State__V1__RegistryValue value =
		OIM__STATE__V1__REGISTRY_VALUE__INIT;
	ProtobufCMessage *message = id ? &entry.base : &value.base;
	uint8_t *bytes;

	if (!*change->value)
		return;
	entry.controller_id = (char *)id;
	entry.address = (char *)change->value;
	value.value = (char *)change->value;
	bytes = arena_alloc(change->arena,
			    protobuf_c_message_get_packed_size(message));
	change->store_op.size = protobuf_c_message_pack(message, bytes);
	change->store_op.value = bytes;
}

/* Whether the store holds that already; an error is set in the change. */
static bool is_stored(struct registry *r, struct registry_change *change)
{
	const struct store_op *op = &change->store_op;
	struct store_kv kv;
	int rc = store_get(r->store, op->key, change->arena, &kv, &change->err);

	if (rc == 0)
		return !op->value;
	return rc == 1 && op->value && kv.size == op->size &&
	       memcmp(kv.value, op->value, op->size) == 0;
}

/* From a cleaned path on; id is set if it is that of an entry's address. */
static void change_value(struct registry *r, struct registry_change *change,
			 const char *path, const char *id)
{
	const char *owner =
		id ? id : arena_dup(change->arena, path, strcspn(path, "/"));
	int rc = id && *change->value
			 ? access_register(change->op->caller, id,
					   change->value, &change->err)
			 : access_set(change->op->caller, owner, &change->err);

	change->object = id ? id : path;
	if (id)
		change->action = *change->value ? "register controller"
						: "unregister controller";
	else
		change->action = *change->value ? "set value" : "unset value";
	if (rc == -1) {
		finish(change);
		return;
	}
	change->store_op = (struct store_op){
		.key = arena_printf(change->arena, PREFIX "%s", path)};
	encode(change, id);
	if (is_stored(r, change) || change->err.code) {
		change->done(change);
		return;
	}
	change->txn = (struct store_txn){.ops = &change->store_op,
					 .n_ops = 1,
					 .done = on_stored,
					 .arg = change};
	store_submit(r->store, &change->txn);
}

void registry_set(struct registry *r, struct registry_change *change)
{
	const char *path =
		clean_path(change->path, change->arena, &change->err);
	const char *id;

	if (path && !*path)
		err_set(&change->err, GRPC_STATUS_INVALID_ARGUMENT,
			"empty path");
	if (change->err.code) {
		change->done(change);
		return;
	}
	id = id_of_path(path, change->arena);
	if (id && id_check(id, "controller id", &change->err) == -1) {
		change->done(change);
		return;
	}
	change_value(r, change, path, id);
}

void registry_register(struct registry *r, struct registry_change *change)
{
	const char *id = change->path;

	if (id_check(id, "controller id", &change->err) == -1) {
		change->done(change);
		return;
	}
	change_value(r, change, arena_printf(change->arena, "%s" ADDRESS, id),
		     id);
}

/* Somebody waits for a change. */
struct waiter {
	pthread_mutex_t mu;
	pthread_cond_t changed;
	bool is_done;
};

static void wake(struct registry_change *change)
{
	struct waiter *w = change->arg;

	pthread_mutex_lock(&w->mu);
	w->is_done = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->mu);
}

int registry_register_now(struct registry *r, const struct op *op,
			  const char *id, const char *address, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct waiter w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
			   false};
	struct registry_change change = {.op = op,
					 .path = id,
					 .value = address,
					 .done = wake,
					 .arg = &w,
					 .arena = a};

	registry_register(r, &change);
	pthread_mutex_lock(&w.mu);
	while (!w.is_done)
		pthread_cond_wait(&w.changed, &w.mu);
	pthread_mutex_unlock(&w.mu);
	if (!change.err.code)
		return 0;
	err_move(err, &change.err);
	return -1;
}

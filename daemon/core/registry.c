/* The registry: who may change what. How entries are written is in
 * registry_entry.c, how all of it is read in registry_read.c. */

#include "daemon/core/registry.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/access.h"
#include "daemon/core/liveness.h"
#include "daemon/core/registry_keys.h"
#include "oim/state/v1/state.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"

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

void registry_set_probe(struct registry *r, struct probe *probe)
{
	r->probe = probe;
}

bool registry_is_embedded(const struct registry *r)
{
	return store_is_embedded(r->store);
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

char *registry_clean_path(const char *path, struct arena *a, struct err *err)
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
	if ((size_t)(out - start) <= REGISTRY_MAX_PATH)
		return start;
	err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		"a path of %zu bytes is too long, at most %zu are allowed",
		(size_t)(out - start), REGISTRY_MAX_PATH);
	return NULL;
}

const char *registry_id_of_path(const char *path, struct arena *a)
{
	const char *slash = strchr(path, '/');

	if (!slash || strcmp(slash, REGISTRY_ADDRESS) != 0)
		return NULL;
	return arena_dup(a, path, (size_t)(slash - path));
}

/* --- changing --- */

void registry_finish(struct registry_change *change)
{
	audit(change->op->caller, change->action, NULL, change->object,
	      &change->err);
	change->done(change);
}

static void on_stored(struct store_txn *txn)
{
	struct registry_change *change = txn->arg;

	err_move(&change->err, &txn->err);
	registry_finish(change);
}

/* What the store is to hold at the path; nothing for an empty value. */
static void encode(struct registry_change *change)
{
	Oim__State__V1__RegistryValue value =
		OIM__STATE__V1__REGISTRY_VALUE__INIT;
	uint8_t *bytes;

	if (!*change->value)
		return;
	value.value = (char *)change->value;
	bytes = arena_alloc(
		change->arena,
		oim__state__v1__registry_value__get_packed_size(&value));
	change->ops->size = oim__state__v1__registry_value__pack(&value, bytes);
	change->ops->value = bytes;
}

/* Whether the store holds that already; an error is set in the change. */
static bool is_stored(struct registry *r, struct registry_change *change)
{
	const struct store_op *op = change->ops;
	struct store_kv kv;
	int rc = store_get(r->store, op->key, change->arena, &kv, &change->err);

	if (rc == 0)
		return !op->value;
	return rc == 1 && op->value && kv.size == op->size &&
	       memcmp(kv.value, op->value, op->size) == 0;
}

/* At a cleaned path that is not an entry's. */
static void change_value(struct registry *r, struct registry_change *change,
			 const char *path)
{
	const char *owner = arena_dup(change->arena, path, strcspn(path, "/"));

	change->object = path;
	change->action = *change->value ? "set value" : "unset value";
	if (access_set(change->op->caller, owner, &change->err) == -1) {
		registry_finish(change);
		return;
	}
	*change->ops = (struct store_op){
		.key = arena_printf(change->arena, REGISTRY_PREFIX "%s", path)};
	encode(change);
	if (probe_check(r->probe, &change->err) == -1 || is_stored(r, change) ||
	    change->err.code) {
		change->done(change);
		return;
	}
	change->txn = (struct store_txn){.ops = change->ops,
					 .n_ops = 1,
					 .done = on_stored,
					 .arg = change};
	store_submit(r->store, &change->txn);
}

static int check_entry(struct registry_change *change, const char *id)
{
	if (id_check(id, "controller id", &change->err) == -1)
		return -1;
	change->seconds = 0;
	if (!*change->value || !change->ttl)
		return 0;
	if (!change->instance)
		change->instance = "";
	return liveness_parse_ttl(change->ttl, &change->seconds,
				  &change->err) == -1
		       ? -1
		       : liveness_check_instance(change->instance,
						 &change->err);
}

static void change_entry(struct registry *r, struct registry_change *change,
			 const char *id)
{
	const struct caller *caller = change->op->caller;
	int rc;

	if (check_entry(change, id) == -1) {
		change->done(change);
		return;
	}
	change->object = id;
	if (*change->value) {
		change->action = "register controller";
		rc = access_register(caller, id, change->value, &change->err);
	} else {
		change->action = "unregister controller";
		rc = access_set(caller, id, &change->err);
	}
	if (rc == -1)
		registry_finish(change);
	else if (probe_check(r->probe, &change->err) == -1)
		change->done(change);
	else
		registry_put_entry(r, change);
}

void registry_set(struct registry *r, struct registry_change *change)
{
	const char *path =
		registry_clean_path(change->path, change->arena, &change->err);
	const char *id;

	if (path && !*path)
		err_set(&change->err, GRPC_STATUS_INVALID_ARGUMENT,
			"empty path");
	if (change->err.code) {
		change->done(change);
		return;
	}
	id = registry_id_of_path(path, change->arena);
	if (id)
		change_entry(r, change, id);
	else
		change_value(r, change, path);
}

void registry_register(struct registry *r, struct registry_change *change)
{
	change_entry(r, change, change->path);
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

int registry_wait(struct registry *r,
		  void (*fn)(struct registry *r,
			     struct registry_change *change),
		  struct registry_change *change, struct err *err)
{
	struct waiter w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
			   false};

	change->work = NULL;
	change->done = wake;
	change->arg = &w;
	fn(r, change);
	pthread_mutex_lock(&w.mu);
	while (!w.is_done)
		pthread_cond_wait(&w.changed, &w.mu);
	pthread_mutex_unlock(&w.mu);
	if (!change->err.code)
		return 0;
	err_move(err, &change->err);
	return -1;
}

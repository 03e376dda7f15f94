/* The registry: entries and values as they are read from the store. */

#include "daemon/core/registry.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/core/registry_keys.h"
#include "oim/state/v1/state.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"

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
	if (probe_check(r->probe, err) == -1)
		return -1;
	rc = store_get(
		r->store,
		arena_printf(a, REGISTRY_PREFIX "%s" REGISTRY_ADDRESS, id), a,
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
	const char *path = kv->key + sizeof(REGISTRY_PREFIX) - 1;
	const char *slash = strchr(path, '/');
	struct registry_entry *e;

	if (!slash || strcmp(slash, REGISTRY_ADDRESS) != 0)
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
	int rc = probe_check(r->probe, err);

	if (rc == 0)
		rc = store_each(r->store, REGISTRY_PREFIX, add_entry, &c, err);
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

	if (registry_id_of_path(path, a)) {
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
	const char *clean = registry_clean_path(path, a, err);
	struct store_list below = {0};
	struct store_kv at;
	int rc = 0;

	if (!clean || probe_check(r->probe, err) == -1)
		return -1;
	if (*clean)
		rc = store_get(r->store,
			       arena_printf(a, REGISTRY_PREFIX "%s", clean), a,
			       &at, err);
	if (rc == -1 || store_range(r->store,
				    arena_printf(a, REGISTRY_PREFIX "%s%s",
						 clean, *clean ? "/" : ""),
				    NULL, 0, a, &below, err) == -1)
		return -1;
	*values = arena_alloc(a, (below.n + 1) * sizeof(**values));
	*n = 0;
	for (size_t i = 0; i < below.n + (rc == 1); i++) {
		const struct store_kv *kv = i < below.n ? &below.kvs[i] : &at;
		struct registry_value *v = &(*values)[(*n)++];

		v->path = kv->key + sizeof(REGISTRY_PREFIX) - 1;
		v->value = value_of(kv, v->path, a);
		if (!v->value)
			return err_set(err, GRPC_STATUS_DATA_LOSS,
				       "the registry's value \"%s\" is damaged",
				       v->path);
	}
	qsort(*values, *n, sizeof(**values), compare_values);
	return 0;
}

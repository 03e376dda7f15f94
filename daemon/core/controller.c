/* Controllers: their planes, and the records of what they made. */

#include "daemon/core/controller.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/bdev.h"
#include "daemon/core/mapping.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"

static int set_limit(struct controller *c, uint64_t configured, struct err *err)
{
	uint64_t capacity;

	c->malloc_limit = configured;
	if (configured)
		return 0;
	if (plane_capacity(c->plane, &capacity, err) == -1)
		return -1;
	c->malloc_limit = capacity / 2;
	return 0;
}

struct controller *controller_open(const struct controller_config *config,
				   struct store *store, struct err *err)
{
	struct plane_config plane = {config->id, config->memory_dir};
	struct controller *c;

	if (id_check(config->id, "controller id", err) == -1)
		return NULL;
	c = mem_zalloc(1, sizeof(*c));
	c->id = mem_strdup(config->id);
	c->store = store;
	c->locks = locks_new();
	c->plane = plane_open(config->plane, &plane, err);
	if (!c->plane || set_limit(c, config->malloc_limit, err) == -1 ||
	    mapping_recover(c, err) == -1 || bdev_recover(c, err) == -1) {
		err_wrap(err, "controller \"%s\"", config->id);
		controller_close(c);
		return NULL;
	}
	return c;
}

void controller_close(struct controller *c)
{
	if (c->plane)
		plane_close(c->plane);
	locks_free(c->locks);
	free(c->id);
	free(c);
}

const char *controller_plane_name(const struct controller *c)
{
	return c->plane->ops->name;
}

int controller_check(const struct controller *c, struct err *err)
{
	return plane_check(c->plane, err);
}

char *controller_key(const struct controller *c, const char *kind,
		     const char *name, struct arena *a)
{
	char controller[ID_FILE_NAME_SIZE], object[ID_FILE_NAME_SIZE];

	return arena_printf(a, "%s/%s/%s", kind,
			    id_file_name(c->id, controller),
			    *name ? id_file_name(name, object) : "");
}

static void *unpack(const struct store_kv *kv,
		    const ProtobufCMessageDescriptor *type, struct arena *a,
		    struct err *err)
{
	void *record = arena_unpack(a, type, kv->value, kv->size);

	if (!record)
		err_set(err, GRPC_STATUS_DATA_LOSS,
			"the record \"%s\" is damaged", kv->key);
	return record;
}

int controller_get(const struct controller *c, const char *key,
		   const ProtobufCMessageDescriptor *type, struct arena *a,
		   void *record, struct err *err)
{
	struct store_kv kv;
	int rc = store_get(c->store, key, a, &kv, err);

	if (rc != 1)
		return rc;
	*(void **)record = unpack(&kv, type, a, err);
	return *(void **)record ? 1 : -1;
}

int controller_list(const struct controller *c, const char *kind,
		    const ProtobufCMessageDescriptor *type, struct arena *a,
		    void *records, size_t *n, struct err *err)
{
	struct store_list list;
	void **all;

	if (store_range(c->store, controller_key(c, kind, "", a), NULL, 0, a,
			&list, err) == -1)
		return -1;
	all = arena_alloc(a, (list.n + 1) * sizeof(*all));
	for (size_t i = 0; i < list.n; i++) {
		all[i] = unpack(&list.kvs[i], type, a, err);
		if (!all[i])
			return -1;
	}
	*(void ***)records = all;
	*n = list.n;
	return 0;
}

struct controller *controllers_find(const struct controllers *cs,
				    const char *id)
{
	for (size_t i = 0; i < cs->n; i++)
		if (strcmp(cs->items[i]->id, id) == 0)
			return cs->items[i];
	return NULL;
}

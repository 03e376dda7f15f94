/* Controllers: their planes, and the records of what they made. */

#include "daemon/core/controller.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/bdev.h"
#include "daemon/core/mapping.h"
#include "daemon/log.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"

#define LOG_COMPONENT "controller"

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
	c->events = config->events;
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

void controller_watch(struct controller *c)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	bool has_failed = controller_check(c, &err) == -1;

	if (has_failed == c->has_failed)
		return;
	c->has_failed = has_failed;
	if (has_failed) {
		log_error("controller \"%s\": its plane does not answer: %s",
			  c->id, err.msg);
		events_publish(
			c->events, "plane.failed", c->id, NULL,
			"plane %s of controller \"%s\" does not answer: %s",
			controller_plane_name(c), c->id, err.msg);
	} else {
		log_info("controller \"%s\": its plane answers again", c->id);
		events_publish(c->events, "plane.works", c->id, NULL,
			       "plane %s of controller \"%s\" answers again",
			       controller_plane_name(c), c->id);
	}
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

/* --- records of others --- */

/* The records of one kind, by controller. */
struct others {
	const struct controllers *controllers;
	const char *kind;
	char *id; /* whose records come just now, if it is not one of ours */
	size_t n; /* its records */
};

static bool is_configured(const struct controllers *cs, const char *file_name)
{
	char name[ID_FILE_NAME_SIZE];

	for (size_t i = 0; i < cs->n; i++)
		if (strcmp(id_file_name(cs->items[i]->id, name), file_name) ==
		    0)
			return true;
	return false;
}

static void tell(struct others *o)
{
	if (o->id)
		log_warn(
			"controller \"%s\" is not configured: what it has is left alone (%zu %s)",
			o->id, o->n, o->kind);
	free(STEAL(o->id));
	o->n = 0;
}

static bool count(void *arg, const struct store_kv *kv)
{
	struct others *o = arg;
	const char *start = kv->key + strlen(o->kind) + 1;
	size_t size = strcspn(start, "/");
	CLEANUP(cleanup_free) char *id = mem_printf("%.*s", (int)size, start);

	if (!o->id || strcmp(o->id, id) != 0)
		tell(o);
	if (!o->id && !is_configured(o->controllers, id))
		o->id = STEAL(id);
	o->n++;
	return true;
}

void controllers_note_others(const struct controllers *cs, struct store *store)
{
	static const char *const kinds[] = {BDEV_KIND, MAPPING_KIND};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		struct others o = {.controllers = cs, .kind = kinds[i]};
		CLEANUP(cleanup_free)
		char *prefix = mem_printf("%s/", kinds[i]);

		if (store_each(store, prefix, count, &o, &err) == -1)
			log_warn("cannot look for %s of others: %s", kinds[i],
				 err.msg);
		tell(&o);
	}
}

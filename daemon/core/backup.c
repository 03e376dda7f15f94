/* The cluster's state as a document, and back. */

#include "daemon/core/backup.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "daemon/core/liveness.h"
#include "daemon/core/registry_keys.h"
#include "oim/state/v1/state.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/json.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"

#define API  "oim/v1"
#define KIND "State"

/* All that is exported. */
static const char *const prefixes[] = {REGISTRY_PREFIX, LIVENESS_RECORD};
#define PREFIXES (sizeof(prefixes) / sizeof(*prefixes))

/* The controller's id if the key is that of an entry, in the arena. */
static const char *entry_id(const char *key, struct arena *a)
{
	size_t size = strlen(REGISTRY_PREFIX);

	return strncmp(key, REGISTRY_PREFIX, size) == 0
		       ? registry_id_of_path(key + size, a)
		       : NULL;
}

/* What is stored at a key; NULL: nothing that is exported. */
static const ProtobufCMessageDescriptor *type_of(const char *key,
						 struct arena *a)
{
	if (strncmp(key, LIVENESS_RECORD, strlen(LIVENESS_RECORD)) == 0)
		return &oim__state__v1__liveness__descriptor;
	if (strncmp(key, REGISTRY_PREFIX, strlen(REGISTRY_PREFIX)) != 0)
		return NULL;
	return entry_id(key, a) ? &oim__state__v1__registry_entry__descriptor
				: &oim__state__v1__registry_value__descriptor;
}

/* --- export --- */

static void add_string(struct json_object *o, const char *name,
		       const char *value)
{
	json_object_object_add(o, name, json_object_new_string(value));
}

static int add_item(struct json_object *items, const struct store_kv *kv,
		    struct arena *a, struct err *err)
{
	const ProtobufCMessageDescriptor *type = type_of(kv->key, a);
	struct json_object *item;
	const ProtobufCMessage *message =
		arena_unpack(a, type, kv->value, kv->size);

	if (!message)
		return err_set(err, GRPC_STATUS_DATA_LOSS,
			       "the record \"%s\" is damaged", kv->key);
	item = json_object_new_object();
	add_string(item, "key", kv->key);
	add_string(item, "type", type->name);
	json_object_object_add(item, "value", json_from_message(message, 0));
	json_object_array_add(items, item);
	return 0;
}

static int add_items(struct store *s, const char *prefix,
		     struct json_object *items, int64_t *revision,
		     struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store_list list;

	if (store_range(s, prefix, NULL, 0, a, &list, err) == -1)
		return -1;
	*revision = list.revision;
	for (size_t i = 0; i < list.n; i++)
		if (add_item(items, &list.kvs[i], a, err) == -1)
			return -1;
	return 0;
}

char *backup_export(struct store *cluster, struct err *err)
{
	CLEANUP(cleanup_json)
	struct json_object *document = json_object_new_object();
	CLEANUP(cleanup_json)
	struct json_object *items = json_object_new_array();
	int64_t revision = 0;
	char number[24];

	/* The revision is that of the entries, which come last. */
	for (size_t i = PREFIXES; i-- > 0;)
		if (add_items(cluster, prefixes[i], items, &revision, err) ==
		    -1)
			return NULL;
	snprintf(number, sizeof(number), "%" PRId64, revision);
	add_string(document, "apiVersion", API);
	add_string(document, "kind", KIND);
	add_string(document, "storeId", store_id(cluster));
	add_string(document, "revision", number);
	json_object_object_add(document, "items", STEAL(items));
	return json_text(document, true);
}

/* --- import: the document --- */

/* A record as it is to be stored. */
struct item {
	const char *key;
	const void *value;
	size_t size;
	bool is_there;        /* the store has the same */
	int64_t mod_revision; /* of what is there now; 0: nothing */
};

struct items {
	struct item *all; /* by key */
	size_t n;
};

static int bad(struct err *err, size_t i, const char *what)
{
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "items[%zu]: %s", i,
		       what);
}

static const char *string_of(struct json_object *o, const char *name)
{
	struct json_object *value;
	const char *text;

	if (!json_object_object_get_ex(o, name, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	text = json_object_get_string(value);
	/* Not one with a NUL in it. */
	return strlen(text) == (size_t)json_object_get_string_len(value) ? text
									 : NULL;
}

/* Whether it is a path as the registry makes them. */
static bool is_clean(const char *key)
{
	size_t size = strlen(key);

	return size <= STORE_MAX_KEY && !utf8_has_control(key, size) &&
	       !strstr(key, "//") && key[size - 1] != '/';
}

static int check_entry(const char *key, const ProtobufCMessage *message,
		       struct arena *a, struct err *err)
{
	const Oim__State__V1__RegistryEntry *e =
		(const Oim__State__V1__RegistryEntry *)message;
	const char *id = entry_id(key, a);

	if (!id)
		return 0;
	if (id_check(id, "controller id", err) == -1)
		return -1;
	return strcmp(id, e->controller_id) == 0 && *e->address
		       ? 0
		       : err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
				 "the value is not the entry of \"%s\"", id);
}

static int encode(struct item *item, const ProtobufCMessageDescriptor *type,
		  struct json_object *value, struct arena *a, struct err *err)
{
	ProtobufCMessage *message = json_to_message(type, value, a, err);
	uint8_t *bytes;

	if (!message || check_entry(item->key, message, a, err) == -1)
		return -1;
	item->size = protobuf_c_message_get_packed_size(message);
	bytes = arena_alloc(a, item->size + 1);
	protobuf_c_message_pack(message, bytes);
	item->value = bytes;
	return 0;
}

static int take_item(struct item *item, size_t i, struct json_object *o,
		     struct arena *a, struct err *err)
{
	const char *key = string_of(o, "key"), *name = string_of(o, "type");
	const ProtobufCMessageDescriptor *type;
	struct json_object *value;

	if (!key || !name || !json_object_object_get_ex(o, "value", &value))
		return bad(err, i, "key, type or value is missing");
	type = type_of(key, a);
	if (!type || !is_clean(key))
		return bad(err, i, "the key is not one of the cluster's state");
	if (strcmp(name, type->name) != 0)
		return bad(err, i, "the type is not that of the key");
	*item = (struct item){.key = arena_strdup(a, key)};
	return encode(item, type, value, a, err) == -1
		       ? err_wrap(err, "items[%zu]", i)
		       : 0;
}

static int compare_items(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->key,
		      ((const struct item *)b)->key);
}

static int take_items(struct items *items, struct json_object *array,
		      struct arena *a, struct err *err)
{
	items->n = json_object_array_length(array);
	items->all = arena_zalloc(a, items->n + 1, sizeof(*items->all));
	for (size_t i = 0; i < items->n; i++)
		if (take_item(&items->all[i], i,
			      json_object_array_get_idx(array, i), a,
			      err) == -1)
			return -1;
	qsort(items->all, items->n, sizeof(*items->all), compare_items);
	for (size_t i = 1; i < items->n; i++)
		if (compare_items(&items->all[i - 1], &items->all[i]) == 0)
			return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
				       "\"%s\" is there twice",
				       items->all[i].key);
	return 0;
}

static int parse(struct items *items, const char *text, size_t size,
		 struct arena *a, struct err *err)
{
	CLEANUP(cleanup_json)
	struct json_object *document = json_parse(text, size, err);
	const char *api, *kind;
	struct json_object *array;

	if (err->code)
		return -1;
	api = string_of(document, "apiVersion");
	kind = string_of(document, "kind");
	if (!api || strcmp(api, API) != 0 || !kind || strcmp(kind, KIND) != 0 ||
	    !json_object_object_get_ex(document, "items", &array) ||
	    !json_object_is_type(array, json_type_array))
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "it is no document of kind " KIND " of " API);
	return take_items(items, array, a, err);
}

/* --- import: the plan --- */

/* What is to be written, at most as much as one transaction takes. */
struct plan {
	struct store *store;
	struct store_compare compares[STORE_MAX_OPS];
	struct store_op ops[STORE_MAX_OPS];
	size_t n, bytes;
};

static int flush(struct plan *p, struct err *err)
{
	struct store_txn txn = {
		.compares = p->compares,
		.n_compares = p->n,
		.ops = p->ops,
		.n_ops = p->n,
	};
	enum store_result result;

	if (!p->n)
		return 0;
	result = store_commit(p->store, &txn, err);
	p->n = p->bytes = 0;
	if (result == STORE_REFUSED) {
		err_set(err, GRPC_STATUS_ABORTED,
			"somebody else changes the store");
		return err_hint(err, "repeat the import, it does the rest");
	}
	return result == STORE_DONE ? 0 : -1;
}

/* A value of NULL: to be deleted. */
static int add(struct plan *p, const char *key, const void *value, size_t size,
	       int64_t mod_revision, struct err *err)
{
	if ((p->n == STORE_MAX_OPS || p->bytes + size > STORE_MAX_VALUE) &&
	    flush(p, err) == -1)
		return -1;
	p->compares[p->n] = (struct store_compare){key, mod_revision};
	p->ops[p->n] =
		(struct store_op){.key = key, .value = value, .size = size};
	p->n++;
	p->bytes += size;
	return 0;
}

static struct item *find(const struct items *items, const char *key)
{
	const struct item wanted = {.key = key};

	return bsearch(&wanted, items->all, items->n, sizeof(wanted),
		       compare_items);
}

static int refuse(const struct store_kv *kv, struct err *err)
{
	err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
		"the store is not empty: it has another \"%s\"", kv->key);
	return err_hint(err, "with --force what it has is replaced");
}

/* Compares what is there with what shall be; others go, if forced. */
static int compare(struct plan *p, struct items *items,
		   const struct store_list *there, bool force,
		   struct backup_result *result, struct err *err)
{
	for (size_t i = 0; i < there->n; i++) {
		const struct store_kv *kv = &there->kvs[i];
		struct item *item = find(items, kv->key);

		if (item)
			item->mod_revision = kv->mod_revision;
		if (item && item->size == kv->size &&
		    memcmp(item->value, kv->value, kv->size) == 0) {
			item->is_there = true;
			result->same++;
			continue;
		}
		if (!force)
			return refuse(kv, err);
		if (item)
			continue;
		result->removed++;
		if (add(p, kv->key, NULL, 0, kv->mod_revision, err) == -1)
			return -1;
	}
	return 0;
}

static int write_items(struct plan *p, const struct items *items,
		       struct backup_result *result, struct err *err)
{
	for (size_t i = 0; i < items->n; i++) {
		const struct item *item = &items->all[i];

		if (item->is_there)
			continue;
		result->written++;
		if (add(p, item->key, item->value, item->size,
			item->mod_revision, err) == -1)
			return -1;
	}
	return flush(p, err);
}

int backup_import(struct store *cluster, const char *text, size_t size,
		  bool force, struct backup_result *result, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct plan *p = arena_zalloc(a, 1, sizeof(*p));
	struct store_list there[PREFIXES];
	struct items items = {0};

	*result = (struct backup_result){0};
	p->store = cluster;
	if (parse(&items, text, size, a, err) == -1)
		return -1;
	/* All is looked at before anything is written. */
	for (size_t i = 0; i < PREFIXES; i++)
		if (store_range(cluster, prefixes[i], NULL, 0, a, &there[i],
				err) == -1)
			return -1;
	for (size_t i = 0; i < PREFIXES; i++)
		if (compare(p, &items, &there[i], force, result, err) == -1)
			return -1;
	return write_items(p, &items, result, err);
}

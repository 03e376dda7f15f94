/* The registry in all its revisions. */

#include "cli/dialect.h"

#include <string.h>

#include "cli/ask.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "oim/v0/oim.pb-c.h"

#define ADDRESS "/address"

/* Whether the server lacks that call and there may be another way. */
static bool is_unknown(const struct task *t, const struct err *err)
{
	return t->settings.dialect == DIALECT_AUTO && t->answered &&
	       err->code == GRPC_STATUS_UNIMPLEMENTED;
}

/* The id if the path is "<id>/address", in the arena; else NULL. */
static const char *id_of(const struct task *t, const char *path)
{
	size_t size = strlen(path), tail = strlen(ADDRESS);

	if (size <= tail || strcmp(path + size - tail, ADDRESS) != 0 ||
	    memchr(path, '/', size - tail))
		return NULL;
	return arena_dup(t->arena, path, size - tail);
}

/* --- the calls --- */

static int list_admin(struct task *t, struct entry **entries, size_t *n,
		      struct err *err)
{
	const Oim__Admin__V1__ListControllersRequest request =
		OIM__ADMIN__V1__LIST_CONTROLLERS_REQUEST__INIT;
	const struct ask what = {
		.method = "/oim.admin.v1.Admin/ListControllers",
		.request = &request.base,
		.reply = &oim__admin__v1__list_controllers_reply__descriptor,
	};
	const Oim__Admin__V1__ListControllersReply *r = ask(t, &what, err);

	if (!r)
		return -1;
	*n = r->n_controllers;
	*entries = arena_zalloc(t->arena, *n, sizeof(**entries));
	for (size_t i = 0; i < *n; i++) {
		const Oim__Admin__V1__Controller *c = r->controllers[i];

		(*entries)[i] = (struct entry){
			.id = c->controller_id,
			.address = c->address,
			.here = c->here,
			.plane = c->plane,
			.state = c->state,
			.since = c->since,
			.ttl = c->ttl,
			.problem = c->problem,
		};
	}
	return 0;
}

/* What a server that knows no more says of a controller. */
static struct entry bare_entry(const char *id, const char *address)
{
	return (struct entry){.id = id,
			      .address = address,
			      .plane = "",
			      .state = "",
			      .problem = ""};
}

static int list_v0(struct task *t, struct entry **entries, size_t *n,
		   struct err *err)
{
	const Oim__V0__GetControllerRequest request =
		OIM__V0__GET_CONTROLLER_REQUEST__INIT;
	const struct ask what = {
		.method = "/oim.v0.Registry/GetControllers",
		.request = &request.base,
		.reply = &oim__v0__get_controller_reply__descriptor,
	};
	const Oim__V0__GetControllerReply *r = ask(t, &what, err);

	if (!r)
		return -1;
	*n = r->n_entries;
	*entries = arena_zalloc(t->arena, *n, sizeof(**entries));
	for (size_t i = 0; i < *n; i++)
		(*entries)[i] = bare_entry(r->entries[i]->controller_id,
					   r->entries[i]->address);
	return 0;
}

static int get_values(struct task *t, const char *path, struct value **values,
		      size_t *n, struct err *err)
{
	Oim__V0__GetValuesRequest request = OIM__V0__GET_VALUES_REQUEST__INIT;
	const struct ask what = {
		.method = "/oim.v0.Registry/GetValues",
		.request = &request.base,
		.reply = &oim__v0__get_values_reply__descriptor,
	};
	const Oim__V0__GetValuesReply *r;

	request.path = (char *)path;
	r = ask(t, &what, err);
	if (!r)
		return -1;
	*n = r->n_values;
	*values = arena_zalloc(t->arena, *n, sizeof(**values));
	for (size_t i = 0; i < *n; i++)
		(*values)[i] =
			(struct value){r->values[i]->path, r->values[i]->value};
	return 0;
}

static int set_value(struct task *t, const char *path, const char *value,
		     struct err *err)
{
	Oim__V0__SetValueRequest request = OIM__V0__SET_VALUE_REQUEST__INIT;
	Oim__V0__Value v = OIM__V0__VALUE__INIT;
	const struct ask what = {
		.method = "/oim.v0.Registry/SetValue",
		.request = &request.base,
		.reply = &oim__v0__set_value_reply__descriptor,
	};

	v.path = (char *)path;
	v.value = (char *)value;
	request.value = &v;
	return ask_patiently(t, &what, err) ? 0 : -1;
}

static int register_v0(struct task *t, const char *id, const char *address,
		       struct err *err)
{
	Oim__V0__RegisterControllerRequest request =
		OIM__V0__REGISTER_CONTROLLER_REQUEST__INIT;
	const struct ask what = {
		.method = "/oim.v0.Registry/RegisterController",
		.request = &request.base,
		.reply = &oim__v0__register_controller_reply__descriptor,
	};

	request.controller_id = (char *)id;
	request.address = (char *)address;
	return ask_patiently(t, &what, err) ? 0 : -1;
}

/* --- entries --- */

static int compare_ids(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->id,
		      ((const struct entry *)b)->id);
}

static int list_values(struct task *t, struct entry **entries, size_t *n,
		       struct err *err)
{
	struct value *values;
	size_t n_values;

	if (get_values(t, "", &values, &n_values, err) == -1)
		return -1;
	*n = 0;
	*entries = arena_zalloc(t->arena, n_values, sizeof(**entries));
	for (size_t i = 0; i < n_values; i++) {
		const char *id = id_of(t, values[i].path);

		if (id)
			(*entries)[(*n)++] = bare_entry(id, values[i].value);
	}
	return 0;
}

static int list(struct task *t, struct entry **entries, size_t *n,
		struct err *err)
{
	if (t->settings.dialect == DIALECT_V0)
		return list_v0(t, entries, n, err);
	if (t->settings.dialect == DIALECT_VALUES)
		return list_values(t, entries, n, err);
	if (list_admin(t, entries, n, err) == 0)
		return 0;
	if (!is_unknown(t, err))
		return -1;
	err_clear(err);
	if (list_v0(t, entries, n, err) == 0)
		return 0;
	if (!is_unknown(t, err))
		return -1;
	err_clear(err);
	return list_values(t, entries, n, err);
}

int dialect_entries(struct task *t, struct entry **entries, size_t *n,
		    struct err *err)
{
	if (list(t, entries, n, err) == -1)
		return -1;
	/* Older servers list them in any order. */
	qsort(*entries, *n, sizeof(**entries), compare_ids);
	return 0;
}

int dialect_register(struct task *t, const char *id, const char *address,
		     struct err *err)
{
	const char *path = arena_printf(t->arena, "%s" ADDRESS, id);

	if (t->settings.dialect == DIALECT_VALUES)
		return set_value(t, path, address, err);
	if (register_v0(t, id, address, err) == 0)
		return 0;
	if (!is_unknown(t, err))
		return -1;
	err_clear(err);
	return set_value(t, path, address, err);
}

/* --- values --- */

/* As the registry sees a path: without empty elements. */
static const char *clean_path(const struct task *t, const char *path)
{
	char *clean = arena_strdup(t->arena, path);
	char *out = clean;

	for (const char *c = path; *c; c++)
		if (*c != '/' || (out > clean && out[-1] != '/'))
			*out++ = *c;
	if (out > clean && out[-1] == '/')
		out--;
	*out = '\0';
	return clean;
}

/* Whether the second is the first, or below it. */
static bool is_within(const char *path, const char *what)
{
	size_t size = strlen(path);

	return !size || (strncmp(path, what, size) == 0 &&
			 (!what[size] || what[size] == '/'));
}

/* Entries as values: all that servers of the specification have. */
static int values_v0(struct task *t, const char *path, struct value **values,
		     size_t *n, struct err *err)
{
	const char *clean = clean_path(t, path);
	struct entry *entries;
	size_t n_entries;

	if (list_v0(t, &entries, &n_entries, err) == -1)
		return -1;
	qsort(entries, n_entries, sizeof(*entries), compare_ids);
	*n = 0;
	*values = arena_zalloc(t->arena, n_entries, sizeof(**values));
	for (size_t i = 0; i < n_entries; i++) {
		const char *p =
			arena_printf(t->arena, "%s" ADDRESS, entries[i].id);

		if (is_within(clean, p))
			(*values)[(*n)++] =
				(struct value){p, entries[i].address};
	}
	return 0;
}

int dialect_values(struct task *t, const char *path, struct value **values,
		   size_t *n, struct err *err)
{
	if (t->settings.dialect == DIALECT_V0)
		return values_v0(t, path, values, n, err);
	if (get_values(t, path, values, n, err) == 0)
		return 0;
	if (!is_unknown(t, err))
		return -1;
	err_clear(err);
	return values_v0(t, path, values, n, err);
}

static int set_v0(struct task *t, const char *path, const char *value,
		  struct err *err)
{
	const char *id = id_of(t, clean_path(t, path));

	if (id)
		return register_v0(t, id, value, err);
	err_set(err, GRPC_STATUS_UNIMPLEMENTED,
		"this registry keeps no values but <id>/address");
	return err_hint(err,
			"it speaks the first revision of the API (dialect v0)");
}

int dialect_set(struct task *t, const char *path, const char *value,
		struct err *err)
{
	if (t->settings.dialect == DIALECT_V0)
		return set_v0(t, path, value, err);
	if (set_value(t, path, value, err) == 0)
		return 0;
	if (!is_unknown(t, err))
		return -1;
	err_clear(err);
	return set_v0(t, path, value, err);
}

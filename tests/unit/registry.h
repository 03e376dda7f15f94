#ifndef OIM_TESTS_REGISTRY_H
#define OIM_TESTS_REGISTRY_H

/* A registry on a store, and calls to it. Includes all that a test file needs.
 */

#include "daemon/core/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "daemon/log.h"
#include "oim/v0/oim.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"
#include "tests/unit/core.h"
#include "tests/unit/log_capture.h"

struct fixture {
	char *dir;
	struct faulty_store store;
	struct registry *r;
	struct arena *arena;
	struct err err; /* of the last call */
};

static inline int setup(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));

	log_set_level(0);
	f->dir = core_make_dir();
	f->store.store.engine = &faulty_engine;
	f->store.disk = core_open_store(f->dir);
	f->r = registry_new(&f->store.store);
	f->arena = arena_new();
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	registry_free(f->r);
	store_close(f->store.disk);
	core_remove_dir(f->dir);
	arena_free(f->arena);
	err_clear(&f->err);
	free(f);
	return 0;
}

static inline int register_as(struct fixture *f, const struct caller *caller,
			      const char *id, const char *address)
{
	const struct op op = {.caller = caller, .deadline = INT64_MAX};

	err_clear(&f->err);
	registry_register_now(f->r, &op, id, address, &f->err);
	return f->err.code;
}

static inline int reg(struct fixture *f, const char *id, const char *address)
{
	return register_as(f, &audit_self, id, address);
}

/* By a controller that says who it is and for how long. */
static inline int reg_alive(struct fixture *f, struct registry *r,
			    const char *id, const char *address,
			    const char *ttl, const char *instance)
{
	struct registry_change change = {.op = &op_self,
					 .arena = f->arena,
					 .path = id,
					 .value = address,
					 .ttl = ttl,
					 .instance = instance};

	err_clear(&f->err);
	registry_wait(r, registry_register, &change, &f->err);
	return f->err.code;
}

static inline int set_as(struct fixture *f, const struct caller *caller,
			 const char *path, const char *value)
{
	const struct op op = {.caller = caller, .deadline = INT64_MAX};
	struct registry_change change = {
		.op = &op, .arena = f->arena, .path = path, .value = value};

	err_clear(&f->err);
	registry_wait(f->r, registry_set, &change, &f->err);
	return f->err.code;
}

static inline int set(struct fixture *f, const char *path, const char *value)
{
	return set_as(f, &audit_self, path, value);
}

/* The values at a path as "path=value,path=value", in the arena. */
static inline const char *values(struct fixture *f, const char *path)
{
	struct registry_value *all;
	const char *text = "";
	size_t n;

	err_clear(&f->err);
	if (registry_values(f->r, path, f->arena, &all, &n, &f->err) == -1)
		return NULL;
	for (size_t i = 0; i < n; i++)
		text = arena_printf(f->arena, "%s%s%s=%s", text, i ? "," : "",
				    all[i].path, all[i].value);
	return text;
}

/* All entries in the same way, from their records. */
static inline const char *entries(struct fixture *f)
{
	struct registry_entry *all;
	const char *text = "";
	size_t n;

	err_clear(&f->err);
	if (registry_entries(f->r, f->arena, &all, &n, &f->err) == -1)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		/* records are oim.v0.DBEntry on the wire */
		Oim__V0__DBEntry *e =
			arena_unpack(f->arena, &oim__v0__dbentry__descriptor,
				     all[i].record, all[i].size);

		assert_non_null(e);
		assert_string_equal(e->controller_id, all[i].id);
		text = arena_printf(f->arena, "%s%s%s=%s", text, i ? "," : "",
				    e->controller_id, e->address);
	}
	return text;
}

static inline const char *find(struct fixture *f, const char *id)
{
	const char *address = NULL;

	err_clear(&f->err);
	return registry_find(f->r, id, f->arena, &address, &f->err) == 1
		       ? address
		       : NULL;
}

static inline void says(struct fixture *f, const char *text)
{
	if (!strstr(f->err.msg, text))
		fail_msg("\"%s\" does not say \"%s\"", f->err.msg, text);
}

#define REGISTRY_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif

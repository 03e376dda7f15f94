#ifndef OIM_TESTS_CORE_H
#define OIM_TESTS_CORE_H

/*
 * What tests of core share: a controller on a real store and a pretended
 * plane, both of which fail when they are told to. Includes all that a test
 * file needs.
 */

#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "daemon/core/bdev.h"
#include "daemon/core/controller.h"
#include "daemon/core/events.h"
#include "daemon/core/mapping.h"
#include "daemon/core/op.h"
#include "daemon/core/registry.h"
#include "daemon/log.h"
#include "oim/state/v1/state.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"
#include "tests/unit/faulty_plane.h"
#include "tests/unit/faulty_store.h"

#define MIB (INT64_C(1) << 20)

struct core {
	char *dir;
	struct faulty_store store;
	struct faulty_plane plane;
	struct controller c;
	struct events *events;
	struct arena *arena;
	struct err err; /* of the last call */
};

/* --- store --- */

static inline int core_remove_entry(const char *path, const struct stat *st,
				    int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* A new directory, in memory if there is some; core_remove_dir() frees it. */
static inline char *core_make_dir(void)
{
	char *dir = mem_strdup("/dev/shm/oim-core-XXXXXX");

	if (mkdtemp(dir))
		return dir;
	free(dir);
	dir = mem_strdup("/tmp/oim-core-XXXXXX");
	assert_non_null(mkdtemp(dir));
	return dir;
}

static inline void core_remove_dir(char *dir)
{
	nftw(dir, core_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

static inline struct store *core_open_store(const char *dir)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_lmdb_open(dir, &err);

	if (!s)
		fail_msg("%s", err.msg);
	return s;
}

static inline int64_t core_revision(const struct core *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_status status;

	assert_int_equal(store_check(f->store.disk, &status, &err), 0);
	return status.revision;
}

/* How many records there are, of all kinds. */
static inline size_t core_records(struct core *f)
{
	struct store_list list;

	assert_int_equal(store_range(f->store.disk, "", NULL, 0, f->arena,
				     &list, &f->err),
			 0);
	return list.n;
}

/* --- controller --- */

static inline void core_make_controller(struct core *f)
{
	f->c = (struct controller){.id = (char *)"k1",
				   .plane = &f->plane.plane,
				   .store = &f->store.store,
				   .locks = locks_new(),
				   .events = f->events,
				   .malloc_limit = 64 * MIB};
}

static inline int core_open(void **state)
{
	struct plane_config config = {.controller = "k1"};
	struct core *f = mem_zalloc(1, sizeof(*f));

	log_set_level(0);
	f->dir = core_make_dir();
	f->store.store.engine = &faulty_engine;
	f->store.disk = core_open_store(f->dir);
	f->plane.plane.ops = &faulty_ops;
	f->plane.epoch = "boot-1";
	f->plane.capacity = 64 * MIB;
	f->plane.real = plane_open("null", &config, &f->err);
	sem_init(&f->plane.entered, 0, 0);
	sem_init(&f->plane.go, 0, 0);
	f->arena = arena_new();
	f->events = events_new();
	core_make_controller(f);
	*state = f;
	return 0;
}

static inline int core_close(void **state)
{
	struct core *f = *state;

	locks_free(f->c.locks);
	events_free(f->events);
	plane_close(f->plane.real);
	store_close(f->store.disk);
	core_remove_dir(f->dir);
	arena_free(f->arena);
	err_clear(&f->err);
	sem_destroy(&f->plane.entered);
	sem_destroy(&f->plane.go);
	free(f);
	return 0;
}

#define CORE_TEST(f) cmocka_unit_test_setup_teardown(f, core_open, core_close)

/* The daemon ends, at whatever it was, and the next one begins: what was in
 * memory is gone, what was stored and what the plane has is there. */
static inline void core_restart(struct core *f)
{
	faulty_mend(&f->store);
	faulty_obey(&f->plane);
	locks_free(f->c.locks);
	core_make_controller(f);
	err_clear(&f->err);
	if (mapping_recover(&f->c, &f->err) == -1 ||
	    bdev_recover(&f->c, &f->err) == -1)
		fail_msg("%s", f->err.msg);
}

/* --- calls; what they return is what came of it, as a code --- */

static inline int core_provision(struct core *f, const char *name, int64_t size)
{
	err_clear(&f->err);
	bdev_provision(&f->c, &op_self, name, size, &f->err);
	return f->err.code;
}

static inline int core_check(struct core *f, const char *name)
{
	err_clear(&f->err);
	bdev_check(&f->c, name, &f->err);
	return f->err.code;
}

static inline int core_map_as(struct core *f, const char *volume,
			      const Oim__V0__CephParams *ceph,
			      Oim__State__V1__Mapping **mapping)
{
	struct mapping_params params = {.ceph = ceph};

	err_clear(&f->err);
	mapping_map(&f->c, &op_self, volume, &params, f->arena, mapping,
		    &f->err);
	return f->err.code;
}

static inline int core_map(struct core *f, const char *volume)
{
	Oim__State__V1__Mapping *mapping;

	return core_map_as(f, volume, NULL, &mapping);
}

static inline int core_unmap(struct core *f, const char *volume)
{
	err_clear(&f->err);
	mapping_unmap(&f->c, &op_self, volume, &f->err);
	return f->err.code;
}

static inline void core_must(struct core *f, int code)
{
	if (code)
		fail_msg("%s: %s", err_code_name(code), f->err.msg);
}

/* The last call's error says all that. */
static inline void core_says(struct core *f, const char *text)
{
	assert_non_null(f->err.msg);
	if (!strstr(f->err.msg, text))
		fail_msg("\"%s\" does not say \"%s\"", f->err.msg, text);
}

/* --- what there is --- */

/* The record of a mapping in whatever state, NULL if there is none. */
static inline Oim__State__V1__Mapping *core_mapping(struct core *f,
						    const char *volume)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	Oim__State__V1__Mapping **all;
	size_t n;

	assert_int_equal(mapping_list(&f->c, f->arena, &all, &n, &err), 0);
	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i]->volume_id, volume) == 0)
			return all[i];
	return NULL;
}

/* The state of a bdev's record, 0 if there is none. */
static inline Oim__State__V1__BDev__State core_bdev_state(struct core *f,
							  const char *name)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	Oim__State__V1__BDev *b;
	int rc = controller_get(
		&f->c, controller_key(&f->c, "bdevs", name, f->arena),
		&oim__state__v1__bdev__descriptor, f->arena, &b, &err);

	assert_int_not_equal(rc, -1);
	return rc ? b->state : 0;
}

/* Whether the plane has a bdev of that name. */
static inline bool core_plane_has(struct core *f, const char *name)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	char file[ID_FILE_NAME_SIZE];
	struct plane_stat stat;

	return plane_stat(f->plane.real, id_file_name(name, file), &stat,
			  &err) == 1;
}

/* Whether the plane has that bdev attached by that token. */
static inline bool core_is_attached(struct core *f, const char *name,
				    const char *token)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	char file[ID_FILE_NAME_SIZE];
	enum plane_state state;

	assert_int_equal(plane_probe(f->plane.real, id_file_name(name, file),
				     token, &state, &err),
			 0);
	return state == PLANE_ATTACHED;
}

/* Something takes the disk of a mapping away, or its bdev as well. */
static inline void core_lose_disk(struct core *f, const char *volume)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	char file[ID_FILE_NAME_SIZE];
	const Oim__State__V1__Mapping *m = core_mapping(f, volume);

	assert_non_null(m);
	plane_detach(f->plane.real, id_file_name(volume, file), m->token, &err);
}

static inline void core_lose_bdev(struct core *f, const char *name)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	char file[ID_FILE_NAME_SIZE];

	assert_int_equal(
		plane_remove(f->plane.real, id_file_name(name, file), &err), 0);
}

/* Registers a static entry and waits. */
static inline int registry_register_now(struct registry *r, const struct op *op,
					const char *id, const char *address,
					struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct registry_change change = {
		.op = op, .path = id, .value = address, .arena = a};

	return registry_wait(r, registry_register, &change, err);
}

#endif

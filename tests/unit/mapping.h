#ifndef OIM_TESTS_MAPPING_H
#define OIM_TESTS_MAPPING_H

/* What tests of mappings start from, and what must be true in the end. Includes
 * all that a test file needs. */

#include "tests/unit/core.h"

#include "proto/lib/units.h"
#include "tests/unit/ceph_params.h"
#include "tests/unit/log_capture.h"

#define ATTACHING OIM__STATE__V1__MAPPING__STATE__ATTACHING
#define ATTACHED  OIM__STATE__V1__MAPPING__STATE__ATTACHED
#define DETACHING OIM__STATE__V1__MAPPING__STATE__DETACHING

/* Provisions "v1". */
static inline int open_with_bdev(void **state)
{
	core_open(state);
	core_must(*state, core_provision(*state, "v1", MIB));
	return 0;
}

/* Provisions and maps "v1". */
static inline int open_mapped(void **state)
{
	open_with_bdev(state);
	core_must(*state, core_map(*state, "v1"));
	return 0;
}

/* "v1" is one disk, by the record's token, and nothing else is there. */
static inline void assert_mapped(struct core *f)
{
	const Oim__State__V1__Mapping *m = core_mapping(f, "v1");

	assert_non_null(m);
	assert_int_equal(m->state, ATTACHED);
	assert_true(core_is_attached(f, "v1", m->token));
	assert_int_equal(core_records(f), 2);
}

/* "v1" is no disk, and its bdev is still there. */
static inline void assert_unmapped(struct core *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_null(core_mapping(f, "v1"));
	assert_int_equal(core_records(f), 1);
	assert_true(core_plane_has(f, "v1"));
	/* the null plane does not delete what is attached */
	assert_int_equal(plane_remove(f->plane.real, "v1", &err), 0);
	err_clear(&err);
	assert_int_equal(core_provision(f, "v1", MIB), 0);
}

#define TEST_ON(f, setup) cmocka_unit_test_setup_teardown(f, setup, core_close)

#endif

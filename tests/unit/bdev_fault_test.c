/* Provisioning block devices where planes, stores and daemons fail. */

#include "tests/unit/core.h"

#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>

#include "proto/lib/units.h"
#include "tests/unit/log_capture.h"

#define READY    OIM__STATE__V1__BDEV__STATE__READY
#define CREATING OIM__STATE__V1__BDEV__STATE__CREATING
#define DELETING OIM__STATE__V1__BDEV__STATE__DELETING

/* --- failures --- */

static void test_what_the_plane_cannot_make_leaves_nothing(void **state)
{
	struct core *f = *state;

	faulty_refuse(&f->plane, FAULTY_CREATE, GRPC_STATUS_RESOURCE_EXHAUSTED,
		      1);
	assert_int_equal(core_provision(f, "d0", MIB),
			 GRPC_STATUS_RESOURCE_EXHAUSTED);
	core_says(f, "the plane says so");
	assert_int_equal(core_records(f), 0);
	assert_int_equal(f->c.malloc_used, 0);
	core_must(f, core_provision(f, "d0", 2 * MIB));
}

static void test_a_leftover_is_no_bdev_and_goes_with_the_next_call(void **state)
{
	struct core *f = *state;
	Oim__State__V1__BDev **all;
	size_t n;

	faulty_do_and_refuse(&f->plane, FAULTY_CREATE, GRPC_STATUS_UNAVAILABLE);
	faulty_refuse(&f->plane, FAULTY_REMOVE, GRPC_STATUS_UNAVAILABLE, 0);
	assert_int_equal(core_provision(f, "d0", MIB), GRPC_STATUS_UNAVAILABLE);
	assert_int_equal(core_bdev_state(f, "d0"), CREATING);
	assert_int_equal(core_check(f, "d0"), GRPC_STATUS_NOT_FOUND);
	assert_int_equal(core_map(f, "d0"), GRPC_STATUS_NOT_FOUND);
	assert_int_equal(bdev_list(&f->c, f->arena, &all, &n, &f->err), 0);
	assert_int_equal(n, 0);
	faulty_obey(&f->plane);
	core_must(f, core_provision(f, "d0", 2 * MIB));
	assert_int_equal(f->c.malloc_used, 2 * MIB);
}

static void test_a_removal_that_fails_is_finished_by_a_repeat(void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", MIB));
	faulty_refuse(&f->plane, FAULTY_REMOVE, GRPC_STATUS_UNAVAILABLE, 1);
	assert_int_equal(core_provision(f, "d0", 0), GRPC_STATUS_UNAVAILABLE);
	assert_int_equal(core_bdev_state(f, "d0"), DELETING);
	core_must(f, core_provision(f, "d0", 0));
	assert_int_equal(core_records(f), 0);
	assert_false(core_plane_has(f, "d0"));
	assert_int_equal(f->c.malloc_used, 0);
}

/* What an unknown outcome may have left counts until the next start; less than
 * there is is never counted. */
static void assert_counted(struct core *f, uint64_t size, bool is_exact)
{
	if (is_exact)
		assert_int_equal(f->c.malloc_used, size);
	else
		assert_in_range(f->c.malloc_used, size, 8 * MIB);
}

/* For every write of the call: it fails there, and is repeated at once or by
 * the next daemon. How many writes there are. */
static unsigned break_provision(struct core *f,
				const struct faulty_breakdown *b)
{
	unsigned n = 1;

	for (;; n++) {
		int code;

		faulty_break(&f->store, n, b->kind, b->stays_broken);
		code = core_provision(f, "d0", MIB);
		if (f->store.writes < n)
			break;
		assert_int_equal(code, b->code);
		faulty_mend(&f->store);
		if (b->restarts)
			core_restart(f);
		core_must(f, core_provision(f, "d0", MIB));
		core_must(f, core_check(f, "d0"));
		assert_int_equal(core_bdev_state(f, "d0"), READY);
		assert_int_equal(core_records(f), 1);
		assert_counted(f, MIB, b->restarts || b->kind == FAULTY_FULL);
		core_must(f, core_provision(f, "d0", 0));
	}
	faulty_mend(&f->store);
	core_must(f, core_provision(f, "d0", 0));
	core_restart(f);
	return n - 1;
}

static void test_whichever_write_of_making_fails_a_repeat_ends_the_same(
	void **state)
{
	for (int i = 0; i < FAULTY_BREAKDOWNS; i++) {
		struct faulty_breakdown b = faulty_breakdown(i);

		assert_int_equal(break_provision(*state, &b), 2);
	}
}

static unsigned break_removal(struct core *f, const struct faulty_breakdown *b)
{
	unsigned n = 1;

	for (;; n++) {
		core_must(f, core_provision(f, "d0", MIB));
		faulty_break(&f->store, n, b->kind, b->stays_broken);
		if (!core_provision(f, "d0", 0))
			break;
		faulty_mend(&f->store);
		if (b->restarts)
			core_restart(f);
		core_must(f, core_provision(f, "d0", 0));
		assert_int_equal(core_records(f), 0);
		assert_false(core_plane_has(f, "d0"));
		assert_counted(f, 0, b->restarts || b->kind == FAULTY_FULL);
	}
	core_restart(f);
	return n - 1;
}

static void test_whichever_write_of_removing_fails_a_repeat_ends_the_same(
	void **state)
{
	for (int i = 0; i < FAULTY_BREAKDOWNS; i++) {
		struct faulty_breakdown b = faulty_breakdown(i);

		assert_int_equal(break_removal(*state, &b), 2);
	}
}

/* --- starting --- */

/* A record as a daemon that died there has left it. */
static void leave(struct core *f, Oim__State__V1__BDev__State how,
		  const char *epoch)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	Oim__State__V1__BDev b = OIM__STATE__V1__BDEV__INIT;

	b.name = (char *)"d0";
	b.controller_id = (char *)"k1";
	b.kind = (char *)"malloc";
	b.size = MIB;
	b.epoch = (char *)epoch;
	b.state = how;
	assert_int_equal(store_put_message(
				 f->store.disk,
				 controller_key(&f->c, "bdevs", "d0", f->arena),
				 &b.base, &err),
			 0);
}

static void leave_bytes(struct core *f)
{
	struct plane_source source = {.kind = PLANE_MALLOC, .size = MIB};

	assert_int_equal(plane_create(f->plane.real, "d0", &source, &f->err),
			 0);
}

static void test_what_was_being_made_is_undone_at_the_start(void **state)
{
	struct core *f = *state;

	leave(f, CREATING, "boot-1");
	core_restart(f); /* it died before the plane did anything */
	assert_int_equal(core_records(f), 0);
	leave(f, CREATING, "boot-1");
	leave_bytes(f);
	core_restart(f); /* and after it */
	assert_int_equal(core_records(f), 0);
	assert_false(core_plane_has(f, "d0"));
	assert_int_equal(f->c.malloc_used, 0);
}

static void test_what_was_being_removed_is_gone_after_the_start(void **state)
{
	struct core *f = *state;

	leave(f, DELETING, "boot-1");
	core_restart(f);
	assert_int_equal(core_records(f), 0);
	leave(f, DELETING, "boot-1");
	leave_bytes(f);
	core_restart(f);
	assert_int_equal(core_records(f), 0);
	assert_false(core_plane_has(f, "d0"));
}

static void test_what_is_ready_is_left_alone_at_the_start(void **state)
{
	struct core *f = *state;
	int64_t revision;

	core_must(f, core_provision(f, "d0", MIB));
	revision = core_revision(f);
	core_restart(f);
	assert_int_equal(core_revision(f), revision);
	assert_true(core_plane_has(f, "d0"));
	core_must(f, core_check(f, "d0"));
	core_must(f, core_provision(f, "d0", MIB));
	assert_int_equal(f->plane.calls[FAULTY_CREATE], 0);
}

static void test_after_a_reboot_bdevs_are_forgotten_with_an_event(void **state)
{
	struct core *f = *state;
	struct log_capture log;
	CLEANUP(cleanup_free) char *text = NULL;

	core_must(f, core_provision(f, "d0", MIB));
	f->plane.epoch = "boot-2";
	log_set_level(LOG_LEVEL_INFO);
	log_capture_begin(&log);
	core_restart(f);
	text = log_capture_end(&log);
	assert_non_null(strstr(text, "audit: forget bdev, its memory is gone"));
	assert_non_null(strstr(text, "controller=k1 object=d0"));
	assert_int_equal(core_records(f), 0);
	assert_int_equal(core_check(f, "d0"), GRPC_STATUS_NOT_FOUND);
	core_must(f, core_provision(f, "d0", 2 * MIB));
}

static void test_a_plane_that_lasts_keeps_bdevs_over_a_reboot(void **state)
{
	struct core *f = *state;

	f->plane.epoch = NULL;
	core_must(f, core_provision(f, "d0", MIB));
	core_restart(f);
	core_must(f, core_check(f, "d0"));
}

static void test_what_cannot_be_undone_now_is_at_a_later_start(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct core *f = *state;

	leave(f, DELETING, "boot-1");
	leave_bytes(f);
	faulty_refuse(&f->plane, FAULTY_REMOVE, GRPC_STATUS_UNAVAILABLE, 0);
	assert_int_equal(bdev_recover(&f->c, &err), 0);
	assert_int_equal(core_bdev_state(f, "d0"), DELETING);
	assert_int_equal(f->c.malloc_used, MIB);
	core_restart(f);
	assert_int_equal(core_records(f), 0);
	assert_false(core_plane_has(f, "d0"));
}

static void test_a_store_that_cannot_be_read_stops_the_start(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct core *f = *state;

	f->store.is_unreadable = true;
	assert_int_equal(bdev_recover(&f->c, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_UNAVAILABLE);
}

static void test_memory_that_is_gone_is_made_anew_when_asked_for(void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", MIB));
	core_lose_bdev(f, "d0");
	core_must(f, core_provision(f, "d0", 2 * MIB));
	assert_true(core_plane_has(f, "d0"));
	assert_int_equal(f->c.malloc_used, 2 * MIB);
}

static void test_memory_is_never_made_anew_under_a_mapping(void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", MIB));
	core_must(f, core_map(f, "d0"));
	core_lose_disk(f, "d0");
	core_lose_bdev(f, "d0");
	assert_int_equal(core_provision(f, "d0", MIB),
			 GRPC_STATUS_FAILED_PRECONDITION);
	core_says(f, "mapped");
	assert_false(core_plane_has(f, "d0"));
	core_restart(f);
	assert_false(core_plane_has(f, "d0"));
	core_must(f, core_unmap(f, "d0"));
	core_must(f, core_provision(f, "d0", MIB));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CORE_TEST(test_what_the_plane_cannot_make_leaves_nothing),
		CORE_TEST(
			test_a_leftover_is_no_bdev_and_goes_with_the_next_call),
		CORE_TEST(test_a_removal_that_fails_is_finished_by_a_repeat),
		CORE_TEST(
			test_whichever_write_of_making_fails_a_repeat_ends_the_same),
		CORE_TEST(
			test_whichever_write_of_removing_fails_a_repeat_ends_the_same),
		CORE_TEST(test_what_was_being_made_is_undone_at_the_start),
		CORE_TEST(test_what_was_being_removed_is_gone_after_the_start),
		CORE_TEST(test_what_is_ready_is_left_alone_at_the_start),
		CORE_TEST(
			test_after_a_reboot_bdevs_are_forgotten_with_an_event),
		CORE_TEST(test_a_plane_that_lasts_keeps_bdevs_over_a_reboot),
		CORE_TEST(test_what_cannot_be_undone_now_is_at_a_later_start),
		CORE_TEST(test_a_store_that_cannot_be_read_stops_the_start),
		CORE_TEST(test_memory_that_is_gone_is_made_anew_when_asked_for),
		CORE_TEST(test_memory_is_never_made_anew_under_a_mapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

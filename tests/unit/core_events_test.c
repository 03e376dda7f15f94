/* What controllers tell of bdevs, mappings and planes, and what they do not. */

#include "tests/unit/feed.h"
#include "tests/unit/mapping.h"

static void test_a_bdev_comes_and_goes(void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", MIB));
	core_must(f, core_provision(f, "d0", MIB));
	core_must(f, core_provision(f, "d0", 0));
	core_must(f, core_provision(f, "d0", 0));
	feed_assert(f->events, 0, f->arena,
		    "bdev.provisioned k1 d0, bdev.removed k1 d0");
}

static void test_what_was_refused_is_not_told(void **state)
{
	struct core *f = *state;
	uint64_t before;

	core_must(f, core_provision(f, "d0", MIB));
	core_must(f, core_map(f, "d0"));
	before = events_last(f->events);
	assert_int_not_equal(core_provision(f, "d0", 0), 0);
	assert_int_not_equal(core_provision(f, "d0", 2 * MIB), 0);
	assert_int_not_equal(core_provision(f, "d1", 99 * MIB), 0);
	assert_int_not_equal(core_map(f, "d1"), 0);
	f->plane.faults[FAULTY_DETACH].code = GRPC_STATUS_FAILED_PRECONDITION;
	assert_int_not_equal(core_unmap(f, "d0"), 0);
	assert_int_equal(events_last(f->events), before);
}

static void test_a_bdev_whose_memory_was_gone_is_told_again(void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", MIB));
	core_lose_bdev(f, "d0");
	core_must(f, core_provision(f, "d0", MIB));
	feed_assert(f->events, 1, f->arena, "bdev.provisioned k1 d0");
}

static void test_a_volume_is_mapped_and_unmapped(void **state)
{
	struct core *f = *state;

	core_must(f, core_map(f, "v1"));
	core_must(f, core_map(f, "v1"));
	core_must(f, core_unmap(f, "v1"));
	core_must(f, core_unmap(f, "v1"));
	feed_assert(f->events, 1, f->arena,
		    "volume.mapped k1 v1, volume.unmapped k1 v1");
}

static void test_a_volume_that_was_lost_is_mapped_again(void **state)
{
	struct core *f = *state;

	core_lose_disk(f, "v1");
	core_must(f, core_map(f, "v1"));
	feed_assert(f->events, 2, f->arena, "volume.mapped k1 v1");
}

static void test_a_new_secret_is_no_new_mapping(void **state)
{
	Oim__V0__CephParams params = ceph_params("hush");
	Oim__State__V1__Mapping *m;
	struct core *f = *state;

	core_must(f, core_map_as(f, "c0", &params, &m));
	params.secret = (char *)"other";
	core_must(f, core_map_as(f, "c0", &params, &m));
	feed_assert(f->events, 0, f->arena, "volume.mapped k1 c0");
}

static void test_no_event_has_a_secret(void **state)
{
	Oim__V0__CephParams params = ceph_params("hush");
	Oim__State__V1__Mapping *m;
	struct core *f = *state;
	struct events_batch b;

	core_must(f, core_map_as(f, "c0", &params, &m));
	core_must(f, core_unmap(f, "c0"));
	assert_int_equal(
		events_read(f->events, 0, NULL, 9, f->arena, &b, &f->err), 0);
	assert_int_equal(b.n, 2);
	for (size_t i = 0; i < b.n; i++)
		assert_null(strstr(b.items[i].message, "hush"));
}

static void test_a_reboot_drops_records(void **state)
{
	struct core *f = *state;

	core_lose_disk(f, "v1");
	f->plane.epoch = "boot-2";
	core_restart(f);
	feed_assert(f->events, 2, f->arena,
		    "record.dropped k1 v1, record.dropped k1 v1");
}

static void test_what_a_start_attaches_again_is_told(void **state)
{
	struct core *f = *state;

	core_lose_disk(f, "v1");
	core_restart(f);
	feed_assert(f->events, 2, f->arena, "volume.mapped k1 v1");
}

static void test_a_start_that_finds_all_well_says_nothing(void **state)
{
	struct core *f = *state;

	core_restart(f);
	assert_int_equal(events_last(f->events), 2);
}

static void test_a_plane_fails_and_works_again(void **state)
{
	struct core *f = *state;

	controller_watch(&f->c);
	f->plane.is_silent = true;
	controller_watch(&f->c);
	controller_watch(&f->c);
	f->plane.is_silent = false;
	controller_watch(&f->c);
	controller_watch(&f->c);
	feed_assert(f->events, 0, f->arena, "plane.failed k1, plane.works k1");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CORE_TEST(test_a_bdev_comes_and_goes),
		CORE_TEST(test_what_was_refused_is_not_told),
		CORE_TEST(test_a_bdev_whose_memory_was_gone_is_told_again),
		TEST_ON(test_a_volume_is_mapped_and_unmapped, open_with_bdev),
		TEST_ON(test_a_volume_that_was_lost_is_mapped_again,
			open_mapped),
		CORE_TEST(test_a_new_secret_is_no_new_mapping),
		CORE_TEST(test_no_event_has_a_secret),
		TEST_ON(test_a_reboot_drops_records, open_mapped),
		TEST_ON(test_what_a_start_attaches_again_is_told, open_mapped),
		TEST_ON(test_a_start_that_finds_all_well_says_nothing,
			open_mapped),
		CORE_TEST(test_a_plane_fails_and_works_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

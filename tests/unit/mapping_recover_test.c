/* Volumes as disks, as the next daemon finds them. */

#include "tests/unit/mapping.h"

/* The record of "v1" as a daemon that died there has left it. */
static void leave(struct core *f, Oim__State__V1__Mapping__State how,
		  const char *token)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	Oim__State__V1__Mapping m = OIM__STATE__V1__MAPPING__INIT;

	m.volume_id = (char *)"v1";
	m.controller_id = (char *)"k1";
	m.kind = (char *)"malloc";
	m.size = MIB;
	m.epoch = (char *)"boot-1";
	m.token = (char *)token;
	m.state = how;
	assert_int_equal(store_put_message(f->store.disk,
					   controller_key(&f->c, "mappings",
							  "v1", f->arena),
					   &m.base, &err),
			 0);
}

/* Attaches "v1" behind core's back; its token, in the arena. */
static const char *attach(struct core *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct plane_attachment at = {0};
	const char *token;

	assert_int_equal(plane_plan(f->plane.real, "v1", &at, &err), 0);
	assert_int_equal(plane_attach(f->plane.real, "v1", &at, &err), 0);
	token = arena_strdup(f->arena, at.token);
	plane_attachment_clear(&at);
	return token;
}

static void test_what_was_being_mapped_is_undone_at_the_start(void **state)
{
	struct core *f = *state;

	leave(f, ATTACHING, "");
	core_restart(f);
	assert_unmapped(f);
	leave(f, ATTACHING, "null:77"); /* planned, not attached */
	core_restart(f);
	assert_unmapped(f);
	leave(f, ATTACHING, attach(f));
	core_restart(f);
	assert_unmapped(f);
	core_must(f, core_map(f, "v1"));
	assert_mapped(f);
}

static void test_what_was_being_unmapped_is_unmapped_after_the_start(
	void **state)
{
	struct core *f = *state;

	leave(f, DETACHING, attach(f));
	core_restart(f);
	assert_unmapped(f);
	leave(f, DETACHING, "null:77"); /* detached already */
	core_restart(f);
	assert_unmapped(f);
}

static void test_an_intent_never_touches_another_attachment(void **state)
{
	struct core *f = *state;
	const char *other = attach(f);

	leave(f, ATTACHING, "null:77");
	core_restart(f);
	assert_true(core_is_attached(f, "v1", other));
	assert_null(core_mapping(f, "v1"));
}

static void test_what_is_mapped_is_left_alone_at_the_start(void **state)
{
	struct core *f = *state;
	int64_t revision = core_revision(f);

	core_restart(f);
	assert_int_equal(core_revision(f), revision);
	assert_int_equal(f->plane.calls[FAULTY_ATTACH], 0);
	assert_int_equal(f->plane.calls[FAULTY_DETACH], 0);
	assert_mapped(f);
}

static void test_what_should_be_attached_is_again_as_it_was(void **state)
{
	struct core *f = *state;
	const Oim__State__V1__Mapping *before = core_mapping(f, "v1");

	core_lose_disk(f, "v1");
	core_restart(f);
	assert_mapped(f);
	assert_string_equal(core_mapping(f, "v1")->device, before->device);
	assert_string_equal(core_mapping(f, "v1")->token, before->token);
}

static void test_what_is_half_attached_is_completed(void **state)
{
	struct core *f = *state;

	f->plane.is_partial = true;
	core_must(f, core_map(f, "v1"));
	assert_int_equal(f->plane.calls[FAULTY_ATTACH], 2);
	f->plane.is_partial = false;
	assert_mapped(f);
}

static void test_a_lost_disk_is_attached_again_by_a_repeat(void **state)
{
	struct core *f = *state;
	const Oim__State__V1__Mapping *before = core_mapping(f, "v1");
	Oim__State__V1__Mapping *m;

	core_lose_disk(f, "v1");
	core_must(f, core_map_as(f, "v1", NULL, &m));
	assert_string_equal(m->device, before->device);
	assert_int_equal(m->since, before->since);
	assert_mapped(f);
}

static void test_a_lost_disk_whose_place_is_taken_gets_another(void **state)
{
	struct core *f = *state;
	const Oim__State__V1__Mapping *before = core_mapping(f, "v1");
	Oim__State__V1__Mapping *m;

	core_lose_disk(f, "v1");
	faulty_refuse(&f->plane, FAULTY_ATTACH, GRPC_STATUS_ABORTED, 1);
	core_must(f, core_map_as(f, "v1", NULL, &m));
	assert_string_not_equal(m->device, before->device);
	assert_string_equal(core_mapping(f, "v1")->device, m->device);
	assert_mapped(f);
}

static void test_a_disk_that_cannot_be_attached_again_stays_recorded(
	void **state)
{
	struct core *f = *state;

	core_lose_disk(f, "v1");
	faulty_refuse(&f->plane, FAULTY_ATTACH, GRPC_STATUS_INTERNAL, 0);
	assert_int_equal(core_map(f, "v1"), GRPC_STATUS_INTERNAL);
	assert_int_equal(core_mapping(f, "v1")->state, ATTACHED);
	faulty_obey(&f->plane);
	core_must(f, core_map(f, "v1"));
	assert_mapped(f);
}

static void test_data_that_is_gone_is_never_made_up(void **state)
{
	struct core *f = *state;

	core_lose_disk(f, "v1");
	core_lose_bdev(f, "v1");
	core_restart(f);
	assert_false(core_plane_has(f, "v1"));
	assert_int_equal(core_map(f, "v1"), GRPC_STATUS_NOT_FOUND);
	core_says(f, "\"v1\" is gone");
	assert_non_null(core_mapping(f, "v1"));
	core_must(f, core_unmap(f, "v1"));
	assert_null(core_mapping(f, "v1"));
}

static void test_after_a_reboot_mappings_are_forgotten_with_an_event(
	void **state)
{
	struct core *f = *state;
	struct log_capture log;
	CLEANUP(cleanup_free) char *text = NULL;

	core_lose_disk(f, "v1");
	core_lose_bdev(f, "v1");
	f->plane.epoch = "boot-2";
	log_set_level(LOG_LEVEL_INFO);
	log_capture_begin(&log);
	core_restart(f);
	text = log_capture_end(&log);
	assert_non_null(strstr(text,
			       "audit: forget mapping, its memory is gone "
			       "controller=k1 object=v1"));
	assert_int_equal(core_records(f), 0);
	assert_int_equal(f->plane.calls[FAULTY_ATTACH], 0);
	assert_int_equal(core_map(f, "v1"), GRPC_STATUS_NOT_FOUND);
}

static void test_an_image_is_attached_again_after_a_reboot(void **state)
{
	const Oim__V0__CephParams ceph = ceph_params("secret");
	struct core *f = *state;
	Oim__State__V1__Mapping *m;

	core_must(f, core_map_as(f, "v2", &ceph, &m));
	core_lose_disk(f, "v2");
	core_lose_bdev(f, "v2");
	f->plane.epoch = "boot-2";
	core_restart(f);
	assert_true(core_plane_has(f, "v2"));
	m = core_mapping(f, "v2");
	assert_int_equal(m->state, ATTACHED);
	assert_true(core_is_attached(f, "v2", m->token));
}

static void test_a_plane_that_is_away_at_the_start_loses_no_mapping(
	void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct core *f = *state;

	faulty_refuse(&f->plane, FAULTY_PROBE, GRPC_STATUS_UNAVAILABLE, 0);
	assert_int_equal(mapping_recover(&f->c, &err), 0);
	assert_mapped(f);
}

static void test_an_intent_that_cannot_be_undone_stays_for_later(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct core *f = *state;

	leave(f, ATTACHING, attach(f));
	faulty_refuse(&f->plane, FAULTY_DETACH, GRPC_STATUS_UNAVAILABLE, 0);
	assert_int_equal(mapping_recover(&f->c, &err), 0);
	assert_int_equal(core_mapping(f, "v1")->state, ATTACHING);
	core_restart(f);
	assert_unmapped(f);
}

static void test_what_was_being_unmapped_and_is_held_is_mapped(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct core *f = *state;

	leave(f, DETACHING, attach(f));
	faulty_refuse(&f->plane, FAULTY_DETACH, GRPC_STATUS_FAILED_PRECONDITION,
		      0);
	assert_int_equal(mapping_recover(&f->c, &err), 0);
	assert_mapped(f);
}

static void test_a_damaged_record_stops_the_start_and_is_named(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct core *f = *state;

	assert_int_equal(
		store_put(f->store.disk, "mappings/k1/v1", "\xff", 1, &err), 0);
	assert_int_equal(mapping_recover(&f->c, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_DATA_LOSS);
	assert_non_null(strstr(err.msg, "mappings/k1/v1"));
}

static void test_mappings_are_listed_by_volume(void **state)
{
	static const char *const ids[] = {"b", "a/b", "B", "a-b", "\xc3\xa4"};
	struct core *f = *state;
	Oim__State__V1__Mapping **all;
	size_t n;

	for (int i = 0; i < 5; i++)
		if (i != 1)
			core_must(f, core_provision(f, ids[i], 512) ||
					     core_map(f, ids[i]));
	assert_int_equal(mapping_list(&f->c, f->arena, &all, &n, &f->err), 0);
	assert_int_equal(n, 4);
	assert_string_equal(all[0]->volume_id, "B");
	assert_string_equal(all[1]->volume_id, "a-b");
	assert_string_equal(all[2]->volume_id, "b");
	assert_string_equal(all[3]->volume_id, "\xc3\xa4");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_ON(test_what_was_being_mapped_is_undone_at_the_start,
			open_with_bdev),
		TEST_ON(test_what_was_being_unmapped_is_unmapped_after_the_start,
			open_with_bdev),
		TEST_ON(test_an_intent_never_touches_another_attachment,
			open_with_bdev),
		TEST_ON(test_what_is_mapped_is_left_alone_at_the_start,
			open_mapped),
		TEST_ON(test_what_should_be_attached_is_again_as_it_was,
			open_mapped),
		TEST_ON(test_what_is_half_attached_is_completed, open_mapped),
		TEST_ON(test_a_lost_disk_is_attached_again_by_a_repeat,
			open_mapped),
		TEST_ON(test_a_lost_disk_whose_place_is_taken_gets_another,
			open_mapped),
		TEST_ON(test_a_disk_that_cannot_be_attached_again_stays_recorded,
			open_mapped),
		TEST_ON(test_data_that_is_gone_is_never_made_up, open_mapped),
		TEST_ON(test_after_a_reboot_mappings_are_forgotten_with_an_event,
			open_mapped),
		CORE_TEST(test_an_image_is_attached_again_after_a_reboot),
		TEST_ON(test_a_plane_that_is_away_at_the_start_loses_no_mapping,
			open_mapped),
		TEST_ON(test_an_intent_that_cannot_be_undone_stays_for_later,
			open_with_bdev),
		TEST_ON(test_what_was_being_unmapped_and_is_held_is_mapped,
			open_with_bdev),
		TEST_ON(test_a_damaged_record_stops_the_start_and_is_named,
			open_with_bdev),
		CORE_TEST(test_mappings_are_listed_by_volume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

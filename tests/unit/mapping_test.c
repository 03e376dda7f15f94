/* Volumes as disks: what is asked for, repeated and refused. */

#include "tests/unit/mapping.h"

/* --- mapping --- */

static void test_a_volume_without_a_bdev_is_not_found(void **state)
{
	struct core *f = *state;

	assert_int_equal(core_map(f, "v1"), GRPC_STATUS_NOT_FOUND);
	core_says(f, "\"v1\"");
	assert_non_null(strstr(f->err.hint, "provision"));
	assert_int_equal(core_revision(f), 0);
}

static void test_a_mapped_volume_is_a_disk_of_its_bdev(void **state)
{
	struct core *f = *state;
	int64_t before = units_now();
	Oim__State__V1__Mapping *m;

	core_must(f, core_map_as(f, "v1", NULL, &m));
	assert_string_equal(m->volume_id, "v1");
	assert_string_equal(m->controller_id, "k1");
	assert_string_equal(m->kind, "malloc");
	assert_string_equal(m->epoch, "boot-1");
	assert_int_equal(m->size, MIB);
	assert_in_range(m->since, before, units_now());
	assert_true(*m->device);
	assert_string_equal(m->scsi, "");
	assert_mapped(f);
}

static void test_a_repeat_returns_the_same_and_changes_nothing(void **state)
{
	struct core *f = *state;
	const Oim__State__V1__Mapping *first = core_mapping(f, "v1");
	int64_t revision = core_revision(f);
	Oim__State__V1__Mapping *again;

	for (int i = 0; i < 3; i++) {
		core_must(f, core_map_as(f, "v1", NULL, &again));
		assert_string_equal(again->device, first->device);
		assert_string_equal(again->scsi, first->scsi);
		assert_int_equal(again->since, first->since);
	}
	assert_int_equal(core_revision(f), revision);
	assert_int_equal(f->plane.calls[FAULTY_ATTACH], 1);
	assert_int_equal(f->plane.calls[FAULTY_DETACH], 0);
}

static void test_an_id_that_cannot_be_one_is_refused(void **state)
{
	static const char *const bad[] = {"", "a/b", "a\nb", "\xff"};
	struct core *f = *state;
	char big[ID_MAX + 2];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(core_map(f, big), GRPC_STATUS_INVALID_ARGUMENT);
	core_says(f, "volume id of 254 bytes");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(core_map(f, bad[i]),
				 GRPC_STATUS_INVALID_ARGUMENT);
		assert_int_equal(core_unmap(f, bad[i]),
				 GRPC_STATUS_INVALID_ARGUMENT);
	}
}

static void test_the_longest_ids_are_mapped_apart(void **state)
{
	struct core *f = *state;
	char one[ID_MAX + 1], other[ID_MAX + 1];

	memset(one, 'x', ID_MAX);
	one[ID_MAX] = '\0';
	memcpy(other, one, sizeof(one));
	other[ID_MAX - 1] = 'y';
	core_must(f, core_provision(f, one, MIB));
	core_must(f, core_provision(f, other, MIB));
	core_must(f, core_map(f, one));
	assert_null(core_mapping(f, other));
	core_must(f, core_map(f, other));
	core_must(f, core_unmap(f, one));
	assert_non_null(core_mapping(f, other));
}

static void test_controllers_do_not_see_each_others_volumes(void **state)
{
	struct core *f = *state;

	f->c.id = (char *)"k2";
	assert_null(core_mapping(f, "v1"));
	core_must(f, core_unmap(f, "v1"));
	assert_int_equal(core_check(f, "v1"), GRPC_STATUS_NOT_FOUND);
	f->c.id = (char *)"k1";
	assert_mapped(f);
}

/* --- other parameters --- */

static void test_another_kind_of_volume_already_exists(void **state)
{
	const Oim__V0__CephParams ceph = ceph_params("secret");
	struct core *f = *state;
	int64_t revision = core_revision(f);
	Oim__State__V1__Mapping *m;

	assert_int_equal(core_map_as(f, "v1", &ceph, &m),
			 GRPC_STATUS_ALREADY_EXISTS);
	core_says(f, "\"v1\" is mapped with other parameters");
	assert_int_equal(core_revision(f), revision);
	core_must(f, core_map_as(f, "v2", &ceph, &m));
	revision = core_revision(f);
	assert_int_equal(core_map(f, "v2"), GRPC_STATUS_ALREADY_EXISTS);
	assert_int_equal(core_revision(f), revision);
}

static void test_each_other_parameter_of_ceph_already_exists(void **state)
{
	Oim__V0__CephParams first = ceph_params("secret"), others[4];
	struct core *f = *state;
	Oim__State__V1__Mapping *m;
	int64_t revision;

	for (int i = 0; i < 4; i++)
		others[i] = first;
	others[0].monitors = (char *)"192.0.2.9:6789";
	others[1].pool = (char *)"rbd2";
	others[2].image = (char *)"two";
	others[3].user_id = (char *)"other";
	core_must(f, core_map_as(f, "v2", &first, &m));
	revision = core_revision(f);
	for (int i = 0; i < 4; i++)
		assert_int_equal(core_map_as(f, "v2", &others[i], &m),
				 GRPC_STATUS_ALREADY_EXISTS);
	assert_int_equal(core_revision(f), revision);
}

static void test_a_malloc_bdev_is_not_mapped_as_ceph(void **state)
{
	const Oim__V0__CephParams ceph = ceph_params("secret");
	struct core *f = *state;
	Oim__State__V1__Mapping *m;
	int64_t revision = core_revision(f);

	assert_int_equal(core_map_as(f, "v1", &ceph, &m),
			 GRPC_STATUS_ALREADY_EXISTS);
	core_says(f, "\"v1\" is a malloc bdev");
	assert_int_equal(core_revision(f), revision);
}

static void test_a_leftover_of_a_bdev_is_never_mapped_as_ceph(void **state)
{
	const Oim__V0__CephParams ceph = ceph_params("secret");
	struct core *f = *state;
	Oim__State__V1__Mapping *m;

	faulty_do_and_refuse(&f->plane, FAULTY_CREATE, GRPC_STATUS_UNAVAILABLE);
	faulty_refuse(&f->plane, FAULTY_REMOVE, GRPC_STATUS_UNAVAILABLE, 0);
	assert_int_equal(core_provision(f, "v1", MIB), GRPC_STATUS_UNAVAILABLE);
	faulty_obey(&f->plane);
	assert_int_equal(core_map_as(f, "v1", &ceph, &m),
			 GRPC_STATUS_ALREADY_EXISTS);
	assert_null(core_mapping(f, "v1"));
}

static void test_incomplete_ceph_parameters_are_refused(void **state)
{
	Oim__V0__CephParams ceph = ceph_params("secret");
	struct core *f = *state;
	Oim__State__V1__Mapping *m;

	ceph.image = (char *)"";
	assert_int_equal(core_map_as(f, "v2", &ceph, &m),
			 GRPC_STATUS_INVALID_ARGUMENT);
	core_says(f, "image");
	assert_int_equal(core_revision(f), 0);
}

/* --- secrets --- */

/* Whether anything in the store has that text in it. */
static bool store_has(struct core *f, const char *text)
{
	struct store_list list;

	assert_int_equal(store_range(f->store.disk, "", NULL, 0, f->arena,
				     &list, &f->err),
			 0);
	for (size_t i = 0; i < list.n; i++)
		if (memmem(list.kvs[i].value, list.kvs[i].size, text,
			   strlen(text)))
			return true;
	return false;
}

static void test_a_new_secret_replaces_the_old_and_nothing_else(void **state)
{
	const Oim__V0__CephParams old = ceph_params("secret-one");
	const Oim__V0__CephParams new = ceph_params("secret-two");
	struct core *f = *state;
	Oim__State__V1__Mapping *first, *again;

	core_must(f, core_map_as(f, "v2", &old, &first));
	core_must(f, core_map_as(f, "v2", &new, &again));
	assert_string_equal(again->device, first->device);
	assert_string_equal(again->scsi, first->scsi);
	assert_true(store_has(f, "secret-two"));
	assert_false(store_has(f, "secret-one"));
	assert_int_equal(f->plane.calls[FAULTY_ATTACH], 1);
	assert_int_equal(core_mapping(f, "v2")->state, ATTACHED);
}

static void test_a_secret_is_kept_only_while_mapped(void **state)
{
	const Oim__V0__CephParams ceph = ceph_params("secret-one");
	struct core *f = *state;
	Oim__State__V1__Mapping *m;

	core_must(f, core_map_as(f, "v2", &ceph, &m));
	assert_true(store_has(f, "secret-one"));
	core_must(f, core_unmap(f, "v2"));
	assert_false(store_has(f, "secret-one"));
	faulty_refuse(&f->plane, FAULTY_ATTACH, GRPC_STATUS_INTERNAL, 1);
	assert_int_equal(core_map_as(f, "v2", &ceph, &m), GRPC_STATUS_INTERNAL);
	assert_false(store_has(f, "secret-one"));
}

/* --- unmapping --- */

static void test_unmapping_keeps_the_bdev_and_its_data(void **state)
{
	struct core *f = *state;

	core_must(f, core_unmap(f, "v1"));
	assert_null(core_mapping(f, "v1"));
	core_must(f, core_check(f, "v1"));
	core_must(f, core_map(f, "v1"));
	assert_int_equal(f->plane.calls[FAULTY_CREATE], 1);
	assert_int_equal(f->plane.calls[FAULTY_REMOVE], 0);
}

static void test_unmapping_ceph_removes_the_handle(void **state)
{
	const Oim__V0__CephParams ceph = ceph_params("secret");
	struct core *f = *state;
	Oim__State__V1__Mapping *m;

	core_must(f, core_map_as(f, "v2", &ceph, &m));
	assert_true(core_plane_has(f, "v2"));
	core_must(f, core_unmap(f, "v2"));
	assert_false(core_plane_has(f, "v2"));
	assert_int_equal(core_records(f), 0);
}

static void test_what_is_not_mapped_is_unmapped_already(void **state)
{
	struct core *f = *state;
	int64_t revision = core_revision(f);

	core_must(f, core_unmap(f, "v1"));
	core_must(f, core_unmap(f, "never"));
	assert_int_equal(core_revision(f), revision);
	assert_int_equal(f->plane.calls[FAULTY_DETACH], 0);
}

static void test_a_disk_that_is_held_stays_as_it_was(void **state)
{
	struct core *f = *state;
	const Oim__State__V1__Mapping *before = core_mapping(f, "v1"), *after;
	Oim__State__V1__Mapping *m;

	faulty_refuse(&f->plane, FAULTY_DETACH, GRPC_STATUS_FAILED_PRECONDITION,
		      1);
	assert_int_equal(core_unmap(f, "v1"), GRPC_STATUS_FAILED_PRECONDITION);
	core_says(f, "the plane says so");
	after = core_mapping(f, "v1");
	assert_memory_equal(after->token, before->token, strlen(before->token));
	assert_string_equal(after->device, before->device);
	assert_int_equal(after->since, before->since);
	assert_mapped(f);
	core_must(f, core_map_as(f, "v1", NULL, &m));
	assert_string_equal(m->device, before->device);
	core_must(f, core_unmap(f, "v1"));
}

static void test_what_was_detached_is_not_called_attached(void **state)
{
	const Oim__V0__CephParams ceph = ceph_params("secret");
	struct core *f = *state;
	Oim__State__V1__Mapping *m;

	core_must(f, core_map_as(f, "v2", &ceph, &m));
	faulty_refuse(&f->plane, FAULTY_REMOVE, GRPC_STATUS_FAILED_PRECONDITION,
		      1);
	assert_int_equal(core_unmap(f, "v2"), GRPC_STATUS_FAILED_PRECONDITION);
	assert_int_equal(core_mapping(f, "v2")->state, DETACHING);
	core_must(f, core_unmap(f, "v2"));
	assert_int_equal(core_records(f), 0);
}

static void test_an_unmap_that_failed_is_finished_by_a_repeat(void **state)
{
	struct core *f = *state;

	faulty_refuse(&f->plane, FAULTY_DETACH, GRPC_STATUS_UNAVAILABLE, 1);
	assert_int_equal(core_unmap(f, "v1"), GRPC_STATUS_UNAVAILABLE);
	assert_int_equal(core_mapping(f, "v1")->state, DETACHING);
	core_must(f, core_unmap(f, "v1"));
	assert_unmapped(f);
}

static void test_a_map_after_an_unmap_that_failed_maps(void **state)
{
	struct core *f = *state;

	faulty_refuse(&f->plane, FAULTY_DETACH, GRPC_STATUS_UNAVAILABLE, 1);
	assert_int_equal(core_unmap(f, "v1"), GRPC_STATUS_UNAVAILABLE);
	core_must(f, core_map(f, "v1"));
	assert_mapped(f);
}

/* --- two at once, and the intent --- */

struct caller_thread {
	struct core *f;
	int code;
	int (*call)(struct core *f, const char *volume);
};

/* The error of the fixture is the other thread's. */
static void *call_there(void *arg)
{
	struct caller_thread *t = arg;
	struct mapping_params params = {0};
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	Oim__State__V1__Mapping *m;

	if (t->call == core_map)
		mapping_map(&t->f->c, &op_self, "v1", &params, a, &m, &err);
	else
		mapping_unmap(&t->f->c, &op_self, "v1", &err);
	t->code = err.code;
	return NULL;
}

/* While that operation of the plane is under way others are refused. */
static void assert_aborts_others(
	struct core *f, int (*call)(struct core *f, const char *volume),
	enum faulty_op op, Oim__State__V1__Mapping__State intent)
{
	struct caller_thread t = {.f = f, .call = call};
	const Oim__State__V1__Mapping *m;
	pthread_t thread;

	core_must(f, core_provision(f, "v2", MIB));
	f->plane.blocks = true;
	f->plane.blocking = op;
	pthread_create(&thread, NULL, call_there, &t);
	sem_wait(&f->plane.entered);
	m = core_mapping(f, "v1");
	assert_int_equal(m->state, intent);
	assert_true(*m->token);
	assert_int_equal(core_map(f, "v1"), GRPC_STATUS_ABORTED);
	assert_int_equal(core_unmap(f, "v1"), GRPC_STATUS_ABORTED);
	assert_int_equal(core_provision(f, "v1", 0), GRPC_STATUS_ABORTED);
	core_must(f, core_check(f, "v1"));
	f->plane.blocks = false;
	core_must(f, core_map(f, "v2"));
	sem_post(&f->plane.go);
	pthread_join(thread, NULL);
	assert_int_equal(t.code, 0);
}

static void test_while_a_volume_is_attached_its_intent_is_stored(void **state)
{
	assert_aborts_others(*state, core_map, FAULTY_ATTACH, ATTACHING);
}

static void test_while_a_volume_is_detached_its_intent_is_stored(void **state)
{
	assert_aborts_others(*state, core_unmap, FAULTY_DETACH, DETACHING);
}

static void test_before_a_handle_is_made_its_intent_is_stored(void **state)
{
	const Oim__V0__CephParams ceph = ceph_params("secret");
	struct core *f = *state;
	Oim__State__V1__Mapping *m;

	faulty_do_and_refuse(&f->plane, FAULTY_CREATE, GRPC_STATUS_INTERNAL);
	faulty_refuse(&f->plane, FAULTY_REMOVE, GRPC_STATUS_INTERNAL, 0);
	assert_int_equal(core_map_as(f, "v2", &ceph, &m), GRPC_STATUS_INTERNAL);
	assert_int_equal(core_mapping(f, "v2")->state, ATTACHING);
	core_restart(f);
	assert_int_equal(core_records(f), 0);
	assert_false(core_plane_has(f, "v2"));
}

static bool say_yes(void *arg)
{
	(void)arg;
	return true;
}

static void test_nothing_is_begun_for_a_caller_that_has_gone(void **state)
{
	const struct op gone = {.caller = &audit_self,
				.deadline = INT64_MAX,
				.is_cancelled = say_yes};
	struct mapping_params params = {0};
	struct core *f = *state;
	Oim__State__V1__Mapping *m;

	assert_int_equal(
		mapping_map(&f->c, &gone, "v1", &params, f->arena, &m, &f->err),
		-1);
	assert_int_equal(f->err.code, GRPC_STATUS_CANCELLED);
	assert_null(core_mapping(f, "v1"));
	core_must(f, core_map(f, "v1"));
	err_clear(&f->err);
	assert_int_equal(mapping_unmap(&f->c, &gone, "v1", &f->err), -1);
	assert_int_equal(f->err.code, GRPC_STATUS_CANCELLED);
	assert_mapped(f);
}

/* --- audit --- */

static void test_the_audit_has_changes_no_repeats_and_no_secret(void **state)
{
	const Oim__V0__CephParams one = ceph_params("secret-one");
	const Oim__V0__CephParams two = ceph_params("secret-two");
	struct core *f = *state;
	CLEANUP(cleanup_free) char *text = NULL;
	struct log_capture log;
	Oim__State__V1__Mapping *m;

	log_set_level(LOG_LEVEL_DEBUG);
	log_capture_begin(&log);
	core_map_as(f, "v2", &one, &m);
	core_map_as(f, "v2", &one, &m);
	core_map_as(f, "v2", &two, &m);
	faulty_refuse(&f->plane, FAULTY_DETACH, GRPC_STATUS_INTERNAL, 1);
	core_unmap(f, "v2");
	core_unmap(f, "v2");
	core_unmap(f, "v2");
	text = log_capture_end(&log);
	assert_null(strstr(text, "secret-"));
	assert_null(strstr(text, "admin-user"));
	for (int i = 0; i < 4; i++) {
		char *line = strstr(text, i < 2 ? "audit: map volume "
						: "audit: unmap volume ");

		assert_non_null(line);
		assert_non_null(strstr(line, "object=v2"));
		*line = '#';
	}
	assert_null(strstr(text, "audit: "));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CORE_TEST(test_a_volume_without_a_bdev_is_not_found),
		TEST_ON(test_a_mapped_volume_is_a_disk_of_its_bdev,
			open_with_bdev),
		TEST_ON(test_a_repeat_returns_the_same_and_changes_nothing,
			open_mapped),
		CORE_TEST(test_an_id_that_cannot_be_one_is_refused),
		CORE_TEST(test_the_longest_ids_are_mapped_apart),
		TEST_ON(test_controllers_do_not_see_each_others_volumes,
			open_mapped),
		TEST_ON(test_another_kind_of_volume_already_exists,
			open_mapped),
		CORE_TEST(test_each_other_parameter_of_ceph_already_exists),
		TEST_ON(test_a_malloc_bdev_is_not_mapped_as_ceph,
			open_with_bdev),
		CORE_TEST(test_a_leftover_of_a_bdev_is_never_mapped_as_ceph),
		CORE_TEST(test_incomplete_ceph_parameters_are_refused),
		CORE_TEST(test_a_new_secret_replaces_the_old_and_nothing_else),
		CORE_TEST(test_a_secret_is_kept_only_while_mapped),
		TEST_ON(test_unmapping_keeps_the_bdev_and_its_data,
			open_mapped),
		CORE_TEST(test_unmapping_ceph_removes_the_handle),
		TEST_ON(test_what_is_not_mapped_is_unmapped_already,
			open_with_bdev),
		TEST_ON(test_a_disk_that_is_held_stays_as_it_was, open_mapped),
		CORE_TEST(test_what_was_detached_is_not_called_attached),
		TEST_ON(test_an_unmap_that_failed_is_finished_by_a_repeat,
			open_mapped),
		TEST_ON(test_a_map_after_an_unmap_that_failed_maps,
			open_mapped),
		TEST_ON(test_while_a_volume_is_attached_its_intent_is_stored,
			open_with_bdev),
		TEST_ON(test_while_a_volume_is_detached_its_intent_is_stored,
			open_mapped),
		CORE_TEST(test_before_a_handle_is_made_its_intent_is_stored),
		TEST_ON(test_nothing_is_begun_for_a_caller_that_has_gone,
			open_with_bdev),
		CORE_TEST(test_the_audit_has_changes_no_repeats_and_no_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

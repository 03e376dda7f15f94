/* Provisioning block devices: what is asked for, kept and refused. */

#include "tests/unit/core.h"

#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>

#include "proto/lib/units.h"
#include "tests/unit/log_capture.h"

#define READY    OIM__STATE__V1__BDEV__STATE__READY
#define CREATING OIM__STATE__V1__BDEV__STATE__CREATING
#define DELETING OIM__STATE__V1__BDEV__STATE__DELETING

/* --- making --- */

static void test_a_bdev_is_made_with_the_size_asked_for(void **state)
{
	struct core *f = *state;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	Oim__State__V1__BDev *b;

	core_must(f, core_provision(f, "d0", MIB));
	assert_true(core_plane_has(f, "d0"));
	assert_int_equal(bdev_find(&f->c, "d0", f->arena, &b, &err), 1);
	assert_string_equal(b->name, "d0");
	assert_string_equal(b->controller_id, "k1");
	assert_string_equal(b->kind, "malloc");
	assert_string_equal(b->epoch, "boot-1");
	assert_int_equal(b->size, MIB);
	assert_int_equal(f->c.malloc_used, MIB);
}

static void test_a_repeat_with_the_same_size_changes_nothing(void **state)
{
	struct core *f = *state;
	int64_t revision;

	core_must(f, core_provision(f, "d0", MIB));
	revision = core_revision(f);
	core_must(f, core_provision(f, "d0", MIB));
	assert_int_equal(core_revision(f), revision);
	assert_int_equal(f->plane.calls[FAULTY_CREATE], 1);
	assert_int_equal(f->c.malloc_used, MIB);
}

static void test_another_size_already_exists_and_changes_nothing(void **state)
{
	struct core *f = *state;
	int64_t revision;

	core_must(f, core_provision(f, "d0", MIB));
	revision = core_revision(f);
	assert_int_equal(core_provision(f, "d0", 2 * MIB),
			 GRPC_STATUS_ALREADY_EXISTS);
	core_says(f, "\"d0\" has 1048576 bytes, not 2097152");
	assert_int_equal(core_provision(f, "d0", 512),
			 GRPC_STATUS_ALREADY_EXISTS);
	assert_int_equal(core_revision(f), revision);
	assert_int_equal(f->plane.calls[FAULTY_CREATE], 1);
}

static void test_a_size_that_is_no_number_of_sectors_is_refused(void **state)
{
	static const int64_t bad[] = {1,    511,    513,       1000,
				      -1,   -512,   INT64_MIN, INT64_MAX,
				      1023, MIB + 1};
	struct core *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(core_provision(f, "d0", bad[i]),
				 GRPC_STATUS_INVALID_ARGUMENT);
		core_says(f, bad[i] < 0 ? "negative" : "multiple of 512");
	}
	assert_int_equal(core_revision(f), 0);
	assert_int_equal(f->plane.calls[FAULTY_CREATE], 0);
}

static void test_one_sector_is_a_size(void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", 512));
	core_must(f, core_provision(f, "d0", 512));
	core_must(f, core_check(f, "d0"));
}

static void test_a_name_that_cannot_be_an_id_is_refused(void **state)
{
	static const char *const bad[] = {
		"",     "a/b",      "/",    "a\n",  "\t",
		"\x7f", "\xc2\x80", "\xff", "\xc3", "\xe2\x80\xa8"};
	struct core *f = *state;
	char big[ID_MAX + 2];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(core_provision(f, big, 512),
			 GRPC_STATUS_INVALID_ARGUMENT);
	core_says(f, "bdev name of 254 bytes is too long");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(core_provision(f, bad[i], 512),
				 GRPC_STATUS_INVALID_ARGUMENT);
		assert_int_equal(core_provision(f, bad[i], 0),
				 GRPC_STATUS_INVALID_ARGUMENT);
		assert_int_equal(core_check(f, bad[i]),
				 GRPC_STATUS_INVALID_ARGUMENT);
	}
	assert_int_equal(core_revision(f), 0);
}

static void test_any_id_can_be_a_name_and_none_stands_for_another(void **state)
{
	static const char *const ids[] = {
		".", "..",  "-",        "h-x",       "d0",  "D0",
		" ", "d0 ", "\xc3\xa4", "a\xcc\x88", "%2e", "\xf0\x9f\x92\xbe"};
	const size_t n = sizeof(ids) / sizeof(*ids);
	struct core *f = *state;
	Oim__State__V1__BDev **all;
	char big[ID_MAX + 1];
	size_t found;

	memset(big, 'x', ID_MAX);
	big[ID_MAX] = '\0';
	core_must(f, core_provision(f, big, MIB));
	for (size_t i = 0; i < n; i++)
		core_must(f, core_provision(f, ids[i], 512 * (int64_t)(i + 1)));
	assert_int_equal(bdev_list(&f->c, f->arena, &all, &found, &f->err), 0);
	assert_int_equal(found, n + 1);
	for (size_t i = 1; i < found; i++)
		assert_true(strcmp(all[i - 1]->name, all[i]->name) < 0);
	core_restart(f);
	for (size_t i = 0; i < n; i++)
		core_must(f, core_provision(f, ids[i], 512 * (int64_t)(i + 1)));
	core_must(f, core_check(f, big));
}

/* --- the limit --- */

static void test_above_the_limit_resources_are_exhausted(void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", 60 * MIB));
	assert_int_equal(core_provision(f, "d1", 5 * MIB),
			 GRPC_STATUS_RESOURCE_EXHAUSTED);
	core_says(f, "\"d1\"");
	core_says(f, "60MiB of 64MiB");
	assert_non_null(strstr(f->err.hint, "controller.k1.malloc-limit"));
	assert_int_equal(core_records(f), 1);
	core_must(f, core_provision(f, "d1", 4 * MIB));
}

static void test_a_size_that_is_absurd_exhausts_resources(void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", MIB));
	assert_int_equal(core_provision(f, "d1", INT64_MAX - 511),
			 GRPC_STATUS_RESOURCE_EXHAUSTED);
	assert_int_equal(f->c.malloc_used, MIB);
}

static void test_at_the_limit_what_is_there_may_be_repeated(void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", 64 * MIB));
	core_must(f, core_provision(f, "d0", 64 * MIB));
	f->c.malloc_limit = MIB; /* lowered meanwhile */
	core_must(f, core_provision(f, "d0", 64 * MIB));
	assert_int_equal(core_provision(f, "d1", 512),
			 GRPC_STATUS_RESOURCE_EXHAUSTED);
}

static void test_what_is_removed_makes_room(void **state)
{
	struct core *f = *state;

	for (int i = 0; i < 3; i++) {
		core_must(f, core_provision(f, "d0", 64 * MIB));
		core_must(f, core_provision(f, "d0", 0));
	}
	assert_int_equal(f->c.malloc_used, 0);
}

static void test_after_a_restart_what_is_there_counts(void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", 40 * MIB));
	core_must(f, core_provision(f, "d1", 20 * MIB));
	core_restart(f);
	assert_int_equal(f->c.malloc_used, 60 * MIB);
	assert_int_equal(core_provision(f, "d2", 5 * MIB),
			 GRPC_STATUS_RESOURCE_EXHAUSTED);
}

#define ROUNDS  1000
#define THREADS 3

struct greedy {
	struct core *f;
	atomic_bool stop;
};

static void *ask_for_too_much(void *arg)
{
	struct greedy *g = arg;

	while (!g->stop) {
		CLEANUP(err_clear) struct err err = ERR_INIT;

		bdev_provision(&g->f->c, &op_self, "big", 100 * MIB, &err);
		if (err.code != GRPC_STATUS_RESOURCE_EXHAUSTED &&
		    err.code != GRPC_STATUS_ABORTED)
			return "what is too big is made";
	}
	return NULL;
}

static void test_what_is_refused_takes_no_room_from_others(void **state)
{
	struct greedy g = {.f = *state};
	pthread_t threads[THREADS];
	int code = 0;
	void *problem;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, ask_for_too_much, &g);
	for (int i = 0; i < ROUNDS && !code; i++) {
		code = core_provision(g.f, "d0", MIB);
		core_provision(g.f, "d0", 0);
	}
	g.stop = true;
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &problem);
		assert_null(problem);
	}
	core_must(g.f, code);
	assert_int_equal(g.f->c.malloc_used, 0);
}

/* --- removing --- */

static void test_size_zero_removes(void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", MIB));
	core_must(f, core_provision(f, "d0", 0));
	assert_false(core_plane_has(f, "d0"));
	assert_int_equal(core_records(f), 0);
	assert_int_equal(core_check(f, "d0"), GRPC_STATUS_NOT_FOUND);
}

static void test_to_remove_what_is_absent_is_fine_and_changes_nothing(
	void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", 0));
	assert_int_equal(core_revision(f), 0);
	assert_int_equal(f->plane.calls[FAULTY_REMOVE], 0);
}

static void test_what_is_mapped_is_not_removed_and_the_mapping_is_named(
	void **state)
{
	struct core *f = *state;
	int64_t revision;

	core_must(f, core_provision(f, "d0", MIB));
	core_must(f, core_map(f, "d0"));
	revision = core_revision(f);
	assert_int_equal(core_provision(f, "d0", 0),
			 GRPC_STATUS_FAILED_PRECONDITION);
	core_says(f, "mapped as volume \"d0\"");
	assert_int_equal(core_revision(f), revision);
	assert_int_equal(core_bdev_state(f, "d0"), READY);
	core_must(f, core_unmap(f, "d0"));
	core_must(f, core_provision(f, "d0", 0));
}

static void test_what_is_mapped_may_be_provisioned_again(void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", MIB));
	core_must(f, core_map(f, "d0"));
	core_must(f, core_provision(f, "d0", MIB));
	assert_int_equal(core_provision(f, "d0", 2 * MIB),
			 GRPC_STATUS_ALREADY_EXISTS);
}

/* --- checking --- */

static void test_what_is_there_is_found_and_what_is_not_is_not_found(
	void **state)
{
	struct core *f = *state;

	assert_int_equal(core_check(f, "d0"), GRPC_STATUS_NOT_FOUND);
	core_must(f, core_provision(f, "d0", MIB));
	core_must(f, core_check(f, "d0"));
	assert_int_equal(core_check(f, "d"), GRPC_STATUS_NOT_FOUND);
	core_says(f, "\"d\"");
}

static void test_a_plane_that_does_not_answer_is_not_a_missing_bdev(
	void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", MIB));
	faulty_refuse(&f->plane, FAULTY_STAT, GRPC_STATUS_UNAVAILABLE, 0);
	assert_int_equal(core_check(f, "d0"), GRPC_STATUS_UNAVAILABLE);
	assert_int_equal(core_provision(f, "d0", MIB), GRPC_STATUS_UNAVAILABLE);
	f->store.is_unreadable = true;
	assert_int_equal(core_check(f, "d0"), GRPC_STATUS_UNAVAILABLE);
}

static void test_memory_that_is_gone_is_not_found(void **state)
{
	struct core *f = *state;

	core_must(f, core_provision(f, "d0", MIB));
	core_lose_bdev(f, "d0");
	assert_int_equal(core_check(f, "d0"), GRPC_STATUS_NOT_FOUND);
	core_says(f, "is gone");
}

/* --- two at once --- */

struct caller_thread {
	struct core *f;
	const char *name;
	int64_t size;
	struct err err;
};

static void *provision_there(void *arg)
{
	struct caller_thread *t = arg;

	bdev_provision(&t->f->c, &op_self, t->name, t->size, &t->err);
	return NULL;
}

static void test_while_one_call_is_in_flight_others_are_aborted(void **state)
{
	struct core *f = *state;
	struct caller_thread t = {.f = f, .name = "d0", .size = MIB};
	pthread_t thread;

	f->plane.blocks = true;
	f->plane.blocking = FAULTY_CREATE;
	pthread_create(&thread, NULL, provision_there, &t);
	sem_wait(&f->plane.entered);
	assert_int_equal(core_provision(f, "d0", MIB), GRPC_STATUS_ABORTED);
	assert_int_equal(core_provision(f, "d0", 0), GRPC_STATUS_ABORTED);
	assert_int_equal(core_map(f, "d0"), GRPC_STATUS_ABORTED);
	assert_int_equal(core_unmap(f, "d0"), GRPC_STATUS_ABORTED);
	assert_int_equal(core_check(f, "d0"), GRPC_STATUS_NOT_FOUND);
	f->plane.blocks = false;
	core_must(f, core_provision(f, "d1", MIB)); /* others go on */
	sem_post(&f->plane.go);
	pthread_join(thread, NULL);
	assert_int_equal(t.err.code, 0);
	core_must(f, core_provision(f, "d0", MIB));
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
	const struct op late = {.caller = &audit_self,
				.deadline = units_monotonic() - 1};
	struct core *f = *state;

	assert_int_equal(bdev_provision(&f->c, &gone, "d0", MIB, &f->err), -1);
	assert_int_equal(f->err.code, GRPC_STATUS_CANCELLED);
	err_clear(&f->err);
	assert_int_equal(bdev_provision(&f->c, &late, "d0", MIB, &f->err), -1);
	assert_int_equal(f->err.code, GRPC_STATUS_DEADLINE_EXCEEDED);
	assert_int_equal(core_revision(f), 0);
}

/* --- audit --- */

/* What is written to the audit meanwhile, as a text to be freed. */
static char *audit_of(struct core *f, const char *name, int64_t size)
{
	struct log_capture log;
	char *text;

	log_set_level(LOG_LEVEL_INFO);
	log_capture_begin(&log);
	core_provision(f, name, size);
	text = log_capture_end(&log);
	log_set_level(0);
	return text;
}

static void test_a_change_is_one_line_of_the_audit_and_a_repeat_none(
	void **state)
{
	CLEANUP(cleanup_free) char *made = audit_of(*state, "d0", MIB);
	CLEANUP(cleanup_free) char *repeated = audit_of(*state, "d0", MIB);
	CLEANUP(cleanup_free) char *removed = audit_of(*state, "d0", 0);
	CLEANUP(cleanup_free) char *absent = audit_of(*state, "d0", 0);

	assert_non_null(strstr(made, "audit: provision bdev controller=k1 "
				     "object=d0 peer=self code=OK\n"));
	assert_ptr_equal(strchr(made, '\n'), made + strlen(made) - 1);
	assert_string_equal(repeated, "");
	assert_non_null(strstr(removed, "audit: remove bdev controller=k1 "
					"object=d0 peer=self code=OK\n"));
	assert_string_equal(absent, "");
}

static void test_a_change_that_failed_is_in_the_audit_with_its_reason(
	void **state)
{
	struct core *f = *state;
	CLEANUP(cleanup_free) char *text = NULL;

	faulty_refuse(&f->plane, FAULTY_CREATE, GRPC_STATUS_INTERNAL, 1);
	text = audit_of(f, "d0", MIB);
	assert_non_null(strstr(text, "audit: provision bdev controller=k1 "
				     "object=d0 peer=self code=INTERNAL "
				     "error=\"the plane says so\""));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CORE_TEST(test_a_bdev_is_made_with_the_size_asked_for),
		CORE_TEST(test_a_repeat_with_the_same_size_changes_nothing),
		CORE_TEST(test_another_size_already_exists_and_changes_nothing),
		CORE_TEST(test_a_size_that_is_no_number_of_sectors_is_refused),
		CORE_TEST(test_one_sector_is_a_size),
		CORE_TEST(test_a_name_that_cannot_be_an_id_is_refused),
		CORE_TEST(
			test_any_id_can_be_a_name_and_none_stands_for_another),
		CORE_TEST(test_above_the_limit_resources_are_exhausted),
		CORE_TEST(test_a_size_that_is_absurd_exhausts_resources),
		CORE_TEST(test_at_the_limit_what_is_there_may_be_repeated),
		CORE_TEST(test_what_is_removed_makes_room),
		CORE_TEST(test_after_a_restart_what_is_there_counts),
		CORE_TEST(test_what_is_refused_takes_no_room_from_others),
		CORE_TEST(test_size_zero_removes),
		CORE_TEST(
			test_to_remove_what_is_absent_is_fine_and_changes_nothing),
		CORE_TEST(
			test_what_is_mapped_is_not_removed_and_the_mapping_is_named),
		CORE_TEST(test_what_is_mapped_may_be_provisioned_again),
		CORE_TEST(
			test_what_is_there_is_found_and_what_is_not_is_not_found),
		CORE_TEST(
			test_a_plane_that_does_not_answer_is_not_a_missing_bdev),
		CORE_TEST(test_memory_that_is_gone_is_not_found),
		CORE_TEST(test_while_one_call_is_in_flight_others_are_aborted),
		CORE_TEST(test_nothing_is_begun_for_a_caller_that_has_gone),
		CORE_TEST(
			test_a_change_is_one_line_of_the_audit_and_a_repeat_none),
		CORE_TEST(
			test_a_change_that_failed_is_in_the_audit_with_its_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

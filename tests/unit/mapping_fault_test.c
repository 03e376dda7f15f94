/* Volumes as disks, on planes and stores that fail. */

#include "tests/unit/mapping.h"

/* --- a plane that fails --- */

static void test_a_plan_that_somebody_spoilt_is_made_anew(void **state)
{
	struct core *f = *state;

	faulty_refuse(&f->plane, FAULTY_ATTACH, GRPC_STATUS_ABORTED, 3);
	core_must(f, core_map(f, "v1"));
	assert_int_equal(f->plane.calls[FAULTY_PLAN], 4);
	assert_mapped(f);
}

static void test_plans_that_never_succeed_are_given_up(void **state)
{
	struct core *f = *state;

	faulty_refuse(&f->plane, FAULTY_ATTACH, GRPC_STATUS_ABORTED, 0);
	assert_int_equal(core_map(f, "v1"), GRPC_STATUS_ABORTED);
	assert_in_range(f->plane.calls[FAULTY_PLAN], 2, 100);
	assert_unmapped(f);
}

static void test_a_plane_that_does_not_answer_changes_no_mapping(void **state)
{
	struct core *f = *state;
	int64_t revision = core_revision(f);

	faulty_refuse(&f->plane, FAULTY_PROBE, GRPC_STATUS_UNAVAILABLE, 0);
	assert_int_equal(core_map(f, "v1"), GRPC_STATUS_UNAVAILABLE);
	assert_int_equal(core_revision(f), revision);
	faulty_obey(&f->plane);
	assert_mapped(f);
}

static void test_a_plane_that_does_not_answer_is_not_a_missing_bdev(
	void **state)
{
	struct core *f = *state;

	faulty_refuse(&f->plane, FAULTY_STAT, GRPC_STATUS_UNAVAILABLE, 0);
	assert_int_equal(core_map(f, "v1"), GRPC_STATUS_UNAVAILABLE);
	faulty_obey(&f->plane);
	assert_unmapped(f);
}

static void test_a_store_that_is_away_changes_nothing(void **state)
{
	struct core *f = *state;

	f->store.is_unreadable = true;
	assert_int_equal(core_map(f, "v1"), GRPC_STATUS_UNAVAILABLE);
	assert_int_equal(core_unmap(f, "v1"), GRPC_STATUS_UNAVAILABLE);
	f->store.is_unreadable = false;
	assert_mapped(f);
}

/* How one step of the plane fails. */
struct misstep {
	enum faulty_op op;
	bool is_done; /* though it says otherwise */
};

static void fail_at(struct core *f, const struct misstep *s)
{
	if (s->is_done)
		faulty_do_and_refuse(&f->plane, s->op, GRPC_STATUS_INTERNAL);
	else
		faulty_refuse(&f->plane, s->op, GRPC_STATUS_INTERNAL, 0);
}

static void test_whichever_step_of_mapping_fails_a_repeat_ends_the_same(
	void **state)
{
	static const struct misstep steps[] = {
		{FAULTY_STAT, false},
		{FAULTY_PLAN, false},
		{FAULTY_ATTACH, false},
		{FAULTY_ATTACH, true},
	};
	struct core *f = *state;

	for (size_t i = 0; i < 4 * 2; i++) {
		fail_at(f, &steps[i / 2]);
		assert_int_equal(core_map(f, "v1"), GRPC_STATUS_INTERNAL);
		if (i % 2)
			core_restart(f);
		faulty_obey(&f->plane);
		core_must(f, core_map(f, "v1"));
		assert_mapped(f);
		core_must(f, core_unmap(f, "v1"));
		assert_unmapped(f);
	}
}

static void test_what_cannot_even_be_taken_back_is_by_a_repeat(void **state)
{
	struct core *f = *state;

	for (int i = 0; i < 3; i++) {
		faulty_do_and_refuse(&f->plane, FAULTY_ATTACH,
				     GRPC_STATUS_INTERNAL);
		faulty_refuse(&f->plane, FAULTY_DETACH, GRPC_STATUS_INTERNAL,
			      0);
		assert_int_equal(core_map(f, "v1"), GRPC_STATUS_INTERNAL);
		assert_int_equal(core_mapping(f, "v1")->state, ATTACHING);
		assert_int_equal(core_provision(f, "v1", 0),
				 GRPC_STATUS_FAILED_PRECONDITION);
		faulty_obey(&f->plane);
		if (i == 0)
			core_restart(f);
		if (i < 2) {
			core_must(f, core_map(f, "v1"));
			assert_mapped(f);
		}
		core_must(f, core_unmap(f, "v1"));
		assert_unmapped(f);
	}
}

static void test_whichever_step_of_unmapping_fails_a_repeat_ends_the_same(
	void **state)
{
	static const struct misstep steps[] = {
		{FAULTY_DETACH, false},
		{FAULTY_DETACH, true},
	};
	struct core *f = *state;

	for (size_t i = 0; i < 2 * 2; i++) {
		core_must(f, core_map(f, "v1"));
		fail_at(f, &steps[i / 2]);
		assert_int_equal(core_unmap(f, "v1"), GRPC_STATUS_INTERNAL);
		if (i % 2)
			core_restart(f);
		faulty_obey(&f->plane);
		core_must(f, core_unmap(f, "v1"));
		assert_unmapped(f);
	}
}

/* --- a store that fails --- */

static void mend(struct core *f, const struct faulty_breakdown *b)
{
	faulty_mend(&f->store);
	if (b->restarts)
		core_restart(f);
}

/* Fails each write of the call in turn, and repeats it; how many there are. */
static unsigned break_call(struct core *f, const struct faulty_breakdown *b,
			   int (*call)(struct core *f, const char *volume),
			   int (*back)(struct core *f, const char *volume),
			   void (*assert_end)(struct core *f))
{
	for (unsigned n = 1;; n++) {
		int code;

		faulty_break(&f->store, n, b->kind, b->stays_broken);
		code = call(f, "v1");
		if (!code) {
			assert_true(f->store.writes < n);
			mend(f, b);
			core_must(f, back(f, "v1"));
			return n - 1;
		}
		assert_int_equal(code, b->code);
		mend(f, b);
		core_must(f, call(f, "v1"));
		assert_end(f);
		core_must(f, back(f, "v1"));
	}
}

static void test_whichever_write_of_mapping_fails_a_repeat_ends_the_same(
	void **state)
{
	for (int i = 0; i < FAULTY_BREAKDOWNS; i++) {
		struct faulty_breakdown b = faulty_breakdown(i);

		assert_int_equal(break_call(*state, &b, core_map, core_unmap,
					    assert_mapped),
				 2);
	}
}

static void test_whichever_write_of_unmapping_fails_a_repeat_ends_the_same(
	void **state)
{
	for (int i = 0; i < FAULTY_BREAKDOWNS; i++) {
		struct faulty_breakdown b = faulty_breakdown(i);

		assert_int_equal(break_call(*state, &b, core_unmap, core_map,
					    assert_unmapped),
				 2);
	}
}

static void test_a_held_disk_and_a_failing_store_lose_nothing(void **state)
{
	struct core *f = *state;

	faulty_refuse(&f->plane, FAULTY_DETACH, GRPC_STATUS_FAILED_PRECONDITION,
		      0);
	faulty_break(&f->store, 2, FAULTY_FULL, true);
	assert_int_equal(core_unmap(f, "v1"), GRPC_STATUS_FAILED_PRECONDITION);
	assert_int_equal(core_mapping(f, "v1")->state, DETACHING);
	faulty_mend(&f->store);
	/* the next daemon finds it held */
	assert_int_equal(mapping_recover(&f->c, &f->err), 0);
	assert_mapped(f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_ON(test_a_plan_that_somebody_spoilt_is_made_anew,
			open_with_bdev),
		TEST_ON(test_plans_that_never_succeed_are_given_up,
			open_with_bdev),
		TEST_ON(test_a_plane_that_does_not_answer_changes_no_mapping,
			open_mapped),
		TEST_ON(test_a_plane_that_does_not_answer_is_not_a_missing_bdev,
			open_with_bdev),
		TEST_ON(test_a_store_that_is_away_changes_nothing, open_mapped),
		TEST_ON(test_whichever_step_of_mapping_fails_a_repeat_ends_the_same,
			open_with_bdev),
		TEST_ON(test_what_cannot_even_be_taken_back_is_by_a_repeat,
			open_with_bdev),
		TEST_ON(test_whichever_step_of_unmapping_fails_a_repeat_ends_the_same,
			open_with_bdev),
		TEST_ON(test_whichever_write_of_mapping_fails_a_repeat_ends_the_same,
			open_with_bdev),
		TEST_ON(test_whichever_write_of_unmapping_fails_a_repeat_ends_the_same,
			open_mapped),
		TEST_ON(test_a_held_disk_and_a_failing_store_lose_nothing,
			open_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

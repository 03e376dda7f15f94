/* Controllers that register with a time to live: what the store has of them. */

#include "daemon/core/liveness.h"

#include "proto/lib/units.h"
#include "tests/unit/registry.h"

/* A call of a controller. */
static int call(struct fixture *f, const char *instance, const char *address)
{
	return reg_alive(f, f->r, "k1", address, "30", instance);
}

static void must(struct fixture *f, int code)
{
	if (code)
		fail_msg("%s", f->err.msg);
}

static struct liveness live(struct fixture *f)
{
	struct liveness l;

	err_clear(&f->err);
	must(f, liveness_read(f->store.disk, "k1", f->arena, &l, &f->err));
	return l;
}

static bool has_key(struct fixture *f, const char *key)
{
	struct store_kv kv;

	err_clear(&f->err);
	return store_get(f->store.disk, key, f->arena, &kv, &f->err) == 1;
}

static int64_t revision(struct fixture *f)
{
	struct store_status status;

	must(f, store_check(f->store.disk, &status, &f->err));
	return status.revision;
}

/* As if it had not registered in time. */
static void end_lease(struct fixture *f)
{
	must(f, store_lease_revoke(f->store.disk, live(f).lease, &f->err));
}

static const struct liveness_item *item(struct fixture *f)
{
	struct liveness_item *items;
	size_t n;

	err_clear(&f->err);
	must(f, liveness_list(f->store.disk, f->arena, &items, &n, &f->err));
	return liveness_find(items, n, "k1");
}

static const char *problem(struct fixture *f)
{
	return liveness_problem(item(f), f->arena);
}

/* --- records --- */

static void test_a_time_to_live_is_kept_beside_the_entry(void **state)
{
	struct fixture *f = *state;
	struct store_kv kv;

	must(f, call(f, "a", "host:1"));
	assert_string_equal(entries(f), "k1=host:1");
	assert_string_equal(values(f, ""), "k1/address=host:1");
	assert_int_equal(live(f).record->ttl, 30);
	assert_int_equal(live(f).record->lost, 0);
	assert_string_equal(live(f).instance, "a");
	assert_true(live(f).lease > 0);
	assert_int_equal(store_get(f->store.disk, "controllers/k1/address",
				   f->arena, &kv, &f->err),
			 1);
	assert_int_equal(kv.lease, 0);
	assert_string_equal(liveness_state(item(f)), "ready");
}

static void test_a_renewal_writes_nothing(void **state)
{
	struct fixture *f = *state;
	int64_t before, lease;

	must(f, call(f, "a", "host:1"));
	before = revision(f);
	lease = live(f).lease;
	for (int i = 0; i < 3; i++)
		must(f, call(f, "a", "host:1"));
	assert_int_equal(revision(f), before);
	assert_int_equal(live(f).lease, lease);
	assert_int_equal(f->store.writes, 1);
}

static void test_any_daemon_of_the_registry_renews(void **state)
{
	struct fixture *f = *state;
	struct registry *other = registry_new(f->store.disk);
	int64_t before;

	must(f, call(f, "a", "host:1"));
	before = revision(f);
	must(f, reg_alive(f, other, "k1", "host:1", "30", "a"));
	assert_int_equal(revision(f), before);
	registry_free(other);
}

static void test_an_entry_without_one_is_static(void **state)
{
	struct fixture *f = *state;

	must(f, reg(f, "k1", "host:1"));
	assert_null(live(f).record);
	assert_null(item(f));
	assert_string_equal(liveness_state(item(f)), "static");
}

static void test_a_registration_without_one_makes_the_entry_static(void **state)
{
	struct fixture *f = *state;

	must(f, call(f, "a", "host:1"));
	must(f, reg(f, "k1", "host:1"));
	assert_false(has_key(f, "alive/k1"));
	assert_false(has_key(f, "liveness/k1"));
	assert_string_equal(entries(f), "k1=host:1");
	must(f, call(f, "a", "host:1"));
	must(f, set(f, "k1/address", "host:2"));
	assert_false(has_key(f, "alive/k1"));
	assert_false(has_key(f, "liveness/k1"));
	assert_string_equal(entries(f), "k1=host:2");
}

static void test_who_is_unregistered_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	must(f, call(f, "a", "host:1"));
	must(f, reg(f, "k1", ""));
	assert_false(has_key(f, "alive/k1"));
	assert_false(has_key(f, "liveness/k1"));
	assert_string_equal(entries(f), "");
	must(f, reg_alive(f, f->r, "k1", "", "30", "a"));
	assert_string_equal(entries(f), "");
}

static void test_values_beside_the_entry_do_not_matter(void **state)
{
	struct fixture *f = *state;

	must(f, call(f, "a", "host:1"));
	must(f, set(f, "k1/pci", "00:15.0"));
	assert_true(has_key(f, "alive/k1"));
	must(f, set(f, "k1/pci", ""));
	assert_string_equal(liveness_state(item(f)), "ready");
}

static void test_a_new_address_is_written_on_the_same_lease(void **state)
{
	struct fixture *f = *state;
	int64_t lease;

	must(f, call(f, "a", "host:1"));
	lease = live(f).lease;
	must(f, call(f, "a", "host:2"));
	assert_string_equal(entries(f), "k1=host:2");
	assert_int_equal(live(f).lease, lease);
	assert_null(problem(f));
}

static void test_another_time_to_live_is_another_lease(void **state)
{
	struct fixture *f = *state;
	int64_t lease;

	must(f, call(f, "a", "host:1"));
	lease = live(f).lease;
	must(f, reg_alive(f, f->r, "k1", "host:1", "60", "a"));
	assert_int_not_equal(live(f).lease, lease);
	assert_int_equal(live(f).record->ttl, 60);
	must(f, store_lease_revoke(f->store.disk, lease, &f->err));
	assert_string_equal(live(f).instance, "a");
}

static void test_a_lease_that_has_ended_is_made_anew(void **state)
{
	struct fixture *f = *state;
	struct store_kv kv;
	int64_t entry;

	must(f, call(f, "a", "host:1"));
	assert_int_equal(store_get(f->store.disk, "controllers/k1/address",
				   f->arena, &kv, &f->err),
			 1);
	entry = kv.mod_revision;
	end_lease(f);
	assert_null(live(f).instance);
	must(f, call(f, "a", "host:1"));
	assert_string_equal(live(f).instance, "a");
	assert_string_equal(liveness_state(item(f)), "ready");
	/* who watches entries sees no change */
	assert_int_equal(store_get(f->store.disk, "controllers/k1/address",
				   f->arena, &kv, &f->err),
			 1);
	assert_int_equal(kv.mod_revision, entry);
}

static void test_who_was_lost_is_ready_again(void **state)
{
	struct fixture *f = *state;
	int64_t before = units_now();

	must(f, call(f, "a", "host:1"));
	end_lease(f);
	must(f, liveness_mark_lost(f->store.disk, "k1", &f->err));
	assert_in_range(live(f).record->lost, before, units_now());
	assert_string_equal(liveness_state(item(f)), "lost");
	assert_string_equal(entries(f), "k1=host:1");
	must(f, call(f, "a", "host:1"));
	assert_int_equal(live(f).record->lost, 0);
	assert_string_equal(liveness_state(item(f)), "ready");
}

static void test_only_who_is_not_alive_is_marked_as_lost(void **state)
{
	struct fixture *f = *state;
	int64_t before;

	must(f, reg(f, "k1", "host:1"));
	before = revision(f);
	must(f, liveness_mark_lost(f->store.disk, "k1", &f->err));
	must(f, liveness_mark_lost(f->store.disk, "unknown", &f->err));
	assert_int_equal(revision(f), before);
	must(f, call(f, "a", "host:1"));
	before = revision(f);
	must(f, liveness_mark_lost(f->store.disk, "k1", &f->err));
	assert_int_equal(revision(f), before);
	end_lease(f);
	must(f, liveness_mark_lost(f->store.disk, "k1", &f->err));
	before = revision(f);
	must(f, liveness_mark_lost(f->store.disk, "k1", &f->err));
	assert_int_equal(revision(f), before);
}

/* --- arguments --- */

static void test_a_short_time_to_live_is_raised(void **state)
{
	struct fixture *f = *state;

	must(f, reg_alive(f, f->r, "k1", "host:1", "1", "a"));
	assert_int_equal(live(f).record->ttl, STORE_MIN_TTL);
	must(f, reg_alive(f, f->r, "k1", "host:1", "0", "a"));
	assert_int_equal(live(f).record->ttl, STORE_MIN_TTL);
}

static void test_what_is_no_time_to_live_is_refused(void **state)
{
	static const char *const bad[] = {
		"",    "x",          "-1",
		" 5",  "5 ",         "5s",
		"1.5", "9000000001", "99999999999999999999"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(
			reg_alive(f, f->r, "k1", "host:1", bad[i], "a"),
			GRPC_STATUS_INVALID_ARGUMENT);
		says(f, "\"oim-ttl\" in the metadata");
	}
	assert_string_equal(entries(f), "");
}

static void test_a_long_instance_is_refused(void **state)
{
	struct fixture *f = *state;
	char big[66];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(call(f, big, "host:1"), GRPC_STATUS_INVALID_ARGUMENT);
	says(f, "\"oim-instance\" in the metadata");
	must(f, call(f, big + 1, "host:1"));
}

/* --- two of one id --- */

static void test_two_that_register_in_turn_are_a_problem(void **state)
{
	struct fixture *f = *state;

	must(f, call(f, "a", "host:1"));
	must(f, call(f, "b", "host:2"));
	assert_null(problem(f));
	must(f, call(f, "a", "host:1"));
	assert_non_null(problem(f));
	assert_non_null(strstr(problem(f), "\"host:2\""));
	/* the last one counts */
	assert_string_equal(entries(f), "k1=host:1");
	must(f, call(f, "b", "host:2"));
	assert_non_null(strstr(problem(f), "\"host:1\""));
	assert_string_equal(entries(f), "k1=host:2");
	assert_string_equal(liveness_state(item(f)), "ready");
}

static void test_three_that_register_in_turn_are_a_problem(void **state)
{
	struct fixture *f = *state;

	must(f, call(f, "a", "host:1"));
	must(f, call(f, "b", "host:2"));
	must(f, call(f, "c", "host:3"));
	assert_null(problem(f));
	must(f, call(f, "a", "host:1"));
	assert_non_null(problem(f));
}

static void test_who_is_started_anew_is_no_problem(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 20; i++) {
		const char *instance = arena_printf(f->arena, "i%d", i);

		for (int k = 0; k < 3; k++)
			must(f, call(f, instance, "host:1"));
		assert_null(problem(f));
	}
	assert_true(live(f).record->n_former < 10);
}

static void test_who_takes_the_place_of_a_dead_one_is_no_problem(void **state)
{
	struct fixture *f = *state;

	must(f, call(f, "a", "host:1"));
	end_lease(f);
	must(f, call(f, "b", "host:2"));
	end_lease(f);
	must(f, call(f, "a", "host:1"));
	assert_null(problem(f));
}

static void test_who_does_not_say_who_it_is_is_no_problem(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 4; i++) {
		must(f, call(f, NULL, i & 1 ? "host:1" : "host:2"));
		assert_null(problem(f));
	}
	must(f, call(f, "a", "host:1"));
	must(f, call(f, NULL, "host:2"));
	must(f, call(f, "a", "host:1"));
	assert_null(problem(f));
}

static void test_a_problem_ends_when_one_has_gone(void **state)
{
	struct liveness_item old = {"k1", OIM__STATE__V1__LIVENESS__INIT, true};
	struct fixture *f = *state;

	old.record.ttl = 30;
	old.record.contested = units_now() - 29 * UNITS_SECOND;
	assert_non_null(liveness_problem(&old, f->arena));
	old.record.contested = units_now() - 31 * UNITS_SECOND;
	assert_null(liveness_problem(&old, f->arena));
}

/* --- faults and races --- */

static void test_a_store_that_is_away_is_unavailable(void **state)
{
	struct fixture *f = *state;

	must(f, call(f, "a", "host:1"));
	f->store.is_unreadable = true;
	assert_int_equal(call(f, "a", "host:1"), GRPC_STATUS_UNAVAILABLE);
	assert_int_equal(call(f, "a", "host:2"), GRPC_STATUS_UNAVAILABLE);
	f->store.is_unreadable = false;
	assert_string_equal(entries(f), "k1=host:1");
}

static void test_a_write_that_fails_can_be_repeated(void **state)
{
	struct fixture *f = *state;

	for (int kind = FAULTY_FULL; kind <= FAULTY_UNKNOWN; kind++) {
		faulty_break(&f->store, 1, kind, false);
		assert_int_not_equal(call(f, "a", "host:1"), 0);
		faulty_mend(&f->store);
		must(f, call(f, "a", "host:1"));
		assert_string_equal(live(f).instance, "a");
		must(f, reg(f, "k1", ""));
	}
}

struct racer {
	pthread_t thread;
	struct fixture own; /* shares the store, nothing else */
	const char *instance;
};

static void *race(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < 200; i++) {
		int code = call(&r->own, r->instance, r->instance);

		assert_true(code == 0 || code == GRPC_STATUS_ABORTED);
	}
	return NULL;
}

/* As if by another daemon of the registry. */
static void start(struct racer *r, struct fixture *f, void *(*fn)(void *arg))
{
	r->own.r = registry_new(f->store.disk);
	r->own.arena = arena_new();
	assert_int_equal(pthread_create(&r->thread, NULL, fn, r), 0);
}

static void finish(struct racer *r)
{
	pthread_join(r->thread, NULL);
	registry_free(r->own.r);
	arena_free(r->own.arena);
	err_clear(&r->own.err);
}

static void test_daemons_that_race_leave_one_whole_registration(void **state)
{
	struct fixture *f = *state;
	struct racer racers[4] = {{.instance = "a"},
				  {.instance = "b"},
				  {.instance = "c"},
				  {.instance = "d"}};

	for (int i = 0; i < 4; i++)
		start(&racers[i], f, race);
	for (int i = 0; i < 4; i++)
		finish(&racers[i]);
	assert_string_equal(find(f, "k1"), live(f).instance);
	assert_int_equal(live(f).record->ttl, 30);
}

static void *race_static(void *arg)
{
	struct racer *r = arg;

	for (int i = 0; i < 200; i++)
		must(&r->own, reg(&r->own, "k1", "static"));
	return NULL;
}

static void test_of_static_and_alive_one_is_left_whole(void **state)
{
	struct fixture *f = *state;
	struct racer racers[2] = {{.instance = "a"}};
	bool is_static;

	start(&racers[0], f, race);
	start(&racers[1], f, race_static);
	finish(&racers[0]);
	finish(&racers[1]);
	is_static = strcmp(find(f, "k1"), "static") == 0;
	assert_int_equal(is_static, !live(f).record);
	assert_int_equal(is_static, !has_key(f, "alive/k1"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		REGISTRY_TEST(test_a_time_to_live_is_kept_beside_the_entry),
		REGISTRY_TEST(test_a_renewal_writes_nothing),
		REGISTRY_TEST(test_any_daemon_of_the_registry_renews),
		REGISTRY_TEST(test_an_entry_without_one_is_static),
		REGISTRY_TEST(
			test_a_registration_without_one_makes_the_entry_static),
		REGISTRY_TEST(test_who_is_unregistered_leaves_nothing),
		REGISTRY_TEST(test_values_beside_the_entry_do_not_matter),
		REGISTRY_TEST(test_a_new_address_is_written_on_the_same_lease),
		REGISTRY_TEST(test_another_time_to_live_is_another_lease),
		REGISTRY_TEST(test_a_lease_that_has_ended_is_made_anew),
		REGISTRY_TEST(test_who_was_lost_is_ready_again),
		REGISTRY_TEST(test_only_who_is_not_alive_is_marked_as_lost),
		REGISTRY_TEST(test_a_short_time_to_live_is_raised),
		REGISTRY_TEST(test_what_is_no_time_to_live_is_refused),
		REGISTRY_TEST(test_a_long_instance_is_refused),
		REGISTRY_TEST(test_two_that_register_in_turn_are_a_problem),
		REGISTRY_TEST(test_three_that_register_in_turn_are_a_problem),
		REGISTRY_TEST(test_who_is_started_anew_is_no_problem),
		REGISTRY_TEST(
			test_who_takes_the_place_of_a_dead_one_is_no_problem),
		REGISTRY_TEST(test_who_does_not_say_who_it_is_is_no_problem),
		REGISTRY_TEST(test_a_problem_ends_when_one_has_gone),
		REGISTRY_TEST(test_a_store_that_is_away_is_unavailable),
		REGISTRY_TEST(test_a_write_that_fails_can_be_repeated),
		REGISTRY_TEST(
			test_daemons_that_race_leave_one_whole_registration),
		REGISTRY_TEST(test_of_static_and_alive_one_is_left_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Controllers that register themselves, here and elsewhere. */

#include "daemon/core/announce.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <grpc/support/alloc.h>

#include "daemon/log.h"
#include "oim/v0/oim.pb-c.h"
#include "proto/lib/client.h"
#include "proto/lib/units.h"
#include "tests/unit/core.h"
#include "tests/unit/echo.h"
#include "tests/unit/log_capture.h"

#define MS (UNITS_SECOND / 1000)

/* How long a test waits for what must come. */
#define PATIENCE (20 * UNITS_SECOND)

#define MAX_CALLS 64

/* What the registry of a test has seen, and what it answers. */
static struct seen {
	pthread_mutex_t mu;
	pthread_cond_t changed;
	unsigned n;
	int64_t at[MAX_CALLS]; /* of CLOCK_MONOTONIC */
	char *peer[MAX_CALLS];
	char *id, *address, *ttl, *instance; /* of the last call */
	int code;                            /* that is answered */
	bool hangs;                          /* nothing is answered */
} seen = {.mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static char *text_of(grpc_slice slice)
{
	return mem_dup(GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
}

static void replace(char **old, char *new)
{
	free(*old);
	*old = new;
}

static void see_request(struct echo_call *c)
{
	grpc_byte_buffer *buffer = echo_receive(c);
	grpc_byte_buffer_reader reader;
	Oim__V0__RegisterControllerRequest *r;
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	grpc_slice all;

	grpc_byte_buffer_reader_init(&reader, buffer);
	all = grpc_byte_buffer_reader_readall(&reader);
	r = arena_unpack(a, &oim__v0__register_controller_request__descriptor,
			 GRPC_SLICE_START_PTR(all), GRPC_SLICE_LENGTH(all));
	replace(&seen.id, mem_strdup(r->controller_id));
	replace(&seen.address, mem_strdup(r->address));
	grpc_slice_unref(all);
	grpc_byte_buffer_reader_destroy(&reader);
	grpc_byte_buffer_destroy(buffer);
}

static void see_metadata(struct echo_call *c)
{
	for (size_t i = 0; i < c->md.count; i++) {
		const grpc_metadata *md = &c->md.metadata[i];

		if (grpc_slice_str_cmp(md->key, "oim-ttl") == 0)
			replace(&seen.ttl, text_of(md->value));
		if (grpc_slice_str_cmp(md->key, "oim-instance") == 0)
			replace(&seen.instance, text_of(md->value));
	}
}

static void serve_register(struct echo_call *c)
{
	char *peer = grpc_call_get_peer(c->call);
	int code;
	bool hangs;

	pthread_mutex_lock(&seen.mu);
	see_request(c);
	see_metadata(c);
	if (seen.n < MAX_CALLS) {
		seen.at[seen.n] = units_monotonic();
		seen.peer[seen.n++] = mem_strdup(peer);
	}
	code = seen.code;
	hangs = seen.hangs;
	pthread_cond_signal(&seen.changed);
	pthread_mutex_unlock(&seen.mu);
	gpr_free(peer);
	if (hangs)
		echo_wait_for_cancel(c);
	else if (!code)
		echo_send(c, grpc_raw_byte_buffer_create(NULL, 0));
	echo_finish(c, code, code ? "not today" : "", NULL, 0);
}

static const struct echo_method methods[] = {
	{"/oim.v0.Registry/RegisterController", serve_register},
	{NULL, NULL},
};

struct fixture {
	struct echo registry; /* of another daemon */
	char *dir;
	struct store *store;
	struct registry *local;
	struct announce *announce;
	struct arena *arena;
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));

	log_set_level(0);
	echo_start(&f->registry, "127.0.0.1:0", methods, NULL);
	f->dir = core_make_dir();
	f->store = core_open_store(f->dir);
	f->local = registry_new(f->store);
	f->arena = arena_new();
	seen.code = 0;
	seen.hangs = false;
	*state = f;
	return 0;
}

static void forget(void)
{
	pthread_mutex_lock(&seen.mu);
	while (seen.n)
		free(seen.peer[--seen.n]);
	replace(&seen.id, NULL);
	replace(&seen.address, NULL);
	replace(&seen.ttl, NULL);
	replace(&seen.instance, NULL);
	pthread_mutex_unlock(&seen.mu);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	announce_stop(f->announce);
	if (f->registry.server)
		echo_stop(&f->registry);
	registry_free(f->local);
	store_close(f->store);
	core_remove_dir(f->dir);
	arena_free(f->arena);
	free(f);
	forget();
	return 0;
}

static void start(struct fixture *f, const char *registry, int64_t interval)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const struct announce_config config = {.controller = "k1",
					       .address = "dns:///k1:1",
					       .registry = registry,
					       .local = f->local,
					       .interval = interval};

	f->announce = announce_start(&config, &err);
	if (!f->announce)
		fail_msg("%s", err.msg);
}

/* Waits until the registry has seen so many calls. */
static void wait_for_calls(unsigned n)
{
	int64_t until = units_monotonic() + PATIENCE;
	struct timespec ts = {until / UNITS_SECOND, until % UNITS_SECOND};
	int rc = 0;

	pthread_mutex_lock(&seen.mu);
	while (seen.n < n && rc == 0)
		rc = pthread_cond_clockwait(&seen.changed, &seen.mu,
					    CLOCK_MONOTONIC, &ts);
	pthread_mutex_unlock(&seen.mu);
	assert_int_equal(rc, 0);
}

/* Waits until an attempt has succeeded, or failed, for the status to tell. */
static struct announce_status wait_for_status(struct fixture *f, bool is_well)
{
	int64_t until = units_monotonic() + PATIENCE;
	struct announce_status status;

	do {
		assert_true(units_monotonic() < until);
		announce_status(f->announce, &status);
		if (is_well ? status.succeeded && !status.problem
			    : status.problem != NULL)
			return status;
		free(status.problem);
		sched_yield();
	} while (true);
}

static int64_t revision(struct fixture *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_status status;

	assert_int_equal(store_check(f->store, &status, &err), 0);
	return status.revision;
}

/* Waits until the local registry has that address for k1. */
static void wait_for_entry(struct fixture *f, const char *address)
{
	int64_t until = units_monotonic() + PATIENCE;

	for (;;) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		const char *found = NULL;

		assert_true(units_monotonic() < until);
		if (registry_find(f->local, "k1", f->arena, &found, &err) ==
			    1 &&
		    strcmp(found, address) == 0)
			return;
		sched_yield();
	}
}

/* --- elsewhere --- */

static void test_a_controller_registers_at_once_with_its_time_to_live(
	void **state)
{
	struct fixture *f = *state;

	start(f, f->registry.address, 60 * UNITS_SECOND);
	wait_for_calls(1);
	assert_string_equal(seen.id, "k1");
	assert_string_equal(seen.address, "dns:///k1:1");
	assert_string_equal(seen.ttl, "180");
}

static void test_a_time_to_live_is_in_whole_seconds(void **state)
{
	struct fixture *f = *state;

	start(f, f->registry.address, 3100 * MS);
	wait_for_calls(1);
	assert_string_equal(seen.ttl, "10");
}

static void test_a_time_to_live_is_not_shorter_than_stores_can_tell(
	void **state)
{
	struct fixture *f = *state;

	start(f, f->registry.address, 100 * MS);
	wait_for_calls(1);
	assert_string_equal(seen.ttl, "5");
}

static void test_it_says_who_it_is_until_it_is_started_anew(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *first = NULL;

	start(f, f->registry.address, 50 * MS);
	wait_for_calls(1);
	first = mem_strdup(seen.instance);
	assert_int_equal(strlen(first), 32);
	wait_for_calls(3);
	assert_string_equal(seen.instance, first);
	announce_stop(f->announce);
	forget();
	start(f, f->registry.address, 50 * MS);
	wait_for_calls(1);
	assert_string_not_equal(seen.instance, first);
}

static void test_the_longest_interval_has_a_time_to_live(void **state)
{
	struct fixture *f = *state;

	start(f, f->registry.address, 365 * 86400 * UNITS_SECOND);
	wait_for_calls(1);
	assert_string_equal(seen.ttl, "94608000");
}

static void test_it_repeats_every_interval_on_one_connection(void **state)
{
	struct fixture *f = *state;

	start(f, f->registry.address, 50 * MS);
	wait_for_calls(5);
	for (int i = 1; i < 5; i++) {
		assert_string_equal(seen.peer[i], seen.peer[0]);
		assert_true(seen.at[i] - seen.at[i - 1] >= 40 * MS - MS);
	}
}

static void test_intervals_are_not_all_the_same(void **state)
{
	struct fixture *f = *state;
	int64_t least = INT64_MAX, most = 0;

	start(f, f->registry.address, 50 * MS);
	wait_for_calls(12);
	for (int i = 1; i < 12; i++) {
		int64_t gap = seen.at[i] - seen.at[i - 1];

		least = gap < least ? gap : least;
		most = gap > most ? gap : most;
	}
	assert_true(most - least > 2 * MS);
}

static void test_after_a_failure_it_comes_sooner_and_then_less_often(
	void **state)
{
	struct fixture *f = *state;

	seen.code = GRPC_STATUS_UNAVAILABLE;
	start(f, f->registry.address, 60 * UNITS_SECOND);
	wait_for_calls(3);
	assert_in_range(seen.at[1] - seen.at[0], 790 * MS, 1400 * MS);
	assert_in_range(seen.at[2] - seen.at[1], 1590 * MS, 2600 * MS);
}

static void test_it_never_waits_longer_than_the_interval(void **state)
{
	struct fixture *f = *state;

	seen.code = GRPC_STATUS_UNAVAILABLE;
	start(f, f->registry.address, 50 * MS);
	wait_for_calls(6);
	for (int i = 1; i < 6; i++)
		assert_true(seen.at[i] - seen.at[i - 1] < 500 * MS);
}

static void test_the_status_tells_of_problems_and_their_end(void **state)
{
	struct fixture *f = *state;
	struct announce_status status;
	int64_t before = units_now();

	seen.code = GRPC_STATUS_PERMISSION_DENIED;
	start(f, f->registry.address, 20 * MS);
	status = wait_for_status(f, false);
	assert_non_null(strstr(status.problem, "not today"));
	assert_int_equal(status.succeeded, 0);
	assert_string_equal(status.registry, f->registry.address);
	assert_string_equal(status.address, "dns:///k1:1");
	free(status.problem);
	seen.code = 0;
	status = wait_for_status(f, true);
	assert_in_range(status.succeeded, before, units_now());
}

static void test_a_row_of_failures_is_told_once_and_so_is_its_end(void **state)
{
	CLEANUP(cleanup_free) char *text = NULL;
	struct fixture *f = *state;
	struct log_capture log;
	struct announce_status status;
	const char *line;

	log_set_level(LOG_LEVEL_INFO);
	log_capture_begin(&log);
	seen.code = GRPC_STATUS_UNAVAILABLE;
	start(f, f->registry.address, 20 * MS);
	wait_for_calls(4);
	seen.code = 0;
	status = wait_for_status(f, true);
	assert_null(status.problem);
	announce_stop(f->announce);
	f->announce = NULL;
	text = log_capture_end(&log);
	line = strstr(text, "cannot register: not today\n");
	assert_non_null(line);
	assert_null(strstr(line + 1, "cannot register"));
	line = strstr(line, "is registered again\n");
	assert_non_null(line);
	assert_null(strstr(line + 1, "is registered"));
}

static void test_it_finds_a_registry_that_comes_later(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free)
	char *address = mem_printf("unix:%s/registry.sock", f->dir);
	struct announce_status status;

	echo_stop(&f->registry);
	f->registry.server = NULL;
	start(f, address, 50 * MS);
	status = wait_for_status(f, false);
	free(status.problem);
	echo_start(&f->registry, address, methods, NULL);
	wait_for_calls(1);
	assert_string_equal(seen.id, "k1");
}

static void test_stopping_waits_for_no_answer_and_complains_of_none(
	void **state)
{
	CLEANUP(cleanup_free) char *text = NULL;
	struct fixture *f = *state;
	struct log_capture log;
	int64_t before;

	seen.hangs = true;
	start(f, f->registry.address, 60 * UNITS_SECOND);
	wait_for_calls(1);
	log_set_level(LOG_LEVEL_INFO);
	log_capture_begin(&log);
	before = units_monotonic();
	announce_stop(f->announce);
	f->announce = NULL;
	text = log_capture_end(&log);
	assert_true(units_monotonic() - before < 2 * UNITS_SECOND);
	assert_string_equal(text, "");
}

static void test_stopping_does_not_wait_for_the_interval_nor_deregisters(
	void **state)
{
	struct fixture *f = *state;
	struct announce_status status;
	int64_t before;

	start(f, f->registry.address, 60 * UNITS_SECOND);
	status = wait_for_status(f, true);
	assert_null(status.problem);
	before = units_monotonic();
	announce_stop(f->announce);
	f->announce = NULL;
	assert_true(units_monotonic() - before < 2 * UNITS_SECOND);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.address, "dns:///k1:1");
}

static void test_a_registry_that_cannot_be_dialled_is_refused(void **state)
{
	struct fixture *f = *state;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const struct announce_config config = {.controller = "k1",
					       .address = "x",
					       .registry = "foo://bar",
					       .interval = UNITS_SECOND};

	(void)f;
	assert_null(announce_start(&config, &err));
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_non_null(strstr(err.msg, "registry of controller \"k1\""));
}

/* --- here --- */

static void test_with_its_own_registry_a_repeat_writes_nothing(void **state)
{
	struct fixture *f = *state;
	struct announce_status status;
	int64_t first;

	start(f, NULL, MS);
	wait_for_entry(f, "dns:///k1:1");
	status = wait_for_status(f, true);
	first = status.succeeded;
	assert_string_equal(status.registry, "local");
	while (wait_for_status(f, true).succeeded < first + 20 * MS)
		;
	assert_int_equal(revision(f), 1);
}

static void test_an_entry_that_somebody_changed_is_restored(void **state)
{
	struct fixture *f = *state;
	CLEANUP(err_clear) struct err err = ERR_INIT;

	start(f, NULL, 10 * MS);
	wait_for_entry(f, "dns:///k1:1");
	assert_int_equal(registry_register_now(f->local, &op_self, "k1",
					       "dns:///evil:1", &err),
			 0);
	wait_for_entry(f, "dns:///k1:1");
	assert_int_equal(
		registry_register_now(f->local, &op_self, "k1", "", &err), 0);
	wait_for_entry(f, "dns:///k1:1");
}

static void test_the_entry_stays_when_it_stops(void **state)
{
	struct fixture *f = *state;

	start(f, NULL, UNITS_SECOND);
	wait_for_entry(f, "dns:///k1:1");
	announce_stop(f->announce);
	f->announce = NULL;
	wait_for_entry(f, "dns:///k1:1");
	announce_stop(NULL);
}

#define ANNOUNCE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		ANNOUNCE_TEST(
			test_a_controller_registers_at_once_with_its_time_to_live),
		ANNOUNCE_TEST(test_a_time_to_live_is_in_whole_seconds),
		ANNOUNCE_TEST(
			test_a_time_to_live_is_not_shorter_than_stores_can_tell),
		ANNOUNCE_TEST(test_it_says_who_it_is_until_it_is_started_anew),
		ANNOUNCE_TEST(test_the_longest_interval_has_a_time_to_live),
		ANNOUNCE_TEST(test_it_repeats_every_interval_on_one_connection),
		ANNOUNCE_TEST(test_intervals_are_not_all_the_same),
		ANNOUNCE_TEST(
			test_after_a_failure_it_comes_sooner_and_then_less_often),
		ANNOUNCE_TEST(test_it_never_waits_longer_than_the_interval),
		ANNOUNCE_TEST(test_the_status_tells_of_problems_and_their_end),
		ANNOUNCE_TEST(
			test_a_row_of_failures_is_told_once_and_so_is_its_end),
		ANNOUNCE_TEST(test_it_finds_a_registry_that_comes_later),
		ANNOUNCE_TEST(
			test_stopping_waits_for_no_answer_and_complains_of_none),
		ANNOUNCE_TEST(
			test_stopping_does_not_wait_for_the_interval_nor_deregisters),
		ANNOUNCE_TEST(
			test_a_registry_that_cannot_be_dialled_is_refused),
		ANNOUNCE_TEST(
			test_with_its_own_registry_a_repeat_writes_nothing),
		ANNOUNCE_TEST(test_an_entry_that_somebody_changed_is_restored),
		ANNOUNCE_TEST(test_the_entry_stays_when_it_stops),
	};

	client_silence_core();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

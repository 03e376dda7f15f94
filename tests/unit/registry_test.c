/* The registry: entries and values, one set of data with two views. */

#include "daemon/core/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ftw.h>
#include <pthread.h>
#include <sys/stat.h>

#include "daemon/log.h"
#include "oim/state/v1/state.pb-c.h"
#include "oim/v0/oim.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"
#include "tests/unit/core.h"
#include "tests/unit/log_capture.h"

struct fixture {
	char *dir;
	struct faulty_store store;
	struct registry *r;
	struct arena *arena;
	struct err err; /* of the last call */
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));

	log_set_level(0);
	f->dir = core_make_dir();
	f->store.store.engine = &faulty_engine;
	f->store.disk = core_open_store(f->dir);
	f->r = registry_new(&f->store.store);
	f->arena = arena_new();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	registry_free(f->r);
	store_close(f->store.disk);
	core_remove_dir(f->dir);
	arena_free(f->arena);
	err_clear(&f->err);
	free(f);
	return 0;
}

static int64_t revision(struct fixture *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_status status;

	assert_int_equal(store_check(f->store.disk, &status, &err), 0);
	return status.revision;
}

/* --- calls, as whom; what comes of them, as a code --- */

static int register_as(struct fixture *f, const struct caller *caller,
		       const char *id, const char *address)
{
	const struct op op = {.caller = caller, .deadline = INT64_MAX};

	err_clear(&f->err);
	registry_register_now(f->r, &op, id, address, &f->err);
	return f->err.code;
}

static int reg(struct fixture *f, const char *id, const char *address)
{
	return register_as(f, &audit_self, id, address);
}

struct waiter {
	pthread_mutex_t mu;
	pthread_cond_t changed;
	int n;
};

static void on_done(struct registry_change *change)
{
	struct waiter *w = change->arg;

	pthread_mutex_lock(&w->mu);
	w->n++;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->mu);
}

static int set_as(struct fixture *f, const struct caller *caller,
		  const char *path, const char *value)
{
	const struct op op = {.caller = caller, .deadline = INT64_MAX};
	struct waiter w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
			   0};
	struct registry_change change = {.op = &op,
					 .arena = f->arena,
					 .path = path,
					 .value = value,
					 .done = on_done,
					 .arg = &w};

	registry_set(f->r, &change);
	pthread_mutex_lock(&w.mu);
	while (!w.n)
		pthread_cond_wait(&w.changed, &w.mu);
	pthread_mutex_unlock(&w.mu);
	assert_int_equal(w.n, 1);
	err_move(&f->err, &change.err);
	return f->err.code;
}

static int set(struct fixture *f, const char *path, const char *value)
{
	return set_as(f, &audit_self, path, value);
}

/* The values at a path as "path=value,path=value", in the arena. */
static const char *values(struct fixture *f, const char *path)
{
	struct registry_value *all;
	const char *text = "";
	size_t n;

	err_clear(&f->err);
	if (registry_values(f->r, path, f->arena, &all, &n, &f->err) == -1)
		return NULL;
	for (size_t i = 0; i < n; i++)
		text = arena_printf(f->arena, "%s%s%s=%s", text, i ? "," : "",
				    all[i].path, all[i].value);
	return text;
}

/* All entries in the same way, from their records. */
static const char *entries(struct fixture *f)
{
	struct registry_entry *all;
	const char *text = "";
	size_t n;

	err_clear(&f->err);
	if (registry_entries(f->r, f->arena, &all, &n, &f->err) == -1)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		/* records are oim.v0.DBEntry on the wire */
		Oim__V0__DBEntry *e =
			arena_unpack(f->arena, &oim__v0__dbentry__descriptor,
				     all[i].record, all[i].size);

		assert_non_null(e);
		assert_string_equal(e->controller_id, all[i].id);
		text = arena_printf(f->arena, "%s%s%s=%s", text, i ? "," : "",
				    e->controller_id, e->address);
	}
	return text;
}

static const char *find(struct fixture *f, const char *id)
{
	const char *address = NULL;

	err_clear(&f->err);
	return registry_find(f->r, id, f->arena, &address, &f->err) == 1
		       ? address
		       : NULL;
}

static void says(struct fixture *f, const char *text)
{
	if (!strstr(f->err.msg, text))
		fail_msg("\"%s\" does not say \"%s\"", f->err.msg, text);
}

/* --- entries --- */

static void test_an_entry_is_added_overwritten_and_removed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, "host-0", "dns:///a:1"), 0);
	assert_string_equal(find(f, "host-0"), "dns:///a:1");
	assert_int_equal(reg(f, "host-0", "dns:///b:2"), 0);
	assert_string_equal(entries(f), "host-0=dns:///b:2");
	assert_int_equal(reg(f, "host-0", ""), 0);
	assert_string_equal(entries(f), "");
	assert_null(find(f, "host-0"));
	assert_int_equal(f->err.code, 0);
}

static void test_a_repeat_of_any_change_writes_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, "a", "x"), 0);
	assert_int_equal(set(f, "a/pci", "00:15.0"), 0);
	assert_int_equal(revision(f), 2);
	assert_int_equal(reg(f, "a", "x"), 0);
	assert_int_equal(set(f, "a/address", "x"), 0);
	assert_int_equal(set(f, "/a//pci/", "00:15.0"), 0);
	assert_int_equal(reg(f, "b", ""), 0);
	assert_int_equal(set(f, "b/pci", ""), 0);
	assert_int_equal(f->store.writes, 2);
	assert_int_equal(revision(f), 2);
}

static void test_addresses_are_kept_as_given(void **state)
{
	static const char *const forms[] = {"foo://bar",
					    "bogus",
					    "unix:///tmp/x",
					    ":8999",
					    "tcp://host:8999",
					    "a b=c",
					    "\xc3\xa4",
					    "/",
					    "ipv4:///oim-controller:8999"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		assert_int_equal(reg(f, "a", forms[i]), 0);
		assert_string_equal(find(f, "a"), forms[i]);
	}
}

static void test_an_id_that_cannot_be_one_is_refused(void **state)
{
	static const char *const bad[] = {"",     "a/b",         "/",
					  "a\n",  "\x1f",        "\x7f",
					  "\xff", "\xc2\x85",    "\xed\xa0\x80",
					  "a\tb", "\xe2\x80\xa9"};
	struct fixture *f = *state;
	char big[ID_MAX + 2];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(reg(f, big, "x"), GRPC_STATUS_INVALID_ARGUMENT);
	says(f, "254 bytes");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(reg(f, bad[i], "x"),
				 GRPC_STATUS_INVALID_ARGUMENT);
		assert_int_equal(reg(f, bad[i], ""),
				 GRPC_STATUS_INVALID_ARGUMENT);
	}
	assert_int_equal(f->store.writes, 0);
}

static void test_any_other_id_is_kept_byte_for_byte(void **state)
{
	static const char *const ids[] = {" ",        "a b",       "a=b",
					  "\xc3\xa4", "a\xcc\x88", "address",
					  "h-1",      "%41"};
	struct fixture *f = *state;
	char big[ID_MAX + 1];

	memset(big, 'x', ID_MAX);
	big[ID_MAX] = '\0';
	assert_int_equal(reg(f, big, "big"), 0);
	assert_string_equal(find(f, big), "big");
	assert_int_equal(reg(f, big, ""), 0);
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
		assert_int_equal(reg(f, ids[i], ids[i]), 0);
		assert_string_equal(find(f, ids[i]), ids[i]);
		assert_string_equal(entries(f), arena_printf(f->arena, "%s=%s",
							     ids[i], ids[i]));
		assert_int_equal(reg(f, ids[i], ""), 0);
	}
}

static void test_entries_are_sorted_by_id(void **state)
{
	static const char *const ids[] = {"b", "a-b",      "a",  "a.b",
					  "A", "\xc3\xa4", "a!", "a0"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
		assert_int_equal(reg(f, ids[i], "x"), 0);
	assert_string_equal(entries(f),
			    "A=x,a=x,a!=x,a-b=x,a.b=x,a0=x,b=x,\xc3\xa4=x");
}

static void test_many_entries_are_all_listed(void **state)
{
	struct fixture *f = *state;
	struct registry_entry *all;
	size_t n;

	for (int i = 0; i < 1000; i++)
		assert_int_equal(
			reg(f, arena_printf(f->arena, "host-%04d", i), "x"), 0);
	assert_int_equal(registry_entries(f->r, f->arena, &all, &n, &f->err),
			 0);
	assert_int_equal(n, 1000);
	assert_string_equal(all[999].id, "host-0999");
}

static void test_what_cannot_be_an_id_is_not_registered(void **state)
{
	struct fixture *f = *state;
	char big[4096];

	/* where an entry of "a/b" would be, were that an id */
	assert_int_equal(set(f, "a/b/address", "not an entry"), 0);
	assert_null(find(f, "a/b"));
	assert_int_equal(f->err.code, 0);
	assert_null(find(f, ""));
	assert_int_equal(f->err.code, 0);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_null(find(f, big));
	assert_int_equal(f->err.code, 0);
}

/* --- values --- */

static void test_an_entry_is_seen_through_both_views(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, "a", "one"), 0);
	assert_string_equal(values(f, "a/address"), "a/address=one");
	assert_int_equal(set(f, "a/address", "two"), 0);
	assert_string_equal(entries(f), "a=two");
	assert_int_equal(set(f, "b/address", "three"), 0);
	assert_string_equal(find(f, "b"), "three");
	assert_int_equal(set(f, "a/address", ""), 0);
	assert_int_equal(reg(f, "b", ""), 0);
	assert_string_equal(values(f, ""), "");
	assert_string_equal(entries(f), "");
}

static void test_other_values_are_no_entries(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set(f, "a/pci", "1"), 0);
	assert_int_equal(set(f, "a/address/port", "2"), 0);
	assert_int_equal(set(f, "a/b/address", "3"), 0);
	assert_int_equal(set(f, "address", "4"), 0);
	assert_int_equal(set(f, "a", "5"), 0);
	assert_string_equal(entries(f), "");
	assert_null(find(f, "a"));
	assert_string_equal(
		values(f, ""),
		"a=5,a/address/port=2,a/b/address=3,a/pci=1,address=4");
}

static void test_a_path_finds_what_is_at_it_and_below_it(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, "host", "x"), 0);
	assert_int_equal(reg(f, "host-0", "y"), 0);
	assert_int_equal(set(f, "host", "self"), 0);
	assert_int_equal(set(f, "host/pci", "z"), 0);
	assert_string_equal(values(f, "host"),
			    "host=self,host/address=x,host/pci=z");
	assert_string_equal(values(f, "/host/"),
			    "host=self,host/address=x,host/pci=z");
	assert_string_equal(values(f, "host///address"), "host/address=x");
	assert_string_equal(values(f, "hos"), "");
	assert_string_equal(values(f, "host/pci/deeper"), "");
	assert_string_equal(values(f, "///"), values(f, ""));
}

static void test_values_are_sorted_by_path(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set(f, "a/b", "1"), 0);
	assert_int_equal(set(f, "a-b", "2"), 0);
	assert_int_equal(set(f, "a", "3"), 0);
	assert_int_equal(set(f, "a/a", "4"), 0);
	assert_string_equal(values(f, ""), "a=3,a-b=2,a/a=4,a/b=1");
	assert_string_equal(values(f, "a"), "a=3,a/a=4,a/b=1");
}

static void test_a_bad_path_is_refused_by_both_ways(void **state)
{
	static const char *const bad[] = {".",    "..",   "a/..",   "a/./b",
					  "../a", "a\nb", "a/\x7f", "a/b/.."};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(set(f, bad[i], "x"),
				 GRPC_STATUS_INVALID_ARGUMENT);
		assert_null(values(f, bad[i]));
		assert_int_equal(f->err.code, GRPC_STATUS_INVALID_ARGUMENT);
	}
	assert_int_equal(set(f, "a/../b", "x"), GRPC_STATUS_INVALID_ARGUMENT);
	says(f, "\"..\" is not allowed");
	assert_int_equal(set(f, "", "x"), GRPC_STATUS_INVALID_ARGUMENT);
	says(f, "empty path");
	assert_int_equal(set(f, "//", "x"), GRPC_STATUS_INVALID_ARGUMENT);
	assert_int_equal(f->store.writes, 0);
}

static void test_dots_within_an_element_are_fine(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set(f, "a/...", "1"), 0);
	assert_int_equal(set(f, "a/.b", "2"), 0);
	assert_int_equal(set(f, "a/b..", "3"), 0);
	assert_string_equal(values(f, "a"), "a/...=1,a/.b=2,a/b..=3");
}

static void test_the_longest_path_is_set_and_found(void **state)
{
	struct fixture *f = *state;
	char path[600];
	size_t most = STORE_MAX_KEY - strlen("controllers//");

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	path[1] = '/';
	assert_int_equal(set(f, path, "v"), GRPC_STATUS_INVALID_ARGUMENT);
	says(f, "too long");
	assert_null(values(f, path));
	path[most + 1] = '\0';
	assert_int_equal(set(f, path, "v"), GRPC_STATUS_INVALID_ARGUMENT);
	path[most] = '\0';
	assert_int_equal(set(f, path, "v"), 0);
	assert_string_equal(values(f, path),
			    arena_printf(f->arena, "%s=v", path));
}

static void test_an_address_set_for_what_is_no_id_is_refused(void **state)
{
	struct fixture *f = *state;
	char path[ID_MAX + 20];

	memset(path, 'x', ID_MAX + 1);
	snprintf(path + ID_MAX + 1, sizeof(path) - ID_MAX - 1, "/address");
	assert_int_equal(set(f, path, "v"), GRPC_STATUS_INVALID_ARGUMENT);
	says(f, "controller id of 254 bytes");
}

static void test_a_value_that_is_too_large_is_refused(void **state)
{
	struct fixture *f = *state;
	size_t size = STORE_MAX_VALUE + 1;
	char *value = arena_alloc(f->arena, size + 1);

	memset(value, 'x', size);
	value[size] = '\0';
	assert_int_equal(set(f, "a/b", value), GRPC_STATUS_INVALID_ARGUMENT);
	value[1000] = '\0';
	assert_int_equal(set(f, "a/b", value), 0);
}

/* --- failures --- */

static void test_a_change_that_was_not_stored_fails_and_can_be_repeated(
	void **state)
{
	struct fixture *f = *state;

	faulty_break(&f->store, 1, FAULTY_FULL, false);
	assert_int_equal(reg(f, "a", "x"), GRPC_STATUS_RESOURCE_EXHAUSTED);
	assert_null(find(f, "a"));
	assert_int_equal(reg(f, "a", "x"), 0);
	faulty_break(&f->store, 1, FAULTY_UNKNOWN, false);
	assert_int_equal(reg(f, "a", "y"), GRPC_STATUS_UNAVAILABLE);
	assert_int_equal(reg(f, "a", "y"), 0);
	assert_string_equal(entries(f), "a=y");
}

static void test_a_store_that_is_away_is_unavailable_not_empty(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, "a", "x"), 0);
	f->store.is_unreadable = true;
	assert_null(find(f, "a"));
	assert_int_equal(f->err.code, GRPC_STATUS_UNAVAILABLE);
	assert_null(entries(f));
	assert_int_equal(f->err.code, GRPC_STATUS_UNAVAILABLE);
	assert_null(values(f, ""));
	assert_int_equal(f->err.code, GRPC_STATUS_UNAVAILABLE);
	assert_int_equal(reg(f, "a", "x"), GRPC_STATUS_UNAVAILABLE);
}

static void test_a_damaged_record_is_data_loss_and_named(void **state)
{
	struct fixture *f = *state;
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_int_equal(store_put(f->store.disk, "controllers/a/address",
				   "\xff", 1, &err),
			 0);
	assert_null(find(f, "a"));
	assert_int_equal(f->err.code, GRPC_STATUS_DATA_LOSS);
	says(f, "\"a\"");
	assert_null(values(f, "a"));
	assert_int_equal(f->err.code, GRPC_STATUS_DATA_LOSS);
	assert_int_equal(reg(f, "a", "x"), 0);
	assert_string_equal(entries(f), "a=x");
}

/* --- who --- */

static const char *const names_x[] = {"controller.x", NULL};
static const struct caller controller_x = {.names = names_x};

static void test_a_controller_registers_itself_only(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(register_as(f, &controller_x, "x", "h:1"), 0);
	assert_int_equal(set_as(f, &controller_x, "x/address", "h:2"), 0);
	assert_int_equal(set_as(f, &controller_x, "x/pci/slot", "1"), 0);
	assert_int_equal(set_as(f, &controller_x, "x", "1"), 0);
	assert_int_equal(register_as(f, &controller_x, "y", "h:1"),
			 GRPC_STATUS_PERMISSION_DENIED);
	assert_int_equal(set_as(f, &controller_x, "y/address", "h:1"),
			 GRPC_STATUS_PERMISSION_DENIED);
	assert_int_equal(set_as(f, &controller_x, "x-1/pci", "1"),
			 GRPC_STATUS_PERMISSION_DENIED);
	assert_int_equal(set_as(f, &controller_x, "/y/x", "1"),
			 GRPC_STATUS_PERMISSION_DENIED);
	assert_int_equal(register_as(f, &controller_x, "x", ""), 0);
}

static void test_a_controller_never_registers_a_unix_socket(void **state)
{
	static const char *const forms[] = {"unix:/run/x",  "unix:///run/x",
					    "/run/x",       "UNIX:/run/x",
					    " unix:/run/x", "unix:x"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		assert_int_equal(register_as(f, &controller_x, "x", forms[i]),
				 GRPC_STATUS_PERMISSION_DENIED);
		assert_int_equal(
			set_as(f, &controller_x, "x/address", forms[i]),
			GRPC_STATUS_PERMISSION_DENIED);
		assert_int_equal(reg(f, "x", forms[i]), 0);
	}
}

/* --- audit --- */

static void test_changes_and_refusals_are_in_the_audit_and_repeats_not(
	void **state)
{
	static const char *const lines[] = {
		"audit: register controller object=x by=controller.x code=OK\n",
		"audit: unregister controller object=x by=controller.x "
		"code=OK\n",
		"audit: set value object=x/pci by=controller.x code=OK\n",
		"audit: unset value object=x/pci by=controller.x code=OK\n",
		"audit: register controller object=y by=controller.x "
		"code=PERMISSION_DENIED error=",
	};
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *text = NULL;
	struct log_capture log;

	log_set_level(LOG_LEVEL_INFO);
	log_capture_begin(&log);
	for (int i = 0; i < 2; i++)
		register_as(f, &controller_x, "x", "h:1");
	for (int i = 0; i < 2; i++)
		register_as(f, &controller_x, "x", "");
	set_as(f, &controller_x, "x/pci", "1");
	set_as(f, &controller_x, "x/pci", "");
	register_as(f, &controller_x, "y", "h:1");
	text = log_capture_end(&log);
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		char *line = strstr(text, lines[i]);

		assert_non_null(line);
		*line = '#';
	}
	assert_null(strstr(text, "audit: "));
}

/* --- many at once --- */

#define THREADS 8
#define EACH    50

static void *register_many(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < EACH; i++) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		char id[32];

		snprintf(id, sizeof(id), "%p-%d", (void *)&id, i);
		registry_register_now(f->r, &op_self, id, "x", &err);
		registry_register_now(f->r, &op_self, "shared", id, &err);
		if (err.code)
			return "refused";
	}
	return NULL;
}

static void test_many_register_at_once_and_none_is_lost(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[THREADS];
	struct registry_entry *all;
	void *problem;
	size_t n;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, register_many, f);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &problem);
		assert_null(problem);
	}
	assert_int_equal(registry_entries(f->r, f->arena, &all, &n, &f->err),
			 0);
	assert_int_equal(n, THREADS * EACH + 1);
}

#define REGISTRY_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		REGISTRY_TEST(test_an_entry_is_added_overwritten_and_removed),
		REGISTRY_TEST(test_a_repeat_of_any_change_writes_nothing),
		REGISTRY_TEST(test_addresses_are_kept_as_given),
		REGISTRY_TEST(test_an_id_that_cannot_be_one_is_refused),
		REGISTRY_TEST(test_any_other_id_is_kept_byte_for_byte),
		REGISTRY_TEST(test_entries_are_sorted_by_id),
		REGISTRY_TEST(test_many_entries_are_all_listed),
		REGISTRY_TEST(test_what_cannot_be_an_id_is_not_registered),
		REGISTRY_TEST(test_an_entry_is_seen_through_both_views),
		REGISTRY_TEST(test_other_values_are_no_entries),
		REGISTRY_TEST(test_a_path_finds_what_is_at_it_and_below_it),
		REGISTRY_TEST(test_values_are_sorted_by_path),
		REGISTRY_TEST(test_a_bad_path_is_refused_by_both_ways),
		REGISTRY_TEST(test_dots_within_an_element_are_fine),
		REGISTRY_TEST(test_the_longest_path_is_set_and_found),
		REGISTRY_TEST(test_an_address_set_for_what_is_no_id_is_refused),
		REGISTRY_TEST(test_a_value_that_is_too_large_is_refused),
		REGISTRY_TEST(
			test_a_change_that_was_not_stored_fails_and_can_be_repeated),
		REGISTRY_TEST(
			test_a_store_that_is_away_is_unavailable_not_empty),
		REGISTRY_TEST(test_a_damaged_record_is_data_loss_and_named),
		REGISTRY_TEST(test_a_controller_registers_itself_only),
		REGISTRY_TEST(test_a_controller_never_registers_a_unix_socket),
		REGISTRY_TEST(
			test_changes_and_refusals_are_in_the_audit_and_repeats_not),
		REGISTRY_TEST(test_many_register_at_once_and_none_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

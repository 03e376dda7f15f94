/* The registry: its entries, who may change them, and what fails. */

#include "tests/unit/registry.h"

static int64_t revision(struct fixture *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_status status;

	assert_int_equal(store_check(f->store.disk, &status, &err), 0);
	return status.revision;
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

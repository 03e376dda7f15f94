/* The cluster's state as a document, and back. */

#include "daemon/core/backup.h"

#include "tests/unit/registry.h"

/* --- helpers --- */

static const char *export(struct fixture *f)
{
	CLEANUP(cleanup_free) char *text = NULL;

	err_clear(&f->err);
	text = backup_export(&f->store.store, &f->err);
	if (!text)
		fail_msg("%s", f->err.msg);
	return arena_strdup(f->arena, text);
}

static struct backup_result result;

static int import(struct fixture *f, const char *text, bool force)
{
	err_clear(&f->err);
	backup_import(&f->store.store, text, strlen(text), force, &result,
		      &f->err);
	return f->err.code;
}

/* A document with these items. */
static const char *document(struct fixture *f, const char *items)
{
	return arena_printf(
		f->arena,
		"{\"apiVersion\":\"oim/v1\",\"kind\":\"State\",\"items\":[%s]}",
		items);
}

static const char *entry(struct fixture *f, const char *id, const char *address)
{
	return arena_printf(f->arena,
			    "{\"key\":\"controllers/%s/address\","
			    "\"type\":\"oim.state.v1.RegistryEntry\","
			    "\"value\":{\"controllerId\":\"%s\","
			    "\"address\":\"%s\"}}",
			    id, id, address);
}

static void empty(struct fixture *f)
{
	assert_int_equal(import(f, document(f, ""), true), 0);
	assert_string_equal(values(f, ""), "");
}

static void fill(struct fixture *f)
{
	Oim__State__V1__Liveness l = OIM__STATE__V1__LIVENESS__INIT;

	l.ttl = 60;
	assert_int_equal(reg(f, "n1", "dns:///a:1"), 0);
	assert_int_equal(reg(f, "\xc3\xa4 b", "x"), 0);
	assert_int_equal(set(f, "n1/pci", "00:15.0"), 0);
	assert_int_equal(set(f, "n1/a/address", "\"quoted\\\""), 0);
	assert_int_equal(store_put_message(f->store.disk, "liveness/n1",
					   &l.base, &f->err),
			 0);
	assert_int_equal(store_put(f->store.disk, "alive/n1", "", 0, &f->err),
			 0);
	assert_int_equal(store_put(f->store.disk, "bdevs/n1/d", "", 0, &f->err),
			 0);
}

static int64_t revision(struct fixture *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store_status status;

	assert_int_equal(store_check(f->store.disk, &status, &err), 0);
	return status.revision;
}

/* --- tests --- */

static void test_what_is_exported_can_be_imported(void **state)
{
	struct fixture *f = *state;
	const char *before, *text;

	fill(f);
	before = values(f, "");
	text = export(f);
	empty(f);
	assert_int_equal(import(f, text, false), 0);
	assert_int_equal(result.written, 5);
	assert_string_equal(values(f, ""), before);
	assert_string_equal(find(f, "n1"), "dns:///a:1");
	/* all but the revision */
	assert_string_equal(strstr(export(f), "\"items\""),
			    strstr(text, "\"items\""));
}

static void test_an_import_that_is_repeated_writes_nothing(void **state)
{
	struct fixture *f = *state;
	const char *text;
	int64_t before;

	fill(f);
	text = export(f);
	before = revision(f);
	assert_int_equal(import(f, text, false), 0);
	assert_int_equal(result.same, 5);
	assert_int_equal(result.written, 0);
	assert_int_equal(import(f, text, true), 0);
	assert_int_equal(revision(f), before);
}

static void test_only_the_cluster_s_state_is_exported(void **state)
{
	struct fixture *f = *state;
	const char *text;

	fill(f);
	text = export(f);
	assert_null(strstr(text, "alive/"));
	assert_null(strstr(text, "bdevs/"));
	assert_non_null(strstr(text, "\"liveness/n1\""));
	assert_non_null(strstr(text, "\"kind\": \"State\""));
	assert_non_null(strstr(text, store_id(f->store.disk)));
}

static void test_what_is_there_is_not_overwritten_unless_forced(void **state)
{
	struct fixture *f = *state;
	const char *text;

	assert_int_equal(reg(f, "a", "old"), 0);
	assert_int_equal(reg(f, "b", "other"), 0);
	text = document(f, arena_printf(f->arena, "%s,%s", entry(f, "a", "new"),
					entry(f, "c", "new")));
	assert_int_equal(import(f, text, false),
			 GRPC_STATUS_FAILED_PRECONDITION);
	says(f, "not empty");
	assert_non_null(strstr(f->err.hint, "--force"));
	assert_string_equal(entries(f), "a=old,b=other");
	assert_int_equal(import(f, text, true), 0);
	assert_string_equal(entries(f), "a=new,c=new");
	assert_int_equal(result.written, 2);
	assert_int_equal(result.removed, 1);
}

static void test_node_state_survives_a_forced_import(void **state)
{
	struct fixture *f = *state;
	struct store_kv kv;

	fill(f);
	empty(f);
	assert_int_equal(
		store_get(f->store.disk, "bdevs/n1/d", f->arena, &kv, &f->err),
		1);
	assert_int_equal(
		store_get(f->store.disk, "alive/n1", f->arena, &kv, &f->err),
		1);
}

/* More than one transaction; the second one fails. */
static void test_an_import_that_failed_on_the_way_is_repeated(void **state)
{
	struct fixture *f = *state;
	const char *text, *before;
	char id[16];

	for (int i = 0; i < 300; i++) {
		snprintf(id, sizeof(id), "n%03d", i);
		assert_int_equal(reg(f, id, "x"), 0);
	}
	text = export(f);
	before = entries(f);
	empty(f);
	faulty_break(&f->store, 2, FAULTY_FULL, false);
	assert_int_equal(import(f, text, false),
			 GRPC_STATUS_RESOURCE_EXHAUSTED);
	faulty_mend(&f->store);
	assert_int_equal(import(f, text, false), 0);
	assert_int_equal(result.same, 128);
	assert_int_equal(result.written, 172);
	assert_string_equal(entries(f), before);
}

static void test_what_is_no_such_document_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"null",
		"[]",
		"{}",
		"{\"apiVersion\":\"oim/v2\",\"kind\":\"State\",\"items\":[]}",
		"{\"apiVersion\":\"oim/v1\",\"kind\":\"Other\",\"items\":[]}",
		"{\"apiVersion\":\"oim/v1\",\"kind\":\"State\",\"items\":{}}",
		"{\"apiVersion\":\"oim/v1\",\"kind\":\"State\",\"items\":[]}x",
	};
	struct fixture *f = *state;

	assert_int_equal(reg(f, "a", "x"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(import(f, bad[i], true),
				 GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(entries(f), "a=x");
}

static void test_what_is_no_record_is_refused_with_its_place(void **state)
{
	static const char *const bad[] = {
		"3",
		"{}",
		"{\"key\":\"bdevs/n1/d\",\"type\":\"oim.state.v1.BDev\",\"value\":{}}",
		"{\"key\":\"alive/n1\",\"type\":\"oim.state.v1.Alive\",\"value\":{}}",
		"{\"key\":\"controllers/n/x\",\"type\":\"oim.state.v1.RegistryEntry\",\"value\":{}}",
		"{\"key\":\"controllers/n/x/\",\"type\":\"oim.state.v1.RegistryValue\",\"value\":{}}",
		"{\"key\":\"controllers//x\",\"type\":\"oim.state.v1.RegistryValue\",\"value\":{}}",
		"{\"key\":\"controllers/\",\"type\":\"oim.state.v1.RegistryValue\",\"value\":{}}",
		"{\"key\":\"controllers/n\\u0000/x\",\"type\":\"oim.state.v1.RegistryValue\",\"value\":{}}",
		"{\"key\":\"controllers/n/x\",\"type\":\"oim.state.v1.RegistryValue\",\"value\":{\"valve\":\"1\"}}",
		"{\"key\":\"controllers/n/address\",\"type\":\"oim.state.v1.RegistryEntry\",\"value\":{\"controllerId\":\"m\",\"address\":\"x\"}}",
		"{\"key\":\"controllers/n/address\",\"type\":\"oim.state.v1.RegistryEntry\",\"value\":{\"controllerId\":\"n\"}}",
	};
	struct fixture *f = *state;

	assert_int_equal(reg(f, "a", "x"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const char *items = arena_printf(f->arena, "%s,%s",
						 entry(f, "a", "y"), bad[i]);

		assert_int_equal(import(f, document(f, items), true),
				 GRPC_STATUS_INVALID_ARGUMENT);
		says(f, "items[1]");
	}
	assert_string_equal(entries(f), "a=x");
}

static void test_a_key_that_is_there_twice_is_refused(void **state)
{
	struct fixture *f = *state;
	const char *items = arena_printf(f->arena, "%s,%s", entry(f, "a", "x"),
					 entry(f, "a", "y"));

	assert_int_equal(import(f, document(f, items), false),
			 GRPC_STATUS_INVALID_ARGUMENT);
	says(f, "twice");
}

static void test_a_damaged_record_is_named_and_not_exported(void **state)
{
	CLEANUP(cleanup_free) char *text = NULL;
	struct fixture *f = *state;

	assert_int_equal(store_put(f->store.disk, "controllers/n1/address",
				   "\xff", 1, &f->err),
			 0);
	text = backup_export(&f->store.store, &f->err);
	assert_null(text);
	assert_int_equal(f->err.code, GRPC_STATUS_DATA_LOSS);
	says(f, "controllers/n1/address");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		REGISTRY_TEST(test_what_is_exported_can_be_imported),
		REGISTRY_TEST(test_an_import_that_is_repeated_writes_nothing),
		REGISTRY_TEST(test_only_the_cluster_s_state_is_exported),
		REGISTRY_TEST(
			test_what_is_there_is_not_overwritten_unless_forced),
		REGISTRY_TEST(test_node_state_survives_a_forced_import),
		REGISTRY_TEST(
			test_an_import_that_failed_on_the_way_is_repeated),
		REGISTRY_TEST(test_what_is_no_such_document_is_refused),
		REGISTRY_TEST(test_what_is_no_record_is_refused_with_its_place),
		REGISTRY_TEST(test_a_key_that_is_there_twice_is_refused),
		REGISTRY_TEST(test_a_damaged_record_is_named_and_not_exported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

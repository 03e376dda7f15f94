/* Controllers: opening, limits, keys and records. */

#include "tests/unit/core.h"
#include "tests/unit/log_capture.h"

/* A controller on the null plane and the store of the fixture. */
static struct controller *open_null(struct core *f,
				    const struct controller_config *config)
{
	err_clear(&f->err);
	return controller_open(config, &f->store.store, &f->err);
}

static void test_the_default_limit_is_half_of_what_the_plane_holds(void **state)
{
	struct core *f = *state;
	struct controller *c = open_null(
		f, &(struct controller_config){.id = "k1", .plane = "null"});

	assert_non_null(c);
	assert_int_equal(c->malloc_limit, UINT64_C(1) << 39);
	assert_string_equal(controller_plane_name(c), "null");
	assert_int_equal(controller_check(c, &f->err), 0);
	controller_close(c);
}

static void test_a_limit_that_is_configured_holds(void **state)
{
	struct core *f = *state;
	struct controller *c = open_null(
		f, &(struct controller_config){
			   .id = "k1", .plane = "null", .malloc_limit = MIB});

	assert_int_equal(c->malloc_limit, MIB);
	assert_int_equal(bdev_provision(c, &op_self, "d0", MIB + 512, &f->err),
			 -1);
	assert_int_equal(f->err.code, GRPC_STATUS_RESOURCE_EXHAUSTED);
	controller_close(c);
}

static void test_an_unknown_plane_is_refused_with_the_controllers_name(
	void **state)
{
	struct core *f = *state;

	assert_null(open_null(
		f, &(struct controller_config){.id = "k1", .plane = "kernle"}));
	assert_int_equal(f->err.code, GRPC_STATUS_NOT_FOUND);
	core_says(f, "controller \"k1\": ");
	core_says(f, "kernel, null");
}

static void test_an_id_that_cannot_be_one_is_refused(void **state)
{
	static const char *const bad[] = {"", "a/b", "a\n"};
	struct core *f = *state;

	for (int i = 0; i < 3; i++) {
		assert_null(
			open_null(f, &(struct controller_config){
					     .id = bad[i], .plane = "null"}));
		assert_int_equal(f->err.code, GRPC_STATUS_INVALID_ARGUMENT);
	}
}

static void test_a_store_that_is_away_stops_the_start(void **state)
{
	struct core *f = *state;

	f->store.is_unreadable = true;
	assert_null(open_null(
		f, &(struct controller_config){.id = "k1", .plane = "null"}));
	assert_int_equal(f->err.code, GRPC_STATUS_UNAVAILABLE);
}

static void test_what_a_lost_plane_had_is_forgotten_when_it_is_opened(
	void **state)
{
	const struct controller_config config = {.id = "k1", .plane = "null"};
	struct core *f = *state;
	struct controller *c = open_null(f, &config);
	struct mapping_params params = {0};
	Oim__State__V1__Mapping *m;

	assert_int_equal(bdev_provision(c, &op_self, "d0", MIB, &f->err), 0);
	assert_int_equal(
		mapping_map(c, &op_self, "d0", &params, f->arena, &m, &f->err),
		0);
	controller_close(c);
	assert_int_equal(core_records(f), 2);
	c = open_null(f, &config);
	assert_int_equal(core_records(f), 0);
	assert_int_equal(c->malloc_used, 0);
	controller_close(c);
}

static void test_keys_have_file_names_and_never_ids(void **state)
{
	static const struct {
		const char *controller, *name, *key;
	} examples[] = {
		{"k1", "d0", "bdevs/k1/d0"},
		{"k1", "", "bdevs/k1/"},
		{"host.n1", "A_b-9", "bdevs/host.n1/A_b-9"},
	};
	struct core *f = *state;
	char name[ID_FILE_NAME_SIZE];

	for (int i = 0; i < 3; i++) {
		f->c.id = (char *)examples[i].controller;
		assert_string_equal(controller_key(&f->c, "bdevs",
						   examples[i].name, f->arena),
				    examples[i].key);
	}
	f->c.id = (char *)"n 1";
	assert_string_equal(controller_key(&f->c, "bdevs", "d0", f->arena),
			    arena_printf(f->arena, "bdevs/%s/d0",
					 id_file_name("n 1", name)));
	f->c.id = (char *)"k1";
	assert_string_equal(controller_key(&f->c, "bdevs", "..", f->arena),
			    arena_printf(f->arena, "bdevs/k1/%s",
					 id_file_name("..", name)));
	assert_null(strstr(id_file_name("..", name), ".."));
}

static void test_a_damaged_record_is_data_loss_and_named(void **state)
{
	struct core *f = *state;
	Oim__State__V1__BDev *b, **all;
	size_t n;

	assert_int_equal(
		store_put(f->store.disk, "bdevs/k1/d0", "\xff", 1, &f->err), 0);
	assert_int_equal(controller_get(&f->c, "bdevs/k1/d0",
					&oim__state__v1__bdev__descriptor,
					f->arena, &b, &f->err),
			 -1);
	assert_int_equal(f->err.code, GRPC_STATUS_DATA_LOSS);
	core_says(f, "bdevs/k1/d0");
	err_clear(&f->err);
	assert_int_equal(controller_list(&f->c, "bdevs",
					 &oim__state__v1__bdev__descriptor,
					 f->arena, &all, &n, &f->err),
			 -1);
	assert_int_equal(f->err.code, GRPC_STATUS_DATA_LOSS);
}

static void test_a_controller_is_found_by_its_whole_id(void **state)
{
	struct controller one = {.id = (char *)"k1"},
			  other = {.id = (char *)"k10"};
	struct controllers cs = {(struct controller *[]){&one, &other}, 2};
	const struct controllers none = {0};

	(void)state;
	assert_ptr_equal(controllers_find(&cs, "k1"), &one);
	assert_ptr_equal(controllers_find(&cs, "k10"), &other);
	assert_null(controllers_find(&cs, "k"));
	assert_null(controllers_find(&cs, "K1"));
	assert_null(controllers_find(&cs, ""));
	assert_null(controllers_find(&none, "k1"));
}

static void test_records_of_others_are_counted_in_the_log(void **state)
{
	static const char *const keys[] = {
		"bdevs/j/a",    "bdevs/k1/a",    "bdevs/k10/a",
		"bdevs/k10/b",  "bdevs/k9/a",    "bdevs/h-0a1/c",
		"mappings/j/a", "mappings/k1/a", "controllers/x/address",
	};
	struct core *f = *state;
	struct controller one = {.id = (char *)"k1"},
			  other = {.id = (char *)"k9"};
	const struct controllers cs = {(struct controller *[]){&one, &other},
				       2};
	struct log_capture capture;
	CLEANUP(cleanup_free) char *log = NULL;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		assert_int_equal(
			store_put(f->store.disk, keys[i], "", 0, &f->err), 0);
	log_set_level(LOG_LEVEL_WARN);
	log_capture_begin(&capture);
	controllers_note_others(&cs, &f->store.store);
	f->store.is_unreadable = true;
	controllers_note_others(&cs, &f->store.store);
	log = log_capture_end(&capture);
	assert_non_null(strstr(log, "\"j\" is not configured: what it has is "
				    "left alone (1 bdevs)"));
	assert_non_null(strstr(log, "\"j\" is not configured: what it has is "
				    "left alone (1 mappings)"));
	assert_non_null(strstr(log, "\"k10\" is not configured: what it has is "
				    "left alone (2 bdevs)"));
	assert_non_null(strstr(log, "\"h-0a1\" is not"));
	assert_null(strstr(log, "\"k1\""));
	assert_null(strstr(log, "\"k9\""));
	assert_null(strstr(log, "\"x\""));
	assert_non_null(strstr(log, "cannot look for bdevs of others: "));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CORE_TEST(
			test_the_default_limit_is_half_of_what_the_plane_holds),
		CORE_TEST(test_a_limit_that_is_configured_holds),
		CORE_TEST(
			test_an_unknown_plane_is_refused_with_the_controllers_name),
		CORE_TEST(test_an_id_that_cannot_be_one_is_refused),
		CORE_TEST(test_a_store_that_is_away_stops_the_start),
		CORE_TEST(
			test_what_a_lost_plane_had_is_forgotten_when_it_is_opened),
		CORE_TEST(test_keys_have_file_names_and_never_ids),
		CORE_TEST(test_a_damaged_record_is_data_loss_and_named),
		CORE_TEST(test_a_controller_is_found_by_its_whole_id),
		CORE_TEST(test_records_of_others_are_counted_in_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

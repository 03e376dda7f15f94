/* The registry as a tree of values, which shows the entries too. */

#include "tests/unit/registry.h"

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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		REGISTRY_TEST(test_an_entry_is_seen_through_both_views),
		REGISTRY_TEST(test_other_values_are_no_entries),
		REGISTRY_TEST(test_a_path_finds_what_is_at_it_and_below_it),
		REGISTRY_TEST(test_values_are_sorted_by_path),
		REGISTRY_TEST(test_a_bad_path_is_refused_by_both_ways),
		REGISTRY_TEST(test_dots_within_an_element_are_fine),
		REGISTRY_TEST(test_the_longest_path_is_set_and_found),
		REGISTRY_TEST(test_an_address_set_for_what_is_no_id_is_refused),
		REGISTRY_TEST(test_a_value_that_is_too_large_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

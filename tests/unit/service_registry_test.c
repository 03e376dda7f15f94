/* oim.v0.Registry as its callers speak to it. */

#include "tests/unit/service.h"

#define SERVICE "/oim.v0.Registry/"

static int reg(struct service *f, const char *id, const char *address)
{
	Oim__V0__RegisterControllerRequest r =
		OIM__V0__REGISTER_CONTROLLER_REQUEST__INIT;

	r.controller_id = (char *)id;
	r.address = (char *)address;
	service_call(f, SERVICE "RegisterController", &r.base,
		     &oim__v0__register_controller_reply__descriptor);
	return f->err.code;
}

static int set(struct service *f, const char *path, const char *text)
{
	Oim__V0__SetValueRequest r = OIM__V0__SET_VALUE_REQUEST__INIT;
	Oim__V0__Value value = OIM__V0__VALUE__INIT;

	value.path = (char *)path;
	value.value = (char *)text;
	r.value = &value;
	service_call(f, SERVICE "SetValue", &r.base,
		     &oim__v0__set_value_reply__descriptor);
	return f->err.code;
}

/* All entries as "id=address,id=address", in the arena. */
static const char *entries(struct service *f)
{
	Oim__V0__GetControllerRequest r = OIM__V0__GET_CONTROLLER_REQUEST__INIT;
	Oim__V0__GetControllerReply *reply =
		service_call(f, SERVICE "GetControllers", &r.base,
			     &oim__v0__get_controller_reply__descriptor);
	const char *text = "";

	if (!reply)
		fail_msg("%s", f->err.msg);
	for (size_t i = 0; i < reply->n_entries; i++)
		text = arena_printf(f->arena, "%s%s%s=%s", text, i ? "," : "",
				    reply->entries[i]->controller_id,
				    reply->entries[i]->address);
	return text;
}

static Oim__V0__GetValuesReply *get(struct service *f, const char *path)
{
	Oim__V0__GetValuesRequest r = OIM__V0__GET_VALUES_REQUEST__INIT;

	r.path = (char *)path;
	return service_call(f, SERVICE "GetValues", &r.base,
			    &oim__v0__get_values_reply__descriptor);
}

/* The same of the values at a path. */
static const char *values(struct service *f, const char *path)
{
	Oim__V0__GetValuesReply *reply = get(f, path);
	const char *text = "";

	if (!reply)
		fail_msg("%s", f->err.msg);
	for (size_t i = 0; i < reply->n_values; i++)
		text = arena_printf(f->arena, "%s%s%s=%s", text, i ? "," : "",
				    reply->values[i]->path,
				    reply->values[i]->value);
	return text;
}

static void test_an_empty_registry_has_no_entries(void **state)
{
	assert_string_equal(entries(*state), "");
	assert_string_equal(values(*state, ""), "");
}

static void test_both_revisions_see_one_set_of_data(void **state)
{
	struct service *f = *state;

	assert_int_equal(reg(f, "b", "foo://bar"), 0);
	assert_int_equal(set(f, "a/address", "dns:///a:1"), 0);
	assert_int_equal(set(f, "a/pci", "00:15.0"), 0);
	assert_string_equal(entries(f), "a=dns:///a:1,b=foo://bar");
	assert_string_equal(
		values(f, ""),
		"a/address=dns:///a:1,a/pci=00:15.0,b/address=foo://bar");
	assert_int_equal(reg(f, "a", ""), 0);
	assert_int_equal(set(f, "b/address", ""), 0);
	assert_string_equal(entries(f), "");
	assert_string_equal(values(f, ""), "a/pci=00:15.0");
}

static void test_long_entries_are_encoded_as_short_ones(void **state)
{
	struct service *f = *state;
	size_t sizes[] = {1, 100, 127, 128, 200, 16383, 16384, 100000};
	const char *expected = "";

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char *address = arena_zalloc(f->arena, sizes[i] + 1, 1);
		const char *id = arena_printf(f->arena, "c%zu", i);

		memset(address, 'x', sizes[i]);
		assert_int_equal(reg(f, id, address), 0);
		expected = arena_printf(f->arena, "%s%s%s=%s", expected,
					i ? "," : "", id, address);
	}
	assert_string_equal(entries(f), expected);
}

static void test_bad_arguments_are_refused(void **state)
{
	struct service *f = *state;
	Oim__V0__SetValueRequest nothing = OIM__V0__SET_VALUE_REQUEST__INIT;

	assert_int_equal(reg(f, "", "x"), GRPC_STATUS_INVALID_ARGUMENT);
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "empty controller id");
	assert_int_equal(reg(f, "a/b", "x"), GRPC_STATUS_INVALID_ARGUMENT);
	assert_int_equal(set(f, "", "x"), GRPC_STATUS_INVALID_ARGUMENT);
	assert_int_equal(set(f, "a/../b", "x"), GRPC_STATUS_INVALID_ARGUMENT);
	assert_null(get(f, "a/./b"));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "\".\"");
	assert_null(service_call(f, SERVICE "SetValue", &nothing.base,
				 &oim__v0__set_value_reply__descriptor));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "missing value");
	assert_string_equal(values(f, ""), "");
}

static void test_the_metadata_do_not_matter(void **state)
{
	struct service *f = *state;
	static const char *const ids[] = {NULL, "k1", "unknown", ""};

	for (int i = 0; i < 4; i++) {
		f->controller = ids[i];
		assert_int_equal(reg(f, "a", "x"), 0);
		assert_string_equal(entries(f), "a=x");
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		SERVICE_TEST(test_an_empty_registry_has_no_entries),
		SERVICE_TEST(test_both_revisions_see_one_set_of_data),
		SERVICE_TEST(test_long_entries_are_encoded_as_short_ones),
		SERVICE_TEST(test_bad_arguments_are_refused),
		SERVICE_TEST(test_the_metadata_do_not_matter),
	};

	client_silence_core();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* oim.v0.Controller as its callers of all revisions speak to it. */

#include "tests/unit/ceph_params.h"
#include "tests/unit/service.h"

#define KEY "AQBSdFhcGthbGhAA2yKfkGsgzxZNSx8bCPJ0Ww=="

/* --- requests of the early draft: a map, by keys and values in pairs --- */

#define MAX_PARAMS 8

struct draft {
	Oim__V0__Compat__MapVolume request;
	Oim__V0__Compat__MapParam items[MAX_PARAMS];
	Oim__V0__Compat__MapParam *pointers[MAX_PARAMS];
};

static void add(struct draft *d, const char *key, const char *value)
{
	size_t i = d->request.n_params++;

	oim__v0__compat__map_param__init(&d->items[i]);
	d->items[i].key = (char *)key;
	d->items[i].value = (char *)value;
	d->pointers[i] = &d->items[i];
	d->request.params = d->pointers;
}

static void begin(struct draft *d, const char *volume)
{
	oim__v0__compat__map_volume__init(&d->request);
	d->request.volume_id = (char *)volume;
}

/* The device of a volume mapped by a map. */
static const char *map_by(struct service *f, const char *volume,
			  const char *const *pairs)
{
	struct draft d;

	begin(&d, volume);
	for (; *pairs; pairs += 2)
		add(&d, pairs[0], pairs[1]);
	return service_map(f, &d.request.base);
}

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

#define CEPH                                                                   \
	"type", "ceph", "monitors", "192.0.2.1:6789,192.0.2.2:6789", "pool",   \
		"rbd", "image", "one", "user_id", "admin-user"

static int open_with_bdev(void **state)
{
	service_open(state);
	assert_int_equal(service_provision(*state, "v1", MIB), 0);
	return 0;
}

#define BDEV_TEST(f)                                                           \
	cmocka_unit_test_setup_teardown(f, open_with_bdev, service_close)

/* --- one volume, however it is asked for --- */

static void test_all_revisions_ask_for_the_same_malloc_volume(void **state)
{
	struct service *f = *state;
	const char *device = service_map_malloc(f, "v1");

	assert_non_null(device);
	assert_string_equal(map_by(f, "v1", PAIRS("type", "malloc")), device);
	/* an empty MallocParams is an entry without a key */
	assert_string_equal(map_by(f, "v1", PAIRS("", "")), device);
	assert_int_equal(service_unmap(f, "v1"), 0);
	assert_non_null(map_by(f, "v1", PAIRS("type", "malloc")));
}

static void test_all_revisions_ask_for_the_same_ceph_volume(void **state)
{
	struct service *f = *state;
	Oim__V0__CephParams params = ceph_params("s");
	const char *device = service_map_ceph(f, "v2", &params);

	assert_non_null(device);
	assert_string_equal(map_by(f, "v2", PAIRS(CEPH, "secret", "s")),
			    device);
	assert_string_equal(map_by(f, "v2", PAIRS(CEPH, "secret", "t")),
			    device);
	assert_null(map_by(f, "v2", PAIRS(CEPH, "image", "two")));
	service_failed(f, GRPC_STATUS_ALREADY_EXISTS, "other parameters");
	assert_null(service_map_malloc(f, "v2"));
	service_failed(f, GRPC_STATUS_ALREADY_EXISTS, "other parameters");
}

static void test_unknown_fields_of_malloc_parameters_are_ignored(void **state)
{
	/* field 9: a varint; field 10: two bytes */
	static uint8_t one[] = {1}, two[] = {2, 'h', 'i'};
	ProtobufCMessageUnknownField fields[] = {
		{9, PROTOBUF_C_WIRE_TYPE_VARINT, sizeof(one), one},
		{10, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, sizeof(two), two}};
	struct service *f = *state;
	struct draft d;

	begin(&d, "v1");
	add(&d, "", "");
	d.items[0].base.n_unknown_fields = 2;
	d.items[0].base.unknown_fields = fields;
	assert_non_null(service_map(f, &d.request.base));
}

/* --- what cannot be meant --- */

static void test_malloc_and_ceph_together_are_refused(void **state)
{
	struct service *f = *state;
	Oim__V0__CephParams params = ceph_params("s");
	struct draft d;

	begin(&d, "v1");
	add(&d, "", "");
	d.request.ceph = &params;
	assert_null(service_map(f, &d.request.base));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "both");
	begin(&d, "v1");
	add(&d, "type", "ceph");
	d.request.ceph = &params;
	assert_null(service_map(f, &d.request.base));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "both");
}

static void test_no_parameters_are_refused(void **state)
{
	struct service *f = *state;
	Oim__V0__MapVolumeRequest r = OIM__V0__MAP_VOLUME_REQUEST__INIT;

	r.volume_id = (char *)"v1";
	assert_null(service_map(f, &r.base));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT,
		       "missing parameters of volume \"v1\"");
}

static void test_malloc_parameters_twice_are_refused(void **state)
{
	struct service *f = *state;

	assert_null(map_by(f, "v1", PAIRS("", "", "", "")));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "");
}

static void test_an_unknown_key_is_refused_by_its_name_without_its_value(
	void **state)
{
	struct service *f = *state;

	assert_null(map_by(f, "v2", PAIRS(CEPH, "keyring", "hush")));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT,
		       "unknown volume parameter \"keyring\"");
	assert_null(strstr(f->err.msg, "hush"));
	assert_null(map_by(f, "v1", PAIRS("", "hush")));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "\"\"");
	assert_null(strstr(f->err.msg, "hush"));
}

static void test_a_malloc_volume_has_no_other_keys(void **state)
{
	struct service *f = *state;

	assert_null(map_by(f, "v1", PAIRS("type", "malloc", "pool", "rbd")));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "malloc volume");
}

static void test_a_type_that_is_none_is_refused(void **state)
{
	struct service *f = *state;

	assert_null(map_by(f, "v1", PAIRS("type", "iscsi")));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "\"type\"");
	assert_null(map_by(f, "v1", PAIRS("type", "")));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "\"type\"");
	assert_null(map_by(f, "v1", PAIRS("pool", "rbd")));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "\"type\"");
}

static void test_ceph_parameters_that_lack_something_are_refused(void **state)
{
	struct service *f = *state;

	assert_null(map_by(
		f, "v2",
		PAIRS("type", "ceph", "pool", "rbd", "monitors", "m:1")));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "image");
}

static void test_a_user_that_is_a_key_is_refused_in_every_form(void **state)
{
	struct service *f = *state;
	Oim__V0__CephParams params = ceph_params("admin");

	params.user_id = (char *)KEY;
	assert_null(service_map_ceph(f, "v2", &params));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "user_id field 2");
	assert_null(strstr(f->err.msg, KEY));
	assert_null(map_by(f, "v2", PAIRS(CEPH, "user_id", KEY)));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "user_id field 2");
	assert_null(strstr(f->err.msg, KEY));
}

static void test_an_empty_volume_id_is_refused(void **state)
{
	struct service *f = *state;

	assert_null(service_map_malloc(f, ""));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "empty volume id");
	assert_int_equal(service_unmap(f, ""), GRPC_STATUS_INVALID_ARGUMENT);
	assert_int_equal(service_provision(f, "", 512),
			 GRPC_STATUS_INVALID_ARGUMENT);
}

/* --- which controller --- */

static void test_the_metadata_choose_the_controller(void **state)
{
	struct service *f = *state;

	f->controller = "k2";
	assert_null(service_map_malloc(f, "v1"));
	service_failed(f, GRPC_STATUS_NOT_FOUND, "\"v1\"");
	f->controller = "k1";
	assert_non_null(service_map_malloc(f, "v1"));
	f->controller = NULL;
	assert_null(service_map_malloc(f, "v1"));
	service_failed(f, GRPC_STATUS_INVALID_ARGUMENT, "k1, k2");
}

static void test_the_only_controller_need_not_be_named(void **state)
{
	struct service *f = *state;

	f->controllers.n = 1;
	f->controller = NULL;
	assert_non_null(service_map_malloc(f, "v1"));
	f->controllers.n = 2;
}

/* --- the whole life --- */

static int check(struct service *f, const char *name)
{
	Oim__V0__CheckMallocBDevRequest r =
		OIM__V0__CHECK_MALLOC_BDEV_REQUEST__INIT;

	r.bdev_name = (char *)name;
	service_call(f, "/oim.v0.Controller/CheckMallocBDev", &r.base,
		     &oim__v0__check_malloc_bdev_reply__descriptor);
	return f->err.code;
}

static void test_a_volume_lives_as_the_contract_says(void **state)
{
	struct service *f = *state;

	assert_int_equal(check(f, "d0"), GRPC_STATUS_NOT_FOUND);
	assert_int_equal(service_provision(f, "d0", 513),
			 GRPC_STATUS_INVALID_ARGUMENT);
	assert_int_equal(service_provision(f, "d0", MIB), 0);
	assert_int_equal(service_provision(f, "d0", 2 * MIB),
			 GRPC_STATUS_ALREADY_EXISTS);
	assert_int_equal(check(f, "d0"), 0);
	assert_non_null(service_map_malloc(f, "d0"));
	assert_int_equal(service_provision(f, "d0", 0),
			 GRPC_STATUS_FAILED_PRECONDITION);
	assert_int_equal(service_unmap(f, "d0"), 0);
	assert_int_equal(service_unmap(f, "d0"), 0);
	assert_int_equal(service_provision(f, "d0", 0), 0);
	assert_int_equal(check(f, "d0"), GRPC_STATUS_NOT_FOUND);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		BDEV_TEST(test_all_revisions_ask_for_the_same_malloc_volume),
		SERVICE_TEST(test_all_revisions_ask_for_the_same_ceph_volume),
		BDEV_TEST(test_unknown_fields_of_malloc_parameters_are_ignored),
		BDEV_TEST(test_malloc_and_ceph_together_are_refused),
		BDEV_TEST(test_no_parameters_are_refused),
		BDEV_TEST(test_malloc_parameters_twice_are_refused),
		BDEV_TEST(
			test_an_unknown_key_is_refused_by_its_name_without_its_value),
		BDEV_TEST(test_a_malloc_volume_has_no_other_keys),
		BDEV_TEST(test_a_type_that_is_none_is_refused),
		SERVICE_TEST(
			test_ceph_parameters_that_lack_something_are_refused),
		SERVICE_TEST(
			test_a_user_that_is_a_key_is_refused_in_every_form),
		SERVICE_TEST(test_an_empty_volume_id_is_refused),
		BDEV_TEST(test_the_metadata_choose_the_controller),
		BDEV_TEST(test_the_only_controller_need_not_be_named),
		SERVICE_TEST(test_a_volume_lives_as_the_contract_says),
	};

	client_silence_core();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What the program knows of its contracts. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "google/protobuf/descriptor.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "oim/v0/oim.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/descriptors.h"
#include "proto/lib/mem.h"

#define SECRET     50001 /* oim.secret */
#define CSI_SECRET 1059  /* csi.v1.csi_secret */

/* The first to ask is not alone: the index is made once. */
static void *ask(void *arg)
{
	const char **file = arg;

	*file = descriptors_find_message("oim.v0.Value")
			? descriptors_file_of("oim.v0.Value")
			: NULL;
	return NULL;
}

static void test_many_threads_may_ask_first(void **state)
{
	pthread_t threads[8];
	const char *files[8];

	(void)state;
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, ask, &files[i]), 0);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_string_equal(files[i], "oim/v0/oim.proto");
	}
}

static void test_a_method_is_found_in_three_spellings(void **state)
{
	static const char *const names[] = {"oim.v0.Controller/MapVolume",
					    "/oim.v0.Controller/MapVolume",
					    "oim.v0.Controller.MapVolume"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct descriptors_method m;

		assert_true(descriptors_find_method(names[i], &m));
		assert_ptr_equal(m.service, &oim__v0__controller__descriptor);
		assert_string_equal(m.method->name, "MapVolume");
		assert_ptr_equal(m.method->input,
				 &oim__v0__map_volume_request__descriptor);
		assert_false(m.client_streams);
		assert_false(m.server_streams);
	}
}

static void test_other_names_are_no_methods(void **state)
{
	static const char *const names[] = {
		"",
		"/",
		".",
		"MapVolume",
		"oim.v0.Controller",
		"oim.v0.Controller/",
		"oim.v0.Controller/mapVolume",
		"oim.v0.Controller/MapVolume/",
		"oim.v0/Controller/MapVolume",
		"//oim.v0.Controller/MapVolume",
		"oim.v0.Registry/MapVolume",
		"oim.v0.Value/path",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct descriptors_method m;

		assert_false(descriptors_find_method(names[i], &m));
	}
}

static void assert_streams(const char *name, bool client, bool server)
{
	struct descriptors_method m;

	assert_true(descriptors_find_method(name, &m));
	assert_int_equal(m.client_streams, client);
	assert_int_equal(m.server_streams, server);
}

static void test_streams_are_known(void **state)
{
	(void)state;
	assert_streams("grpc.health.v1.Health/Check", false, false);
	assert_streams("grpc.health.v1.Health/Watch", false, true);
	assert_streams("grpc.reflection.v1.ServerReflection/"
		       "ServerReflectionInfo",
		       true, true);
	assert_streams("grpc.reflection.v1alpha.ServerReflection/"
		       "ServerReflectionInfo",
		       true, true);
}

static void test_every_method_of_every_service_is_found(void **state)
{
	size_t n = 0;

	(void)state;
	for (size_t i = 0; descriptors_services[i]; i++) {
		const ProtobufCServiceDescriptor *s = descriptors_services[i];

		for (unsigned j = 0; j < s->n_methods; j++, n++) {
			CLEANUP(cleanup_free)
			char *name = mem_printf("%s/%s", s->name,
						s->methods[j].name);
			struct descriptors_method m;

			assert_true(descriptors_find_method(name, &m));
			assert_ptr_equal(m.method, &s->methods[j]);
		}
	}
	assert_true(n >= 16);
}

static void test_messages_are_found_by_their_full_name(void **state)
{
	(void)state;
	assert_ptr_equal(descriptors_find_message("oim.v0.CephParams"),
			 &oim__v0__ceph_params__descriptor);
	assert_ptr_equal(descriptors_find_message("google.rpc.Help.Link"),
			 &google__rpc__help__link__descriptor);
	assert_non_null(descriptors_find_message("google.protobuf.Any"));
	assert_non_null(descriptors_find_message("oim.admin.v1.Mapping"));
	assert_null(descriptors_find_message("CephParams"));
	assert_null(descriptors_find_message("oim.v0.Registry"));
	assert_null(descriptors_find_message(""));
}

static Google__Protobuf__FileDescriptorSet *whole_set(struct arena *a)
{
	Google__Protobuf__FileDescriptorSet *whole = arena_unpack(
		a, &google__protobuf__file_descriptor_set__descriptor,
		descriptors_data, descriptors_size);

	assert_non_null(whole);
	return whole;
}

static void test_every_file_is_there_as_it_was_encoded(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	Google__Protobuf__FileDescriptorSet *whole = whole_set(a);

	(void)state;
	for (size_t i = 0; i < whole->n_file; i++) {
		const ProtobufCBinaryData *data =
			descriptors_file(whole->file[i]->name);

		assert_non_null(data);
		assert_non_null(memmem(descriptors_data, descriptors_size,
				       data->data, data->len));
		assert_int_equal(
			data->len,
			google__protobuf__file_descriptor_proto__get_packed_size(
				whole->file[i]));
	}
	assert_null(descriptors_file("oim/v0/compat.proto"));
	assert_null(descriptors_file("oim/state/v1/state.proto"));
	assert_null(descriptors_file(""));
}

static void test_every_import_is_there(void **state)
{
	const char *const *imports = descriptors_imports("oim/v0/oim.proto");

	(void)state;
	assert_string_equal(imports[0], "oim/options.proto");
	assert_null(imports[1]);
	imports = descriptors_imports("oim/options.proto");
	assert_string_equal(imports[0], "google/protobuf/descriptor.proto");
	assert_non_null(descriptors_file(imports[0]));
	assert_null(descriptors_imports("unknown.proto")[0]);
}

static void test_symbols_of_every_kind_are_found(void **state)
{
	static const struct {
		const char *symbol, *file;
	} map[] = {
		{"oim.v0.Registry", "oim/v0/oim.proto"},
		{"oim.v0.Registry.SetValue", "oim/v0/oim.proto"},
		{"oim.v0.Value", "oim/v0/oim.proto"},
		{"oim.v0.Value.path", "oim/v0/oim.proto"},
		{"oim.secret", "oim/options.proto"},
		{"grpc.health.v1.HealthCheckResponse.ServingStatus",
		 "grpc/health/v1/health.proto"},
		{"grpc.health.v1.HealthCheckResponse.SERVING",
		 "grpc/health/v1/health.proto"},
		{"google.rpc.Help.Link.url", "google/rpc/error_details.proto"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(map) / sizeof(*map); i++)
		assert_string_equal(descriptors_file_of(map[i].symbol),
				    map[i].file);
	assert_null(descriptors_file_of("oim.v0"));
	assert_null(descriptors_file_of(".oim.v0.Value"));
	assert_null(descriptors_file_of("oim.v0.compat.MapParam"));
	assert_null(descriptors_file_of(""));
}

/* Options that protobuf-c does not know are kept as unknown fields. */
static bool has_secret_option(const Google__Protobuf__FieldDescriptorProto *f)
{
	const ProtobufCMessage *options = (ProtobufCMessage *)f->options;

	for (unsigned i = 0; options && i < options->n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *o =
			&options->unknown_fields[i];

		if ((o->tag == SECRET || o->tag == CSI_SECRET) && *o->data)
			return true;
	}
	return false;
}

/* How many fields of the message and those within are secret. */
static size_t check_secrets(struct arena *a, const char *scope,
			    const Google__Protobuf__DescriptorProto *m)
{
	const char *name = arena_printf(a, "%s.%s", scope, m->name);
	size_t n = 0;

	for (size_t i = 0; i < m->n_field; i++) {
		bool secret = has_secret_option(m->field[i]);

		assert_int_equal(descriptors_is_secret(name, m->field[i]->name),
				 secret);
		n += secret;
	}
	for (size_t i = 0; i < m->n_nested_type; i++)
		n += check_secrets(a, name, m->nested_type[i]);
	return n;
}

static void test_secret_fields_are_those_that_the_contracts_mark(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	Google__Protobuf__FileDescriptorSet *whole = whole_set(a);
	size_t marked = 0, listed = 0;

	(void)state;
	for (size_t i = 0; i < whole->n_file; i++)
		for (size_t j = 0; j < whole->file[i]->n_message_type; j++)
			marked +=
				check_secrets(a, whole->file[i]->package,
					      whole->file[i]->message_type[j]);
	while (secret_fields[listed])
		listed++;
	assert_true(marked >= 2);
	/* And those that are not public. */
	assert_true(descriptors_is_secret("oim.v0.compat.MapParam", "value"));
	assert_true(descriptors_is_secret("etcdserverpb.AuthenticateRequest",
					  "password"));
	assert_true(descriptors_is_secret("etcdserverpb.AuthenticateResponse",
					  "token"));
	assert_int_equal(listed, marked + 3);
}

static void test_other_fields_are_not_secret(void **state)
{
	(void)state;
	assert_true(descriptors_is_secret("oim.v0.CephParams", "secret"));
	assert_true(descriptors_is_secret("oim.v0.CephParams", "user_id"));
	assert_false(descriptors_is_secret("oim.v0.CephParams", "pool"));
	assert_false(descriptors_is_secret("oim.v0.CephParams", "sec"));
	assert_false(descriptors_is_secret("oim.v0.CephParams", ""));
	assert_false(descriptors_is_secret("oim.v0.Ceph", "Params.secret"));
	assert_false(descriptors_is_secret("oim.v0.compat.MapParam", "key"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_threads_may_ask_first),
		cmocka_unit_test(test_a_method_is_found_in_three_spellings),
		cmocka_unit_test(test_other_names_are_no_methods),
		cmocka_unit_test(test_streams_are_known),
		cmocka_unit_test(test_every_method_of_every_service_is_found),
		cmocka_unit_test(test_messages_are_found_by_their_full_name),
		cmocka_unit_test(test_every_file_is_there_as_it_was_encoded),
		cmocka_unit_test(test_every_import_is_there),
		cmocka_unit_test(test_symbols_of_every_kind_are_found),
		cmocka_unit_test(
			test_secret_fields_are_those_that_the_contracts_mark),
		cmocka_unit_test(test_other_fields_are_not_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

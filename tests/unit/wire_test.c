/* Which bytes are let through to protobuf-c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "oim/v0/oim.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/wire.h"
#include "tests/kinds.pb-c.h"

#define SCALARS (&oim__tests__scalars__descriptor)
#define LISTS   (&oim__tests__lists__descriptor)
#define MAPS    (&oim__tests__maps__descriptor)
#define TREE    (&oim__tests__tree__descriptor)

/* Bytes from a literal, without the NUL at its end. */
#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static void assert_accepted(const ProtobufCMessageDescriptor *type,
			    const uint8_t *data, size_t size)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_arena) struct arena *a = arena_new();

	if (wire_check(type, data, size, WIRE_MAX_FIELDS, &err) < 0)
		fail_msg("%s", err.msg);
	assert_non_null(arena_unpack(a, type, data, size));
}

static void assert_refused(const ProtobufCMessageDescriptor *type,
			   const uint8_t *data, size_t size,
			   const char *message)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_int_equal(wire_check(type, data, size, WIRE_MAX_FIELDS, &err),
			 -1);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(err.msg, message);
}

static void assert_malformed(const uint8_t *data, size_t size)
{
	assert_refused(TREE, data, size, "oim.tests.Tree: malformed message");
}

static void assert_too_much(const ProtobufCMessageDescriptor *type,
			    const uint8_t *data, size_t size,
			    const char *message)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_int_equal(wire_check(type, data, size, WIRE_MAX_FIELDS, &err),
			 -1);
	assert_int_equal(err.code, GRPC_STATUS_RESOURCE_EXHAUSTED);
	assert_string_equal(err.msg, message);
}

static void test_no_bytes_are_a_message(void **state)
{
	(void)state;
	assert_accepted(TREE, NULL, 0);
	assert_accepted(&oim__v0__get_controller_request__descriptor, NULL, 0);
}

static void test_every_kind_of_field_is_accepted(void **state)
{
	(void)state;
	assert_accepted(
		SCALARS,
		BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
		      "\x10\x01\x1d....\x20\x01\x28\x01\x31........\x38\x01"
		      "\x45....\x48\x01\x51........\x5d....\x61........\x68\x01"
		      "\x70\x05\x7a\x02"
		      "hi\x82\x01\x03\xff\x00\xfe"));
}

static void test_text_with_a_nul_is_refused(void **state)
{
	(void)state;
	assert_refused(&oim__v0__register_controller_request__descriptor,
		       BYTES("\x0a\x03"
			     "a\0b"),
		       "oim.v0.RegisterControllerRequest.controller_id: "
		       "text holds a NUL");
}

static void test_text_that_is_not_utf8_is_refused(void **state)
{
	(void)state;
	assert_refused(&oim__v0__register_controller_request__descriptor,
		       BYTES("\x0a\x01"
			     "a\x12\x02\xc3("),
		       "oim.v0.RegisterControllerRequest.address: "
		       "text is not UTF-8");
}

static void test_text_is_checked_wherever_it_is(void **state)
{
	(void)state;
	assert_refused(TREE, BYTES("\x12\x05\x12\x03\x0a\x01\xff"),
		       "oim.tests.Tree.text: text is not UTF-8");
	assert_refused(TREE, BYTES("\x1a\x00\x1a\x03\x52\x01\x00"),
		       "oim.tests.Tree.leaf_text: text holds a NUL");
	assert_refused(LISTS, BYTES("\x3a\x01x\x3a\x01\xff"),
		       "oim.tests.Lists.texts: text is not UTF-8");
	assert_refused(MAPS, BYTES("\x0a\x06\x0a\x01k\x12\x01\xff"),
		       "oim.tests.Maps.TextsEntry.value: text is not UTF-8");
}

static void test_unknown_fields_are_walked_over(void **state)
{
	(void)state;
	assert_accepted(TREE, BYTES("\xf8\x01\x7f\xf9\x01........\xfa\x01\x02"
				    "\xff\x00\xfd\x01...."));
	assert_accepted(TREE, BYTES("\xf8\xff\xff\xff\x0f\x01"));
}

static void test_groups_and_unknown_wire_types_are_refused(void **state)
{
	(void)state;
	assert_malformed(BYTES("\xfb\x01\xfc\x01"));
	assert_malformed(BYTES("\xfc\x01"));
	assert_malformed(BYTES("\xfe\x01"));
	assert_malformed(BYTES("\xff\x01"));
}

static void test_field_numbers_end_at_both_sides(void **state)
{
	(void)state;
	assert_malformed(BYTES("\x00\x01"));
	assert_malformed(BYTES("\x80\x00\x01"));
	assert_malformed(BYTES("\x80\x80\x80\x80\x10\x01"));
	assert_malformed(BYTES("\x88\x80\x80\x80\x80\x00\x01"));
}

static void test_numbers_have_at_most_ten_bytes(void **state)
{
	(void)state;
	assert_accepted(TREE, BYTES("\x58\x80\x80\x80\x80\x80\x80\x80\x80\x80"
				    "\x01"));
	assert_malformed(BYTES("\x58\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"
			       "\x00"));
}

static void test_what_is_cut_off_is_refused(void **state)
{
	(void)state;
	assert_malformed(BYTES("\x58"));
	assert_malformed(BYTES("\x58\x80"));
	assert_malformed(BYTES("\x80"));
	assert_malformed(BYTES("\x0a"));
	assert_malformed(BYTES("\x0a\x02x"));
	assert_malformed(BYTES("\x0a\xff\xff\xff\xff\x0fx"));
	assert_malformed(BYTES("\x0a\x81\x80\x80\x80\x80\x00x"));
	assert_malformed(BYTES("\xf9\x01......."));
	assert_malformed(BYTES("\xfd\x01..."));
}

static void test_an_inner_message_ends_with_its_length(void **state)
{
	(void)state;
	assert_malformed(BYTES("\x12\x02\x0a\x03xyz"));
}

static void test_another_wire_type_is_refused(void **state)
{
	(void)state;
	assert_refused(TREE, BYTES("\x08\x01"),
		       "oim.tests.Tree.text: wrong wire type");
	assert_refused(TREE, BYTES("\x5a\x01\x01"),
		       "oim.tests.Tree.leaf_number: wrong wire type");
	assert_refused(LISTS, BYTES("\x3d...."),
		       "oim.tests.Lists.texts: wrong wire type");
	assert_refused(LISTS, BYTES("\x0d...."),
		       "oim.tests.Lists.int32s: wrong wire type");
}

static void test_lists_may_be_packed_or_not(void **state)
{
	(void)state;
	assert_accepted(LISTS, BYTES("\x0a\x03\x01\x80\x01\x08\x05\x0a\x00"));
	assert_accepted(LISTS, BYTES("\x1a\x08........\x1d....\x21........"));
	assert_accepted(LISTS, BYTES("\x2a\x02\x01\x00\x32\x01\x02"));
	assert_accepted(LISTS, BYTES("\xa2\x06\x02\x01\x02\xa0\x06\x03"));
}

static void test_a_cut_packed_list_is_refused(void **state)
{
	(void)state;
	assert_refused(LISTS, BYTES("\x0a\x02\x01\x80"),
		       "oim.tests.Lists: malformed message");
	assert_refused(LISTS, BYTES("\x1a\x07......."),
		       "oim.tests.Lists: malformed message");
	assert_refused(LISTS, BYTES("\x22\x04...."),
		       "oim.tests.Lists: malformed message");
}

/* So many empty trees, each in the one before. */
static uint8_t *nest(unsigned levels, size_t *size)
{
	Oim__Tests__Tree trees[WIRE_MAX_DEPTH + 2];
	uint8_t *data;

	for (unsigned i = 0; i <= levels; i++) {
		trees[i] = (Oim__Tests__Tree)OIM__TESTS__TREE__INIT;
		trees[i].left = i < levels ? &trees[i + 1] : NULL;
	}
	data = mem_alloc(oim__tests__tree__get_packed_size(trees));
	*size = oim__tests__tree__pack(trees, data);
	return data;
}

static void test_depth_has_a_limit(void **state)
{
	CLEANUP(cleanup_free) uint8_t *fits = NULL;
	CLEANUP(cleanup_free) uint8_t *deep = NULL;
	size_t size;

	(void)state;
	fits = nest(WIRE_MAX_DEPTH, &size);
	assert_accepted(TREE, fits, size);
	deep = nest(WIRE_MAX_DEPTH + 1, &size);
	assert_too_much(TREE, deep, size,
			"more than 64 messages within each other");
}

static void test_the_number_of_fields_has_a_limit(void **state)
{
	size_t size = 2 * WIRE_MAX_FIELDS;
	CLEANUP(cleanup_free) uint8_t *data = mem_alloc(size + 2);

	(void)state;
	for (size_t i = 0; i < size + 2; i += 2)
		memcpy(data + i, "\x1a\x00", 2);
	assert_accepted(TREE, data, size);
	assert_too_much(TREE, data, size + 2,
			"message has more than 100000 fields");
}

static void test_packed_elements_count_as_fields(void **state)
{
	static uint8_t data[4 + WIRE_MAX_FIELDS];

	(void)state;
	memcpy(data, "\x0a\xa0\x8d\x06", 4); /* int32s of 100000 bytes */
	assert_too_much(LISTS, data, sizeof(data),
			"message has more than 100000 fields");
}

static void test_a_single_message_comes_once(void **state)
{
	(void)state;
	assert_refused(&oim__v0__set_value_request__descriptor,
		       BYTES("\x0a\x03\x0a\x01p\x0a\x03\x12\x01v"),
		       "oim.v0.SetValueRequest.value: given twice");
	assert_refused(TREE, BYTES("\x62\x00\x68\x01\x62\x00"),
		       "oim.tests.Tree.leaf_lists: given twice");
}

static void test_other_fields_may_come_again(void **state)
{
	(void)state;
	assert_accepted(TREE, BYTES("\x0a\x01x\x0a\x01y\x58\x01\x68\x01"));
	assert_accepted(TREE, BYTES("\x1a\x00\x1a\x02\x12\x00\x12\x00"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_bytes_are_a_message),
		cmocka_unit_test(test_every_kind_of_field_is_accepted),
		cmocka_unit_test(test_text_with_a_nul_is_refused),
		cmocka_unit_test(test_text_that_is_not_utf8_is_refused),
		cmocka_unit_test(test_text_is_checked_wherever_it_is),
		cmocka_unit_test(test_unknown_fields_are_walked_over),
		cmocka_unit_test(
			test_groups_and_unknown_wire_types_are_refused),
		cmocka_unit_test(test_field_numbers_end_at_both_sides),
		cmocka_unit_test(test_numbers_have_at_most_ten_bytes),
		cmocka_unit_test(test_what_is_cut_off_is_refused),
		cmocka_unit_test(test_an_inner_message_ends_with_its_length),
		cmocka_unit_test(test_another_wire_type_is_refused),
		cmocka_unit_test(test_lists_may_be_packed_or_not),
		cmocka_unit_test(test_a_cut_packed_list_is_refused),
		cmocka_unit_test(test_depth_has_a_limit),
		cmocka_unit_test(test_the_number_of_fields_has_a_limit),
		cmocka_unit_test(test_packed_elements_count_as_fields),
		cmocka_unit_test(test_a_single_message_comes_once),
		cmocka_unit_test(test_other_fields_may_come_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

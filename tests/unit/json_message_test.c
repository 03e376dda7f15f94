/* Messages as JSON and back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "google/protobuf/wrappers.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "oim/v0/oim.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/descriptors.h"
#include "proto/lib/err.h"
#include "proto/lib/json.h"
#include "tests/kinds.pb-c.h"

#define SCALARS (&oim__tests__scalars__descriptor)
#define LISTS   (&oim__tests__lists__descriptor)
#define MAPS    (&oim__tests__maps__descriptor)
#define TREE    (&oim__tests__tree__descriptor)
#define KNOWN   (&oim__tests__known__descriptor)
#define SECRETS (&oim__tests__secrets__descriptor)

/*
 * Instead of the table that the build makes: the contracts have neither lists
 * nor maps of secrets yet.
 */
const char *const secret_fields[] = {
	"oim.tests.Secrets.text",    "oim.tests.Secrets.texts",
	"oim.tests.Secrets.map",     "oim.tests.Secrets.data",
	"oim.tests.Secrets.number",  "oim.tests.Secrets.message",
	"oim.tests.Secrets.chosen",  "oim.v0.CephParams.secret",
	"oim.v0.CephParams.user_id", NULL,
};

static ProtobufCMessage *read_json(const ProtobufCMessageDescriptor *type,
				   const char *text, struct arena *a,
				   struct err *err)
{
	CLEANUP(cleanup_json)
	struct json_object *object = json_parse(text, strlen(text), err);

	assert_null(err->msg);
	return json_to_message(type, object, a, err);
}

static void assert_text(const ProtobufCMessage *message, unsigned flags,
			const char *expected)
{
	CLEANUP(cleanup_json)
	struct json_object *object = json_from_message(message, flags);
	CLEANUP(cleanup_free) char *text = json_text(object, false);

	assert_string_equal(text, expected);
}

/* What is read is written as expected, without defaults. */
static void assert_reads(const ProtobufCMessageDescriptor *type,
			 const char *text, const char *expected)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	ProtobufCMessage *message = read_json(type, text, a, &err);

	if (!message)
		fail_msg("%s: %s", text, err.msg);
	assert_text(message, JSON_NO_DEFAULTS, expected);
}

/* It is written as it was read. */
static void assert_same(const ProtobufCMessageDescriptor *type,
			const char *text)
{
	assert_reads(type, text, text);
}

static void assert_refused(const ProtobufCMessageDescriptor *type,
			   const char *text, const char *message)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (read_json(type, text, a, &err))
		fail_msg("accepted: %s", text);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(err.msg, message);
}

static void test_defaults_are_written(void **state)
{
	Oim__Tests__Scalars scalars = OIM__TESTS__SCALARS__INIT;
	Oim__Tests__Lists lists = OIM__TESTS__LISTS__INIT;
	Oim__Tests__Maps maps = OIM__TESTS__MAPS__INIT;

	(void)state;
	assert_text(
		&scalars.base, 0,
		"{\"int32Value\":0,\"sint32Value\":0,\"sfixed32Value\":0,"
		"\"int64Value\":\"0\",\"sint64Value\":\"0\","
		"\"sfixed64Value\":\"0\",\"uint32Value\":0,\"fixed32Value\":0,"
		"\"uint64Value\":\"0\",\"fixed64Value\":\"0\","
		"\"floatValue\":0.0,\"doubleValue\":0.0,\"boolValue\":false,"
		"\"color\":\"COLOR_UNKNOWN\",\"text\":\"\",\"data\":\"\"}");
	assert_text(&lists.base, 0,
		    "{\"int32s\":[],\"sint64s\":[],\"fixed32s\":[],"
		    "\"doubles\":[],\"bools\":[],\"colors\":[],\"texts\":[],"
		    "\"datas\":[],\"messages\":[],\"unpacked\":[]}");
	assert_text(
		&maps.base, 0,
		"{\"texts\":{},\"messages\":{},\"datas\":{},\"colors\":{}}");
}

static void test_messages_and_choices_that_are_not_set_are_left_out(
	void **state)
{
	Oim__Tests__Tree tree = OIM__TESTS__TREE__INIT;

	(void)state;
	assert_text(&tree.base, 0, "{\"text\":\"\",\"more\":[]}");
	tree.leaf_case = OIM__TESTS__TREE__LEAF_LEAF_NUMBER;
	assert_text(&tree.base, 0,
		    "{\"text\":\"\",\"more\":[],\"leafNumber\":\"0\"}");
}

static void test_defaults_can_be_left_out(void **state)
{
	Oim__Tests__Tree left = OIM__TESTS__TREE__INIT;
	Oim__Tests__Tree tree = OIM__TESTS__TREE__INIT;

	(void)state;
	assert_text(&tree.base, JSON_NO_DEFAULTS, "{}");
	tree.left = &left;
	tree.leaf_case = OIM__TESTS__TREE__LEAF_LEAF_TEXT;
	tree.leaf_text = (char *)"";
	assert_text(&tree.base, JSON_NO_DEFAULTS,
		    "{\"left\":{},\"leafText\":\"\"}");
}

static void test_strings_may_be_null(void **state)
{
	Oim__V0__DBEntry entry = OIM__V0__DBENTRY__INIT;

	(void)state;
	entry.address = NULL;
	assert_text(&entry.base, 0, "{\"controllerId\":\"\",\"address\":\"\"}");
}

static void test_the_ends_of_every_range_are_kept(void **state)
{
	(void)state;
	assert_same(SCALARS,
		    "{\"int32Value\":-2147483648,\"sint32Value\":2147483647,"
		    "\"sfixed32Value\":-1,"
		    "\"int64Value\":\"-9223372036854775808\","
		    "\"sint64Value\":\"9223372036854775807\","
		    "\"sfixed64Value\":\"-1\",\"uint32Value\":4294967295,"
		    "\"fixed32Value\":1,"
		    "\"uint64Value\":\"18446744073709551615\","
		    "\"fixed64Value\":\"1\",\"boolValue\":true,"
		    "\"color\":\"INFRARED\",\"text\":\"caf\xc3\xa9 / \\\"\","
		    "\"data\":\"AP9A\"}");
}

static void test_floats_are_as_short_as_they_can_be(void **state)
{
	(void)state;
	assert_same(SCALARS, "{\"floatValue\":0.1,\"doubleValue\":0.1}");
	assert_same(SCALARS, "{\"floatValue\":3.4028235e+38,"
			     "\"doubleValue\":1.7976931348623157e+308}");
	assert_same(SCALARS,
		    "{\"floatValue\":-0.0,\"doubleValue\":123456789.0}");
	assert_same(SCALARS,
		    "{\"floatValue\":\"NaN\",\"doubleValue\":\"-Infinity\"}");
	assert_same(SCALARS,
		    "{\"floatValue\":1.4013e-45,\"doubleValue\":4.94066e-324}");
}

static void test_numbers_may_be_strings_and_the_other_way_round(void **state)
{
	(void)state;
	assert_reads(SCALARS,
		     "{\"int32Value\":\"7\",\"int64Value\":7,"
		     "\"uint64Value\":18446744073709551615,"
		     "\"floatValue\":\"1.5\",\"doubleValue\":2}",
		     "{\"int32Value\":7,\"int64Value\":\"7\","
		     "\"uint64Value\":\"18446744073709551615\","
		     "\"floatValue\":1.5,\"doubleValue\":2.0}");
}

static void test_whole_numbers_have_many_forms(void **state)
{
	(void)state;
	assert_reads(SCALARS,
		     "{\"int32Value\":1.0,\"sint32Value\":\"-12e1\","
		     "\"int64Value\":9007199254740993.00,"
		     "\"uint64Value\":\"1.8446744073709551615E+19\","
		     "\"uint32Value\":-0,\"sint64Value\":120e-1,"
		     "\"fixed64Value\":0e999999999999999999999}",
		     "{\"int32Value\":1,\"sint32Value\":-120,"
		     "\"int64Value\":\"9007199254740993\","
		     "\"sint64Value\":\"12\","
		     "\"uint64Value\":\"18446744073709551615\"}");
}

static void test_numbers_out_of_range_are_refused(void **state)
{
	(void)state;
	assert_refused(SCALARS, "{\"int32Value\":2147483648}",
		       "int32Value: out of range");
	assert_refused(SCALARS, "{\"int32Value\":-2147483649}",
		       "int32Value: out of range");
	assert_refused(SCALARS, "{\"uint32Value\":-1}",
		       "uint32Value: out of range");
	assert_refused(SCALARS, "{\"int64Value\":\"9223372036854775808\"}",
		       "int64Value: out of range");
	assert_refused(SCALARS, "{\"uint64Value\":\"1e20\"}",
		       "uint64Value: out of range");
	assert_refused(SCALARS, "{\"uint64Value\":\"1e99999999999999999999\"}",
		       "uint64Value: out of range");
	assert_refused(SCALARS, "{\"floatValue\":3.5e38}",
		       "floatValue: out of range");
	assert_refused(SCALARS, "{\"doubleValue\":\"1e309\"}",
		       "doubleValue: out of range");
}

static void test_what_is_no_number_is_refused(void **state)
{
	static const char *const bad[] = {
		"\"\"", "\" 1\"", "\"1 \"", "\"0x1\"", "\"1,5\"", "\"inf\"",
		"true", "[]",     "{}",     "\"01\"",  "\"+1\"",  "\"nan\""};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CLEANUP(cleanup_arena) struct arena *a = arena_new();

		assert_refused(SCALARS,
			       arena_printf(a, "{\"int32Value\":%s}", bad[i]),
			       "int32Value: expected a number");
		assert_refused(SCALARS,
			       arena_printf(a, "{\"doubleValue\":%s}", bad[i]),
			       "doubleValue: expected a number");
	}
	assert_refused(SCALARS, "{\"int32Value\":1.5}",
		       "int32Value: expected a whole number");
	assert_refused(SCALARS, "{\"int64Value\":\"1e-1\"}",
		       "int64Value: expected a whole number");
}

static void test_the_wrong_type_is_refused(void **state)
{
	(void)state;
	assert_refused(SCALARS, "{\"text\":1}", "text: expected a string");
	assert_refused(SCALARS, "{\"boolValue\":\"true\"}",
		       "boolValue: expected true or false");
	assert_refused(SCALARS, "{\"data\":1}",
		       "data: expected a string of base64");
	assert_refused(LISTS, "{\"texts\":\"a\"}", "texts: expected a list");
	assert_refused(MAPS, "{\"texts\":[]}", "texts: expected an object");
	assert_refused(TREE, "{\"left\":[]}", "left: expected an object");
	assert_refused(TREE, "[]", "expected an object");
	assert_refused(TREE, "1", "expected an object");
}

static void test_errors_have_the_path_to_the_place(void **state)
{
	(void)state;
	assert_refused(&oim__v0__set_value_request__descriptor,
		       "{\"value\":{\"path\":1}}",
		       "value.path: expected a string");
	assert_refused(TREE, "{\"more\":[{},{\"left\":{\"text\":[]}}]}",
		       "more[1].left.text: expected a string");
	assert_refused(MAPS, "{\"messages\":{\"7\":{\"text\":0}}}",
		       "messages.7.text: expected a string");
	assert_refused(LISTS, "{\"int32s\":[1,\"x\"]}",
		       "int32s[1]: expected a number");
}

static void test_an_unknown_field_has_the_nearest_as_hint(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;

	(void)state;
	assert_null(read_json(&oim__v0__dbentry__descriptor,
			      "{\"controlerId\":\"x\"}", a, &err));
	assert_string_equal(err.msg,
			    "controlerId: oim.v0.DBEntry has no such field");
	assert_string_equal(err.hint, "did you mean \"controllerId\"?");
	assert_refused(TREE, "{\"a\\n\":1}",
		       "a\\n: oim.tests.Tree has no such field");
}

static void test_both_forms_of_names_are_read(void **state)
{
	(void)state;
	assert_reads(&oim__v0__dbentry__descriptor,
		     "{\"controller_id\":\"c\",\"address\":\"a\"}",
		     "{\"controllerId\":\"c\",\"address\":\"a\"}");
	assert_refused(&oim__v0__dbentry__descriptor,
		       "{\"controller_id\":\"c\",\"controllerId\":\"d\"}",
		       "controllerId: given twice");
}

static void test_null_is_the_default(void **state)
{
	(void)state;
	assert_reads(TREE,
		     "{\"text\":null,\"left\":null,\"more\":null,"
		     "\"leafText\":null,\"leafBool\":true}",
		     "{\"leafBool\":true}");
	assert_reads(TREE, "null", "{}");
	assert_refused(LISTS, "{\"texts\":[null]}",
		       "texts[0]: null cannot be in a list");
	assert_refused(MAPS, "{\"texts\":{\"a\":null}}",
		       "texts.a: null cannot be in a map");
}

static void test_one_member_of_a_choice_may_be_set(void **state)
{
	(void)state;
	assert_same(TREE, "{\"leafLists\":{\"texts\":[\"a\"]}}");
	assert_same(TREE, "{\"leafBool\":false}");
	assert_refused(TREE, "{\"leafText\":\"\",\"leafBool\":true}",
		       "leafBool: excludes another field that is set");
}

static void test_enums_are_names_or_numbers(void **state)
{
	(void)state;
	assert_reads(SCALARS, "{\"color\":2}", "{\"color\":\"GREEN\"}");
	assert_same(SCALARS, "{\"color\":99}");
	assert_same(LISTS, "{\"colors\":[\"RED\",\"INFRARED\",-7]}");
	assert_refused(SCALARS, "{\"color\":\"BLUE\"}",
		       "color: \"BLUE\" is no value of oim.tests.Color");
	assert_refused(SCALARS, "{\"color\":2147483648}",
		       "color: out of range");
	assert_refused(SCALARS, "{\"color\":true}",
		       "color: expected the name of a value");
}

static void test_text_that_the_wire_does_not_carry_is_refused(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_json)
	struct json_object *object = json_object_new_object();

	(void)state;
	assert_refused(SCALARS, "{\"text\":\"a\\u0000b\"}",
		       "text: text holds a NUL");
	json_object_object_add(object, "text", json_object_new_string("\xff"));
	assert_null(json_to_message(SCALARS, object, a, &err));
	assert_string_equal(err.msg, "text: text is not UTF-8");
}

static void test_bytes_are_base64_of_any_kind(void **state)
{
	(void)state;
	assert_same(LISTS, "{\"datas\":[\"\",\"Zg==\",\"Zm8=\",\"Zm9v\"]}");
	assert_reads(LISTS, "{\"datas\":[\"Zg\",\"Zm8\",\"-_-_\",\"+/+/\"]}",
		     "{\"datas\":[\"Zg==\",\"Zm8=\",\"+/+/\",\"+/+/\"]}");
}

static void test_what_is_no_base64_is_refused(void **state)
{
	static const char *const bad[] = {
		"Z",    "Zg=",  "Zg===", "====",     "Zm9vZ",
		"Zg =", "Z=g=", "Zm9v=", "Zm9v====", "Zm\\n8"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CLEANUP(cleanup_arena) struct arena *a = arena_new();

		assert_refused(SCALARS,
			       arena_printf(a, "{\"data\":\"%s\"}", bad[i]),
			       "data: expected a string of base64");
	}
}

static void test_maps_are_objects(void **state)
{
	(void)state;
	assert_same(MAPS, "{\"texts\":{\"a\":\"1\",\"\":\"\"},"
			  "\"messages\":{\"-7\":{\"text\":\"x\"},\"8\":{}},"
			  "\"datas\":{\"true\":\"AA==\",\"false\":\"\"},"
			  "\"colors\":{\"4294967295\":\"RED\"}}");
	assert_refused(MAPS, "{\"messages\":{\"x\":{}}}",
		       "messages.x: expected a number");
	assert_refused(MAPS, "{\"datas\":{\"yes\":\"\"}}",
		       "datas.yes: expected true or false");
	assert_refused(MAPS, "{\"colors\":{\"-1\":\"RED\"}}",
		       "colors.-1: out of range");
}

static void test_an_entry_without_a_message_has_an_empty_one(void **state)
{
	Oim__Tests__Maps__MessagesEntry entry =
		OIM__TESTS__MAPS__MESSAGES_ENTRY__INIT;
	Oim__Tests__Maps__MessagesEntry *entries[] = {&entry};
	Oim__Tests__Maps maps = OIM__TESTS__MAPS__INIT;

	(void)state;
	maps.n_messages = 1;
	maps.messages = entries;
	assert_text(&maps.base, JSON_NO_DEFAULTS, "{\"messages\":{\"0\":{}}}");
}

static void test_times_are_text(void **state)
{
	(void)state;
	assert_same(KNOWN, "{\"time\":\"2026-11-20T07:02:00Z\"}");
	assert_same(KNOWN, "{\"time\":\"0001-01-01T00:00:00Z\"}");
	assert_same(KNOWN, "{\"time\":\"9999-12-31T23:59:59.999999999Z\"}");
	assert_reads(KNOWN, "{\"time\":\"1970-01-01T00:30:00.5+01:00\"}",
		     "{\"time\":\"1969-12-31T23:30:00.500Z\"}");
	assert_same(&google__protobuf__timestamp__descriptor,
		    "\"1970-01-01T00:00:00.000001Z\"");
}

static void test_what_is_no_time_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"2026-11-20",
		"2026-11-20T07:02:00",
		"2026-11-20 07:02:00Z",
		"2026-11-20T07:02:00z",
		"2026-02-30T07:02:00Z",
		"2026-13-01T07:02:00Z",
		"2026-11-20T24:00:00Z",
		"2026-11-20T07:02:60Z",
		"2026-11-20T07:02:00.Z",
		"2026-11-20T07:02:00.1234567890Z",
		"2026-11-20T07:02:00+0100",
		"2026-11-20T07:02:00+24:00",
		"2026-11-20T07:02:00Z ",
		"0001-01-01T00:00:00+00:01",
		"0000-12-31T00:00:00Z",
		"12026-11-20T07:02:00Z",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CLEANUP(cleanup_arena) struct arena *a = arena_new();

		assert_refused(KNOWN,
			       arena_printf(a, "{\"time\":\"%s\"}", bad[i]),
			       "time: expected a time such as "
			       "2026-11-20T07:02:00Z");
	}
	assert_refused(KNOWN, "{\"time\":0}", "time: expected a time");
}

static void test_durations_are_text(void **state)
{
	(void)state;
	assert_same(KNOWN, "{\"durations\":[\"0s\",\"1.500s\",\"-0.000001s\","
			   "\"-315576000000s\",\"315576000000.999999999s\"]}");
	assert_reads(KNOWN, "{\"duration\":\"-01.5s\"}",
		     "{\"duration\":\"-1.500s\"}");
}

static void test_what_is_no_duration_is_refused(void **state)
{
	static const char *const bad[] = {"",
					  "1",
					  "s",
					  "1m",
					  "+1s",
					  "1.s",
					  ".5s",
					  "1 s",
					  "--1s",
					  "1e3s",
					  "1s ",
					  "315576000001s",
					  "1.1234567890s"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		CLEANUP(cleanup_arena) struct arena *a = arena_new();

		assert_refused(KNOWN,
			       arena_printf(a, "{\"duration\":\"%s\"}", bad[i]),
			       "duration: expected a duration such as 1.5s");
	}
}

static void test_a_time_that_has_no_text_is_an_object(void **state)
{
	Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Google__Protobuf__Duration duration = GOOGLE__PROTOBUF__DURATION__INIT;

	(void)state;
	time.nanos = 1000000000;
	assert_text(&time.base, 0, "{\"seconds\":\"0\",\"nanos\":1000000000}");
	duration.seconds = INT64_MIN;
	duration.nanos = 1;
	assert_text(&duration.base, 0,
		    "{\"seconds\":\"-9223372036854775808\",\"nanos\":1}");
}

static void test_wrappers_are_bare(void **state)
{
	(void)state;
	assert_same(KNOWN, "{\"text\":\"\",\"number\":\"0\",\"truth\":false,"
			   "\"data\":\"AA==\",\"doubles\":[1.5,\"NaN\"]}");
	assert_reads(KNOWN, "{\"text\":null,\"number\":5}",
		     "{\"number\":\"5\"}");
	assert_refused(KNOWN, "{\"text\":{\"value\":\"\"}}",
		       "text: expected a string");
}

static void test_any_holds_the_fields_of_a_type(void **state)
{
	(void)state;
	assert_same(KNOWN,
		    "{\"any\":{\"@type\":\"type.googleapis.com/oim.v0.Value\","
		    "\"path\":\"p\",\"value\":\"v\"}}");
	assert_reads(KNOWN,
		     "{\"any\":{\"controller_id\":\"c\","
		     "\"@type\":\"x/oim.v0.DBEntry\"}}",
		     "{\"any\":{\"@type\":\"x/oim.v0.DBEntry\","
		     "\"controllerId\":\"c\"}}");
	assert_same(KNOWN, "{\"any\":{}}");
	assert_refused(KNOWN,
		       "{\"any\":{\"@type\":\"x/oim.v0.Value\",\"path\":1}}",
		       "any.path: expected a string");
}

static void test_any_holds_known_types_as_value(void **state)
{
	(void)state;
	assert_same(KNOWN, "{\"any\":{\"@type\":\"x/google.protobuf.Duration\","
			   "\"value\":\"1.500s\"}}");
	assert_same(KNOWN,
		    "{\"any\":{\"@type\":\"x/google.protobuf.Any\",\"value\":{"
		    "\"@type\":\"x/oim.v0.Value\",\"path\":\"p\"}}}");
	assert_refused(KNOWN,
		       "{\"any\":{\"@type\":\"x/google.protobuf.Duration\"}}",
		       "any: expected \"@type\" and \"value\"");
	assert_refused(KNOWN,
		       "{\"any\":{\"@type\":\"x/google.protobuf.Duration\","
		       "\"value\":1}}",
		       "any.value: expected a duration");
}

static void test_any_of_an_unknown_type_is_base64(void **state)
{
	(void)state;
	assert_same(KNOWN,
		    "{\"any\":{\"@type\":\"x/y.Z\",\"value\":\"CAE=\"}}");
	assert_refused(KNOWN, "{\"any\":{\"@type\":\"x/y.Z\",\"a\":1}}",
		       "any: expected \"@type\" and \"value\"");
	assert_refused(KNOWN, "{\"any\":{\"@type\":\"oim.v0.Value\"}}",
		       "any.@type: expected the URL of a type");
	assert_refused(KNOWN, "{\"any\":{\"path\":\"p\"}}",
		       "any.@type: expected the URL of a type");
}

static void test_any_that_does_not_decode_may_hold_a_secret(void **state)
{
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	(void)state;
	any.type_url = (char *)"x/oim.v0.Value";
	any.value.data = (uint8_t *)"\x0a\x01\xff";
	any.value.len = 3;
	assert_text(&any.base, 0,
		    "{\"@type\":\"x/oim.v0.Value\",\"value\":\"***\"}");
	assert_text(&any.base, JSON_SHOW_SECRETS,
		    "{\"@type\":\"x/oim.v0.Value\",\"value\":\"CgH/\"}");
}

static void test_any_within_any_ends_somewhere(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(cleanup_json) struct json_object *object = NULL;
	CLEANUP(cleanup_free) char *text = NULL;
	Google__Protobuf__Any *any = arena_message(
				      a, &google__protobuf__any__descriptor),
			      *outer;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		outer = arena_message(a, &google__protobuf__any__descriptor);
		outer->type_url = (char *)"x/google.protobuf.Any";
		outer->value.len = google__protobuf__any__get_packed_size(any);
		outer->value.data = arena_alloc(a, outer->value.len);
		google__protobuf__any__pack(any, outer->value.data);
		any = outer;
	}
	object = json_from_message(&any->base, JSON_SHOW_SECRETS);
	text = json_text(object, false);
	assert_non_null(strstr(text, "\"value\":\"ChV4"));
}

static void test_secrets_are_redacted_where_they_are_set(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const char *text =
		"{\"text\":\"canary\",\"texts\":[\"canary\",\"\"],"
		"\"map\":{\"k\":\"canary\",\"e\":\"\"},\"data\":\"AA==\","
		"\"number\":\"42\",\"message\":{\"text\":\"canary\"},"
		"\"open\":\"o\",\"chosen\":\"canary\"}";
	ProtobufCMessage *message = read_json(SECRETS, text, a, &err);

	(void)state;
	assert_text(message, JSON_NO_DEFAULTS,
		    "{\"text\":\"***\",\"texts\":[\"***\",\"\"],"
		    "\"map\":{\"k\":\"***\",\"e\":\"\"},\"data\":\"***\","
		    "\"number\":\"***\",\"message\":\"***\",\"open\":\"o\","
		    "\"chosen\":\"***\"}");
	assert_text(message, JSON_NO_DEFAULTS | JSON_SHOW_SECRETS, text);
}

static void test_secrets_that_are_not_set_read_as_such(void **state)
{
	Oim__Tests__Secrets secrets = OIM__TESTS__SECRETS__INIT;

	(void)state;
	assert_text(&secrets.base, 0,
		    "{\"text\":\"\",\"texts\":[],\"map\":{},\"data\":\"\","
		    "\"number\":\"0\",\"open\":\"\"}");
}

static void test_secrets_in_any_are_redacted(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	ProtobufCMessage *status = read_json(
		&google__rpc__status__descriptor,
		"{\"details\":[{\"@type\":\"x/oim.v0.MapVolumeRequest\","
		"\"ceph\":{\"secret\":\"canary\",\"pool\":\"rbd\"}}]}",
		a, &err);

	(void)state;
	assert_text(status, JSON_NO_DEFAULTS,
		    "{\"details\":[{\"@type\":\"x/oim.v0.MapVolumeRequest\","
		    "\"ceph\":{\"secret\":\"***\",\"pool\":\"rbd\"}}]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_are_written),
		cmocka_unit_test(
			test_messages_and_choices_that_are_not_set_are_left_out),
		cmocka_unit_test(test_defaults_can_be_left_out),
		cmocka_unit_test(test_strings_may_be_null),
		cmocka_unit_test(test_the_ends_of_every_range_are_kept),
		cmocka_unit_test(test_floats_are_as_short_as_they_can_be),
		cmocka_unit_test(
			test_numbers_may_be_strings_and_the_other_way_round),
		cmocka_unit_test(test_whole_numbers_have_many_forms),
		cmocka_unit_test(test_numbers_out_of_range_are_refused),
		cmocka_unit_test(test_what_is_no_number_is_refused),
		cmocka_unit_test(test_the_wrong_type_is_refused),
		cmocka_unit_test(test_errors_have_the_path_to_the_place),
		cmocka_unit_test(test_an_unknown_field_has_the_nearest_as_hint),
		cmocka_unit_test(test_both_forms_of_names_are_read),
		cmocka_unit_test(test_null_is_the_default),
		cmocka_unit_test(test_one_member_of_a_choice_may_be_set),
		cmocka_unit_test(test_enums_are_names_or_numbers),
		cmocka_unit_test(
			test_text_that_the_wire_does_not_carry_is_refused),
		cmocka_unit_test(test_bytes_are_base64_of_any_kind),
		cmocka_unit_test(test_what_is_no_base64_is_refused),
		cmocka_unit_test(test_maps_are_objects),
		cmocka_unit_test(
			test_an_entry_without_a_message_has_an_empty_one),
		cmocka_unit_test(test_times_are_text),
		cmocka_unit_test(test_what_is_no_time_is_refused),
		cmocka_unit_test(test_durations_are_text),
		cmocka_unit_test(test_what_is_no_duration_is_refused),
		cmocka_unit_test(test_a_time_that_has_no_text_is_an_object),
		cmocka_unit_test(test_wrappers_are_bare),
		cmocka_unit_test(test_any_holds_the_fields_of_a_type),
		cmocka_unit_test(test_any_holds_known_types_as_value),
		cmocka_unit_test(test_any_of_an_unknown_type_is_base64),
		cmocka_unit_test(
			test_any_that_does_not_decode_may_hold_a_secret),
		cmocka_unit_test(test_any_within_any_ends_somewhere),
		cmocka_unit_test(test_secrets_are_redacted_where_they_are_set),
		cmocka_unit_test(test_secrets_that_are_not_set_read_as_such),
		cmocka_unit_test(test_secrets_in_any_are_redacted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Ids and the names that stand for them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/id.h"

static void assert_refused(const char *id, const char *message)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_int_equal(id_check(id, "volume id", &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(err.msg, message);
}

static void assert_accepted(const char *id)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_int_equal(id_check(id, "volume id", &err), 0);
	assert_null(err.msg);
}

static void test_any_text_may_be_an_id(void **state)
{
	char longest[ID_MAX + 1];

	(void)state;
	memset(longest, 'x', ID_MAX);
	longest[ID_MAX] = '\0';
	assert_accepted("v");
	assert_accepted("host.n1");
	assert_accepted("a b \"quoted\" \\ ..");
	assert_accepted("caf\xc3\xa9");
	assert_accepted(longest);
}

static void test_an_empty_id_is_refused(void **state)
{
	(void)state;
	assert_refused("", "empty volume id");
}

static void test_an_id_of_254_bytes_is_refused(void **state)
{
	char id[ID_MAX + 2];

	(void)state;
	memset(id, 'x', ID_MAX + 1);
	id[ID_MAX + 1] = '\0';
	assert_refused(id, "volume id of 254 bytes is too long, at most 253 "
			   "are allowed");
}

static void test_an_id_with_a_slash_is_refused(void **state)
{
	(void)state;
	assert_refused("a/b", "volume id \"a/b\" contains a slash");
}

static void test_an_id_that_is_not_text_is_refused(void **state)
{
	(void)state;
	assert_refused("a\xff", "volume id is not UTF-8");
	assert_refused("a\nb", "volume id contains a control character");
	assert_refused("a\xc2\x85", "volume id contains a control character");
}

static void test_a_plain_id_is_its_own_file_name(void **state)
{
	char name[ID_FILE_NAME_SIZE];
	char longest[65] = "";

	(void)state;
	memset(longest, 'x', 64);
	assert_string_equal(id_file_name("host.n1_A-9", name), "host.n1_A-9");
	assert_string_equal(id_file_name("-", name), "-");
	assert_string_equal(id_file_name(longest, name), longest);
}

static void assert_hashed(const char *id)
{
	char name[ID_FILE_NAME_SIZE];

	id_file_name(id, name);
	assert_memory_equal(name, "h-", 2);
	assert_int_equal(strlen(name), 66);
	assert_int_equal(strspn(name + 2, "0123456789abcdef"), 64);
}

static void test_other_ids_are_hashed(void **state)
{
	char name[ID_FILE_NAME_SIZE];
	char long_id[66] = "";

	(void)state;
	memset(long_id, 'x', 65);
	assert_hashed(long_id);
	assert_hashed("a b");
	assert_hashed("caf\xc3\xa9");
	assert_hashed(".");
	assert_hashed("..");
	assert_hashed(".hidden");
	/* printf 'a b' | sha256sum */
	assert_string_equal(id_file_name("a b", name),
			    "h-c8687a08aa5d6ed2044328fa6a697ab8"
			    "e96dc34291e8c2034ae8c38e6fcc6d65");
}

static void test_the_name_of_one_id_is_not_the_name_of_another(void **state)
{
	char hash[ID_FILE_NAME_SIZE], name[ID_FILE_NAME_SIZE];

	(void)state;
	id_file_name("a b", hash);
	assert_string_not_equal(id_file_name(hash, name), hash);
	assert_hashed("h-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_text_may_be_an_id),
		cmocka_unit_test(test_an_empty_id_is_refused),
		cmocka_unit_test(test_an_id_of_254_bytes_is_refused),
		cmocka_unit_test(test_an_id_with_a_slash_is_refused),
		cmocka_unit_test(test_an_id_that_is_not_text_is_refused),
		cmocka_unit_test(test_a_plain_id_is_its_own_file_name),
		cmocka_unit_test(test_other_ids_are_hashed),
		cmocka_unit_test(
			test_the_name_of_one_id_is_not_the_name_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

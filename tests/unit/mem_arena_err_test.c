/* Memory, and the error object. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oim/v0/oim.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"

static void test_a_copy_has_a_nul_that_is_not_counted(void **state)
{
	CLEANUP(cleanup_free) char *copy = mem_dup("a\0bc", 3);

	(void)state;
	assert_memory_equal(copy, "a\0b\0", 4);
}

static void test_no_bytes_are_memory_too(void **state)
{
	CLEANUP(cleanup_free) void *none = mem_alloc(0);
	CLEANUP(cleanup_free) char *copy = mem_dup(NULL, 0);
	CLEANUP(cleanup_free) void *grown = mem_realloc(NULL, 0, 8);

	(void)state;
	assert_non_null(none);
	assert_string_equal(copy, "");
	assert_non_null(grown);
}

static void test_zeroed_memory_is_zero(void **state)
{
	static const char zero[1000];
	CLEANUP(cleanup_free) char *p = mem_zalloc(10, 100);

	(void)state;
	assert_memory_equal(p, zero, sizeof(zero));
}

static void test_no_string_is_copied_to_none(void **state)
{
	CLEANUP(cleanup_free) char *copy = mem_strdup("x");

	(void)state;
	assert_string_equal(copy, "x");
	assert_null(mem_strdup(NULL));
	mem_free_secret(NULL);
	mem_free_secret(mem_strdup("secret"));
}

static void test_arena_memory_fits_any_type(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();

	(void)state;
	for (size_t size = 1; size < 40; size++) {
		char *p = arena_alloc(a, size);

		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		memset(p, 'x', size);
	}
}

static void test_an_arena_holds_more_than_a_chunk(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	char *big = arena_zalloc(a, 1 << 10, 1 << 10);
	char *small[1000];

	(void)state;
	assert_int_equal(big[(1 << 20) - 1], 0);
	for (int i = 0; i < 1000; i++)
		small[i] = arena_printf(a, "number %d of %s", i, "many");
	assert_string_equal(small[0], "number 0 of many");
	assert_string_equal(small[999], "number 999 of many");
}

static void test_an_arena_copies_no_bytes_too(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();

	(void)state;
	assert_string_equal(arena_dup(a, NULL, 0), "");
}

static void test_an_arena_is_used_again_after_reset(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	char *first = arena_strdup(a, "first"), *second;

	(void)state;
	arena_zalloc(a, 100, 1000);
	arena_reset(a);
	second = arena_dup(a, "2nd\0x", 5);
	assert_ptr_equal(first, second);
	assert_memory_equal(second, "2nd\0x", 6);
	arena_free(NULL);
}

static void test_messages_live_in_an_arena(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	Oim__V0__DBEntry *made =
		arena_message(a, &oim__v0__dbentry__descriptor);
	Oim__V0__DBEntry *back;
	uint8_t bytes[64];
	size_t size;

	(void)state;
	assert_string_equal(made->address, "");
	made->controller_id = "c1";
	made->address = "h:1";
	size = oim__v0__dbentry__pack(made, bytes);
	back = arena_unpack(a, &oim__v0__dbentry__descriptor, bytes, size);
	assert_non_null(back);
	assert_string_equal(back->controller_id, "c1");
	assert_string_equal(back->address, "h:1");
}

static void test_bytes_that_are_no_message_are_not_unpacked(void **state)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();

	(void)state;
	assert_null(
		arena_unpack(a, &oim__v0__dbentry__descriptor, "\x0a\x05x", 3));
}

static void test_an_error_has_a_code_and_a_message(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&err, GRPC_STATUS_NOT_FOUND, "no %s \"%d\"",
				 "volume", 7),
			 -1);
	assert_int_equal(err.code, GRPC_STATUS_NOT_FOUND);
	assert_string_equal(err.msg, "no volume \"7\"");
	assert_null(err.hint);
}

static void test_errno_becomes_code_and_words_and_is_kept(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	(void)state;
	errno = ENOSPC;
	assert_int_equal(err_errno(&err, "write %s", "f"), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(err.code, GRPC_STATUS_RESOURCE_EXHAUSTED);
	assert_string_equal(err.msg, "write f: No space left on device");
}

static void test_context_goes_before_and_code_and_hint_stay(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	(void)state;
	err_set(&err, GRPC_STATUS_ABORTED, "busy");
	err_hint(&err, "first");
	err_hint(&err, "repeat %s", "it");
	assert_int_equal(err_wrap(&err, "map %s", "v1"), -1);
	assert_int_equal(err.code, GRPC_STATUS_ABORTED);
	assert_string_equal(err.msg, "map v1: busy");
	assert_string_equal(err.hint, "repeat it");
}

static void test_a_moved_error_leaves_none_behind(void **state)
{
	CLEANUP(err_clear) struct err from = ERR_INIT;
	CLEANUP(err_clear) struct err to = ERR_INIT;

	(void)state;
	err_set(&to, GRPC_STATUS_UNKNOWN, "old");
	err_set(&from, GRPC_STATUS_INTERNAL, "new");
	err_move(&to, &from);
	assert_string_equal(to.msg, "new");
	assert_int_equal(from.code, 0);
	assert_null(from.msg);
}

static void test_every_code_has_its_name(void **state)
{
	(void)state;
	assert_string_equal(err_code_name(0), "OK");
	assert_string_equal(err_code_name(16), "UNAUTHENTICATED");
	for (int code = 0; code <= 16; code++)
		assert_non_null(err_code_name(code));
	assert_string_equal(err_code_name(17), "CODE_17");
	assert_string_equal(err_code_name(-1), "CODE_-1");
}

static void test_system_errors_map_to_codes(void **state)
{
	static const struct {
		int error, code;
	} map[] = {
		{ENOENT, GRPC_STATUS_NOT_FOUND},
		{EEXIST, GRPC_STATUS_ALREADY_EXISTS},
		{EACCES, GRPC_STATUS_PERMISSION_DENIED},
		{EPERM, GRPC_STATUS_PERMISSION_DENIED},
		{ENOSPC, GRPC_STATUS_RESOURCE_EXHAUSTED},
		{EMFILE, GRPC_STATUS_RESOURCE_EXHAUSTED},
		{EBUSY, GRPC_STATUS_FAILED_PRECONDITION},
		{ECONNREFUSED, GRPC_STATUS_UNAVAILABLE},
		{ETIMEDOUT, GRPC_STATUS_DEADLINE_EXCEEDED},
		{EIO, GRPC_STATUS_INTERNAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(map) / sizeof(*map); i++)
		assert_int_equal(err_code_of_errno(map[i].error), map[i].code);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_copy_has_a_nul_that_is_not_counted),
		cmocka_unit_test(test_no_bytes_are_memory_too),
		cmocka_unit_test(test_zeroed_memory_is_zero),
		cmocka_unit_test(test_no_string_is_copied_to_none),
		cmocka_unit_test(test_arena_memory_fits_any_type),
		cmocka_unit_test(test_an_arena_holds_more_than_a_chunk),
		cmocka_unit_test(test_an_arena_copies_no_bytes_too),
		cmocka_unit_test(test_an_arena_is_used_again_after_reset),
		cmocka_unit_test(test_messages_live_in_an_arena),
		cmocka_unit_test(
			test_bytes_that_are_no_message_are_not_unpacked),
		cmocka_unit_test(test_an_error_has_a_code_and_a_message),
		cmocka_unit_test(test_errno_becomes_code_and_words_and_is_kept),
		cmocka_unit_test(
			test_context_goes_before_and_code_and_hint_stay),
		cmocka_unit_test(test_a_moved_error_leaves_none_behind),
		cmocka_unit_test(test_every_code_has_its_name),
		cmocka_unit_test(test_system_errors_map_to_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

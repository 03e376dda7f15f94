/* Unpacking of compressed messages: what it gives, and what it refuses. */

#include "daemon/rpc/inflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include <grpc/byte_buffer.h>
#include <grpc/slice.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"

#define GZIP (15 + 16)
#define ZLIB 15

/* What comes of unpacking. */
struct result {
	int rc;
	grpc_slice out;
	struct err err;
};

static grpc_slice pack(const void *data, size_t size, int format)
{
	size_t room = size + 1000;
	grpc_slice slice = grpc_slice_malloc(room);
	z_stream z = {0};

	assert_int_equal(
		deflateInit2(&z, 9, Z_DEFLATED, format, 8, Z_DEFAULT_STRATEGY),
		Z_OK);
	z.next_in = (Bytef *)(uintptr_t)data;
	z.avail_in = (uInt)size;
	z.next_out = GRPC_SLICE_START_PTR(slice);
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	GRPC_SLICE_SET_LENGTH(slice, room - z.avail_out);
	deflateEnd(&z);
	return slice;
}

/* In two pieces, as messages come. */
static struct result unpack(grpc_slice packed, size_t max)
{
	struct result r = {.out = grpc_empty_slice()};
	size_t half = GRPC_SLICE_LENGTH(packed) / 2;
	grpc_slice pieces[] = {
		grpc_slice_sub(packed, 0, half),
		grpc_slice_sub(packed, half, GRPC_SLICE_LENGTH(packed)),
	};
	grpc_byte_buffer *bytes = grpc_raw_compressed_byte_buffer_create(
		pieces, 2, GRPC_COMPRESS_GZIP);

	assert_true(inflate_is_needed(bytes));
	r.rc = inflate_bytes(bytes, max, &r.out, &r.err);
	grpc_byte_buffer_destroy(bytes);
	grpc_slice_unref(pieces[0]);
	grpc_slice_unref(pieces[1]);
	return r;
}

static void clear(struct result *r)
{
	grpc_slice_unref(r->out);
	err_clear(&r->err);
}

static void assert_unpacks(size_t size, size_t max, int format)
{
	CLEANUP(cleanup_free) char *data = mem_zalloc(size + 1, 1);
	grpc_slice packed, expected;
	struct result r;

	for (size_t i = 0; i < size; i += 7)
		data[i] = (char)i;
	expected = grpc_slice_from_static_buffer(data, size);
	packed = pack(data, size, format);
	r = unpack(packed, max);
	assert_int_equal(r.rc, 0);
	assert_true(grpc_slice_eq(r.out, expected));
	clear(&r);
	grpc_slice_unref(packed);
}

static void assert_refused(grpc_slice packed, size_t max, int code,
			   const char *message)
{
	struct result r = unpack(packed, max);

	assert_int_equal(r.rc, -1);
	assert_int_equal(r.err.code, code);
	assert_string_equal(r.err.msg, message);
	clear(&r);
}

static void test_a_plain_message_needs_nothing(void **state)
{
	grpc_slice slice = grpc_slice_from_static_string("plain");
	grpc_byte_buffer *bytes = grpc_raw_byte_buffer_create(&slice, 1);

	(void)state;
	assert_false(inflate_is_needed(bytes));
	grpc_byte_buffer_destroy(bytes);
}

static void test_both_formats_are_unpacked(void **state)
{
	static const size_t sizes[] = {0,    1,    4095,   4096,
				       4097, 8191, 100000, 1000000};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		assert_unpacks(sizes[i], 1 << 20, GZIP);
		assert_unpacks(sizes[i], 1 << 20, ZLIB);
	}
}

static void test_the_limit_is_the_largest_that_passes(void **state)
{
	static const size_t limits[] = {1, 4095, 4096, 4097, 65536};
	char message[100];

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		CLEANUP(cleanup_free) char *data = mem_zalloc(limits[i] + 1, 1);
		grpc_slice packed = pack(data, limits[i] + 1, GZIP);

		assert_unpacks(limits[i], limits[i], GZIP);
		snprintf(
			message, sizeof(message),
			"the message is larger than %zu bytes when it is unpacked",
			limits[i]);
		assert_refused(packed, limits[i],
			       GRPC_STATUS_RESOURCE_EXHAUSTED, message);
		grpc_slice_unref(packed);
	}
}

static void test_what_is_not_compressed_as_it_says_is_refused(void **state)
{
	static const char *const bad =
		"the message is not compressed as it says";
	grpc_slice good = pack("hello", 5, GZIP), piece;
	size_t size = GRPC_SLICE_LENGTH(good);

	(void)state;
	for (size_t i = 1; i < size; i++) {
		piece = grpc_slice_sub(good, 0, i);
		assert_refused(piece, 100, GRPC_STATUS_INVALID_ARGUMENT, bad);
		grpc_slice_unref(piece);
	}
	GRPC_SLICE_START_PTR(good)[size - 5] ^= 1; /* the checksum */
	assert_refused(good, 100, GRPC_STATUS_INVALID_ARGUMENT, bad);
	grpc_slice_unref(good);
	assert_refused(grpc_slice_from_static_string("plain"), 100,
		       GRPC_STATUS_INVALID_ARGUMENT, bad);
}

static void test_what_follows_is_refused(void **state)
{
	grpc_slice good = pack("hello", 5, GZIP);
	size_t size = GRPC_SLICE_LENGTH(good);
	grpc_slice more = grpc_slice_malloc(size + 1);

	(void)state;
	memcpy(GRPC_SLICE_START_PTR(more), GRPC_SLICE_START_PTR(good), size);
	GRPC_SLICE_START_PTR(more)[size] = 0;
	assert_refused(more, 100, GRPC_STATUS_INVALID_ARGUMENT,
		       "the message is not compressed as it says");
	grpc_slice_unref(more);
	grpc_slice_unref(good);
}

static void test_nothing_is_nothing(void **state)
{
	struct result r = unpack(grpc_empty_slice(), 100);

	(void)state;
	assert_int_equal(r.rc, 0);
	assert_int_equal(GRPC_SLICE_LENGTH(r.out), 0);
	clear(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plain_message_needs_nothing),
		cmocka_unit_test(test_both_formats_are_unpacked),
		cmocka_unit_test(test_the_limit_is_the_largest_that_passes),
		cmocka_unit_test(
			test_what_is_not_compressed_as_it_says_is_refused),
		cmocka_unit_test(test_what_follows_is_refused),
		cmocka_unit_test(test_nothing_is_nothing),
	};

	return cmocka_run_group_tests_name("inflate", tests, NULL, NULL);
}

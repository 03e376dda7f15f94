/* Sizes, durations and times as text. */

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/units.h"

#define S UNITS_SECOND

static void assert_size(const char *s, uint64_t expected)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	uint64_t bytes = 0;

	if (units_parse_size(s, &bytes, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(bytes, expected);
}

static void assert_size_refused(const char *s, const char *message)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	uint64_t bytes = 7;

	assert_int_equal(units_parse_size(s, &bytes, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(err.msg, message);
	assert_int_equal(bytes, 7);
}

static void assert_no_size(const char *s, const char *shown)
{
	char message[256];

	snprintf(message, sizeof(message),
		 "size \"%s\" is not a number of bytes such as 4096, 64M or "
		 "1.5GiB",
		 shown);
	assert_size_refused(s, message);
}

static void test_sizes_without_a_unit_are_bytes(void **state)
{
	(void)state;
	assert_size("0", 0);
	assert_size("512", 512);
	assert_size("512B", 512);
	assert_size("1.0", 1);
	assert_size("007", 7);
	assert_size("9223372036854775807", INT64_MAX);
}

static void test_units_are_powers_of_1024(void **state)
{
	(void)state;
	assert_size("1K", 1024);
	assert_size("64M", 64 << 20);
	assert_size("2G", UINT64_C(2) << 30);
	assert_size("1TiB", UINT64_C(1) << 40);
	assert_size("1PiB", UINT64_C(1) << 50);
	assert_size("7EiB", UINT64_C(7) << 60);
}

static void test_units_with_a_b_are_powers_of_1000(void **state)
{
	(void)state;
	assert_size("1KB", 1000);
	assert_size("1.5MB", 1500000);
	assert_size("9EB", UINT64_C(9000000000000000000));
}

static void test_case_and_one_space_do_not_matter(void **state)
{
	(void)state;
	assert_size("1k", 1024);
	assert_size("1 kib", 1024);
	assert_size("1 Kb", 1000);
	assert_size("3 b", 3);
}

static void test_a_fraction_of_a_unit_may_be_bytes(void **state)
{
	(void)state;
	assert_size("1.5K", 1536);
	assert_size("0.5KiB", 512);
	assert_size("0.0009765625K", 1);
	assert_size("1.50000000000000000000000000000K", 1536);
	assert_size("7.999999999999999999EB", UINT64_C(7999999999999999999));
}

static void test_a_fraction_of_a_byte_is_refused(void **state)
{
	(void)state;
	assert_size_refused("1.0001K",
			    "size \"1.0001K\" is not a whole number of bytes");
	assert_size_refused("0.5",
			    "size \"0.5\" is not a whole number of bytes");
	assert_size_refused("1.0000000000000000001E",
			    "size \"1.0000000000000000001E\" is not a whole "
			    "number of bytes");
}

static void test_a_size_of_8_eib_is_refused(void **state)
{
	(void)state;
	assert_size_refused("8E",
			    "size \"8E\" is too large: it must be below 8EiB");
	assert_size_refused("9223372036854775808",
			    "size \"9223372036854775808\" is too large: it "
			    "must be below 8EiB");
	assert_size_refused("99999999999999999999999E",
			    "size \"99999999999999999999999E\" is too large: "
			    "it must be below 8EiB");
}

static void test_what_is_no_size_is_refused(void **state)
{
	static const char *const bad[] = {
		"",      "64X", "K",    "-1",   "+1",    " 1",  "1 ",
		"1  K",  "1.",  ".5K",  "1..5", "1.5.5", "1KK", "1iB",
		"1KiBs", "1e3", "0x10", "1,5K", "1Ki",   "1K "};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_no_size(bad[i], bad[i]);
}

static void test_a_size_that_is_not_text_can_be_shown(void **state)
{
	(void)state;
	assert_no_size("1\xff\n", "1\\xff\\n");
}

static void assert_size_text(uint64_t bytes, const char *expected)
{
	CLEANUP(cleanup_free) char *s = units_format_size(bytes);

	assert_string_equal(s, expected);
}

static void test_sizes_are_cut_to_one_decimal(void **state)
{
	(void)state;
	assert_size_text(0, "0B");
	assert_size_text(1023, "1023B");
	assert_size_text(1024, "1KiB");
	assert_size_text(1536, "1.5KiB");
	assert_size_text(2047, "1.9KiB");
	assert_size_text(64 << 20, "64MiB");
	assert_size_text((1 << 20) - 1, "1023.9KiB");
	assert_size_text((1 << 20) + 1, "1MiB");
	assert_size_text(UINT64_MAX, "15.9EiB");
}

static void assert_duration(const char *s, int64_t expected)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	int64_t ns = -1;

	if (units_parse_duration(s, &ns, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(ns, expected);
}

static void assert_duration_refused(const char *s, const char *why)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	char message[256];
	int64_t ns = 7;

	snprintf(message, sizeof(message), "duration \"%s\" %s", s, why);
	assert_int_equal(units_parse_duration(s, &ns, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(err.msg, message);
	assert_int_equal(ns, 7);
}

static void test_durations_are_numbers_with_units(void **state)
{
	(void)state;
	assert_duration("0", 0);
	assert_duration("0s", 0);
	assert_duration("90s", 90 * S);
	assert_duration("1m30s", 90 * S);
	assert_duration("500ms", S / 2);
	assert_duration("1.5h", 5400 * S);
	assert_duration("2d", 2 * 86400 * S);
	assert_duration("1d2h3m4s5ms6us7ns", 93784 * S + INT64_C(5006007));
	assert_duration("0.000000001s", 1);
	assert_duration("9223372036854775807ns", INT64_MAX);
}

static void test_what_is_no_duration_is_refused(void **state)
{
	static const char *const bad[] = {"",    "1",   "00",    "s",    "-1s",
					  "+1s", " 1s", "1s ",   "1 s",  "1S",
					  "1x",  "1sm", "30s1m", "1s1s", "1m30",
					  "1.s", ".5s", "1e3s",  "1min"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_duration_refused(
			bad[i], "is not a time such as 90s, 1m30s or 500ms");
}

static void test_a_fraction_of_a_nanosecond_is_refused(void **state)
{
	(void)state;
	assert_duration_refused("0.5ns",
				"is not a whole number of nanoseconds");
	assert_duration_refused("1.0000000001s",
				"is not a whole number of nanoseconds");
}

static void test_a_duration_of_300_years_is_refused(void **state)
{
	static const char *const bad[] = {"106752d", "9223372036854775808ns",
					  "106751d24h",
					  "99999999999999999999999s"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_duration_refused(
			bad[i], "is too long: it must be below 292 years");
}

static void assert_duration_text(int64_t ns, const char *expected)
{
	CLEANUP(cleanup_free) char *s = units_format_duration(ns);

	assert_string_equal(s, expected);
}

static void test_durations_are_exact(void **state)
{
	(void)state;
	assert_duration_text(0, "0s");
	assert_duration_text(90 * S, "1m30s");
	assert_duration_text(S / 2, "500ms");
	assert_duration_text(3600 * S, "1h");
	assert_duration_text(36 * 3600 * S + 1, "1d12h1ns");
	assert_duration_text(-90 * S, "-1m30s");
	assert_duration_text(INT64_MAX, "106751d23h47m16s854ms775us807ns");
	assert_duration_text(INT64_MIN, "-106751d23h47m16s854ms775us808ns");
	assert_duration("106751d23h47m16s854ms775us807ns", INT64_MAX);
}

static void assert_age(int64_t ns, const char *expected)
{
	CLEANUP(cleanup_free) char *s = units_format_age(ns);

	assert_string_equal(s, expected);
}

static void test_ages_are_in_the_largest_unit(void **state)
{
	(void)state;
	assert_age(0, "0s");
	assert_age(S - 1, "0s");
	assert_age(59 * S, "59s");
	assert_age(119 * S, "1m");
	assert_age(3 * 3600 * S, "3h");
	assert_age(12 * 86400 * S, "12d");
	assert_age(500 * 86400 * S, "500d");
}

static void test_what_is_yet_to_come_has_no_age(void **state)
{
	(void)state;
	assert_age(-5 * S, "0s");
	assert_age(INT64_MIN, "0s");
}

static void assert_time(int64_t ns, const char *expected)
{
	CLEANUP(cleanup_free) char *s = units_format_time(ns);

	assert_string_equal(s, expected);
}

static void test_times_have_as_many_digits_as_needed(void **state)
{
	(void)state;
	assert_time(0, "1970-01-01T00:00:00Z");
	assert_time(1795158120 * S, "2026-11-20T07:02:00Z");
	assert_time(S / 2, "1970-01-01T00:00:00.500Z");
	assert_time(1000, "1970-01-01T00:00:00.000001Z");
	assert_time(1, "1970-01-01T00:00:00.000000001Z");
	assert_time(-1, "1969-12-31T23:59:59.999999999Z");
	assert_time(INT64_MAX, "2262-04-11T23:47:16.854775807Z");
	assert_time(INT64_MIN, "1677-09-21T00:12:43.145224192Z");
}

static void test_seconds_reach_further_than_nanoseconds(void **state)
{
	CLEANUP(cleanup_free)
	char *first = units_format_timestamp(-62135596800, 0);
	CLEANUP(cleanup_free)
	char *last = units_format_timestamp(253402300799, 999999999);

	(void)state;
	assert_string_equal(first, "0001-01-01T00:00:00Z");
	assert_string_equal(last, "9999-12-31T23:59:59.999999999Z");
}

static void test_clocks_go_forward(void **state)
{
	int64_t now = units_now(), monotonic = units_monotonic();

	(void)state;
	assert_true(now > 1700000000 * S);
	assert_true(units_monotonic() >= monotonic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_without_a_unit_are_bytes),
		cmocka_unit_test(test_units_are_powers_of_1024),
		cmocka_unit_test(test_units_with_a_b_are_powers_of_1000),
		cmocka_unit_test(test_case_and_one_space_do_not_matter),
		cmocka_unit_test(test_a_fraction_of_a_unit_may_be_bytes),
		cmocka_unit_test(test_a_fraction_of_a_byte_is_refused),
		cmocka_unit_test(test_a_size_of_8_eib_is_refused),
		cmocka_unit_test(test_what_is_no_size_is_refused),
		cmocka_unit_test(test_a_size_that_is_not_text_can_be_shown),
		cmocka_unit_test(test_sizes_are_cut_to_one_decimal),
		cmocka_unit_test(test_durations_are_numbers_with_units),
		cmocka_unit_test(test_what_is_no_duration_is_refused),
		cmocka_unit_test(test_a_fraction_of_a_nanosecond_is_refused),
		cmocka_unit_test(test_a_duration_of_300_years_is_refused),
		cmocka_unit_test(test_durations_are_exact),
		cmocka_unit_test(test_ages_are_in_the_largest_unit),
		cmocka_unit_test(test_what_is_yet_to_come_has_no_age),
		cmocka_unit_test(test_times_have_as_many_digits_as_needed),
		cmocka_unit_test(test_seconds_reach_further_than_nanoseconds),
		cmocka_unit_test(test_clocks_go_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

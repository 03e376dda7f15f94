/* Sizes and durations: what is printed is parsed, and to the same. */

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"
#include "proto/lib/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct err *err)
{
	assert(err->code == GRPC_STATUS_INVALID_ARGUMENT);
	assert(utf8_is_valid(err->msg, strlen(err->msg)));
	assert(!utf8_has_control(err->msg, strlen(err->msg)));
}

/* Printing cuts: what it says is at most a tenth less. */
static void check_size_text(uint64_t bytes)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_free) char *text = units_format_size(bytes);
	uint64_t back = 0;

	assert(strlen(text) >= 2 && strlen(text) <= 9);
	if (units_parse_size(text, &back, &err) == 0)
		assert(back <= bytes && bytes - back <= bytes / 10);
	else
		assert(strchr(text, '.') || bytes > INT64_MAX);
}

static void check_size(const char *s)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	uint64_t bytes = 0;
	long double number, factor;

	if (units_parse_size(s, &bytes, &err) < 0) {
		check_error(&err);
		return;
	}
	assert(bytes <= INT64_MAX);
	number = strtold(s, NULL);
	factor = number > 0 ? bytes / number : 1;
	assert(factor > 0.999 && factor < 1.153e18L);
	check_size_text(bytes);
}

static void check_duration_text(int64_t ns)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_free) char *text = units_format_duration(ns);
	CLEANUP(cleanup_free) char *age = units_format_age(ns);
	int64_t back = 0;

	assert(strlen(age) >= 2);
	if (units_parse_duration(text + (ns < 0), &back, &err) < 0)
		assert(ns == INT64_MIN);
	else
		assert(back == (ns < 0 ? -ns : ns));
}

static void check_duration(const char *s)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	int64_t ns = 0;

	if (units_parse_duration(s, &ns, &err) < 0) {
		check_error(&err);
		return;
	}
	assert(ns >= 0);
	check_duration_text(ns);
}

static void check_time(int64_t ns)
{
	CLEANUP(cleanup_free) char *text = units_format_time(ns);
	size_t size = strlen(text);

	assert(size == 20 || size == 24 || size == 27 || size == 30);
	assert(text[10] == 'T' && text[size - 1] == 'Z');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(cleanup_free) char *s = mem_dup(data, size);
	uint64_t number = 0;

	check_size(s);
	check_duration(s);
	memcpy(&number, data, size < sizeof(number) ? size : sizeof(number));
	check_size_text(number);
	check_duration_text((int64_t)number);
	check_time((int64_t)number);
	return 0;
}

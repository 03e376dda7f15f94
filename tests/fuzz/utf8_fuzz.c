/* What is text, compared with what iconv says. */

#include <assert.h>
#include <iconv.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Converts as much as is valid; how many bytes those are. */
static size_t convert(const uint8_t *data, size_t size, uint32_t *points,
		      size_t *n_points)
{
	iconv_t cd = iconv_open("UTF-32LE", "UTF-8");
	char *in = (char *)data, *out = (char *)points;
	size_t in_left = size, out_left = 4 * size;

	assert(cd != (iconv_t)-1);
	iconv(cd, &in, &in_left, &out, &out_left);
	iconv_close(cd);
	*n_points = (size_t)((uint32_t *)out - points);
	return size - in_left;
}

static bool is_control(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) ||
	       point == 0x2028 || point == 0x2029;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data;
	CLEANUP(cleanup_free) uint32_t *points = mem_zalloc(size, 4);
	CLEANUP(cleanup_free) char *once = utf8_printable(s, size);
	CLEANUP(cleanup_free) char *twice = NULL;
	size_t n, valid = convert(data, size, points, &n);
	bool control = false;

	for (size_t i = 0; i < n; i++)
		control |= is_control(points[i]);
	assert(utf8_valid_prefix(s, size) == valid);
	assert(utf8_is_valid(s, size) == (valid == size));
	assert(utf8_has_control(s, valid) == control);

	assert(utf8_is_valid(once, strlen(once)));
	assert(!utf8_has_control(once, strlen(once)));
	twice = utf8_printable(once, strlen(once));
	assert(!strcmp(once, twice));
	if (valid == size && !control)
		assert(strlen(once) == size && !memcmp(once, s, size));
	return 0;
}

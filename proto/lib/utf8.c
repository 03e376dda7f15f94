/* UTF-8. Nearly all text is ASCII, so runs of it are passed eight at a time. */

#include "proto/lib/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "proto/lib/mem.h"

static size_t ascii_prefix(const char *s, size_t size)
{
	size_t i = 0;
	uint64_t eight;

	for (; size - i >= sizeof(eight); i += sizeof(eight)) {
		memcpy(&eight, s + i, sizeof(eight));
		if (eight & UINT64_C(0x8080808080808080))
			break;
	}
	while (i < size && !(s[i] & 0x80))
		i++;
	return i;
}

/* Bytes of the character that begins here; 0 if it is not a valid one. */
static size_t character(const unsigned char *s, size_t size)
{
	unsigned char low = 0x80, high = 0xbf; /* of the second byte */
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (n == 1)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4 || n > size)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0; /* what is below is overlong */
	else if (s[0] == 0xed)
		high = 0x9f; /* surrogates are above */
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f; /* U+10FFFF */
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

size_t utf8_valid_prefix(const char *s, size_t size)
{
	size_t i = 0, n;

	while ((i += ascii_prefix(s + i, size - i)) < size) {
		n = character((const unsigned char *)s + i, size - i);
		if (!n)
			break;
		i += n;
	}
	return i;
}

static bool is_control(const unsigned char *s, size_t n)
{
	switch (n) {
	case 1:
		return s[0] < 0x20 || s[0] == 0x7f;
	case 2:
		return s[0] == 0xc2 && s[1] < 0xa0;
	case 3:
		return s[0] == 0xe2 && s[1] == 0x80 && (s[2] & 0xfe) == 0xa8;
	default:
		return false;
	}
}

bool utf8_has_control(const char *s, size_t size)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + size;
	size_t n;

	for (; p < end; p += n) {
		n = character(p, (size_t)(end - p));
		if (!n)
			n = 1;
		else if (is_control(p, n))
			return true;
	}
	return false;
}

char *utf8_printable(const char *s, size_t size)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + size;
	char *copy = mem_alloc(4 * size + 1), *out = copy;
	size_t n;

	while (p < end) {
		n = character(p, (size_t)(end - p));
		if (n && !is_control(p, n)) {
			out = mempcpy(out, p, n);
			p += n;
		} else if (*p == '\n' || *p == '\t') {
			*out++ = '\\';
			*out++ = *p++ == '\n' ? 'n' : 't';
		} else {
			for (n = n ? n : 1; n; n--, out += 4)
				snprintf(out, 5, "\\x%02x", *p++);
		}
	}
	*out = '\0';
	return copy;
}

#ifndef OIM_UTF8_H
#define OIM_UTF8_H

/* Looking at text: what is valid UTF-8 (RFC 3629) and what is not. */

#include <stdbool.h>
#include <stddef.h>

/*
 * How many leading bytes are valid UTF-8: size if all are. Overlong forms,
 * surrogates and what lies above U+10FFFF are not valid; NUL is.
 */
size_t utf8_valid_prefix(const char *s, size_t size);

static inline bool utf8_is_valid(const char *s, size_t size)
{
	return utf8_valid_prefix(s, size) == size;
}

/*
 * Whether valid UTF-8 contains a control character: U+0000 to U+001F, U+007F to
 * U+009F, or the line and paragraph separators U+2028 and U+2029.
 */
bool utf8_has_control(const char *s, size_t size);

/*
 * A copy fit for one line of a terminal or a log: control characters and bytes
 * that are not UTF-8 become \xNN, newlines \n, tabs \t; everything else,
 * backslashes included, stays. The caller frees it.
 */
char *utf8_printable(const char *s, size_t size);

#endif

/* The grammar of numbers of RFC 8259. */

#include "proto/lib/json_number.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"

size_t json_number_size(const char *s)
{
	const char *p = s + (*s == '-');
	size_t n = strspn(p, DIGITS);

	if (!n || (n > 1 && *p == '0'))
		return 0;
	p += n;
	if (*p == '.') {
		n = strspn(++p, DIGITS);
		if (!n)
			return 0;
		p += n;
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '-' || *p == '+';
		n = strspn(p, DIGITS);
		if (!n)
			return 0;
		p += n;
	}
	return (size_t)(p - s);
}

static long exponent(const char *s)
{
	long e = strtol(s, NULL, 10);

	return e > INT_MAX ? INT_MAX : e < INT_MIN ? INT_MIN : e;
}

static bool push(uint64_t *value, int digit)
{
	return !__builtin_mul_overflow(*value, 10, value) &&
	       !__builtin_add_overflow(*value, digit, value);
}

const char *json_number_whole(const char *s, bool *negative,
			      uint64_t *magnitude)
{
	const char *mantissa = s + (*s == '-');
	size_t n = strspn(mantissa, DIGITS "."), whole = strcspn(mantissa, ".");
	long power = 0; /* of ten, that the last digit stands for */

	if (mantissa[n] == 'e' || mantissa[n] == 'E')
		power = exponent(mantissa + n + 1);
	*negative = *s == '-';
	*magnitude = 0;
	if (whole < n)
		power -= (long)(n - whole - 1);
	for (; n && strchr("0.", mantissa[n - 1]); n--)
		power += mantissa[n - 1] == '0';
	if (!n)
		return NULL;
	if (power < 0)
		return "expected a whole number";
	for (size_t i = 0; i < n; i++)
		if (mantissa[i] != '.' && !push(magnitude, mantissa[i] - '0'))
			return "out of range";
	for (; power; power--)
		if (!push(magnitude, 0))
			return "out of range";
	return NULL;
}

/* Times and durations as the proto3 JSON mapping writes them. */

#include "proto/lib/json_time.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/lib/mem.h"
#include "proto/lib/units.h"

#define NANOS   INT32_C(1000000000)
#define FIRST   INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define LAST    INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define LONGEST INT64_C(315576000000) /* seconds */

char *json_time_text(int64_t seconds, int32_t nanos)
{
	if (seconds < FIRST || seconds > LAST || nanos < 0 || nanos >= NANOS)
		return NULL;
	return units_format_timestamp(seconds, (unsigned)nanos);
}

char *json_duration_text(int64_t seconds, int32_t nanos)
{
	char fraction[UNITS_FRACTION_SIZE];
	bool negative = seconds < 0 || nanos < 0;

	if (negative && (seconds > 0 || nanos > 0))
		return NULL;
	if (seconds < -LONGEST || seconds > LONGEST || nanos <= -NANOS ||
	    nanos >= NANOS)
		return NULL;
	return mem_printf("%s%lld%ss", negative ? "-" : "",
			  llabs((long long)seconds),
			  units_fraction((unsigned)abs(nanos), fraction));
}

/* Takes so many digits; false if there are fewer. */
static bool take_digits(const char **s, size_t n, int64_t *value)
{
	if (strspn(*s, "0123456789") < n)
		return false;
	for (*value = 0; n; n--)
		*value = *value * 10 + (*(*s)++ - '0');
	return true;
}

/* Takes "" or a point and one to nine digits. */
static bool take_fraction(const char **s, int32_t *nanos)
{
	size_t n;
	int64_t value = 0;

	if (**s != '.') {
		*nanos = 0;
		return true;
	}
	*s += 1;
	n = strspn(*s, "0123456789");
	if (!n || n > 9 || !take_digits(s, n, &value))
		return false;
	for (; n < 9; n++)
		value *= 10;
	*nanos = (int32_t)value;
	return true;
}

/* Takes "2026-11-20T07:02:00". */
static bool take_date(const char **s, int64_t *seconds)
{
	static const struct {
		size_t digits;
		char end;
	} parts[6] = {{4, '-'}, {2, '-'}, {2, 'T'}, {2, ':'}, {2, ':'}, {2, 0}};
	int64_t v[6];
	struct tm tm, back;
	time_t t;

	for (size_t i = 0; i < 6; i++) {
		if (!take_digits(s, parts[i].digits, &v[i]) ||
		    (parts[i].end && *(*s)++ != parts[i].end))
			return false;
	}
	tm = (struct tm){
		.tm_year = (int)v[0] - 1900,
		.tm_mon = (int)v[1] - 1,
		.tm_mday = (int)v[2],
		.tm_hour = (int)v[3],
		.tm_min = (int)v[4],
		.tm_sec = (int)v[5],
	};
	back = tm;
	t = timegm(&back);
	*seconds = t;
	/* The 30th of February has become another day. */
	return back.tm_year == tm.tm_year && back.tm_mon == tm.tm_mon &&
	       back.tm_mday == tm.tm_mday && back.tm_hour == tm.tm_hour &&
	       back.tm_min == tm.tm_min && back.tm_sec == tm.tm_sec;
}

/* Takes "Z" or "+01:30", in seconds. */
static bool take_offset(const char **s, int64_t *offset)
{
	int64_t hours, minutes;
	char sign = *(*s)++;

	*offset = 0;
	if (sign == 'Z')
		return true;
	if ((sign != '+' && sign != '-') || !take_digits(s, 2, &hours) ||
	    *(*s)++ != ':' || !take_digits(s, 2, &minutes) || hours > 23 ||
	    minutes > 59)
		return false;
	*offset = (hours * 60 + minutes) * (sign == '-' ? -60 : 60);
	return true;
}

bool json_time_parse(const char *s, int64_t *seconds, int32_t *nanos)
{
	int64_t offset;

	if (!take_date(&s, seconds) || !take_fraction(&s, nanos) ||
	    !take_offset(&s, &offset) || *s)
		return false;
	*seconds -= offset;
	return *seconds >= FIRST && *seconds <= LAST;
}

bool json_duration_parse(const char *s, int64_t *seconds, int32_t *nanos)
{
	bool negative = *s == '-';
	size_t n;

	s += negative;
	n = strspn(s, "0123456789");
	if (!n || n > 12 || !take_digits(&s, n, seconds) ||
	    !take_fraction(&s, nanos) || strcmp(s, "s") != 0 ||
	    *seconds > LONGEST)
		return false;
	if (negative) {
		*seconds = -*seconds;
		*nanos = -*nanos;
	}
	return true;
}

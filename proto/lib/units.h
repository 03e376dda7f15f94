#ifndef OIM_UNITS_H
#define OIM_UNITS_H

/*
 * Sizes, durations and times as people write and read them. The same
 * everywhere: command line, configuration, output. All errors are
 * INVALID_ARGUMENT and say what would be right.
 */

#include <stdint.h>

#include "proto/lib/err.h"

#define UNITS_SECOND INT64_C(1000000000) /* in nanoseconds */

/*
 * Bytes: digits, at most one decimal point, and K M G T P E or KiB MiB ... for
 * powers of 1024, KB MB ... for powers of 1000, B or nothing for bytes; upper
 * or lower case, one space allowed before the unit. The result must be a whole
 * number of bytes below 2^63: "1.5K" is 1536, "1.0001K" and "64X" are refused.
 */
int units_parse_size(const char *s, uint64_t *bytes, struct err *err);

/*
 * "512B", "1.5GiB", "64MiB": powers of 1024, at most one decimal, cut and not
 * rounded up. The caller frees it.
 */
char *units_format_size(uint64_t bytes);

/*
 * Nanoseconds from "90s", "1m30s", "500ms", "1.5h", "2d": one or more numbers
 * with a unit of ns us ms s m h d, units falling; "0" needs no unit. Not
 * negative, below 2^63.
 */
int units_parse_duration(const char *s, int64_t *ns, struct err *err);

/* "1m30s", "500ms", "0s": exact, so that it can be parsed again. Caller frees.
 */
char *units_format_duration(int64_t ns);

/* An age in its largest unit: "5s", "3m", "3h", "12d". The caller frees it. */
char *units_format_age(int64_t ns);

/*
 * RFC 3339 in UTC with 0, 3, 6 or 9 digits of a second, as many as needed:
 * "2026-11-20T07:02:00Z". Times are nanoseconds since 1970. The caller frees
 * it.
 */
char *units_format_time(int64_t ns);

/*
 * The same of seconds and of nanoseconds below one second, for the years 1 to
 * 9999, and the fraction of a second alone: "" or ".5" with 3, 6 or 9 digits,
 * returned in text. For messages that count so.
 */
#define UNITS_FRACTION_SIZE 12
char *units_format_timestamp(int64_t seconds, unsigned nanos);
char *units_fraction(unsigned nanos, char text[UNITS_FRACTION_SIZE]);

/* Nanoseconds since 1970, and of CLOCK_MONOTONIC. */
int64_t units_now(void);
int64_t units_monotonic(void);

#endif

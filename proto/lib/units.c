/* Numbers with units, in integers only: nothing is ever rounded. */

#include "proto/lib/units.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"

#define DIGITS "0123456789"

/* whole + part / tens; zeros at the end of the part do not count. */
struct decimal {
	uint64_t whole, part, tens;
	bool too_fine; /* more than 18 decimals: no unit makes it whole */
};

/* The largest value if it is larger than that. */
static uint64_t digits(const char *s, size_t n)
{
	uint64_t value = 0;

	for (; n; n--, s++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *s - '0', &value))
			return UINT64_MAX;
	return value;
}

/* Steps over "12" or "1.25"; false if there is no such number. */
static bool take_decimal(const char **s, struct decimal *d)
{
	size_t n = strspn(*s, DIGITS);
	const char *part;

	*d = (struct decimal){.whole = digits(*s, n), .tens = 1};
	*s += n;
	if (!n || **s != '.')
		return n;
	part = *s + 1;
	n = strspn(part, DIGITS);
	*s = part + n;
	if (!n)
		return false;
	while (n && part[n - 1] == '0')
		n--;
	d->too_fine = n > 18;
	if (!d->too_fine)
		d->part = digits(part, n);
	for (; n && !d->too_fine; n--)
		d->tens *= 10;
	return true;
}

static bool is_whole(const struct decimal *d, uint64_t unit)
{
	return !d->too_fine && (unsigned __int128)d->part * unit % d->tens == 0;
}

/* Adds d units of a whole number to the sum; false if it is 2^63 or more. */
static bool add(uint64_t *sum, const struct decimal *d, uint64_t unit)
{
	unsigned __int128 more = (unsigned __int128)d->whole * unit +
				 (unsigned __int128)d->part * unit / d->tens;

	if (more > INT64_MAX || *sum + more > INT64_MAX)
		return false;
	*sum += (uint64_t)more;
	return true;
}

/* kind "s" why */
static int refuse(const char *kind, const char *s, const char *why,
		  struct err *err)
{
	CLEANUP(cleanup_free) char *shown = utf8_printable(s, strlen(s));

	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "%s \"%s\" %s", kind,
		       shown, why);
}

/* Bytes that a unit has; 0 if there is no such unit. */
static uint64_t size_unit(const char *s)
{
	static const char letters[] = "KMGTPE";
	const char *letter;
	uint64_t unit = 1;
	unsigned base;

	if (!*s || !strcasecmp(s, "B"))
		return 1;
	letter = strchr(letters, toupper((unsigned char)*s++));
	if (!letter)
		return 0;
	if (!*s || !strcasecmp(s, "iB"))
		base = 1024;
	else if (!strcasecmp(s, "B"))
		base = 1000;
	else
		return 0;
	for (ptrdiff_t power = letter - letters + 1; power; power--)
		unit *= base;
	return unit;
}

int units_parse_size(const char *s, uint64_t *bytes, struct err *err)
{
	const char *p = s;
	struct decimal d;
	uint64_t unit = 0, sum = 0;

	if (take_decimal(&p, &d)) {
		if (*p == ' ' && p[1])
			p++;
		unit = size_unit(p);
	}
	if (!unit)
		return refuse("size", s,
			      "is not a number of bytes such as 4096, 64M or "
			      "1.5GiB",
			      err);
	if (!is_whole(&d, unit))
		return refuse("size", s, "is not a whole number of bytes", err);
	if (!add(&sum, &d, unit))
		return refuse("size", s, "is too large: it must be below 8EiB",
			      err);
	*bytes = sum;
	return 0;
}

char *units_format_size(uint64_t bytes)
{
	static const char *const units[] = {"B",   "KiB", "MiB", "GiB",
					    "TiB", "PiB", "EiB"};
	unsigned i = 0, tenths;
	uint64_t unit = 1;

	while (i < 6 && bytes / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	tenths = (unsigned)(bytes % unit * 10 / unit);
	if (tenths)
		return mem_printf("%" PRIu64 ".%u%s", bytes / unit, tenths,
				  units[i]);
	return mem_printf("%" PRIu64 "%s", bytes / unit, units[i]);
}

#define DAY (86400 * UNITS_SECOND)

static const struct unit {
	const char *name;
	int64_t ns;
} durations[] = {
	{"d", DAY},
	{"h", 3600 * UNITS_SECOND},
	{"m", 60 * UNITS_SECOND},
	{"s", UNITS_SECOND},
	{"ms", 1000000},
	{"us", 1000},
	{"ns", 1},
};
#define N_DURATIONS (sizeof(durations) / sizeof(*durations))
#define SECONDS     3 /* where they are in the table */

/* Steps over the name of a unit at or below the given one. */
static size_t take_unit(const char **s, size_t from)
{
	size_t n = strspn(*s, "dhmnsu");

	for (; from < N_DURATIONS; from++)
		if (strlen(durations[from].name) == n &&
		    !strncmp(*s, durations[from].name, n)) {
			*s += n;
			break;
		}
	return from;
}

/* Adds "1.5h" from the front to the sum; else why that cannot be. */
static const char *take_part(const char **s, size_t *unit, uint64_t *sum)
{
	struct decimal d;
	uint64_t ns;

	if (!take_decimal(s, &d) ||
	    (*unit = take_unit(s, *unit)) == N_DURATIONS)
		return "is not a time such as 90s, 1m30s or 500ms";
	ns = (uint64_t)durations[(*unit)++].ns;
	if (!is_whole(&d, ns))
		return "is not a whole number of nanoseconds";
	if (!add(sum, &d, ns))
		return "is too long: it must be below 292 years";
	return NULL;
}

int units_parse_duration(const char *s, int64_t *ns, struct err *err)
{
	const char *p = s, *why = NULL;
	uint64_t sum = 0;
	size_t unit = 0;

	if (strcmp(s, "0")) {
		do
			why = take_part(&p, &unit, &sum);
		while (!why && *p);
	}
	if (why)
		return refuse("duration", s, why, err);
	*ns = (int64_t)sum;
	return 0;
}

char *units_format_duration(int64_t ns)
{
	uint64_t left = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
	char text[64];
	int n = 0;

	if (!ns)
		return mem_strdup("0s");
	if (ns < 0)
		text[n++] = '-';
	for (size_t i = 0; i < N_DURATIONS; i++) {
		uint64_t unit = (uint64_t)durations[i].ns;

		if (left >= unit)
			n += snprintf(text + n, sizeof(text) - (size_t)n,
				      "%" PRIu64 "%s", left / unit,
				      durations[i].name);
		left %= unit;
	}
	return mem_strdup(text);
}

char *units_format_age(int64_t ns)
{
	size_t i = 0;

	while (i < SECONDS && ns < durations[i].ns)
		i++;
	if (ns < durations[i].ns)
		ns = 0; /* the future too: clocks differ */
	return mem_printf("%" PRId64 "%s", ns / durations[i].ns,
			  durations[i].name);
}

char *units_format_time(int64_t ns)
{
	int64_t seconds = ns / UNITS_SECOND, rest = ns % UNITS_SECOND;

	if (rest < 0) {
		seconds--;
		rest += UNITS_SECOND;
	}
	return units_format_timestamp(seconds, (unsigned)rest);
}

char *units_format_timestamp(int64_t seconds, unsigned nanos)
{
	time_t t = seconds;
	char fraction[UNITS_FRACTION_SIZE];
	struct tm tm;

	gmtime_r(&t, &tm);
	return mem_printf("%04d-%02d-%02dT%02d:%02d:%02d%sZ", tm.tm_year + 1900,
			  tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			  tm.tm_sec, units_fraction(nanos, fraction));
}

char *units_fraction(unsigned nanos, char text[UNITS_FRACTION_SIZE])
{
	if (!nanos)
		*text = '\0';
	else if (nanos % 1000)
		snprintf(text, UNITS_FRACTION_SIZE, ".%09u", nanos);
	else if (nanos % 1000000)
		snprintf(text, UNITS_FRACTION_SIZE, ".%06u", nanos / 1000);
	else
		snprintf(text, UNITS_FRACTION_SIZE, ".%03u", nanos / 1000000);
	return text;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * UNITS_SECOND + ts.tv_nsec;
}

int64_t units_now(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int64_t units_monotonic(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

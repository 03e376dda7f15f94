#ifndef OIM_JSON_TIME_H
#define OIM_JSON_TIME_H

/*
 * google.protobuf.Timestamp and Duration as JSON text. For json_read.c and
 * json_write.c only.
 */

#include <stdbool.h>
#include <stdint.h>

/*
 * "2026-11-20T07:02:00.500Z" and "-1.500s", which the caller frees; NULL for
 * what the types do not allow: years before 1 or after 9999, more than 10000
 * years, nanoseconds of a second or more, or of another sign than the seconds.
 */
char *json_time_text(int64_t seconds, int32_t nanos);
char *json_duration_text(int64_t seconds, int32_t nanos);

/* Back, any offset being taken instead of Z; false if it is no such text. */
bool json_time_parse(const char *s, int64_t *seconds, int32_t *nanos);
bool json_duration_parse(const char *s, int64_t *seconds, int32_t *nanos);

#endif

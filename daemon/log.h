#ifndef OIM_LOG_H
#define OIM_LOG_H

/*
 * The daemon's log: one event is one line and one write to stderr. errno is
 * left as it was, control characters and bytes that are not UTF-8 are replaced,
 * and no secret ever gets here: what is logged of a message goes through
 * json_from_message(). A line says what happened, to which object, and why;
 * nothing is logged twice on its way up. Any thread.
 */

#include <stdbool.h>

#include "proto/lib/err.h"

enum log_level {
	LOG_LEVEL_ERROR = 1,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

enum log_format {
	LOG_FORMAT_TEXT = 1, /* with a time, unless stderr is the journal */
	LOG_FORMAT_LOGFMT,
	LOG_FORMAT_JSON,
};

/* "error", "warn", "info", "debug"; "text", "logfmt", "json". 0: unknown. */
enum log_level log_level_parse(const char *name);
enum log_format log_format_parse(const char *name);
const char *log_level_name(enum log_level level);
const char *log_format_name(enum log_format format);

void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
bool log_is_debug(void);

/* Fields of a line beside its text, as pairs of key and value; a NULL value
 * leaves its pair out. */
struct log_field {
	const char *key;
	const char *value;
};

/* component is a short word for the part that speaks: "rpc", "store"; fields
 * may be NULL, else end with a NULL key. */
void log_line(enum log_level level, const char *component,
	      const struct log_field *fields, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* For files that define LOG_COMPONENT, their word. */
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                         \
	(log_is_debug() ? log_at(LOG_LEVEL_DEBUG, __VA_ARGS__) : (void)0)
#define log_at(level, ...) log_line(level, LOG_COMPONENT, NULL, __VA_ARGS__)

#endif

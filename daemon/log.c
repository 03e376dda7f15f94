/* The daemon's log: lines on stderr as text, logfmt or JSON. */

#include "daemon/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/json.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"
#include "proto/lib/utf8.h"

static atomic_int max_level = LOG_LEVEL_INFO;
static atomic_int line_format = LOG_FORMAT_TEXT;

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static const char *const format_names[] = {
	[LOG_FORMAT_TEXT] = "text",
	[LOG_FORMAT_LOGFMT] = "logfmt",
	[LOG_FORMAT_JSON] = "json",
};

enum log_level log_level_parse(const char *name)
{
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++)
		if (strcasecmp(name, level_names[i]) == 0)
			return i;
	return 0;
}

enum log_format log_format_parse(const char *name)
{
	for (int i = LOG_FORMAT_TEXT; i <= LOG_FORMAT_JSON; i++)
		if (strcasecmp(name, format_names[i]) == 0)
			return i;
	return 0;
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

const char *log_format_name(enum log_format format)
{
	return format_names[format];
}

void log_set_level(enum log_level level)
{
	max_level = level;
}

void log_set_format(enum log_format format)
{
	line_format = format;
}

bool log_is_debug(void)
{
	return max_level >= LOG_LEVEL_DEBUG;
}

/* Whether stderr is the stream that systemd handed us (systemd.exec(5)). */
static bool is_journal(void)
{
	static atomic_int known; /* 1: no, 2: yes */
	const char *stream;
	struct stat st;
	unsigned long long dev, ino;

	if (!known) {
		stream = getenv("JOURNAL_STREAM");
		known = stream &&
					sscanf(stream, "%llu:%llu", &dev,
					       &ino) == 2 &&
					fstat(STDERR_FILENO, &st) == 0 &&
					st.st_dev == dev && st.st_ino == ino
				? 2
				: 1;
	}
	return known == 2;
}

/* A value of text and logfmt: in quotes unless it is one plain word. */
static void put_value(FILE *out, const char *value)
{
	CLEANUP(cleanup_free)
	char *clean = utf8_printable(value, strlen(value));

	if (*clean && !strpbrk(clean, " \"=")) {
		fputs(clean, out);
		return;
	}
	putc('"', out);
	for (const char *c = clean; *c; c++) {
		if (*c == '"' || *c == '\\')
			putc('\\', out);
		putc(*c, out);
	}
	putc('"', out);
}

static void put_fields(FILE *out, const struct log_field *fields)
{
	for (; fields && fields->key; fields++) {
		if (!fields->value)
			continue;
		fprintf(out, " %s=", fields->key);
		put_value(out, fields->value);
	}
}

/* Always to the millisecond, so that columns stand below each other. */
static void put_time(FILE *out)
{
	int64_t now = units_now();
	time_t seconds = now / UNITS_SECOND;
	char text[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(out, "%s.%03dZ", text, (int)(now % UNITS_SECOND / 1000000));
}

static void put_text(FILE *out, enum log_level level, const char *component,
		     const struct log_field *fields, const char *msg)
{
	static const char priority[] = {0, '3', '4', '6', '7'};
	CLEANUP(cleanup_free)
	char *clean = utf8_printable(msg, strlen(msg));

	if (is_journal()) {
		fprintf(out, "<%c>%s: %s", priority[level], component, clean);
	} else {
		put_time(out);
		fprintf(out, " %-5s %s: %s", level_names[level], component,
			clean);
	}
	put_fields(out, fields);
	putc('\n', out);
}

static void put_logfmt(FILE *out, enum log_level level, const char *component,
		       const struct log_field *fields, const char *msg)
{
	CLEANUP(cleanup_free) char *time = units_format_time(units_now());

	fprintf(out, "time=%s level=%s component=%s msg=", time,
		level_names[level], component);
	put_value(out, msg);
	put_fields(out, fields);
	putc('\n', out);
}

static void put_json(FILE *out, enum log_level level, const char *component,
		     const struct log_field *fields, const char *msg)
{
	CLEANUP(cleanup_json)
	struct json_object *line = json_object_new_object();
	CLEANUP(cleanup_free) char *time = units_format_time(units_now());
	CLEANUP(cleanup_free) char *text = NULL;

	json_object_object_add(line, "time", json_object_new_string(time));
	json_object_object_add(line, "level",
			       json_object_new_string(level_names[level]));
	json_object_object_add(line, "component",
			       json_object_new_string(component));
	json_object_object_add(line, "msg", json_object_new_string(msg));
	for (; fields && fields->key; fields++)
		if (fields->value)
			json_object_object_add(
				line, fields->key,
				json_object_new_string(fields->value));
	text = json_text(line, false);
	fprintf(out, "%s\n", text);
}

void log_line(enum log_level level, const char *component,
	      const struct log_field *fields, const char *format, ...)
{
	int saved = errno;
	CLEANUP(cleanup_free) char *msg = NULL;
	CLEANUP(cleanup_free) char *line = NULL;
	size_t size;
	FILE *out;
	va_list ap;

	if ((int)level > max_level)
		return;
	va_start(ap, format);
	msg = mem_vprintf(format, ap);
	va_end(ap);
	out = open_memstream(&line, &size);
	if (!out)
		abort();
	if (line_format == LOG_FORMAT_JSON)
		put_json(out, level, component, fields, msg);
	else if (line_format == LOG_FORMAT_LOGFMT)
		put_logfmt(out, level, component, fields, msg);
	else
		put_text(out, level, component, fields, msg);
	fclose(out);
	/* If the log cannot be written there is nowhere to say so. */
	(void)!write(STDERR_FILENO, line, size);
	errno = saved;
}

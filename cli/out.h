#ifndef OIM_OUT_H
#define OIM_OUT_H

/*
 * What a command has to say, described once and printed as table, JSON, YAML,
 * names or single values. A command never prints: it describes one object, or
 * a list of them, and out_print() comes at the end.
 *
 * JSON names, types and kinds are a promise (cli/schemas); tables are not.
 * 64-bit integers and sizes are strings there, as in the JSON of messages;
 * times are RFC 3339 or null. Not for several threads at once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>

#include "proto/lib/err.h"

#define OUT_API "oimctl/v1"

enum out_format {
	OUT_TABLE = 1,
	OUT_WIDE,
	OUT_JSON,
	OUT_YAML,
	OUT_NAME,
	OUT_VALUE,
};

/* A field of an object as tables show it. The first is what -o name prints. */
struct out_column {
	const char *field; /* as in JSON; NULL ends the list */
	const char *title;
	unsigned flags;
};
#define OUT_ONLY_WIDE 1u /* not in tables unless -o wide or --columns asks */
#define OUT_AGE       2u /* a time that is shown as how long ago */
#define OUT_TROUBLE   4u /* red */
/* At least so wide, for tables that come piece by piece. */
#define OUT_WIDTH(n)    ((unsigned)(n) << 8)
#define OUT_WIDTH_OF(f) ((f) >> 8)

/* How to print; strings are borrowed. */
struct out_style {
	enum out_format format;
	const char *pointer; /* for OUT_VALUE: a JSON pointer */
	const char *columns; /* names separated by commas; NULL: the usual */
	const char *sort;    /* a column, with "-" in front falling; or NULL */
	const char *where;   /* K=V, separated by commas; or NULL */
	bool no_headers;
	bool color;
	bool compact; /* JSON on one line */
};

/* "table", "json", "value=/pointer"...; INVALID_ARGUMENT names them all. */
int out_parse_format(const char *s, struct out_style *style, struct err *err);

struct out;

/*
 * INVALID_ARGUMENT if the style asks for columns that there are not. columns
 * may be NULL: then there is no table of it.
 */
struct out *out_new(const struct out_style *style,
		    const struct out_column *columns, struct err *err);
void out_free(struct out *o);
static inline void cleanup_out(struct out **o)
{
	out_free(*o);
}

/* --- describing --- */

/* The document is one object of that kind; its fields follow. */
void out_object(struct out *o, const char *kind);

/*
 * The document is a list: its fields, if any, follow; then for each member
 * out_row() and its fields. name is that of the list, "items" as a rule.
 */
void out_list(struct out *o, const char *kind, const char *name);
void out_row(struct out *o);

/* Rows go by that field, of those alike as they came, unless the style says
 * otherwise. */
void out_order(struct out *o, const char *field);

/* The only row becomes an object of that kind. */
void out_promote(struct out *o, const char *kind);

void out_str(struct out *o, const char *field, const char *value);
void out_i64(struct out *o, const char *field, int64_t value);
void out_size(struct out *o, const char *field, uint64_t bytes);
void out_time(struct out *o, const char *field, int64_t ns); /* 0: never */
void out_bool(struct out *o, const char *field, bool value);
/* Takes the value. */
void out_json(struct out *o, const char *field, struct json_object *value);

/* The whole document, as it is. Takes it. */
void out_raw(struct out *o, struct json_object *document);

/* The whole document is text: the same in every format. */
void out_text(struct out *o, const char *text);

/* What became of a member that could not be had: it is in "errors". */
void out_error(struct out *o, const char *target, const struct err *err);

/*
 * A line for people, instead of the fields of the document, in tables only:
 * before the rows or, once there are rows, behind them.
 */
void out_line(struct out *o, unsigned flags, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* --- looking at it --- */

size_t out_count(const struct out *o); /* rows */
/* Whether a row has that text there. */
bool out_has(const struct out *o, const char *field, const char *text);
size_t out_errors(const struct out *o); /* failed members */
struct out_failure {
	const char *target;
	struct err err;
};
const struct out_failure *out_failure(const struct out *o, size_t i);

/* Forgets what was described, but not how to print. */
void out_reset(struct out *o);

/* --- printing --- */

/* Whether failed members are part of what is printed. */
bool out_shows_errors(const struct out *o);

/* Fails if the stream does, or if the pointer leads nowhere. */
int out_print(struct out *o, FILE *file, struct err *err);

/* The same at once and on one line, for one of many documents; and forgets it.
 */
int out_emit(struct out *o, FILE *file, struct err *err);

/* What comes next goes on below what was printed: no titles. */
void out_continue(struct out *o);

/* The document as JSON on one line, whatever the style. The caller frees it. */
char *out_json_text(const struct out *o);

#endif

#ifndef OIM_OUT_DOC_H
#define OIM_OUT_DOC_H

/*
 * What was described to a struct out. Only out*.c look in here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>

#include "cli/out.h"
#include "proto/lib/arena.h"
#include "proto/lib/err.h"

enum cell_kind {
	CELL_STR = 1,
	CELL_I64,
	CELL_SIZE,
	CELL_TIME,
	CELL_BOOL,
	CELL_JSON,
};

struct cell {
	const char *field; /* borrowed */
	enum cell_kind kind;
	union {
		const char *str;
		int64_t i64;
		uint64_t size;
		bool yes;
		struct json_object *json;
	};
};

/* Some of the cells. */
struct row {
	size_t first, n;
};

/* A line for people. */
struct line {
	const char *text;
	unsigned flags;
	bool behind; /* the rows */
};

struct out {
	struct out_style style;
	const struct out_column *columns;
	const struct out_column **shown; /* NULL-terminated; NULL: no table */

	struct arena *arena; /* strings; dies with what was described */
	const char *kind, *list, *order;
	struct cell *cells;
	size_t n_cells;
	struct row head, *rows;
	size_t n_rows;
	struct line *lines;
	size_t n_lines;
	struct out_failure *failures;
	size_t n_failures;
	struct json_object *raw;
	const char *text;
};

/* NULL if the row has no such field. */
const struct cell *out_cell(const struct out *o, const struct row *r,
			    const char *field);

/* As tables show it: never empty. The caller frees it. */
char *out_cell_text(const struct cell *c, unsigned flags);

/* The column of that name, or NULL; name need not end with a NUL. */
const struct out_column *out_column(const struct out_column *columns,
				    const char *name, size_t size);

/* Sorts and drops rows as the style says. */
void out_arrange(struct out *o);

/* The whole as JSON; the caller puts it. */
struct json_object *out_document(const struct out *o);

int out_print_table(const struct out *o, FILE *file, struct err *err);
int out_print_yaml(const struct out *o, struct json_object *document,
		   FILE *file, struct err *err);
int out_print_value(const struct out *o, struct json_object *document,
		    FILE *file, struct err *err);

#endif

/* The document as a table, as lines for people, or as names. */

#include "cli/out_doc.h"

#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include <libsmartcols.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/json.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"
#include "proto/lib/utf8.h"

#define RED  "\033[31m"
#define BOLD "\033[1m"
#define OFF  "\033[0m"

#define ANY_WIDTH 10000

static char *text_of_time(int64_t ns, unsigned flags)
{
	int64_t age = units_now() - ns;

	if (!ns)
		return mem_strdup("-");
	return flags & OUT_AGE ? units_format_age(age > 0 ? age : 0)
			       : units_format_time(ns);
}

char *out_cell_text(const struct cell *c, unsigned flags)
{
	if (!c)
		return mem_strdup("-");
	switch (c->kind) {
	case CELL_STR:
		return mem_strdup(*c->str ? c->str : "-");
	case CELL_I64:
		return mem_printf("%" PRId64, c->i64);
	case CELL_SIZE:
		return units_format_size(c->size);
	case CELL_TIME:
		return text_of_time(c->i64, flags);
	case CELL_BOOL:
		return mem_strdup(c->yes ? "yes" : "no");
	case CELL_JSON:
		return json_text(c->json, false);
	}
	return NULL;
}

static bool is_number(const struct out *o, const struct out_column *column)
{
	const struct cell *c =
		o->n_rows ? out_cell(o, &o->rows[0], column->field) : NULL;

	return c && (c->kind == CELL_I64 || c->kind == CELL_SIZE);
}

/* --- names --- */

static void print_name(const struct out *o, const struct row *r, FILE *file)
{
	const struct cell *c = out_cell(o, r, o->columns[0].field);
	CLEANUP(cleanup_free) char *name = out_cell_text(c, 0);
	CLEANUP(cleanup_free) char *line = utf8_printable(name, strlen(name));

	fprintf(file, "%s\n", line);
}

static int print_names(const struct out *o, FILE *file)
{
	if (!o->list && o->head.n)
		print_name(o, &o->head, file);
	for (size_t i = 0; i < o->n_rows; i++)
		print_name(o, &o->rows[i], file);
	return 0;
}

/* --- tables --- */

static void cleanup_table(struct libscols_table **table)
{
	scols_unref_table(*table);
}

/*
 * The library takes text for what the locale says it is, and it is always
 * UTF-8. Wider than the terminal is no reason to cut.
 */
static struct libscols_table *table_new(const struct out *o, FILE *file)
{
	struct libscols_table *table;

	setlocale(LC_CTYPE, "C.UTF-8");
	table = scols_new_table();
	if (!table)
		abort();
	scols_table_set_stream(table, file);
	scols_table_set_column_separator(table, "  ");
	scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
	scols_table_enable_colors(table, o->style.color);
	scols_table_enable_noheadings(table, o->style.no_headers || !o->list);
	return table;
}

static void set_cell(struct libscols_line *line, size_t i, char *text,
		     const char *color)
{
	struct libscols_cell *cell = scols_line_get_cell(line, i);

	scols_cell_refer_data(cell, text);
	if (color)
		scols_cell_set_color(cell, color);
}

static const char *color_of(const struct cell *c, unsigned flags)
{
	bool is_empty = !c || (c->kind == CELL_STR && !*c->str);

	return flags & OUT_TROUBLE && !is_empty ? "red" : NULL;
}

static void add_row(const struct out *o, struct libscols_table *table,
		    const struct row *r)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);

	for (size_t i = 0; o->shown[i]; i++) {
		const struct cell *c = out_cell(o, r, o->shown[i]->field);

		set_cell(line, i, out_cell_text(c, o->shown[i]->flags),
			 color_of(c, o->shown[i]->flags));
	}
}

/* The library prints nothing if there are no rows. */
static void print_titles(const struct out *o, FILE *file)
{
	const char *on = o->style.color ? BOLD : "";
	const char *off = o->style.color ? OFF : "";

	for (size_t i = 0; !o->style.no_headers && o->shown[i]; i++)
		fprintf(file, "%s%s%s%s", i ? "  " : "", on, o->shown[i]->title,
			off);
	if (!o->style.no_headers)
		putc('\n', file);
}

static void add_column(const struct out *o, struct libscols_table *table,
		       const struct out_column *column)
{
	/* A title that is not printed makes the column wide all the same. */
	struct libscols_column *c = scols_table_new_column(
		table, o->style.no_headers ? "" : column->title, 0,
		is_number(o, column) ? SCOLS_FL_RIGHT : 0);

	if (OUT_WIDTH_OF(column->flags)) {
		scols_column_set_whint(c, OUT_WIDTH_OF(column->flags));
		/* Else it takes the hint only where there is room. */
		scols_table_set_termwidth(table, ANY_WIDTH);
	}
	scols_cell_set_color(scols_column_get_header(c), BOLD);
}

static int print_rows(const struct out *o, FILE *file)
{
	CLEANUP(cleanup_table) struct libscols_table *table = NULL;

	if (!o->n_rows) {
		print_titles(o, file);
		return 0;
	}
	table = table_new(o, file);
	for (size_t i = 0; o->shown[i]; i++)
		add_column(o, table, o->shown[i]);
	for (size_t i = 0; i < o->n_rows; i++)
		add_row(o, table, &o->rows[i]);
	return scols_print_table(table);
}

/* One object: a line for each field. */
static int print_fields(const struct out *o, FILE *file)
{
	CLEANUP(cleanup_table) struct libscols_table *table = NULL;

	table = table_new(o, file);
	if (!o->style.no_headers)
		scols_table_new_column(table, "", 0, 0);
	scols_table_new_column(table, "", 0, 0);
	for (size_t i = 0; o->shown[i]; i++) {
		const struct cell *c =
			out_cell(o, &o->head, o->shown[i]->field);
		struct libscols_line *line;
		size_t column = 0;

		if (!c)
			continue;
		line = scols_table_new_line(table, NULL);
		if (!o->style.no_headers)
			set_cell(line, column++, mem_strdup(o->shown[i]->title),
				 BOLD);
		set_cell(line, column, out_cell_text(c, o->shown[i]->flags),
			 color_of(c, o->shown[i]->flags));
	}
	return scols_print_table(table);
}

static void print_lines(const struct out *o, bool behind, FILE *file)
{
	for (size_t i = 0; i < o->n_lines; i++) {
		const struct line *l = &o->lines[i];
		CLEANUP(cleanup_free)
		char *text = utf8_printable(l->text, strlen(l->text));
		bool red = o->style.color && l->flags & OUT_TROUBLE;

		if (l->behind == behind)
			fprintf(file, "%s%s%s\n", red ? RED : "", text,
				red ? OFF : "");
	}
}

int out_print_table(const struct out *o, FILE *file, struct err *err)
{
	int rc = 0;

	if (o->style.format == OUT_NAME)
		return print_names(o, file);
	print_lines(o, false, file);
	if (o->list && (o->n_rows || !o->n_lines))
		rc = print_rows(o, file);
	else if (o->kind && !o->list)
		rc = print_fields(o, file);
	print_lines(o, true, file);
	if (rc)
		return err_set(err, GRPC_STATUS_INTERNAL,
			       "cannot print the table");
	return 0;
}

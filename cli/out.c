/* Describing what will be printed. How it is printed: the other out_*.c. */

#include "cli/out.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/out_doc.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/json.h"
#include "proto/lib/mem.h"

static void forget(struct out *o)
{
	for (size_t i = 0; i < o->n_cells; i++)
		if (o->cells[i].kind == CELL_JSON)
			json_object_put(o->cells[i].json);
	for (size_t i = 0; i < o->n_failures; i++)
		err_clear(&o->failures[i].err);
	json_object_put(STEAL(o->raw));
	o->kind = o->list = o->order = o->text = NULL;
	o->head = (struct row){0};
	o->n_cells = o->n_rows = o->n_lines = o->n_failures = 0;
}

void out_reset(struct out *o)
{
	forget(o);
	arena_reset(o->arena);
}

void out_free(struct out *o)
{
	if (!o)
		return;
	forget(o);
	arena_free(o->arena);
	free(o->cells);
	free(o->rows);
	free(o->lines);
	free(o->failures);
	free(o->shown);
	free(o);
}

/* Room for one more behind n items; grows by doubling. */
static void *room(void *items, size_t n, size_t size)
{
	return n & (n - 1) ? items : mem_realloc(items, n ? n * 2 : 1, size);
}

void out_object(struct out *o, const char *kind)
{
	o->kind = kind;
}

void out_list(struct out *o, const char *kind, const char *name)
{
	o->kind = kind;
	o->list = name;
}

void out_row(struct out *o)
{
	o->rows = room(o->rows, o->n_rows, sizeof(*o->rows));
	o->rows[o->n_rows++] = (struct row){.first = o->n_cells};
}

void out_order(struct out *o, const char *field)
{
	o->order = field;
}

void out_promote(struct out *o, const char *kind)
{
	o->kind = kind;
	o->list = NULL;
	o->head = o->rows[0];
	o->n_rows = 0;
}

static void add(struct out *o, struct cell cell)
{
	struct row *r = o->n_rows ? &o->rows[o->n_rows - 1] : &o->head;

	o->cells = room(o->cells, o->n_cells, sizeof(*o->cells));
	o->cells[o->n_cells++] = cell;
	r->n++;
}

void out_str(struct out *o, const char *field, const char *value)
{
	add(o, (struct cell){.field = field,
			     .kind = CELL_STR,
			     .str = arena_strdup(o->arena, value)});
}

void out_i64(struct out *o, const char *field, int64_t value)
{
	add(o, (struct cell){.field = field, .kind = CELL_I64, .i64 = value});
}

void out_size(struct out *o, const char *field, uint64_t bytes)
{
	add(o, (struct cell){.field = field, .kind = CELL_SIZE, .size = bytes});
}

void out_time(struct out *o, const char *field, int64_t ns)
{
	add(o, (struct cell){.field = field, .kind = CELL_TIME, .i64 = ns});
}

void out_bool(struct out *o, const char *field, bool value)
{
	add(o, (struct cell){.field = field, .kind = CELL_BOOL, .yes = value});
}

void out_json(struct out *o, const char *field, struct json_object *value)
{
	add(o, (struct cell){.field = field, .kind = CELL_JSON, .json = value});
}

void out_raw(struct out *o, struct json_object *document)
{
	json_object_put(o->raw);
	o->raw = document;
}

void out_text(struct out *o, const char *text)
{
	o->text = arena_strdup(o->arena, text);
}

void out_error(struct out *o, const char *target, const struct err *err)
{
	struct out_failure *f;

	o->failures = room(o->failures, o->n_failures, sizeof(*o->failures));
	f = &o->failures[o->n_failures++];
	*f = (struct out_failure){.target = arena_strdup(o->arena, target)};
	err_set(&f->err, err->code, "%s", err->msg);
	if (err->hint)
		err_hint(&f->err, "%s", err->hint);
}

void out_line(struct out *o, unsigned flags, const char *format, ...)
{
	CLEANUP(cleanup_free) char *text = NULL;
	va_list ap;

	va_start(ap, format);
	text = mem_vprintf(format, ap);
	va_end(ap);
	o->lines = room(o->lines, o->n_lines, sizeof(*o->lines));
	o->lines[o->n_lines++] = (struct line){
		.text = arena_strdup(o->arena, text),
		.flags = flags,
		.behind = o->n_rows,
	};
}

size_t out_count(const struct out *o)
{
	return o->n_rows;
}

bool out_has(const struct out *o, const char *field, const char *text)
{
	for (size_t i = 0; i < o->n_rows; i++) {
		const struct cell *c = out_cell(o, &o->rows[i], field);

		if (c && c->kind == CELL_STR && strcmp(c->str, text) == 0)
			return true;
	}
	return false;
}

size_t out_errors(const struct out *o)
{
	return o->n_failures;
}

const struct out_failure *out_failure(const struct out *o, size_t i)
{
	return &o->failures[i];
}

const struct cell *out_cell(const struct out *o, const struct row *r,
			    const char *field)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(o->cells[r->first + i].field, field) == 0)
			return &o->cells[r->first + i];
	return NULL;
}

bool out_shows_errors(const struct out *o)
{
	return o->style.format == OUT_JSON || o->style.format == OUT_YAML;
}

static void print_json(const struct out *o, struct json_object *document,
		       FILE *file)
{
	CLEANUP(cleanup_free)
	char *text = json_text(document, !o->style.compact);

	fputs(text, file);
	putc('\n', file);
}

static int print_document(const struct out *o, FILE *file, struct err *err)
{
	CLEANUP(cleanup_json) struct json_object *document = out_document(o);

	if (o->style.format == OUT_YAML)
		return out_print_yaml(o, document, file, err);
	if (o->style.format == OUT_VALUE)
		return out_print_value(o, document, file, err);
	print_json(o, document, file);
	return 0;
}

char *out_json_text(const struct out *o)
{
	CLEANUP(cleanup_json) struct json_object *document = out_document(o);

	return json_text(document, false);
}

void out_continue(struct out *o)
{
	o->style.no_headers = true;
}

static bool is_table(const struct out *o)
{
	return o->style.format == OUT_TABLE || o->style.format == OUT_WIDE ||
	       o->style.format == OUT_NAME;
}

int out_print(struct out *o, FILE *file, struct err *err)
{
	int rc = 0;

	out_arrange(o);
	if (o->text)
		fputs(o->text, file);
	else if (is_table(o) && !o->raw)
		rc = out_print_table(o, file, err);
	else if (o->kind || o->raw)
		rc = print_document(o, file, err);
	if (rc == 0 && (fflush(file) == EOF || ferror(file)))
		return err_errno(err, "cannot write to stdout");
	return rc;
}

int out_emit(struct out *o, FILE *file, struct err *err)
{
	int rc;

	o->style.compact = true;
	rc = out_print(o, file, err);
	out_reset(o);
	return rc;
}

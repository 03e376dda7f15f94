/* How to print: formats, columns, order and filter, checked before anything is
 * asked of a server. */

#include "cli/out.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/out_doc.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

static const struct {
	const char *name;
	enum out_format format;
} formats[] = {
	{"table", OUT_TABLE}, {"wide", OUT_WIDE}, {"json", OUT_JSON},
	{"yaml", OUT_YAML},   {"name", OUT_NAME},
};

int out_parse_format(const char *s, struct out_style *style, struct err *err)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		if (strcmp(s, formats[i].name) == 0) {
			style->format = formats[i].format;
			return 0;
		}
	if (strncmp(s, "value=/", 7) == 0) {
		style->format = OUT_VALUE;
		style->pointer = s + strlen("value=");
		return 0;
	}
	return err_set(
		err, GRPC_STATUS_INVALID_ARGUMENT,
		"output \"%s\" is none of table, wide, json, yaml, name, value=/POINTER",
		s);
}

static bool is_word(const char *text, const char *name, size_t size)
{
	return strncasecmp(text, name, size) == 0 && !text[size];
}

const struct out_column *out_column(const struct out_column *columns,
				    const char *name, size_t size)
{
	for (; columns && columns->field; columns++)
		if (is_word(columns->field, name, size) ||
		    is_word(columns->title, name, size))
			return columns;
	return NULL;
}

static int refuse_column(const struct out_column *columns, const char *name,
			 size_t size, struct err *err)
{
	CLEANUP(cleanup_free) char *all = NULL;
	size_t length;
	FILE *list = open_memstream(&all, &length);

	for (const struct out_column *c = columns; c && c->field; c++)
		fprintf(list, "%s%s", c == columns ? "" : ", ", c->field);
	fclose(list);
	err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		"there is no column \"%.*s\"", (int)size, name);
	return *all ? err_hint(err, "there are: %s", all) : -1;
}

static const struct out_column *find(const struct out_column *columns,
				     const char *name, size_t size,
				     struct err *err)
{
	const struct out_column *c = out_column(columns, name, size);

	if (!c)
		refuse_column(columns, name, size, err);
	return c;
}

/* The next of the names between commas, and its size; NULL at the end. */
static const char *next_name(const char **list, size_t *size)
{
	const char *name = *list + strspn(*list, ",");

	*size = strcspn(name, ",");
	*list = name + *size;
	return *size ? name : NULL;
}

static int choose_columns(struct out *o, struct err *err)
{
	const char *list = o->style.columns;
	const char *name;
	size_t size, n = 0;

	o->shown = mem_zalloc(strlen(list) + 1, sizeof(*o->shown));
	while ((name = next_name(&list, &size)))
		if (!(o->shown[n++] = find(o->columns, name, size, err)))
			return -1;
	if (n)
		return 0;
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		       "--columns names no column");
}

static void usual_columns(struct out *o)
{
	size_t n = 0;

	while (o->columns && o->columns[n].field)
		n++;
	o->shown = mem_zalloc(n + 1, sizeof(*o->shown));
	n = 0;
	for (const struct out_column *c = o->columns; c && c->field; c++)
		if (o->style.format == OUT_WIDE || !(c->flags & OUT_ONLY_WIDE))
			o->shown[n++] = c;
}

static int check_where(const struct out *o, struct err *err)
{
	const char *list = o->style.where;
	const char *name;
	size_t size;

	while (list && (name = next_name(&list, &size))) {
		const char *equal = memchr(name, '=', size);

		if (!equal || equal == name)
			return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
				       "\"%.*s\" is not K=V", (int)size, name);
		if (!find(o->columns, name, (size_t)(equal - name), err))
			return -1;
	}
	return 0;
}

static int check_style(struct out *o, struct err *err)
{
	const char *sort = o->style.sort;

	if (sort && *sort == '-')
		sort++;
	if (sort && !find(o->columns, sort, strlen(sort), err))
		return -1;
	return check_where(o, err);
}

struct out *out_new(const struct out_style *style,
		    const struct out_column *columns, struct err *err)
{
	CLEANUP(cleanup_out) struct out *o = mem_zalloc(1, sizeof(*o));

	o->style = *style;
	o->columns = columns;
	o->arena = arena_new();
	if (check_style(o, err) == -1)
		return NULL;
	if (!style->columns)
		usual_columns(o);
	else if (choose_columns(o, err) == -1)
		return NULL;
	return STEAL(o);
}

/* --- order and filter --- */

static bool is_wanted(const struct out *o, const struct row *r,
		      const char *condition, size_t size)
{
	const char *equal = memchr(condition, '=', size);
	const struct out_column *column =
		out_column(o->columns, condition, (size_t)(equal - condition));
	const struct cell *c = out_cell(o, r, column->field);
	CLEANUP(cleanup_free) char *text = out_cell_text(c, column->flags);
	const char *value = equal + 1;
	size_t n = size - (size_t)(value - condition);

	if (c && c->kind == CELL_STR)
		return strlen(c->str) == n && memcmp(c->str, value, n) == 0;
	if (c && c->kind == CELL_BOOL &&
	    is_word(c->yes ? "true" : "false", value, n))
		return true;
	return is_word(text, value, n);
}

static bool is_kept(const struct out *o, const struct row *r)
{
	const char *list = o->style.where;
	const char *condition;
	size_t size;

	while ((condition = next_name(&list, &size)))
		if (!is_wanted(o, r, condition, size))
			return false;
	return true;
}

static int compare_numbers(const struct cell *a, const struct cell *b)
{
	if (a->kind == CELL_SIZE)
		return (a->size > b->size) - (a->size < b->size);
	if (a->kind == CELL_BOOL)
		return a->yes - b->yes;
	return (a->i64 > b->i64) - (a->i64 < b->i64);
}

static int compare_rows(const void *x, const void *y, void *arg)
{
	const struct out *o = arg;
	bool falling = o->style.sort && *o->style.sort == '-';
	const struct row *r = x, *s = y;
	const struct cell *a = out_cell(o, r, o->order);
	const struct cell *b = out_cell(o, s, o->order);
	int order = 0;

	if (!a || !b)
		order = (a ? 1 : 0) - (b ? 1 : 0);
	else if (a->kind == CELL_STR && b->kind == CELL_STR)
		order = strcmp(a->str, b->str);
	else if (a->kind == b->kind && a->kind != CELL_JSON)
		order = compare_numbers(a, b);
	if (order)
		return falling ? -order : order;
	return (r->first > s->first) - (r->first < s->first);
}

void out_arrange(struct out *o)
{
	const char *sort = o->style.sort;
	size_t n = 0;

	for (size_t i = 0; o->style.where && i < o->n_rows; i++)
		if (is_kept(o, &o->rows[i]))
			o->rows[n++] = o->rows[i];
	if (o->style.where)
		o->n_rows = n;
	if (sort) {
		sort += *sort == '-';
		o->order = out_column(o->columns, sort, strlen(sort))->field;
	}
	if (o->order && o->n_rows)
		qsort_r(o->rows, o->n_rows, sizeof(*o->rows), compare_rows, o);
}

/* The document as JSON, and single values of it. */

#include "cli/out_doc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/json.h"
#include "proto/lib/units.h"
#include "proto/lib/utf8.h"

static struct json_object *string_of_time(int64_t ns)
{
	CLEANUP(cleanup_free) char *text = ns ? units_format_time(ns) : NULL;

	return text ? json_object_new_string(text) : NULL;
}

static struct json_object *value_of(const struct cell *c)
{
	char text[24];

	switch (c->kind) {
	case CELL_STR:
		return json_object_new_string(c->str);
	case CELL_BOOL:
		return json_object_new_boolean(c->yes);
	case CELL_TIME:
		return string_of_time(c->i64);
	case CELL_JSON:
		return json_object_get(c->json);
	case CELL_SIZE:
		snprintf(text, sizeof(text), "%" PRIu64, c->size);
		break;
	case CELL_I64:
		snprintf(text, sizeof(text), "%" PRId64, c->i64);
		break;
	}
	return json_object_new_string(text);
}

static void add_cells(const struct out *o, const struct row *r,
		      struct json_object *object)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct cell *c = &o->cells[r->first + i];

		json_object_object_add_ex(object, c->field, value_of(c),
					  JSON_C_OBJECT_ADD_CONSTANT_KEY);
	}
}

static struct json_object *rows_of(const struct out *o)
{
	struct json_object *rows = json_object_new_array_ext((int)o->n_rows);

	for (size_t i = 0; i < o->n_rows; i++) {
		struct json_object *row = json_object_new_object();

		add_cells(o, &o->rows[i], row);
		json_object_array_add(rows, row);
	}
	return rows;
}

static void add_string(struct json_object *object, const char *field,
		       const char *value)
{
	json_object_object_add(object, field, json_object_new_string(value));
}

static struct json_object *failures_of(const struct out *o)
{
	struct json_object *failures = json_object_new_array();

	for (size_t i = 0; i < o->n_failures; i++) {
		const struct out_failure *f = &o->failures[i];
		struct json_object *item = json_object_new_object();

		add_string(item, "target", f->target);
		add_string(item, "code", err_code_name(f->err.code));
		add_string(item, "message", f->err.msg);
		add_string(item, "hint", f->err.hint ? f->err.hint : "");
		json_object_array_add(failures, item);
	}
	return failures;
}

struct json_object *out_document(const struct out *o)
{
	struct json_object *document;

	if (o->raw)
		return json_object_get(o->raw);
	document = json_object_new_object();
	add_string(document, "apiVersion", OUT_API);
	add_string(document, "kind", o->kind);
	add_cells(o, &o->head, document);
	if (o->list)
		json_object_object_add(document, o->list, rows_of(o));
	if (o->list || o->n_failures)
		json_object_object_add(document, "errors", failures_of(o));
	return document;
}

/* --- values --- */

static int print_scalar(const struct out *o, struct json_object *value,
			FILE *file, struct err *err)
{
	CLEANUP(cleanup_free) char *line = NULL;
	const char *text = value ? json_object_get_string(value) : "";

	if (json_object_is_type(value, json_type_object) ||
	    json_object_is_type(value, json_type_array))
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "%s is not a single value", o->style.pointer);
	line = utf8_printable(text, strlen(text));
	fprintf(file, "%s\n", line);
	return 0;
}

static int print_value(const struct out *o, struct json_object *value,
		       FILE *file, struct err *err)
{
	if (!json_object_is_type(value, json_type_array))
		return print_scalar(o, value, file, err);
	for (size_t i = 0; i < json_object_array_length(value); i++)
		if (print_scalar(o, json_object_array_get_idx(value, i), file,
				 err) == -1)
			return -1;
	return 0;
}

static int find_value(const struct out *o, struct json_object *from,
		      struct json_object **value, struct err *err)
{
	if (json_pointer_get(from, o->style.pointer, value) == 0)
		return 0;
	return err_set(err, GRPC_STATUS_NOT_FOUND, "there is no %s in it",
		       o->style.pointer);
}

/* A pointer that leads nowhere in a list is one into each member. */
int out_print_value(const struct out *o, struct json_object *document,
		    FILE *file, struct err *err)
{
	struct json_object *items = NULL;
	struct json_object *value;

	if (o->list)
		items = json_object_object_get(document, o->list);
	if (!items || json_pointer_get(document, o->style.pointer, NULL) == 0)
		return find_value(o, document, &value, err) == 0
			       ? print_value(o, value, file, err)
			       : -1;
	for (size_t i = 0; i < o->n_rows; i++)
		if (find_value(o, json_object_array_get_idx(items, i), &value,
			       err) == -1 ||
		    print_value(o, value, file, err) == -1)
			return -1;
	return 0;
}

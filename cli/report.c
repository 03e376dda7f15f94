/* Errors, warnings and notes, on stderr. */

#include "cli/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "google/rpc/status.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/json.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"

#define WIDTH 79

static bool is_json(const struct task *t)
{
	return t->settings.style.format == OUT_JSON;
}

static bool is_from_server(const struct task *t, const struct err *err)
{
	return t->answered && err->code;
}

/* The object that the command is about, or "". */
static const char *target_of(const struct task *t)
{
	return t->cmd && t->n_args ? t->args[0] : "";
}

/* --- as text --- */

static void print_line(FILE *file, const char *text)
{
	CLEANUP(cleanup_free) char *line = utf8_printable(text, strlen(text));

	fputs(line, file);
}

/* After "hint: ", lines broken at spaces and indented below each other. */
static void print_hint(FILE *file, const char *hint)
{
	CLEANUP(cleanup_free) char *text = utf8_printable(hint, strlen(hint));
	size_t column = strlen("hint:");

	fputs("hint:", file);
	for (const char *word = text; *word;) {
		size_t size = strcspn(word, " ");

		if (column + 1 + size > WIDTH && column > 6) {
			fputs("\n     ", file);
			column = 5;
		}
		fprintf(file, " %.*s", (int)size, word);
		column += 1 + size;
		word += size;
		word += strspn(word, " ");
	}
	putc('\n', file);
}

static void print_prefix(const struct task *t, FILE *file)
{
	fputs("oimctl: ", file);
	if (t->session->place)
		fprintf(file, "%s: ", t->session->place);
}

static void print_error(const struct task *t, const char *target,
			const struct err *err, bool has_code)
{
	CLEANUP(cleanup_free) char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	print_prefix(t, file);
	if (t->cmd) {
		fputs(t->cmd->name, file);
		if (*target)
			putc(' ', file);
		print_line(file, target);
		fputs(": ", file);
	}
	print_line(file, err->msg);
	if (has_code)
		fprintf(file, " (%s)", err_code_name(err->code));
	putc('\n', file);
	if (err->hint)
		print_hint(file, err->hint);
	fclose(file);
	fputs(text, stderr);
}

/* --- as JSON --- */

static struct json_object *details_of(const struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	const Google__Rpc__Status *status = NULL;
	struct json_object *details = json_object_new_array();

	if (err->status)
		status = arena_unpack(a, &google__rpc__status__descriptor,
				      err->status, err->status_size);
	for (size_t i = 0; status && i < status->n_details; i++)
		json_object_array_add(
			details,
			json_from_message(&status->details[i]->base, 0));
	return details;
}

static void add(struct json_object *object, const char *field,
		const char *value)
{
	json_object_object_add(object, field, json_object_new_string(value));
}

static void print_json(const struct task *t, const struct err *err, int status)
{
	CLEANUP(cleanup_json) struct json_object *e = json_object_new_object();
	CLEANUP(cleanup_free) char *message = NULL;
	CLEANUP(cleanup_free) char *text = NULL;
	const char *place = t->session->place;

	message = place ? mem_printf("%s: %s", place, err->msg)
			: mem_strdup(err->msg);
	add(e, "apiVersion", OUT_API);
	add(e, "kind", "Error");
	add(e, "code", err_code_name(err->code));
	json_object_object_add(e, "exit", json_object_new_int(status));
	add(e, "message", message);
	add(e, "target", target_of(t));
	add(e, "hint", err->hint ? err->hint : "");
	json_object_object_add(e, "details", details_of(err));
	text = json_text(e, false);
	fprintf(stderr, "%s\n", text);
}

/* --- all together --- */

void report_error(const struct task *t, const struct err *err, int status)
{
	if (is_json(t))
		print_json(t, err, status);
	else
		print_error(t, target_of(t), err, is_from_server(t, err));
}

void report_failures(const struct task *t)
{
	for (size_t i = 0; !out_shows_errors(t->out) && i < out_errors(t->out);
	     i++) {
		const struct out_failure *f = out_failure(t->out, i);

		print_error(t, f->target, &f->err, true);
	}
}

static void say(const struct task *t, const char *what, const char *format,
		va_list ap)
{
	CLEANUP(cleanup_free) char *message = mem_vprintf(format, ap);
	CLEANUP(cleanup_free) char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	print_prefix(t, file);
	fputs(what, file);
	print_line(file, message);
	putc('\n', file);
	fclose(file);
	fputs(text, stderr);
}

void report_warning(const struct task *t, const char *format, ...)
{
	va_list ap;

	if (t->is_silent || task_option(t, "quiet"))
		return;
	va_start(ap, format);
	say(t, "warning: ", format, ap);
	va_end(ap);
}

void report_note(const struct task *t, const char *format, ...)
{
	va_list ap;

	if (t->is_silent || !task_option(t, "verbose"))
		return;
	va_start(ap, format);
	say(t, "", format, ap);
	va_end(ap);
}

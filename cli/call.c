/* Any method of the contracts: call, methods. Calls of one answer; those of
 * streams are in call_stream.c. */

#include <string.h>

#include "cli/ask.h"
#include "cli/call.h"
#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/task.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/descriptors.h"
#include "proto/lib/json.h"
#include "proto/lib/mem.h"
#include "proto/lib/nearest.h"

#define MAX_REQUEST (16u << 20)

/* --- the method --- */

static const char *name_of(const ProtobufCServiceDescriptor *service,
			   const ProtobufCMethodDescriptor *method,
			   struct arena *a)
{
	return arena_printf(a, "%s/%s", service->name, method->name);
}

static size_t count_methods(void)
{
	size_t n = 0;

	for (const ProtobufCServiceDescriptor *const *s = descriptors_services;
	     *s; s++)
		n += (*s)->n_methods;
	return n;
}

const char *const *call_methods(struct arena *a)
{
	const char **names =
		arena_zalloc(a, count_methods() + 1, sizeof(*names));
	size_t n = 0;

	for (const ProtobufCServiceDescriptor *const *s = descriptors_services;
	     *s; s++)
		for (unsigned i = 0; i < (*s)->n_methods; i++)
			names[n++] = name_of(*s, &(*s)->methods[i], a);
	return names;
}

static int refuse_method(const char *name, struct arena *a, struct err *err)
{
	const char *nearest = nearest_find(name, call_methods(a));

	err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "unknown method");
	return nearest ? err_hint(err, "did you mean %s?", nearest)
		       : err_hint(err, "\"oimctl methods\" lists them");
}

/* --- the request --- */

/* The caller frees it; it may have secrets in it. */
static char *read_all(FILE *file, const char *name, size_t *size,
		      struct err *err)
{
	CLEANUP(cleanup_free) char *text = NULL;
	size_t n = 1;

	*size = 0;
	while (n && *size <= MAX_REQUEST) {
		text = mem_realloc(text, *size + 65536, 1);
		n = fread(text + *size, 1, 65536, file);
		*size += n;
	}
	if (ferror(file)) {
		err_errno(err, "cannot read %s", name);
		return NULL;
	}
	if (*size > MAX_REQUEST) {
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"%s has more than 16 MiB", name);
		return NULL;
	}
	return STEAL(text);
}

static char *read_file(const char *name, size_t *size, struct err *err)
{
	CLEANUP(cleanup_file) FILE *file = fopen(name, "re");

	if (file)
		return read_all(file, name, size, err);
	err_errno(err, "cannot read %s", name);
	return NULL;
}

static char *read_input(const struct task *t, size_t *size, struct err *err)
{
	const char *input = t->n_args > 1 ? t->args[1] : "{}";

	if (*input == '@')
		return read_file(input + 1, size, err);
	if (strcmp(input, "-") != 0) {
		*size = strlen(input);
		return mem_strdup(input);
	}
	if (!t->session->keeps_stdin)
		return read_all(stdin, "stdin", size, err);
	err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		"stdin has the commands and cannot have a request too");
	return NULL;
}

static ProtobufCMessage *parse(const ProtobufCMessageDescriptor *type,
			       const char *text, size_t size, struct arena *a,
			       struct err *err)
{
	CLEANUP(cleanup_json)
	struct json_object *object = json_parse(text, size, err);

	if (!object && err->code)
		return NULL;
	return json_to_message(type, object, a, err);
}

static size_t count_lines(const char *text, size_t size)
{
	size_t n = 1;

	for (size_t i = 0; i < size; i++)
		n += text[i] == '\n';
	return n;
}

/* A stream of requests is one JSON document on each line. */
static int parse_lines(struct task *t, const ProtobufCMessageDescriptor *type,
		       const char *text, size_t size, struct call_input *input,
		       struct err *err)
{
	size_t n = count_lines(text, size);
	const char *end = text + size;

	input->messages = arena_zalloc(t->arena, n, sizeof(*input->messages));
	for (size_t line = 1; line <= n; line++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((stop ? stop : end) - text);
		ProtobufCMessage *m = NULL;

		if (length && !(m = parse(type, text, length, t->arena, err)))
			return err_wrap(err, "request %zu", line);
		if (m)
			input->messages[input->n++] = m;
		text += length + 1;
	}
	return 0;
}

static int parse_one(struct task *t, const ProtobufCMessageDescriptor *type,
		     const char *text, size_t size, struct call_input *input,
		     struct err *err)
{
	input->n = 1;
	input->messages = arena_zalloc(t->arena, 1, sizeof(*input->messages));
	*input->messages = parse(type, text, size, t->arena, err);
	return *input->messages ? 0 : err_wrap(err, "request");
}

static int parse_input(struct task *t, const struct descriptors_method *m,
		       struct call_input *input, struct err *err)
{
	CLEANUP(cleanup_free) char *text = NULL;
	size_t size;

	text = read_input(t, &size, err);
	if (!text)
		return -1;
	return (m->client_streams ? parse_lines : parse_one)(
		t, m->method->input, text, size, input, err);
}

bool call_is_secret(const char *method, const char *text)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(cleanup_json) struct json_object *hidden = NULL, *shown = NULL;
	struct descriptors_method m;
	const ProtobufCMessage *message;

	if (*text == '@' || strcmp(text, "-") == 0)
		return false;
	if (!descriptors_find_method(method, &m))
		return true;
	message = parse(m.method->input, text, strlen(text), a, &err);
	if (!message)
		return true;
	hidden = json_from_message(message, 0);
	shown = json_from_message(message, JSON_SHOW_SECRETS);
	return !json_object_equal(hidden, shown);
}

/* --- call --- */

struct json_object *call_json(const struct task *t,
			      const ProtobufCMessage *reply)
{
	return json_from_message(
		reply, task_option(t, "show-secrets") ? JSON_SHOW_SECRETS : 0);
}

static int call_once(struct task *t, const struct descriptors_method *m,
		     const char *name, const ProtobufCMessage *request,
		     struct err *err)
{
	const struct ask what = {
		.method = name,
		.controller = task_controller(t),
		.request = request,
		.reply = m->method->output,
	};
	const ProtobufCMessage *reply = ask(t, &what, err);

	if (!reply)
		return -1;
	out_raw(t->out, call_json(t, reply));
	return 0;
}

static int run_call(struct task *t, struct err *err)
{
	struct call_input input = {0};
	struct descriptors_method m;
	const char *name;

	if (t->settings.style.format == OUT_NAME)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "replies have no names to print");
	if (!descriptors_find_method(t->args[0], &m))
		return refuse_method(t->args[0], t->arena, err);
	if (parse_input(t, &m, &input, err) == -1)
		return -1;
	name = arena_printf(t->arena, "/%s/%s", m.service->name,
			    m.method->name);
	if (m.client_streams || m.server_streams)
		return call_stream(t, &m, name, &input, err);
	return call_once(t, &m, name, input.messages[0], err);
}

/* --- methods --- */

static const ProtobufCServiceDescriptor *find_service(const char *name,
						      struct err *err)
{
	const char *names[64] = {NULL};
	const char *nearest;
	size_t n = 0;

	for (const ProtobufCServiceDescriptor *const *s = descriptors_services;
	     *s; s++) {
		if (strcmp((*s)->name, name) == 0)
			return *s;
		if (n < sizeof(names) / sizeof(*names) - 1)
			names[n++] = (*s)->name;
	}
	nearest = nearest_find(name, names);
	err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "unknown service");
	if (nearest)
		err_hint(err, "did you mean %s?", nearest);
	else
		err_hint(err, "\"oimctl methods\" lists all");
	return NULL;
}

static const char *streams_of(const struct descriptors_method *m)
{
	if (m->client_streams)
		return m->server_streams ? "both" : "client";
	return m->server_streams ? "server" : "";
}

static void describe(struct task *t, const ProtobufCServiceDescriptor *service,
		     const ProtobufCMethodDescriptor *method)
{
	const char *name = name_of(service, method, t->arena);
	struct descriptors_method m;

	if (!descriptors_find_method(name, &m))
		return;
	out_row(t->out);
	out_str(t->out, "method", name);
	out_str(t->out, "request", method->input->name);
	out_str(t->out, "reply", method->output->name);
	out_str(t->out, "streams", streams_of(&m));
}

static int run_methods(struct task *t, struct err *err)
{
	const ProtobufCServiceDescriptor *only = NULL;

	if (t->n_args && !(only = find_service(t->args[0], err)))
		return -1;
	out_list(t->out, "MethodList", "items");
	for (const ProtobufCServiceDescriptor *const *s = descriptors_services;
	     *s; s++)
		for (unsigned i = 0; i < (*s)->n_methods; i++)
			if (!only || *s == only)
				describe(t, *s, &(*s)->methods[i]);
	return 0;
}

static const struct out_column method_columns[] = {
	{"method", "METHOD", 0},
	{"request", "REQUEST", OUT_ONLY_WIDE},
	{"reply", "REPLY", OUT_ONLY_WIDE},
	{"streams", "STREAMS", 0},
	{0},
};

const struct cmd cmds_call[] = {
	{
		.name = "call",
		.args = "METHOD [JSON|@FILE|-]",
		.help = "call any method, in JSON",
		.more = "Without a request an empty one is sent. A method that takes a stream\n"
			"gets one document from each line. Secrets belong into a file.\n"
			"\n"
			"  oimctl call oim.v0.Registry/GetControllers\n"
			"  oimctl call oim.v0.Controller/CheckMallocBDev '{\"bdevName\":\"vol1\"}'\n",
		.run = run_call,
		.complete = complete_methods,
	},
	{
		.name = "methods",
		.args = "[SERVICE]",
		.help = "list the methods that \"call\" knows",
		.more = "  oimctl methods oim.v0.Controller\n",
		.columns = method_columns,
		.run = run_methods,
		.complete = complete_services,
	},
	{0},
};

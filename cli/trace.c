/* The wire log of --trace. */

#include "cli/trace.h"

#include <stdio.h>

#include "cli/ask.h"
#include "cli/task.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/json.h"
#include "proto/lib/units.h"

/* The caller frees it. */
static char *text_of(const ProtobufCMessage *message)
{
	CLEANUP(cleanup_json)
	struct json_object *object = json_from_message(message, 0);

	return json_text(object, false);
}

void trace_request(const struct task *t, const struct ask *what)
{
	CLEANUP(cleanup_free)
	char *request = what->request ? text_of(what->request) : NULL;

	fprintf(stderr, "> %s%s%s to %s %s\n", what->method,
		what->controller ? " controllerid=" : "",
		what->controller ? what->controller : "",
		t->session->connection.name, request ? request : "");
}

void trace_message(char direction, const ProtobufCMessage *message)
{
	CLEANUP(cleanup_free) char *text = text_of(message);

	fprintf(stderr, "%c %s\n", direction, text);
}

void trace_reply(const ProtobufCMessage *reply, const struct err *err,
		 int64_t ns)
{
	CLEANUP(cleanup_free) char *text = reply ? text_of(reply) : NULL;

	fprintf(stderr, "< %s in %.3f ms %s\n",
		err_code_name(reply ? 0 : err->code), (double)ns / 1e6,
		text       ? text
		: err->msg ? err->msg
			   : "");
}

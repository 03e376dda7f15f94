/* Calls of methods that stream: a thread sends, this one receives. */

#include "cli/call.h"

#include <pthread.h>

#include "cli/ask.h"
#include "cli/trace.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/client.h"
#include "proto/lib/units.h"

struct sender {
	const struct task *task;
	struct client_stream *stream;
	const struct call_input *input;
};

static void *send_all(void *arg)
{
	const struct sender *s = arg;

	for (size_t i = 0; i < s->input->n; i++) {
		const ProtobufCMessage *m = s->input->messages[i];

		if (s->task->settings.trace)
			trace_message('>', m);
		if (client_stream_send(s->stream, m) == -1)
			return NULL;
	}
	client_stream_close_send(s->stream);
	return NULL;
}

static int show(struct task *t, const ProtobufCMessage *reply, struct err *err)
{
	if (t->settings.trace)
		trace_message('<', reply);
	out_raw(t->out, call_json(t, reply));
	return out_emit(t->out, stdout, err);
}

/* Replies come and go: each has the arena for itself. */
static int receive_all(struct task *t, struct client_stream *stream,
		       struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	void *reply;
	int rc;

	while ((rc = client_stream_receive(stream, a, &reply, err)) == 1) {
		if (show(t, reply, err) == -1)
			return -1;
		arena_reset(a);
	}
	t->answered = rc == -1;
	return rc;
}

static int exchange(struct task *t, struct client_stream *stream,
		    const struct call_input *input, struct err *err)
{
	struct sender s = {.task = t, .stream = stream, .input = input};
	pthread_t thread;
	int rc;

	if (pthread_create(&thread, NULL, send_all, &s) != 0)
		return err_set(err, GRPC_STATUS_RESOURCE_EXHAUSTED,
			       "cannot start a thread");
	rc = receive_all(t, stream, err);
	if (rc == -1)
		client_cancel(t->session->connection.client);
	pthread_join(thread, NULL);
	return rc;
}

/* A stream may last: there is no deadline unless somebody asked for one. */
static int64_t deadline_of(const struct task *t)
{
	return t->settings.all[SETTING_TIMEOUT].rank == RANK_BUILT_IN
		       ? 0
		       : t->deadline;
}

static int plan(struct task *t, struct ask *what,
		const struct call_input *input)
{
	for (size_t i = 0; i < input->n; i++) {
		what->request = input->messages[i];
		ask_plan(t, what);
	}
	return 0;
}

int call_stream(struct task *t, const struct descriptors_method *m,
		const char *name, const struct call_input *input,
		struct err *err)
{
	struct ask what = {
		.method = name,
		.controller = task_controller(t),
		.reply = m->method->output,
	};
	struct client_stream *stream;
	struct client_call call;
	struct client_md md;
	struct client *c;
	int64_t start;
	int rc;

	if (task_option(t, "dry-run"))
		return plan(t, &what, input);
	c = ask_client(t, err);
	if (!c)
		return -1;
	if (t->settings.trace)
		trace_request(t, &what);
	start = units_monotonic();
	call = ask_call(&what, deadline_of(t), &md);
	stream = client_stream_open(c, &call, err);
	t->answered = !stream;
	rc = stream ? exchange(t, stream, input, err) : -1;
	client_stream_free(stream);
	if (t->settings.trace)
		trace_reply(NULL, err, units_monotonic() - start);
	return rc;
}

/* Calls to the server. */

#include "cli/ask.h"

#include <stdlib.h>
#include <string.h>

#include "cli/interrupt.h"
#include "cli/trace.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/json.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

/* Pauses between two tries of a call that was ABORTED. */
#define FIRST_PAUSE (UNITS_SECOND / 20)
#define LAST_PAUSE  (2 * UNITS_SECOND)

struct client *ask_client(struct task *t, struct err *err)
{
	struct client *c =
		connection_open(&t->session->connection, &t->settings, err);

	/* Nobody to talk to is an answer too. */
	t->answered = !c && err->code == GRPC_STATUS_UNAVAILABLE;
	interrupt_aim(c);
	return c;
}

/* The key for an id: only that of bytes may carry more than ASCII. */
static const char *controller_key(const char *id)
{
	for (const char *s = id; *s; s++)
		if (*s < ' ' || *s > '~')
			return "controllerid-bin";
	return "controllerid";
}

struct client_call ask_call(const struct ask *what, int64_t deadline,
			    struct client_md *md)
{
	if (what->controller)
		*md = (struct client_md){controller_key(what->controller),
					 what->controller,
					 strlen(what->controller)};
	return (struct client_call){
		.method = what->method,
		.reply_type = what->reply,
		.md = md,
		.n_md = what->controller ? 1 : 0,
		.deadline = deadline,
	};
}

void *ask_beside(const struct task *t, const struct ask *what, int64_t deadline,
		 struct arena *a, struct err *err)
{
	struct client_md md;
	struct client_call call = ask_call(what, deadline, &md);
	int64_t start = units_monotonic();
	void *reply;

	if (t->settings.trace)
		trace_request(t, what);
	reply = client_unary(t->session->connection.client, &call,
			     what->request, a, err);
	if (t->settings.trace)
		trace_reply(reply, err, units_monotonic() - start);
	return reply;
}

void ask_plan(struct task *t, const struct ask *what)
{
	static const struct out_column columns[] = {
		{"method", "METHOD", 0},
		{"controllerId", "CONTROLLER", 0},
		{"request", "REQUEST", 0},
		{0},
	};
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct out_style style = t->settings.style;

	style.columns = style.sort = style.where = NULL;
	if (style.format == OUT_VALUE)
		style.format = OUT_TABLE; /* the pointer is for the answer */
	if (!t->plan) {
		t->plan = out_new(&style, columns, &err);
		out_list(t->plan, "CallList", "items");
	}
	out_row(t->plan);
	out_str(t->plan, "method", what->method + 1);
	out_str(t->plan, "controllerId",
		what->controller ? what->controller : "");
	out_json(t->plan, "request", json_from_message(what->request, 0));
}

void *ask(struct task *t, const struct ask *what, struct err *err)
{
	void *reply;

	if (task_option(t, "dry-run")) {
		ask_plan(t, what);
		return arena_message(t->arena, what->reply);
	}
	if (interrupt_wait(0)) {
		err_set(err, GRPC_STATUS_CANCELLED, "interrupted");
		return NULL;
	}
	if (!ask_client(t, err))
		return NULL;
	reply = ask_beside(t, what, t->deadline, t->arena, err);
	t->answered = !reply;
	return reply;
}

const Oim__Admin__V1__GetStatusReply *ask_status(struct task *t,
						 const char *controller,
						 struct err *err)
{
	const Oim__Admin__V1__GetStatusRequest request =
		OIM__ADMIN__V1__GET_STATUS_REQUEST__INIT;
	const struct ask what = {
		.method = "/oim.admin.v1.Admin/GetStatus",
		.controller = controller,
		.request = &request.base,
		.reply = &oim__admin__v1__get_status_reply__descriptor,
	};

	return ask(t, &what, err);
}

const Oim__Admin__V1__ControllerStatus *ask_controller_status(struct task *t,
							      const char *id,
							      struct err *err)
{
	const Oim__Admin__V1__GetStatusReply *r = ask_status(t, id, err);

	for (size_t i = 0; r && i < r->n_controllers; i++)
		if (strcmp(r->controllers[i]->controller_id, id) == 0)
			return r->controllers[i];
	return NULL;
}

/* Whether there is time for another try. */
static bool pause_before_retry(const struct task *t, int64_t *pause)
{
	if (t->deadline && units_monotonic() + *pause >= t->deadline)
		return false;
	if (interrupt_wait(*pause))
		return false;
	*pause = *pause * 2 < LAST_PAUSE ? *pause * 2 : LAST_PAUSE;
	return true;
}

void *ask_patiently(struct task *t, const struct ask *what, struct err *err)
{
	int64_t pause = FIRST_PAUSE;
	void *reply;

	while (!(reply = ask(t, what, err)) &&
	       err->code == GRPC_STATUS_ABORTED &&
	       pause_before_retry(t, &pause))
		err_clear(err);
	return reply;
}

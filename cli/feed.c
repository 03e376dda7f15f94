/* Events, by calls of WatchEvents. */

#include "cli/feed.h"

#include <stdlib.h>

#include "cli/ask.h"
#include "cli/trace.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/client.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

/* Pauses between two attempts. */
#define FIRST_PAUSE (UNITS_SECOND / 20)
#define LAST_PAUSE  (2 * UNITS_SECOND)

typedef Oim__Admin__V1__WatchEventsRequest request_type;
typedef Oim__Admin__V1__WatchEventsReply reply_type;

struct feed {
	const struct task *task;
	struct feed_config config;
	struct client_stream *call;
	char *position; /* of what was told; NULL: begin as configured */
	bool from_now;  /* although the config has a position */
	bool has_begun; /* once */
	bool expects_first;
	int64_t pause;
};

struct feed *feed_new(const struct task *t, const struct feed_config *config)
{
	struct feed *f = mem_zalloc(1, sizeof(*f));

	f->task = t;
	f->config = *config;
	f->pause = FIRST_PAUSE;
	return f;
}

void feed_free(struct feed *f)
{
	if (!f)
		return;
	client_stream_free(f->call);
	free(f->position);
	free(f);
}

/* --- one call --- */

static void fill_request(request_type *r, const struct feed_config *config)
{
	*r = (request_type)OIM__ADMIN__V1__WATCH_EVENTS_REQUEST__INIT;
	r->kinds = (char **)config->kinds;
	r->n_kinds = config->n_kinds;
}

static void set_start(const struct feed *f, request_type *r)
{
	if (f->position)
		r->after = f->position;
	else if (f->from_now)
		r->oldest = f->config.oldest;
	else if (f->config.after)
		r->after = (char *)f->config.after;
	else
		r->oldest = f->config.oldest;
}

static struct ask ask_of(const struct feed_config *config,
			 const request_type *r)
{
	return (struct ask){
		.method = "/oim.admin.v1.Admin/WatchEvents",
		.controller = config->controller,
		.request = &r->base,
		.reply = &oim__admin__v1__watch_events_reply__descriptor,
	};
}

void feed_plan(struct task *t, const struct feed_config *config)
{
	request_type r;
	struct ask what = ask_of(config, &r);

	fill_request(&r, config);
	r.oldest = config->oldest && !config->after;
	if (config->after)
		r.after = (char *)config->after;
	ask_plan(t, &what);
}

static int open_call(struct feed *f, struct err *err)
{
	request_type r;
	struct ask what = ask_of(&f->config, &r);
	struct client_md md;
	struct client_call call = ask_call(&what, f->config.deadline, &md);

	fill_request(&r, &f->config);
	set_start(f, &r);
	if (f->task->settings.trace)
		trace_request(f->task, &what);
	f->call = client_stream_open(f->task->session->connection.client, &call,
				     err);
	if (!f->call)
		return -1;
	f->expects_first = true;
	/* If it cannot be sent, the end of the call says why. */
	if (client_stream_send(f->call, &r.base) == 0)
		client_stream_close_send(f->call);
	return 0;
}

/* 1 and a reply; 0 or -1: the call has ended. */
static int receive(struct feed *f, struct arena *a, const reply_type **reply,
		   struct err *err)
{
	void *message;
	int rc;

	if (!f->call && open_call(f, err) == -1)
		return -1;
	rc = client_stream_receive(f->call, a, &message, err);
	if (rc == 1) {
		if (f->task->settings.trace)
			trace_message('<', message);
		*reply = message;
		return 1;
	}
	client_stream_free(STEAL(f->call));
	if (rc == 0)
		err_set(err, GRPC_STATUS_UNAVAILABLE,
			"the server has ended the call");
	return -1;
}

/* --- one after the other --- */

static int note_reply(struct feed *f, const reply_type *reply)
{
	bool is_first = f->expects_first;
	bool is_from_now = !f->position && !f->config.oldest &&
			   (f->from_now || !f->config.after);

	f->pause = FIRST_PAUSE;
	f->has_begun = true;
	f->expects_first = false;
	/* Of older events, which come yet, it says nothing. */
	if (!is_first || is_from_now) {
		free(f->position);
		f->position = mem_strdup(reply->position);
	}
	return is_first ? FEED_BEGUN : FEED_EVENTS;
}

/* Whether the call is to be made again. */
static bool is_patient(struct feed *f, const struct err *err)
{
	int64_t pause = f->pause;

	if (err->code != GRPC_STATUS_UNAVAILABLE || !f->config.pause ||
	    (f->config.is_needed && !f->has_begun))
		return false;
	f->pause = 2 * pause < LAST_PAUSE ? 2 * pause : LAST_PAUSE;
	return f->config.pause(f->config.arg, pause);
}

int feed_next(struct feed *f, struct arena *a, const reply_type **reply,
	      struct err *err)
{
	while (receive(f, a, reply, err) == -1) {
		if (err->code == GRPC_STATUS_OUT_OF_RANGE && f->has_begun &&
		    f->config.pause) {
			err_clear(err);
			free(STEAL(f->position));
			f->from_now = true;
			return FEED_MISSED;
		}
		if (!is_patient(f, err))
			return -1;
		err_clear(err);
	}
	return note_reply(f, *reply);
}

/* What happens: events. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/feed.h"
#include "cli/interrupt.h"
#include "cli/report.h"
#include "cli/task.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

#define MS 1000000

/* The command while it runs. */
struct listing {
	struct feed_config config;
	int64_t since; /* ns since 1970; older ones are left out */
	bool follows;  /* --follow */
	char *end;     /* without --follow: the position to end at */
};

/* --- options --- */

static const char *const *kinds_of(struct task *t, size_t *n)
{
	const char *text = task_option(t, "kind");
	const char **kinds = arena_zalloc(t->arena, text ? strlen(text) + 1 : 1,
					  sizeof(*kinds));

	*n = 0;
	while (text && *text) {
		size_t size = strcspn(text, ",");

		if (size)
			kinds[(*n)++] = arena_dup(t->arena, text, size);
		text += size + (text[size] == ',');
	}
	return kinds;
}

/* --since: a position, or a duration until now. */
static int parse_since(struct task *t, struct listing *l, struct err *err)
{
	const char *text = task_option(t, "since");
	int64_t ns;

	if (text && strchr(text, ':')) {
		l->config.after = text;
		return 0;
	}
	l->config.oldest = true;
	if (!text)
		return 0;
	if (units_parse_duration(text, &ns, err) == -1) {
		err_clear(err);
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"\"%s\" is neither a position nor a duration", text);
		return err_hint(
			err,
			"a position is printed by -o json, a duration reads 10m");
	}
	l->since = units_now() - ns;
	return 0;
}

static bool on_pause(void *arg, int64_t ns)
{
	(void)arg;
	return !interrupt_wait(ns);
}

static int parse(struct task *t, struct listing *l, struct err *err)
{
	bool has_timeout =
		t->settings.all[SETTING_TIMEOUT].rank != RANK_BUILT_IN;

	l->follows = task_option(t, "follow");
	l->config.controller = task_controller(t);
	l->config.kinds = kinds_of(t, &l->config.n_kinds);
	l->config.deadline = l->follows && !has_timeout ? 0 : t->deadline;
	l->config.is_needed = true;
	if (l->follows)
		l->config.pause = on_pause;
	return parse_since(t, l, err);
}

/* --- output --- */

static bool is_for_people(const struct task *t)
{
	enum out_format format = t->settings.style.format;

	return format == OUT_TABLE || format == OUT_WIDE;
}

static void describe(struct task *t, const Oim__Admin__V1__Event *e)
{
	int64_t time = is_for_people(t) ? e->time - e->time % MS : e->time;

	out_str(t->out, "position", e->position);
	out_time(t->out, "time", time);
	out_str(t->out, "type", e->kind);
	out_str(t->out, "controllerId", e->controller_id);
	out_str(t->out, "object", e->object);
	out_str(t->out, "message", e->message);
}

static bool is_wanted(const struct listing *l, const Oim__Admin__V1__Event *e)
{
	return e->time >= l->since;
}

static void add(struct task *t, const struct listing *l,
		const Oim__Admin__V1__WatchEventsReply *r)
{
	for (size_t i = 0; i < r->n_events; i++)
		if (is_wanted(l, r->events[i])) {
			out_row(t->out);
			describe(t, r->events[i]);
		}
}

/* Some more lines of the table. */
static int print_rows(struct task *t, const struct listing *l,
		      const Oim__Admin__V1__WatchEventsReply *r,
		      struct err *err)
{
	out_list(t->out, "EventList", "items");
	add(t, l, r);
	if (!out_count(t->out)) {
		out_reset(t->out);
		return 0;
	}
	if (out_emit(t->out, stdout, err) == -1)
		return -1;
	out_continue(t->out);
	return 0;
}

/* A document for each. */
static int print_documents(struct task *t, const struct listing *l,
			   const Oim__Admin__V1__WatchEventsReply *r,
			   struct err *err)
{
	for (size_t i = 0; i < r->n_events; i++) {
		if (!is_wanted(l, r->events[i]))
			continue;
		out_object(t->out, "Event");
		describe(t, r->events[i]);
		if (out_emit(t->out, stdout, err) == -1)
			return -1;
	}
	return 0;
}

/* --- running --- */

static int follow(struct task *t, struct listing *l, struct feed *feed,
		  struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	const Oim__Admin__V1__WatchEventsReply *reply;
	int news;

	while ((news = feed_next(feed, a, &reply, err)) != -1) {
		if (news == FEED_MISSED)
			report_warning(t, "events were missed");
		else if ((is_for_people(t) ? print_rows : print_documents)(
				 t, l, reply, err) == -1)
			return -1;
		arena_reset(a);
	}
	t->answered = true;
	return -1;
}

/* The number of a position; they are all of one instance. */
static unsigned long long number_of(const char *position)
{
	const char *colon = strrchr(position, ':');

	return colon ? strtoull(colon + 1, NULL, 10) : 0;
}

/* Whether there is nothing behind that what is kept. */
static bool is_end(const struct listing *l, const char *position)
{
	return number_of(position) >= number_of(l->end);
}

static int gather(struct task *t, struct listing *l, struct feed *feed,
		  struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	const Oim__Admin__V1__WatchEventsReply *reply;
	bool is_done;

	if (feed_next(feed, a, &reply, err) == -1)
		return -1;
	l->end = arena_strdup(t->arena, reply->position);
	out_str(t->out, "position", l->end);
	is_done = !number_of(l->end) ||
		  (l->config.after && is_end(l, l->config.after));
	while (!is_done) {
		arena_reset(a);
		if (feed_next(feed, a, &reply, err) == -1)
			return -1;
		add(t, l, reply);
		is_done = is_end(l, reply->position);
	}
	return 0;
}

static int list(struct task *t, struct listing *l, struct feed *feed,
		struct err *err)
{
	int rc;

	out_list(t->out, "EventList", "items");
	rc = gather(t, l, feed, err);
	t->answered = rc == -1;
	return rc;
}

static void cleanup_feed(struct feed **feed)
{
	feed_free(*feed);
}

static int run_events(struct task *t, struct err *err)
{
	CLEANUP(cleanup_feed) struct feed *feed = NULL;
	struct listing l = {0};

	if (parse(t, &l, err) == -1)
		return -1;
	if (task_option(t, "dry-run")) {
		feed_plan(t, &l.config);
		return 0;
	}
	if (!ask_client(t, err))
		return -1;
	feed = feed_new(t, &l.config);
	return (l.follows ? follow : list)(t, &l, feed, err);
}

static void complete_kinds(struct complete *c)
{
	static const char *const kinds[] = {
		"controller",
		"controller.registered",
		"controller.moved",
		"controller.removed",
		"controller.ready",
		"controller.lost",
		"controller.contested",
		"value",
		"value.set",
		"value.removed",
		"bdev",
		"bdev.provisioned",
		"bdev.removed",
		"volume",
		"volume.mapped",
		"volume.unmapped",
		"plane",
		"plane.failed",
		"plane.works",
		"record.dropped",
		"registry.missed",
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		complete_add(c, kinds[i]);
}

static const struct opt event_options[] = {
	{"since", 0, "T", "behind a position, or so long ago, as in 10m", 0,
	 NULL},
	{"follow", 'f', NULL, "go on until interrupted", 0, NULL},
	{"kind", 0, "K", "only this kind, or this group of kinds: volume",
	 OPT_LIST, complete_kinds},
	{0},
};

static const struct out_column event_columns[] = {
	{"position", "POSITION", OUT_ONLY_WIDE},
	{"time", "TIME", OUT_WIDTH(24)},
	{"type", "KIND", OUT_WIDTH(21)},
	{"controllerId", "CONTROLLER", OUT_WIDTH(10)},
	{"object", "OBJECT", OUT_WIDTH(10)},
	{"message", "MESSAGE", 0},
	{0},
};

const struct cmd cmds_events[] = {
	{
		.name = "events",
		.help = "what has happened of late, and happens",
		.more = "The server keeps the latest 10000 since its start. With --controller it\n"
			"is the daemon of that controller that is asked.\n"
			"\n"
			"  oimctl events --since 10m --kind volume\n"
			"  oimctl events -f -o json\n",
		.options = event_options,
		.columns = event_columns,
		.run = run_events,
	},
	{0},
};

/* Waiting for objects to be as they should: wait KIND ID... --for STATE. */

#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/changes.h"
#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/dialect.h"
#include "cli/everywhere.h"
#include "cli/feed.h"
#include "cli/items.h"
#include "cli/report.h"
#include "cli/task.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/nearest.h"
#include "proto/lib/units.h"

/* What is known of an object. */
#define PRESENT  1u /* registered, recorded */
#define READY    2u /* of a controller: it answers, and so does its plane */
#define LOST     4u
#define ATTACHED 8u /* of a mapping, and of a bdev: it is mapped */

/* A state that can be waited for: what must be true and what must not. */
struct state {
	const char *name;
	unsigned needs, excludes;
};

static const struct state controller_states[] = {
	{"registered", PRESENT, 0},
	{"ready", PRESENT | READY, LOST},
	{"lost", LOST, 0},
	{"absent", 0, PRESENT},
	{0},
};

static const struct state mapping_states[] = {
	{"attached", ATTACHED, 0},
	{"mapped", ATTACHED, 0},
	{"present", PRESENT, 0},
	{"absent", 0, PRESENT},
	{0},
};

static const struct state bdev_states[] = {
	{"present", PRESENT, 0},
	{"mapped", ATTACHED, 0},
	{"unmapped", PRESENT, ATTACHED},
	{"absent", 0, PRESENT},
	{0},
};

/* One look. The task comes first: replies are added to it. */
struct look {
	struct task task;
	const struct state *state; /* that is waited for */
	unsigned *found;           /* by argument */
	bool is_partial;           /* not everybody could be asked */
};

struct wait {
	struct task *task;
	const struct state *state;
	bool everywhere;
	int (*look)(struct look *l, struct err *err);
	int64_t deadline;
	struct changes *changes;
	bool *is_so; /* by argument */
};

/* --- looking --- */

static void note(struct look *l, const char *id, unsigned what)
{
	for (size_t i = 0; i < l->task.n_args; i++)
		if (strcmp(l->task.args[i], id) == 0)
			l->found[i] |= what;
}

static bool answers(struct task *t, const char *id)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const Oim__Admin__V1__GetStatusRequest request =
		OIM__ADMIN__V1__GET_STATUS_REQUEST__INIT;
	const struct ask what = {
		.method = "/oim.admin.v1.Admin/GetStatus",
		.controller = id,
		.request = &request.base,
		.reply = &oim__admin__v1__get_status_reply__descriptor,
	};
	const Oim__Admin__V1__GetStatusReply *r = ask(t, &what, &err);

	for (size_t i = 0; r && i < r->n_controllers; i++)
		if (strcmp(r->controllers[i]->controller_id, id) == 0)
			return r->controllers[i]->ready;
	return false;
}

static void look_at_entry(struct look *l, const struct entry *e)
{
	bool is_lost = strcmp(e->state, "lost") == 0;

	if (!*e->address || !items_has(&l->task, e->id))
		return;
	note(l, e->id, PRESENT | (is_lost ? LOST : 0));
	if (!is_lost && l->state->needs & READY && answers(&l->task, e->id))
		note(l, e->id, READY);
}

static int look_at_controllers(struct look *l, struct err *err)
{
	struct entry *entries;
	size_t n;

	if (dialect_entries(&l->task, &entries, &n, err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		look_at_entry(l, &entries[i]);
	return 0;
}

static void add_mappings(struct task *t, const void *reply)
{
	const Oim__Admin__V1__ListMappingsReply *r = reply;

	for (size_t i = 0; i < r->n_mappings; i++) {
		const Oim__Admin__V1__Mapping *m = r->mappings[i];
		bool is_attached = strcmp(m->state, "attached") == 0;

		note((struct look *)t, m->volume_id,
		     PRESENT | (is_attached ? ATTACHED : 0));
	}
}

static void add_bdevs(struct task *t, const void *reply)
{
	const Oim__Admin__V1__ListBDevsReply *r = reply;

	for (size_t i = 0; i < r->n_bdevs; i++)
		note((struct look *)t, r->bdevs[i]->name,
		     PRESENT | (r->bdevs[i]->mapped ? ATTACHED : 0));
}

static int ask_everywhere(struct look *l, const struct ask *what,
			  void (*add)(struct task *t, const void *reply),
			  struct err *err)
{
	int rc = everywhere_ask(&l->task, what, add, err);

	l->is_partial = out_errors(l->task.out);
	return rc;
}

static int look_at_mappings(struct look *l, struct err *err)
{
	return ask_everywhere(l, &everywhere_mappings, add_mappings, err);
}

static int look_at_bdevs(struct look *l, struct err *err)
{
	return ask_everywhere(l, &everywhere_bdevs, add_bdevs, err);
}

/* --- waiting --- */

/* Nobody knows what those who could not be asked have. */
static bool is_so(const struct look *l, unsigned found)
{
	const struct state *s = l->state;

	if (s->excludes && l->is_partial)
		return false;
	return (found & s->needs) == s->needs && !(found & s->excludes);
}

/* Whether all are so; or -1. Its memory is its own: it may be one of many. */
static int look(struct wait *w, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct look l = {.task = *w->task, .state = w->state};
	int rc = 0;

	l.task.arena = a;
	l.task.deadline = changes_round(w->deadline);
	l.found = arena_zalloc(a, l.task.n_args, sizeof(*l.found));
	out_reset(l.task.out);
	if (w->changes && w->everywhere)
		rc = changes_follow_all(w->changes, &l.task, err);
	if (rc == 0)
		rc = w->look(&l, err);
	w->task->answered = l.task.answered;
	w->task->plan = l.task.plan;
	if (rc == -1)
		return -1;
	rc = 1;
	for (size_t i = 0; i < l.task.n_args; i++) {
		w->is_so[i] = is_so(&l, l.found[i]);
		rc &= w->is_so[i];
	}
	return rc;
}

static bool is_over(const struct wait *w)
{
	return w->deadline && units_monotonic() >= w->deadline;
}

/* 1: all are so; 0: the time is over; or -1. */
static int wait_until_so(struct wait *w, struct err *err)
{
	bool has_looked = false;
	int rc;

	do {
		rc = look(w, err);
		if (rc == 1)
			return 1;
		if (rc == -1 && !is_over(w) &&
		    (!has_looked || err->code != GRPC_STATUS_UNAVAILABLE))
			return -1;
		has_looked |= rc == 0;
		err_clear(err); /* the server may come back */
		rc = changes_wait(w->changes, w->deadline, err);
	} while (rc == 1);
	return rc;
}

static void describe(struct wait *w)
{
	struct task *t = w->task;

	out_reset(t->out);
	task_results(t);
	for (size_t i = 0; i < t->n_args; i++) {
		const char *result =
			arena_printf(t->arena, "%s%s",
				     w->is_so[i] ? "" : "not ", w->state->name);

		task_done(t, t->args[i], result);
		if (w->is_so[i])
			continue;
		t->status = STATUS_NO;
		report_warning(t, "%s is %s", t->args[i], result);
	}
}

static int wait_for(struct wait *w, struct err *err)
{
	int rc;

	w->deadline = changes_deadline(w->task);
	w->changes = changes_begin(w->task, err);
	rc = w->changes ? wait_until_so(w, err) : -1;
	changes_end(w->changes);
	if (rc == -1 && err->code != GRPC_STATUS_DEADLINE_EXCEEDED)
		return -1;
	err_clear(err);
	describe(w);
	return 0;
}

/* --- the commands --- */

static const struct state *find_state(struct task *t,
				      const struct state *states,
				      struct err *err)
{
	const char *name = task_option(t, "for");
	const char *names[8], *text = "", *nearest;
	size_t n = 0;

	for (const struct state *s = states; s->name; s++) {
		if (name && strcmp(s->name, name) == 0)
			return s;
		text = arena_printf(t->arena, "%s%s%s", text, n ? ", " : "",
				    s->name);
		names[n++] = s->name;
	}
	names[n] = NULL;
	nearest = name ? nearest_find(name, names) : NULL;
	if (name)
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"a %s cannot be \"%s\"", strchr(t->cmd->name, ' ') + 1,
			name);
	else
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "--for is missing");
	if (nearest)
		err_hint(err, "did you mean \"%s\"?", nearest);
	else
		err_hint(err, "states: %s", text);
	return NULL;
}

static int run(struct task *t, const struct state *states, const char *what,
	       bool everywhere, int (*look_at)(struct look *l, struct err *err),
	       struct err *err)
{
	static const struct feed_config plan = {0};
	struct wait w = {.task = t, .everywhere = everywhere, .look = look_at};

	w.state = find_state(t, states, err);
	if (!w.state || items_check(t, what, err) == -1)
		return -1;
	w.is_so = arena_zalloc(t->arena, t->n_args, sizeof(*w.is_so));
	if (!task_option(t, "dry-run"))
		return wait_for(&w, err);
	feed_plan(t, &plan);
	return look(&w, err) == -1 ? -1 : 0;
}

static int run_controllers(struct task *t, struct err *err)
{
	return run(t, controller_states, "controller id", false,
		   look_at_controllers, err);
}

static int run_mappings(struct task *t, struct err *err)
{
	return run(t, mapping_states, "volume id", true, look_at_mappings, err);
}

static int run_bdevs(struct task *t, struct err *err)
{
	return run(t, bdev_states, "bdev name", true, look_at_bdevs, err);
}

static void complete_states(struct complete *c, const struct state *states)
{
	for (; states->name; states++)
		complete_add(c, states->name);
}

static void complete_controller_states(struct complete *c)
{
	complete_states(c, controller_states);
}

static void complete_mapping_states(struct complete *c)
{
	complete_states(c, mapping_states);
}

static void complete_bdev_states(struct complete *c)
{
	complete_states(c, bdev_states);
}

static const struct opt controller_options[] = {
	{"for", 0, "STATE", "registered, ready, lost or absent", 0,
	 complete_controller_states},
	{0},
};

static const struct opt mapping_options[] = {
	{"for", 0, "STATE", "attached, present or absent", 0,
	 complete_mapping_states},
	{0},
};

static const struct opt bdev_options[] = {
	{"for", 0, "STATE", "present, mapped, unmapped or absent", 0,
	 complete_bdev_states},
	{0},
};

const struct cmd cmds_wait[] = {
	{
		.name = "wait controller",
		.args = "ID...",
		.help = "wait until controllers are ready, say",
		.more = "Ready is one that is registered and answers. Without --timeout it\n"
			"waits as long as it takes; if that passes, the exit status is 3.\n"
			"\n"
			"  oimctl wait controller node-7 --for ready --timeout 1m\n",
		.flags = CMD_QUIET,
		.options = controller_options,
		.columns = task_result_columns,
		.run = run_controllers,
		.complete = complete_controllers,
	},
	{
		.name = "wait mapping",
		.args = "VOLUME...",
		.help = "wait until volumes are mapped, or are not",
		.more = "Without --timeout it waits as long as it takes; if that passes, the\n"
			"exit status is 3.\n"
			"\n"
			"  oimctl wait mapping vol1 --for attached\n",
		.flags = CMD_QUIET,
		.options = mapping_options,
		.columns = task_result_columns,
		.run = run_mappings,
		.complete = complete_mappings,
	},
	{
		.name = "wait bdev",
		.args = "NAME...",
		.help = "wait until bdevs are there, or are not",
		.more = "Without --timeout it waits as long as it takes; if that passes, the\n"
			"exit status is 3.\n"
			"\n"
			"  oimctl wait bdev vol1 --for absent --timeout 10s\n",
		.flags = CMD_QUIET,
		.options = bdev_options,
		.columns = task_result_columns,
		.run = run_bdevs,
		.complete = complete_bdevs,
	},
	{0},
};

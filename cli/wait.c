/* Waiting for objects to be as they should: wait KIND ID... --for STATE. */

#include <stdlib.h>
#include <string.h>

#include "cli/changes.h"
#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/feed.h"
#include "cli/items.h"
#include "cli/report.h"
#include "cli/task.h"
#include "cli/wait_look.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/nearest.h"
#include "proto/lib/units.h"

struct wait {
	struct task *task;
	const struct wait_kind *kind;
	const struct wait_state *state;
	int64_t deadline;
	struct changes *changes;
	bool *is_so;   /* by argument */
	char *trouble; /* why it is not sure, or NULL */
};

/* --- waiting --- */

/* Who could not be asked. */
static void note_trouble(struct wait *w, const struct look *l)
{
	const struct out_failure *f;

	free(STEAL(w->trouble));
	if (!l->is_partial)
		return;
	f = out_failure(l->task.out, 0);
	w->trouble =
		mem_printf("%s cannot be asked: %s", f->target, f->err.msg);
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
	if (w->changes && w->kind->everywhere)
		rc = changes_follow_all(w->changes, &l.task, err);
	if (rc == 0)
		rc = w->kind->look(&l, err);
	w->task->answered = l.task.answered;
	w->task->plan = l.task.plan;
	if (rc == -1)
		return -1;
	note_trouble(w, &l);
	rc = 1;
	for (size_t i = 0; i < l.task.n_args; i++) {
		w->is_so[i] = look_is_so(&l, l.found[i]);
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
		    (!has_looked || !changes_can_pass(err, w->deadline)))
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
	if (w->trouble)
		report_warning(t, "%s", w->trouble);
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

static const struct wait_state *find_state(struct task *t,
					   const struct wait_state *states,
					   struct err *err)
{
	const char *name = task_option(t, "for");
	const char *names[8], *text = "", *nearest;
	size_t n = 0;

	for (const struct wait_state *s = states; s->name; s++) {
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

static int run(struct task *t, const struct wait_kind *kind, struct err *err)
{
	static const struct feed_config plan = {0};
	struct wait w = {.task = t, .kind = kind};
	int rc;

	w.state = find_state(t, kind->states, err);
	if (!w.state || items_check(t, kind->id, err) == -1)
		return -1;
	w.is_so = arena_zalloc(t->arena, t->n_args, sizeof(*w.is_so));
	if (task_option(t, "dry-run")) {
		feed_plan(t, &plan);
		return look(&w, err) == -1 ? -1 : 0;
	}
	rc = wait_for(&w, err);
	free(w.trouble);
	return rc;
}

static int run_controllers(struct task *t, struct err *err)
{
	return run(t, &wait_controllers, err);
}

static int run_mappings(struct task *t, struct err *err)
{
	return run(t, &wait_mappings, err);
}

static int run_bdevs(struct task *t, struct err *err)
{
	return run(t, &wait_bdevs, err);
}

static void complete_states(struct complete *c, const struct wait_state *states)
{
	for (; states->name; states++)
		complete_add(c, states->name);
}

static void complete_controller_states(struct complete *c)
{
	complete_states(c, wait_controllers.states);
}

static void complete_mapping_states(struct complete *c)
{
	complete_states(c, wait_mappings.states);
}

static void complete_bdev_states(struct complete *c)
{
	complete_states(c, wait_bdevs.states);
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

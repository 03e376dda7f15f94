/* Controllers: list controllers, show controller. */

#include <string.h>

#include "cli/ask.h"
#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/dialect.h"
#include "cli/hints.h"
#include "cli/items.h"
#include "cli/task.h"
#include "cli/watch.h"
#include "oim/admin/v1/admin.pb-c.h"

/* What the registry knows. */
static void describe_entry(struct task *t, const struct entry *e)
{
	out_row(t->out);
	out_str(t->out, "controllerId", e->id);
	out_str(t->out, "address", e->address);
	out_str(t->out, "state", e->state);
	out_time(t->out, "since", e->since);
	out_i64(t->out, "ttl", e->ttl);
	out_bool(t->out, "here", e->here);
}

static void describe(struct task *t, const struct entry *e)
{
	describe_entry(t, e);
	out_str(t->out, "plane", e->plane);
	out_str(t->out, "problem", e->problem);
}

static int list(struct task *t, struct err *err)
{
	struct entry *entries;
	size_t n;

	out_list(t->out, "ControllerList", "items");
	if (dialect_entries(t, &entries, &n, err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		describe(t, &entries[i]);
	return 0;
}

static int run_list(struct task *t, struct err *err)
{
	return watch_list(t, false, list, err);
}

/* --- show --- */

static void describe_status(struct task *t,
			    const Oim__Admin__V1__ControllerStatus *s)
{
	out_str(t->out, "plane", s->plane);
	out_bool(t->out, "ready", s->ready);
	out_i64(t->out, "bdevs", s->bdevs);
	out_i64(t->out, "mappings", s->mappings);
	out_size(t->out, "mallocUsed", (uint64_t)s->malloc_used);
	out_size(t->out, "mallocLimit", (uint64_t)s->malloc_limit);
	out_str(t->out, "registry", s->registry);
	out_time(t->out, "registered", s->registered);
	out_str(t->out, "registrationProblem", s->registration_problem);
}

/* *err says why it did not tell how it fares, if it did not. */
static void show(struct task *t, const struct entry *e, struct err *err)
{
	const Oim__Admin__V1__ControllerStatus *s =
		ask_controller_status(t, e->id, err);

	describe_entry(t, e);
	if (s)
		describe_status(t, s);
	else
		out_str(t->out, "plane", e->plane);
	out_str(t->out, "problem", s && *s->problem ? s->problem : e->problem);
	if (err->code)
		hints_add(t, err);
}

static const struct entry *find_entry(const struct entry *entries, size_t n,
				      const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(entries[i].id, id) == 0)
			return &entries[i];
	return NULL;
}

static void note_failures(struct task *t, struct err *failures)
{
	for (size_t i = 0; i < t->n_args; i++) {
		if (!failures[i].code)
			continue;
		out_error(t->out, t->args[i], &failures[i]);
		err_clear(&failures[i]);
		t->status = STATUS_SOME;
	}
}

static int run_show(struct task *t, struct err *err)
{
	struct err *failures =
		arena_zalloc(t->arena, t->n_args, sizeof(*failures));
	struct entry *entries;
	size_t n;
	int rc;

	if (items_check(t, "controller id", err) == -1)
		return -1;
	out_list(t->out, "ControllerList", "items");
	if (dialect_entries(t, &entries, &n, err) == -1)
		return -1;
	for (size_t i = 0; i < t->n_args; i++) {
		const struct entry *e = find_entry(entries, n, t->args[i]);

		if (e)
			show(t, e, &failures[i]);
	}
	rc = items_finish(t, "controllerId", "Controller", err);
	note_failures(t, failures);
	return rc;
}

static const struct out_column list_columns[] = {
	{"controllerId", "CONTROLLER", 0},
	{"address", "ADDRESS", 0},
	{"state", "STATE", 0},
	{"since", "SINCE", OUT_ONLY_WIDE | OUT_AGE},
	{"ttl", "TTL", OUT_ONLY_WIDE},
	{"here", "HERE", 0},
	{"plane", "PLANE", 0},
	{"problem", "PROBLEM", OUT_TROUBLE},
	{0},
};

static const struct out_column show_columns[] = {
	{"controllerId", "CONTROLLER", 0},
	{"address", "ADDRESS", 0},
	{"state", "STATE", 0},
	{"since", "SINCE", OUT_AGE},
	{"ttl", "TTL", 0},
	{"here", "HERE", 0},
	{"plane", "PLANE", 0},
	{"ready", "READY", 0},
	{"problem", "PROBLEM", OUT_TROUBLE},
	{"bdevs", "BDEVS", 0},
	{"mappings", "MAPPINGS", 0},
	{"mallocUsed", "MALLOC USED", 0},
	{"mallocLimit", "MALLOC LIMIT", 0},
	{"registry", "REGISTRY", 0},
	{"registered", "REGISTERED", OUT_AGE},
	{"registrationProblem", "REGISTRATION", OUT_TROUBLE},
	{0},
};

const struct cmd cmds_controllers[] = {
	{
		.name = "list controllers",
		.help = "list the controllers that the server knows",
		.more = "  oimctl list controllers\n"
			"  oimctl list controllers -o name\n"
			"  oimctl list controllers --watch\n",
		.options = watch_options,
		.columns = list_columns,
		.run = run_list,
	},
	{
		.name = "show controller",
		.args = "ID...",
		.help = "show controllers, and how they fare",
		.columns = show_columns,
		.run = run_show,
		.complete = complete_controllers,
	},
	{0},
};

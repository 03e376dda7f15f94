/* Values of the registry: get, set, unset. */

#include <string.h>

#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/dialect.h"
#include "cli/session.h"
#include "cli/task.h"

static int check_path(const char *path, struct err *err)
{
	if (path[0] && path[strspn(path, "/")])
		return 0;
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "the path is empty");
}

/* --- get --- */

static int run_get(struct task *t, struct err *err)
{
	const char *path = t->n_args ? t->args[0] : "";
	struct value *values;
	size_t n;

	out_list(t->out, "ValueList", "items");
	if (dialect_values(t, path, &values, &n, err) == -1)
		return -1;
	if (!n && task_option(t, "must-exist"))
		return task_absent(t, err, "there is no value there");
	for (size_t i = 0; i < n; i++) {
		out_row(t->out);
		out_str(t->out, "path", values[i].path);
		out_str(t->out, "value", values[i].value);
	}
	return 0;
}

/* --- set --- */

/* In a session the name of an option is that, and not a path. */
static enum setting option_of(const struct task *t)
{
	return t->session->mode == SESSION_ONCE ? SETTINGS
						: settings_find(t->args[0]);
}

static int run_set(struct task *t, struct err *err)
{
	const char *path = t->args[0], *value = t->args[1];

	if (option_of(t) != SETTINGS)
		return session_set(t, option_of(t), value, err);
	if (check_path(path, err) == -1)
		return -1;
	if (!*value) {
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"an empty value would remove it");
		return err_hint(err, "\"unset\" removes values");
	}
	task_results(t);
	if (dialect_set(t, path, value, err) == -1)
		return -1;
	task_done(t, path, "set");
	return 0;
}

static void complete_path(struct complete *c)
{
	if (!complete_task(c)->n_args)
		complete_values(c);
}

/* --- unset --- */

static int confirm_unset(struct task *t, const char *path, struct err *err)
{
	struct value *values;
	size_t n;

	if (dialect_values(t, path, &values, &n, err) == -1)
		return -1;
	return n ? task_confirm(t, err, "remove %s, which is \"%s\"",
				values[0].path, values[0].value)
		 : 0;
}

/* Shows what is about to go; on a terminal only, since it takes calls. */
static int confirm_all(struct task *t, struct err *err)
{
	if (!task_asks(t))
		return task_confirm(t, err, "remove %zu value%s", t->n_args,
				    t->n_args > 1 ? "s" : "");
	for (size_t i = 0; i < t->n_args; i++)
		if (confirm_unset(t, t->args[i], err) == -1)
			return -1;
	return 0;
}

static int check_exists(struct task *t, const char *path, struct err *err)
{
	struct value *values;
	size_t n;

	if (!task_option(t, "must-exist") || task_option(t, "dry-run"))
		return 0;
	if (dialect_values(t, path, &values, &n, err) == -1)
		return -1;
	return n ? 0 : task_absent(t, err, "there is no value there");
}

static int unset(struct task *t, const char *path, struct err *err)
{
	if (check_exists(t, path, err) == -1 ||
	    dialect_set(t, path, "", err) == -1)
		return -1;
	task_done(t, path, "unset");
	return 0;
}

static int run_unset(struct task *t, struct err *err)
{
	for (size_t i = 0; i < t->n_args; i++)
		if (check_path(t->args[i], err) == -1)
			return -1;
	if (confirm_all(t, err) == -1)
		return -1;
	task_results(t);
	return task_each(t, unset, err);
}

static const struct opt must_exist[] = {
	{"must-exist", 0, NULL, "absence is an error", 0, NULL},
	{0},
};

static const struct out_column value_columns[] = {
	{"path", "PATH", 0},
	{"value", "VALUE", 0},
	{0},
};

const struct cmd cmds_values[] = {
	{
		.name = "get",
		.args = "[PATH]",
		.help = "print values of the registry",
		.more = "Prints the value at the path and all below it.\n"
			"\n"
			"  oimctl get\n"
			"  oimctl get node-7/address -o value=/value\n",
		.options = must_exist,
		.columns = value_columns,
		.run = run_get,
		.complete = complete_values,
	},
	{
		.name = "set",
		.args = "PATH VALUE",
		.help = "set a value of the registry",
		.more = "The path is ID/address, ID/pci or any other below a controller's id.\n"
			"\n"
			"  oimctl set node-7/pci 0000:00:15.0\n"
			"\n"
			"In the shell and in batch files \"set OPTION VALUE\" sets an option for the\n"
			"commands that follow.\n",
		.flags = CMD_QUIET,
		.columns = task_result_columns,
		.run = run_set,
		.complete = complete_path,
		.verify = "get",
	},
	{
		.name = "unset",
		.args = "PATH...",
		.help = "remove values of the registry",
		.more = "Only the value at the path, not those below it. Removing what is absent\n"
			"is no error.\n"
			"\n"
			"  oimctl unset node-7/pci --yes\n",
		.flags = CMD_QUIET,
		.options = must_exist,
		.columns = task_result_columns,
		.run = run_unset,
		.complete = complete_values,
		.verify = "get",
	},
	{0},
};

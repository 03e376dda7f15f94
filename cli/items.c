/* list and show. */

#include "cli/items.h"

#include <string.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"

int items_check(const struct task *t, const char *what, struct err *err)
{
	for (size_t i = 0; i < t->n_args; i++)
		if (id_check(t->args[i], what, err) == -1)
			return -1;
	return 0;
}

bool items_has(const struct task *t, const char *id)
{
	for (size_t i = 0; i < t->n_args; i++)
		if (strcmp(t->args[i], id) == 0)
			return true;
	return !t->n_args;
}

static void note_absent(struct task *t, const char *id)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	err_set(&err, GRPC_STATUS_NOT_FOUND, "there is no such %s",
		strchr(t->cmd->name, ' ') + 1);
	out_error(t->out, id, &err);
	t->status = STATUS_SOME;
}

/* It may be where nobody could be asked. */
static int fail_unknown(struct task *t, struct err *err)
{
	const struct out_failure *f = out_failure(t->out, 0);

	t->answered = true;
	err_set(err, f->err.code,
		"not found, but not everybody could be asked: %s: %s",
		f->target, f->err.msg);
	return f->err.hint ? err_hint(err, "%s", f->err.hint) : -1;
}

int items_finish(struct task *t, const char *field, const char *kind,
		 struct err *err)
{
	bool was_complete = !out_errors(t->out);

	if (task_option(t, "dry-run") || !t->n_args)
		return 0;
	if (!out_count(t->out) && !was_complete)
		return fail_unknown(t, err);
	if (!out_count(t->out))
		return task_absent(t, err, "there is no such %s",
				   strchr(t->cmd->name, ' ') + 1);
	for (size_t i = 0; was_complete && i < t->n_args; i++)
		if (!out_has(t->out, field, t->args[i]))
			note_absent(t, t->args[i]);
	if (t->n_args == 1 && out_count(t->out) == 1)
		out_promote(t->out, kind);
	return 0;
}

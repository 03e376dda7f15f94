/* What commands on several objects share, and asking before they are gone. */

#include "cli/task.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/hints.h"
#include "cli/interrupt.h"
#include "cli/report.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

static bool is_same(const struct err *a, const struct err *b)
{
	return a->code == b->code && strcmp(a->msg, b->msg) == 0;
}

/* Whether every argument failed, and in the same way. */
static bool all_failed_alike(const struct task *t)
{
	const struct out_failure *first = out_failure(t->out, 0);

	if (out_errors(t->out) < t->n_args)
		return false;
	for (size_t i = 1; i < out_errors(t->out); i++)
		if (!is_same(&first->err, &out_failure(t->out, i)->err))
			return false;
	return true;
}

static int fail_once(struct task *t, struct err *err)
{
	const struct out_failure *f = out_failure(t->out, 0);

	err_set(err, f->err.code, "%s", f->err.msg);
	return f->err.hint ? err_hint(err, "%s", f->err.hint) : -1;
}

int task_each(struct task *t,
	      int (*fn)(struct task *t, const char *arg, struct err *err),
	      struct err *err)
{
	if (t->n_args == 1)
		return fn(t, t->args[0], err);
	for (size_t i = 0; i < t->n_args; i++) {
		CLEANUP(err_clear) struct err failure = ERR_INIT;

		if (fn(t, t->args[i], &failure) == 0)
			continue;
		hints_add(t, &failure);
		out_error(t->out, t->args[i], &failure);
	}
	if (!out_errors(t->out))
		return 0;
	if (all_failed_alike(t))
		return fail_once(t, err);
	t->status = STATUS_SOME;
	return 0;
}

const struct out_column task_result_columns[] = {
	{"name", "NAME", 0},
	{"result", "RESULT", 0},
	{0},
};

void task_results(struct task *t)
{
	out_list(t->out, "ResultList", "items");
}

void task_done(struct task *t, const char *name, const char *result)
{
	out_row(t->out);
	out_str(t->out, "name", name);
	out_str(t->out, "result", result);
	if (!task_option(t, "dry-run"))
		report_note(t, "%s %s", name, result);
}

int task_absent(struct task *t, struct err *err, const char *format, ...)
{
	va_list ap;

	t->answered = true;
	va_start(ap, format);
	err_vset(err, GRPC_STATUS_NOT_FOUND, format, ap);
	va_end(ap);
	return -1;
}

/* --- asking --- */

static bool can_ask(const struct task *t)
{
	return t->session->mode != SESSION_BATCH &&
	       !task_option(t, "no-input") && isatty(STDIN_FILENO) &&
	       isatty(STDERR_FILENO);
}

static bool is_agreed(const struct task *t)
{
	return task_option(t, "yes") || task_option(t, "dry-run");
}

bool task_asks(const struct task *t)
{
	return !is_agreed(t) && can_ask(t);
}

/* The answer to a question; false if there is none, or Ctrl-C. */
static bool is_yes(void)
{
	CLEANUP(cleanup_free) char *line = NULL;
	struct pollfd p[] = {{.fd = STDIN_FILENO, .events = POLLIN},
			     {.fd = interrupt_fd(), .events = POLLIN}};
	size_t size = 0;

	if (poll(p, 2, -1) == -1 || p[1].revents ||
	    getline(&line, &size, stdin) == -1)
		return false;
	line[strcspn(line, "\n")] = '\0';
	return strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0;
}

void task_extend(struct task *t, int64_t since)
{
	if (t->deadline)
		t->deadline += units_monotonic() - since;
}

int task_confirm(struct task *t, struct err *err, const char *format, ...)
{
	CLEANUP(cleanup_free) char *what = NULL;
	int64_t start;
	va_list ap;
	bool yes;

	if (is_agreed(t))
		return 0;
	va_start(ap, format);
	what = mem_vprintf(format, ap);
	va_end(ap);
	t->answered = false;
	if (!can_ask(t)) {
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"this would %s, and there is nobody to ask", what);
		return err_hint(err, "add --yes");
	}
	fprintf(stderr, "This will %s. Go ahead? [y/N] ", what);
	start = units_monotonic();
	yes = is_yes();
	task_extend(t, start);
	return yes ? 0
		   : err_set(err, GRPC_STATUS_CANCELLED, "nothing was done");
}

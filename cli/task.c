/* One command from its words to its exit status. */

#include "cli/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/hints.h"
#include "cli/interrupt.h"
#include "cli/report.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

void session_init(struct session *s)
{
	*s = (struct session){.mode = SESSION_ONCE, .arena = arena_new()};
	s->opts.arena = s->arena;
}

void session_clear(struct session *s)
{
	connection_clear(&s->connection);
	conf_free(s->conf);
	arena_free(s->arena);
}

void task_init(struct task *t, struct session *s)
{
	*t = (struct task){.session = s, .arena = arena_new()};
	t->opts.arena = t->arena;
}

void task_clear(struct task *t)
{
	out_free(t->out);
	out_free(t->plan);
	arena_free(t->arena);
}

/* --- parsing --- */

static const struct opt *const globals[] = {cmd_global_options, NULL};

/* The command, from the one or two words that name it. */
static int parse_command(struct task *t, const char *const **words,
			 struct err *err)
{
	const char *first = *(*words)++;
	const char *second = NULL;

	if (cmd_is_verb(first)) {
		if (opt_parse(globals, true, *words, &t->opts, words, err) ==
		    -1)
			return -1;
		t->verb = first;
		second = **words;
		*words += second != NULL;
	}
	t->cmd = cmd_find(first, second);
	if (t->cmd || (!second && task_option(t, "help")))
		return 0;
	return cmd_refuse(first, second, err);
}

int task_parse(struct task *t, const char *const *words, struct err *err)
{
	const struct opt *tables[3] = {cmd_global_options};

	if (opt_parse(globals, true, words, &t->opts, &words, err) == -1)
		return -1;
	if (!*words)
		return 0;
	if (parse_command(t, &words, err) == -1)
		return -1;
	if (t->cmd)
		tables[1] = t->cmd->options;
	if (opt_parse(tables, false, words, &t->opts, &t->args, err) == -1)
		return -1;
	while (t->args[t->n_args])
		t->n_args++;
	return 0;
}

static void warn_of_unknown(struct task *t, const struct conf *conf)
{
	for (const char *const *u = conf_unknown(conf); *u; u++)
		report_warning(t, "%s", *u);
}

static const char *config_path(const struct task *t)
{
	const char *path = task_option(t, "config");
	const char *variable = getenv("OIMCTL_CONFIG");

	return path ? path : variable && *variable ? variable : NULL;
}

int task_settle(struct task *t, struct err *err)
{
	struct session *s = t->session;

	if (!s->conf) {
		s->conf = settings_read(config_path(t), err);
		if (!s->conf)
			return -1;
		warn_of_unknown(t, s->conf);
	}
	return settings_resolve(&t->settings, s->conf, &s->opts, &t->opts,
				isatty(STDOUT_FILENO), err);
}

/* --- running --- */

/* Whether the command may be used here. */
static int check_mode(const struct task *t, struct err *err)
{
	bool is_once = t->session->mode == SESSION_ONCE;

	if (t->cmd->flags & CMD_SESSION && is_once) {
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"\"%s\" is for the shell and for batch files",
			t->cmd->name);
		return err_hint(err, "see \"oimctl help shell\"");
	}
	if (t->cmd->flags & CMD_ALONE && !is_once)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "\"%s\" cannot be used here", t->cmd->name);
	return 0;
}

static int prepare(struct task *t, struct err *err)
{
	if (cmd_check_count(t->cmd, t->n_args, err) == -1 ||
	    check_mode(t, err) == -1)
		return -1;
	if (t->cmd->flags & CMD_PLAIN)
		t->settings.style.format = OUT_TABLE;
	else if (task_settle(t, err) == -1)
		return -1;
	t->settings.style.compact = t->session->mode == SESSION_BATCH;
	t->out = out_new(&t->settings.style, t->cmd->columns, err);
	if (!t->out)
		return -1;
	if (t->settings.timeout)
		t->deadline = units_monotonic() + t->settings.timeout;
	return 0;
}

static bool is_shown(const struct task *t)
{
	enum out_format format = t->settings.style.format;

	return !(t->cmd->flags & CMD_QUIET) ||
	       (format != OUT_TABLE && format != OUT_WIDE);
}

static int print(struct task *t, struct err *err)
{
	t->answered = false;
	if (t->plan) {
		t->status = 0; /* there were no answers */
		return out_print(t->plan, stdout, err);
	}
	report_failures(t);
	return is_shown(t) ? out_print(t->out, stdout, err) : 0;
}

/* What is asked of oimctl itself. */
static int explain(struct task *t)
{
	CLEANUP(cleanup_free) char *text = NULL;
	bool is_asked = task_option(t, "help");

	if (task_option(t, "version")) {
		puts("oimctl " OIM_VERSION);
		return 0;
	}
	text = t->cmd    ? help_command(t->cmd)
	       : t->verb ? help_verb(t->verb)
			 : help_summary();
	if (!is_asked && !isatty(STDOUT_FILENO))
		t->status = STATUS_USAGE;
	fputs(text, t->status ? stderr : stdout);
	return 0;
}

static int run(struct task *t, const char *const *words, struct err *err)
{
	if (task_parse(t, words, err) == -1)
		return -1;
	if (!t->cmd || task_option(t, "help") || task_option(t, "version"))
		return explain(t);
	if (prepare(t, err) == -1 || t->cmd->run(t, err) == -1)
		return -1;
	return print(t, err);
}

/*
 * For errors in the words themselves, which leave the settings unread: what
 * output they ask for.
 */
static void guess_format(struct task *t, const char *const *words)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const char *format = opt_get(&t->session->opts, "output");

	if (t->settings.style.format)
		return;
	if (!format)
		format = getenv("OIMCTL_OUTPUT");
	for (; *words && strcmp(*words, "--") != 0; words++) {
		bool is_apart =
			!strcmp(*words, "-o") || !strcmp(*words, "--output");

		if (is_apart && words[1])
			format = words[1];
		else if (strncmp(*words, "--output=", 9) == 0)
			format = *words + 9;
		else if (strncmp(*words, "-o", 2) == 0 && !is_apart)
			format = *words + 2;
	}
	if (!format || out_parse_format(format, &t->settings.style, &err) == -1)
		t->settings.style.format = OUT_TABLE;
}

static int status_of(const struct task *t, const struct err *err)
{
	if (t->answered)
		return STATUS_GRPC + err->code;
	return err->code == GRPC_STATUS_INVALID_ARGUMENT ? STATUS_USAGE
							 : STATUS_LOCAL;
}

int task_run(struct session *s, const char *const *words)
{
	CLEANUP(task_clear) struct task t;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	int status;

	task_init(&t, s);
	if (run(&t, words, &err) == 0)
		return t.status;
	guess_format(&t, words);
	if (interrupt_take()) {
		err_clear(&err);
		err_set(&err, GRPC_STATUS_CANCELLED, "interrupted");
		report_error(&t, &err, STATUS_INTERRUPTED);
		return STATUS_INTERRUPTED;
	}
	status = status_of(&t, &err);
	hints_add(&t, &err);
	report_error(&t, &err, status);
	return status;
}

/* Sessions: the shell and batch files; the commands use, on and quit. */

#include "cli/session.h"

#include <string.h>

#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/report.h"
#include "cli/words.h"
#include "proto/lib/cleanup.h"

static const struct opt *const globals[] = {cmd_global_options, NULL};

/* Not those that are about one command. */
static bool is_lasting(const char *name)
{
	static const char *const excepted[] = {"help", "version", "columns",
					       "sort", "selector"};

	for (size_t i = 0; i < sizeof(excepted) / sizeof(*excepted); i++)
		if (strcmp(excepted[i], name) == 0)
			return false;
	return opt_find(globals, name);
}

void session_adopt(struct session *s, const struct opt_values *opts)
{
	for (size_t i = 0; i < opts->n; i++)
		if (is_lasting(opts->items[i].opt->name))
			opt_set(&s->opts, opts->items[i].opt,
				opts->items[i].value);
}

struct opt_values session_save(struct session *s)
{
	struct opt_values saved = s->opts;

	if (saved.n)
		s->opts.items = arena_dup(s->arena, saved.items,
					  saved.n * sizeof(*saved.items));
	return saved;
}

void session_restore(struct session *s, const struct opt_values *saved)
{
	s->opts = *saved;
}

/* --- changing --- */

/* Whether all settings are good as they are now. */
static int check(struct task *t, struct err *err)
{
	struct opt_values none = {.arena = t->arena};
	struct settings settings;

	return settings_resolve(&settings, t->session->conf, &t->session->opts,
				&none, false, err);
}

static void put(struct session *s, enum setting which, const char *value)
{
	opt_set(&s->opts, opt_find(globals, settings_name(which)), value);
}

int session_set(struct task *t, enum setting which, const char *value,
		struct err *err)
{
	struct opt_values saved = session_save(t->session);

	put(t->session, which, value);
	if (check(t, err) == 0)
		return 0;
	session_restore(t->session, &saved);
	return -1;
}

/* A context replaces all that was said of a server before. */
static int run_use(struct task *t, struct err *err)
{
	static const enum setting places[] = {
		SETTING_SERVER,    SETTING_CONTROLLER, SETTING_CACERT,
		SETTING_CERT,      SETTING_KEY,        SETTING_TLS_NAME,
		SETTING_PLAINTEXT, SETTING_DIALECT,
	};
	const char *context = t->n_args ? t->args[0] : NULL;

	if (session_set(t, SETTING_CONTEXT, context, err) == -1)
		return -1;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		put(t->session, places[i], NULL);
	return 0;
}

static int run_on(struct task *t, struct err *err)
{
	return session_set(t, SETTING_CONTROLLER, t->n_args ? t->args[0] : NULL,
			   err);
}

static int run_quit(struct task *t, struct err *err)
{
	(void)err;
	t->session->is_ended = true;
	return 0;
}

/* --- running --- */

static int refuse_line(struct session *s, const struct err *err)
{
	CLEANUP(task_clear) struct task t;

	task_init(&t, s);
	report_error(&t, err, STATUS_USAGE);
	return STATUS_USAGE;
}

int session_run_line(struct session *s, const char *line)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	const char *const *words = words_split(line, a, &err);

	if (!words)
		return refuse_line(s, &err);
	/* Lines are copied from manuals. */
	if (*words && strcmp(*words, "oimctl") == 0)
		words++;
	return *words ? task_run(s, words) : 0;
}

const struct cmd cmds_session[] = {
	{
		.name = "use",
		.args = "[CONTEXT]",
		.help = "use a context from here on, or none",
		.flags = CMD_SESSION,
		.run = run_use,
		.complete = complete_contexts,
	},
	{
		.name = "on",
		.args = "[CONTROLLER]",
		.help = "mean a controller from here on, or none",
		.flags = CMD_SESSION,
		.run = run_on,
		.complete = complete_controllers,
	},
	{
		.name = "quit",
		.help = "end the shell or the batch file",
		.flags = CMD_SESSION,
		.run = run_quit,
	},
	{0},
};

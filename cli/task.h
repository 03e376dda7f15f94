#ifndef OIM_TASK_H
#define OIM_TASK_H

/*
 * A session lasts as long as the program and holds what commands share: the
 * configuration, what use, on and set have changed, the connection. A task is
 * one command as it was given, from its words to its exit status.
 *
 * Both belong to the thread that made them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/cmd.h"
#include "cli/connection.h"
#include "cli/opt.h"
#include "cli/out.h"
#include "cli/settings.h"
#include "proto/lib/arena.h"
#include "proto/lib/conf.h"
#include "proto/lib/err.h"

/* Exit statuses (ux: Exit status). */
enum {
	STATUS_LOCAL = 1,
	STATUS_USAGE = 2,
	STATUS_NO = 3,   /* the answer is "no" */
	STATUS_SOME = 4, /* some of several items failed */
	STATUS_GRPC = 64,
	STATUS_INTERRUPTED = 130,
};

enum session_mode {
	SESSION_ONCE = 1,
	SESSION_BATCH,
	SESSION_SHELL,
};

struct session {
	enum session_mode mode;
	const char *place; /* "FILE:12" in a batch file, else NULL */
	bool is_ended;     /* quit was said */
	bool keeps_stdin;  /* stdin is the batch file */
	struct arena *arena;
	struct opt_values opts; /* that hold for all commands */
	struct conf *conf;      /* NULL until it is needed */
	struct connection connection;
};

void session_init(struct session *s);
void session_clear(struct session *s);

struct task {
	struct session *session;
	struct arena *arena;
	const struct cmd *cmd;
	const char *verb; /* the first word, if commands of two begin so */
	const char *const *args; /* NULL-terminated */
	size_t n_args;
	struct opt_values opts;
	struct settings settings;
	int64_t deadline; /* of CLOCK_MONOTONIC, ns; 0: none */
	struct out *out;
	struct out *plan; /* what --dry-run would have sent, or NULL */
	bool is_silent;   /* nothing is said on stderr */
	bool answered;    /* an error comes from the server, or the way to it */
	int status;       /* if all went well but not to the end */
};

/* Runs a command: the words after "oimctl". Returns the exit status. */
int task_run(struct session *s, const char *const *words);

/*
 * The steps of task_run() for completion: init, then parse as far as the words
 * go and settings.
 */
void task_init(struct task *t, struct session *s);
void task_clear(struct task *t);
int task_parse(struct task *t, const char *const *words, struct err *err);
int task_settle(struct task *t, struct err *err);

/* The value of an option of this command or of the session, or NULL. */
static inline const char *task_option(const struct task *t, const char *name)
{
	const char *value = opt_get(&t->opts, name);

	return value ? value : opt_get(&t->session->opts, name);
}

/* The controller that the command is meant for, or NULL. */
static inline const char *task_controller(const struct task *t)
{
	return settings_get(&t->settings, SETTING_CONTROLLER);
}

/*
 * Runs fn for each argument. The error of a single one is that of the command.
 * Of several, those that fail are noted as such and the exit status is
 * STATUS_SOME; but if all fail in the same way, that is said once.
 */
int task_each(struct task *t,
	      int (*fn)(struct task *t, const char *arg, struct err *err),
	      struct err *err);

/* For commands that change things: a list of what was done to what. */
extern const struct out_column task_result_columns[];
void task_results(struct task *t);

/* A row that says what was done to what; with -v on stderr too. */
void task_done(struct task *t, const char *name, const char *result);

/* NOT_FOUND as if a server had said so. */
int task_absent(struct task *t, struct err *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * For what destroys something: 0 if it may go ahead. On a terminal the line is
 * shown and the user asked; where nobody can be asked, INVALID_ARGUMENT.
 */
int task_confirm(struct task *t, struct err *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Whether task_confirm() would ask. */
bool task_asks(const struct task *t);

/* What the user has taken since then (CLOCK_MONOTONIC) is not ours. */
void task_extend(struct task *t, int64_t since);

#endif

#ifndef OIM_CMD_H
#define OIM_CMD_H

/*
 * The commands, as one table: command line, shell, batch files, help,
 * completion and the check of the manual page all use it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "cli/opt.h"
#include "cli/out.h"
#include "proto/lib/err.h"

struct complete;
struct task;

struct cmd {
	const char *name; /* one or two words: "map", "list bdevs" */
	/*
	 * What follows, as help prints it. It also says how many there may be:
	 * "[...]" are optional, "..." may be repeated.
	 */
	const char *args;
	const char *help; /* one line */
	const char *more; /* sentences and examples for its --help, or NULL */
	unsigned flags;
	const struct opt *options;        /* or NULL */
	const struct out_column *columns; /* or NULL: no table */
	/*
	 * Checks what it was given, asks servers and describes the answer to
	 * task->out. Never prints.
	 */
	int (*run)(struct task *t, struct err *err);
	void (*complete)(struct complete *c); /* its arguments; may be NULL */
	const char *verify; /* command that tells whether a call that was not
			       answered in time has been done, or NULL */
};
#define CMD_HIDDEN  1u  /* in no help */
#define CMD_SESSION 2u  /* in the shell and in batch files only */
#define CMD_ALONE   4u  /* from the command line only */
#define CMD_QUIET   8u  /* nothing is printed as a table */
#define CMD_PLAIN   16u /* needs no settings: bad ones do not matter */

/* Groups, each ended by a command without a name; and all of them. */
extern const struct cmd cmds_registry[], cmds_controllers[], cmds_values[],
	cmds_map[], cmds_mappings[], cmds_bdevs[], cmds_status[], cmds_events[],
	cmds_wait[], cmds_call[], cmds_session[], cmds_shell[], cmds_batch[],
	cmds_config[], cmds_help[], cmds_completion[];
extern const struct cmd *const cmd_groups[]; /* NULL-terminated */

/* For each of all commands. */
#define CMD_EACH(c)                                                            \
	for (const struct cmd *const *group_ = cmd_groups; *group_; group_++)  \
		for (const struct cmd *c = *group_; (c)->name; (c)++)

/* Options that every command takes. */
extern const struct opt cmd_global_options[];

/*
 * The command of these one or two words; aliases, singular and plural count.
 * second may be NULL. NULL if there is none.
 */
const struct cmd *cmd_find(const char *first, const char *second);

/* Whether commands of two words begin with this one. */
bool cmd_is_verb(const char *first);

/* Whether this one does; aliases count. */
bool cmd_is_first(const struct cmd *cmd, const char *first);

/*
 * INVALID_ARGUMENT that names the nearest command; second may be NULL: a verb
 * alone.
 */
int cmd_refuse(const char *first, const char *second, struct err *err);

/* Whether the command can have that many arguments, and perhaps more. */
bool cmd_wants(const struct cmd *cmd, size_t n);

/* INVALID_ARGUMENT unless the command takes that many arguments. */
int cmd_check_count(const struct cmd *cmd, size_t n, struct err *err);

#endif

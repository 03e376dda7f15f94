#ifndef OIM_HELP_H
#define OIM_HELP_H

/*
 * Help, made from the table of commands. The callers free the texts.
 */

struct cmd;

/* What oimctl without arguments prints: 20 lines. */
char *help_summary(void);
char *help_command(const struct cmd *cmd);
/* The commands that begin with that word. */
char *help_verb(const char *verb);
/* The global options. */
char *help_options(void);

#endif

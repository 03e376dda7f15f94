#ifndef OIM_HISTORY_H
#define OIM_HISTORY_H

/*
 * The shell's history: in readline, and in $XDG_STATE_HOME/oim/history, which
 * only its owner can read. Lines that begin with a space and requests with
 * secrets stay out of both.
 */

struct session;

/* Reads the file. Without a home there is a history in memory only. */
void history_open(void);
void history_close(void);

/* Keeps a line, at once also in the file. */
void history_keep(struct session *s, const char *line);

/* All lines, numbered. The caller frees it. */
char *history_text(void);

#endif

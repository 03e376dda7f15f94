#ifndef OIM_COMPLETE_H
#define OIM_COMPLETE_H

/*
 * What may come next on a command line: for the shell's tab key and for bash.
 * Values are asked of the server, for a quarter of a second at most; whatever
 * goes wrong is silent.
 */

#include <stdbool.h>
#include <stddef.h>

struct complete;
struct session;
struct task;

#define COMPLETE_MAX 500 /* answers */

/*
 * The words before the cursor; the last one is what is being typed, and may be
 * empty. Returns the answers, NULL-terminated; the caller frees each and the
 * array.
 */
char **complete_words(struct session *s, const char *const *words);

/* Adds an answer if it begins with what is typed. */
void complete_add(struct complete *c, const char *answer);

/* What is known of the command so far: arguments before the one being typed. */
struct task *complete_task(struct complete *c);

/* Values of options and arguments, for the tables of commands. */
void complete_controllers(struct complete *c);
void complete_mappings(struct complete *c);
void complete_bdevs(struct complete *c);
void complete_values(struct complete *c);
void complete_methods(struct complete *c);
void complete_services(struct complete *c);
void complete_contexts(struct complete *c);
void complete_columns(struct complete *c);
void complete_formats(struct complete *c);
void complete_colors(struct complete *c);
void complete_dialects(struct complete *c);
void complete_commands(struct complete *c);
void complete_files(struct complete *c);
void complete_shells(struct complete *c);

#endif

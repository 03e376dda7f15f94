#ifndef OIM_WORDS_H
#define OIM_WORDS_H

/*
 * Lines of the shell and of batch files as words: separated by blanks; 'single'
 * quotes keep everything, "double" ones all but \" and \\, a backslash keeps
 * the next character; # begins a comment where a word would begin.
 */

#include <stdbool.h>
#include <stddef.h>

#include "proto/lib/arena.h"
#include "proto/lib/err.h"

/*
 * The words, NULL-terminated, in the arena. A quote that is not closed, or a
 * backslash with nothing behind it, is INVALID_ARGUMENT.
 */
const char *const *words_split(const char *line, struct arena *a,
			       struct err *err);

/*
 * The words of a line that is being typed: the last one is the one at its end,
 * perhaps empty. Whatever is not closed is taken as it is.
 */
const char *const *words_typed(const char *line, size_t size, struct arena *a);

/* Whether the next line belongs to it: it ends in a backslash that counts. */
bool words_continue(const char *line);

/* A word so that it can stand in a line. The caller frees it. */
char *words_quote(const char *word);

#endif

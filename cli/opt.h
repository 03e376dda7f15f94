#ifndef OIM_OPT_H
#define OIM_OPT_H

/*
 * Options as data: tables of them say what popt accepts, what help prints and
 * what completion offers. Values go into a struct opt_values, never into
 * variables of the tables, so that a command can run many times.
 */

#include <stdbool.h>
#include <stddef.h>

#include "proto/lib/arena.h"
#include "proto/lib/err.h"

struct complete;

struct opt {
	const char *name; /* without dashes; NULL ends the table */
	char letter;      /* 0: it has none */
	const char *arg;  /* what its value is called; NULL: a switch */
	const char *help;
	unsigned flags;
	void (*complete)(struct complete *c); /* its values; may be NULL */
};
#define OPT_LIST 1u /* may be given again: the values are joined by commas */

/* What was given. The strings are in the arena. */
struct opt_values {
	struct arena *arena;
	struct opt_value {
		const struct opt *opt;
		const char *value;
	} * items;
	size_t n;
};

/* The value given last, "yes" for a switch; NULL if it was not given. */
const char *opt_get(const struct opt_values *values, const char *name);

/* Sets a value as if it had been given; a NULL value takes it back. */
void opt_set(struct opt_values *values, const struct opt *opt,
	     const char *value);

/* NULL if no table of the NULL-terminated list has it. */
const struct opt *opt_find(const struct opt *const *tables, const char *name);

/*
 * Takes options of the tables out of the words: with leading those before the
 * first other word only, else all up to "--". *rest gets the words that are
 * left, in the arena. INVALID_ARGUMENT with the nearest option as hint.
 */
int opt_parse(const struct opt *const *tables, bool leading,
	      const char *const *words, struct opt_values *values,
	      const char *const **rest, struct err *err);

#endif

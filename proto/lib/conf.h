#ifndef OIM_CONF_H
#define OIM_CONF_H

/*
 * Configuration in INI files with drop-ins, for both programs: "[section]" and
 * "[section "name"]", "key = value", comments on lines of their own that begin
 * with "#" or ";".
 *
 * The names of sections and keys may be written in any case (as git does),
 * names in quotes may not. A section comes once in a file.
 *
 * Sources are read one after the other and a later one wins. A key that may be
 * given several times is a list: within one source its values add up; a later
 * source's list replaces an earlier one's; an empty value empties it. All that
 * was set with conf_set() is one source.
 *
 * After reading, a struct conf does not change; any thread may read it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/lib/err.h"

/* One key that a program knows; the table ends with section NULL. */
struct conf_key {
	const char *section;
	const char *key;
	unsigned flags;
	const char *help; /* one line, for --print-config and manual pages */
};
#define CONF_NAMED 1u /* belongs to [section "name"], not to [section] */
#define CONF_LIST  2u

struct conf;

struct conf *conf_new(const struct conf_key *known);
void conf_free(struct conf *c);
static inline void cleanup_conf(struct conf **c)
{
	conf_free(*c);
}

/*
 * Reads a file as the next source. A file that is absent is an error
 * (NOT_FOUND); an empty one is not. Syntax errors are INVALID_ARGUMENT with
 * "file:line".
 */
int conf_read(struct conf *c, const char *path, struct err *err);

/*
 * Reads what ends in .conf and does not begin with a dot in that directory,
 * each file a source, in the order of their names. No such directory: 0.
 */
int conf_read_dir(struct conf *c, const char *dir, struct err *err);

/*
 * "SECTION.KEY=VALUE", or "SECTION.NAME.KEY=VALUE" for [SECTION "NAME"]: the
 * first and the last dot before "=" separate, as in git. An unknown key is
 * INVALID_ARGUMENT with the nearest known one as hint.
 */
int conf_set(struct conf *c, const char *assignment, struct err *err);

/*
 * Keys in files that the table does not have, as "file:line: unknown key
 * "x" in [section]", and empty sections, as "file: unknown section [x]";
 * returned as a NULL-terminated array that the conf owns.
 */
const char *const *conf_unknown(const struct conf *c);

/* The value, or NULL if it is not set or empty. name is NULL for [section]. */
const char *conf_get(const struct conf *c, const char *section,
		     const char *name, const char *key);

/* The values of a list, NULL-terminated, never NULL; the conf owns them. */
const char *const *conf_list(const struct conf *c, const char *section,
			     const char *name, const char *key);

/* The names of all [section "name"], sorted and NULL-terminated, likewise. */
const char *const *conf_names(const struct conf *c, const char *section);

/* "file:line" or "--set" of the value that conf_get() returns, or NULL. */
const char *conf_origin(const struct conf *c, const char *section,
			const char *name, const char *key);

/*
 * Typed values: *value keeps what it is (the default) if the key is not set. A
 * bad value is INVALID_ARGUMENT with the key and its origin.
 */
int conf_get_bool(const struct conf *c, const char *section, const char *name,
		  const char *key, bool *value, struct err *err);
int conf_get_size(const struct conf *c, const char *section, const char *name,
		  const char *key, uint64_t *bytes, struct err *err);
int conf_get_duration(const struct conf *c, const char *section,
		      const char *name, const char *key, int64_t *ns,
		      struct err *err);
int conf_get_number(const struct conf *c, const char *section, const char *name,
		    const char *key, uint64_t min, uint64_t max,
		    uint64_t *value, struct err *err);

/* Calls fn for each value that is set, by section, name, key, and order. */
void conf_each(const struct conf *c,
	       void (*fn)(void *arg, const char *section, const char *name,
			  const char *key, const char *value,
			  const char *origin),
	       void *arg);

#endif

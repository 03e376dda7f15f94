#ifndef OIM_DIALECT_H
#define OIM_DIALECT_H

/*
 * The registry as its servers know it: oim.admin.v1 and both APIs of oim.v0
 * (ours), RegisterController and GetControllers only (the specification), or
 * SetValue and GetValues only (its later revision). What a server answers with
 * UNIMPLEMENTED is tried in another way, unless --dialect says which.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/task.h"
#include "proto/lib/err.h"

struct entry {
	const char *id;
	const char *address; /* empty: not registered */
	bool here;           /* a controller of the daemon that answers */
	const char *plane;   /* empty: unknown */
	const char *state;   /* "static", "ready", "lost"; empty: unknown */
	int64_t since;       /* of "lost", in ns since 1970 */
	int64_t ttl;         /* seconds; 0: none, or unknown */
	const char *problem;
};

struct value {
	const char *path;
	const char *value;
};

/* All controllers that the server knows, by id, in the task's arena. */
int dialect_entries(struct task *t, struct entry **entries, size_t *n,
		    struct err *err);

/* An empty address removes the entry. */
int dialect_register(struct task *t, const char *id, const char *address,
		     struct err *err);

/* What is at the path and below, by path; all if it is empty. */
int dialect_values(struct task *t, const char *path, struct value **values,
		   size_t *n, struct err *err);

/* An empty value removes it. */
int dialect_set(struct task *t, const char *path, const char *value,
		struct err *err);

#endif

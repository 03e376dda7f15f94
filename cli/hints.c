/* What to do about errors. */

#include "cli/hints.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/dialect.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/nearest.h"
#include "proto/lib/units.h"

#define HINT_TIME (UNITS_SECOND / 4)
#define MAX_IDS   8

/* Ids that may have been meant: the nearest first, then others. */
static char *list_ids(const struct entry *entries, size_t n, const char *id)
{
	CLEANUP(cleanup_free)
	const char **ids = mem_zalloc(n + 1, sizeof(*ids));
	const char *nearest;
	char *text = NULL;
	size_t size, shown = 0;
	FILE *file;

	for (size_t i = 0; i < n; i++)
		ids[i] = entries[i].id;
	nearest = nearest_find(id, ids);
	file = open_memstream(&text, &size);
	if (nearest) {
		fputs(nearest, file);
		shown++;
	}
	for (size_t i = 0; i < n && shown < MAX_IDS; i++)
		if (ids[i] != nearest)
			fprintf(file, "%s%s", shown++ ? ", " : "", ids[i]);
	if (shown < n)
		fprintf(file, ", and %zu more", n - shown);
	fclose(file);
	return text;
}

/* The registered controllers as text; NULL if that cannot be found out. */
static char *registered_ids(struct task *t, const char *id)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct task aside = *t;
	struct entry *entries;
	size_t n;

	aside.deadline = units_monotonic() + HINT_TIME;
	aside.settings.trace = false;
	if (dialect_entries(&aside, &entries, &n, &err) == -1)
		return NULL;
	return n ? list_ids(entries, n, id) : mem_strdup("none");
}

static void explain_unregistered(struct task *t, const char *id,
				 struct err *err)
{
	CLEANUP(cleanup_free) char *ids = registered_ids(t, id);

	free(err->msg);
	err->msg = mem_printf("controller \"%s\" is not registered", id);
	if (ids)
		err_hint(
			err,
			"registered controllers: %s; register it with \"oimctl register %s ADDRESS\"",
			ids, id);
	else
		err_hint(err, "register it with \"oimctl register %s ADDRESS\"",
			 id);
}

static bool is_unregistered(const struct err *err, const char *id)
{
	size_t size = strlen(id);

	return err->code == GRPC_STATUS_UNAVAILABLE &&
	       strncmp(err->msg, id, size) == 0 &&
	       strcmp(err->msg + size, ": not registered") == 0;
}

/* No controller was named, and the server needs to know. */
static void hint_controller(struct task *t, struct err *err)
{
	CLEANUP(cleanup_free) char *ids = registered_ids(t, "");

	err_hint(err, "say with --controller which one%s%s",
		 ids ? "; registered: " : "", ids ? ids : "");
}

void hints_add(struct task *t, struct err *err)
{
	const char *id = task_controller(t);

	if (t->is_silent || !t->answered || err->hint)
		return;
	if (id && is_unregistered(err, id))
		explain_unregistered(t, id, err);
	else if (!id && strstr(err->msg, "\"controllerid\" is missing"))
		hint_controller(t, err);
	else if (err->code == GRPC_STATUS_DEADLINE_EXCEEDED && t->cmd->verify)
		err_hint(
			err,
			"the operation may still complete; check with \"oimctl %s\"",
			t->cmd->verify);
	else if (strstr(err->msg, "expected \""))
		err_hint(err, "--tls-name says who the server must be");
	else if (err->code == GRPC_STATUS_UNIMPLEMENTED)
		err_hint(
			err,
			"the server does not know this call; \"oimctl version\" shows what it is");
}

/* Values for completion: what there is to choose from. */

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/call.h"
#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/complete_task.h"
#include "cli/dialect.h"
#include "cli/everywhere.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/descriptors.h"
#include "proto/lib/mem.h"

static void add_all(struct complete *c, const char *const *words)
{
	for (; *words; words++)
		complete_add(c, *words);
}

/* What is an argument already is not offered again. */
static void add_new(struct complete *c, const char *answer)
{
	for (size_t i = 0; i < c->task.n_args; i++)
		if (strcmp(c->args[i], answer) == 0)
			return;
	complete_add(c, answer);
}

/* --- asked of the server --- */

void complete_controllers(struct complete *c)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct entry *entries;
	size_t n;

	if (!c->is_settled ||
	    dialect_entries(&c->task, &entries, &n, &err) == -1)
		return;
	for (size_t i = 0; i < n; i++)
		add_new(c, entries[i].id);
}

/* The task is the first member of what is completed. */
static struct complete *complete_of(struct task *t)
{
	return (struct complete *)t;
}

static void add_mappings(struct task *t, const void *reply)
{
	const Oim__Admin__V1__ListMappingsReply *r = reply;

	for (size_t i = 0; i < r->n_mappings; i++)
		add_new(complete_of(t), r->mappings[i]->volume_id);
}

void complete_mappings(struct complete *c)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (c->is_settled)
		everywhere_ask(&c->task, &everywhere_mappings, add_mappings,
			       &err);
}

static void add_bdevs(struct task *t, const void *reply)
{
	const Oim__Admin__V1__ListBDevsReply *r = reply;

	for (size_t i = 0; i < r->n_bdevs; i++)
		add_new(complete_of(t), r->bdevs[i]->name);
}

void complete_bdevs(struct complete *c)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (c->is_settled)
		everywhere_ask(&c->task, &everywhere_bdevs, add_bdevs, &err);
}

void complete_values(struct complete *c)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct value *values;
	size_t n;

	if (!c->is_settled ||
	    dialect_values(&c->task, "", &values, &n, &err) == -1)
		return;
	for (size_t i = 0; i < n; i++)
		add_new(c, values[i].path);
}

/* --- known here --- */

void complete_methods(struct complete *c)
{
	add_all(c, call_methods(c->task.arena));
}

void complete_services(struct complete *c)
{
	for (const ProtobufCServiceDescriptor *const *s = descriptors_services;
	     *s; s++)
		add_new(c, (*s)->name);
}

void complete_contexts(struct complete *c)
{
	if (c->task.session->conf)
		add_all(c, conf_names(c->task.session->conf, "context"));
}

void complete_columns(struct complete *c)
{
	const struct cmd *cmd = c->task.cmd;

	for (const struct out_column *o = cmd ? cmd->columns : NULL;
	     o && o->field; o++)
		complete_add(c, o->field);
}

void complete_formats(struct complete *c)
{
	static const char *const formats[] = {
		"table", "wide", "json", "yaml", "name", "value=/", NULL};

	add_all(c, formats);
}

void complete_colors(struct complete *c)
{
	static const char *const colors[] = {"auto", "always", "never", NULL};

	add_all(c, colors);
}

void complete_dialects(struct complete *c)
{
	static const char *const dialects[] = {"auto", "v0", "values", NULL};

	add_all(c, dialects);
}

void complete_shells(struct complete *c)
{
	complete_add(c, "bash");
}

/* The next word of commands; "help" has them as arguments. */
void complete_commands(struct complete *c)
{
	const char *first = c->task.cmd ? c->args[0] : c->first;

	CMD_EACH(cmd)
	{
		size_t size = strcspn(cmd->name, " ");

		if (cmd->flags & CMD_HIDDEN)
			continue;
		if (!first)
			complete_add(c,
				     arena_dup(c->task.arena, cmd->name, size));
		else if (cmd->name[size] && cmd_is_first(cmd, first))
			complete_add(c, cmd->name + size + 1);
	}
}

/* Files and folders, these with a slash. */
void complete_files(struct complete *c)
{
	CLEANUP(cleanup_dir) DIR *dir = NULL;
	const char *slash = strrchr(c->typed, '/');
	size_t size = slash ? (size_t)(slash + 1 - c->typed) : 0;
	const char *folder = arena_dup(c->task.arena, c->typed, size);
	const struct dirent *e;

	dir = opendir(*folder ? folder : ".");
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			complete_add(c, arena_printf(c->task.arena, "%s%s%s",
						     folder, e->d_name,
						     e->d_type == DT_DIR ? "/"
									 : ""));
}

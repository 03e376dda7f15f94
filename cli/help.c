/* Help texts, from the table of commands; the commands help and version. */

#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/task.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "oim/v0/oim.pb-c.h"
#include "proto/lib/cleanup.h"

/* --- texts --- */

char *help_summary(void)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	fputs("usage: oimctl [GLOBAL]... COMMAND [OPTION]... [ARG]...\n"
	      "\n"
	      "Manages storage of OIM: controllers, and the volumes that they make\n"
	      "appear as local disks.\n"
	      "\n",
	      file);
	fputs("  oimctl status                     how things are, and what to do next\n"
	      "  oimctl register ID ADDRESS        tell the registry of a controller\n"
	      "  oimctl provision vol1 64M         create a volume in memory\n"
	      "  oimctl map vol1                   make it a disk, and print where it is\n"
	      "  oimctl unmap vol1                 remove the disk, keep the data\n"
	      "  oimctl list controllers           also: mappings, bdevs\n"
	      "\n",
	      file);
	fputs("oimctl help              all commands\n"
	      "oimctl help COMMAND      one of them\n"
	      "oimctl help options      options that all commands take\n"
	      "oimctl shell             the same commands, with a prompt\n"
	      "man oimctl               everything\n",
	      file);
	fclose(file);
	return text;
}

/* "-o, --output FMT"; the caller prints what it means. */
static void print_option(FILE *file, const struct opt *o)
{
	char name[64];

	snprintf(name, sizeof(name), "--%s%s%s", o->name, o->arg ? " " : "",
		 o->arg ? o->arg : "");
	if (o->letter)
		fprintf(file, "  -%c, ", o->letter);
	else
		fputs("      ", file);
	fprintf(file, "%-20s %s\n", name, o->help);
}

static void print_options(FILE *file, const struct opt *options)
{
	for (const struct opt *o = options; o && o->name; o++)
		print_option(file, o);
}

char *help_command(const struct cmd *cmd)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	fprintf(file, "usage: oimctl %s%s%s%s\n\n", cmd->name,
		cmd->options ? " [OPTION]..." : "", cmd->args ? " " : "",
		cmd->args ? cmd->args : "");
	fprintf(file, "%s\n", cmd->help);
	if (cmd->more)
		fprintf(file, "\n%s", cmd->more);
	if (cmd->options)
		putc('\n', file);
	print_options(file, cmd->options);
	fputs("\nAll commands take the options of \"oimctl help options\"; see oimctl(1).\n",
	      file);
	fclose(file);
	return text;
}

static void print_command(FILE *file, const struct cmd *c)
{
	char usage[64];

	snprintf(usage, sizeof(usage), "%s%s%s", c->name, c->args ? " " : "",
		 c->args ? c->args : "");
	fprintf(file, "  %-28s %s\n", usage, c->help);
}

/* All commands, or those that begin with the verb. */
static char *list_commands(const char *verb)
{
	char *text = NULL;
	size_t size, n = verb ? strlen(verb) : 0;
	FILE *file = open_memstream(&text, &size);

	CMD_EACH(c)
	{
		if (!(c->flags & CMD_HIDDEN) &&
		    (!verb ||
		     (strncmp(c->name, verb, n) == 0 && c->name[n] == ' ')))
			print_command(file, c);
	}
	fclose(file);
	return text;
}

char *help_verb(const char *verb)
{
	return list_commands(verb);
}

char *help_options(void)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	print_options(file, cmd_global_options);
	fclose(file);
	return text;
}

/* --- help --- */

static char *help_of(const char *first, const char *second, struct err *err)
{
	const struct cmd *c;

	if (!first)
		return list_commands(NULL);
	if (strcmp(first, "options") == 0)
		return help_options();
	c = cmd_find(first, second);
	if (c)
		return help_command(c);
	if (!second && cmd_is_verb(first))
		return help_verb(first);
	cmd_refuse(first, second, err);
	return NULL;
}

static int run_help(struct task *t, struct err *err)
{
	const char *first = t->n_args ? t->args[0] : NULL;
	const char *second = t->n_args > 1 ? t->args[1] : NULL;
	CLEANUP(cleanup_free) char *text = help_of(first, second, err);

	if (!text)
		return -1;
	out_text(t->out, text);
	return 0;
}

/* --- version --- */

/* What the server says it is; "" if it is one that does not. */
static int ask_version(struct task *t, const char **version, struct err *err)
{
	const Oim__Admin__V1__GetStatusReply *r = ask_status(t, NULL, err);

	*version = r ? r->version : "";
	if (!r && err->code != GRPC_STATUS_UNIMPLEMENTED &&
	    err->code != GRPC_STATUS_PERMISSION_DENIED)
		return -1;
	err_clear(err);
	return 0;
}

/* Which revision of the registry's API it speaks. */
static int ask_dialect(struct task *t, const char **dialect, struct err *err)
{
	Oim__V0__GetValuesRequest request = OIM__V0__GET_VALUES_REQUEST__INIT;
	const struct ask what = {
		.method = "/oim.v0.Registry/GetValues",
		.request = &request.base,
		.reply = &oim__v0__get_values_reply__descriptor,
	};
	bool answers;

	/* A path that is short to answer. */
	request.path = (char *)"-";
	answers = ask(t, &what, err);
	*dialect = answers ? "values" : "v0";
	if (!answers && err->code != GRPC_STATUS_UNIMPLEMENTED)
		return -1;
	err_clear(err);
	return 0;
}

static int run_version(struct task *t, struct err *err)
{
	const char *version, *dialect;

	out_object(t->out, "Version");
	out_str(t->out, "client", OIM_VERSION);
	if (task_option(t, "client"))
		return 0;
	if (ask_version(t, &version, err) == -1 ||
	    ask_dialect(t, &dialect, err) == -1)
		return -1;
	out_str(t->out, "server", version);
	out_str(t->out, "dialect", dialect);
	return 0;
}

static const struct opt version_options[] = {
	{"client", 0, NULL, "only that of oimctl; asks no server", 0, NULL},
	{0},
};

static const struct out_column version_columns[] = {
	{"client", "OIMCTL", 0},
	{"server", "SERVER", 0},
	{"dialect", "DIALECT", 0},
	{0},
};

const struct cmd cmds_help[] = {
	{
		.name = "version",
		.help = "print the versions of oimctl and of the server",
		.options = version_options,
		.columns = version_columns,
		.run = run_version,
	},
	{
		.name = "help",
		.args = "[COMMAND...]",
		.help = "explain oimctl, or a command of it",
		.more = "  oimctl help map\n"
			"  oimctl help options\n",
		.flags = CMD_PLAIN,
		.run = run_help,
		.complete = complete_commands,
	},
	{0},
};

/* Finding commands in the table, and what every command takes. */

#include "cli/cmd.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/complete.h"
#include "proto/lib/nearest.h"

#define MAX_COMMANDS 128

const struct cmd *const cmd_groups[] = {
	cmds_registry,
	cmds_map,
	cmds_bdevs,
	cmds_mappings,
	cmds_controllers,
	cmds_values,
	cmds_status,
	cmds_events,
	cmds_wait,
	cmds_call,
	cmds_shell,
	cmds_batch,
	cmds_session,
	cmds_config,
	cmds_help,
	cmds_completion,
	NULL,
};

const struct opt cmd_global_options[] = {
	{"context", 'c', "NAME", "named target from the configuration", 0,
	 complete_contexts},
	{"server", 's', "ADDR",
	 "/path, unix:/path, host:port or dns:///host:port", 0, NULL},
	{"controller", 'C', "ID", "the controller that the call is meant for",
	 0, complete_controllers},
	{"cacert", 0, "FILE", "certificate authority, for TCP", 0, NULL},
	{"cert", 0, "FILE", "own certificate, for TCP", 0, NULL},
	{"key", 0, "FILE", "key of the certificate, for TCP", 0, NULL},
	{"tls-name", 0, "NAME", "name the server must prove", 0, NULL},
	{"plaintext", 0, NULL, "TCP without TLS", 0, NULL},
	{"dialect", 0, "NAME", "auto, v0 or values: calls the registry knows",
	 0, complete_dialects},
	{"output", 'o', "FMT",
	 "table, wide, json, yaml, name or value=/POINTER", 0,
	 complete_formats},
	{"columns", 0, "A,B", "columns of the table", OPT_LIST,
	 complete_columns},
	{"no-headers", 0, NULL, "no titles above the table", 0, NULL},
	{"sort", 0, "COL", "order by a column, -COL falling", 0,
	 complete_columns},
	{"selector", 'l', "K=V", "only what has this value", OPT_LIST, NULL},
	{"quiet", 'q', NULL, "say less on stderr", 0, NULL},
	{"verbose", 'v', NULL, "say more on stderr", 0, NULL},
	{"timeout", 't', "DUR", "for the whole command; 30s, 0 is none", 0,
	 NULL},
	{"dry-run", 'n', NULL, "show the calls, send nothing", 0, NULL},
	{"yes", 'y', NULL, "agree to what would be asked", 0, NULL},
	{"no-input", 0, NULL, "never ask", 0, NULL},
	{"trace", 0, NULL, "show the calls and their timing on stderr", 0,
	 NULL},
	{"color", 0, "WHEN", "auto, always or never", 0, complete_colors},
	{"show-secrets", 0, NULL, "print secret fields of replies", 0, NULL},
	{"config", 0, "FILE", "read this configuration only", 0, NULL},
	{"help", 'h', NULL, "explain the command", 0, NULL},
	{"version", 'V', NULL, "print the version of oimctl", 0, NULL},
	{0},
};

static const char *unalias(const char *word)
{
	static const char *const aliases[][2] = {
		{"ls", "list"},
		{"rm", "delete"},
		{"exit", "quit"},
	};

	for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++)
		if (strcmp(word, aliases[i][0]) == 0)
			return aliases[i][1];
	return word;
}

/* Size of the first word of a command's name. */
static size_t first_size(const struct cmd *c)
{
	return strcspn(c->name, " ");
}

/* The second word, or "". */
static const char *second_of(const struct cmd *c)
{
	const char *space = strchr(c->name, ' ');

	return space ? space + 1 : "";
}

static bool has_first(const struct cmd *c, const char *word)
{
	size_t size = first_size(c);

	return strncmp(c->name, word, size) == 0 && !word[size];
}

/* "bdev" and "bdevs" are the same. */
static bool is_same_noun(const char *a, const char *b)
{
	size_t m = strlen(a), n = strlen(b);

	m -= m && a[m - 1] == 's';
	n -= n && b[n - 1] == 's';
	return m == n && memcmp(a, b, n) == 0;
}

bool cmd_is_first(const struct cmd *cmd, const char *first)
{
	return has_first(cmd, unalias(first));
}

const struct cmd *cmd_find(const char *first, const char *second)
{
	first = unalias(first);
	CMD_EACH(c)
	{
		bool has_second = *second_of(c);

		if (has_first(c, first) && has_second == !!second &&
		    (!second || is_same_noun(second_of(c), second)))
			return c;
	}
	return NULL;
}

bool cmd_is_verb(const char *first)
{
	first = unalias(first);
	CMD_EACH(c)
	{
		if (has_first(c, first) && *second_of(c))
			return true;
	}
	return false;
}

static int refuse(const char *what, const char *word, const char *before,
		  const char *const *candidates, struct err *err)
{
	const char *nearest = nearest_find(word, candidates);

	err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "%s \"%s\"", what, word);
	return nearest ? err_hint(err, "did you mean \"%s%s\"?", before,
				  nearest)
		       : err_hint(err, "\"oimctl help\" lists the commands");
}

static int refuse_first(const char *first, struct err *err)
{
	char words[MAX_COMMANDS][32];
	const char *candidates[MAX_COMMANDS + 1];
	size_t n = 0;

	CMD_EACH(c)
	{
		size_t size = first_size(c);

		if (c->flags & CMD_HIDDEN || n == MAX_COMMANDS ||
		    size >= sizeof(*words))
			continue;
		memcpy(words[n], c->name, size);
		words[n][size] = '\0';
		candidates[n] = words[n];
		n++;
	}
	candidates[n] = NULL;
	return refuse("unknown command", first, "", candidates, err);
}

/* The nouns of a verb, in words; as "a, b or c". */
static void list_nouns(const char *const *nouns, size_t n, char *text,
		       size_t size)
{
	size_t length = 0;

	*text = '\0';
	for (size_t i = 0; i < n && length < size; i++)
		length += (size_t)snprintf(text + length, size - length, "%s%s",
					   !i           ? ""
					   : i + 1 == n ? " or "
							: ", ",
					   nouns[i]);
}

int cmd_refuse(const char *first, const char *second, struct err *err)
{
	const char *nouns[MAX_COMMANDS + 1];
	const char *verb = unalias(first);
	char text[256];
	size_t n = 0;

	CMD_EACH(c)
	{
		if (has_first(c, verb) && *second_of(c) && n < MAX_COMMANDS)
			nouns[n++] = second_of(c);
	}
	nouns[n] = NULL;
	if (!n)
		return refuse_first(first, err);
	list_nouns(nouns, n, text, sizeof(text));
	if (!second)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "\"%s\" needs to know what: %s", first, text);
	if (nearest_find(second, nouns)) {
		char before[64];

		snprintf(before, sizeof(before), "%s ", verb);
		return refuse("unknown noun", second, before, nouns, err);
	}
	err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "cannot %s \"%s\"", verb,
		second);
	return err_hint(err, "\"%s\" knows %s", verb, text);
}

/* --- how many arguments --- */

/* Counts what args says: those needed, and all; SIZE_MAX if any number. */
static void count_args(const char *args, size_t *least, size_t *most)
{
	*least = *most = 0;
	while (args && *args) {
		size_t size = strcspn(args, " ");

		*least += *args != '[';
		if (*most != SIZE_MAX)
			++*most;
		if (memmem(args, size, "...", 3))
			*most = SIZE_MAX;
		args += size + (args[size] == ' ');
	}
}

bool cmd_wants(const struct cmd *cmd, size_t n)
{
	size_t least, most;

	count_args(cmd->args, &least, &most);
	return n <= most;
}

int cmd_check_count(const struct cmd *cmd, size_t n, struct err *err)
{
	size_t least, most;

	count_args(cmd->args, &least, &most);
	if (n >= least && n <= most)
		return 0;
	if (!most)
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"\"%s\" takes no arguments", cmd->name);
	else
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "too %s arguments",
			n < least ? "few" : "many");
	return err_hint(err, "usage: oimctl %s%s%s", cmd->name,
			cmd->args ? " " : "", cmd->args ? cmd->args : "");
}

/* What may come next: reading what is there so far. What the values are is in
 * complete_values.c. */

#include "cli/complete.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/complete_task.h"
#include "cli/task.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

#define TIME (UNITS_SECOND / 4)

static bool is_there(const struct complete *c, const char *answer)
{
	size_t size = strlen(c->before);

	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->answers[i] + size, answer) == 0)
			return true;
	return false;
}

void complete_add(struct complete *c, const char *answer)
{
	if (is_there(c, answer) || c->n == COMPLETE_MAX ||
	    strncmp(answer, c->typed, strlen(c->typed)) != 0)
		return;
	c->answers[c->n++] = mem_printf("%s%s", c->before, answer);
}

struct task *complete_task(struct complete *c)
{
	return &c->task;
}

/* --- what is there --- */

static const struct opt *find_opt(struct complete *c, const char *name)
{
	const struct opt *const tables[] = {
		cmd_global_options,
		c->task.cmd ? c->task.cmd->options : NULL,
		NULL,
	};

	return opt_find(tables, name);
}

/* The option of that letter. */
static const struct opt *find_letter(struct complete *c, char letter)
{
	const struct opt *const tables[] = {
		cmd_global_options,
		c->task.cmd ? c->task.cmd->options : NULL,
	};

	for (size_t i = 0; i < 2; i++)
		for (const struct opt *o = tables[i]; o && o->name; o++)
			if (o->letter == letter)
				return o;
	return NULL;
}

static void take_argument(struct complete *c, const char *word)
{
	struct task *t = &c->task;

	if (t->cmd) {
		c->args[t->n_args++] = word;
	} else if (!c->first) {
		c->first = word;
		t->cmd = cmd_is_verb(word) ? NULL : cmd_find(word, NULL);
	} else {
		t->cmd = cmd_find(c->first, word);
		c->is_lost = !t->cmd;
	}
}

/*
 * An option, with its value if that is the same word. What it wants as value
 * of the next word is left in c->pending.
 */
static void take_option(struct complete *c, const char *word)
{
	bool is_long = word[1] == '-';
	char *name = arena_strdup(c->task.arena, word + 2);
	char *value = is_long ? strchr(name, '=') : NULL;
	const struct opt *o;

	if (value)
		*value++ = '\0';
	if (!is_long && word[2])
		value = name;
	o = is_long ? find_opt(c, name) : find_letter(c, word[1]);
	if (!o)
		return;
	if (o->arg && !value)
		c->pending = o;
	else
		opt_set(&c->task.opts, o, o->arg ? value : "yes");
}

static void take_word(struct complete *c, const char *word)
{
	if (c->pending)
		opt_set(&c->task.opts, STEAL(c->pending), word);
	else if (!c->only_arguments && strcmp(word, "--") == 0)
		c->only_arguments = true;
	else if (!c->only_arguments && word[0] == '-' && word[1])
		take_option(c, word);
	else
		take_argument(c, word);
}

/* --- what may follow --- */

static void add_options(struct complete *c, const struct opt *options)
{
	for (const struct opt *o = options; o && o->name; o++) {
		CLEANUP(cleanup_free) char *name = mem_printf("--%s", o->name);

		complete_add(c, name);
	}
}

static void add_values(struct complete *c, const struct opt *o)
{
	if (o->complete)
		o->complete(c);
	else if (strcmp(o->arg, "FILE") == 0)
		complete_files(c);
}

/* "--option=val": the answers have the option in front, as readline wants. */
static void add_values_behind(struct complete *c)
{
	const char *equal = strchr(c->typed, '=');
	char *name = arena_dup(c->task.arena, c->typed + 2,
			       (size_t)(equal - c->typed - 2));
	const struct opt *o = find_opt(c, name);

	c->before = arena_printf(c->task.arena, "--%s=", name);
	c->typed = equal + 1;
	if (o && o->arg)
		add_values(c, o);
}

static void add_options_or_values(struct complete *c)
{
	if (strncmp(c->typed, "--", 2) == 0 && strchr(c->typed, '=')) {
		add_values_behind(c);
		return;
	}
	if (c->task.cmd)
		add_options(c, c->task.cmd->options);
	add_options(c, cmd_global_options);
}

static void add_next(struct complete *c)
{
	const struct cmd *cmd = c->task.cmd;

	if (c->pending)
		add_values(c, c->pending);
	else if (*c->typed == '-' && !c->only_arguments)
		add_options_or_values(c);
	else if (!cmd && !c->is_lost)
		complete_commands(c);
	else if (cmd && cmd->complete && cmd_wants(cmd, c->task.n_args + 1))
		cmd->complete(c);
}

/* --- all together --- */

/* Without settings there is no server to ask, but still much to say. */
static void prepare(struct complete *c)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct task *t = &c->task;

	t->args = c->args;
	t->is_silent = true;
	t->deadline = units_monotonic() + TIME;
	c->is_settled = task_settle(t, &err) == 0;
	t->settings.trace = false;
	err_clear(&err);
	t->out = out_new(&(struct out_style){.format = OUT_TABLE}, NULL, &err);
}

char **complete_words(struct session *s, const char *const *words)
{
	struct complete c = {.before = "", .typed = ""};
	size_t n = 0;

	while (words[n])
		n++;
	task_init(&c.task, s);
	c.args = arena_zalloc(c.task.arena, n + 1, sizeof(*c.args));
	c.answers = mem_zalloc(COMPLETE_MAX + 1, sizeof(*c.answers));
	for (size_t i = 0; i + 1 < n; i++)
		take_word(&c, words[i]);
	if (n)
		c.typed = words[n - 1];
	prepare(&c);
	add_next(&c);
	task_clear(&c.task);
	return c.answers;
}

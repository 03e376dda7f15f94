/* The interactive shell: the commands shell and history. */

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/history.h"
#include "cli/interrupt.h"
#include "cli/session.h"
#include "cli/task.h"
#include "cli/words.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

/* readline calls back without an argument. */
static struct {
	struct session *session;
	char *line; /* what was entered; NULL: the end of input */
	bool is_entered;
	int continued;  /* an eventfd: a stop is over */
	char **answers; /* to the tab key */
} state;

/* --- lines --- */

static void on_line(char *line)
{
	rl_callback_handler_remove();
	state.line = line;
	state.is_entered = true;
}

/* Ctrl-C: what was typed is forgotten. */
static void drop_line(void)
{
	fputs("^C\n", rl_outstream);
	rl_free_line_state();
	rl_callback_sigcleanup();
	on_line(mem_strdup(""));
}

/* Any thread may be the one that is told. */
static void on_continue(int number)
{
	int error = errno;

	(void)number;
	eventfd_write(state.continued, 1);
	errno = error;
}

/* To stop, to end, a new size: readline's business, but it lets SIGINT in. */
static void settle_signals(void)
{
	rl_check_signals();
	interrupt_block();
}

/* After it was stopped readline does not show the line again. */
static void show_again(void)
{
	eventfd_t n;

	eventfd_read(state.continued, &n);
	rl_forced_update_display();
}

/* NULL at the end of input; *dropped if Ctrl-C was pressed instead. */
static char *read_line(const char *prompt, bool *dropped)
{
	struct pollfd p[] = {{.fd = STDIN_FILENO, .events = POLLIN},
			     {.fd = interrupt_fd(), .events = POLLIN},
			     {.fd = state.continued, .events = POLLIN}};

	*dropped = false;
	state.is_entered = false;
	rl_callback_handler_install(prompt, on_line);
	while (!state.is_entered) {
		settle_signals();
		if (poll(p, 3, -1) == -1)
			continue;
		if (p[2].revents)
			show_again();
		*dropped = p[1].revents && interrupt_take();
		if (*dropped)
			drop_line();
		else if (p[0].revents)
			rl_callback_read_char();
	}
	return STEAL(state.line);
}

/* The caller frees it. */
static char *prompt_of(struct session *s)
{
	CLEANUP(task_clear) struct task t;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const char *context, *controller;

	task_init(&t, s);
	task_settle(&t, &err);
	context = settings_get(&t.settings, SETTING_CONTEXT);
	controller = settings_get(&t.settings, SETTING_CONTROLLER);
	return mem_printf("oim(%s/%s)> ", context ? context : "-",
			  controller ? controller : "-");
}

/* A command, with the lines that continue it; NULL at the end of input. */
static char *read_command(struct session *s)
{
	CLEANUP(cleanup_free) char *prompt = prompt_of(s);
	CLEANUP(cleanup_free) char *line = NULL;
	bool dropped;

	line = read_line(prompt, &dropped);
	while (line && words_continue(line)) {
		CLEANUP(cleanup_free) char *more = read_line("> ", &dropped);
		char *both;

		if (!more || dropped)
			return STEAL(more);
		line[strlen(line) - 1] = '\0';
		both = mem_printf("%s%s", line, more);
		free(line);
		line = both;
	}
	return STEAL(line);
}

static void loop(struct session *s)
{
	while (!s->is_ended) {
		CLEANUP(cleanup_free) char *line = read_command(s);

		if (!line) {
			putchar('\n');
			return;
		}
		history_keep(s, line);
		session_run_line(s, line);
		interrupt_take();
	}
}

/* --- the tab key --- */

static int is_escaped(char *text, int i)
{
	return i > 0 && text[i - 1] == '\\' && !is_escaped(text, i - 1);
}

static char *next_answer(const char *text, int index)
{
	static size_t next;
	const char *answer;

	(void)text;
	if (!index)
		next = 0;
	answer = state.answers[next];
	if (!answer)
		return NULL;
	next++;
	return rl_completion_quote_character ? mem_strdup(answer)
					     : words_quote(answer);
}

/* More is to come behind a folder or an equals sign. */
static void choose_end(void)
{
	const char *only = state.answers[0];
	size_t size;

	if (!only || state.answers[1])
		return;
	size = strlen(only);
	if (size && strchr("/=", only[size - 1]))
		rl_completion_append_character = '\0';
}

static char **on_tab(const char *text, int start, int end)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	char **matches;

	(void)start;
	rl_attempted_completion_over = 1;
	state.answers = complete_words(
		state.session, words_typed(rl_line_buffer, (size_t)end, a));
	choose_end();
	matches = rl_completion_matches(text, next_answer);
	for (char **answer = state.answers; *answer; answer++)
		free(*answer);
	free(STEAL(state.answers));
	return matches;
}

static void prepare_readline(void)
{
	setlocale(LC_CTYPE, "C.UTF-8");
	state.continued = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sigaction(SIGCONT, &(struct sigaction){.sa_handler = on_continue},
		  NULL);
	rl_readline_name = "oimctl";
	rl_persistent_signal_handlers = 1;
	rl_attempted_completion_function = on_tab;
	rl_completer_word_break_characters = " \t";
	rl_completer_quote_characters = "\"'";
	rl_char_is_quoted_p = is_escaped;
}

/* --- commands --- */

static int run_shell(struct task *t, struct err *err)
{
	struct session *s = t->session;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"the shell needs a terminal");
		return err_hint(err,
				"\"oimctl run -\" reads commands from stdin");
	}
	session_adopt(s, &t->opts);
	s->mode = SESSION_SHELL;
	state.session = s;
	prepare_readline();
	history_open();
	interrupt_start();
	puts("oimctl " OIM_VERSION
	     "; \"help\" lists the commands, Ctrl-D ends.");
	loop(s);
	interrupt_stop();
	signal(SIGCONT, SIG_DFL);
	close(state.continued);
	history_close();
	s->mode = SESSION_ONCE;
	return 0;
}

static int run_history(struct task *t, struct err *err)
{
	CLEANUP(cleanup_free) char *text = history_text();

	(void)err;
	out_text(t->out, text);
	return 0;
}

const struct cmd cmds_shell[] = {
	{
		.name = "shell",
		.help = "the same commands, with a prompt",
		.more = "Knows also use, on, set OPTION VALUE, history and quit. Ctrl-C ends a call,\n"
			"Ctrl-D the shell. One connection serves all commands.\n",
		.flags = CMD_ALONE,
		.run = run_shell,
	},
	{
		.name = "history",
		.help = "print the lines that were entered",
		.flags = CMD_SESSION,
		.run = run_history,
	},
	{0},
};

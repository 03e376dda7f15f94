/* The shell's history. */

#include "cli/history.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <readline/history.h>

#include "cli/call.h"
#include "cli/task.h"
#include "cli/words.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define MAX_LINES 1000

static char *path; /* NULL: no file */

/* NULL if there is no home. The caller frees it. */
static char *state_dir(void)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (state && *state == '/')
		return mem_strdup(state);
	return home && *home == '/' ? mem_printf("%s/.local/state", home)
				    : NULL;
}

/* Makes the folder and those above it. */
static int make_dir(char *dir)
{
	for (char *slash = dir + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(dir, 0700);
		*slash = '/';
	}
	mkdir(dir, 0700);
	return access(dir, W_OK);
}

void history_open(void)
{
	CLEANUP(cleanup_free) char *state = state_dir();
	CLEANUP(cleanup_free) char *dir = NULL;

	using_history();
	stifle_history(MAX_LINES);
	if (!state)
		return;
	dir = mem_printf("%s/oim", state);
	if (make_dir(dir) == -1)
		return;
	path = mem_printf("%s/history", dir);
	chmod(path, 0600);
	history_truncate_file(path, MAX_LINES);
	read_history(path);
}

void history_close(void)
{
	clear_history();
	free(STEAL(path));
}

static void append(const char *line)
{
	CLEANUP(cleanup_fd) int fd = -1;

	if (!path)
		return;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd != -1)
		dprintf(fd, "%s\n", line);
}

/* A line that cannot be understood may have a request in it all the same. */
static bool is_secret(struct session *session, const char *line)
{
	CLEANUP(task_clear) struct task t;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const char *const *words;

	task_init(&t, session);
	words = words_split(line, t.arena, &err);
	if (!words || task_parse(&t, words, &err) == -1)
		return strchr(line, '{');
	return t.cmd && strcmp(t.cmd->name, "call") == 0 && t.n_args > 1 &&
	       call_is_secret(t.args[0], t.args[1]);
}

static bool is_repeated(const char *line)
{
	HIST_ENTRY *last = history_length ? history_get(history_length) : NULL;

	return last && strcmp(last->line, line) == 0;
}

void history_keep(struct session *s, const char *line)
{
	if (!*line || *line == ' ' || is_repeated(line) || is_secret(s, line))
		return;
	add_history(line);
	append(line);
}

char *history_text(void)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	for (int i = 0; i < history_length; i++)
		fprintf(file, "%5d  %s\n", history_base + i,
			history_get(history_base + i)->line);
	fclose(file);
	return text;
}

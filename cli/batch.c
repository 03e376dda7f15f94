/* Batch files: the command run. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/task.h"
#include "cli/words.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

struct batch {
	struct session *session;
	FILE *file;
	const char *name;
	unsigned line; /* the one read last */
	bool keep_going;
	unsigned failed;
};

/* One line without its end; NULL at the end of the file. */
static char *read_line(struct batch *b, struct err *err)
{
	CLEANUP(cleanup_free) char *line = NULL;
	size_t room = 0;
	ssize_t size = getline(&line, &room, b->file);

	if (size == -1) {
		if (ferror(b->file))
			err_errno(err, "cannot read %s", b->name);
		return NULL;
	}
	b->line++;
	if (memchr(line, '\0', (size_t)size)) {
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"%s:%u: there is a NUL in the line", b->name, b->line);
		return NULL;
	}
	line[strcspn(line, "\r\n")] = '\0';
	return STEAL(line);
}

/* With the lines that continue it. *first is its number. */
static char *read_command(struct batch *b, unsigned *first, struct err *err)
{
	CLEANUP(cleanup_free) char *line = read_line(b, err);

	*first = b->line;
	while (line && words_continue(line)) {
		CLEANUP(cleanup_free) char *more = read_line(b, err);
		char *both;

		if (!more)
			return err->code ? NULL : STEAL(line);
		line[strlen(line) - 1] = '\0';
		both = mem_printf("%s%s", line, more);
		free(line);
		line = both;
	}
	return STEAL(line);
}

/* The status of the first command that failed, or 0. */
static int run_lines(struct batch *b, struct err *err)
{
	struct session *s = b->session;
	int status = 0;

	while (!s->is_ended && (b->keep_going || !status)) {
		CLEANUP(cleanup_free) char *place = NULL;
		CLEANUP(cleanup_free) char *line = NULL;
		unsigned first;
		int rc;

		line = read_command(b, &first, err);
		if (!line)
			break;
		place = mem_printf("%s:%u", b->name, first);
		s->place = place;
		rc = session_run_line(s, line);
		s->place = NULL;
		b->failed += rc != 0;
		status = status ? status : rc;
	}
	return b->keep_going && status ? STATUS_SOME : status;
}

static int run_file(struct task *t, struct batch *b, struct err *err)
{
	struct session *s = t->session;
	enum session_mode mode = s->mode;
	struct opt_values saved = session_save(s);

	session_adopt(s, &t->opts);
	s->mode = SESSION_BATCH;
	s->keeps_stdin = b->file == stdin;
	t->status = run_lines(b, err);
	s->mode = mode;
	s->keeps_stdin = false;
	if (mode == SESSION_SHELL)
		s->is_ended = false;
	session_restore(s, &saved);
	return err->code ? -1 : 0;
}

static int run_run(struct task *t, struct err *err)
{
	const char *name = t->args[0];
	CLEANUP(cleanup_file) FILE *opened = NULL;
	struct batch b = {
		.session = t->session,
		.file = stdin,
		.name = name,
		.keep_going = task_option(t, "keep-going"),
	};

	if (t->session->mode == SESSION_BATCH)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "a batch file cannot run another one");
	if (strcmp(name, "-") != 0) {
		b.file = opened = fopen(name, "re");
		if (!opened)
			return err_errno(err, "cannot read %s", name);
	}
	return run_file(t, &b, err);
}

static const struct opt options[] = {
	{"keep-going", 'k', NULL, "go on after a failure; the status is then 4",
	 0, NULL},
	{0},
};

const struct cmd cmds_batch[] = {
	{
		.name = "run",
		.args = "FILE",
		.help = "run the commands in a file; - is stdin",
		.more = "A command on each line, as in the shell. Stops at the first that fails.\n"
			"Never asks anything.\n"
			"\n"
			"  oimctl run setup.oim\n"
			"  oimctl run - --keep-going <setup.oim\n",
		.options = options,
		.run = run_run,
		.complete = complete_files,
	},
	{0},
};

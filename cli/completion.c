/* Completion for other shells: the commands completion and complete. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/completion.h"
#include "cli/session.h"
#include "cli/task.h"
#include "proto/lib/cleanup.h"

static int run_completion(struct task *t, struct err *err)
{
	if (strcmp(t->args[0], "bash") != 0)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "only bash is known");
	out_text(t->out, completion_bash);
	return 0;
}

/* --- complete --- */

static void give_up(int number)
{
	(void)number;
	_exit(0);
}

/* Look-ups of names and the like may take longer than a call may. */
static void limit_time(void)
{
	const struct itimerval limit = {.it_value.tv_usec = 250000};

	signal(SIGALRM, give_up);
	setitimer(ITIMER_REAL, &limit, NULL);
}

static int run_complete(struct task *t, struct err *err)
{
	CLEANUP(cleanup_free) char *text = NULL;
	char **answers;
	size_t size;
	FILE *file;

	(void)err;
	limit_time();
	session_adopt(t->session, &t->opts);
	answers = complete_words(t->session, t->args);
	file = open_memstream(&text, &size);
	for (char **answer = answers; *answer; answer++) {
		fprintf(file, "%s\n", *answer);
		free(*answer);
	}
	free(answers);
	fclose(file);
	out_text(t->out, text);
	return 0;
}

const struct cmd cmds_completion[] = {
	{
		.name = "completion",
		.args = "SHELL",
		.help = "print a script that completes in bash",
		.more = "  eval \"$(oimctl completion bash)\"\n",
		.flags = CMD_PLAIN,
		.run = run_completion,
		.complete = complete_shells,
	},
	{
		.name = "complete",
		.args = "[WORD...]",
		.help = "print what may come next",
		.flags = CMD_PLAIN | CMD_HIDDEN,
		.run = run_complete,
	},
	{0},
};

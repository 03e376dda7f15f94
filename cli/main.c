/* oimctl: the client of OIM. */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/task.h"
#include "proto/lib/client.h"

/* Else what is opened next would be taken for stdout, and written to. */
static void open_closed(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* What could not be written is a failure, even at the very end. */
static int close_stdout(int status)
{
	bool failed = ferror(stdout);

	if (fclose(stdout) == EOF)
		failed = true;
	if (!failed || status)
		return status;
	fprintf(stderr, "oimctl: cannot write to stdout: %s\n",
		strerror(errno));
	return STATUS_LOCAL;
}

/*
 * The kernel takes everything back in no time; gRPC core would end its threads
 * one by one, for a fifth of the time that a command takes. Builds that look
 * for leaks and at coverage end in order.
 */
static int leave(struct session *session, int status)
{
#ifndef OIM_END_IN_ORDER
	_exit(status);
#endif
	session_clear(session);
	return status;
}

int main(int argc, const char **argv)
{
	struct session session;

	(void)argc;
	open_closed();
	client_silence_core();
	session_init(&session);
	return leave(&session,
		     close_stdout(task_run(&session, argv + !!*argv)));
}

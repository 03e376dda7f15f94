/* oimctl: the client of OIM. */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/task.h"
#include "proto/lib/cleanup.h"
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

int main(int argc, const char **argv)
{
	CLEANUP(session_clear) struct session session;

	(void)argc;
	open_closed();
	client_silence_core();
	session_init(&session);
	return close_stdout(task_run(&session, argv + !!*argv));
}

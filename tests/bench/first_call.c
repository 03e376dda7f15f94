/*
 * How long a server takes from exec to its first answer: starts it, waits for
 * the line that says where it listens, and calls.
 *
 *	first_call ADDRESS COMMAND [ARGUMENT...]
 *
 * prints milliseconds. This client is ready before the server is started.
 */

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oim/v0/oim.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/client.h"
#include "proto/lib/err.h"
#include "proto/lib/units.h"

extern char **environ;

/* Starts the command; *out is what it prints. */
static pid_t start(char **command, FILE **out)
{
	posix_spawn_file_actions_t actions;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) == -1) {
		perror("pipe");
		exit(2);
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	if (posix_spawn(&pid, command[0], &actions, NULL, command, environ)) {
		fprintf(stderr, "first_call: cannot start %s\n", command[0]);
		exit(2);
	}
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	*out = fdopen(ends[0], "r");
	return pid;
}

static int call(struct client *client, struct err *err)
{
	Oim__V0__GetControllerRequest request =
		OIM__V0__GET_CONTROLLER_REQUEST__INIT;
	const struct client_call what = {
		.method = "/oim.v0.Registry/GetControllers",
		.reply_type = &oim__v0__get_controller_reply__descriptor,
	};
	CLEANUP(cleanup_arena) struct arena *a = arena_new();

	return client_unary(client, &what, &request.base, a, err) ? 0 : -1;
}

int main(int argc, char **argv)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_client) struct client *client = NULL;
	CLEANUP(cleanup_file) FILE *out = NULL;
	struct client_config config = {.address = argv[1]};
	char line[512];
	int64_t began;
	pid_t pid;
	int rc;

	if (argc < 3) {
		fputs("usage: first_call ADDRESS COMMAND...\n", stderr);
		return 2;
	}
	client = client_new(&config, &err);
	if (!client) {
		fprintf(stderr, "first_call: %s\n", err.msg);
		return 2;
	}
	began = units_monotonic();
	pid = start(argv + 2, &out);
	if (!fgets(line, sizeof(line), out)) {
		fputs("first_call: the server has ended\n", stderr);
		return 1;
	}
	rc = call(client, &err);
	if (rc == 0)
		printf("%.3f\n", (double)(units_monotonic() - began) / 1e6);
	else
		fprintf(stderr, "first_call: %s\n", err.msg);
	client_free(STEAL(client)); /* a server waits for its connections */
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	return rc == 0 ? 0 : 1;
}

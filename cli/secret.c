/* Reading secrets. */

#include "cli/secret.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <termios.h>
#include <unistd.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"
#include "proto/lib/utf8.h"

#define MAX_SIZE 4096

static void wipe(char (*text)[MAX_SIZE])
{
	explicit_bzero(text, sizeof(*text));
}

static int check(const char *text, size_t size, const char *name,
		 struct err *err)
{
	if (!size)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "the secret in %s is empty", name);
	if (!utf8_is_valid(text, size) || memchr(text, '\0', size) ||
	    utf8_has_control(text, size))
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "the secret in %s is not one line of text",
			       name);
	return 0;
}

/* Unbuffered, so that no copy stays behind. */
static char *read_line(int fd, const char *name, struct err *err)
{
	CLEANUP(wipe) char text[MAX_SIZE];
	size_t size = 0;
	ssize_t n = 1;

	while (n > 0 && size < sizeof(text) &&
	       !(size && text[size - 1] == '\n' && isatty(fd))) {
		n = read(fd, text + size, sizeof(text) - size);
		size += n > 0 ? (size_t)n : 0;
	}
	if (n == -1) {
		err_errno(err, "cannot read %s", name);
		return NULL;
	}
	if (size == sizeof(text)) {
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"%s is too large for a secret", name);
		return NULL;
	}
	if (size && text[size - 1] == '\n')
		size--;
	return check(text, size, name, err) == 0 ? mem_dup(text, size) : NULL;
}

/* From a terminal, without echo. */
static char *ask_line(struct err *err)
{
	struct termios old, quiet;
	char *secret;

	if (tcgetattr(STDIN_FILENO, &old) == -1) {
		err_errno(err, "cannot ask for the secret");
		return NULL;
	}
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	fputs("Secret: ", stderr);
	secret = read_line(STDIN_FILENO, "the answer", err);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
	putc('\n', stderr);
	return secret;
}

static char *ask(struct task *t, struct err *err)
{
	int64_t start = units_monotonic();
	char *secret = ask_line(err);

	task_extend(t, start);
	return secret;
}

char *secret_read(struct task *t, const char *name, struct err *err)
{
	CLEANUP(cleanup_file) FILE *file = NULL;

	/* Memory holds a secret from here on: no core files. */
	prctl(PR_SET_DUMPABLE, 0);

	if (strcmp(name, "-") != 0) {
		file = fopen(name, "re");
		if (file)
			return read_line(fileno(file), name, err);
		err_errno(err, "cannot read %s", name);
		return NULL;
	}
	if (t->session->keeps_stdin) {
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"stdin has the commands and cannot have a secret too");
		return NULL;
	}
	if (!isatty(STDIN_FILENO))
		return read_line(STDIN_FILENO, "stdin", err);
	if (!task_option(t, "no-input"))
		return ask(t, err);
	err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		"the secret would have to be asked for");
	return NULL;
}

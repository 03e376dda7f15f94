#ifndef OIM_COMPLETE_TASK_H
#define OIM_COMPLETE_TASK_H

/*
 * A line that is being completed. Only complete*.c look in here.
 */

#include <stdbool.h>
#include <stddef.h>

#include "cli/complete.h"
#include "cli/opt.h"
#include "cli/task.h"

struct complete {
	struct task task;          /* what is known of the command */
	const char **args;         /* its arguments */
	const char *first;         /* the first word of the command, or NULL */
	const struct opt *pending; /* whose value is being typed, or NULL */
	bool is_lost;              /* the words are no command */
	bool only_arguments;       /* behind "--" */
	bool is_settled;           /* there are settings */
	const char *typed;
	const char *before; /* stands in front of all answers */
	char **answers;
	size_t n;
};

#endif

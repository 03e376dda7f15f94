#ifndef OIM_OP_H
#define OIM_OP_H

/*
 * On whose behalf, and for how long, something is done. Made by whoever starts
 * an operation of core; lives as long as it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/audit.h"
#include "proto/lib/err.h"

struct op {
	const struct caller *caller;
	int64_t deadline; /* of CLOCK_MONOTONIC, ns; INT64_MAX: none */
	bool (*is_cancelled)(void *arg); /* NULL: never */
	void *arg;
};

/* What the daemon does of its own accord. */
extern const struct op op_self;

/*
 * DEADLINE_EXCEEDED or CANCELLED if nobody waits any more. Asked before
 * something is begun, never within what cannot safely be abandoned.
 */
int op_check(const struct op *op, struct err *err);

#endif

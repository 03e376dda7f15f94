/* The record of who changed what. */

#include "daemon/audit.h"

#include <stdio.h>
#include <string.h>

#include "daemon/log.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define LOG_COMPONENT "audit"

const struct caller audit_self = {.local = true, .peer = "self"};

bool caller_has_name(const struct caller *caller, const char *name)
{
	for (const char *const *n = caller->names; n && *n; n++)
		if (strcmp(*n, name) == 0)
			return true;
	return false;
}

void audit(const struct caller *caller, const char *action,
	   const char *container, const char *object, const struct err *err)
{
	char uid[16], pid[16];
	struct log_field fields[] = {
		{"controller", container},
		{"object", object},
		{"by", caller->names ? caller->names[0] : NULL},
		{"uid", caller->pid ? uid : NULL},
		{"pid", caller->pid ? pid : NULL},
		{"peer", caller->peer},
		{"code", err_code_name(err->code)},
		{"error", err->msg},
		{NULL, NULL},
	};

	snprintf(uid, sizeof(uid), "%u", caller->uid);
	snprintf(pid, sizeof(pid), "%d", (int)caller->pid);
	log_line(LOG_LEVEL_INFO, LOG_COMPONENT, fields, "%s", action);
}

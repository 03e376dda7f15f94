#ifndef OIM_TRANSFER_H
#define OIM_TRANSFER_H

/*
 * --export and --import: the cluster's state (core/backup.h) in a file. "-" is
 * stdout and stdin.
 */

#include <stdbool.h>

#include "daemon/config.h"
#include "daemon/core/backup.h"
#include "proto/lib/err.h"

/* Also while the daemon runs. The file, of mode 0600, is complete or not made.
 */
int transfer_export(const struct config *config, const char *file,
		    struct err *err);

/* Only while it does not, unless the store is etcd: then as if the entries were
 * registered meanwhile. */
int transfer_import(const struct config *config, const char *file, bool force,
		    struct backup_result *result, struct err *err);

#endif

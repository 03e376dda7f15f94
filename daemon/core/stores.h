#ifndef OIM_STORES_H
#define OIM_STORES_H

/*
 * What the daemon keeps, and where (design: Stores): the node's state is always
 * in the store of this daemon, the cluster's in the one that is configured,
 * which may be the same.
 */

#include "daemon/store/store.h"
#include "proto/lib/err.h"

struct stores {
	struct store *node;
	struct store *cluster;
};

/* Whether both work now; *status is of the cluster's. Any thread. */
int stores_check(const struct stores *s, struct store_status *status,
		 struct err *err);

#endif

/* The stores of a daemon. */

#include "daemon/core/stores.h"

int stores_check(const struct stores *s, struct store_status *status,
		 struct err *err)
{
	if (s->node != s->cluster && store_check(s->node, status, err) == -1)
		return -1;
	return store_check(s->cluster, status, err);
}

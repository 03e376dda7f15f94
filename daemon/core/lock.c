/* The set of ids that are being worked on. */

#include "daemon/core/lock.h"

#include <pthread.h>
#include <search.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proto/lib/mem.h"

struct locks {
	pthread_mutex_t mu;
	void *taken; /* tsearch(3) tree of strings */
};

struct locks *locks_new(void)
{
	struct locks *l = mem_zalloc(1, sizeof(*l));

	pthread_mutex_init(&l->mu, NULL);
	return l;
}

void locks_free(struct locks *l)
{
	tdestroy(l->taken, free);
	pthread_mutex_destroy(&l->mu);
	free(l);
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

int lock_take(struct locks *l, const char *id, struct err *err)
{
	char *key = mem_strdup(id);
	bool is_ours;

	pthread_mutex_lock(&l->mu);
	/* A node's place may change with any that is deleted. */
	is_ours = *(char **)tsearch(key, &l->taken, compare) == key;
	pthread_mutex_unlock(&l->mu);
	if (is_ours)
		return 0;
	free(key);
	err_set(err, GRPC_STATUS_ABORTED,
		"another operation on \"%s\" is under way", id);
	return err_hint(err, "repeat the call when it has ended");
}

void lock_drop(struct locks *l, const char *id)
{
	char **node;
	char *key;

	pthread_mutex_lock(&l->mu);
	node = tfind(id, &l->taken, compare);
	key = *node;
	tdelete(id, &l->taken, compare);
	pthread_mutex_unlock(&l->mu);
	free(key);
}

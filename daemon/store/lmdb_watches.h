#ifndef OIM_STORE_LMDB_WATCHES_H
#define OIM_STORE_LMDB_WATCHES_H

/*
 * The latest changes in memory, and the watches that are told of them by a
 * thread of their own. Writers never wait for a watch: one that is still at a
 * revision that has left the memory is told that it is gone. Knows nothing of
 * LMDB; revisions come without gaps.
 */

#include <stddef.h>
#include <stdint.h>

#include "daemon/store/store.h"
#include "proto/lib/err.h"

/* What is remembered: so many events, and so many bytes of them. */
#define WATCHES_EVENTS 10000
#define WATCHES_BYTES  (16u << 20)

/* The changes of one revision while they are put together. */
struct revision;

/* Empty, with room for what n ops may change. */
struct revision *revision_new(int64_t number, const struct store_op *ops,
			      size_t n);
/* Copies what kv points to; a value of NULL: the key was deleted. */
void revision_add(struct revision *r, const struct store_kv *kv);
bool revision_is_empty(const struct revision *r);
/* Only for those that were not given to watches_tell(). NULL is fine. */
void revision_free(struct revision *r);

struct watches;

/* last is the store's revision: nothing before it can be told. */
struct watches *watches_new(int64_t last, struct err *err);
/* After it returns no watch is told any more. NULL is fine. */
void watches_stop(struct watches *w);
/* Stops, and frees the watches that are left. NULL is fine. */
void watches_free(struct watches *w);

/* Takes n revisions that follow the last one. */
void watches_tell(struct watches *w, struct revision **revisions, size_t n);

struct store_watch *watches_add(
	struct watches *w, struct store *s, const char *prefix, int64_t from,
	void (*fn)(void *arg, const struct store_change *change), void *arg);
void watches_remove(struct watches *w, struct store_watch *watch);

#endif

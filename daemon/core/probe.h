#ifndef OIM_PROBE_H
#define OIM_PROBE_H

/*
 * Whether a store works, for a thread that cannot wait until one that is away
 * has failed: it is asked every few seconds by a thread of its own, and what is
 * told is what came of it.
 */

#include <stdint.h>

#include "daemon/store/store.h"
#include "proto/lib/err.h"

struct probe;

/* Asks at once, and then every period nanoseconds. The store is borrowed. */
struct probe *probe_start(struct store *store, int64_t period, struct err *err);

/* Waits until the store has answered. NULL is fine. */
void probe_stop(struct probe *p);

/*
 * What came of it: 0, or -1 and why it does not work. While the first answer is
 * awaited it works; an answer that takes long is none. Any thread.
 */
int probe_result(struct probe *p, struct err *err);

/*
 * The same, but -1 only if it has been so for several periods: whoever asks the
 * store then waits in vain, and keeps a thread from others meanwhile. NULL: 0.
 */
int probe_check(struct probe *p, struct err *err);

#endif

#ifndef OIM_LOST_H
#define OIM_LOST_H

/*
 * The controllers that are lost, or that there is a quarrel about, as a daemon
 * remembers them: what a record in the store says that is new. One thread
 * changes it; any may ask.
 */

#include <stddef.h>
#include <stdint.h>

#include "oim/state/v1/state.pb-c.h"

struct lost;

struct lost *lost_new(void);
void lost_free(struct lost *l);

enum lost_news {
	LOST_NOTHING = 1,
	LOST_LOST,
	LOST_READY,     /* after it was lost */
	LOST_CONTESTED, /* once a minute at most for an id */
};

/* Takes note of the record that a controller has now; NULL: none. */
enum lost_news lost_learn(struct lost *l, const char *id,
			  const Oim__State__V1__Liveness *record);

/* Between these all records are learned: whoever has none is forgotten. */
void lost_begin(struct lost *l);
void lost_end(struct lost *l);

/* Since when it has not registered, in ns since 1970; 0 if it is not lost. */
int64_t lost_since(struct lost *l, const char *id);

/* How many are lost. */
size_t lost_count(struct lost *l);

#endif

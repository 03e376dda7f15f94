#ifndef OIM_DEMO_H
#define OIM_DEMO_H

/*
 * oimd --demo: settings for a daemon with a pretended data plane and a store in
 * a temporary directory, which goes when the daemon does.
 */

#include "proto/lib/err.h"

#define DEMO_SETTINGS 2

struct demo {
	char *dir;
	char *settings[DEMO_SETTINGS];
};

int demo_prepare(struct demo *demo, struct err *err);

/* Removes the directory. Fits CLEANUP(). */
void demo_clear(struct demo *demo);

#endif

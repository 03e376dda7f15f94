#ifndef OIM_HOST_DIR_H
#define OIM_HOST_DIR_H

#include <sys/types.h>

#include "proto/lib/err.h"

/*
 * Makes a directory, and those above it with mode 0755, if it is not there.
 * One that is there keeps its mode.
 */
int dir_make(const char *path, mode_t mode, struct err *err);

#endif

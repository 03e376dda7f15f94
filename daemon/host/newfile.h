#ifndef OIM_HOST_NEWFILE_H
#define OIM_HOST_NEWFILE_H

/*
 * A file that is there as a whole or not at all: written beside its place, and
 * moved there when all is on disk. Mode 0600.
 */

#include <stddef.h>

#include "proto/lib/err.h"

/* Takes the place of a file that is there. */
int newfile_write(const char *path, const char *text, size_t size,
		  struct err *err);

#endif

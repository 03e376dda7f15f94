#ifndef OIM_MEMDIR_H
#define OIM_MEMDIR_H

/*
 * A directory of files that live in memory: a directory of a tmpfs that belongs
 * to this user alone and, while it is open, to this struct alone. A file has
 * all its memory from the start or does not exist. Names are file names (id.h).
 *
 * Any thread; not two at once for the same name.
 */

#include <stdint.h>
#include <sys/stat.h>

#include "proto/lib/err.h"

struct memdir;

/*
 * The directory and those above it are made if they are absent. path is
 * absolute and without symbolic links. FAILED_PRECONDITION if it is not a
 * tmpfs, open to other users, or in use by another daemon.
 */
struct memdir *memdir_open(const char *path, struct err *err);

/* Files stay. NULL is fine. */
void memdir_close(struct memdir *d);

/* UNAVAILABLE if the directory has been removed. */
int memdir_check(struct memdir *d, struct err *err);

/* Bytes of the whole file system. */
int memdir_capacity(struct memdir *d, uint64_t *bytes, struct err *err);

/* In place of a file of that name. RESOURCE_EXHAUSTED says what is free. */
int memdir_create(struct memdir *d, const char *name, uint64_t size,
		  struct err *err);

/* The space is free again when nobody uses the file. Absent is fine. */
int memdir_remove(struct memdir *d, const char *name, struct err *err);

/* 1 and *st, 0 if there is none of that name, or -1. */
int memdir_stat(struct memdir *d, const char *name, struct stat *st,
		struct err *err);

/* A descriptor to read and write the file, which the caller closes; -1 and
 * NOT_FOUND if there is none. */
int memdir_file(struct memdir *d, const char *name, struct err *err);

#endif

#ifndef OIM_CLEANUP_H
#define OIM_CLEANUP_H

/*
 * Locals that clean up after themselves:
 *
 *	CLEANUP(cleanup_free) char *path = mem_printf("%s/lock", dir);
 *	CLEANUP(cleanup_fd) int fd = -1;
 *	...
 *	return STEAL(path);
 *
 * A variable declared so always has an initial value. Types of ours bring
 * their own cleanup function, in their header.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

/* The pointer's value, which the caller now owns; the variable becomes NULL. */
#define STEAL(pointer)                                                         \
	({                                                                     \
		__typeof__(pointer) stolen_ = (pointer);                       \
		(pointer) = NULL;                                              \
		stolen_;                                                       \
	})

/* The same for a file descriptor. */
static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

/* For a pointer of any type. */
static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

static inline void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#endif

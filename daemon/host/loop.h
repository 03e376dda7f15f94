#ifndef OIM_LOOP_H
#define OIM_LOOP_H

/*
 * Loop devices: files as disks of this host. A device is known by its number,
 * and one that is bound to a file by that file's identity, never by a path.
 *
 * All numbers have seven digits, so that no device's name is part of another's
 * (oim.v0.MapVolumeReply). Any thread; not two at once for the same number.
 *
 * Errors: FAILED_PRECONDITION says what this host lacks, or who holds the disk.
 */

#include <stdint.h>

#include "proto/lib/err.h"

#define LOOP_FIRST 1000000
#define LOOP_LAST  1048575 /* minor numbers have 20 bits */

/* Bytes of "loop1000000" with its NUL. */
#define LOOP_NAME_SIZE 16

struct loop_backing {
	uint64_t dev; /* st_dev and st_ino of the file */
	uint64_t ino;
};

enum loop_state {
	LOOP_ABSENT = 1,
	LOOP_UNBOUND, /* the device is there, without a file */
	LOOP_BOUND,   /* to that file */
	LOOP_FOREIGN, /* to another file */
};

/* The kernel's name of it. Returns name. */
char *loop_name(unsigned int number, char name[LOOP_NAME_SIZE]);

/*
 * A number that no device has. The same one is not chosen again before all the
 * others were, so a plan need not be reserved. RESOURCE_EXHAUSTED if there is
 * none.
 */
int loop_choose(unsigned int *number, struct err *err);

int loop_probe(unsigned int number, const struct loop_backing *backing,
	       enum loop_state *state, struct err *err);

/*
 * Makes the device, if it is not there yet, and binds it to the open file, if
 * that is not done yet; sectors have 512 bytes. ABORTED if it is bound to
 * another file.
 */
int loop_attach(unsigned int number, int fd, struct err *err);

/*
 * Removes the device if it is unbound or bound to that file, else does nothing.
 * A disk that somebody holds stays as it is: FAILED_PRECONDITION says who. A
 * process may have it open for half a second (udev does, at every change).
 * Nothing that was written to the disk is lost, synced or not.
 */
int loop_detach(unsigned int number, const struct loop_backing *backing,
		struct err *err);

#endif

#ifndef OIM_DEVFILE_H
#define OIM_DEVFILE_H

/*
 * What stands below /dev for a disk: its node, and a link by the name of its
 * bdev, /dev/disk/by-id/oim-NAME -> ../../DISK. DISK is the kernel's name of
 * the disk. Any thread; not two at once for the same disk.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "proto/lib/err.h"

/*
 * devtmpfs makes and removes the nodes of disks itself. In a container /dev may
 * be static: there these make the node if it is absent (0, or -1 and errno),
 * and remove it if it is that device's.
 */
int devfile_make_node(const char *disk, dev_t dev);
void devfile_remove_node(const char *disk, dev_t dev);

/*
 * Makes the link, in place of one that leads nowhere. One that leads to another
 * disk stays: two daemons may have a bdev of that name, and the first has it.
 */
int devfile_make_link(const char *name, const char *disk, struct err *err);

/* Removes the link if it leads to the disk; all such links if name is NULL. */
void devfile_remove_link(const char *name, const char *disk);

/* Whether the link leads to the disk. */
bool devfile_has_link(const char *name, const char *disk);

/* Whether it leads to a disk that is there, this or another one. */
bool devfile_is_link_taken(const char *name);

#endif

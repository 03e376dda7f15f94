#ifndef OIM_DISK_H
#define OIM_DISK_H

#include "cli/task.h"
#include "proto/lib/err.h"

/* Where a mapped volume is. Strings are in the task's arena, never NULL. */
struct disk {
	const char *controller; /* "" if it is not known */
	const char *path;       /* its node in /dev; "" if not on this host */
};

#define DISK_NAME_CONTROLLER 1u /* find out who it is, if need be */
#define DISK_WAIT            2u /* for a moment, until it appears */

/*
 * Looks for it on this host. device and scsi are those of MapVolumeReply;
 * controller is who mapped it, NULL for the only one of the daemon that
 * answers. Only a disk of a controller on this host is waited for, at most five
 * seconds; and what one on another host calls a virtual device is never taken
 * for a disk of this host.
 */
int disk_find(struct task *t, const char *controller, unsigned flags,
	      const char *device, const char *scsi, struct disk *disk,
	      struct err *err);

#endif

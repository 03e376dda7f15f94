#ifndef OIM_SYSBLOCK_H
#define OIM_SYSBLOCK_H

/*
 * Finds on this host the disk that an oim.v0.MapVolumeReply describes. The
 * rule: of the links in /sys/dev/block, partitions aside, exactly one has a
 * target that contains device and, if scsi is not empty, ":", scsi and
 * "/block/" as well. SCSI numbers are decimal. Any thread.
 */

#include "proto/lib/err.h"

#define SYSBLOCK_ROOT "/sys/dev/block"

struct sysblock_disk {
	char name[64]; /* of its node below /dev: "loop1000001" */
	unsigned int major;
	unsigned int minor;
};

/*
 * 1 and *disk; 0 if it is not there, or not yet; or -1. Several that fit are
 * FAILED_PRECONDITION, and the message lists them. Tests have a root of their
 * own, everybody else SYSBLOCK_ROOT.
 */
int sysblock_find(const char *root, const char *device, const char *scsi,
		  struct sysblock_disk *disk, struct err *err);

#endif

#ifndef OIM_HOLDER_H
#define OIM_HOLDER_H

/*
 * Who keeps a disk or a partition of it busy, said so that it completes the
 * sentence "DISK is ...". DISK is the kernel's name of it. Slow: all processes
 * are looked at. Any thread; the caller frees the text.
 */

/*
 * What has claimed the disk: "mounted at /mnt" (also of other mount
 * namespaces), "used as swap", "part of dm-0 (vg-data)". NULL if nothing is
 * known to.
 */
char *holder_find_claim(const char *disk);

/* "open in NAME (pid 7)", NULL if no process is seen to have it open. */
char *holder_find_process(const char *disk);

#endif

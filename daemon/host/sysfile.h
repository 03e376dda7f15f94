#ifndef OIM_SYSFILE_H
#define OIM_SYSFILE_H

/* One-line files of /proc and /sys. Any thread. */

/* The first line without its newline; the caller frees it. NULL and errno. */
char *sysfile_read(const char *path);

/* 0, or -1 and errno. */
int sysfile_write(const char *path, const char *text);

#endif

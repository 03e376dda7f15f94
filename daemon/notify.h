#ifndef OIM_NOTIFY_H
#define OIM_NOTIFY_H

/*
 * Telling systemd how the daemon fares (sd_notify(3)), without libsystemd. Does
 * nothing where nobody asked to be told.
 */

/* "READY=1", "STOPPING=1", "STATUS=...", several separated by newlines. */
void notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* RELOADING=1 with the time that systemd wants beside it. */
void notify_reloading(void);

#endif

#ifndef OIM_ID_H
#define OIM_ID_H

/*
 * Ids of controllers, volumes and block devices (design: Names): 1 to 253 bytes
 * of UTF-8 without "/" and without control characters. Any thread.
 */

#include <stddef.h>

#include "proto/lib/err.h"

#define ID_MAX 253

/* Bytes that id_file_name() needs: "h-", 64 hex digits, NUL. */
#define ID_FILE_NAME_SIZE 67

/*
 * INVALID_ARGUMENT if it cannot be an id; what says of what, as in "controller
 * id" or "volume id".
 */
int id_check(const char *id, const char *what, struct err *err);

/*
 * The name that stands for an id wherever a file, socket, export or store key
 * is named after it: the id itself if it is 1 to 64 of [A-Za-z0-9._-] and does
 * not begin with a dot or with "h-", else "h-" and its SHA-256 in hex. (An id
 * that begins with "h-" is hashed too, so that no two ids share a name.)
 * Returns name.
 */
char *id_file_name(const char *id, char name[ID_FILE_NAME_SIZE]);

/* A name that nobody else has: random hex digits that fill text, whose size is
 * odd (with its NUL) and at most 65. -1 with errno set; text is empty then. */
int id_random(char *text, size_t size);

#endif

#ifndef OIM_JSON_NUMBER_H
#define OIM_JSON_NUMBER_H

/*
 * Numbers as JSON writes them, and whole ones without a detour through floating
 * point. For json.c and json_read.c only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the number that s begins with; 0 if it begins with none. */
size_t json_number_size(const char *s);

/*
 * The whole number that a number of that form is: "10", "1e1" and "10.0" are
 * the same. NULL, or why it cannot be had.
 */
const char *json_number_whole(const char *s, bool *negative,
			      uint64_t *magnitude);

#endif

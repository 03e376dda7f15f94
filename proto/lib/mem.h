#ifndef OIM_MEM_H
#define OIM_MEM_H

/*
 * Heap memory that is always there: when there is none left, these functions
 * end the process with a line on stderr, as gRPC core does. So every size that
 * a peer chooses must be bounded before it comes here.
 *
 * What they return is freed with free(). Any thread.
 */

#include <stdarg.h>
#include <stddef.h>

void *mem_alloc(size_t size) __attribute__((malloc, alloc_size(1)));

/* Zeroed; ends the process if the product overflows. */
void *mem_zalloc(size_t count, size_t size)
	__attribute__((malloc, alloc_size(1, 2)));

/* As reallocarray(); ptr may be NULL. */
void *mem_realloc(void *ptr, size_t count, size_t size)
	__attribute__((alloc_size(2, 3)));

/* A copy of size bytes, followed by a NUL that is not counted. */
void *mem_dup(const void *data, size_t size);

/* A copy of the string; NULL for NULL. */
char *mem_strdup(const char *s);

char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *mem_vprintf(const char *format, va_list ap)
	__attribute__((format(printf, 1, 0)));

/* Overwrites a secret before it is freed; NULL is fine. */
void mem_free_secret(char *secret);

#endif

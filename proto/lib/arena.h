#ifndef OIM_ARENA_H
#define OIM_ARENA_H

/*
 * Memory that is freed all at once: whatever a call, a list or a decoded
 * message needs lives in one arena and dies with it. Nothing taken from an
 * arena is ever freed alone.
 *
 * An arena belongs to one thread at a time. Memory is aligned for any type.
 */

#include <stdarg.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

struct arena;

struct arena *arena_new(void);

/* Frees the arena with all that came from it; NULL is fine. */
void arena_free(struct arena *a);

/* Forgets all that came from it, keeping the memory for the next use. */
void arena_reset(struct arena *a);

void *arena_alloc(struct arena *a, size_t size);
void *arena_zalloc(struct arena *a, size_t count, size_t size);

/* A copy of size bytes, followed by a NUL that is not counted. */
void *arena_dup(struct arena *a, const void *data, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * An initialized message of that type, and an unpacked one (NULL if the bytes
 * do not decode). protobuf_c_message_free_unpacked() is never called on it.
 */
void *arena_message(struct arena *a, const ProtobufCMessageDescriptor *type);
void *arena_unpack(struct arena *a, const ProtobufCMessageDescriptor *type,
		   const void *data, size_t size);

static inline void cleanup_arena(struct arena **a)
{
	arena_free(*a);
}

#endif

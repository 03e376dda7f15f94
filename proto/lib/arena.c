/* Arenas: glibc's obstack under names of ours. */

#include "proto/lib/arena.h"

#include <limits.h>
#include <obstack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/lib/mem.h"

#define obstack_chunk_alloc mem_alloc
#define obstack_chunk_free  free

struct arena {
	struct obstack stack;
	void *bottom;
};

struct arena *arena_new(void)
{
	struct arena *a = mem_alloc(sizeof(*a));

	obstack_init(&a->stack);
	a->bottom = obstack_alloc(&a->stack, 0);
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	obstack_free(&a->stack, NULL);
	free(a);
}

void arena_reset(struct arena *a)
{
	obstack_free(&a->stack, a->bottom);
	a->bottom = obstack_alloc(&a->stack, 0);
}

/* An obstack counts in int and would take a larger size for a negative one. */
static int checked(size_t size)
{
	if (size > INT_MAX / 2)
		abort();
	return (int)size;
}

void *arena_alloc(struct arena *a, size_t size)
{
	return obstack_alloc(&a->stack, checked(size));
}

void *arena_zalloc(struct arena *a, size_t count, size_t size)
{
	size_t total;
	void *p;

	if (__builtin_mul_overflow(count, size, &total))
		abort();
	p = arena_alloc(a, total);
	return memset(p, 0, total);
}

void *arena_dup(struct arena *a, const void *data, size_t size)
{
	return obstack_copy0(&a->stack, size ? data : "", checked(size));
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_dup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (obstack_vprintf(&a->stack, format, ap) < 0)
		abort();
	va_end(ap);
	obstack_1grow(&a->stack, '\0');
	return obstack_finish(&a->stack);
}

void *arena_message(struct arena *a, const ProtobufCMessageDescriptor *type)
{
	void *message = arena_alloc(a, type->sizeof_message);

	protobuf_c_message_init(type, message);
	return message;
}

static void *unpack_alloc(void *data, size_t size)
{
	return arena_alloc(data, size);
}

static void unpack_free(void *data, void *pointer)
{
	(void)data;
	(void)pointer;
}

void *arena_unpack(struct arena *a, const ProtobufCMessageDescriptor *type,
		   const void *data, size_t size)
{
	ProtobufCAllocator allocator = {.alloc = unpack_alloc,
					.free = unpack_free,
					.allocator_data = a};

	return protobuf_c_message_unpack(type, &allocator, size, data);
}

#ifndef OIM_TESTS_LOG_CAPTURE_H
#define OIM_TESTS_LOG_CAPTURE_H

/* What is written to stderr meanwhile, as text. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/lib/mem.h"

struct log_capture {
	int saved, file;
};

static inline void log_capture_begin(struct log_capture *c)
{
	fflush(stderr);
	c->saved = dup(STDERR_FILENO);
	c->file = memfd_create("log", MFD_CLOEXEC);
	assert_int_not_equal(c->file, -1);
	/* as it must be where several threads write */
	assert_int_not_equal(fcntl(c->file, F_SETFL, O_APPEND), -1);
	assert_int_not_equal(dup2(c->file, STDERR_FILENO), -1);
}

/* The caller frees the text. */
static inline char *log_capture_end(struct log_capture *c)
{
	off_t size = lseek(c->file, 0, SEEK_END);
	char *text = mem_alloc((size_t)size + 1);

	assert_int_equal(pread(c->file, text, (size_t)size, 0), size);
	text[size] = '\0';
	dup2(c->saved, STDERR_FILENO);
	close(c->saved);
	close(c->file);
	return text;
}

#endif

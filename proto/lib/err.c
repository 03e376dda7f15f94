/* The error object. */

#include "proto/lib/err.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

int err_vset(struct err *err, int code, const char *format, va_list ap)
{
	assert(!err->msg);
	err->code = code;
	err->msg = mem_vprintf(format, ap);
	return -1;
}

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	err_vset(err, code, format, ap);
	va_end(ap);
	return -1;
}

int err_errno(struct err *err, const char *format, ...)
{
	int error = errno;
	CLEANUP(cleanup_free) char *context = NULL;
	va_list ap;
	char buf[128];

	va_start(ap, format);
	context = mem_vprintf(format, ap);
	va_end(ap);
	err_set(err, err_code_of_errno(error), "%s: %s", context,
		strerror_r(error, buf, sizeof(buf)));
	errno = error;
	return -1;
}

int err_wrap(struct err *err, const char *format, ...)
{
	CLEANUP(cleanup_free) char *context = NULL;
	CLEANUP(cleanup_free) char *cause = err->msg;
	va_list ap;

	assert(cause);
	va_start(ap, format);
	context = mem_vprintf(format, ap);
	va_end(ap);
	err->msg = mem_printf("%s: %s", context, cause);
	return -1;
}

int err_hint(struct err *err, const char *format, ...)
{
	char *old = err->hint; /* which the arguments may contain */
	va_list ap;

	assert(err->msg);
	va_start(ap, format);
	err->hint = mem_vprintf(format, ap);
	va_end(ap);
	free(old);
	return -1;
}

void err_clear(struct err *err)
{
	free(err->msg);
	free(err->hint);
	free(err->status);
	*err = ERR_INIT;
}

void err_move(struct err *to, struct err *from)
{
	err_clear(to);
	*to = *from;
	*from = ERR_INIT;
}

static const char *const code_names[] = {
	[GRPC_STATUS_OK] = "OK",
	[GRPC_STATUS_CANCELLED] = "CANCELLED",
	[GRPC_STATUS_UNKNOWN] = "UNKNOWN",
	[GRPC_STATUS_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
	[GRPC_STATUS_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
	[GRPC_STATUS_NOT_FOUND] = "NOT_FOUND",
	[GRPC_STATUS_ALREADY_EXISTS] = "ALREADY_EXISTS",
	[GRPC_STATUS_PERMISSION_DENIED] = "PERMISSION_DENIED",
	[GRPC_STATUS_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
	[GRPC_STATUS_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
	[GRPC_STATUS_ABORTED] = "ABORTED",
	[GRPC_STATUS_OUT_OF_RANGE] = "OUT_OF_RANGE",
	[GRPC_STATUS_UNIMPLEMENTED] = "UNIMPLEMENTED",
	[GRPC_STATUS_INTERNAL] = "INTERNAL",
	[GRPC_STATUS_UNAVAILABLE] = "UNAVAILABLE",
	[GRPC_STATUS_DATA_LOSS] = "DATA_LOSS",
	[GRPC_STATUS_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *err_code_name(int code)
{
	static _Thread_local char other[24];

	if (code >= 0 && code < (int)(sizeof(code_names) / sizeof(*code_names)))
		return code_names[code];
	snprintf(other, sizeof(other), "CODE_%d", code);
	return other;
}

int err_code_of_errno(int error)
{
	switch (error) {
	case ENOENT:
		return GRPC_STATUS_NOT_FOUND;
	case EEXIST:
		return GRPC_STATUS_ALREADY_EXISTS;
	case EACCES:
	case EPERM:
		return GRPC_STATUS_PERMISSION_DENIED;
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
		return GRPC_STATUS_RESOURCE_EXHAUSTED;
	case EBUSY:
	case EADDRINUSE:
		return GRPC_STATUS_FAILED_PRECONDITION;
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENOTCONN:
	case EPIPE:
		return GRPC_STATUS_UNAVAILABLE;
	case ETIMEDOUT:
		return GRPC_STATUS_DEADLINE_EXCEEDED;
	default:
		return GRPC_STATUS_INTERNAL;
	}
}

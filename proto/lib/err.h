#ifndef OIM_ERR_H
#define OIM_ERR_H

/*
 * The error object: gRPC status codes and a sentence, from the device to the
 * terminal.
 *
 * A function that can fail returns 0 or -1 (or a pointer or NULL) and takes a
 * struct err as its last argument. Success leaves it alone; failure sets it
 * once; callers on the way up add context with err_wrap() or pass it on.
 * Nobody prints but the two places that end a request: the reply of the daemon
 * and main() of the client.
 *
 *	CLEANUP(err_clear) struct err err = ERR_INIT;
 *
 * The message is a phrase without a final stop or newline that names the object
 * and the cause: it is printed after "oimctl: ". A pointer to an err is never
 * NULL. An err belongs to one thread at a time.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <grpc/status.h>

struct err {
	int code;     /* a grpc_status_code; 0 while nothing went wrong */
	char *msg;    /* owned */
	char *hint;   /* what the user can do next, or NULL; owned */
	void *status; /* encoded google.rpc.Status as it came from a server, */
	size_t status_size; /* or NULL; owned */
};

#define ERR_INIT ((struct err){0})

/* Sets the error and returns -1. What the message says must be UTF-8. */
int err_set(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int err_vset(struct err *err, int code, const char *format, va_list ap)
	__attribute__((format(printf, 3, 0)));

/*
 * The same for a failed system call: the code follows from errno (see
 * err_code_of_errno) and the message ends in ": " and strerror(errno).
 */
int err_errno(struct err *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Puts "context: " before the message of an error that is set; returns -1. */
int err_wrap(struct err *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Says what can be done about an error that is set; returns -1. */
int err_hint(struct err *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Frees what it owns and makes it ERR_INIT again. Fits CLEANUP(). */
void err_clear(struct err *err);

/* Moves an error; whatever was in to is cleared, from becomes ERR_INIT. */
void err_move(struct err *to, struct err *from);

/* "UNAVAILABLE" and so on; "CODE_99" in a static buffer for unknown ones. */
const char *err_code_name(int code);

/*
 * ENOENT: NOT_FOUND, EEXIST: ALREADY_EXISTS, EACCES and EPERM:
 * PERMISSION_DENIED, ENOSPC, EDQUOT, EMFILE, ENFILE: RESOURCE_EXHAUSTED, EBUSY,
 * EADDRINUSE: FAILED_PRECONDITION, ECONNREFUSED and its kind: UNAVAILABLE,
 * ETIMEDOUT: DEADLINE_EXCEEDED, all others: INTERNAL.
 */
int err_code_of_errno(int error);

#endif

/* Why a connection failed: the sockets. The handshake is in diagnose_tls.c. */

#include "proto/lib/diagnose.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/diagnose_tls.h"
#include "proto/lib/units.h"

static int unavailable(struct err *err, const char *reason)
{
	return err_set(err, GRPC_STATUS_UNAVAILABLE, "%s", reason);
}

static int unavailable_errno(struct err *err, int error)
{
	char buf[128];

	if (error == ECONNREFUSED)
		return unavailable(err, "connection refused");
	return unavailable(err, strerror_r(error, buf, sizeof(buf)));
}

static void cleanup_addrinfo(struct addrinfo **list)
{
	if (*list)
		freeaddrinfo(*list);
}

static bool is_writable(int fd, int64_t until)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int64_t left = until - units_monotonic();

	return poll(&p, 1, left > 0 ? (int)(left / 1000000) : 0) == 1;
}

/* Returns 0 or an errno. */
static int try_connect(int fd, const struct sockaddr *addr, socklen_t size,
		       int64_t until)
{
	socklen_t n = sizeof(int);
	int error = 0;

	if (connect(fd, addr, size) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (!is_writable(fd, until))
		return ETIMEDOUT;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n);
	return error;
}

static int new_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void hint_group(const char *path, struct err *err)
{
	struct group group;
	struct group *found = NULL;
	struct stat st;
	char buf[4096];

	if (stat(path, &st) == 0 && (st.st_mode & S_IWGRP))
		getgrgid_r(st.st_gid, &group, buf, sizeof(buf), &found);
	if (found)
		err_hint(err, "root and the group \"%s\" may connect",
			 found->gr_name);
	else
		err_hint(err, "try as root");
}

static int explain_unix(const char *path, int error, struct err *err)
{
	struct stat st;

	switch (error) {
	case ENOENT:
	case ENOTDIR:
		unavailable(err, "no such socket");
		return err_hint(err, "is the daemon running?");
	case EACCES:
	case EPERM:
		unavailable(err, "permission denied");
		hint_group(path, err);
		return -1;
	case ECONNREFUSED:
		if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
			return unavailable(err, "it is not a socket");
		unavailable(err, "nobody listens there (connection refused)");
		return err_hint(err, "is the daemon running?");
	case EAGAIN:
		return unavailable(err, "too many connections wait there");
	default:
		return unavailable_errno(err, error);
	}
}

static int diagnose_unix(const char *path, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = new_socket(AF_UNIX);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int error;

	if (fd == -1)
		return unavailable_errno(err, errno);
	if (strlen(path) >= sizeof(addr.sun_path))
		return unavailable(err, "the path is too long for a socket");
	memcpy(addr.sun_path, path, strlen(path));
	error = try_connect(fd, (struct sockaddr *)&addr, sizeof(addr), 0);
	return error ? explain_unix(path, error, err) : 0;
}

static int look_up(const struct address *a, struct addrinfo **list,
		   struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	char port[8];
	int error;

	snprintf(port, sizeof(port), "%u", (unsigned)a->port);
	error = getaddrinfo(*a->host ? a->host : NULL, port, &hints, list);
	if (error == EAI_NONAME || error == EAI_NODATA)
		return err_set(err, GRPC_STATUS_UNAVAILABLE,
			       "unknown host \"%s\"", a->host);
	if (error)
		return err_set(err, GRPC_STATUS_UNAVAILABLE,
			       "cannot look up host \"%s\": %s", a->host,
			       gai_strerror(error));
	return 0;
}

/* A socket that is connected to one of them, or -1 with the last error. */
static int connect_any(const struct addrinfo *list, int64_t until,
		       struct err *err)
{
	int error = EADDRNOTAVAIL;

	for (; list; list = list->ai_next) {
		CLEANUP(cleanup_fd) int fd = new_socket(list->ai_family);

		error = fd == -1 ? errno
				 : try_connect(fd, list->ai_addr,
					       list->ai_addrlen, until);
		if (!error)
			return steal_fd(&fd);
	}
	return unavailable_errno(err, error);
}

static int diagnose_tcp(const struct address *a, struct tls *tls,
			const char *tls_name, struct err *err)
{
	CLEANUP(cleanup_addrinfo) struct addrinfo *list = NULL;
	CLEANUP(cleanup_fd) int fd = -1;
	int64_t until;

	if (look_up(a, &list, err) < 0)
		return -1;
	until = units_monotonic() + UNITS_SECOND;
	fd = connect_any(list, until, err);
	if (fd == -1)
		return -1;
	return tls ? diagnose_tls(fd, tls, tls_name, a->host, until, err)
		   : diagnose_plaintext(fd, until, err);
}

int diagnose(const struct address *a, struct tls *tls, const char *tls_name,
	     struct err *err)
{
	return a->kind == ADDRESS_UNIX ? diagnose_unix(a->path, err)
				       : diagnose_tcp(a, tls, tls_name, err);
}

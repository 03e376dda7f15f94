/* Binding sockets, and accepting on the Unix ones. */

#include "daemon/rpc/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>

#include "daemon/log.h"
#include "daemon/rpc/peer.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define LOG_COMPONENT "rpc"

#define SOCKET_GROUP "oim"
#define SOCKET_MODE  0660

struct listener {
	grpc_server *server;
	char *path;
	int fd, lock;
	struct stat st; /* of the socket when it was ours */
};

struct listeners {
	struct listener *items;
	size_t n;
	int stop; /* an eventfd */
	bool is_out_of_descriptors;
	grpc_server_credentials *creds;
	pthread_t thread;
	bool is_running;
};

struct listeners *listeners_new(void)
{
	struct listeners *ls = mem_zalloc(1, sizeof(*ls));

	ls->stop = eventfd(0, EFD_CLOEXEC);
	ls->creds = grpc_insecure_server_credentials_create();
	return ls;
}

/* --- Unix sockets --- */

/* Takes the lock beside the socket. Its last holder removes the file, so make
 * sure that what we locked is what is there. */
static int lock_path(const char *path, struct err *err)
{
	CLEANUP(cleanup_free) char *name = mem_printf("%s.lock", path);
	struct stat ours, there;

	for (;;) {
		CLEANUP(cleanup_fd)
		int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			      0600);

		if (fd == -1)
			return err_errno(err, "cannot create \"%s\"", name);
		if (flock(fd, LOCK_EX | LOCK_NB) == -1)
			return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
				       "another daemon listens on \"%s\"",
				       path);
		if (fstat(fd, &ours) == 0 && stat(name, &there) == 0 &&
		    ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
			return steal_fd(&fd);
	}
}

static void unlock_path(const char *path, int lock)
{
	CLEANUP(cleanup_free) char *name = mem_printf("%s.lock", path);

	unlink(name);
	close(lock);
}

static int fill_address(const char *path, struct sockaddr_un *sun,
			struct err *err)
{
	*sun = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(sun->sun_path))
		return err_set(
			err, GRPC_STATUS_INVALID_ARGUMENT,
			"the socket path \"%s\" is longer than %zu bytes", path,
			sizeof(sun->sun_path) - 1);
	memcpy(sun->sun_path, path, strlen(path) + 1);
	return 0;
}

/* Removes a socket that nobody answers on. */
static int clear_stale(const struct sockaddr_un *sun, struct err *err)
{
	CLEANUP(cleanup_fd)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd == -1)
		return err_errno(err, "cannot create a socket");
	if (lstat(sun->sun_path, &st) == -1) {
		if (errno == ENOENT)
			return 0;
		return err_errno(err, "cannot look at \"%s\"", sun->sun_path);
	}
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "\"%s\" exists and is not a socket",
			       sun->sun_path);
	if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 ||
	    errno == EAGAIN || errno == EINPROGRESS)
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "another program listens on \"%s\"",
			       sun->sun_path);
	if (errno != ECONNREFUSED && errno != ENOENT)
		return err_errno(err, "cannot tell who listens on \"%s\"",
				 sun->sun_path);
	if (unlink(sun->sun_path) == -1 && errno != ENOENT)
		return err_errno(err, "cannot replace \"%s\"", sun->sun_path);
	return 0;
}

/* What the socket may be used by: those who may open it for writing. */
static int set_owner(const char *path, struct err *err)
{
	struct group *group = getgrnam(SOCKET_GROUP);

	if (group && chown(path, (uid_t)-1, group->gr_gid) == -1)
		log_warn("\"%s\" does not get the group \"" SOCKET_GROUP
			 "\": %m",
			 path);
	if (chmod(path, SOCKET_MODE) == -1)
		return err_errno(err, "cannot set the mode of \"%s\"", path);
	return 0;
}

static int bind_unix(const struct sockaddr_un *sun, struct err *err)
{
	CLEANUP(cleanup_fd)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int rc;

	if (fd == -1)
		return err_errno(err, "cannot create a socket");
	mask = umask(0777); /* nobody may connect before the owner is right */
	rc = bind(fd, (const struct sockaddr *)sun, sizeof(*sun));
	umask(mask);
	if (rc == -1)
		return err_errno(err, "cannot listen on \"%s\"", sun->sun_path);
	if (set_owner(sun->sun_path, err) == -1) {
		unlink(sun->sun_path);
		return -1;
	}
	if (listen(fd, SOMAXCONN) == -1)
		return err_errno(err, "cannot listen on \"%s\"", sun->sun_path);
	return steal_fd(&fd);
}

int listeners_add_unix(struct listeners *ls, grpc_server *server,
		       const char *path, struct err *err)
{
	struct listener l = {.server = server, .fd = -1};
	struct sockaddr_un sun;

	if (fill_address(path, &sun, err) == -1)
		return -1;
	l.lock = lock_path(path, err);
	if (l.lock == -1)
		return -1;
	if (clear_stale(&sun, err) == 0)
		l.fd = bind_unix(&sun, err);
	if (l.fd == -1) {
		unlock_path(path, l.lock);
		return -1;
	}
	lstat(path, &l.st);
	l.path = mem_strdup(path);
	ls->items = mem_realloc(ls->items, ls->n + 1, sizeof(l));
	ls->items[ls->n++] = l;
	return 0;
}

/* The connection waits. */
static void pause_accepting(struct listeners *ls, const struct listener *l)
{
	struct pollfd stop = {ls->stop, POLLIN, 0};

	if (!ls->is_out_of_descriptors)
		log_warn("cannot accept on \"%s\": %m", l->path);
	ls->is_out_of_descriptors = true;
	poll(&stop, 1, 100);
}

static void accept_all(struct listeners *ls, const struct listener *l)
{
	for (;;) {
		int fd = accept4(l->fd, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			ls->is_out_of_descriptors = false;
			peer_remember(fd);
			grpc_server_add_channel_from_fd(l->server, fd,
							ls->creds);
		} else if (errno == EMFILE || errno == ENFILE ||
			   errno == ENOMEM || errno == ENOBUFS) {
			pause_accepting(ls, l);
			return;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return;
		}
	}
}

static void *run(void *arg)
{
	struct listeners *ls = arg;
	CLEANUP(cleanup_free)
	struct pollfd *fds = mem_zalloc(ls->n + 1, sizeof(*fds));

	for (size_t i = 0; i < ls->n; i++)
		fds[i] = (struct pollfd){ls->items[i].fd, POLLIN, 0};
	fds[ls->n] = (struct pollfd){ls->stop, POLLIN, 0};
	while (!fds[ls->n].revents) {
		if (poll(fds, ls->n + 1, -1) == -1)
			continue;
		for (size_t i = 0; i < ls->n; i++)
			if (fds[i].revents)
				accept_all(ls, &ls->items[i]);
	}
	return NULL;
}

int listeners_start(struct listeners *ls, struct err *err)
{
	int error;

	if (!ls->n)
		return 0;
	error = pthread_create(&ls->thread, NULL, run, ls);
	if (error) {
		errno = error;
		return err_errno(err, "cannot start a thread");
	}
	pthread_setname_np(ls->thread, "accept");
	ls->is_running = true;
	return 0;
}

void listeners_stop(struct listeners *ls)
{
	struct stat st;

	if (ls->is_running) {
		eventfd_write(ls->stop, 1);
		pthread_join(ls->thread, NULL);
		ls->is_running = false;
	}
	for (size_t i = 0; i < ls->n; i++) {
		struct listener *l = &ls->items[i];

		close(l->fd);
		if (lstat(l->path, &st) == 0 && st.st_dev == l->st.st_dev &&
		    st.st_ino == l->st.st_ino)
			unlink(l->path);
		unlock_path(l->path, l->lock);
		free(l->path);
	}
	ls->n = 0;
}

void listeners_free(struct listeners *ls)
{
	listeners_stop(ls);
	free(ls->items);
	close(ls->stop);
	grpc_server_credentials_release(ls->creds);
	free(ls);
}

/* --- TCP --- */

/*
 * Core only says that it could not bind, so try before it does: 0, or -1 with
 * errno set.
 */
static int try_bind(const struct addrinfo *ai)
{
	CLEANUP(cleanup_fd)
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(fd, ai->ai_addr, ai->ai_addrlen);
}

static void set_port(struct sockaddr *sa, int port)
{
	if (sa->sa_family == AF_INET6)
		((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)sa)->sin_port = htons(port);
}

/* Binds one address; 0 if this host does not have it, else its port. */
static int bind_tcp(grpc_server *server, const struct addrinfo *ai, int port,
		    grpc_server_credentials *creds, struct err *err)
{
	char host[NI_MAXHOST];
	CLEANUP(cleanup_free) char *text = NULL;
	int bound;

	set_port(ai->ai_addr, port);
	getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof(host), NULL, 0,
		    NI_NUMERICHOST);
	text = mem_printf(ai->ai_family == AF_INET6 ? "[%s]:%d" : "%s:%d", host,
			  port);
	if (try_bind(ai) == -1) {
		if (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)
			return 0;
		return err_errno(err, "cannot listen on %s", text);
	}
	bound = grpc_server_add_http2_port(server, text, creds);
	if (!bound)
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "cannot listen on %s", text);
	return bound;
}

/* Whether an address before it in the list is the same. */
static bool is_repeated(const struct addrinfo *list, const struct addrinfo *ai)
{
	for (; list != ai; list = list->ai_next) {
		set_port(ai->ai_addr, 0);
		set_port(list->ai_addr, 0);
		if (list->ai_addrlen == ai->ai_addrlen &&
		    memcmp(list->ai_addr, ai->ai_addr, ai->ai_addrlen) == 0)
			return true;
	}
	return false;
}

static int bind_all(grpc_server *server, const char *host,
		    grpc_server_credentials *creds, int *port, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(host, NULL, &hints, &list);
	int bound = 0, n = 0;

	if (rc)
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "cannot listen on \"%s\": %s", host,
			       gai_strerror(rc));
	for (struct addrinfo *ai = list; ai && bound != -1; ai = ai->ai_next) {
		if (is_repeated(list, ai))
			continue;
		bound = bind_tcp(server, ai, *port, creds, err);
		if (bound > 0) {
			*port = bound;
			n++;
		}
	}
	freeaddrinfo(list);
	return bound == -1 ? -1 : n;
}

int listen_tcp(grpc_server *server, const struct address *a,
	       grpc_server_credentials *creds, int *port, struct err *err)
{
	int n;

	*port = a->port;
	if (*a->host) {
		n = bind_all(server, a->host, creds, port, err);
	} else {
		/* Every interface: one dual-stack socket, where there is
		 * IPv6. */
		n = bind_all(server, "::", creds, port, err);
		if (n == 0)
			n = bind_all(server, "0.0.0.0", creds, port, err);
	}
	if (n == 0)
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "this host does not have the address \"%s\"",
			       a->host);
	return n == -1 ? -1 : 0;
}

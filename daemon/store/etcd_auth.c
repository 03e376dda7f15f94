/*
 * The token that etcd gives for user and password. It is asked for when there
 * is none and forgotten when etcd does not take it: it ends when it was not
 * used for a while, and with the server that gave it.
 */

#include "daemon/store/etcd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define LOG_COMPONENT "store"

#define MAX_PASSWORD 1024

static void cleanup_secret(char **secret)
{
	mem_free_secret(*secret);
}

/* --- password --- */

static int bad_file(const struct etcd *s, const char *why, struct err *err)
{
	return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
		       "password file %s: %s", s->password_file, why);
}

static int open_file(const struct etcd *s, struct err *err)
{
	int fd = open(s->password_file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char buf[128];
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1) {
		bad_file(s, strerror_r(errno, buf, sizeof(buf)), err);
	} else if (st.st_mode & S_IRWXO) {
		bad_file(s, "others have access to it", err);
		err_hint(err, "chmod o= %s", s->password_file);
	} else {
		return fd;
	}
	if (fd != -1)
		close(fd);
	return -1;
}

/* What is in the file, without the end of the line; NULL if it is no password.
 */
static char *read_password(const struct etcd *s, struct err *err)
{
	CLEANUP(cleanup_fd) int fd = open_file(s, err);
	CLEANUP(cleanup_secret) char *text = NULL;
	ssize_t n;

	if (fd == -1)
		return NULL;
	text = mem_zalloc(1, MAX_PASSWORD + 1);
	n = read(fd, text, MAX_PASSWORD);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		text[--n] = '\0';
	if (n > 0 && n < MAX_PASSWORD && strlen(text) == (size_t)n)
		return STEAL(text);
	bad_file(s, "it holds no password", err);
	return NULL;
}

int etcd_auth_check(const struct etcd *s, struct err *err)
{
	CLEANUP(cleanup_secret) char *password = NULL;

	if (!s->user)
		return 0;
	password = read_password(s, err);
	return password ? 0 : -1;
}

/* --- token --- */

static bool needs_token(struct etcd *s)
{
	bool needs;

	pthread_mutex_lock(&s->lock);
	needs = s->user && !s->no_auth && !s->token;
	pthread_mutex_unlock(&s->lock);
	return needs;
}

/* A copy in the arena, or NULL. */
static char *token_of(struct etcd *s, struct arena *a)
{
	char *token;

	pthread_mutex_lock(&s->lock);
	token = s->token ? arena_strdup(a, s->token) : NULL;
	pthread_mutex_unlock(&s->lock);
	return token;
}

/* NULL: etcd asks for none. */
static void keep_token(struct etcd *s, const char *token)
{
	char *old;

	pthread_mutex_lock(&s->lock);
	old = s->token;
	s->token = mem_strdup(token);
	s->no_auth = !token;
	pthread_mutex_unlock(&s->lock);
	mem_free_secret(old);
}

static int authenticate(struct etcd *s, size_t at, int64_t deadline,
			struct arena *a, struct err *err)
{
	Etcdserverpb__AuthenticateRequest request =
		ETCDSERVERPB__AUTHENTICATE_REQUEST__INIT;
	struct client_call call = {
		.method = "/etcdserverpb.Auth/Authenticate",
		.reply_type = &etcdserverpb__authenticate_response__descriptor,
		.deadline = deadline,
	};
	CLEANUP(cleanup_secret) char *password = read_password(s, err);
	const Etcdserverpb__AuthenticateResponse *reply;

	if (!password)
		return -1;
	request.name = s->user;
	request.password = password;
	reply = client_unary(s->endpoints[at].client, &call, &request.base, a,
			     err);
	if (reply) {
		keep_token(s, reply->token);
		return 0;
	}
	if (!strstr(err->msg, "authentication is not enabled"))
		return err_wrap(err, "user \"%s\"", s->user);
	log_info("etcd asks for no password, and gets none");
	err_clear(err);
	keep_token(s, NULL);
	return 0;
}

int etcd_auth_metadata(struct etcd *s, size_t at, int64_t deadline,
		       struct arena *a, struct client_md md[ETCD_MD], size_t *n,
		       struct err *err)
{
	const char *token;
	int rc = 0;

	md[0] = (struct client_md){"hasleader", "true", 4};
	*n = 1;
	if (needs_token(s)) {
		pthread_mutex_lock(&s->authenticating);
		if (needs_token(s))
			rc = authenticate(s, at, deadline, a, err);
		pthread_mutex_unlock(&s->authenticating);
	}
	token = token_of(s, a);
	if (token)
		md[(*n)++] = (struct client_md){"token", token, strlen(token)};
	return rc;
}

void etcd_auth_forget(struct etcd *s, const struct client_md *md, size_t n)
{
	char *old = NULL;

	pthread_mutex_lock(&s->lock);
	s->no_auth = false;
	/* Another call may have got a new one meanwhile. */
	if (n == ETCD_MD && s->token && strcmp(s->token, md[1].value) == 0)
		old = STEAL(s->token);
	pthread_mutex_unlock(&s->lock);
	mem_free_secret(old);
}

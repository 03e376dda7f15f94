/* Which server, and how to talk to it. */

#include "cli/connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cli/interrupt.h"
#include "proto/lib/address.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/tls.h"

void connection_clear(struct connection *c)
{
	interrupt_aim(NULL);
	client_free(c->client);
	tls_unref(c->tls);
	free(c->key);
	free(c->name);
	*c = (struct connection){0};
}

/* --- the usual sockets --- */

/* 0 if somebody answers there, else an errno. */
static int probe(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	CLEANUP(cleanup_fd)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return errno;
	if (strlen(path) >= sizeof(addr.sun_path))
		return ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	/* EAGAIN: so many want to talk to it that it is surely alive. */
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 ||
	    errno == EAGAIN)
		return 0;
	return errno;
}

/*
 * The first that answers; else one that may not be used, so that the error says
 * so. The caller frees it.
 */
static char *find_usual(struct err *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	CLEANUP(cleanup_free)
	char *own = runtime && *runtime == '/'
			    ? mem_printf("%s/oim/oimd.sock", runtime)
			    : NULL;
	const char *const paths[] = {"/run/oim/oimd.sock",
				     "/run/oim/registry.sock", own, NULL};
	const char *forbidden = NULL;

	for (const char *const *p = paths; *p; p++) {
		int error = probe(*p);

		if (!error)
			return mem_strdup(*p);
		if (error == EACCES && !forbidden)
			forbidden = *p;
	}
	if (forbidden)
		return mem_strdup(forbidden);
	err_set(err, GRPC_STATUS_UNAVAILABLE,
		"no server: nobody answers on %s, %s%s%s", paths[0], paths[1],
		own ? ", " : "", own ? own : "");
	err_hint(err, "start oimd, or say with --server where it is");
	return NULL;
}

/* --- TLS --- */

static const enum setting tls_settings[] = {SETTING_CACERT, SETTING_CERT,
					    SETTING_KEY};
#define TLS_SETTINGS (sizeof(tls_settings) / sizeof(*tls_settings))

/* How strongly TLS is asked for: the strongest of what it needs. */
static int tls_rank(const struct settings *s)
{
	int rank = -1;

	for (size_t i = 0; i < TLS_SETTINGS; i++)
		if (settings_get(s, tls_settings[i]) &&
		    (int)s->all[tls_settings[i]].rank > rank)
			rank = (int)s->all[tls_settings[i]].rank;
	return rank;
}

static int check_complete(const struct settings *s, const char *server,
			  struct err *err)
{
	char missing[64] = "";
	size_t n = 0;

	for (size_t i = 0; i < TLS_SETTINGS; i++)
		if (!settings_get(s, tls_settings[i]))
			n += (size_t)snprintf(missing + n, sizeof(missing) - n,
					      " --%s",
					      settings_name(tls_settings[i]));
	if (!n)
		return 0;
	err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		"%s is reached by TCP, and there is no%s", server, missing);
	return err_hint(
		err,
		"give the files of your certificate, or --plaintext if the server does without TLS");
}

/* *tls stays NULL where there shall be none. */
static int open_tls(const struct settings *s, const char *server,
		    struct tls **tls, struct err *err)
{
	int rank = tls_rank(s);
	struct tls_files files = {
		.ca = settings_get(s, SETTING_CACERT),
		.cert = settings_get(s, SETTING_CERT),
		.key = settings_get(s, SETTING_KEY),
	};

	if (s->plaintext && rank == (int)s->all[SETTING_PLAINTEXT].rank)
		return err_set(
			err, GRPC_STATUS_INVALID_ARGUMENT,
			"--plaintext and --cacert, --cert, --key exclude each other");
	if (s->plaintext && rank < (int)s->all[SETTING_PLAINTEXT].rank)
		return 0;
	if (check_complete(s, server, err) == -1)
		return -1;
	*tls = tls_new(&files, err);
	return *tls ? 0 : -1;
}

/* --- the connection --- */

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static char *key_of(const struct settings *s)
{
	return mem_printf("%s\n%s\n%s\n%s\n%s\n%d",
			  or_empty(settings_get(s, SETTING_SERVER)),
			  or_empty(settings_get(s, SETTING_CACERT)),
			  or_empty(settings_get(s, SETTING_CERT)),
			  or_empty(settings_get(s, SETTING_KEY)),
			  settings_get(s, SETTING_TLS_NAME), s->plaintext);
}

static struct client *open_address(struct connection *c,
				   const struct settings *s, const char *server,
				   struct err *err)
{
	CLEANUP(address_clear) struct address a = {0};
	struct client_config config = {.address = server};

	if (address_parse_server(server, &a, err) == -1)
		return NULL;
	c->is_local = a.kind == ADDRESS_UNIX;
	c->name = address_format(&a);
	if (!c->is_local && open_tls(s, c->name, &c->tls, err) == -1)
		return NULL;
	config.tls = c->tls;
	config.tls_name = settings_get(s, SETTING_TLS_NAME);
	return c->client = client_new(&config, err);
}

struct client *connection_open(struct connection *c, const struct settings *s,
			       struct err *err)
{
	CLEANUP(cleanup_free) char *key = key_of(s);
	CLEANUP(cleanup_free) char *usual = NULL;
	const char *server = settings_get(s, SETTING_SERVER);

	if (c->client && strcmp(c->key, key) == 0)
		return c->client;
	connection_clear(c);
	if (!server && !(server = usual = find_usual(err)))
		return NULL;
	if (!open_address(c, s, server, err)) {
		connection_clear(c);
		return NULL;
	}
	c->key = STEAL(key);
	return c->client;
}

/* The daemon's configuration. */

#include "daemon/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config_etcd.h"
#include "proto/lib/address.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

#define DEFAULT_FILE "/etc/oim/oimd.conf"

/* So that it can be added up. */
#define MAX_DURATION (365 * 86400 * UNITS_SECOND)

static const struct conf_key known[] = {
	{"daemon", "listen", CONF_LIST,
	 "addresses to listen on: unix:/path, host:port"},
	{"daemon", "plaintext", 0, "allow TCP without TLS on loopback"},
	{"daemon", "run-dir", 0, "where the default socket is"},
	{"daemon", "state-dir", 0, "where what must survive is kept"},
	{"daemon", "drain", 0, "how long calls may finish at a stop"},
	{"store", "engine", 0, "lmdb or etcd"},
	{"store", "path", 0, "directory of the store"},
	{"store", "endpoints", CONF_LIST, "members of etcd: host:port"},
	{"store", "prefix", 0, "of all keys in etcd"},
	{"store", "ca", 0, "authorities that are trusted to know etcd"},
	{"store", "cert", 0, "certificate to show to etcd"},
	{"store", "key", 0, "private key of that certificate"},
	{"store", "user", 0, "user of etcd"},
	{"store", "password-file", 0, "file with the user's password"},
	{"registry", "enabled", 0, "serve the registry"},
	{"controller", "enabled", 0, "have a controller by default"},
	{"controller", "plane", 0, "kernel or null"},
	{"controller", "registry", 0, "registry to register with"},
	{"controller", "interval", 0, "time between registrations"},
	{"controller", "malloc-limit", 0, "most bytes of malloc bdevs"},
	{"controller", "plane", CONF_NAMED, "kernel or null"},
	{"controller", "registry", CONF_NAMED, "registry to register with"},
	{"controller", "address", CONF_NAMED, "address to register"},
	{"controller", "interval", CONF_NAMED, "time between registrations"},
	{"controller", "memory-dir", CONF_NAMED,
	 "directory on a tmpfs for malloc bdevs"},
	{"controller", "malloc-limit", CONF_NAMED,
	 "most bytes of malloc bdevs"},
	{"tls", "ca", 0, "certificates of the authorities that are trusted"},
	{"tls", "cert", 0, "own certificate"},
	{"tls", "key", 0, "private key of the certificate"},
	{"tls", "crl", 0, "revocation lists"},
	{"log", "level", 0, "error, warn, info or debug"},
	{"log", "format", 0, "text, logfmt or json"},
	{"limits", "workers", 0, "threads for calls that may block"},
	{"limits", "queue", 0, "calls that may wait for a thread"},
	{NULL, NULL, 0, NULL},
};

/* Keeps a string that was made up for as long as the config. */
static const char *own(struct config *c, char *s)
{
	c->owned = mem_realloc(c->owned, c->n_owned + 1, sizeof(*c->owned));
	return c->owned[c->n_owned++] = s;
}

static const char *get(const struct config *c, const char *section,
		       const char *key, const char *otherwise)
{
	const char *value = conf_get(c->conf, section, NULL, key);

	return value ? value : otherwise;
}

/* --- defaults: those of the system for root, else those of the user --- */

static char *default_run_dir(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0)
		return mem_strdup("/run/oim");
	if (runtime && *runtime == '/')
		return mem_printf("%s/oim", runtime);
	return mem_printf("/tmp/oim-%d", (int)geteuid());
}

static char *default_state_dir(void)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (geteuid() == 0)
		return mem_strdup("/var/lib/oim");
	if (state && *state == '/')
		return mem_printf("%s/oim", state);
	return mem_printf("%s/.local/state/oim", home ? home : "/tmp");
}

static char *default_memory_dir(const char *id)
{
	char name[ID_FILE_NAME_SIZE];

	if (geteuid() == 0)
		return mem_printf("/dev/shm/oim/%s", id_file_name(id, name));
	return mem_printf("/dev/shm/oim-%d/%s", (int)geteuid(),
			  id_file_name(id, name));
}

/* --- sections --- */

int config_bad_value(const struct config *c, const char *section,
		     const char *name, const char *key, const char *right,
		     struct err *err)
{
	const char *value = conf_get(c->conf, section, name, key);

	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		       "%s: %s%s%s.%s = %s: %s",
		       conf_origin(c->conf, section, name, key), section,
		       name ? "." : "", name ? name : "", key, value, right);
}

/* *ns keeps what it is if the key is not set. */
static int get_duration(const struct config *c, const char *section,
			const char *name, const char *key, int64_t min,
			int64_t *ns, struct err *err)
{
	CLEANUP(cleanup_free) char *least = units_format_duration(min);
	CLEANUP(cleanup_free)
	char *right = mem_printf("must be from %s to 365d", least);

	if (conf_get_duration(c->conf, section, name, key, ns, err) == -1)
		return -1;
	if (*ns >= min && *ns <= MAX_DURATION)
		return 0;
	return config_bad_value(c, section, name, key, right, err);
}

struct origin {
	const char *value; /* one of the conf's own strings */
	const char *text;
};

static void match_origin(void *arg, const char *section, const char *name,
			 const char *key, const char *value, const char *origin)
{
	struct origin *o = arg;

	(void)section;
	(void)name;
	(void)key;
	if (value == o->value)
		o->text = origin;
}

/* Says of an error which address of the list it is about. */
static int bad_listen(const struct config *c, const char *address,
		      struct err *err)
{
	struct origin o = {address, "default"};

	conf_each(c->conf, match_origin, &o);
	return err_wrap(err, "%s: daemon.listen", o.text);
}

static int check_listen(const struct config *c, struct err *err)
{
	size_t n = 0;
	CLEANUP(cleanup_free) char **seen = NULL;
	int rc = 0;

	for (; c->listen[n]; n++)
		;
	seen = mem_zalloc(n, sizeof(*seen));
	for (size_t i = 0; i < n && rc == 0; i++) {
		CLEANUP(address_clear) struct address a = {0};

		rc = address_parse_listen(c->listen[i], &a, err);
		if (rc == 0)
			seen[i] = address_format(&a);
		for (size_t k = 0; k < i && rc == 0; k++)
			if (strcmp(seen[k], seen[i]) == 0 &&
			    (a.kind == ADDRESS_UNIX || a.port))
				rc = err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
					     "%s is there twice", seen[i]);
		if (rc == -1)
			bad_listen(c, c->listen[i], err);
	}
	for (size_t i = 0; i < n; i++)
		free(seen[i]);
	return rc;
}

static int read_daemon(struct config *c, struct err *err)
{
	c->listen = conf_list(c->conf, "daemon", NULL, "listen");
	if (!*c->listen) {
		c->run_dir = get(c, "daemon", "run-dir", NULL);
		if (!c->run_dir)
			c->run_dir = own(c, default_run_dir());
		c->default_listen[0] =
			own(c, mem_printf("unix:%s/oimd.sock", c->run_dir));
		c->listen = c->default_listen;
	}
	c->drain = 10 * UNITS_SECOND;
	if (check_listen(c, err) == -1 ||
	    conf_get_bool(c->conf, "daemon", NULL, "plaintext", &c->plaintext,
			  err) == -1)
		return -1;
	return get_duration(c, "daemon", NULL, "drain", 0, &c->drain, err);
}

static int read_store(struct config *c, struct err *err)
{
	if (config_read_etcd(c, err) == -1)
		return -1;
	c->store_path = get(c, "store", "path", NULL);
	if (!c->store_path) {
		c->state_dir = get(c, "daemon", "state-dir", NULL);
		if (!c->state_dir)
			c->state_dir = own(c, default_state_dir());
		c->store_path = own(c, mem_printf("%s/store", c->state_dir));
	}
	c->registry = true;
	return conf_get_bool(c->conf, "registry", NULL, "enabled", &c->registry,
			     err);
}

static int read_tls(struct config *c, struct err *err)
{
	c->tls = (struct tls_files){
		.ca = get(c, "tls", "ca", NULL),
		.cert = get(c, "tls", "cert", NULL),
		.key = get(c, "tls", "key", NULL),
		.crl = get(c, "tls", "crl", NULL),
	};
	if (!c->tls.ca == !c->tls.cert && !c->tls.ca == !c->tls.key &&
	    (c->tls.ca || !c->tls.crl))
		return 0;
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		       "TLS needs all of tls.ca, tls.cert and tls.key");
}

static int read_log(struct config *c, struct err *err)
{
	c->log_level = log_level_parse(get(c, "log", "level", "info"));
	c->log_format = log_format_parse(get(c, "log", "format", "text"));
	if (!c->log_level)
		return config_bad_value(c, "log", NULL, "level",
					"must be error, warn, info or debug",
					err);
	if (!c->log_format)
		return config_bad_value(c, "log", NULL, "format",
					"must be text, logfmt or json", err);
	return 0;
}

static int read_limits(struct config *c, struct err *err)
{
	c->workers = 32;
	c->queue = 1024;
	if (conf_get_number(c->conf, "limits", NULL, "workers", 1, 1024,
			    &c->workers, err) == -1)
		return -1;
	return conf_get_number(c->conf, "limits", NULL, "queue", 1, 1000000,
			       &c->queue, err);
}

/* --- controllers --- */

const char *config_section_of(const struct config *c, const char *id,
			      const char *key)
{
	return conf_get(c->conf, "controller", id, key) ? id : NULL;
}

static const char *get_for(const struct config *c, const char *id,
			   const char *key)
{
	return conf_get(c->conf, "controller", config_section_of(c, id, key),
			key);
}

static int read_controller(struct config *c, const char *id, bool is_default,
			   struct err *err)
{
	struct config_controller *k = &c->controllers[c->n_controllers];
	const struct conf *conf = c->conf;
	const char *name;

	if (id_check(id, "controller id", err) == -1)
		return err_wrap(err, "[controller \"%s\"]", id);
	c->n_controllers++;
	*k = (struct config_controller){
		.id = is_default ? own(c, mem_strdup(id)) : id,
		.plane = get_for(c, id, "plane"),
		.registry = get_for(c, id, "registry"),
		.address = conf_get(conf, "controller", id, "address"),
		.interval = 60 * UNITS_SECOND,
		.memory_dir = conf_get(conf, "controller", id, "memory-dir"),
	};
	if (!k->plane)
		k->plane = "kernel";
	if (!k->memory_dir)
		k->memory_dir = own(c, default_memory_dir(id));
	name = config_section_of(c, id, "interval");
	if (get_duration(c, "controller", name, "interval", UNITS_SECOND / 10,
			 &k->interval, err) == -1)
		return -1;
	name = config_section_of(c, id, "malloc-limit");
	return conf_get_size(conf, "controller", name, "malloc-limit",
			     &k->malloc_limit, err);
}

static int read_controllers(struct config *c, struct err *err)
{
	const char *const *ids = conf_names(c->conf, "controller");
	bool enabled = true;
	char host[256] = "";
	size_t n = 0;

	for (; ids[n]; n++)
		;
	c->controllers = mem_zalloc(n + 1, sizeof(*c->controllers));
	if (conf_get_bool(c->conf, "controller", NULL, "enabled", &enabled,
			  err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (read_controller(c, ids[i], false, err) == -1)
			return -1;
	if (n || !enabled)
		return 0;
	gethostname(host, sizeof(host) - 1);
	return read_controller(c, host, true, err);
}

/* --- all of it --- */

static int check_unknown(const struct config *c, struct err *err)
{
	const char *const *unknown = conf_unknown(c->conf);

	if (!*unknown)
		return 0;
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "%s", *unknown);
}

static int read_sources(struct config *c, const char *path,
			const char *const *settings, struct err *err)
{
	const char *file = path ? path : DEFAULT_FILE;
	CLEANUP(cleanup_free) char *dir = mem_printf("%s.d", file);

	if (conf_read(c->conf, file, err) == -1) {
		if (path || err->code != GRPC_STATUS_NOT_FOUND)
			return -1;
		err_clear(err);
	}
	if (conf_read_dir(c->conf, dir, err) == -1)
		return -1;
	for (; *settings; settings++)
		if (conf_set(c->conf, *settings, err) == -1)
			return -1;
	return check_unknown(c, err);
}

struct config *config_read(const char *path, const char *const *settings,
			   struct err *err)
{
	CLEANUP(cleanup_config)
	struct config *c = mem_zalloc(1, sizeof(*c));

	c->conf = conf_new(known);
	if (read_sources(c, path, settings, err) == -1 ||
	    read_daemon(c, err) == -1 || read_store(c, err) == -1 ||
	    read_tls(c, err) == -1 || read_log(c, err) == -1 ||
	    read_limits(c, err) == -1 || read_controllers(c, err) == -1)
		return NULL;
	return STEAL(c);
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_owned; i++)
		free(c->owned[i]);
	free(c->owned);
	free(c->controllers);
	conf_free(c->conf);
	free(c);
}

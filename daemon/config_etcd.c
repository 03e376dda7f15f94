/* The daemon's configuration: etcd. */

#include "daemon/config_etcd.h"

#include <string.h>

#include "proto/lib/address.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

static const char *get(const struct config *c, const char *key)
{
	return conf_get(c->conf, "store", NULL, key);
}

static int missing(const char *key, const char *who, struct err *err)
{
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		       "store.%s is missing: %s needs it", key, who);
}

/* Other engines have no use for these. */
static int check_unused(const struct config *c, struct err *err)
{
	static const char *const keys[] = {
		"prefix", "ca", "cert", "key", "user", "password-file",
	};

	if (*conf_list(c->conf, "store", NULL, "endpoints"))
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "store.endpoints is for store.engine = etcd");
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (get(c, keys[i]))
			return config_bad_value(c, "store", NULL, keys[i],
						"is for store.engine = etcd",
						err);
	return 0;
}

/* Keys that need others. */
static int check_pairs(const struct config *c, struct err *err)
{
	static const char *const pairs[][2] = {
		{"cert", "key"},
		{"key", "cert"},
		{"cert", "ca"},
		{"user", "password-file"},
		{"password-file", "user"},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		if (get(c, pairs[i][0]) && !get(c, pairs[i][1])) {
			CLEANUP(cleanup_free)
			char *who = mem_printf("store.%s", pairs[i][0]);

			return missing(pairs[i][1], who, err);
		}
	return 0;
}

static int check_endpoints(const struct config *c, struct err *err)
{
	const char *const *e = c->etcd.endpoints;

	if (!*e)
		return missing("endpoints", "store.engine = etcd", err);
	for (; *e; e++) {
		CLEANUP(address_clear) struct address a = {0};

		if (address_parse_server(*e, &a, err) == -1)
			return err_wrap(err, "store.endpoints");
	}
	return 0;
}

static int check_prefix(const struct config *c, struct err *err)
{
	const char *prefix = c->etcd.prefix;
	size_t size = strlen(prefix);

	if (!size || prefix[size - 1] == '/')
		return 0;
	return config_bad_value(c, "store", NULL, "prefix",
				"must end with a slash", err);
}

int config_read_etcd(struct config *c, struct err *err)
{
	const char *engine = get(c, "engine");

	if (!engine || strcmp(engine, "lmdb") == 0)
		return check_unused(c, err);
	if (strcmp(engine, "etcd") != 0)
		return config_bad_value(c, "store", NULL, "engine",
					"must be lmdb or etcd", err);
	c->has_etcd = true;
	c->etcd = (struct store_etcd_config){
		.endpoints = conf_list(c->conf, "store", NULL, "endpoints"),
		.prefix = get(c, "prefix") ? get(c, "prefix") : "oim/",
		.tls = {.ca = get(c, "ca"),
			.cert = get(c, "cert"),
			.key = get(c, "key")},
		.user = get(c, "user"),
		.password_file = get(c, "password-file"),
	};
	if (check_endpoints(c, err) == -1 || check_prefix(c, err) == -1)
		return -1;
	return check_pairs(c, err);
}

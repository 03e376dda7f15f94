/* The daemon's configuration as a file. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/config.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

static void print_value(const struct config *c, const char *section,
			const char *name, const char *key, const char *value)
{
	const char *origin = conf_origin(c->conf, section, name, key);

	if (value)
		printf("# %s\n%s = %s\n", origin ? origin : "default", key,
		       value);
}

static void print_duration(const struct config *c, const char *section,
			   const char *name, const char *key, int64_t ns)
{
	CLEANUP(cleanup_free) char *text = units_format_duration(ns);

	print_value(c, section, name, key, text);
}

static void print_number(const struct config *c, const char *section,
			 const char *name, const char *key, uint64_t number)
{
	CLEANUP(cleanup_free) char *text = mem_printf("%" PRIu64, number);

	print_value(c, section, name, key, text);
}

static void print_bool(const struct config *c, const char *section,
		       const char *key, bool value)
{
	print_value(c, section, NULL, key, value ? "yes" : "no");
}

static void print_controller(const struct config *c,
			     const struct config_controller *k)
{
	printf("\n[controller \"%s\"]\n", k->id);
	print_value(c, "controller", config_section_of(c, k->id, "plane"),
		    "plane", k->plane);
	print_value(c, "controller", config_section_of(c, k->id, "registry"),
		    "registry", k->registry);
	print_value(c, "controller", k->id, "address", k->address);
	print_duration(c, "controller", config_section_of(c, k->id, "interval"),
		       "interval", k->interval);
	print_value(c, "controller", k->id, "memory-dir", k->memory_dir);
	if (k->malloc_limit)
		print_number(c, "controller",
			     config_section_of(c, k->id, "malloc-limit"),
			     "malloc-limit", k->malloc_limit);
}

static void print_etcd(const struct config *c)
{
	const struct store_etcd_config *e = &c->etcd;

	for (const char *const *a = e->endpoints; *a; a++)
		print_value(c, "store", NULL, "endpoints", *a);
	print_value(c, "store", NULL, "prefix", e->prefix);
	print_value(c, "store", NULL, "ca", e->tls.ca);
	print_value(c, "store", NULL, "cert", e->tls.cert);
	print_value(c, "store", NULL, "key", e->tls.key);
	print_value(c, "store", NULL, "user", e->user);
	print_value(c, "store", NULL, "password-file", e->password_file);
}

void config_print(const struct config *c)
{
	printf("[daemon]\n");
	for (const char *const *l = c->listen; *l; l++)
		print_value(c, "daemon", NULL, "listen", *l);
	print_bool(c, "daemon", "plaintext", c->plaintext);
	print_value(c, "daemon", NULL, "run-dir", c->run_dir);
	print_value(c, "daemon", NULL, "state-dir", c->state_dir);
	print_duration(c, "daemon", NULL, "drain", c->drain);
	printf("\n[store]\n");
	print_value(c, "store", NULL, "engine", c->has_etcd ? "etcd" : "lmdb");
	print_value(c, "store", NULL, "path", c->store_path);
	if (c->has_etcd)
		print_etcd(c);
	printf("\n[registry]\n");
	print_bool(c, "registry", "enabled", c->registry);
	printf("\n[tls]\n");
	print_value(c, "tls", NULL, "ca", c->tls.ca);
	print_value(c, "tls", NULL, "cert", c->tls.cert);
	print_value(c, "tls", NULL, "key", c->tls.key);
	print_value(c, "tls", NULL, "crl", c->tls.crl);
	printf("\n[log]\n");
	print_value(c, "log", NULL, "level", log_level_name(c->log_level));
	print_value(c, "log", NULL, "format", log_format_name(c->log_format));
	printf("\n[limits]\n");
	print_number(c, "limits", NULL, "workers", c->workers);
	print_number(c, "limits", NULL, "queue", c->queue);
	if (!c->n_controllers)
		printf("\n[controller]\nenabled = no\n");
	for (size_t i = 0; i < c->n_controllers; i++)
		print_controller(c, &c->controllers[i]);
}

#ifndef OIM_CONFIG_H
#define OIM_CONFIG_H

/*
 * The daemon's configuration (oimd.conf(5)), read and checked; read by main
 * only. Strings belong to the config.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/log.h"
#include "daemon/store/store.h"
#include "proto/lib/conf.h"
#include "proto/lib/err.h"
#include "proto/lib/tls.h"

struct config_controller {
	const char *id;
	const char *plane;
	const char *registry; /* where it registers; NULL: this daemon's */
	const char *address;  /* what it registers; NULL: the first socket */
	int64_t interval;     /* ns */
	const char *memory_dir;
	uint64_t malloc_limit;
};

struct config {
	struct conf *conf;

	const char *const *listen; /* NULL-terminated */
	bool plaintext;
	const char *run_dir;   /* NULL if nothing is kept there */
	const char *state_dir; /* likewise */
	int64_t drain;         /* ns */

	const char *store_path; /* of the node's state, whatever the engine */
	bool has_etcd;          /* which has the cluster's state */
	struct store_etcd_config etcd;
	bool registry;
	struct tls_files tls; /* ca NULL: no TLS */

	enum log_level log_level;
	enum log_format log_format;
	uint64_t workers, queue;

	struct config_controller *controllers; /* by id */
	size_t n_controllers;

	const char *default_listen[2];
	char **owned; /* defaults that were made up */
	size_t n_owned;
};

/*
 * Reads a file, its drop-ins (the directory path.d) and settings. path: NULL
 * for the default one, which may be absent. settings: NULL-terminated,
 * "SECTION.KEY=VALUE". An unknown key or a bad value is INVALID_ARGUMENT with
 * its origin.
 */
struct config *config_read(const char *path, const char *const *settings,
			   struct err *err);
void config_free(struct config *c);
static inline void cleanup_config(struct config **c)
{
	config_free(*c);
}

/* The name of the section that has a key of a controller: its id, or NULL for
 * the section for all. */
const char *config_section_of(const struct config *c, const char *id,
			      const char *key);

/*
 * Prints what is in force to stdout, as a file that config_read() takes;
 * comments say where each value comes from.
 */
void config_print(const struct config *c);

#endif

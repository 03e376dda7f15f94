#ifndef OIM_SETTINGS_H
#define OIM_SETTINGS_H

/*
 * What a command goes by: which server, which controller, what output. Options
 * are stronger than the environment, that than the context, that than
 * [defaults] of the configuration files, those than what is built in.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cli/opt.h"
#include "cli/out.h"
#include "proto/lib/conf.h"
#include "proto/lib/err.h"

enum setting {
	SETTING_CONTEXT = 0,
	SETTING_SERVER,
	SETTING_CONTROLLER,
	SETTING_CACERT,
	SETTING_CERT,
	SETTING_KEY,
	SETTING_TLS_NAME,
	SETTING_PLAINTEXT,
	SETTING_DIALECT,
	SETTING_OUTPUT,
	SETTING_TIMEOUT,
	SETTING_COLOR,
	SETTING_TRACE,
	SETTINGS, /* how many */
};

/* Where a value comes from; the later ones are stronger. */
enum settings_rank {
	RANK_BUILT_IN = 0,
	RANK_DEFAULTS,
	RANK_CONTEXT,
	RANK_ENVIRONMENT,
	RANK_SESSION, /* use, on, set of the shell */
	RANK_OPTION,
};

enum dialect {
	DIALECT_AUTO = 0,
	DIALECT_V0,     /* RegisterController and GetControllers */
	DIALECT_VALUES, /* SetValue and GetValues */
};

struct settings {
	struct {
		const char *value; /* NULL: none */
		const char *origin;
		enum settings_rank rank;
	} all[SETTINGS];

	/* What some of them mean. */
	bool plaintext;
	bool trace;
	bool color;
	enum dialect dialect;
	int64_t timeout; /* ns; 0: none */
	struct out_style style;
};

/* The name of the setting: as option, and as key of the configuration. */
const char *settings_name(enum setting s);
/* SETTINGS if there is no such one. */
enum setting settings_find(const char *name);

/*
 * Reads the configuration: that file only, or if it is NULL all usual ones. A
 * file that is absent is an error if it was asked for.
 */
struct conf *settings_read(const char *path, struct err *err);

/*
 * Works out what is in force; is_terminal: whether stdout is one. Strings are
 * in the arena of the options or belong to the conf. A bad value is
 * INVALID_ARGUMENT that names its origin; what comes before it in the enum is
 * then set.
 */
int settings_resolve(struct settings *s, const struct conf *conf,
		     const struct opt_values *session,
		     const struct opt_values *options, bool is_terminal,
		     struct err *err);

static inline const char *settings_get(const struct settings *s,
				       enum setting which)
{
	return s->all[which].value;
}

#endif

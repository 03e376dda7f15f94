/* Settings, from wherever they come. */

#include "cli/settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/nearest.h"
#include "proto/lib/units.h"

#define SYSTEM_FILE "/etc/oim/oimctl.conf"
#define SYSTEM_DIR  "/etc/oim/oimctl.conf.d"

#define DEFAULTS "defaults"
#define CONTEXT  "context"

static const struct {
	const char *name, *variable, *built_in, *help;
} table[SETTINGS] = {
	[SETTING_CONTEXT] = {"context", "OIMCTL_CONTEXT", NULL,
			     "the context to use"},
	[SETTING_SERVER] = {"server", "OIMCTL_SERVER", NULL,
			    "where the server is"},
	[SETTING_CONTROLLER] = {"controller", "OIMCTL_CONTROLLER", NULL,
				"the controller that calls are meant for"},
	[SETTING_CACERT] = {"cacert", "OIMCTL_CACERT", NULL,
			    "file with the certificate authority"},
	[SETTING_CERT] = {"cert", "OIMCTL_CERT", NULL,
			  "file with the own certificate"},
	[SETTING_KEY] = {"key", "OIMCTL_KEY", NULL, "file with its key"},
	[SETTING_TLS_NAME] = {"tls-name", NULL, "component.registry",
			      "the name that the server must prove"},
	[SETTING_PLAINTEXT] = {"plaintext", NULL, "no", "TCP without TLS"},
	[SETTING_DIALECT] = {"dialect", NULL, "auto", "auto, v0 or values"},
	[SETTING_OUTPUT] = {"output", "OIMCTL_OUTPUT", "table",
			    "format of the output"},
	[SETTING_TIMEOUT] = {"timeout", "OIMCTL_TIMEOUT", "30s",
			     "for a whole command"},
	[SETTING_COLOR] = {"color", NULL, "auto", "auto, always or never"},
	[SETTING_TRACE] = {"trace", "OIMCTL_TRACE", "no",
			   "show on stderr what goes over the wire"},
};

/* All are keys of contexts but the context itself, which is a default. */
static const struct conf_key *keys(void)
{
	static struct conf_key all[2 * SETTINGS];
	struct conf_key *k = all;

	if (all[0].section)
		return all;
	for (enum setting i = 0; i < SETTINGS; i++) {
		if (i != SETTING_CONTEXT)
			*k++ = (struct conf_key){CONTEXT, table[i].name,
						 CONF_NAMED, table[i].help};
		*k++ = (struct conf_key){DEFAULTS, table[i].name, 0,
					 table[i].help};
	}
	return all;
}

const char *settings_name(enum setting s)
{
	return table[s].name;
}

enum setting settings_find(const char *name)
{
	enum setting s = 0;

	while (s < SETTINGS && strcmp(table[s].name, name) != 0)
		s++;
	return s;
}

/* --- reading --- */

static int read_if_there(struct conf *c, const char *path, struct err *err)
{
	if (conf_read(c, path, err) == 0)
		return 0;
	if (err->code != GRPC_STATUS_NOT_FOUND)
		return -1;
	err_clear(err);
	return 0;
}

/* NULL if there is no home. The caller frees it. */
static char *own_file(void)
{
	const char *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");

	if (config && *config == '/')
		return mem_printf("%s/oim/oimctl.conf", config);
	return home && *home == '/'
		       ? mem_printf("%s/.config/oim/oimctl.conf", home)
		       : NULL;
}

static int read_usual(struct conf *c, struct err *err)
{
	CLEANUP(cleanup_free) char *own = own_file();

	if (read_if_there(c, SYSTEM_FILE, err) == -1 ||
	    conf_read_dir(c, SYSTEM_DIR, err) == -1)
		return -1;
	return own ? read_if_there(c, own, err) : 0;
}

struct conf *settings_read(const char *path, struct err *err)
{
	CLEANUP(cleanup_conf) struct conf *c = conf_new(keys());

	if ((path ? conf_read(c, path, err) : read_usual(c, err)) == -1)
		return NULL;
	return STEAL(c);
}

/* --- where values come from --- */

struct sources {
	const struct conf *conf;
	const struct opt_values *session, *options;
	const char *context; /* NULL: none */
	struct arena *arena; /* for origins */
};

static void put(struct settings *s, enum setting which, const char *value,
		const char *origin, enum settings_rank rank)
{
	if (!value)
		return;
	s->all[which].value = value;
	s->all[which].origin = origin;
	s->all[which].rank = rank;
}

static const char *from_environment(enum setting which)
{
	const char *value =
		table[which].variable ? getenv(table[which].variable) : NULL;

	return value && *value ? value : NULL;
}

/* Weakest first. */
static void collect(struct settings *s, enum setting which,
		    const struct sources *from)
{
	const char *name = table[which].name;
	struct arena *a = from->arena;
	bool has_context = which != SETTING_CONTEXT && from->context;

	put(s, which, table[which].built_in, "built in", RANK_BUILT_IN);
	put(s, which, conf_get(from->conf, DEFAULTS, NULL, name),
	    conf_origin(from->conf, DEFAULTS, NULL, name), RANK_DEFAULTS);
	if (has_context)
		put(s, which,
		    conf_get(from->conf, CONTEXT, from->context, name),
		    conf_origin(from->conf, CONTEXT, from->context, name),
		    RANK_CONTEXT);
	if (from_environment(which))
		put(s, which, from_environment(which),
		    arena_printf(a, "environment %s", table[which].variable),
		    RANK_ENVIRONMENT);
	put(s, which, opt_get(from->session, name), "set in this session",
	    RANK_SESSION);
	put(s, which, opt_get(from->options, name),
	    arena_printf(a, "option --%s", name), RANK_OPTION);
}

static int refuse_context(const struct conf *conf, const char *name,
			  const char *origin, struct err *err)
{
	const char *const *names = conf_names(conf, CONTEXT);
	const char *nearest = nearest_find(name, names);

	err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		"there is no context \"%s\" (%s)", name, origin);
	if (nearest)
		return err_hint(err, "did you mean %s?", nearest);
	return *names ? -1
		      : err_hint(err,
				 "the configuration has no [context] section");
}

static int find_context(struct settings *s, struct sources *from,
			struct err *err)
{
	const char *name;

	collect(s, SETTING_CONTEXT, from);
	name = settings_get(s, SETTING_CONTEXT);
	if (!name)
		return 0;
	for (const char *const *n = conf_names(from->conf, CONTEXT); *n; n++)
		if (strcmp(*n, name) == 0) {
			from->context = *n;
			return 0;
		}
	return refuse_context(from->conf, name, s->all[SETTING_CONTEXT].origin,
			      err);
}

/* --- what they mean --- */

static int find_word(const char *word, const char *const *words)
{
	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return -1;
}

/* The place of the value among the words, which error lists. */
static int choose(const struct settings *s, enum setting which,
		  const char *const *words, const char *list, struct err *err)
{
	int i = find_word(settings_get(s, which), words);

	if (i == -1)
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"%s \"%s\" is none of %s (%s)", table[which].name,
			settings_get(s, which), list, s->all[which].origin);
	return i;
}

static int parse_bool(const struct settings *s, enum setting which, bool *value,
		      struct err *err)
{
	static const char *const words[] = {"no", "off",  "false", "0", "yes",
					    "on", "true", "1",     NULL};
	int i = choose(s, which, words, "yes, no", err);

	*value = i >= 4;
	return i == -1 ? -1 : 0;
}

static int parse_color(struct settings *s, bool is_terminal, struct err *err)
{
	static const char *const words[] = {"auto", "always", "never", NULL};
	int i = choose(s, SETTING_COLOR, words, "auto, always, never", err);
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	s->color =
		i == 1 || (i == 0 && is_terminal && !(no_color && *no_color) &&
			   term && *term && strcmp(term, "dumb") != 0);
	s->style.color = s->color;
	return i == -1 ? -1 : 0;
}

static int parse_dialect(struct settings *s, struct err *err)
{
	static const char *const words[] = {"auto", "v0", "values", NULL};
	int i = choose(s, SETTING_DIALECT, words, "auto, v0, values", err);

	if (i == -1)
		return -1;
	s->dialect = (enum dialect)i;
	return 0;
}

static int wrap(const struct settings *s, enum setting which, struct err *err)
{
	return s->all[which].rank == RANK_OPTION
		       ? -1
		       : err_wrap(err, "%s", s->all[which].origin);
}

static int parse(struct settings *s, bool is_terminal, struct err *err)
{
	if (out_parse_format(settings_get(s, SETTING_OUTPUT), &s->style, err) ==
	    -1)
		return wrap(s, SETTING_OUTPUT, err);
	if (units_parse_duration(settings_get(s, SETTING_TIMEOUT), &s->timeout,
				 err) == -1)
		return wrap(s, SETTING_TIMEOUT, err);
	if (parse_color(s, is_terminal, err) == -1 ||
	    parse_dialect(s, err) == -1 ||
	    parse_bool(s, SETTING_PLAINTEXT, &s->plaintext, err) == -1 ||
	    parse_bool(s, SETTING_TRACE, &s->trace, err) == -1)
		return -1;
	return 0;
}

static void take_style(struct settings *s, const struct opt_values *options)
{
	s->style.columns = opt_get(options, "columns");
	s->style.sort = opt_get(options, "sort");
	s->style.where = opt_get(options, "selector");
	s->style.no_headers = opt_get(options, "no-headers");
}

int settings_resolve(struct settings *s, const struct conf *conf,
		     const struct opt_values *session,
		     const struct opt_values *options, bool is_terminal,
		     struct err *err)
{
	struct sources from = {.conf = conf,
			       .session = session,
			       .options = options,
			       .arena = options->arena};

	*s = (struct settings){.style.format = OUT_TABLE};
	take_style(s, options);
	if (find_context(s, &from, err) == -1)
		return -1;
	for (enum setting which = SETTING_CONTEXT + 1; which < SETTINGS;
	     which++)
		collect(s, which, &from);
	return parse(s, is_terminal, err);
}

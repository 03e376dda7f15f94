/* Options by table: popt does the parsing, our tables say of what. */

#include "cli/opt.h"

#include <stdlib.h>
#include <string.h>

#include <popt.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/nearest.h"

static struct opt_value *find_value(const struct opt_values *values,
				    const char *name)
{
	for (size_t i = 0; i < values->n; i++)
		if (strcmp(values->items[i].opt->name, name) == 0)
			return &values->items[i];
	return NULL;
}

const char *opt_get(const struct opt_values *values, const char *name)
{
	const struct opt_value *v = find_value(values, name);

	return v ? v->value : NULL;
}

static void add_value(struct opt_values *values, const struct opt *opt,
		      const char *value)
{
	struct opt_value *items =
		arena_alloc(values->arena, (values->n + 1) * sizeof(*items));

	if (values->n)
		memcpy(items, values->items, values->n * sizeof(*items));
	items[values->n++] = (struct opt_value){opt, value};
	values->items = items;
}

void opt_set(struct opt_values *values, const struct opt *opt,
	     const char *value)
{
	struct opt_value *v = find_value(values, opt->name);

	if (value)
		value = arena_strdup(values->arena, value);
	if (v && v->value && value && (opt->flags & OPT_LIST))
		v->value =
			arena_printf(values->arena, "%s,%s", v->value, value);
	else if (v)
		v->value = value;
	else if (value)
		add_value(values, opt, value);
}

const struct opt *opt_find(const struct opt *const *tables, const char *name)
{
	for (; *tables; tables++)
		for (const struct opt *o = *tables; o->name; o++)
			if (strcmp(o->name, name) == 0)
				return o;
	return NULL;
}

/* --- parsing --- */

/* All options in one list, and what popt makes of them. */
struct parser {
	struct arena *arena;
	const struct opt **opts;
	struct poptOption *popt;
	size_t n;
};

static size_t count(const struct opt *const *tables)
{
	size_t n = 0;

	for (; *tables; tables++)
		for (const struct opt *o = *tables; o->name; o++)
			n++;
	return n;
}

static void init_parser(struct parser *p, struct arena *a,
			const struct opt *const *tables)
{
	size_t n = count(tables);

	p->arena = a;
	p->n = 0;
	p->opts = arena_zalloc(a, n, sizeof(*p->opts));
	p->popt = arena_zalloc(a, n + 1, sizeof(*p->popt));
	for (; *tables; tables++)
		for (const struct opt *o = *tables; o->name; o++) {
			p->opts[p->n] = o;
			p->popt[p->n] = (struct poptOption){
				.longName = o->name,
				.shortName = o->letter,
				.argInfo = o->arg ? POPT_ARG_STRING
						  : POPT_ARG_NONE,
				.val = (int)p->n + 1,
			};
			p->n++;
		}
}

static int refuse_unknown(const struct parser *p, const char *word,
			  struct err *err)
{
	const char **names = arena_zalloc(p->arena, p->n + 1, sizeof(*names));
	const char *nearest;

	for (size_t i = 0; i < p->n; i++)
		names[i] = arena_printf(p->arena, "--%s", p->opts[i]->name);
	err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "unknown option \"%s\"",
		word);
	nearest = nearest_find(word, names);
	return nearest ? err_hint(err, "did you mean %s?", nearest) : -1;
}

/* The option that the word, as it was typed, begins with; or NULL. */
static const struct opt *find_typed(const struct parser *p, const char *word)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct opt *o = p->opts[i];
		size_t size = strlen(o->name);

		if (strncmp(word, "--", 2) == 0
			    ? strncmp(word + 2, o->name, size) == 0 &&
				      (!word[2 + size] || word[2 + size] == '=')
			    : o->letter && word[0] == '-' &&
				      word[1] == o->letter)
			return o;
	}
	return NULL;
}

static int refuse(const struct parser *p, poptContext context, int rc,
		  struct err *err)
{
	const char *word = poptBadOption(context, POPT_BADOPTION_NOALIAS);
	const struct opt *o = find_typed(p, word);

	if (rc == POPT_ERROR_BADOPT)
		return refuse_unknown(p, word, err);
	if (rc == POPT_ERROR_NOARG)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "option %s needs a value: %s", word,
			       o && o->arg ? o->arg : "VALUE");
	if (rc == POPT_ERROR_UNWANTEDARG)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "option \"%s\" takes no value", word);
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "option \"%s\": %s",
		       word, poptStrerror(rc));
}

static int take_options(const struct parser *p, poptContext context,
			struct opt_values *values, struct err *err)
{
	int val;

	while ((val = poptGetNextOpt(context)) > 0) {
		CLEANUP(cleanup_free) char *arg = poptGetOptArg(context);

		opt_set(values, p->opts[val - 1], arg ? arg : "yes");
	}
	return val == -1 ? 0 : refuse(p, context, val, err);
}

/* The context lends the words; the caller wants to keep them. */
static const char *const *copy_rest(struct arena *a, poptContext context)
{
	const char **words = poptGetArgs(context);
	const char **copy;
	size_t n = 0;

	while (words && words[n])
		n++;
	copy = arena_zalloc(a, n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = arena_strdup(a, words[i]);
	return copy;
}

static void cleanup_popt(poptContext *context)
{
	poptFreeContext(*context);
}

int opt_parse(const struct opt *const *tables, bool leading,
	      const char *const *words, struct opt_values *values,
	      const char *const **rest, struct err *err)
{
	CLEANUP(cleanup_popt) poptContext context = NULL;
	const char **argv;
	struct parser p;
	int argc = 0;

	init_parser(&p, values->arena, tables);
	while (words[argc])
		argc++;
	argv = arena_zalloc(values->arena, (size_t)argc + 1, sizeof(*argv));
	memcpy(argv, words, (size_t)argc * sizeof(*argv));
	context = poptGetContext(
		NULL, argc, argv, p.popt,
		POPT_CONTEXT_KEEP_FIRST |
			(leading ? POPT_CONTEXT_POSIXMEHARDER : 0));
	if (take_options(&p, context, values, err) == -1)
		return -1;
	*rest = copy_rest(values->arena, context);
	return 0;
}

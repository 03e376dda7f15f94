/*
 * Configuration: what is set, by key. conf_file.c reads files, conf_value.c
 * makes typed values of the text.
 */

#include "proto/lib/conf.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/conf_file.h"
#include "proto/lib/mem.h"
#include "proto/lib/nearest.h"
#include "proto/lib/utf8.h"

/* Sources: all of conf_set() is one, and files count from 1. */
#define SOURCE_SET 0

struct list {
	const char **strings; /* NULL-terminated; NULL if empty */
	size_t n;
};

/* A key that is set in a section. */
struct item {
	const struct conf_key *key;
	const char *name; /* of [section "name"], else NULL */
	unsigned source;  /* of its values */
	struct list values, origins;
};

/* A kind of [section "name"], and the names met. */
struct group {
	const char *section;
	struct list names;
};

struct conf {
	const struct conf_key *known;
	struct arena *arena; /* all strings */
	struct item *items;  /* by section, name, key */
	size_t n_items;
	struct group *groups;
	size_t n_groups;
	struct list unknown;
	unsigned files;
};

static void list_add(struct list *l, const char *s)
{
	l->strings = mem_realloc(l->strings, l->n + 2, sizeof(*l->strings));
	l->strings[l->n++] = s;
	l->strings[l->n] = NULL;
}

static const char *const *list_strings(const struct list *l)
{
	static const char *const none[] = {NULL};

	return l->n ? l->strings : none;
}

struct conf *conf_new(const struct conf_key *known)
{
	struct conf *c = mem_zalloc(1, sizeof(*c));

	c->known = known;
	c->arena = arena_new();
	return c;
}

void conf_free(struct conf *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_items; i++) {
		free(c->items[i].values.strings);
		free(c->items[i].origins.strings);
	}
	for (size_t i = 0; i < c->n_groups; i++)
		free(c->groups[i].names.strings);
	free(c->items);
	free(c->groups);
	free(c->unknown.strings);
	arena_free(c->arena);
	free(c);
}

/* In any case: libini_config does not tell it apart either. */
static const struct conf_key *find_known(const struct conf *c,
					 const char *section, bool named,
					 const char *key)
{
	for (const struct conf_key *k = c->known; k->section; k++)
		if (named == !!(k->flags & CONF_NAMED) &&
		    !strcasecmp(k->section, section) &&
		    (!key || !strcasecmp(k->key, key)))
			return k;
	return NULL;
}

static int compare_items(const struct item *item, const char *section,
			 const char *name, const char *key)
{
	int order = strcmp(item->key->section, section);

	if (!order)
		order = strcmp(item->name ? item->name : "", name ? name : "");
	return order ? order : strcmp(item->key->key, key);
}

/* Where the item is in the order, or would be. */
static size_t place_of(const struct conf *c, const char *section,
		       const char *name, const char *key, bool *found)
{
	int order = 1;
	size_t i = 0;

	assert(find_known(c, section, name, key));
	while (i < c->n_items &&
	       (order = compare_items(&c->items[i], section, name, key)) < 0)
		i++;
	*found = i < c->n_items && !order;
	return i;
}

static const struct item *find_item(const struct conf *c, const char *section,
				    const char *name, const char *key)
{
	bool found;
	size_t i = place_of(c, section, name, key, &found);

	return found ? &c->items[i] : NULL;
}

static struct item *make_item(struct conf *c, const struct conf_key *key,
			      const char *name)
{
	bool found;
	size_t i = place_of(c, key->section, name, key->key, &found);
	struct item *item;

	if (found)
		return &c->items[i];
	c->items = mem_realloc(c->items, c->n_items + 1, sizeof(*c->items));
	item = &c->items[i];
	memmove(item + 1, item, (c->n_items++ - i) * sizeof(*item));
	*item = (struct item){
		.key = key,
		.name = name ? arena_strdup(c->arena, name) : NULL,
	};
	return item;
}

static struct group *find_group(const struct conf *c, const char *section)
{
	for (size_t i = 0; i < c->n_groups; i++)
		if (!strcmp(c->groups[i].section, section))
			return &c->groups[i];
	return NULL;
}

static struct group *make_group(struct conf *c, const char *section)
{
	struct group *group = find_group(c, section);

	if (group)
		return group;
	c->groups = mem_realloc(c->groups, c->n_groups + 1, sizeof(*c->groups));
	group = &c->groups[c->n_groups++];
	*group = (struct group){.section = section};
	return group;
}

static void add_name(struct conf *c, const char *section, const char *name)
{
	struct list *names = &make_group(c, section)->names;
	const char **s = names->strings;
	size_t i = 0;

	while (i < names->n && strcmp(s[i], name) < 0)
		i++;
	if (i < names->n && !strcmp(s[i], name))
		return;
	list_add(names, NULL);
	s = names->strings;
	memmove(s + i + 1, s + i, (names->n - 1 - i) * sizeof(*s));
	s[i] = arena_strdup(c->arena, name);
}

static void add_value(struct conf *c, const struct conf_key *key,
		      const char *name, const char *value, unsigned source,
		      const char *origin)
{
	struct item *item = make_item(c, key, name);

	if (!(key->flags & CONF_LIST) || item->source != source || !*value)
		item->values.n = item->origins.n = 0;
	item->source = source;
	if (*value) {
		list_add(&item->values, arena_strdup(c->arena, value));
		list_add(&item->origins, arena_strdup(c->arena, origin));
	}
	if (name)
		add_name(c, key->section, name);
}

struct reading {
	struct conf *c;
	const char *path; /* as it can be shown */
};

static void on_unknown(struct reading *r, const struct conf_entry *e)
{
	struct arena *a = r->c->arena;
	const char *header = e->section;

	if (e->name)
		header = arena_printf(a, "%s \"%s\"", header, e->name);
	if (e->key)
		list_add(&r->c->unknown,
			 arena_printf(a, "%s:%u: unknown key \"%s\" in [%s]",
				      r->path, e->line, e->key, header));
	else if (e->is_empty)
		list_add(&r->c->unknown,
			 arena_printf(a, "%s: unknown section [%s]", r->path,
				      header));
}

static void on_entry(void *arg, const struct conf_entry *e)
{
	struct reading *r = arg;
	CLEANUP(cleanup_free) char *origin = NULL;
	const struct conf_key *key =
		find_known(r->c, e->section, e->name, e->key);

	if (!key) {
		on_unknown(r, e);
	} else if (e->key) {
		origin = mem_printf("%s:%u", r->path, e->line);
		add_value(r->c, key, e->name, e->value, r->c->files, origin);
	} else if (e->name) {
		add_name(r->c, key->section, e->name);
	}
}

int conf_read(struct conf *c, const char *path, struct err *err)
{
	CLEANUP(cleanup_free) char *shown = utf8_printable(path, strlen(path));
	struct reading r = {.c = c, .path = shown};

	c->files++;
	return conf_file_read(path, on_entry, &r, err);
}

static int is_drop_in(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return *entry->d_name != '.' && dot && !strcmp(dot, ".conf");
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int conf_read_dir(struct conf *c, const char *dir, struct err *err)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, is_drop_in, compare_names), result = 0;

	if (n == -1)
		return errno == ENOENT ? 0 : err_errno(err, "%s", dir);
	for (int i = 0; i < n; i++) {
		CLEANUP(cleanup_free)
		char *path = mem_printf("%s/%s", dir, entries[i]->d_name);

		if (!result)
			result = conf_read(c, path, err);
		free(entries[i]);
	}
	free(entries);
	return result;
}

static const char *key_text(struct arena *a, const char *section,
			    const char *name, const char *key)
{
	if (name)
		return arena_printf(a, "%s.%s.%s", section, name, key);
	return arena_printf(a, "%s.%s", section, key);
}

static int unknown_key(const struct conf *c, const char *section,
		       const char *name, const char *key, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	const char *wrong = key_text(a, section, name, key), *near = NULL;
	const char *any = name ? name : "NAME";
	struct list texts = {0};

	for (const struct conf_key *k = c->known; k->section; k++)
		list_add(&texts,
			 key_text(a, k->section,
				  k->flags & CONF_NAMED ? any : NULL, k->key));
	if (!name && find_known(c, section, true, key))
		near = key_text(a, section, "NAME", key);
	else
		near = nearest_find(wrong, list_strings(&texts));
	free(texts.strings);
	err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "unknown key \"%s\"", wrong);
	return near ? err_hint(err, "did you mean \"%s\"?", near) : -1;
}

int conf_set(struct conf *c, const char *assignment, struct err *err)
{
	CLEANUP(cleanup_free)
	char *shown = utf8_printable(assignment, strlen(assignment));
	CLEANUP(cleanup_free) char *section = mem_strdup(assignment);
	char *value = strchr(section, '='), *first, *last;
	const char *name = NULL;
	const struct conf_key *key;

	if (value)
		*value++ = '\0';
	first = strchr(section, '.');
	last = strrchr(section, '.');
	if (!value || !first || last == first + 1 ||
	    !utf8_is_valid(assignment, strlen(assignment)))
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "\"%s\" is neither SECTION.KEY=VALUE nor "
			       "SECTION.NAME.KEY=VALUE",
			       shown);
	*first = *last = '\0';
	if (first < last)
		name = first + 1;
	key = find_known(c, section, name, last + 1);
	if (!key)
		return unknown_key(c, section, name, last + 1, err);
	add_value(c, key, name, value, SOURCE_SET, "--set");
	return 0;
}

static const char *list_last(const struct list *l)
{
	return l->n ? l->strings[l->n - 1] : NULL;
}

const char *const *conf_unknown(const struct conf *c)
{
	return list_strings(&c->unknown);
}

const char *conf_get(const struct conf *c, const char *section,
		     const char *name, const char *key)
{
	const struct item *item = find_item(c, section, name, key);

	return item ? list_last(&item->values) : NULL;
}

const char *conf_origin(const struct conf *c, const char *section,
			const char *name, const char *key)
{
	const struct item *item = find_item(c, section, name, key);

	return item ? list_last(&item->origins) : NULL;
}

const char *const *conf_list(const struct conf *c, const char *section,
			     const char *name, const char *key)
{
	static const struct list none;
	const struct item *item = find_item(c, section, name, key);

	return list_strings(item ? &item->values : &none);
}

const char *const *conf_names(const struct conf *c, const char *section)
{
	static const struct list none;
	const struct group *group = find_group(c, section);

	return list_strings(group ? &group->names : &none);
}

void conf_each(const struct conf *c,
	       void (*fn)(void *arg, const char *section, const char *name,
			  const char *key, const char *value,
			  const char *origin),
	       void *arg)
{
	for (size_t i = 0; i < c->n_items; i++) {
		const struct item *item = &c->items[i];

		for (size_t j = 0; j < item->values.n; j++)
			fn(arg, item->key->section, item->name, item->key->key,
			   item->values.strings[j], item->origins.strings[j]);
	}
}

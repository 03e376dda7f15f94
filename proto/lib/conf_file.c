/*
 * INI files. libini_config parses; what it would accept silently (bytes that
 * are not text) or report without a place is found before.
 */

#include "proto/lib/conf_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <ini_configobj.h>
#include <ini_valueobj.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"

#define MAX_SIZE (1 << 20)

static void cleanup_ini_file(struct ini_cfgfile **file)
{
	ini_config_file_destroy(*file);
}

static void cleanup_ini(struct ini_cfgobj **ini)
{
	ini_config_destroy(*ini);
}

static void cleanup_sections(char ***list)
{
	if (*list)
		ini_free_section_list(*list);
}

static void cleanup_keys(char ***list)
{
	if (*list)
		ini_free_attribute_list(*list);
}

static void cleanup_errors(char ***list)
{
	if (*list)
		ini_config_free_errors(*list);
}

/* The whole file with a NUL at its end. */
static char *load(const char *path, const char *shown, size_t *size,
		  struct err *err)
{
	CLEANUP(cleanup_free) char *data = mem_alloc(MAX_SIZE + 1);
	CLEANUP(cleanup_file) FILE *f = fopen(path, "re");

	if (f)
		*size = fread(data, 1, MAX_SIZE + 1, f);
	if (!f || ferror(f)) {
		err_errno(err, "%s", shown);
		return NULL;
	}
	if (*size > MAX_SIZE) {
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"%s: larger than 1MiB", shown);
		return NULL;
	}
	data[*size] = '\0';
	return STEAL(data);
}

static int check_text(const char *path, const char *data, size_t size,
		      struct err *err)
{
	size_t good = utf8_valid_prefix(data, size);
	const char *nul = memchr(data, '\0', good);
	unsigned line = 1;

	if (nul)
		good = (size_t)(nul - data);
	if (good == size)
		return 0;
	for (size_t i = 0; i < good; i++)
		line += data[i] == '\n';
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "%s:%u: %s", path,
		       line, nul ? "holds a NUL" : "not UTF-8");
}

/* "Error (9) on line 7: Some sentence." becomes "file:7: some sentence". */
static int syntax_error(const char *path, struct ini_cfgobj *ini,
			struct err *err)
{
	CLEANUP(cleanup_errors) char **errors = NULL;
	const char *text;
	unsigned line;
	int start = 0;

	ini_config_get_errors(ini, &errors);
	if (!errors || !*errors)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "%s: the name of a section or key holds \"!\" "
			       "or a control character",
			       path);
	sscanf(*errors, "Error (%*d) on line %u: %n", &line, &start);
	if (!start)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "%s: %s",
			       path, *errors);
	text = *errors + start;
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "%s:%u: %c%.*s", path,
		       line, tolower((unsigned char)*text),
		       (int)strcspn(text, ".") - 1, text + 1);
}

static struct ini_cfgobj *parse(const char *path, char *data, size_t size,
				struct err *err)
{
	CLEANUP(cleanup_ini_file) struct ini_cfgfile *file = NULL;
	CLEANUP(cleanup_ini) struct ini_cfgobj *ini = NULL;

	errno = ini_config_file_from_mem(data, (uint32_t)size, &file);
	if (!errno)
		errno = ini_config_create(&ini);
	if (errno) {
		err_errno(err, "%s", path);
		return NULL;
	}
	if (ini_config_parse(file, INI_STOP_ON_ANY,
			     INI_MV1S_ALLOW | INI_MS_ERROR,
			     INI_PARSE_NOWRAP | INI_PARSE_NOSPACE |
				     INI_PARSE_NOTAB | INI_PARSE_NO_C_COMMENTS,
			     ini)) {
		syntax_error(path, ini, err);
		return NULL;
	}
	return STEAL(ini);
}

/* Cuts what stands in brackets in place; false if it has another form. */
static bool split(char *header, struct conf_entry *entry)
{
	char *quote = strchr(header, '"'), *end = strrchr(header, '"');

	*entry = (struct conf_entry){.section = header};
	if (quote) {
		if (quote == header || quote[-1] != ' ' || end < quote + 2 ||
		    end[1])
			return false;
		quote[-1] = *end = '\0';
		entry->name = quote + 1;
	}
	return *header && !strpbrk(header, " \t");
}

static int check_headers(const char *path, char **headers, struct err *err)
{
	for (; *headers; headers++) {
		CLEANUP(cleanup_free) char *header = mem_strdup(*headers);
		struct conf_entry entry;

		if (!split(header, &entry))
			return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
				       "%s: [%s] is neither [section] nor "
				       "[section \"name\"]",
				       path, *headers);
	}
	return 0;
}

/* Whether a key, in any case, stands before that place in the list. */
static bool is_repeated(char **keys, size_t place)
{
	for (size_t i = 0; i < place; i++)
		if (!strcasecmp(keys[i], keys[place]))
			return true;
	return false;
}

static void give_values(struct ini_cfgobj *ini, const char *header,
			struct conf_entry *entry, conf_entry_fn *fn, void *arg)
{
	struct value_obj *value = NULL;
	int mode = INI_GET_FIRST_VALUE, error;
	uint32_t line = 0;

	while (!ini_get_config_valueobj(header, entry->key, ini, mode,
					&value) &&
	       value) {
		value_get_line(value, &line);
		entry->line = line;
		entry->value = ini_get_const_string_config_value(value, &error);
		fn(arg, entry);
		mode = INI_GET_NEXT_VALUE;
	}
}

static void give_section(struct ini_cfgobj *ini, char *header,
			 conf_entry_fn *fn, void *arg)
{
	CLEANUP(cleanup_free) char *copy = mem_strdup(header);
	CLEANUP(cleanup_keys)
	char **keys = ini_get_attribute_list(ini, header, NULL, NULL);
	struct conf_entry entry;

	split(copy, &entry);
	entry.is_empty = !keys || !*keys;
	fn(arg, &entry);
	for (size_t i = 0; keys && keys[i]; i++) {
		if (is_repeated(keys, i))
			continue;
		entry.key = keys[i];
		give_values(ini, header, &entry, fn, arg);
	}
}

int conf_file_read(const char *path, conf_entry_fn *fn, void *arg,
		   struct err *err)
{
	CLEANUP(cleanup_free) char *shown = utf8_printable(path, strlen(path));
	CLEANUP(cleanup_free) char *data = NULL;
	CLEANUP(cleanup_ini) struct ini_cfgobj *ini = NULL;
	CLEANUP(cleanup_sections) char **headers = NULL;
	size_t size;

	data = load(path, shown, &size, err);
	if (!data || check_text(shown, data, size, err) < 0)
		return -1;
	ini = parse(shown, data, size, err);
	if (!ini)
		return -1;
	headers = ini_get_section_list(ini, NULL, NULL);
	if (!headers)
		return 0;
	if (check_headers(shown, headers, err) < 0)
		return -1;
	for (char **header = headers; *header; header++)
		give_section(ini, *header, fn, arg);
	return 0;
}

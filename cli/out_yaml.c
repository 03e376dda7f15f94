/* JSON as YAML: the same document in block style. */

#include "cli/out_doc.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <yaml.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"

static int write_file(void *file, unsigned char *data, size_t size)
{
	return fwrite(data, 1, size, file) == size;
}

/* Readers of YAML 1.1 take these for something else than text. */
static bool is_reserved(const char *s)
{
	static const char *const words[] = {
		"true", "false", "null", "yes", "no", "on", "off", "y", "n"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strcasecmp(s, words[i]) == 0)
			return true;
	return false;
}

/* Text that needs no quotes for anybody. */
static bool is_plain(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '/')
		return false;
	for (const char *c = s; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("/._-", *c))
			return false;
	return !is_reserved(s);
}

static void emit(yaml_emitter_t *e, yaml_event_t *event)
{
	if (!yaml_emitter_emit(e, event) && e->error == YAML_MEMORY_ERROR)
		abort();
}

static void emit_text(yaml_emitter_t *e, const char *s, bool plain)
{
	yaml_event_t event;

	yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)s,
				     (int)strlen(s), 1, 1,
				     plain ? YAML_PLAIN_SCALAR_STYLE
					   : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
	emit(e, &event);
}

/* The library refuses bytes that are not UTF-8. */
static void emit_string(yaml_emitter_t *e, const char *s)
{
	CLEANUP(cleanup_free)
	char *clean = utf8_is_valid(s, strlen(s))
			      ? mem_strdup(s)
			      : utf8_printable(s, strlen(s));

	emit_text(e, clean, is_plain(clean));
}

static void emit_value(yaml_emitter_t *e, struct json_object *value);

static void emit_array(yaml_emitter_t *e, struct json_object *array)
{
	yaml_event_t event;

	yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
					     YAML_BLOCK_SEQUENCE_STYLE);
	emit(e, &event);
	for (size_t i = 0; i < json_object_array_length(array); i++)
		emit_value(e, json_object_array_get_idx(array, i));
	yaml_sequence_end_event_initialize(&event);
	emit(e, &event);
}

static void emit_object(yaml_emitter_t *e, struct json_object *object)
{
	yaml_event_t event;

	yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
					    YAML_BLOCK_MAPPING_STYLE);
	emit(e, &event);
	json_object_object_foreach(object, key, value)
	{
		emit_string(e, key);
		emit_value(e, value);
	}
	yaml_mapping_end_event_initialize(&event);
	emit(e, &event);
}

static void emit_value(yaml_emitter_t *e, struct json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_object:
		emit_object(e, value);
		break;
	case json_type_array:
		emit_array(e, value);
		break;
	case json_type_string:
		emit_string(e, json_object_get_string(value));
		break;
	default:
		emit_text(e, value ? json_object_get_string(value) : "null",
			  true);
		break;
	}
}

static void cleanup_emitter(yaml_emitter_t *e)
{
	yaml_emitter_delete(e);
}

int out_print_yaml(const struct out *o, struct json_object *document,
		   FILE *file, struct err *err)
{
	CLEANUP(cleanup_emitter) yaml_emitter_t e;
	yaml_event_t event;

	if (!yaml_emitter_initialize(&e))
		abort();
	yaml_emitter_set_output(&e, write_file, file);
	yaml_emitter_set_unicode(&e, 1);
	yaml_emitter_set_width(&e, -1);
	yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
	emit(&e, &event);
	yaml_document_start_event_initialize(&event, NULL, NULL, NULL,
					     !o->style.compact);
	emit(&e, &event);
	emit_value(&e, document);
	yaml_document_end_event_initialize(&event, 1);
	emit(&e, &event);
	yaml_stream_end_event_initialize(&event);
	emit(&e, &event);
	return e.error == YAML_NO_ERROR
		       ? 0
		       : err_set(err, GRPC_STATUS_INTERNAL,
				 "cannot print YAML: %s", e.problem);
}

/*
 * JSON text. json-c parses; a second look refuses what it lets pass: names that
 * come twice, names cut at a NUL, single quotes, control characters, halves of
 * surrogate pairs, numbers that it would change, NaN. json_read.c and
 * json_write.c have the messages.
 */

#include "proto/lib/json.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/json_number.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"

#define MAX_DEPTH 64
#define SPACE     " \t\n\r"

static void cleanup_tokener(struct json_tokener **t)
{
	if (*t)
		json_tokener_free(*t);
}

static int fail(const char *text, const char *at, const char *why,
		struct err *err)
{
	unsigned line = 1, column = 1;

	for (; text < at; text++) {
		column += (*text & 0xc0) != 0x80;
		if (*text == '\n') {
			line++;
			column = 1;
		}
	}
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		       "line %u, column %u: %s", line, column, why);
}

/* The second look, at text that json-c has accepted. */
struct look {
	const char *text, *at;
	unsigned depth;
	struct json_object *open[MAX_DEPTH]; /* objects: the names in them */
	size_t n_open;
	struct err *err;
};

static int refuse(struct look *l, const char *why)
{
	return fail(l->text, l->at, why, l->err);
}

static bool is_surrogate(const char *escape, unsigned first)
{
	char digits[5] = "";
	unsigned long unit;

	if (escape[0] != '\\' || escape[1] != 'u')
		return false;
	memcpy(digits, escape + 2, 4);
	unit = strtoul(digits, NULL, 16);
	return unit >= first && unit < first + 0x400;
}

static int look_at_escape(struct look *l)
{
	size_t size = l->at[1] == 'u' ? 6 : 2;
	bool high = is_surrogate(l->at, 0xd800);

	if (high != is_surrogate(l->at + (high ? 6 : 0), 0xdc00))
		return refuse(l, "half of a surrogate pair");
	l->at += high ? 12 : size;
	return 0;
}

static int look_at_name(struct look *l, const char *start)
{
	CLEANUP(cleanup_free)
	char *quoted = mem_dup(start, (size_t)(l->at - start));
	CLEANUP(cleanup_json)
	struct json_object *string = json_tokener_parse(quoted);
	const char *name = json_object_get_string(string);
	struct json_object *names = l->open[l->n_open - 1];

	l->at = start;
	if (strlen(name) != (size_t)json_object_get_string_len(string))
		return refuse(l, "a name holds a NUL");
	if (json_object_object_get_ex(names, name, NULL))
		return refuse(l, "this name was given before");
	json_object_object_add(names, name, NULL);
	l->at += strlen(quoted);
	return 0;
}

static int look_at_string(struct look *l)
{
	const char *start = l->at++;

	while (*l->at != '"') {
		if ((unsigned char)*l->at < 0x20)
			return refuse(l, "control character in a string");
		if (*l->at != '\\')
			l->at++;
		else if (look_at_escape(l) < 0)
			return -1;
	}
	l->at++;
	if (l->at[strspn(l->at, SPACE)] == ':')
		return look_at_name(l, start);
	return 0;
}

static int look_at_number(struct look *l)
{
	size_t size = json_number_size(l->at);
	uint64_t magnitude;
	bool negative;

	if (!size || (l->at[size] && !strchr(SPACE ",]}", l->at[size])))
		return refuse(l, "bad number");
	if (strcspn(l->at, ".eE") < size) {
		if (isinf(strtod(l->at, NULL)))
			return refuse(l, "number out of range");
	} else if (json_number_whole(l->at, &negative, &magnitude) ||
		   (negative && magnitude > (uint64_t)1 << 63)) {
		return refuse(l, "number out of range");
	}
	l->at += size;
	return 0;
}

static int look_at_word(struct look *l)
{
	static const char *const words[] = {"null", "true", "false"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strncmp(l->at, words[i], strlen(words[i]))) {
			l->at += strlen(words[i]);
			return 0;
		}
	return refuse(l, "unexpected character");
}

static int look_at_bracket(struct look *l)
{
	char c = *l->at;

	if ((c == '[' || c == '{') && l->depth++ == MAX_DEPTH)
		return refuse(l, "nesting too deep");
	if (c == ']' || c == '}')
		l->depth--;
	if (c == '{')
		l->open[l->n_open++] = json_object_new_object();
	else if (c == '}')
		json_object_put(l->open[--l->n_open]);
	l->at++;
	return 0;
}

static int look_at_token(struct look *l)
{
	switch (*l->at) {
	case ' ':
	case '\t':
	case '\r':
	case '\n':
	case ',':
	case ':':
		l->at++;
		return 0;
	case '[':
	case ']':
	case '{':
	case '}':
		return look_at_bracket(l);
	case '"':
		return look_at_string(l);
	case '-':
	case '0' ... '9':
		return look_at_number(l);
	default:
		return look_at_word(l);
	}
}

static int look_at_all(const char *text, struct err *err)
{
	struct look l = {.text = text, .at = text, .err = err};
	int result = 0;

	while (*l.at && !result)
		result = look_at_token(&l);
	while (l.n_open)
		json_object_put(l.open[--l.n_open]);
	return result;
}

/* Bytes that are no text have no meaning to json-c. */
static int check_text(const char *text, size_t size, struct err *err)
{
	size_t good = utf8_valid_prefix(text, size);
	const char *nul = memchr(text, '\0', good);

	if (size >= INT_MAX)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "more than 2GiB of JSON");
	if (nul)
		return fail(text, nul, "unexpected NUL", err);
	if (good < size)
		return fail(text, text + good, "not UTF-8", err);
	return 0;
}

struct json_object *json_parse(const char *text, size_t size, struct err *err)
{
	CLEANUP(cleanup_free) char *copy = NULL;
	CLEANUP(cleanup_json) struct json_object *object = NULL;
	CLEANUP(cleanup_tokener)
	struct json_tokener *t = json_tokener_new_ex(MAX_DEPTH + 1);
	enum json_tokener_error error;

	if (check_text(text, size, err) < 0)
		return NULL;
	copy = mem_dup(text, size);
	json_tokener_set_flags(t, JSON_TOKENER_STRICT);
	object = json_tokener_parse_ex(t, copy, (int)size + 1);
	error = json_tokener_get_error(t);
	if (error) {
		fail(copy, copy + json_tokener_get_parse_end(t),
		     json_tokener_error_desc(error), err);
		return NULL;
	}
	return look_at_all(copy, err) < 0 ? NULL : STEAL(object);
}

/* Copies a character of a string, or escapes what json-c does not. */
static char *copy_character(char *out, const char **s, const char *end)
{
	unsigned char c = (unsigned char)**s;
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	unsigned point;

	if (n > (size_t)(end - *s) || !utf8_is_valid(*s, n)) {
		*s += 1;
		return stpcpy(out, "\\ufffd");
	}
	if (!utf8_has_control(*s, n)) {
		out = mempcpy(out, *s, n);
		*s += n;
		return out;
	}
	point = n == 1 ? c : n == 2 ? c & 0x1f : c & 0x0f;
	for (size_t i = 1; i < n; i++)
		point = point << 6 | ((*s)[i] & 0x3f);
	*s += n;
	return out + snprintf(out, 7, "\\u%04x", point);
}

/* Copies up to the quote that ends a string. */
static char *copy_string(char *out, const char **s, const char *end)
{
	while (**s != '"') {
		if (**s == '\\')
			*out++ = *(*s)++;
		out = copy_character(out, s, end);
	}
	*out++ = *(*s)++;
	return out;
}

char *json_text(struct json_object *object, bool pretty)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
	size_t size;
	const char *s, *end;
	char *text, *out;

	if (pretty)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	s = json_object_to_json_string_length(object, flags, &size);
	end = s + size;
	text = out = mem_alloc(6 * size + 1);
	while (s < end) {
		char c = *out++ = *s++;

		if (c == '"')
			out = copy_string(out, &s, end);
		else if ((c == '[' || c == '{') &&
			 strchr("]}", s[strspn(s, SPACE)]))
			s += strspn(s, SPACE); /* what is empty is one word */
	}
	*out = '\0';
	return mem_realloc(text, (size_t)(out - text) + 1, 1);
}

/* Splitting lines into words. */

#include "cli/words.h"

#include <string.h>

#include "proto/lib/mem.h"

struct scan {
	struct arena *arena;
	const char **words;
	size_t n;
	char *word; /* the one that is being read */
	size_t size;
	bool in_word, in_comment, is_escaped;
	char quote; /* 0: none is open */
};

static void put(struct scan *s, char c)
{
	s->word[s->size++] = c;
	s->in_word = true;
	s->is_escaped = false;
}

static void end_word(struct scan *s)
{
	if (s->in_word)
		s->words[s->n++] = arena_dup(s->arena, s->word, s->size);
	s->size = 0;
	s->in_word = false;
}

static void read_quoted(struct scan *s, char c)
{
	if (s->is_escaped && c != '"' && c != '\\')
		put(s, '\\');
	if (!s->is_escaped && c == s->quote)
		s->quote = 0;
	else if (!s->is_escaped && c == '\\' && s->quote == '"')
		s->is_escaped = true;
	else
		put(s, c);
}

static void read_plain(struct scan *s, char c)
{
	if (s->is_escaped) {
		put(s, c);
	} else if (c == '\\') {
		s->is_escaped = true;
	} else if (c == '\'' || c == '"') {
		s->quote = c;
		s->in_word = true;
	} else if (c == ' ' || c == '\t') {
		end_word(s);
	} else if (c == '#' && !s->in_word) {
		s->in_comment = true;
	} else {
		put(s, c);
	}
}

static void scan(struct scan *s, const char *line, size_t size, struct arena *a)
{
	*s = (struct scan){.arena = a};
	s->words = arena_zalloc(a, size / 2 + 3, sizeof(*s->words));
	s->word = arena_alloc(a, size + 1);
	for (size_t i = 0; i < size && !s->in_comment; i++)
		if (s->quote)
			read_quoted(s, line[i]);
		else
			read_plain(s, line[i]);
}

const char *const *words_split(const char *line, struct arena *a,
			       struct err *err)
{
	struct scan s;

	scan(&s, line, strlen(line), a);
	if (s.quote)
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"the quote %c is not closed", s.quote);
	else if (s.is_escaped)
		err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			"there is nothing behind the last backslash");
	if (s.quote || s.is_escaped)
		return NULL;
	end_word(&s);
	return s.words;
}

const char *const *words_typed(const char *line, size_t size, struct arena *a)
{
	struct scan s;

	scan(&s, line, size, a);
	s.in_word = true;
	end_word(&s);
	return s.words;
}

bool words_continue(const char *line)
{
	struct arena *a = arena_new();
	struct scan s;

	scan(&s, line, strlen(line), a);
	arena_free(a);
	return s.is_escaped && !s.quote;
}

char *words_quote(const char *word)
{
	char *quoted, *out;

	if (!*word)
		return mem_strdup("''");
	out = quoted = mem_alloc(2 * strlen(word) + 1);
	for (; *word; word++) {
		if (strchr(" \t'\"\\#", *word))
			*out++ = '\\';
		*out++ = *word;
	}
	*out = '\0';
	return quoted;
}

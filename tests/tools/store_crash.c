/*
 * Writes to a store and says what was acknowledged, to be killed while it does;
 * then, in another run, finds out whether all of it is there.
 *
 *	store_crash write DIR THREADS [COUNT]	"put ID" and "ack ID" lines
 *	store_crash verify DIR <LINES
 *
 * Each thread puts THREAD/NUMBER and, in the same transaction, its number under
 * last/THREAD. So a store is whole if every thread has the keys up to its last
 * one and none behind. A failure is said as "failed CODE MESSAGE".
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store/store.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"

#define MAX_THREADS 64

struct writer {
	struct store *s;
	unsigned number;
	uint64_t from;
	uint64_t count;
	pthread_t thread;
};

/* One line is one write, so that none is cut by a kill. */
static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof(line) - 1, format, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof(line) - 1)
		abort();
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		_exit(1);
}

static int complain(struct err *err)
{
	say("failed %s %s", err_code_name(err->code), err->msg);
	err_clear(err);
	return 1;
}

/* --- writing --- */

/* What belongs to a number: as many bytes as make pages overflow now and then.
 */
static size_t make_value(char *value, size_t size, unsigned thread, uint64_t i)
{
	size_t n = i % 16 == 0 ? size : 20 + i % 100;

	memset(value, 'a' + (int)((thread + i) % 26), n);
	return n;
}

static int put(const struct writer *w, uint64_t i, struct err *err)
{
	char key[32], last[32], number[32], value[6000];
	struct store_op ops[] = {
		{.key = key, .value = value},
		{.key = last, .value = number},
	};
	struct store_txn txn = {.ops = ops, .n_ops = 2};

	snprintf(key, sizeof(key), "%02u/%" PRIu64, w->number, i);
	snprintf(last, sizeof(last), "last/%02u", w->number);
	ops[0].size = make_value(value, sizeof(value), w->number, i);
	ops[1].size = (size_t)snprintf(number, sizeof(number), "%" PRIu64, i);
	return store_commit(w->s, &txn, err) == STORE_DONE ? 0 : -1;
}

static void *run(void *arg)
{
	struct writer *w = arg;

	for (uint64_t i = w->from; i < w->from + w->count; i++) {
		struct err err = ERR_INIT;

		say("put %02u/%" PRIu64, w->number, i);
		if (put(w, i, &err) < 0) {
			complain(&err);
			break;
		}
		say("ack %02u/%" PRIu64, w->number, i);
	}
	return NULL;
}

/* The number under last/THREAD; 0: none yet. */
static int read_last(struct store *s, unsigned thread, uint64_t *last,
		     struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store_kv kv;
	char key[32];
	int found;

	snprintf(key, sizeof(key), "last/%02u", thread);
	found = store_get(s, key, a, &kv, err);
	*last = found > 0 ? strtoull(kv.value, NULL, 10) : 0;
	return found < 0 ? -1 : 0;
}

static int write_all(struct store *s, unsigned threads, uint64_t count,
		     struct err *err)
{
	struct writer writers[MAX_THREADS];
	struct store_status status;

	for (unsigned i = 0; i < threads; i++) {
		struct writer *w = &writers[i];

		*w = (struct writer){.s = s, .number = i, .count = count};
		if (read_last(s, i, &w->from, err) < 0)
			return -1;
		w->from++;
		if (pthread_create(&w->thread, NULL, run, w))
			abort();
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(writers[i].thread, NULL);
	return store_check(s, &status, err);
}

/* --- verifying --- */

struct check {
	uint64_t last[MAX_THREADS];
	uint64_t seen[MAX_THREADS];
	uint64_t records;
	uint64_t bad;
};

static void bad(struct check *c, const char *what, const char *key)
{
	say("bad: %s %s", what, key);
	c->bad++;
}

/* THREAD/NUMBER */
static bool parse(const char *key, unsigned *thread, uint64_t *number)
{
	return sscanf(key, "%2u/%" SCNu64, thread, number) == 2 &&
	       *thread < MAX_THREADS;
}

static bool visit(void *arg, const struct store_kv *kv)
{
	char value[6000];
	struct check *c = arg;
	unsigned thread;
	uint64_t i;

	if (strncmp(kv->key, "last/", 5) == 0)
		return true;
	if (!parse(kv->key, &thread, &i)) {
		bad(c, "unknown key", kv->key);
		return true;
	}
	c->records++;
	c->seen[thread]++;
	if (i < 1 || i > c->last[thread])
		bad(c, "behind the last", kv->key);
	if (kv->size != make_value(value, sizeof(value), thread, i) ||
	    memcmp(kv->value, value, kv->size) != 0)
		bad(c, "wrong value", kv->key);
	return true;
}

static void check_acked(struct check *c, uint64_t *acked)
{
	char line[512], key[500];

	while (fgets(line, sizeof(line), stdin)) {
		unsigned thread;
		uint64_t i;

		if (sscanf(line, "ack %499s", key) != 1)
			continue;
		++*acked;
		if (!parse(key, &thread, &i) || i > c->last[thread])
			bad(c, "acknowledged but lost", key);
	}
}

static int verify(struct store *s, struct err *err)
{
	struct check c = {0};
	uint64_t acked = 0;

	for (unsigned i = 0; i < MAX_THREADS; i++)
		if (read_last(s, i, &c.last[i], err) < 0)
			return -1;
	if (store_each(s, "", visit, &c, err) < 0)
		return -1;
	for (unsigned i = 0; i < MAX_THREADS; i++)
		if (c.seen[i] != c.last[i])
			bad(&c, "keys are missing of a thread", "");
	check_acked(&c, &acked);
	say("%" PRIu64 " records, %" PRIu64 " acknowledged, %" PRIu64 " bad",
	    c.records, acked, c.bad);
	return c.bad ? err_set(err, GRPC_STATUS_DATA_LOSS, "the store is bad")
		     : 0;
}

int main(int argc, char **argv)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	bool is_write = argc >= 4 && strcmp(argv[1], "write") == 0;
	bool is_verify = argc == 3 && strcmp(argv[1], "verify") == 0;
	unsigned long threads = is_write ? strtoul(argv[3], NULL, 10) : 1;
	struct store *s;
	int rc;

	if ((!is_write && !is_verify) || threads < 1 || threads > MAX_THREADS) {
		fputs("usage: store_crash write DIR THREADS [COUNT]\n"
		      "       store_crash verify DIR <LINES\n",
		      stderr);
		return 2;
	}
	s = store_lmdb_open(argv[2], &err);
	if (!s)
		return complain(&err);
	if (is_write)
		rc = write_all(s, (unsigned)threads,
			       argc > 4 ? strtoull(argv[4], NULL, 10)
					: UINT32_MAX,
			       &err);
	else
		rc = verify(s, &err);
	store_close(s);
	return rc < 0 ? complain(&err) : 0;
}

/*
 * A store in etcd for tests of faults.
 *
 *	store_etcd SETTING... COMMAND [ARG]...
 *
 * Settings are endpoint=HOST:PORT (several), prefix=, ca=, cert=, key=, user=
 * and password-file=. Commands:
 *
 *	load THREADS	write and watch until standard input ends, then judge
 *	watch FROM	print "put KEY REV", "delete KEY REV" and "gone"
 *	put KEY VALUE | get KEY | check | lease
 *	renew COUNT	how long so many renewals take
 *
 * A failure is "failed CODE MESSAGE (MS ms)" and exit status 1.
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/store/store.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

#define MAX_THREADS 64
#define MAX_NUMBERS (1u << 20)

static int ms_since(int64_t start)
{
	return (int)((units_monotonic() - start) / 1000000);
}

static int complain(const struct err *err, int64_t start)
{
	printf("failed %s %s (%d ms)\n", err_code_name(err->code), err->msg,
	       ms_since(start));
	return 1;
}

/* --- load --- */

/*
 * A writer has three keys: a counter that it raises under a compare, a number
 * that it puts without one, and fresh keys that it makes under a compare. The
 * watch tells whether each was written once and in order.
 */
struct writer {
	struct load *load;
	unsigned number;
	pthread_t thread;
	uint64_t acked, unknown, refused;
	uint64_t counter, plain, fresh; /* the last that was acknowledged */
	int64_t longest;                /* ns, of a call */
	int64_t last_ack, gap;          /* the longest between two of them */

	/* By the watch. */
	uint64_t seen_counter, seen_plain, seen_fresh;
	int64_t fresh_revision;
};

struct load {
	struct store *s;
	struct writer writers[MAX_THREADS];
	unsigned n;
	bool stop;

	pthread_mutex_t mu;
	pthread_cond_t told;
	uint64_t events, bad;
	int64_t revision; /* of the last event */
	bool gone;
};

static void bad(struct load *l, const char *what, const struct store_kv *kv)
{
	printf("bad: %s: %s at %" PRId64 "\n", what, kv->key, kv->mod_revision);
	l->bad++;
}

/* The next number of a key that counts. */
static void count(struct load *l, uint64_t *seen, const struct store_kv *kv)
{
	uint64_t n = strtoull(kv->value, NULL, 10);

	if (n == *seen)
		bad(l, "written twice", kv);
	else if (n < *seen)
		bad(l, "undone", kv);
	*seen = n;
}

static void take(struct load *l, const struct store_event *e)
{
	const struct store_kv *kv = &e->kv;
	struct writer *w;
	char kind = 0;
	unsigned number = 0;

	if (kv->mod_revision < l->revision)
		bad(l, "out of order", kv);
	l->revision = kv->mod_revision;
	l->events++;
	if (sscanf(kv->key, "%c/%u", &kind, &number) != 2 || number >= l->n)
		return;
	w = &l->writers[number];
	if (kind == 'c') {
		uint64_t before = w->seen_counter;

		count(l, &w->seen_counter, kv);
		if (w->seen_counter != before + 1)
			bad(l, "a number is missing", kv);
	} else if (kind == 'p') {
		count(l, &w->seen_plain, kv);
	} else if (kind == 'f') {
		w->seen_fresh++;
		if (kv->create_revision != kv->mod_revision)
			bad(l, "made twice", kv);
	}
}

static void on_change(void *arg, const struct store_change *change)
{
	struct load *l = arg;

	pthread_mutex_lock(&l->mu);
	for (size_t i = 0; i < change->n; i++)
		take(l, &change->events[i]);
	l->gone |= change->gone;
	pthread_cond_signal(&l->told);
	pthread_mutex_unlock(&l->mu);
}

static enum store_result commit(struct writer *w, struct store_txn *txn)
{
	struct err err = ERR_INIT;
	int64_t start = units_monotonic(), now;
	enum store_result result = store_commit(w->load->s, txn, &err);

	now = units_monotonic();
	if (now - start > w->longest)
		w->longest = now - start;
	if (result == STORE_FAILED) {
		if (err.code != GRPC_STATUS_UNAVAILABLE)
			complain(&err, start);
		w->unknown++;
	} else if (result == STORE_REFUSED) {
		w->refused++;
	} else {
		w->acked++;
		if (w->last_ack && now - w->last_ack > w->gap)
			w->gap = now - w->last_ack;
		w->last_ack = now;
	}
	err_clear(&err);
	return result;
}

/* What the key holds, as often as it takes; -1: the load is to stop. */
static int64_t look(struct writer *w, const char *key, int64_t *revision)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store_kv kv;

	for (;;) {
		CLEANUP(err_clear) struct err err = ERR_INIT;
		int rc = store_get(w->load->s, key, a, &kv, &err);

		*revision = rc == 1 ? kv.mod_revision : 0;
		if (rc >= 0)
			return rc ? strtoll(kv.value, NULL, 10) : 0;
		if (__atomic_load_n(&w->load->stop, __ATOMIC_SEQ_CST))
			return -1;
	}
}

static void raise_counter(struct writer *w)
{
	char key[32], value[32];
	struct store_compare compare = {.key = key};
	struct store_op op = {.key = key, .value = value};
	struct store_txn txn = {
		.compares = &compare, .n_compares = 1, .ops = &op, .n_ops = 1};
	int64_t n;

	snprintf(key, sizeof(key), "c/%u", w->number);
	n = look(w, key, &compare.mod_revision);
	if (n < 0)
		return;
	op.size = (size_t)snprintf(value, sizeof(value), "%" PRId64, n + 1);
	if (commit(w, &txn) == STORE_DONE)
		w->counter = (uint64_t)n + 1;
}

static void put_plain(struct writer *w, uint64_t n)
{
	char key[32], value[32];
	struct store_op op = {.key = key, .value = value};
	struct store_txn txn = {.ops = &op, .n_ops = 1};

	snprintf(key, sizeof(key), "p/%u", w->number);
	op.size = (size_t)snprintf(value, sizeof(value), "%" PRIu64, n);
	if (commit(w, &txn) == STORE_DONE)
		w->plain = n;
}

static void make_fresh(struct writer *w, uint64_t n, bool *acked)
{
	char key[48];
	struct store_compare compare = {.key = key};
	struct store_op op = {.key = key, .value = key};
	struct store_txn txn = {
		.compares = &compare, .n_compares = 1, .ops = &op, .n_ops = 1};

	op.size = (size_t)snprintf(key, sizeof(key), "f/%u/%" PRIu64, w->number,
				   n);
	*acked = commit(w, &txn) == STORE_DONE;
}

/* All fresh keys that were acknowledged are there. */
static void verify_fresh(struct writer *w, const bool *acked, uint64_t n)
{
	for (uint64_t i = 1; i <= n; i++) {
		char key[48];
		int64_t revision;

		if (!acked[i])
			continue;
		snprintf(key, sizeof(key), "f/%u/%" PRIu64, w->number, i);
		if (look(w, key, &revision) < 0 || !revision) {
			printf("bad: acknowledged but lost: %s\n", key);
			__atomic_fetch_add(&w->load->bad, 1, __ATOMIC_SEQ_CST);
		}
	}
}

static void verify_last(struct writer *w, char kind, uint64_t acked)
{
	char key[32];
	int64_t revision;

	snprintf(key, sizeof(key), "%c/%u", kind, w->number);
	if (look(w, key, &revision) < (int64_t)acked) {
		printf("bad: acknowledged but lost: %s\n", key);
		__atomic_fetch_add(&w->load->bad, 1, __ATOMIC_SEQ_CST);
	}
}

static void *write_all(void *arg)
{
	struct writer *w = arg;
	CLEANUP(cleanup_free) bool *acked = mem_zalloc(MAX_NUMBERS, 1);
	uint64_t n = 0;

	while (!__atomic_load_n(&w->load->stop, __ATOMIC_SEQ_CST) &&
	       n + 1 < MAX_NUMBERS) {
		n++;
		raise_counter(w);
		put_plain(w, n);
		make_fresh(w, n, &acked[n]);
	}
	verify_last(w, 'c', w->counter);
	verify_last(w, 'p', w->plain);
	verify_fresh(w, acked, n);
	return NULL;
}

/* Until the watch has told what was written last. */
static void drain(struct load *l)
{
	struct err err = ERR_INIT;
	struct store_op op = {.key = "end", .value = "", .size = 0};
	struct store_txn txn = {.ops = &op, .n_ops = 1};

	if (store_commit(l->s, &txn, &err) != STORE_DONE) {
		complain(&err, units_monotonic());
		l->bad++;
		return;
	}
	pthread_mutex_lock(&l->mu);
	while (l->revision < txn.revision && !l->gone)
		pthread_cond_wait(&l->told, &l->mu);
	pthread_mutex_unlock(&l->mu);
}

static void judge_watch(struct load *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		const struct writer *w = &l->writers[i];

		if (w->seen_counter < w->counter || w->seen_plain < w->plain) {
			printf("bad: the watch of writer %u misses some\n", i);
			l->bad++;
		}
	}
	if (l->gone) {
		printf("bad: the watch is gone\n");
		l->bad++;
	}
}

static int report(const struct load *l, int64_t start)
{
	uint64_t acked = 0, unknown = 0, refused = 0;
	int64_t longest = 0, gap = 0;

	for (unsigned i = 0; i < l->n; i++) {
		const struct writer *w = &l->writers[i];

		acked += w->acked;
		unknown += w->unknown;
		refused += w->refused;
		longest = w->longest > longest ? w->longest : longest;
		gap = w->gap > gap ? w->gap : gap;
	}
	printf("%" PRIu64 " acknowledged, %" PRIu64 " failed, %" PRIu64
	       " refused, %" PRIu64 " events, %" PRIu64
	       " bad, longest call %d ms, longest gap %d ms, %d s\n",
	       acked, unknown, refused, l->events, l->bad,
	       (int)(longest / 1000000), (int)(gap / 1000000),
	       ms_since(start) / 1000);
	return l->bad ? 1 : 0;
}

static int load(struct store *s, unsigned threads, struct err *err)
{
	CLEANUP(cleanup_free)
	struct load *l = mem_zalloc(1, sizeof(*l));
	int64_t start = units_monotonic();
	struct store_watch *watch;
	char c;

	l->s = s;
	l->n = threads;
	pthread_mutex_init(&l->mu, NULL);
	pthread_cond_init(&l->told, NULL);
	watch = store_watch(s, "", 0, on_change, l, err);
	if (!watch)
		return complain(err, start);
	for (unsigned i = 0; i < threads; i++) {
		l->writers[i].load = l;
		l->writers[i].number = i;
		if (pthread_create(&l->writers[i].thread, NULL, write_all,
				   &l->writers[i]))
			abort();
	}
	printf("started\n");
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	__atomic_store_n(&l->stop, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(l->writers[i].thread, NULL);
	drain(l);
	store_unwatch(watch);
	judge_watch(l);
	return report(l, start);
}

/* --- single things --- */

static void print_change(void *arg, const struct store_change *change)
{
	(void)arg;
	for (size_t i = 0; i < change->n; i++)
		printf("%s %s %" PRId64 "\n",
		       change->events[i].deleted ? "delete" : "put",
		       change->events[i].kv.key,
		       change->events[i].kv.mod_revision);
	if (change->gone)
		printf("gone\n");
}

static int watch(struct store *s, int64_t from, struct err *err)
{
	struct store_watch *w =
		store_watch(s, "", from, print_change, NULL, err);
	char c;

	if (!w)
		return -1;
	printf("watching\n");
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	store_unwatch(w);
	return 0;
}

static int get(struct store *s, const char *key, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct store_kv kv;
	int found = store_get(s, key, a, &kv, err);

	if (found == 1)
		printf("%s\n", (const char *)kv.value);
	return found < 0 ? -1 : 0;
}

static int check(struct store *s, struct err *err)
{
	struct store_status status;

	if (store_check(s, &status, err) == -1)
		return -1;
	printf("%s at %s, revision %" PRId64 ", %" PRIu64 " bytes\n",
	       store_id(s), status.location, status.revision, status.size);
	return 0;
}

static int renew(struct store *s, unsigned count_, struct err *err)
{
	int64_t id, start;

	if (store_lease_grant(s, 60, &id, err) == -1)
		return -1;
	start = units_monotonic();
	for (unsigned i = 0; i < count_; i++)
		if (store_lease_renew(s, id, err) == -1)
			return -1;
	printf("%u renewals in %d ms\n", count_, ms_since(start));
	return store_lease_revoke(s, id, err);
}

static int run(struct store *s, char **argv, struct err *err)
{
	const char *arg = argv[1] ? argv[1] : "";

	if (strcmp(*argv, "watch") == 0)
		return watch(s, strtoll(arg, NULL, 10), err);
	if (strcmp(*argv, "put") == 0 && argv[1] && argv[2])
		return store_put(s, arg, argv[2], strlen(argv[2]), err);
	if (strcmp(*argv, "get") == 0)
		return get(s, arg, err);
	if (strcmp(*argv, "check") == 0)
		return check(s, err);
	if (strcmp(*argv, "lease") == 0)
		return renew(s, 1, err);
	if (strcmp(*argv, "renew") == 0)
		return renew(s, (unsigned)strtoul(arg, NULL, 10), err);
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "unknown command %s",
		       *argv);
}

/* Whether the argument is a setting; endpoints has room for all of them. */
static bool set(struct store_etcd_config *c, const char **endpoints,
		const char *arg)
{
	const struct {
		const char *name;
		const char **value;
	} settings[] = {
		{"prefix=", &c->prefix}, {"ca=", &c->tls.ca},
		{"cert=", &c->tls.cert}, {"key=", &c->tls.key},
		{"user=", &c->user},     {"password-file=", &c->password_file},
	};

	if (strncmp(arg, "endpoint=", 9) == 0) {
		while (*endpoints)
			endpoints++;
		*endpoints = arg + 9;
		return true;
	}
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		size_t size = strlen(settings[i].name);

		if (strncmp(arg, settings[i].name, size) == 0) {
			*settings[i].value = arg + size;
			return true;
		}
	}
	return false;
}

int main(int argc, char **argv)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_free)
	const char **endpoints =
		mem_zalloc((size_t)argc + 1, sizeof(*endpoints));
	struct store_etcd_config config = {.endpoints = endpoints,
					   .prefix = "oim/"};
	int64_t start = units_monotonic();
	unsigned long threads;
	struct store *s;
	int rc;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (*++argv && set(&config, endpoints, *argv))
		;
	if (!*argv) {
		fputs("usage: store_etcd SETTING... COMMAND [ARG]...\n",
		      stderr);
		return 2;
	}
	s = store_etcd_open(&config, &err);
	if (!s)
		return complain(&err, start);
	threads = argv[1] ? strtoul(argv[1], NULL, 10) : 1;
	if (strcmp(*argv, "load") != 0)
		rc = run(s, argv, &err) < 0 ? complain(&err, start) : 0;
	else if (threads >= 1 && threads <= MAX_THREADS)
		rc = load(s, (unsigned)threads, &err);
	else
		rc = 2;
	store_close(s);
	return rc;
}

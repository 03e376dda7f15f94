/*
 * How fast the LMDB store is in a directory, beside what the disk under it can
 * do: store_bench DIR [SECONDS]. Records as in store.md 1: 10 000 keys of 30
 * bytes, values of 100.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
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
#include "proto/lib/units.h"

#define KEYS    10000
#define VALUE   100
#define WRITERS 64
#define SAMPLES 200000

static void die(struct err *err)
{
	fprintf(stderr, "store_bench: %s\n", err->msg);
	exit(1);
}

static void make_key(char *key, size_t size, unsigned i)
{
	snprintf(key, size, "controllers/host-%05u/address", i % KEYS);
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double ms(int64_t ns)
{
	return (double)ns / 1e6;
}

/* --- disk --- */

/* Syncs per second of one page that is written again and again. */
static double bench_sync(const char *dir, int64_t duration)
{
	CLEANUP(cleanup_free) char *path = mem_printf("%s/sync", dir);
	CLEANUP(cleanup_fd) int fd = open(path, O_RDWR | O_CREAT, 0600);
	char page[4096] = "x";
	int64_t start, now;
	int n = 0;

	if (fd < 0 || pwrite(fd, page, sizeof(page), 0) != sizeof(page) ||
	    fsync(fd) == -1) {
		perror(path);
		exit(1);
	}
	start = units_monotonic();
	do {
		if (pwrite(fd, page, sizeof(page), 0) != sizeof(page) ||
		    fdatasync(fd) == -1)
			exit(1);
		n++;
		now = units_monotonic();
	} while (now - start < duration);
	unlink(path);
	return n * 1e9 / (double)(now - start);
}

/* --- writers --- */

struct writer {
	struct store *s;
	unsigned number;
	int64_t until;
	int64_t *samples;
	size_t n;
	pthread_t thread;
};

static void *put_on(void *arg)
{
	struct writer *w = arg;
	char key[64], value[VALUE] = "x";
	int64_t now = units_monotonic();

	for (unsigned i = w->number * 157; now < w->until; i++) {
		struct err err = ERR_INIT;
		int64_t start = now;

		make_key(key, sizeof(key), i);
		if (store_put(w->s, key, value, sizeof(value), &err) < 0)
			die(&err);
		now = units_monotonic();
		if (w->n < SAMPLES)
			w->samples[w->n++] = now - start;
	}
	return NULL;
}

static void report(const char *what, unsigned n, int64_t *samples, size_t size,
		   int64_t took, double syncs)
{
	double rate = (double)size * 1e9 / (double)took;

	qsort(samples, size, sizeof(*samples), by_value);
	printf("%2u %-22s %8.0f/s = %5.2f x sync, p50 %.3f ms, p99 %.3f ms\n",
	       n, what, rate, rate / syncs, ms(samples[size / 2]),
	       ms(samples[size - size / 100 - 1]));
}

static void bench_writers(struct store *s, unsigned n, int64_t duration,
			  double syncs)
{
	struct writer w[WRITERS] = {0};
	CLEANUP(cleanup_free) int64_t *all = NULL;
	int64_t start = units_monotonic();
	size_t size = 0;

	for (unsigned i = 0; i < n; i++) {
		w[i] = (struct writer){.s = s,
				       .number = i,
				       .until = start + duration,
				       .samples = mem_zalloc(SAMPLES, 8)};
		if (pthread_create(&w[i].thread, NULL, put_on, &w[i]))
			abort();
	}
	for (unsigned i = 0; i < n; i++) {
		pthread_join(w[i].thread, NULL);
		all = mem_realloc(all, size + w[i].n, sizeof(*all));
		memcpy(all + size, w[i].samples, w[i].n * sizeof(*all));
		size += w[i].n;
		free(w[i].samples);
	}
	report("writers", n, all, size, units_monotonic() - start, syncs);
}

/* Transactions that are submitted again when they are done. */
struct flight {
	struct store *s;
	struct store_txn txn;
	struct store_op op;
	char key[64];
	unsigned i;
	int64_t until;
	int64_t start;
	int64_t *samples;
	size_t *n;
	atomic_uint *left;
};

static void lift_off(struct flight *f)
{
	static const char value[VALUE] = "x";

	make_key(f->key, sizeof(f->key), f->i++);
	f->op = (struct store_op){
		.key = f->key, .value = value, .size = sizeof(value)};
	f->start = units_monotonic();
	store_submit(f->s, &f->txn);
}

static void on_done(struct store_txn *txn)
{
	struct flight *f = txn->arg;
	int64_t now = units_monotonic();

	if (txn->result != STORE_DONE)
		die(&txn->err);
	if (*f->n < SAMPLES * WRITERS)
		f->samples[(*f->n)++] = now - f->start;
	if (now < f->until)
		lift_off(f);
	else
		--*f->left;
}

static void bench_flights(struct store *s, unsigned n, int64_t duration,
			  double syncs)
{
	CLEANUP(cleanup_free)
	int64_t *samples = mem_zalloc(SAMPLES * WRITERS, sizeof(*samples));
	struct flight flights[WRITERS];
	atomic_uint left = n;
	int64_t start = units_monotonic();
	size_t size = 0;

	for (unsigned i = 0; i < n; i++) {
		struct flight *f = &flights[i];

		*f = (struct flight){.s = s,
				     .i = i * 157,
				     .until = start + duration,
				     .samples = samples,
				     .n = &size,
				     .left = &left};
		f->txn = (struct store_txn){
			.ops = &f->op, .n_ops = 1, .done = on_done, .arg = f};
		lift_off(f);
	}
	while (left)
		usleep(1000);
	report("in flight, one thread", n, samples, size,
	       units_monotonic() - start, syncs);
}

/* --- readers --- */

/* Microseconds of one call, repeated for a second at most. */
static double time_of(void (*call)(struct store *s, struct arena *a,
				   unsigned i),
		      struct store *s)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	int64_t start = units_monotonic(), now;
	unsigned n = 0;

	do {
		for (unsigned i = 0; i < 16; i++) {
			call(s, a, n++);
			arena_reset(a);
		}
		now = units_monotonic();
	} while (now - start < UNITS_SECOND / 2);
	return (double)(now - start) / 1e3 / n;
}

static void get(struct store *s, struct arena *a, unsigned i)
{
	struct err err = ERR_INIT;
	struct store_kv kv;
	char key[64];

	make_key(key, sizeof(key), i);
	if (store_get(s, key, a, &kv, &err) != 1)
		abort();
}

static void range(struct store *s, struct arena *a, size_t limit)
{
	struct err err = ERR_INIT;
	struct store_list list;

	if (store_range(s, "controllers/", NULL, limit, a, &list, &err) < 0)
		die(&err);
	if (list.n != limit)
		abort();
}

static void range_10(struct store *s, struct arena *a, unsigned i)
{
	(void)i;
	range(s, a, 10);
}

static void range_10000(struct store *s, struct arena *a, unsigned i)
{
	(void)i;
	range(s, a, KEYS);
}

static bool visit(void *arg, const struct store_kv *kv)
{
	*(size_t *)arg += kv->size;
	return true;
}

static void each_10000(struct store *s, struct arena *a, unsigned i)
{
	struct err err = ERR_INIT;
	size_t size = 0;

	(void)a;
	(void)i;
	if (store_each(s, "controllers/", visit, &size, &err) < 0)
		die(&err);
	if (size != KEYS * VALUE)
		abort();
}

static int64_t lease;

static void renew(struct store *s, struct arena *a, unsigned i)
{
	struct err err = ERR_INIT;

	(void)a;
	(void)i;
	if (store_lease_renew(s, lease, &err) < 0)
		die(&err);
}

static void bench_readers(struct store *s)
{
	struct err err = ERR_INIT;

	if (store_lease_grant(s, 3600, &lease, &err) < 0)
		die(&err);
	printf("get                       %8.2f us\n", time_of(get, s));
	printf("range of 10               %8.2f us\n", time_of(range_10, s));
	printf("range of 10000, copied    %8.0f us\n", time_of(range_10000, s));
	printf("each of 10000, not copied %8.0f us\n", time_of(each_10000, s));
	printf("renewal of a lease        %8.2f us\n", time_of(renew, s));
}

static void fill(struct store *s)
{
	struct store_op ops[100];
	char keys[100][64], value[VALUE] = "x";

	for (unsigned i = 0; i < KEYS; i += 100) {
		struct store_txn txn = {.ops = ops, .n_ops = 100};
		struct err err = ERR_INIT;

		for (unsigned k = 0; k < 100; k++) {
			make_key(keys[k], sizeof(keys[k]), i + k);
			ops[k] = (struct store_op){.key = keys[k],
						   .value = value,
						   .size = sizeof(value)};
		}
		if (store_commit(s, &txn, &err) != STORE_DONE)
			die(&err);
	}
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	CLEANUP(cleanup_free) char *path = NULL;
	int64_t duration;
	struct store *s;
	double syncs;

	if (argc < 2) {
		fputs("usage: store_bench DIR [SECONDS]\n", stderr);
		return 2;
	}
	duration = (argc > 2 ? strtol(argv[2], NULL, 10) : 2) * UNITS_SECOND;
	path = mem_printf("%s/store", argv[1]);
	syncs = bench_sync(argv[1], UNITS_SECOND / 2);
	printf("fdatasync of a page       %8.0f/s, %.3f ms\n", syncs,
	       1e3 / syncs);
	s = store_lmdb_open(path, &err);
	if (!s)
		die(&err);
	fill(s);
	bench_writers(s, 1, duration, syncs);
	bench_writers(s, 16, duration, syncs);
	bench_writers(s, WRITERS, duration, syncs);
	bench_flights(s, 1, duration, syncs);
	bench_flights(s, WRITERS, duration, syncs);
	bench_readers(s);
	store_close(s);
	return 0;
}

/*
 * The material of mutual TLS and when it is read again. How it is read is in
 * tls_material.c, what is made of it in tls_credentials.c and tls_identity.c.
 */

#include "proto/lib/tls.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/tls_identity.h"
#include "proto/lib/tls_material.h"
#include "proto/lib/units.h"

/* By which a file that has changed is recognised. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec changed; /* ctime: content, owner or mode */
};

struct tls {
	atomic_uint refs;
	char *paths[TLS_FILES];
	void (*on_refresh)(void *arg, const struct err *err);
	void *on_refresh_arg;

	atomic_llong looked; /* when, of CLOCK_MONOTONIC */

	pthread_mutex_t reading; /* before the other lock; guards stamps */
	struct stamp stamps[TLS_FILES];

	pthread_mutex_t lock; /* guards what follows */
	struct tls_material *material;
	unsigned generation;
	struct tls_cache *cache;
};

static void take_stamps(const struct tls *t, struct stamp stamps[TLS_FILES])
{
	memset(stamps, 0, TLS_FILES * sizeof(*stamps));
	for (int i = 0; i < TLS_FILES; i++) {
		struct stat st;

		if (!t->paths[i] || stat(t->paths[i], &st) == -1)
			continue;
		stamps[i].dev = st.st_dev;
		stamps[i].ino = st.st_ino;
		stamps[i].size = st.st_size;
		stamps[i].changed = st.st_ctim;
	}
}

static void take_material(struct tls *t, struct tls_material *m)
{
	struct tls_material *old;

	pthread_mutex_lock(&t->lock);
	old = t->material;
	t->material = m;
	t->generation++;
	tls_cache_clear(t->cache);
	pthread_mutex_unlock(&t->lock);
	tls_material_unref(old);
}

/*
 * Returns 1 if new material was taken into use, 0 if there is none. Needs
 * t->reading. The stamps are taken before the files are read: what changes
 * meanwhile is seen next time.
 */
static int read_files(struct tls *t, bool force, struct err *err)
{
	CLEANUP(cleanup_tls_material) struct tls_material *m = NULL;
	struct stamp stamps[TLS_FILES];

	t->looked = units_monotonic();
	take_stamps(t, stamps);
	if (!force && memcmp(stamps, t->stamps, sizeof(stamps)) == 0)
		return 0;
	memcpy(t->stamps, stamps, sizeof(stamps));
	m = tls_material_read(t->paths, err);
	if (!m)
		return -1;
	if (t->material && tls_material_is_equal(t->material, m))
		return 0;
	take_material(t, STEAL(m));
	return 1;
}

static bool has_just_looked(struct tls *t)
{
	return units_monotonic() - t->looked < UNITS_SECOND;
}

int tls_refresh(struct tls *t, bool force, struct err *err)
{
	int ret = 0;

	pthread_mutex_lock(&t->reading);
	if (force || !has_just_looked(t))
		ret = read_files(t, force, err);
	pthread_mutex_unlock(&t->reading);
	return ret < 0 ? -1 : 0;
}

void tls_look(struct tls *t)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	int ret;

	if (has_just_looked(t) || pthread_mutex_trylock(&t->reading) != 0)
		return;
	ret = read_files(t, false, &err);
	pthread_mutex_unlock(&t->reading);
	if (ret != 0 && t->on_refresh)
		t->on_refresh(t->on_refresh_arg, ret < 0 ? &err : NULL);
}

void tls_on_refresh(struct tls *t, void (*fn)(void *arg, const struct err *err),
		    void *arg)
{
	t->on_refresh = fn;
	t->on_refresh_arg = arg;
}

struct tls *tls_new(const struct tls_files *files, struct err *err)
{
	struct tls *t = mem_zalloc(1, sizeof(*t));

	assert(!files->cert == !files->key);
	t->refs = 1;
	t->paths[TLS_CA] = mem_strdup(files->ca);
	t->paths[TLS_CERT] = mem_strdup(files->cert);
	t->paths[TLS_KEY] = mem_strdup(files->key);
	t->paths[TLS_CRL] = mem_strdup(files->crl);
	pthread_mutex_init(&t->reading, NULL);
	pthread_mutex_init(&t->lock, NULL);
	t->cache = tls_cache_new();
	if (tls_refresh(t, true, err) == 0)
		return t;
	tls_unref(t);
	return NULL;
}

struct tls *tls_ref(struct tls *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

void tls_unref(struct tls *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) > 1)
		return;
	for (int i = 0; i < TLS_FILES; i++)
		free(t->paths[i]);
	tls_cache_free(t->cache);
	tls_material_unref(t->material);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->reading);
	free(t);
}

struct tls_material *tls_material_of(struct tls *t, unsigned *generation)
{
	struct tls_material *m;

	pthread_mutex_lock(&t->lock);
	m = t->material;
	atomic_fetch_add(&m->refs, 1);
	*generation = t->generation;
	pthread_mutex_unlock(&t->lock);
	return m;
}

unsigned tls_generation(struct tls *t)
{
	unsigned generation;

	pthread_mutex_lock(&t->lock);
	generation = t->generation;
	pthread_mutex_unlock(&t->lock);
	return generation;
}

int64_t tls_expiry(struct tls *t)
{
	CLEANUP(cleanup_tls_material) struct tls_material *m = NULL;
	unsigned generation;

	m = tls_material_of(t, &generation);
	return m->own ? tls_material_time(X509_get0_notAfter(m->own)) : 0;
}

static struct tls_identity *find(struct tls *t, const char *pem, size_t size)
{
	struct tls_identity *identity;

	pthread_mutex_lock(&t->lock);
	identity = tls_cache_find(t->cache, pem, size);
	pthread_mutex_unlock(&t->lock);
	return identity;
}

/* Unless what it was judged by is out of use by now. */
static void remember(struct tls *t, struct tls_identity *identity,
		     unsigned generation)
{
	pthread_mutex_lock(&t->lock);
	if (t->generation == generation)
		tls_cache_add(t->cache, identity);
	pthread_mutex_unlock(&t->lock);
}

const struct tls_identity *tls_identity_of(struct tls *t, const char *pem,
					   size_t size)
{
	CLEANUP(cleanup_tls_material) struct tls_material *m = NULL;
	struct tls_identity *identity;
	unsigned generation;

	tls_look(t);
	identity = find(t, pem, size);
	if (identity)
		return identity;
	m = tls_material_of(t, &generation);
	identity = tls_identity_parse(m, pem, size);
	if (identity)
		remember(t, identity, generation);
	return identity;
}

/* Who a certificate belongs to. */

#include "proto/lib/tls_identity.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"

/* What a struct tls_identity really is. */
struct entry {
	struct tls_identity identity; /* first: callers hold a pointer to it */
	atomic_uint refs;
	char **names;
	size_t n_names;
	char *pem; /* what it was parsed from, or NULL */
	size_t size;
};

static struct entry *entry_of(const struct tls_identity *identity)
{
	return (struct entry *)(uintptr_t)identity;
}

/* Names that cannot be written down in text without ambiguity do not count. */
static void add_name(struct entry *e, const unsigned char *data, int length)
{
	const char *name = (const char *)data;
	size_t size = length > 0 ? (size_t)length : 0;

	if (!size || memchr(name, '\0', size) || !utf8_is_valid(name, size))
		return;
	if (e->n_names && strlen(e->names[0]) == size &&
	    memcmp(e->names[0], name, size) == 0)
		return; /* the usual DNS name that repeats the common name */
	e->names = mem_realloc(e->names, e->n_names + 2, sizeof(*e->names));
	e->names[e->n_names++] = mem_dup(name, size);
	e->names[e->n_names] = NULL;
}

static void add_common_name(struct entry *e, const X509 *cert)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int i = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text = NULL;
	int size;

	if (i < 0)
		return;
	size = ASN1_STRING_to_UTF8(
		&text,
		X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));
	add_name(e, text, size);
	OPENSSL_free(text);
}

static void add_dns_names(struct entry *e, const X509 *cert)
{
	GENERAL_NAMES *names =
		X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			add_name(e, ASN1_STRING_get0_data(name->d.dNSName),
				 ASN1_STRING_length(name->d.dNSName));
	}
	GENERAL_NAMES_free(names);
}

/* By issuer and serial number, among lists whose signature was checked. */
static bool is_revoked(X509 *cert, const STACK_OF(X509_CRL) * crls)
{
	X509_REVOKED *entry;

	for (int i = 0; i < sk_X509_CRL_num(crls); i++)
		if (X509_CRL_get0_by_cert(sk_X509_CRL_value(crls, i), &entry,
					  cert) == 1)
			return true;
	return false;
}

struct tls_identity *tls_identity_new(const struct tls_material *m, X509 *cert)
{
	struct entry *e = mem_zalloc(1, sizeof(*e));

	e->refs = 1;
	e->names = mem_zalloc(1, sizeof(*e->names));
	add_common_name(e, cert);
	add_dns_names(e, cert);
	e->identity.names = (const char *const *)e->names;
	e->identity.revoked = is_revoked(cert, m->crls);
	ERR_clear_error();
	return &e->identity;
}

struct tls_identity *tls_identity_parse(const struct tls_material *m,
					const char *pem, size_t size)
{
	BIO *bio = size <= INT_MAX ? BIO_new_mem_buf(pem, (int)size) : NULL;
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	struct tls_identity *identity = NULL;

	if (cert) {
		identity = tls_identity_new(m, cert);
		entry_of(identity)->pem = mem_dup(pem, size);
		entry_of(identity)->size = size;
	}
	ERR_clear_error();
	X509_free(cert);
	BIO_free(bio);
	return identity;
}

static struct tls_identity *ref(struct entry *e)
{
	atomic_fetch_add(&e->refs, 1);
	return &e->identity;
}

void tls_identity_release(const struct tls_identity *identity)
{
	struct entry *e = entry_of(identity);

	if (!e || atomic_fetch_sub(&e->refs, 1) > 1)
		return;
	for (size_t i = 0; i < e->n_names; i++)
		free(e->names[i]);
	free(e->names);
	free(e->pem);
	free(e);
}

bool tls_identity_has(const struct tls_identity *identity, const char *name)
{
	for (size_t i = 0; identity->names[i]; i++)
		if (strcmp(identity->names[i], name) == 0)
			return true;
	return false;
}

/* The names in quotes, separated by commas. */
static char *quote_names(const struct tls_identity *identity)
{
	char *all = mem_strdup("");

	for (size_t i = 0; identity->names[i]; i++) {
		CLEANUP(cleanup_free) char *before = all;

		all = mem_printf("%s%s\"%s\"", before, i ? ", " : "",
				 identity->names[i]);
	}
	return all;
}

int tls_identity_check_server(const struct tls_identity *identity,
			      const char *name, struct err *err)
{
	CLEANUP(cleanup_free) char *names = quote_names(identity);

	if (!tls_identity_has(identity, name))
		return err_set(err, GRPC_STATUS_UNAVAILABLE,
			       "the server is %s, expected \"%s\"",
			       *names ? names : "without a name", name);
	if (identity->revoked)
		return err_set(err, GRPC_STATUS_UNAVAILABLE,
			       "the certificate of the server (%s) is revoked",
			       names);
	return 0;
}

/* A text has one set of places that it can be in; they are filled in turn. */
#define SETS 64u
#define WAYS 4u

struct tls_cache {
	struct set {
		struct entry *places[WAYS];
		unsigned next;
	} sets[SETS];
};

struct tls_cache *tls_cache_new(void)
{
	return mem_zalloc(1, sizeof(struct tls_cache));
}

void tls_cache_clear(struct tls_cache *cache)
{
	for (unsigned i = 0; i < SETS * WAYS; i++) {
		struct entry **place = &cache->sets[i / WAYS].places[i % WAYS];

		if (*place)
			tls_identity_release(&(*place)->identity);
		*place = NULL;
	}
}

void tls_cache_free(struct tls_cache *cache)
{
	tls_cache_clear(cache);
	free(cache);
}

/*
 * Of the end of the text, which is the signature: two certificates of one CA
 * do not differ more anywhere else. What is equal is decided by comparing all.
 */
static struct set *set_of(struct tls_cache *cache, const char *pem, size_t size)
{
	uint64_t hash = size;
	uint64_t word;

	pem += size;
	for (size_t n = 0; n + sizeof(word) <= size && n < 128;
	     n += sizeof(word)) {
		pem -= sizeof(word);
		memcpy(&word, pem, sizeof(word));
		hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return &cache->sets[hash % SETS];
}

struct tls_identity *tls_cache_find(struct tls_cache *cache, const char *pem,
				    size_t size)
{
	struct set *set = set_of(cache, pem, size);

	for (unsigned i = 0; i < WAYS; i++) {
		struct entry *e = set->places[i];

		if (e && e->size == size && memcmp(e->pem, pem, size) == 0)
			return ref(e);
	}
	return NULL;
}

void tls_cache_add(struct tls_cache *cache, struct tls_identity *identity)
{
	struct entry *e = entry_of(identity);
	struct set *set = set_of(cache, e->pem, e->size);
	struct entry **place = &set->places[set->next++ % WAYS];

	if (*place)
		tls_identity_release(&(*place)->identity);
	*place = entry_of(ref(e));
}

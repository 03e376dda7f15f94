#ifndef OIM_TLS_IDENTITY_H
#define OIM_TLS_IDENTITY_H

/*
 * Who a certificate belongs to, and a cache of the answers, since every call
 * asks. Only tls*.c and diagnose.c look in here. Identities are counted; see
 * tls_identity_release().
 */

#include <stddef.h>

#include "proto/lib/err.h"
#include "proto/lib/tls.h"
#include "proto/lib/tls_material.h"

/*
 * The identity in PEM text; whether it is revoked is judged by the lists of m.
 * NULL if it does not parse.
 */
struct tls_identity *tls_identity_parse(const struct tls_material *m,
					const char *pem, size_t size);

/* The same of a certificate. */
struct tls_identity *tls_identity_new(const struct tls_material *m, X509 *cert);

static inline void cleanup_tls_identity(const struct tls_identity **identity)
{
	tls_identity_release(*identity);
}

/*
 * What a client demands of a server: that it has this name and is not revoked.
 * UNAVAILABLE with a sentence that has both names.
 */
int tls_identity_check_server(const struct tls_identity *identity,
			      const char *name, struct err *err);

/*
 * Answers by the text that they were asked with. A cache has a fixed number of
 * places. It is not locked.
 */
struct tls_cache;

struct tls_cache *tls_cache_new(void);
void tls_cache_free(struct tls_cache *cache);
void tls_cache_clear(struct tls_cache *cache);

/* A reference, or NULL. */
struct tls_identity *tls_cache_find(struct tls_cache *cache, const char *pem,
				    size_t size);
/* The identity must come from tls_identity_parse() with that text. */
void tls_cache_add(struct tls_cache *cache, struct tls_identity *identity);

#endif

#ifndef OIM_TLS_MATERIAL_H
#define OIM_TLS_MATERIAL_H

/*
 * What one reading of the files of a struct tls gave. Only tls*.c and
 * diagnose.c look in here. Material does not change after it was read and is
 * counted, so any thread may use it.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "proto/lib/err.h"
#include "proto/lib/tls.h"

enum tls_file {
	TLS_CA = 0,
	TLS_CERT,
	TLS_KEY,
	TLS_CRL,
	TLS_FILES, /* how many */
};

struct tls_material {
	atomic_uint refs;
	char *pem[TLS_FILES];      /* for gRPC core; the key is a secret */
	STACK_OF(X509) * ca;       /* those that are trusted */
	X509 *own;                 /* certificate; NULL: none */
	STACK_OF(X509_CRL) * crls; /* may be empty */
	SSL_CTX *ctx;              /* with all of these, to try a handshake */
};

/* Reads and checks, see tls_new(). The paths of TLS_CRL, and
 * of TLS_CERT and TLS_KEY, may be NULL. */
struct tls_material *tls_material_read(char *const paths[TLS_FILES],
				       struct err *err);
void tls_material_unref(struct tls_material *m);
static inline void cleanup_tls_material(struct tls_material **m)
{
	tls_material_unref(*m);
}

/* A time of a certificate in seconds since 1970. */
int64_t tls_material_time(const ASN1_TIME *time);

/* Whether the same was read. */
bool tls_material_is_equal(const struct tls_material *a,
			   const struct tls_material *b);

/* A reference to the material in use, and its generation. */
struct tls_material *tls_material_of(struct tls *t, unsigned *generation);

/*
 * tls_refresh() for when nobody asked: what comes of it goes to the function
 * that tls_on_refresh() has set. Cheap while the last look is recent.
 */
void tls_look(struct tls *t);

#endif

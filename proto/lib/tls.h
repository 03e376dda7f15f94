#ifndef OIM_TLS_H
#define OIM_TLS_H

/*
 * Mutual TLS: one set of CA, certificate, key and revocation list that is read
 * again when the files change, credentials for gRPC made of it, and who the
 * peer is.
 *
 * Identities (design: Who may do what) are the common name and the DNS names of
 * a certificate, compared byte for byte, without wildcards. All functions may
 * be called by any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <grpc/grpc_security.h>

#include "proto/lib/err.h"

struct tls;

struct tls_files {
	const char *ca;   /* PEM: the authorities that are trusted */
	const char *cert; /* PEM: own certificate, then the chain; NULL, and
			   * the key too: none, for clients only */
	const char *key;  /* PEM */
	const char *crl;  /* PEM: revocation lists; NULL if there is none */
};

/*
 * Reads and checks the files: they parse, the key belongs to the certificate,
 * has no passphrase and is not open to others (its group is none of them), the
 * revocation lists are signed by the CA. A list that has expired still counts,
 * and so does an own certificate: its peers will say so. Errors name the file
 * and what is wrong with it, and never show its content. UNAVAILABLE is not
 * used: a file that is missing is FAILED_PRECONDITION.
 */
struct tls *tls_new(const struct tls_files *files, struct err *err);
struct tls *tls_ref(struct tls *t);
void tls_unref(struct tls *t);

/*
 * Reads the files again if one has changed on disk since they were last read.
 * On an error the material in use stays. Looks at the disk at most once a
 * second; with force at once, and reads in any case.
 */
int tls_refresh(struct tls *t, bool force, struct err *err);

/*
 * The files are also looked at by handshakes, calls of clients and
 * tls_identity_of(), which have nobody to tell: fn gets NULL when they have
 * taken new material into use, and the error when they could not; once, until
 * the files change again. Any thread may call it. To be set before t is used.
 */
void tls_on_refresh(struct tls *t, void (*fn)(void *arg, const struct err *err),
		    void *arg);

/* Grows with every set of material that is taken into use. */
unsigned tls_generation(struct tls *t);

/* When the own certificate ends, in seconds since 1970; 0: there is none. */
int64_t tls_expiry(struct tls *t);

/*
 * For a client, with the material of now: demands that the server has a
 * certificate of the CA that is not revoked and carries peer_name; if that is
 * NULL, one for the host that is dialled, be it revoked or not.
 */
grpc_channel_credentials *tls_channel_credentials(struct tls *t,
						  const char *peer_name);

/*
 * For a server: demands client certificates, and looks at the files at every
 * handshake. Keeps a reference to t. Revocation is not seen here: see
 * tls_identity_of(). Each listener needs credentials of its own: of several
 * that share them only one would hear of new material.
 */
grpc_server_credentials *tls_server_credentials(struct tls *t);

/* Who a certificate belongs to. */
struct tls_identity {
	const char *const *names; /* common name first, NULL-terminated */
	bool revoked;
};

/*
 * The identity in a PEM certificate that the handshake has verified. Answers
 * for certificates seen lately come from a cache that new material empties;
 * the files are looked at, so that a certificate that is revoked while its
 * owner stays connected is seen within a second. The result is released with
 * tls_identity_release(); NULL if the certificate does not parse.
 */
const struct tls_identity *tls_identity_of(struct tls *t, const char *pem,
					   size_t size);
void tls_identity_release(const struct tls_identity *identity);

/* Whether one of the names is that name. */
bool tls_identity_has(const struct tls_identity *identity, const char *name);

#endif

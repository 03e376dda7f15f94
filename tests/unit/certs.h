#ifndef OIM_TEST_CERTS_H
#define OIM_TEST_CERTS_H

/*
 * A certificate authority in a temporary directory, for tests: certificates of
 * any kind, good or bad, and revocation lists. Failures abort.
 */

#include <dirent.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "proto/lib/mem.h"
#include "proto/lib/tls.h"
#include "tests/unit/check.h"

#define CERTS_DAY 86400l

struct certs {
	char dir[64];
	EVP_PKEY *key;
	X509 *cert;
	X509_CRL *crl;
	long serial;
};

/* "DIR/NAME"; the caller frees it. */
static inline char *certs_path(const struct certs *c, const char *name)
{
	return mem_printf("%s/%s", c->dir, name);
}

static inline FILE *certs_open(const struct certs *c, const char *name)
{
	char *path = certs_path(c, name);
	FILE *file;

	unlink(path);
	file = fopen(path, "we");
	CHECK(file && fchmod(fileno(file), 0600) == 0);
	free(path);
	return file;
}

static inline void certs_write(const struct certs *c, const char *name,
			       const char *text)
{
	FILE *file = certs_open(c, name);

	CHECK(fputs(text, file) != EOF && fclose(file) == 0);
}

static inline void certs_write_cert(const struct certs *c, const char *name,
				    X509 *cert)
{
	FILE *file = certs_open(c, name);

	CHECK(PEM_write_X509(file, cert) == 1 && fclose(file) == 0);
}

static inline void certs_write_key(const struct certs *c, const char *name,
				   EVP_PKEY *key)
{
	FILE *file = certs_open(c, name);

	CHECK(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	      fclose(file) == 0);
}

static inline void certs_extend(X509 *cert, X509 *issuer, int nid,
				const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	CHECK(ext && X509_add_ext(cert, ext, -1) == 1);
	X509_EXTENSION_free(ext);
}

/* A certificate that is valid from and to so many seconds from now. */
static inline X509 *certs_new_cert(EVP_PKEY *key, const char *cn, long serial,
				   long from, long to)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
	X509_gmtime_adj(X509_getm_notBefore(cert), from);
	X509_gmtime_adj(X509_getm_notAfter(cert), to);
	X509_set_pubkey(cert, key);
	if (cn)
		CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
						 (const unsigned char *)cn, -1,
						 -1, 0) == 1);
	return cert;
}

static inline void certs_init(struct certs *c, const char *cn)
{
	memset(c, 0, sizeof(*c));
	snprintf(c->dir, sizeof(c->dir), "/tmp/oim-certs-XXXXXX");
	CHECK(mkdtemp(c->dir));
	c->key = EVP_EC_gen("P-256");
	c->serial = 1;
	c->cert = certs_new_cert(c->key, cn, c->serial, -CERTS_DAY,
				 30 * CERTS_DAY);
	X509_set_issuer_name(c->cert, X509_get_subject_name(c->cert));
	certs_extend(c->cert, c->cert, NID_basic_constraints,
		     "critical,CA:TRUE");
	certs_extend(c->cert, c->cert, NID_subject_key_identifier, "hash");
	CHECK(X509_sign(c->cert, c->key, EVP_sha256()) > 0);
	certs_write_cert(c, "ca.crt", c->cert);
}

/*
 * Writes FILE.crt and FILE.key; names is "DNS:a,DNS:b" or NULL. Returns the
 * serial number.
 */
static inline long certs_issue_for(struct certs *c, const char *file,
				   const char *cn, const char *names, long from,
				   long to)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = certs_new_cert(key, cn, ++c->serial, from, to);
	char name[300];

	X509_set_issuer_name(cert, X509_get_subject_name(c->cert));
	certs_extend(cert, c->cert, NID_ext_key_usage, "serverAuth,clientAuth");
	certs_extend(cert, c->cert, NID_authority_key_identifier, "keyid");
	if (names)
		certs_extend(cert, c->cert, NID_subject_alt_name, names);
	CHECK(X509_sign(cert, c->key, EVP_sha256()) > 0);
	snprintf(name, sizeof(name), "%s.crt", file);
	certs_write_cert(c, name, cert);
	snprintf(name, sizeof(name), "%s.key", file);
	certs_write_key(c, name, key);
	X509_free(cert);
	EVP_PKEY_free(key);
	return c->serial;
}

/* A good certificate with that common name. */
static inline long certs_issue(struct certs *c, const char *cn)
{
	return certs_issue_for(c, cn, cn, NULL, -CERTS_DAY, CERTS_DAY);
}

/* Writes crl.pem, which ends so many seconds from now; serial 0: nothing. */
static inline void certs_revoke_until(struct certs *c, long serial, long to)
{
	ASN1_TIME *now = X509_gmtime_adj(NULL, -2 * CERTS_DAY);
	ASN1_TIME *end = X509_gmtime_adj(NULL, to);
	X509_REVOKED *revoked;
	FILE *file;

	if (!c->crl)
		c->crl = X509_CRL_new();
	X509_CRL_set_version(c->crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(c->crl, X509_get_subject_name(c->cert));
	X509_CRL_set1_lastUpdate(c->crl, now);
	X509_CRL_set1_nextUpdate(c->crl, end);
	if (serial) {
		ASN1_INTEGER *number = ASN1_INTEGER_new();

		ASN1_INTEGER_set(number, serial);
		revoked = X509_REVOKED_new();
		X509_REVOKED_set_serialNumber(revoked, number);
		X509_REVOKED_set_revocationDate(revoked, now);
		X509_CRL_add0_revoked(c->crl, revoked);
		ASN1_INTEGER_free(number);
	}
	CHECK(X509_CRL_sign(c->crl, c->key, EVP_sha256()) > 0);
	file = certs_open(c, "crl.pem");
	CHECK(PEM_write_X509_CRL(file, c->crl) == 1 && fclose(file) == 0);
	ASN1_TIME_free(now);
	ASN1_TIME_free(end);
}

static inline void certs_revoke(struct certs *c, long serial)
{
	certs_revoke_until(c, serial, CERTS_DAY);
}

/* tls_new() with the CA of ca and FILE of c; crl.pem of c if it has one. */
static inline struct tls *certs_tls(const struct certs *ca,
				    const struct certs *c, const char *file,
				    struct err *err)
{
	char *paths[] = {mem_printf("%s/ca.crt", ca->dir),
			 mem_printf("%s/%s.crt", c->dir, file),
			 mem_printf("%s/%s.key", c->dir, file),
			 mem_printf("%s/crl.pem", c->dir)};
	struct tls_files files = {.ca = paths[0],
				  .cert = paths[1],
				  .key = paths[2],
				  .crl = c->crl ? paths[3] : NULL};
	struct tls *t = tls_new(&files, err);

	for (int i = 0; i < 4; i++)
		free(paths[i]);
	return t;
}

/* The text of a file of the directory; the caller frees it. */
static inline char *certs_read(const struct certs *c, const char *name)
{
	char *path = certs_path(c, name);
	FILE *file = fopen(path, "re");
	char *text = mem_zalloc(1, 16384);

	CHECK(file && fread(text, 1, 16383, file) > 0);
	fclose(file);
	free(path);
	return text;
}

static inline void certs_clear(struct certs *c)
{
	DIR *dir = opendir(c->dir);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(c->dir);
	X509_CRL_free(c->crl);
	X509_free(c->cert);
	EVP_PKEY_free(c->key);
}

#endif

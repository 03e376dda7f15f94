/*
 * Reading the files of a TLS identity. Whatever would make gRPC core refuse
 * them later is found here, where it can be said which file it is.
 */

#include "proto/lib/tls_material.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define FILE_MAX (16u << 20) /* a long revocation list */

static void cleanup_bio(BIO **bio)
{
	BIO_free(*bio);
}

static void cleanup_pkey(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void cleanup_certs(STACK_OF(X509) * *certs)
{
	sk_X509_pop_free(*certs, X509_free);
}

static int bad(struct err *err, const char *reason)
{
	return err_set(err, GRPC_STATUS_FAILED_PRECONDITION, "%s", reason);
}

static int bad_errno(struct err *err)
{
	char buf[128];

	return bad(err, strerror_r(errno, buf, sizeof(buf)));
}

/* As OpenSSL says it; its reasons never quote the file. */
static int bad_openssl(struct err *err)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return bad(err, reason ? reason : "OpenSSL does not accept it");
}

static int check_mode(int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return bad_errno(err);
	if (st.st_mode & S_IRWXO)
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "others have access to it (mode %04o)",
			       (unsigned)st.st_mode & 07777);
	return 0;
}

/* Returns how much there is, at most size, or -1 with errno. */
static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, buf + done, size - done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int read_text(int fd, char **text, struct err *err)
{
	char *buf = mem_alloc(FILE_MAX);
	ssize_t size = read_all(fd, buf, FILE_MAX);
	int ret = 0;

	if (size == -1)
		ret = bad_errno(err);
	else if (size == FILE_MAX)
		ret = bad(err, "it is too large");
	else if (memchr(buf, '\0', (size_t)size))
		ret = bad(err, "it is not a PEM file");
	else
		*text = mem_dup(buf, (size_t)size);
	if (size > 0)
		explicit_bzero(buf, (size_t)size);
	free(buf);
	return ret;
}

static int read_file(const char *path, bool secret, char **text,
		     struct err *err)
{
	CLEANUP(cleanup_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd == -1)
		return bad_errno(err);
	if (secret && check_mode(fd, err) < 0) {
		err_hint(err, "chmod o= %s", path);
		return -1;
	}
	return read_text(fd, text, err);
}

/*
 * Whether a PEM reader came to the end of the file, rather than to something
 * that it could not read.
 */
static bool is_at_end(void)
{
	return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static STACK_OF(X509) * parse_certs(const char *pem, struct err *err)
{
	CLEANUP(cleanup_bio) BIO *bio = BIO_new_mem_buf(pem, -1);
	CLEANUP(cleanup_certs) STACK_OF(X509) *certs = sk_X509_new_null();
	X509 *cert;

	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		sk_X509_push(certs, cert);
	if (!is_at_end())
		err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			"certificate %d in it does not parse",
			sk_X509_num(certs) + 1);
	else if (!sk_X509_num(certs))
		bad(err, "it holds no certificate");
	else
		return STEAL(certs);
	return NULL;
}

static int take_ca(struct tls_material *m, struct err *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(m->ctx);

	m->ca = parse_certs(m->pem[TLS_CA], err);
	for (int i = 0; m->ca && i < sk_X509_num(m->ca); i++)
		if (X509_STORE_add_cert(store, sk_X509_value(m->ca, i)) != 1)
			return bad_openssl(err);
	return m->ca ? 0 : -1;
}

static int take_cert(struct tls_material *m, struct err *err)
{
	CLEANUP(cleanup_certs) STACK_OF(X509) *chain = NULL;

	chain = parse_certs(m->pem[TLS_CERT], err);
	if (!chain)
		return -1;
	m->own = sk_X509_shift(chain);
	if (SSL_CTX_use_certificate(m->ctx, m->own) != 1 ||
	    SSL_CTX_set1_chain(m->ctx, chain) != 1)
		return bad_openssl(err);
	return 0;
}

static int on_passphrase(char *buf, int size, int writing, void *asked)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static int take_key(struct tls_material *m, struct err *err)
{
	CLEANUP(cleanup_bio) BIO *bio = BIO_new_mem_buf(m->pem[TLS_KEY], -1);
	CLEANUP(cleanup_pkey) EVP_PKEY *key = NULL;
	bool encrypted = false;

	key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &encrypted);
	if (encrypted)
		return bad(err, "it is protected by a passphrase");
	if (!key)
		return bad(err, is_at_end() ? "it holds no private key"
					    : "the key in it does not parse");
	if (X509_check_private_key(m->own, key) != 1)
		return bad(err, "it does not belong to the certificate");
	if (SSL_CTX_use_PrivateKey(m->ctx, key) != 1)
		return bad_openssl(err);
	return 0;
}

static bool is_signed_by(X509_CRL *crl, X509 *ca)
{
	return X509_NAME_cmp(X509_CRL_get_issuer(crl),
			     X509_get_subject_name(ca)) == 0 &&
	       X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1;
}

static bool is_signed(X509_CRL *crl, const STACK_OF(X509) * cas)
{
	for (int i = 0; i < sk_X509_num(cas); i++)
		if (is_signed_by(crl, sk_X509_value(cas, i)))
			return true;
	return false;
}

/* A list that has expired counts: better an old one than none. */
static int take_crl(struct tls_material *m, struct err *err)
{
	CLEANUP(cleanup_bio) BIO *bio = BIO_new_mem_buf(m->pem[TLS_CRL], -1);
	X509_CRL *crl;

	while ((crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
		sk_X509_CRL_push(m->crls, crl);
		if (!is_signed(crl, m->ca))
			return bad(err, "it is not signed by the CA");
	}
	if (!is_at_end())
		return bad(err, "it does not parse");
	if (!sk_X509_CRL_num(m->crls))
		return bad(err, "it holds no revocation list");
	return 0;
}

static const struct {
	const char *what;
	int (*take)(struct tls_material *m, struct err *err);
} files[TLS_FILES] = {
	[TLS_CA] = {"CA file", take_ca},
	[TLS_CERT] = {"certificate file", take_cert},
	[TLS_KEY] = {"key file", take_key},
	[TLS_CRL] = {"revocation list", take_crl},
};

static struct tls_material *material_new(void)
{
	static const unsigned char alpn[] = {2, 'h', '2'};
	struct tls_material *m = mem_zalloc(1, sizeof(*m));

	m->refs = 1;
	m->crls = sk_X509_CRL_new_null();
	m->ctx = SSL_CTX_new(TLS_method());
	if (!m->crls || !m->ctx)
		abort();
	SSL_CTX_set_min_proto_version(m->ctx, TLS1_2_VERSION);
	SSL_CTX_set_alpn_protos(m->ctx, alpn, sizeof(alpn));
	return m;
}

struct tls_material *tls_material_read(char *const paths[TLS_FILES],
				       struct err *err)
{
	CLEANUP(cleanup_tls_material) struct tls_material *m = material_new();
	int ret = 0;

	for (int i = 0; ret == 0 && i < TLS_FILES; i++) {
		if (!paths[i])
			continue;
		ret = read_file(paths[i], i == TLS_KEY, &m->pem[i], err);
		if (ret == 0)
			ret = files[i].take(m, err);
		if (ret < 0)
			err_wrap(err, "%s %s", files[i].what, paths[i]);
	}
	ERR_clear_error(); /* or gRPC takes what is left there for its own */
	return ret < 0 ? NULL : STEAL(m);
}

void tls_material_unref(struct tls_material *m)
{
	if (!m || atomic_fetch_sub(&m->refs, 1) > 1)
		return;
	for (int i = 0; i < TLS_FILES; i++)
		mem_free_secret(m->pem[i]);
	sk_X509_pop_free(m->ca, X509_free);
	X509_free(m->own);
	sk_X509_CRL_pop_free(m->crls, X509_CRL_free);
	SSL_CTX_free(m->ctx);
	free(m);
}

int64_t tls_material_time(const ASN1_TIME *time)
{
	struct tm tm;

	return ASN1_TIME_to_tm(time, &tm) == 1 ? timegm(&tm) : 0;
}

bool tls_material_is_equal(const struct tls_material *a,
			   const struct tls_material *b)
{
	for (int i = 0; i < TLS_FILES; i++)
		if (a->pem[i] && strcmp(a->pem[i], b->pem[i]) != 0)
			return false;
	return true;
}

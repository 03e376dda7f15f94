/*
 * Why a TLS handshake failed. OpenSSL works on memory here and the bytes are
 * carried by hand: it would write to the socket in a way that raises SIGPIPE.
 */

#include "proto/lib/diagnose_tls.h"

#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/tls_identity.h"
#include "proto/lib/tls_material.h"
#include "proto/lib/units.h"

/* A handshake that is tried. */
struct probe {
	SSL *ssl;
	BIO *in;
	BIO *out;
	int fd;
	int64_t until;
	bool timed_out;
	int alert;            /* that came from the server, or -1 */
	const char *tls_name; /* who must be there; NULL: the host */
	const char *host;
};

static void probe_init(struct probe *p, SSL_CTX *ctx, int fd, int64_t until)
{
	p->ssl = SSL_new(ctx);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	p->fd = fd;
	p->until = until;
	p->timed_out = false;
	p->alert = -1;
	if (!p->ssl || !p->in || !p->out)
		abort();
	SSL_set_bio(p->ssl, p->in, p->out); /* which owns them now */
	SSL_set_connect_state(p->ssl);
	ERR_clear_error();
}

static void probe_clear(struct probe *p)
{
	SSL_free(p->ssl);
	ERR_clear_error(); /* or gRPC takes what is left for its own */
}

static void flush(struct probe *p)
{
	char *data;
	long size = BIO_get_mem_data(p->out, &data);

	if (size > 0)
		send(p->fd, data, (size_t)size, MSG_NOSIGNAL);
	(void)BIO_reset(p->out);
}

/* Hands on what the server has sent; false if there will be no more of it. */
static bool feed(struct probe *p)
{
	struct pollfd poll_fd = {.fd = p->fd, .events = POLLIN};
	int64_t left = p->until - units_monotonic();
	char buf[4096];
	ssize_t n;

	if (left <= 0 || poll(&poll_fd, 1, (int)(left / 1000000) + 1) != 1) {
		p->timed_out = true;
		return false;
	}
	n = recv(p->fd, buf, sizeof(buf), 0);
	if (n > 0)
		BIO_write(p->in, buf, (int)n);
	return n > 0;
}

/* Reasons of that range are alerts of the peer (openssl/sslerr.h). */
static int alert_received(void)
{
	unsigned long error = ERR_peek_error();
	int reason = ERR_GET_REASON(error);

	if (ERR_GET_LIB(error) != ERR_LIB_SSL ||
	    reason < SSL_AD_REASON_OFFSET ||
	    reason > SSL_AD_REASON_OFFSET + 255)
		return -1;
	return reason - SSL_AD_REASON_OFFSET;
}

/* Whether the function succeeds in the end. */
static bool drive(struct probe *p, int (*step)(SSL *ssl))
{
	int ret;

	while ((ret = step(p->ssl)) != 1) {
		int error = SSL_get_error(p->ssl, ret);

		flush(p);
		if (error != SSL_ERROR_WANT_READ) {
			p->alert = alert_received();
			return false;
		}
		if (!feed(p))
			return false;
	}
	flush(p);
	return true;
}

static int read_first_byte(SSL *ssl)
{
	char byte;

	return SSL_peek(ssl, &byte, 1);
}

static int unavailable(struct err *err, const char *reason)
{
	return err_set(err, GRPC_STATUS_UNAVAILABLE, "%s", reason);
}

static char *format_date(const ASN1_TIME *time)
{
	return units_format_time(tls_material_time(time) * UNITS_SECOND);
}

static bool has_expired(const X509 *cert)
{
	return X509_cmp_current_time(X509_get0_notAfter(cert)) < 0;
}

static int explain_expired(const X509 *cert, struct err *err)
{
	CLEANUP(cleanup_free) char *date = NULL;

	if (!has_expired(cert))
		return unavailable(
			err,
			"the certificate of the authority that signed the one of the server has expired");
	date = format_date(X509_get0_notAfter(cert));
	return err_set(err, GRPC_STATUS_UNAVAILABLE,
		       "the certificate of the server has expired on %s", date);
}

static int explain_early(const X509 *cert, struct err *err)
{
	CLEANUP(cleanup_free) char *date = NULL;

	date = format_date(X509_get0_notBefore(cert));
	err_set(err, GRPC_STATUS_UNAVAILABLE,
		"the certificate of the server is not valid before %s", date);
	return err_hint(err, "compare the clocks of both hosts");
}

static int explain_chain(long result, const X509 *cert, struct err *err)
{
	switch (result) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return explain_expired(cert, err);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return explain_early(cert, err);
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		unavailable(
			err,
			"the certificate of the server is signed by an unknown authority");
		return err_hint(err, "is the CA file the one of this site?");
	default:
		return err_set(err, GRPC_STATUS_UNAVAILABLE,
			       "the certificate of the server is bad: %s",
			       X509_verify_cert_error_string(result));
	}
}

/* No certificate came. */
static int explain_no_tls(const struct probe *p, struct err *err)
{
	if (p->timed_out)
		return unavailable(err, "no answer");
	if (p->alert >= 0)
		return err_set(err, GRPC_STATUS_UNAVAILABLE,
			       "the server refused the TLS handshake: %s",
			       SSL_alert_desc_string_long(p->alert));
	return unavailable(err, "the server does not speak TLS");
}

/*
 * The handshake went well as far as we are concerned. gRPC core as a server
 * closes the connection without an alert, others say why.
 */
static int explain_refusal(const struct probe *p, const X509 *own,
			   struct err *err)
{
	CLEANUP(cleanup_free) char *date = NULL;

	if (!own)
		return unavailable(
			err,
			"the server demands a certificate, and we have none");
	if (has_expired(own)) {
		date = format_date(X509_get0_notAfter(own));
		return err_set(
			err, GRPC_STATUS_UNAVAILABLE,
			"the server refused our certificate, which has expired on %s",
			date);
	}
	if (p->alert >= 0)
		return err_set(err, GRPC_STATUS_UNAVAILABLE,
			       "the server refused our certificate: %s",
			       SSL_alert_desc_string_long(p->alert));
	unavailable(err, "the server refused our certificate");
	return err_hint(err, "is it signed by the CA that the server trusts?");
}

static bool has_http2(const SSL *ssl)
{
	const unsigned char *protocol;
	unsigned size;

	SSL_get0_alpn_selected(ssl, &protocol, &size);
	return size == 2 && memcmp(protocol, "h2", 2) == 0;
}

static int check_host(X509 *cert, const char *host, struct err *err)
{
	if (X509_check_ip_asc(cert, host, 0) == 1 ||
	    X509_check_host(cert, host, 0, 0, NULL) == 1)
		return 0;
	return err_set(err, GRPC_STATUS_UNAVAILABLE,
		       "the certificate of the server is not for \"%s\"", host);
}

static int check_server(struct probe *p, const struct tls_material *m,
			struct err *err)
{
	CLEANUP(cleanup_tls_identity) const struct tls_identity *peer = NULL;
	X509 *cert = SSL_get0_peer_certificate(p->ssl);
	long result = SSL_get_verify_result(p->ssl);

	if (!cert)
		return explain_no_tls(p, err);
	if (result != X509_V_OK)
		return explain_chain(result, cert, err);
	if (!p->tls_name)
		return check_host(cert, p->host, err);
	peer = tls_identity_new(m, cert);
	return tls_identity_check_server(peer, p->tls_name, err);
}

/*
 * The chain is judged after the handshake, so that the certificate is there to
 * be spoken of. A gRPC server speaks first, so its first byte proves that it
 * has accepted ours.
 */
static int try_handshake(struct probe *p, const struct tls_material *m,
			 struct err *err)
{
	bool done = drive(p, SSL_connect);

	if (check_server(p, m, err) < 0)
		return -1;
	if (done && !has_http2(p->ssl))
		return unavailable(err, "the server speaks TLS, but not gRPC");
	if ((done && drive(p, read_first_byte)) || p->timed_out)
		return 0;
	return explain_refusal(p, m->own, err);
}

int diagnose_tls(int fd, struct tls *tls, const char *tls_name,
		 const char *host, int64_t until, struct err *err)
{
	CLEANUP(cleanup_tls_material) struct tls_material *m = NULL;
	unsigned generation;
	struct probe p;
	int ret;

	m = tls_material_of(tls, &generation);
	probe_init(&p, m->ctx, fd, until);
	p.tls_name = tls_name;
	p.host = host;
	ret = try_handshake(&p, m, err);
	probe_clear(&p);
	return ret;
}

int diagnose_plaintext(int fd, int64_t until, struct err *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	struct probe p;
	int ret = 0;

	if (!ctx)
		abort();
	probe_init(&p, ctx, fd, until);
	if (drive(&p, SSL_connect) || SSL_get0_peer_certificate(p.ssl) ||
	    p.alert >= 0)
		ret = unavailable(err, "the server expects TLS");
	probe_clear(&p);
	SSL_CTX_free(ctx);
	return ret;
}

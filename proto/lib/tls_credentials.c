/* Credentials for gRPC core, made of the material. */

#include "proto/lib/tls.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/grpc_security.h>
#include <grpc/support/string_util.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/tls_identity.h"
#include "proto/lib/tls_material.h"

/* What a client looks at once core has verified the chain of the server. */
struct verifier {
	grpc_tls_certificate_verifier_external external;
	struct tls *tls;
	char *peer_name;
};

static int check_server(struct verifier *v, const char *pem, struct err *err)
{
	CLEANUP(cleanup_tls_identity) const struct tls_identity *peer = NULL;

	peer = tls_identity_of(v->tls, pem, strlen(pem));
	if (!peer)
		return err_set(err, GRPC_STATUS_UNAVAILABLE,
			       "the certificate of the server does not parse");
	return tls_identity_check_server(peer, v->peer_name, err);
}

/* Answers at once, so the callback is not used. */
static int on_verify(void *arg,
		     grpc_tls_custom_verification_check_request *request,
		     grpc_tls_on_custom_verification_check_done_cb callback,
		     void *callback_arg, grpc_status_code *status,
		     char **details)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	(void)callback;
	(void)callback_arg;
	if (check_server(arg, request->peer_info.peer_cert, &err) < 0) {
		*status = GRPC_STATUS_UNAUTHENTICATED;
		*details = gpr_strdup(err.msg);
	}
	return 1;
}

static void on_verify_cancelled(void *arg,
				grpc_tls_custom_verification_check_request *r)
{
	(void)arg;
	(void)r;
}

static void on_verifier_freed(void *arg)
{
	struct verifier *v = arg;

	tls_unref(v->tls);
	free(v->peer_name);
	free(v);
}

static grpc_tls_certificate_verifier *verifier_new(struct tls *t,
						   const char *peer_name)
{
	struct verifier *v = mem_zalloc(1, sizeof(*v));

	v->external.user_data = v;
	v->external.verify = on_verify;
	v->external.cancel = on_verify_cancelled;
	v->external.destruct = on_verifier_freed;
	v->tls = tls_ref(t);
	v->peer_name = mem_strdup(peer_name);
	return grpc_tls_certificate_verifier_external_create(&v->external);
}

static grpc_tls_certificate_provider *provider_new(const struct tls_material *m)
{
	grpc_tls_identity_pairs *pairs = NULL;

	if (m->own) {
		pairs = grpc_tls_identity_pairs_create();
		grpc_tls_identity_pairs_add_pair(pairs, m->pem[TLS_KEY],
						 m->pem[TLS_CERT]);
	}
	return grpc_tls_certificate_provider_static_data_create(m->pem[TLS_CA],
								pairs);
}

/*
 * Who the server is has nothing to do with the address that was dialled, so
 * core must not compare the two (check_call_host).
 */
static void expect_peer(grpc_tls_credentials_options *o, struct tls *t,
			const char *peer_name)
{
	grpc_tls_certificate_verifier *verifier = verifier_new(t, peer_name);

	grpc_tls_credentials_options_set_certificate_verifier(o, verifier);
	grpc_tls_credentials_options_set_check_call_host(o, 0);
	grpc_tls_certificate_verifier_release(verifier);
}

/* Unless told otherwise, core compares the host that was dialled. */
grpc_channel_credentials *tls_channel_credentials(struct tls *t,
						  const char *peer_name)
{
	CLEANUP(cleanup_tls_material) struct tls_material *m = NULL;
	grpc_tls_credentials_options *o = grpc_tls_credentials_options_create();
	grpc_tls_certificate_provider *provider;
	unsigned generation;

	m = tls_material_of(t, &generation);
	provider = provider_new(m);
	grpc_tls_credentials_options_set_certificate_provider(o, provider);
	grpc_tls_credentials_options_watch_root_certs(o);
	if (m->own)
		grpc_tls_credentials_options_watch_identity_key_cert_pairs(o);
	grpc_tls_credentials_options_set_verify_server_cert(o, 1);
	if (peer_name)
		expect_peer(o, t, peer_name);
	grpc_tls_certificate_provider_release(provider);
	return grpc_tls_credentials_create(o);
}

/* Feeds the credentials of one listener. */
struct feed {
	struct tls *tls;
	atomic_uint generation; /* that the listener has; 0 at first */
};

static grpc_ssl_certificate_config_reload_status on_handshake(
	void *arg, grpc_ssl_server_certificate_config **config)
{
	CLEANUP(cleanup_tls_material) struct tls_material *m = NULL;
	grpc_ssl_pem_key_cert_pair pair;
	struct feed *f = arg;
	unsigned generation;

	tls_look(f->tls);
	m = tls_material_of(f->tls, &generation);
	if (atomic_exchange(&f->generation, generation) == generation)
		return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
	pair.private_key = m->pem[TLS_KEY];
	pair.cert_chain = m->pem[TLS_CERT];
	*config = grpc_ssl_server_certificate_config_create(m->pem[TLS_CA],
							    &pair, 1);
	return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

static void on_server_freed(void *arg)
{
	struct feed *f = arg;

	tls_unref(f->tls);
	free(f);
}

/*
 * Core does not say when it will ask the feed no more, but it does destroy the
 * processor of metadata with the credentials; one without a function is never
 * called for anything else.
 */
grpc_server_credentials *tls_server_credentials(struct tls *t)
{
	struct feed *f = mem_zalloc(1, sizeof(*f));
	grpc_auth_metadata_processor owner = {.destroy = on_server_freed,
					      .state = f};
	grpc_server_credentials *creds;

	f->tls = tls_ref(t);
	creds = grpc_ssl_server_credentials_create_with_options(
		grpc_ssl_server_credentials_create_options_using_config_fetcher(
			GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY,
			on_handshake, f));
	grpc_server_credentials_set_auth_metadata_processor(creds, owner);
	return creds;
}

/*
 * To be preloaded into h2load, which has no option for a client certificate:
 * every SSL_CTX gets the one that OIM_BENCH_CERT and OIM_BENCH_KEY name.
 */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/ssl.h>

SSL_CTX *SSL_CTX_new(const SSL_METHOD *method)
{
	SSL_CTX *(*real)(const SSL_METHOD *) =
		(SSL_CTX * (*)(const SSL_METHOD *))
			dlsym(RTLD_NEXT, "SSL_CTX_new");
	const char *cert = getenv("OIM_BENCH_CERT");
	const char *key = getenv("OIM_BENCH_KEY");
	SSL_CTX *ctx = real(method);

	if (cert && key &&
	    (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
	     SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)) {
		fprintf(stderr, "h2load_cert: cannot use %s, %s\n", cert, key);
		exit(2);
	}
	return ctx;
}

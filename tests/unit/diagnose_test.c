/* Why a connection failed. The peers are bare sockets and OpenSSL; what gRPC
 * core does as a peer is in client_test.c. */

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "proto/lib/address.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/diagnose.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/tls.h"
#include "proto/lib/units.h"
#include "tests/unit/certs.h"

/* What a server does with the one connection that it accepts. */
struct peer {
	void (*serve)(struct peer *p, int fd);
	SSL_CTX *ctx;
	pthread_t thread;
	int listener;
	char address[32];
};

struct fixture {
	struct certs ca;
	struct peer peer;
	struct tls *tls;
	char *path; /* for a Unix socket */
	int fd;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));

	certs_init(&f->ca, "test CA");
	certs_issue(&f->ca, "user.admin");
	certs_issue(&f->ca, "controller.a");
	f->path = certs_path(&f->ca, "sock");
	f->fd = -1;
	f->peer.listener = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->peer.thread)
		pthread_join(f->peer.thread, NULL);
	cleanup_fd(&f->peer.listener);
	SSL_CTX_free(f->peer.ctx);
	tls_unref(f->tls);
	certs_clear(&f->ca);
	cleanup_fd(&f->fd);
	err_clear(&f->err);
	free(f->path);
	free(f);
	return 0;
}

static int diagnose_address(struct fixture *f, const char *address)
{
	CLEANUP(address_clear) struct address a = {0};

	err_clear(&f->err);
	assert_int_equal(address_parse_server(address, &a, &f->err), 0);
	return diagnose(&a, f->tls, "controller.a", &f->err);
}

static void assert_diagnosed(struct fixture *f, const char *address,
			     const char *reason)
{
	assert_int_equal(diagnose_address(f, address), -1);
	assert_string_equal(f->err.msg, reason);
	assert_int_equal(f->err.code, GRPC_STATUS_UNAVAILABLE);
}

static void assert_well(struct fixture *f, const char *address)
{
	int ret = diagnose_address(f, address);

	if (ret < 0)
		print_error("%s\n", f->err.msg);
	assert_int_equal(ret, 0);
}

/* --- Unix sockets --- */

/* A socket at f->path that somebody may listen on. */
static void bind_unix(struct fixture *f)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	assert_true(strlen(f->path) < sizeof(addr.sun_path));
	memcpy(addr.sun_path, f->path, strlen(f->path));
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&addr, sizeof(addr)),
			 0);
}

static void test_a_server_that_listens_is_well(void **state)
{
	struct fixture *f = *state;

	bind_unix(f);
	assert_int_equal(listen(f->fd, 1), 0);
	assert_well(f, f->path);
}

static void test_a_socket_that_does_not_exist_is_told(void **state)
{
	struct fixture *f = *state;

	assert_diagnosed(f, f->path, "no such socket");
	assert_diagnosed(f, "/dev/null/sock", "no such socket");
}

static void test_a_socket_that_nobody_listens_on_is_told(void **state)
{
	struct fixture *f = *state;

	bind_unix(f);
	assert_diagnosed(f, f->path,
			 "nobody listens there (connection refused)");
}

static void test_a_file_that_is_not_a_socket_is_told(void **state)
{
	struct fixture *f = *state;

	certs_write(&f->ca, "sock", "text");
	assert_diagnosed(f, f->path, "it is not a socket");
}

static void test_a_path_that_is_too_long_is_told(void **state)
{
	char path[200];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(
		diagnose(&(struct address){.kind = ADDRESS_UNIX, .path = path},
			 NULL, NULL, &((struct fixture *)*state)->err),
		-1);
	assert_string_equal(((struct fixture *)*state)->err.msg,
			    "the path is too long for a socket");
}

static void test_a_socket_with_a_full_queue_does_not_hold_us_up(void **state)
{
	struct fixture *f = *state;

	bind_unix(f);
	assert_int_equal(listen(f->fd, 0), 0);
	/* A connection that was given up stays in the queue. */
	while (diagnose_address(f, f->path) == 0)
		;
	assert_string_equal(f->err.msg, "too many connections wait there");
}

/* A socket of the group "daemon" is all the same for somebody else. */
static void test_a_socket_without_permission_names_the_group(void **state)
{
	struct fixture *f = *state;
	const struct group *group = getgrnam("daemon");
	int ret;

	if (geteuid() != 0 || !group) {
		print_message("needs root, and a group \"daemon\"\n");
		skip();
	}
	bind_unix(f);
	assert_int_equal(listen(f->fd, 1), 0);
	assert_int_equal(chmod(f->ca.dir, 0755), 0);
	assert_int_equal(chown(f->path, 0, group->gr_gid), 0);
	assert_int_equal(chmod(f->path, 0660), 0);
	assert_int_equal(seteuid(65534), 0);
	ret = diagnose_address(f, f->path);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(ret, -1);
	assert_string_equal(f->err.msg, "permission denied");
	assert_string_equal(f->err.hint,
			    "root and the group \"daemon\" may connect");
	assert_int_equal(f->err.code, GRPC_STATUS_UNAVAILABLE);
}

/* --- TCP --- */

static void *serve_one(void *arg)
{
	struct peer *p = arg;
	CLEANUP(cleanup_fd) int fd = -1;
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	fd = accept(p->listener, NULL, NULL);
	if (fd >= 0)
		p->serve(p, fd);
	return NULL;
}

static void bind_tcp(struct peer *p)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(addr);

	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&addr, size), 0);
	assert_int_equal(
		getsockname(p->listener, (struct sockaddr *)&addr, &size), 0);
	snprintf(p->address, sizeof(p->address), "127.0.0.1:%d",
		 ntohs(addr.sin_port));
}

static void start(struct fixture *f, void (*serve)(struct peer *p, int fd))
{
	bind_tcp(&f->peer);
	f->peer.serve = serve;
	assert_int_equal(listen(f->peer.listener, 1), 0);
	assert_int_equal(
		pthread_create(&f->peer.thread, NULL, serve_one, &f->peer), 0);
}

static void hang_up(struct peer *p, int fd)
{
	(void)p;
	(void)fd;
}

/* Says nothing until the other side goes. */
static void be_silent(struct peer *p, int fd)
{
	char buf[1000];

	(void)p;
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
}

static void speak_http(struct peer *p, int fd)
{
	static const char answer[] = "HTTP/1.1 400 Bad Request\r\n\r\n";

	send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
	be_silent(p, fd);
}

static void test_a_port_that_nobody_listens_on_is_told(void **state)
{
	struct fixture *f = *state;

	bind_tcp(&f->peer);
	assert_diagnosed(f, f->peer.address, "connection refused");
}

static void test_a_host_that_does_not_exist_is_named(void **state)
{
	assert_diagnosed(*state, "nosuchhost.invalid:1",
			 "unknown host \"nosuchhost.invalid\"");
}

static void test_a_plaintext_server_is_well_without_tls(void **state)
{
	struct fixture *f = *state;

	start(f, speak_http);
	assert_well(f, f->peer.address);
}

/* --- TLS --- */

static void use_tls(struct fixture *f, const char *name)
{
	f->tls = certs_tls(&f->ca, &f->ca, name, &f->err);
	if (f->err.msg)
		print_error("%s\n", f->err.msg);
	assert_non_null(f->tls);
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *size,
		   const unsigned char *in, unsigned in_size, void *arg)
{
	(void)ssl;
	(void)arg;
	return SSL_select_next_proto((unsigned char **)(uintptr_t)out, size,
				     (const unsigned char *)"\2h2", 3, in,
				     in_size) == OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_NOACK;
}

static void shake_hands(struct peer *p, int fd)
{
	SSL *ssl = SSL_new(p->ctx);

	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1)
		SSL_write(ssl, "x", 1);
	be_silent(p, fd);
	SSL_free(ssl);
}

/* A server with FILE.crt and FILE.key that trusts the CA of c. */
static void start_tls(struct fixture *f, const struct certs *c,
		      const char *file, int version)
{
	CLEANUP(cleanup_free) char *ca = certs_path(c, "ca.crt");
	CLEANUP(cleanup_free)
	char *cert = mem_printf("%s/%s.crt", f->ca.dir, file);
	CLEANUP(cleanup_free)
	char *key = mem_printf("%s/%s.key", f->ca.dir, file);

	f->peer.ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_max_proto_version(f->peer.ctx, version);
	assert_int_equal(SSL_CTX_use_certificate_chain_file(f->peer.ctx, cert),
			 1);
	assert_int_equal(
		SSL_CTX_use_PrivateKey_file(f->peer.ctx, key, SSL_FILETYPE_PEM),
		1);
	assert_int_equal(SSL_CTX_load_verify_file(f->peer.ctx, ca), 1);
	SSL_CTX_set_verify(f->peer.ctx,
			   SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
			   NULL);
	SSL_CTX_set_alpn_select_cb(f->peer.ctx, on_alpn, NULL);
	start(f, shake_hands);
}

static void test_a_good_handshake_is_well(void **state)
{
	struct fixture *f = *state;

	use_tls(f, "user.admin");
	start_tls(f, &f->ca, "controller.a", TLS1_3_VERSION);
	assert_well(f, f->peer.address);
}

static void test_a_good_handshake_of_tls_1_2_is_well(void **state)
{
	struct fixture *f = *state;

	use_tls(f, "user.admin");
	start_tls(f, &f->ca, "controller.a", TLS1_2_VERSION);
	assert_well(f, f->peer.address);
}

static void test_a_certificate_of_later_is_told(void **state)
{
	struct fixture *f = *state;

	certs_issue_for(&f->ca, "x", "controller.a", NULL, CERTS_DAY,
			2 * CERTS_DAY);
	use_tls(f, "user.admin");
	start_tls(f, &f->ca, "x", TLS1_3_VERSION);
	assert_int_equal(diagnose_address(f, f->peer.address), -1);
	assert_non_null(strstr(f->err.msg, "the certificate of the server is "
					   "not valid before 20"));
	assert_string_equal(f->err.hint, "compare the clocks of both hosts");
}

static void test_the_alert_of_a_server_is_told(void **state)
{
	struct fixture *f = *state;
	struct certs other;

	certs_init(&other, "other CA");
	use_tls(f, "user.admin");
	start_tls(f, &other, "controller.a", TLS1_3_VERSION);
	assert_diagnosed(f, f->peer.address,
			 "the server refused our certificate: unknown CA");
	certs_clear(&other);
}

static void test_the_alert_of_a_server_with_tls_1_2_is_told(void **state)
{
	struct fixture *f = *state;
	struct certs other;

	certs_init(&other, "other CA");
	use_tls(f, "user.admin");
	start_tls(f, &other, "controller.a", TLS1_2_VERSION);
	assert_diagnosed(f, f->peer.address,
			 "the server refused our certificate: unknown CA");
	certs_clear(&other);
}

static void test_a_server_without_http2_is_told(void **state)
{
	struct fixture *f = *state;

	use_tls(f, "user.admin");
	start_tls(f, &f->ca, "controller.a", TLS1_3_VERSION);
	SSL_CTX_set_alpn_select_cb(f->peer.ctx, NULL, NULL);
	assert_diagnosed(f, f->peer.address,
			 "the server speaks TLS, but not gRPC");
}

static void test_a_server_without_tls_is_told(void **state)
{
	struct fixture *f = *state;

	use_tls(f, "user.admin");
	start(f, speak_http);
	assert_diagnosed(f, f->peer.address, "the server does not speak TLS");
}

static void test_a_server_that_hangs_up_is_survived(void **state)
{
	struct fixture *f = *state;

	use_tls(f, "user.admin");
	start(f, hang_up);
	assert_diagnosed(f, f->peer.address, "the server does not speak TLS");
}

static void test_a_silent_server_is_left_after_a_second(void **state)
{
	struct fixture *f = *state;
	int64_t begin = units_monotonic();

	use_tls(f, "user.admin");
	start(f, be_silent);
	assert_diagnosed(f, f->peer.address, "no answer");
	assert_true(units_monotonic() - begin < 2 * UNITS_SECOND);
}

static void test_a_server_with_tls_is_told_without_it(void **state)
{
	struct fixture *f = *state;

	start_tls(f, &f->ca, "controller.a", TLS1_3_VERSION);
	assert_diagnosed(f, f->peer.address, "the server expects TLS");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_server_that_listens_is_well),
		TEST(test_a_socket_that_does_not_exist_is_told),
		TEST(test_a_socket_that_nobody_listens_on_is_told),
		TEST(test_a_file_that_is_not_a_socket_is_told),
		TEST(test_a_path_that_is_too_long_is_told),
		TEST(test_a_socket_with_a_full_queue_does_not_hold_us_up),
		TEST(test_a_socket_without_permission_names_the_group),
		TEST(test_a_port_that_nobody_listens_on_is_told),
		TEST(test_a_host_that_does_not_exist_is_named),
		TEST(test_a_plaintext_server_is_well_without_tls),
		TEST(test_a_good_handshake_is_well),
		TEST(test_a_good_handshake_of_tls_1_2_is_well),
		TEST(test_a_certificate_of_later_is_told),
		TEST(test_the_alert_of_a_server_is_told),
		TEST(test_the_alert_of_a_server_with_tls_1_2_is_told),
		TEST(test_a_server_without_http2_is_told),
		TEST(test_a_server_without_tls_is_told),
		TEST(test_a_server_that_hangs_up_is_survived),
		TEST(test_a_silent_server_is_left_after_a_second),
		TEST(test_a_server_with_tls_is_told_without_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

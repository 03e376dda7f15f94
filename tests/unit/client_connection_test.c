/*
 * Connections of a client: those that are not made and why, those that break,
 * and mutual TLS.
 */

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/client.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/tls.h"
#include "proto/lib/units.h"
#include "tests/unit/certs.h"
#include "tests/unit/client_fixture.h"
#include "tests/unit/echo.h"

static const struct echo_method methods[] = {
	{"/t/Echo", serve_echo},
	{"/t/Chat", serve_chat},
	{NULL, NULL},
};

static int setup_unix(void **state)
{
	return setup_server(state, methods);
}

static int listen_on_tcp(char address[32])
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, size), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
	snprintf(address, 32, "127.0.0.1:%d", ntohs(addr.sin_port));
	return fd;
}

/* --- connections that are not made --- */

static void test_a_missing_socket_is_reported_at_once(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *name = NULL;
	int64_t start = units_monotonic();

	name = mem_printf("unix://%s", f->socket + 5);
	connect_to(f, f->socket, NULL, NULL);
	assert_unconnected(f, name, "no such socket");
	assert_string_equal(f->err.hint, "is the daemon running?");
	assert_true(units_monotonic() - start < UNITS_SECOND / 10);
}

static void test_a_server_that_comes_back_is_found_by_the_next_call(
	void **state)
{
	struct fixture *f = *state;

	assert_answers(f);
	echo_stop(&f->echo);
	assert_null(call(f, "/t/Echo", ""));
	assert_int_equal(f->err.code, GRPC_STATUS_UNAVAILABLE);
	assert_null(call(f, "/t/Echo", ""));
	echo_start(&f->echo, f->socket, methods, NULL);
	assert_answers(f);
}

static void test_a_host_that_does_not_exist_is_named(void **state)
{
	struct fixture *f = *state;

	connect_to(f, "nosuchhost.invalid:1", NULL, NULL);
	assert_unconnected(f, "nosuchhost.invalid:1",
			   "unknown host \"nosuchhost.invalid\"");
}

/* Core waits for the first words of a server. */
static void test_a_server_that_is_silent_is_not_a_connection(void **state)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct fixture *f = *state;
	char address[32];

	fd = listen_on_tcp(address);
	connect_to(f, address, NULL, NULL);
	assert_null(call_until(f, "/t/Echo", "",
			       units_monotonic() + UNITS_SECOND / 10));
	assert_int_equal(f->err.code, GRPC_STATUS_DEADLINE_EXCEEDED);
	assert_non_null(strstr(f->err.msg, "no connection to"));
}

/* Says what a server says first, and hangs up in the middle of a call. */
static void *hang_up(void *arg)
{
	static const char settings[9] = {[3] = 4};
	CLEANUP(cleanup_fd) int fd = accept(*(int *)arg, NULL, NULL);
	char buf[4096];
	size_t size = 0;

	assert_int_equal(send(fd, settings, sizeof(settings), 0),
			 sizeof(settings));
	while (!memmem(buf, size, "/t/Echo", 7)) {
		ssize_t n = recv(fd, buf + size, sizeof(buf) - size, 0);

		assert_true(n > 0);
		size += (size_t)n;
	}
	return NULL;
}

static void test_a_connection_that_breaks_is_not_called_refused(void **state)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct fixture *f = *state;
	char address[32];
	pthread_t server;

	fd = listen_on_tcp(address);
	assert_int_equal(pthread_create(&server, NULL, hang_up, &fd), 0);
	connect_to(f, address, NULL, NULL);
	assert_null(call(f, "/t/Echo", ""));
	pthread_join(server, NULL);
	assert_int_equal(f->err.code, GRPC_STATUS_UNAVAILABLE);
	assert_non_null(strstr(f->err.msg, "the connection broke"));
}

/* Calls, and whether the server can have seen it. */
static bool is_unsent(struct fixture *f)
{
	bool unsent = false;
	struct client_call what = {.method = "/t/Echo",
				   .reply_type = TEXT_TYPE,
				   .unsent = &unsent};
	text m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

	assert_null(client_unary(f->client, &what, &m.base, f->arena, &f->err));
	return unsent;
}

static void test_a_call_says_whether_it_was_never_sent(void **state)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct fixture *f = *state;
	char address[32];
	pthread_t server;

	connect_to(f, f->socket, NULL, NULL);
	assert_true(is_unsent(f));
	client_free(f->client);
	err_clear(&f->err);

	fd = listen_on_tcp(address);
	assert_int_equal(pthread_create(&server, NULL, hang_up, &fd), 0);
	connect_to(f, address, NULL, NULL);
	assert_false(is_unsent(f));
	pthread_join(server, NULL);
}

/* Says what a server says first, and then nothing until the other hangs up. */
static void *fall_silent(void *arg)
{
	static const char settings[9] = {[3] = 4};
	CLEANUP(cleanup_fd) int fd = accept(*(int *)arg, NULL, NULL);
	char buf[4096];

	assert_int_equal(send(fd, settings, sizeof(settings), 0),
			 sizeof(settings));
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
	return NULL;
}

static void test_a_server_that_does_not_answer_pings_is_given_up(void **state)
{
	CLEANUP(cleanup_fd) int fd = -1;
	struct fixture *f = *state;
	int64_t start = units_monotonic();
	char address[32];
	struct client_config config = {.address = address,
				       .keepalive = UNITS_SECOND / 10,
				       .keepalive_timeout = UNITS_SECOND / 10};
	pthread_t server;

	fd = listen_on_tcp(address);
	assert_int_equal(pthread_create(&server, NULL, fall_silent, &fd), 0);
	f->client = client_new(&config, &f->err);
	assert_false(is_unsent(f));
	client_free(STEAL(f->client));
	pthread_join(server, NULL);
	assert_int_equal(f->err.code, GRPC_STATUS_UNAVAILABLE);
	assert_true(units_monotonic() - start < 10 * UNITS_SECOND);
}

static void test_a_reply_has_at_most_what_the_client_takes(void **state)
{
	struct fixture *f = *state;
	struct client_config config = {.address = f->socket, .reply_max = 100};
	char big[200];

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	client_free(f->client);
	f->client = client_new(&config, &f->err);
	assert_answers(f);
	assert_null(call(f, "/t/Echo", big));
	assert_int_equal(f->err.code, GRPC_STATUS_RESOURCE_EXHAUSTED);
}

static void test_a_stream_that_is_cancelled_says_so_to_who_receives(
	void **state)
{
	struct fixture *f = *state;
	struct client_stream *s = open_stream(f, "/t/Chat");
	void *reply;

	client_stream_cancel(s);
	assert_int_equal(client_stream_receive(s, f->arena, &reply, &f->err),
			 -1);
	assert_int_equal(f->err.code, GRPC_STATUS_CANCELLED);
}

/* --- TLS --- */

static struct tls *load(const struct certs *ca, const struct certs *c,
			const char *name)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct tls *t = certs_tls(ca, c, name, &err);

	if (err.msg)
		print_error("%s\n", err.msg);
	assert_non_null(t);
	return t;
}

/* A server with the certificate of that name, which trusts the CA. */
static void serve_tls(struct fixture *f, const char *name)
{
	struct tls *t = load(&f->ca, &f->ca, name);

	grpc_init();
	echo_start(&f->echo, "127.0.0.1:0", methods, tls_server_credentials(t));
	grpc_shutdown();
	tls_unref(t);
}

/* A client that has that certificate of c, and trusts ca. */
static void connect_tls(struct fixture *f, const struct certs *ca,
			const struct certs *c, const char *name,
			const char *server)
{
	struct tls *t = load(ca, c, name);

	connect_to(f, f->echo.address, t, server);
	tls_unref(t);
}

static int setup_tls(void **state)
{
	struct fixture *f;

	setup(state);
	f = *state;
	certs_issue(&f->ca, "user.admin");
	certs_issue_for(&f->ca, "controller.a", "host.a", "DNS:controller.a",
			-CERTS_DAY, CERTS_DAY);
	return 0;
}

static void test_mutual_tls_works_by_any_name_of_the_server(void **state)
{
	struct fixture *f = *state;

	serve_tls(f, "controller.a");
	connect_tls(f, &f->ca, &f->ca, "user.admin", "controller.a");
	assert_answers(f);
	client_free(f->client);
	connect_tls(f, &f->ca, &f->ca, "user.admin", "host.a");
	assert_answers(f);
}

static void test_a_server_with_another_name_is_refused(void **state)
{
	struct fixture *f = *state;

	serve_tls(f, "controller.a");
	connect_tls(f, &f->ca, &f->ca, "user.admin", "controller.b");
	assert_unconnected(f, f->echo.address,
			   "the server is \"host.a\", \"controller.a\", "
			   "expected \"controller.b\"");
}

static void test_a_server_may_be_known_by_its_host(void **state)
{
	struct fixture *f = *state;

	certs_issue_for(&f->ca, "host", "host", "IP:127.0.0.1", -CERTS_DAY,
			CERTS_DAY);
	serve_tls(f, "host");
	connect_tls(f, &f->ca, &f->ca, "user.admin", NULL);
	assert_answers(f);
}

static void test_a_server_that_is_not_its_host_is_refused(void **state)
{
	struct fixture *f = *state;

	serve_tls(f, "controller.a");
	connect_tls(f, &f->ca, &f->ca, "user.admin", NULL);
	assert_unconnected(
		f, f->echo.address,
		"the certificate of the server is not for \"127.0.0.1\"");
}

/* A client that has no certificate. */
static void connect_bare(struct fixture *f)
{
	CLEANUP(cleanup_free) char *ca = certs_path(&f->ca, "ca.crt");
	struct tls *t = tls_new(&(struct tls_files){.ca = ca}, &f->err);

	assert_non_null(t);
	assert_int_equal(tls_expiry(t), 0);
	connect_to(f, f->echo.address, t, "controller.a");
	tls_unref(t);
}

static void test_a_client_needs_no_certificate_if_the_server_does_not(
	void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free)
	char *cert = certs_read(&f->ca, "controller.a.crt");
	CLEANUP(cleanup_free)
	char *key = certs_read(&f->ca, "controller.a.key");
	grpc_ssl_pem_key_cert_pair pair = {key, cert};

	grpc_init();
	echo_start(&f->echo, "127.0.0.1:0", methods,
		   grpc_ssl_server_credentials_create_ex(
			   NULL, &pair, 1,
			   GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, NULL));
	grpc_shutdown();
	connect_bare(f);
	assert_answers(f);
}

static void test_a_client_without_a_certificate_is_told_so(void **state)
{
	struct fixture *f = *state;

	serve_tls(f, "controller.a");
	connect_bare(f);
	assert_unconnected(
		f, f->echo.address,
		"the server demands a certificate, and we have none");
}

static void test_a_server_of_another_ca_is_refused(void **state)
{
	struct fixture *f = *state;
	struct certs other;

	certs_init(&other, "other CA");
	serve_tls(f, "controller.a");
	connect_tls(f, &other, &f->ca, "user.admin", "controller.a");
	assert_unconnected(f, f->echo.address,
			   "the certificate of the server is signed by an "
			   "unknown authority");
	certs_clear(&other);
}

static void test_a_server_whose_certificate_has_expired_is_refused(void **state)
{
	struct fixture *f = *state;

	certs_issue_for(&f->ca, "old", "controller.a", NULL, -2 * CERTS_DAY,
			-CERTS_DAY);
	serve_tls(f, "old");
	connect_tls(f, &f->ca, &f->ca, "user.admin", "controller.a");
	assert_null(call(f, "/t/Echo", ""));
	assert_non_null(strstr(f->err.msg, "the certificate of the server has "
					   "expired on 20"));
}

static void test_a_server_that_is_revoked_is_refused(void **state)
{
	struct fixture *f = *state;
	long serial = certs_issue(&f->ca, "controller.b");

	serve_tls(f, "controller.b");
	certs_revoke(&f->ca, serial);
	connect_tls(f, &f->ca, &f->ca, "user.admin", "controller.b");
	assert_unconnected(f, f->echo.address,
			   "the certificate of the server (\"controller.b\") "
			   "is revoked");
}

static void test_a_client_of_another_ca_is_refused(void **state)
{
	struct fixture *f = *state;
	struct certs other;

	certs_init(&other, "other CA");
	certs_issue(&other, "user.admin");
	serve_tls(f, "controller.a");
	connect_tls(f, &f->ca, &other, "user.admin", "controller.a");
	assert_unconnected(f, f->echo.address,
			   "the server refused our certificate");
	certs_clear(&other);
}

static void test_a_client_whose_certificate_has_expired_is_refused(void **state)
{
	struct fixture *f = *state;

	certs_issue_for(&f->ca, "old", "user.admin", NULL, -2 * CERTS_DAY,
			-CERTS_DAY);
	serve_tls(f, "controller.a");
	connect_tls(f, &f->ca, &f->ca, "old", "controller.a");
	assert_null(call(f, "/t/Echo", ""));
	assert_non_null(strstr(f->err.msg, "the server refused our "
					   "certificate, which has expired on "
					   "20"));
}

static void test_plaintext_to_tls_is_told(void **state)
{
	struct fixture *f = *state;

	serve_tls(f, "controller.a");
	connect_to(f, f->echo.address, NULL, NULL);
	assert_unconnected(f, f->echo.address, "the server expects TLS");
}

static void test_tls_to_plaintext_is_told(void **state)
{
	struct fixture *f = *state;

	echo_start(&f->echo, "127.0.0.1:0", methods, NULL);
	connect_tls(f, &f->ca, &f->ca, "user.admin", "controller.a");
	assert_unconnected(f, f->echo.address, "the server does not speak TLS");
}

static void test_a_unix_socket_has_no_tls(void **state)
{
	struct fixture *f = *state;
	struct tls *t = load(&f->ca, &f->ca, "user.admin");

	echo_start(&f->echo, f->socket, methods, NULL);
	connect_to(f, f->socket, t, "controller.a");
	tls_unref(t);
	assert_answers(f);
}

/* A new connection to the server, by the name that it should have. */
static void assert_server_is(struct fixture *f, const char *name)
{
	struct client *old = f->client;

	connect_tls(f, &f->ca, &f->ca, "user.admin", name);
	assert_answers(f);
	client_free(f->client);
	f->client = old;
}

static void test_new_files_of_a_server_are_for_new_connections(void **state)
{
	struct fixture *f = *state;
	struct client_stream *s;
	int64_t end = units_monotonic() + 5 * UNITS_SECOND;
	bool changed = false;

	serve_tls(f, "controller.a");
	connect_tls(f, &f->ca, &f->ca, "user.admin", "controller.a");
	s = open_stream(f, "/t/Chat");
	assert_int_equal(send_text(s, "before"), 0);
	assert_receives(f, s, "before");
	certs_issue_for(&f->ca, "controller.a", "controller.new", NULL,
			-CERTS_DAY, CERTS_DAY);
	while (!changed && units_monotonic() < end) {
		struct client *old = f->client;

		connect_tls(f, &f->ca, &f->ca, "user.admin", "controller.new");
		changed = call(f, "/t/Echo", "") != NULL;
		client_free(f->client);
		f->client = old;
	}
	assert_true(changed);
	assert_int_equal(send_text(s, "after"), 0);
	assert_receives(f, s, "after");
}

static void test_broken_files_of_a_server_change_nothing(void **state)
{
	struct fixture *f = *state;
	struct tls *t = load(&f->ca, &f->ca, "controller.a");
	CLEANUP(err_clear) struct err err = ERR_INIT;

	grpc_init();
	echo_start(&f->echo, "127.0.0.1:0", methods, tls_server_credentials(t));
	grpc_shutdown();
	certs_write(&f->ca, "controller.a.crt", "broken");
	assert_int_equal(tls_refresh(t, true, &err), -1);
	tls_unref(t);
	assert_server_is(f, "controller.a");
}

static void test_new_files_of_a_client_are_for_new_calls(void **state)
{
	struct fixture *f = *state;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct tls *t;
	struct client_stream *s;

	certs_issue_for(&f->ca, "c", "user.admin", NULL, -CERTS_DAY, CERTS_DAY);
	serve_tls(f, "controller.a");
	t = load(&f->ca, &f->ca, "c");
	connect_to(f, f->echo.address, t, "controller.a");
	s = open_stream(f, "/t/Chat");
	assert_int_equal(send_text(s, "before"), 0);
	assert_receives(f, s, "before");
	certs_issue_for(&f->ca, "c", "user.admin", NULL, -2 * CERTS_DAY,
			-CERTS_DAY);
	assert_int_equal(tls_refresh(t, true, &err), 0);
	tls_unref(t);
	assert_null(call(f, "/t/Echo", ""));
	assert_non_null(strstr(f->err.msg, "refused our certificate"));
	assert_int_equal(send_text(s, "after"), 0);
	assert_receives(f, s, "after");
}

#define ALONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define UNIX(name)  cmocka_unit_test_setup_teardown(name, setup_unix, teardown)
#define TLS(name)   cmocka_unit_test_setup_teardown(name, setup_tls, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(test_a_missing_socket_is_reported_at_once),
		UNIX(test_a_server_that_comes_back_is_found_by_the_next_call),
		ALONE(test_a_host_that_does_not_exist_is_named),
		ALONE(test_a_server_that_is_silent_is_not_a_connection),
		ALONE(test_a_connection_that_breaks_is_not_called_refused),
		ALONE(test_a_call_says_whether_it_was_never_sent),
		ALONE(test_a_server_that_does_not_answer_pings_is_given_up),
		UNIX(test_a_reply_has_at_most_what_the_client_takes),
		UNIX(test_a_stream_that_is_cancelled_says_so_to_who_receives),
		TLS(test_mutual_tls_works_by_any_name_of_the_server),
		TLS(test_a_server_may_be_known_by_its_host),
		TLS(test_a_server_that_is_not_its_host_is_refused),
		TLS(test_a_client_needs_no_certificate_if_the_server_does_not),
		TLS(test_a_client_without_a_certificate_is_told_so),
		TLS(test_a_server_with_another_name_is_refused),
		TLS(test_a_server_of_another_ca_is_refused),
		TLS(test_a_server_whose_certificate_has_expired_is_refused),
		TLS(test_a_server_that_is_revoked_is_refused),
		TLS(test_a_client_of_another_ca_is_refused),
		TLS(test_a_client_whose_certificate_has_expired_is_refused),
		TLS(test_plaintext_to_tls_is_told),
		TLS(test_tls_to_plaintext_is_told),
		TLS(test_a_unix_socket_has_no_tls),
		TLS(test_new_files_of_a_server_are_for_new_connections),
		TLS(test_broken_files_of_a_server_change_nothing),
		TLS(test_new_files_of_a_client_are_for_new_calls),
	};

	client_silence_core();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

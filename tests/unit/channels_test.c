/* The cache of connections to controllers: which are shared, left, closed. */

#include "daemon/rpc/channels.h"

#include <netinet/in.h>
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

#include <grpc/grpc.h>
#include <grpc/support/time.h>

#include "proto/lib/client.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/tls.h"
#include "proto/lib/units.h"
#include "tests/unit/certs.h"

#define A "127.0.0.1:1"
#define B "127.0.0.1:2"

#define NEVER INT64_MAX / 2 /* idle for so long */

struct fixture {
	grpc_resource_quota *memory;
	struct channels *channels;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));

	grpc_init();
	f->memory = grpc_resource_quota_create("test");
	f->channels = channels_new(NULL, f->memory);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	channels_free(f->channels);
	grpc_resource_quota_unref(f->memory);
	grpc_shutdown();
	err_clear(&f->err);
	free(f);
	return 0;
}

static struct channel *get(struct fixture *f, const char *controller,
			   const char *address)
{
	struct channel *c = channels_get(f->channels, controller, address,
					 "controller.n1", &f->err);

	assert_non_null(c);
	return c;
}

/* --- */

static void test_controllers_at_one_address_share_a_connection(void **state)
{
	struct fixture *f = *state;
	struct channel *n1 = get(f, "n1", A), *n2 = get(f, "n2", A),
		       *n3 = get(f, "n3", B);

	assert_ptr_equal(n1, n2);
	assert_ptr_not_equal(n1, n3);
	channel_put(f->channels, n1);
	channel_put(f->channels, n2);
	channel_put(f->channels, n3);
}

static void test_a_connection_is_kept_from_call_to_call(void **state)
{
	struct fixture *f = *state;
	struct channel *c = get(f, "n1", A);
	grpc_channel *core = channel_grpc(c);

	for (int i = 0; i < 3; i++) {
		channel_put(f->channels, c);
		channels_sweep(f->channels, NEVER);
		c = get(f, "n1", A);
		assert_ptr_equal(channel_grpc(c), core);
	}
	channel_put(f->channels, c);
}

static void test_a_controller_that_moves_leaves_its_connection(void **state)
{
	struct fixture *f = *state;
	struct channel *old = get(f, "n1", A), *new = get(f, "n1", B), *other;

	assert_ptr_not_equal(old, new);
	/* While a call uses it others may as well. */
	other = get(f, "n2", A);
	assert_ptr_equal(old, other);
	channel_put(f->channels, other);
	channel_put(f->channels, old);
	channel_put(f->channels, new);
}

static void test_who_failed_is_not_asked_again(void **state)
{
	struct fixture *f = *state;
	struct channel *failed = get(f, "n1", A), *again;

	channel_failed(f->channels, failed);
	channel_failed(f->channels, failed); /* a second call of it */
	again = get(f, "n1", A);
	assert_ptr_not_equal(failed, again);
	channel_put(f->channels, failed);
	assert_ptr_equal(get(f, "n1", A), again);
	channel_put(f->channels, again);
	channel_put(f->channels, again);
}

static void test_what_cannot_be_dialled_is_unavailable(void **state)
{
	struct fixture *f = *state;

	assert_null(channels_get(f->channels, "n1", "foo://bar",
				 "controller.n1", &f->err));
	assert_int_equal(f->err.code, GRPC_STATUS_UNAVAILABLE);
	assert_non_null(strstr(f->err.msg, "foo://bar"));
	assert_non_null(strstr(f->err.msg, "host:port"));
	err_clear(&f->err);
	channel_put(f->channels, get(f, "n1", A));
}

static int listen_anywhere(char address[32])
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, size), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &size), 0);
	snprintf(address, 32, "127.0.0.1:%d", ntohs(sin.sin_port));
	return fd;
}

/* The other end of the connection that core makes. */
static int connect_now(struct channel *c, int listener)
{
	int fd;

	grpc_channel_check_connectivity_state(channel_grpc(c), 1);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_int_not_equal(fd, -1);
	return fd;
}

static void assert_closes(int fd)
{
	char buf[1024];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
	close(fd);
}

static void test_an_idle_connection_is_closed(void **state)
{
	struct fixture *f = *state;
	char address[32];
	int listener = listen_anywhere(address);
	struct channel *c = get(f, "n1", address);
	int fd = connect_now(c, listener);

	channels_sweep(f->channels, 0); /* not while a call uses it */
	assert_ptr_equal(get(f, "n1", address), c);
	channel_put(f->channels, c);
	channel_put(f->channels, c);
	channels_sweep(f->channels, 0);
	assert_closes(fd);
	close(listener);
}

static void test_a_connection_is_as_idle_as_its_last_controller(void **state)
{
	struct fixture *f = *state;
	struct channel *c = get(f, "n1", A);
	grpc_channel *core = channel_grpc(c);
	int64_t start = units_monotonic();

	channel_put(f->channels, c);
	while (units_monotonic() == start)
		;
	start = units_monotonic();
	channel_put(f->channels, get(f, "n2", A));
	channels_sweep(f->channels, units_monotonic() - start);
	c = get(f, "n2", A);
	assert_ptr_equal(channel_grpc(c), core);
	channel_put(f->channels, c);
}

static void test_a_connection_that_is_left_is_closed(void **state)
{
	struct fixture *f = *state;
	char address[32];
	int listener = listen_anywhere(address);
	struct channel *old = get(f, "n1", address);
	int fd = connect_now(old, listener);

	channel_put(f->channels, get(f, "n1", A));
	channel_put(f->channels, old);
	assert_closes(fd);
	close(listener);
}

static void test_new_certificates_make_new_connections(void **state)
{
	struct fixture *f = *state;
	struct certs ca;
	struct tls *tls;
	struct channels *channels;
	struct channel *old, *same, *new;

	certs_init(&ca, "test CA");
	certs_issue(&ca, "us");
	tls = certs_tls(&ca, &ca, "us", &f->err);
	channels = channels_new(tls, f->memory);
	old = channels_get(channels, "n1", A, "controller.n1", &f->err);
	same = channels_get(channels, "n1", A, "controller.n1", &f->err);
	assert_ptr_equal(old, same);
	certs_issue(&ca, "us");
	assert_int_equal(tls_refresh(tls, true, &f->err), 0);
	new = channels_get(channels, "n1", A, "controller.n1", &f->err);
	assert_ptr_not_equal(old, new);
	channel_put(channels, old);
	channel_put(channels, same);
	channel_put(channels, new);
	channels_free(channels);
	tls_unref(tls);
	certs_clear(&ca);
}

static void test_controllers_at_one_address_have_their_own_names(void **state)
{
	struct fixture *f = *state;
	struct certs ca;
	struct tls *tls;
	struct channels *channels;
	struct channel *n1, *n2;

	certs_init(&ca, "test CA");
	certs_issue(&ca, "us");
	tls = certs_tls(&ca, &ca, "us", &f->err);
	channels = channels_new(tls, f->memory);
	n1 = channels_get(channels, "n1", A, "controller.n1", &f->err);
	n2 = channels_get(channels, "n2", A, "controller.n2", &f->err);
	assert_ptr_not_equal(n1, n2);
	channel_put(channels, n1);
	channel_put(channels, n2);
	channels_free(channels);
	tls_unref(tls);
	certs_clear(&ca);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_controllers_at_one_address_share_a_connection),
		TEST(test_a_connection_is_kept_from_call_to_call),
		TEST(test_a_controller_that_moves_leaves_its_connection),
		TEST(test_who_failed_is_not_asked_again),
		TEST(test_what_cannot_be_dialled_is_unavailable),
		TEST(test_an_idle_connection_is_closed),
		TEST(test_a_connection_is_as_idle_as_its_last_controller),
		TEST(test_a_connection_that_is_left_is_closed),
		TEST(test_new_certificates_make_new_connections),
		TEST(test_controllers_at_one_address_have_their_own_names),
	};

	client_silence_core();
	return cmocka_run_group_tests_name("channels", tests, NULL, NULL);
}

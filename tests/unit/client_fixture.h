#ifndef OIM_TEST_CLIENT_FIXTURE_H
#define OIM_TEST_CLIENT_FIXTURE_H

/* What tests of clients have in common: a server, a client, and calls. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "grpc/health/v1/health.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/client.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"
#include "tests/unit/certs.h"
#include "tests/unit/echo.h"

/* A message with one string is all that the tests need. */
typedef Grpc__Health__V1__HealthCheckRequest text;
#define TEXT_TYPE (&grpc__health__v1__health_check_request__descriptor)

static inline grpc_byte_buffer *encode(const char *s)
{
	text m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	grpc_slice slice;
	grpc_byte_buffer *buffer;

	m.service = (char *)(uintptr_t)s;
	slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(&m.base));
	protobuf_c_message_pack(&m.base, GRPC_SLICE_START_PTR(slice));
	buffer = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return buffer;
}

static inline void finish_ok(struct echo_call *c)
{
	echo_finish(c, GRPC_STATUS_OK, "", NULL, 0);
}

/* Methods that most tests need. */
static inline void serve_echo(struct echo_call *c)
{
	echo_send(c, echo_receive(c));
	finish_ok(c);
}

static inline void serve_chat(struct echo_call *c)
{
	grpc_byte_buffer *message;

	while ((message = echo_receive(c)) && echo_send(c, message))
		;
	finish_ok(c);
}

struct fixture {
	struct certs ca;
	struct echo echo;
	struct client *client;
	struct client_stream *streams[4];
	size_t n_streams;
	struct arena *arena;
	struct err err;
	char *socket;
};

static inline int setup(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));

	certs_init(&f->ca, "test CA");
	f->arena = arena_new();
	f->socket = mem_printf("unix:%s/sock", f->ca.dir);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->n_streams; i++)
		client_stream_free(f->streams[i]);
	client_free(f->client);
	if (f->echo.server)
		echo_stop(&f->echo);
	arena_free(f->arena);
	err_clear(&f->err);
	certs_clear(&f->ca);
	free(f->socket);
	free(f);
	return 0;
}

static inline void connect_to(struct fixture *f, const char *address,
			      struct tls *tls, const char *name)
{
	struct client_config config = {
		.address = address, .tls = tls, .tls_name = name};

	f->client = client_new(&config, &f->err);
	assert_non_null(f->client);
}

/* A server on a Unix socket, and a client of it. */
static inline int setup_server(void **state, const struct echo_method *methods)
{
	struct fixture *f;

	setup(state);
	f = *state;
	echo_start(&f->echo, f->socket, methods, NULL);
	connect_to(f, f->socket, NULL, NULL);
	return 0;
}

/* The reply, or NULL with f->err. */
static inline const char *call_until(struct fixture *f, const char *method,
				     const char *request, int64_t deadline)
{
	struct client_call call = {.method = method,
				   .reply_type = TEXT_TYPE,
				   .deadline = deadline};
	text m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	text *reply;

	m.service = (char *)(uintptr_t)request;
	err_clear(&f->err);
	reply = client_unary(f->client, &call, &m.base, f->arena, &f->err);
	return reply ? reply->service : NULL;
}

static inline const char *call(struct fixture *f, const char *method,
			       const char *request)
{
	return call_until(f, method, request,
			  units_monotonic() + 20 * UNITS_SECOND);
}

static inline void assert_answers(struct fixture *f)
{
	const char *reply = call(f, "/t/Echo", "hello");

	if (!reply)
		print_error("%s\n", f->err.msg);
	assert_non_null(reply);
	assert_string_equal(reply, "hello");
}

static inline void assert_fails(struct fixture *f, const char *method,
				const char *request, int code,
				const char *message)
{
	assert_null(call(f, method, request));
	assert_string_equal(f->err.msg, message);
	assert_int_equal(f->err.code, code);
}

/* reason is what comes after the address. */
static inline void assert_unconnected(struct fixture *f, const char *address,
				      const char *reason)
{
	CLEANUP(cleanup_free)
	char *message = mem_printf("cannot connect to %s: %s", address, reason);

	assert_fails(f, "/t/Echo", "x", GRPC_STATUS_UNAVAILABLE, message);
}

/* teardown() frees it. */
static inline struct client_stream *open_stream(struct fixture *f,
						const char *method)
{
	struct client_call call = {.method = method,
				   .reply_type = TEXT_TYPE,
				   .deadline = units_monotonic() +
					       20 * UNITS_SECOND};
	struct client_stream *s = client_stream_open(f->client, &call, &f->err);

	assert_non_null(s);
	f->streams[f->n_streams++] = s;
	return s;
}

static inline int send_text(struct client_stream *s, const char *what)
{
	text m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

	m.service = (char *)(uintptr_t)what;
	return client_stream_send(s, &m.base);
}

static inline void assert_receives(struct fixture *f, struct client_stream *s,
				   const char *expected)
{
	void *reply = NULL;

	assert_int_equal(client_stream_receive(s, f->arena, &reply, &f->err),
			 1);
	assert_string_equal(((text *)reply)->service, expected);
}

#endif

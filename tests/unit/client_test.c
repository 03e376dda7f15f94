/* Calls of a client: every shape, every way to fail, with and without TLS. */

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

#include "google/protobuf/any.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
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

/* ------------------------------------------------------------- the server */

static grpc_byte_buffer *encode(const char *s)
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

/* The number in the request; 0 if the client has gone. */
static size_t receive_number(struct echo_call *c)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	grpc_byte_buffer *buffer = echo_receive(c);
	grpc_byte_buffer_reader reader;
	grpc_slice bytes;
	text *m;
	size_t n;

	if (!buffer)
		return 0;
	ECHO_CHECK(grpc_byte_buffer_reader_init(&reader, buffer));
	bytes = grpc_byte_buffer_reader_readall(&reader);
	m = arena_unpack(a, TEXT_TYPE, GRPC_SLICE_START_PTR(bytes),
			 GRPC_SLICE_LENGTH(bytes));
	ECHO_CHECK(m);
	n = strtoul(m->service, NULL, 10);
	grpc_slice_unref(bytes);
	grpc_byte_buffer_reader_destroy(&reader);
	grpc_byte_buffer_destroy(buffer);
	return n;
}

static void finish_ok(struct echo_call *c)
{
	echo_finish(c, GRPC_STATUS_OK, "", NULL, 0);
}

static void serve_echo(struct echo_call *c)
{
	echo_send(c, echo_receive(c));
	finish_ok(c);
}

/* The value of the metadata "x-test-bin". */
static void serve_metadata(struct echo_call *c)
{
	CLEANUP(cleanup_free) char *value = mem_strdup("none");

	for (size_t i = 0; i < c->md.count; i++) {
		if (grpc_slice_str_cmp(c->md.metadata[i].key, "x-test-bin") ==
		    0) {
			free(value);
			value = grpc_slice_to_c_string(c->md.metadata[i].value);
		}
	}
	echo_send(c, encode(value));
	finish_ok(c);
}

static void serve_count(struct echo_call *c)
{
	size_t n = receive_number(c);

	for (size_t i = 0; i < n; i++) {
		char s[32];

		snprintf(s, sizeof(s), "%zu", i);
		if (!echo_send(c, encode(s)))
			break;
	}
	finish_ok(c);
}

static void serve_chat(struct echo_call *c)
{
	grpc_byte_buffer *message;

	while ((message = echo_receive(c)) && echo_send(c, message))
		;
	finish_ok(c);
}

/* Ends after one message, however many there are. */
static void serve_hurry(struct echo_call *c)
{
	echo_send(c, echo_receive(c));
	echo_finish(c, GRPC_STATUS_NOT_FOUND, "that will do", NULL, 0);
}

static void serve_never(struct echo_call *c)
{
	echo_wait_for_cancel(c);
}

static void serve_huge(struct echo_call *c)
{
	size_t n = receive_number(c);
	CLEANUP(cleanup_free) char *s = mem_alloc(n + 1);

	memset(s, 'x', n);
	s[n] = '\0';
	echo_send(c, encode(s));
	finish_ok(c);
}

static void serve_empty(struct echo_call *c)
{
	finish_ok(c);
}

static void serve_latin1(struct echo_call *c)
{
	echo_send(c, encode("caf\xe9"));
	finish_ok(c);
}

static void serve_garbage(struct echo_call *c)
{
	grpc_slice slice = grpc_slice_from_static_string("\x0a\xff");

	echo_send(c, grpc_raw_byte_buffer_create(&slice, 1));
	finish_ok(c);
}

static void serve_unavailable(struct echo_call *c)
{
	echo_finish(c, GRPC_STATUS_UNAVAILABLE,
		    "failed to connect to all addresses", NULL, 0);
}

static void serve_bad_words(struct echo_call *c)
{
	echo_finish(c, GRPC_STATUS_INTERNAL, "caf\xe9 is\nclosed", NULL, 0);
}

static void serve_no_words(struct echo_call *c)
{
	echo_finish(c, GRPC_STATUS_DATA_LOSS, "", NULL, 0);
}

/* An Any with the packed message; the caller frees its value. */
static Google__Protobuf__Any pack_any(const char *url,
				      const ProtobufCMessage *message)
{
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.type_url = (char *)(uintptr_t)url;
	any.value.len = protobuf_c_message_get_packed_size(message);
	any.value.data = mem_alloc(any.value.len);
	protobuf_c_message_pack(message, any.value.data);
	return any;
}

static void finish_with_details(struct echo_call *c,
				const Google__Rpc__Status *status)
{
	grpc_metadata md = {0};

	md.key = grpc_slice_from_static_string("grpc-status-details-bin");
	md.value =
		grpc_slice_malloc(google__rpc__status__get_packed_size(status));
	google__rpc__status__pack(status, GRPC_SLICE_START_PTR(md.value));
	echo_finish(c, status->code, status->message, &md, 1);
	grpc_slice_unref(md.value);
}

static void serve_refuse(struct echo_call *c)
{
	Google__Rpc__Help help = GOOGLE__RPC__HELP__INIT;
	Google__Rpc__Help__Link first = GOOGLE__RPC__HELP__LINK__INIT;
	Google__Rpc__Help__Link second = GOOGLE__RPC__HELP__LINK__INIT;
	Google__Rpc__Help__Link *links[] = {&first, &second};
	Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
	Google__Protobuf__Any any;
	Google__Protobuf__Any *details[] = {&any};

	first.description = (char *)(uintptr_t) "unmap it first";
	second.description = (char *)(uintptr_t) "see the manual";
	help.links = links;
	help.n_links = 2;
	any = pack_any("type.googleapis.com/google.rpc.Help", &help.base);
	status.code = GRPC_STATUS_FAILED_PRECONDITION;
	status.message = (char *)(uintptr_t) "it is in use";
	status.details = details;
	status.n_details = 1;
	finish_with_details(c, &status);
	free(any.value.data);
}

static const struct echo_method methods[] = {
	{"/t/Echo", serve_echo},
	{"/t/Metadata", serve_metadata},
	{"/t/Count", serve_count},
	{"/t/Chat", serve_chat},
	{"/t/Hurry", serve_hurry},
	{"/t/Never", serve_never},
	{"/t/Huge", serve_huge},
	{"/t/Empty", serve_empty},
	{"/t/Latin1", serve_latin1},
	{"/t/Garbage", serve_garbage},
	{"/t/Unavailable", serve_unavailable},
	{"/t/BadWords", serve_bad_words},
	{"/t/NoWords", serve_no_words},
	{"/t/Refuse", serve_refuse},
	{NULL, NULL},
};

/* -------------------------------------------------------------- the client */

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

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));

	certs_init(&f->ca, "test CA");
	f->arena = arena_new();
	f->socket = mem_printf("unix:%s/sock", f->ca.dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
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

static void connect_to(struct fixture *f, const char *address, struct tls *tls,
		       const char *name)
{
	struct client_config config = {
		.address = address, .tls = tls, .tls_name = name};

	f->client = client_new(&config, &f->err);
	assert_non_null(f->client);
}

/* A server on a Unix socket, and a client of it. */
static int setup_unix(void **state)
{
	struct fixture *f;

	setup(state);
	f = *state;
	echo_start(&f->echo, f->socket, methods, NULL);
	connect_to(f, f->socket, NULL, NULL);
	return 0;
}

/* The reply, or NULL with f->err. */
static const char *call_until(struct fixture *f, const char *method,
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

static const char *call(struct fixture *f, const char *method,
			const char *request)
{
	return call_until(f, method, request,
			  units_monotonic() + 20 * UNITS_SECOND);
}

static void assert_answers(struct fixture *f)
{
	const char *reply = call(f, "/t/Echo", "hello");

	if (!reply)
		print_error("%s\n", f->err.msg);
	assert_non_null(reply);
	assert_string_equal(reply, "hello");
}

static void assert_fails(struct fixture *f, const char *method,
			 const char *request, int code, const char *message)
{
	assert_null(call(f, method, request));
	assert_string_equal(f->err.msg, message);
	assert_int_equal(f->err.code, code);
}

/* reason is what comes after the address. */
static void assert_unconnected(struct fixture *f, const char *address,
			       const char *reason)
{
	CLEANUP(cleanup_free)
	char *message = mem_printf("cannot connect to %s: %s", address, reason);

	assert_fails(f, "/t/Echo", "x", GRPC_STATUS_UNAVAILABLE, message);
}

/* teardown() frees it. */
static struct client_stream *open_stream(struct fixture *f, const char *method)
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

static int send_text(struct client_stream *s, const char *what)
{
	text m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

	m.service = (char *)(uintptr_t)what;
	return client_stream_send(s, &m.base);
}

static void assert_receives(struct fixture *f, struct client_stream *s,
			    const char *expected)
{
	void *reply = NULL;

	assert_int_equal(client_stream_receive(s, f->arena, &reply, &f->err),
			 1);
	assert_string_equal(((text *)reply)->service, expected);
}

/* Returns how the stream ended. */
static int drain(struct fixture *f, struct client_stream *s)
{
	void *reply;
	int ret;

	while ((ret = client_stream_receive(s, f->arena, &reply, &f->err)) == 1)
		;
	return ret;
}

/* ------------------------------------------------------- calls that succeed */

static void test_a_call_has_its_reply(void **state)
{
	assert_answers(*state);
	assert_answers(*state);
}

static void test_a_call_goes_over_tcp(void **state)
{
	struct fixture *f = *state;

	echo_start(&f->echo, "127.0.0.1:0", methods, NULL);
	connect_to(f, f->echo.address, NULL, NULL);
	assert_answers(f);
}

static void test_metadata_reaches_the_server(void **state)
{
	struct fixture *f = *state;
	struct client_md md = {"x-test-bin", "caf\xc3\xa9\n", 6};
	struct client_call what = {.method = "/t/Metadata",
				   .reply_type = TEXT_TYPE,
				   .md = &md,
				   .n_md = 1};
	text m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	text *reply;

	reply = client_unary(f->client, &what, &m.base, f->arena, &f->err);
	assert_non_null(reply);
	assert_string_equal(reply->service, "caf\xc3\xa9\n");
}

static void test_a_reply_may_have_many_megabytes(void **state)
{
	const char *reply = call(*state, "/t/Huge", "30000000");

	assert_non_null(reply);
	assert_int_equal(strlen(reply), 30000000);
}

static void test_a_server_may_stream(void **state)
{
	struct fixture *f = *state;
	struct client_stream *s = open_stream(f, "/t/Count");

	assert_int_equal(send_text(s, "3"), 0);
	assert_int_equal(client_stream_close_send(s), 0);
	assert_receives(f, s, "0");
	assert_receives(f, s, "1");
	assert_receives(f, s, "2");
	assert_int_equal(drain(f, s), 0);
	assert_int_equal(drain(f, s), 0);
}

static void test_both_may_stream_in_turn(void **state)
{
	struct fixture *f = *state;
	struct client_stream *s = open_stream(f, "/t/Chat");

	for (int i = 0; i < 100; i++) {
		char n[16];

		snprintf(n, sizeof(n), "%d", i);
		assert_int_equal(send_text(s, n), 0);
		assert_receives(f, s, n);
	}
	assert_int_equal(client_stream_close_send(s), 0);
	assert_int_equal(drain(f, s), 0);
}

static void *send_many(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		char n[16];

		snprintf(n, sizeof(n), "%d", i);
		if (send_text(arg, n) < 0)
			return NULL;
	}
	client_stream_close_send(arg);
	return NULL;
}

static void test_one_thread_may_send_while_another_receives(void **state)
{
	struct fixture *f = *state;
	struct client_stream *s = open_stream(f, "/t/Chat");
	pthread_t sender;

	assert_int_equal(pthread_create(&sender, NULL, send_many, s), 0);
	for (int i = 0; i < 2000; i++) {
		char n[16];

		snprintf(n, sizeof(n), "%d", i);
		assert_receives(f, s, n);
	}
	assert_int_equal(drain(f, s), 0);
	pthread_join(sender, NULL);
}

struct caller {
	pthread_t thread;
	struct client *client;
	unsigned answers;
};

static void *call_often(void *arg)
{
	struct caller *c = arg;
	struct client_call what = {.method = "/t/Echo",
				   .reply_type = TEXT_TYPE};
	text m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

	for (int i = 0; i < 100; i++) {
		CLEANUP(cleanup_arena) struct arena *a = arena_new();
		CLEANUP(err_clear) struct err err = ERR_INIT;

		c->answers +=
			!!client_unary(c->client, &what, &m.base, a, &err);
	}
	return NULL;
}

static void test_threads_may_share_a_client(void **state)
{
	struct fixture *f = *state;
	struct caller callers[8];

	for (int i = 0; i < 8; i++) {
		callers[i] = (struct caller){.client = f->client};
		assert_int_equal(pthread_create(&callers[i].thread, NULL,
						call_often, &callers[i]),
				 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].answers, 100);
	}
}

/* ----------------------------------------------------------- calls that fail
 */

static void test_a_bad_address_is_refused(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct client_config config = {.address = "foo://bar"};

	(void)state;
	assert_null(client_new(&config, &err));
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
}

static void test_an_error_has_the_words_of_the_server(void **state)
{
	assert_fails(*state, "/t/NoSuch", "", GRPC_STATUS_UNIMPLEMENTED,
		     "no such method");
}

static void test_an_error_has_details_and_a_hint(void **state)
{
	struct fixture *f = *state;
	Google__Rpc__Status *status;

	assert_fails(f, "/t/Refuse", "", GRPC_STATUS_FAILED_PRECONDITION,
		     "it is in use");
	assert_string_equal(f->err.hint, "unmap it first; see the manual");
	status = arena_unpack(f->arena, &google__rpc__status__descriptor,
			      f->err.status, f->err.status_size);
	assert_non_null(status);
	assert_int_equal(status->n_details, 1);
}

static void test_an_error_is_one_line_of_text(void **state)
{
	assert_fails(*state, "/t/BadWords", "", GRPC_STATUS_INTERNAL,
		     "caf\\xe9 is\\nclosed");
	assert_fails(*state, "/t/NoWords", "", GRPC_STATUS_DATA_LOSS,
		     "the server does not say why");
}

static void test_a_server_that_says_unavailable_is_believed(void **state)
{
	assert_fails(*state, "/t/Unavailable", "", GRPC_STATUS_UNAVAILABLE,
		     "failed to connect to all addresses");
}

static void test_a_reply_that_is_not_good_is_internal(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {"/t/Empty", "/t/Garbage",
					  "/t/Latin1"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_null(call(f, bad[i], ""));
		assert_int_equal(f->err.code, GRPC_STATUS_INTERNAL);
		assert_non_null(strstr(f->err.msg, bad[i]));
	}
}

static void test_a_reply_above_64_mebibytes_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_null(call(f, "/t/Huge", "67108864"));
	assert_int_equal(f->err.code, GRPC_STATUS_RESOURCE_EXHAUSTED);
}

static void test_metadata_that_cannot_be_sent_is_refused(void **state)
{
	struct fixture *f = *state;
	struct client_md md = {"controllerid", "caf\xc3\xa9", 5};
	struct client_call what = {.method = "/t/Echo",
				   .reply_type = TEXT_TYPE,
				   .md = &md,
				   .n_md = 1};
	text m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

	assert_null(client_unary(f->client, &what, &m.base, f->arena, &f->err));
	assert_int_equal(f->err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_string_equal(f->err.msg, "metadata \"controllerid\" can only "
					"carry printable ASCII");
	err_clear(&f->err);
	md = (struct client_md){"Bad Key", "", 0};
	assert_null(client_stream_open(f->client, &what, &f->err));
	assert_string_equal(f->err.msg, "bad metadata key \"Bad Key\"");
}

static void test_a_call_ends_at_its_deadline(void **state)
{
	struct fixture *f = *state;
	int64_t start = units_monotonic();

	assert_null(call_until(f, "/t/Never", "", start + UNITS_SECOND / 10));
	assert_int_equal(f->err.code, GRPC_STATUS_DEADLINE_EXCEEDED);
	assert_non_null(strstr(f->err.msg, "no answer from"));
	assert_true(units_monotonic() - start >= UNITS_SECOND / 10);
}

static void test_a_stream_that_the_server_ends_says_why(void **state)
{
	struct fixture *f = *state;
	struct client_stream *s = open_stream(f, "/t/Hurry");

	assert_int_equal(send_text(s, "one"), 0);
	assert_receives(f, s, "one");
	assert_int_equal(drain(f, s), -1);
	assert_int_equal(f->err.code, GRPC_STATUS_NOT_FOUND);
	assert_string_equal(f->err.msg, "that will do");
	assert_int_equal(send_text(s, "two"), -1);
}

static void test_a_stream_may_be_left_at_any_time(void **state)
{
	struct fixture *f = *state;
	struct client_stream *s;

	open_stream(f, "/t/Count");
	s = open_stream(f, "/t/Count");
	assert_int_equal(send_text(s, "1000000000"), 0);
	assert_receives(f, s, "0");
	s = open_stream(f, "/t/Count");
	assert_int_equal(client_stream_close_send(s), 0);
}

/* A thread that receives from a stream until it ends. */
struct receiver {
	pthread_t thread;
	struct client_stream *stream;
	struct err err;
	int ret;
};

static void *receive_all(void *arg)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct receiver *r = arg;
	void *reply;

	do
		r->ret = client_stream_receive(r->stream, a, &reply, &r->err);
	while (r->ret == 1);
	return NULL;
}

static void test_cancelling_ends_all_calls_under_way(void **state)
{
	struct fixture *f = *state;
	struct receiver r[2] = {{.stream = open_stream(f, "/t/Never")},
				{.stream = open_stream(f, "/t/Chat")}};

	for (int i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&r[i].thread, NULL, receive_all, &r[i]),
			0);
	client_cancel(f->client);
	for (int i = 0; i < 2; i++) {
		pthread_join(r[i].thread, NULL);
		assert_int_equal(r[i].ret, -1);
		assert_int_equal(r[i].err.code, GRPC_STATUS_CANCELLED);
		assert_string_equal(r[i].err.msg, "cancelled");
		err_clear(&r[i].err);
	}
	assert_answers(f);
}

/* -------------------------------------------- connections that are not made */

static void test_a_missing_socket_is_reported_at_once(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free)
	char *name = mem_printf("unix://%s", f->socket + 5);
	int64_t start = units_monotonic();

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

/* --------------------------------------------------------------------- TLS */

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
		UNIX(test_a_call_has_its_reply),
		ALONE(test_a_call_goes_over_tcp),
		UNIX(test_metadata_reaches_the_server),
		UNIX(test_a_reply_may_have_many_megabytes),
		UNIX(test_a_server_may_stream),
		UNIX(test_both_may_stream_in_turn),
		UNIX(test_one_thread_may_send_while_another_receives),
		UNIX(test_threads_may_share_a_client),
		ALONE(test_a_bad_address_is_refused),
		UNIX(test_an_error_has_the_words_of_the_server),
		UNIX(test_an_error_has_details_and_a_hint),
		UNIX(test_an_error_is_one_line_of_text),
		UNIX(test_a_server_that_says_unavailable_is_believed),
		UNIX(test_a_reply_that_is_not_good_is_internal),
		UNIX(test_a_reply_above_64_mebibytes_is_refused),
		UNIX(test_metadata_that_cannot_be_sent_is_refused),
		UNIX(test_a_call_ends_at_its_deadline),
		UNIX(test_a_stream_that_the_server_ends_says_why),
		UNIX(test_a_stream_may_be_left_at_any_time),
		UNIX(test_cancelling_ends_all_calls_under_way),
		ALONE(test_a_missing_socket_is_reported_at_once),
		UNIX(test_a_server_that_comes_back_is_found_by_the_next_call),
		ALONE(test_a_host_that_does_not_exist_is_named),
		ALONE(test_a_server_that_is_silent_is_not_a_connection),
		ALONE(test_a_connection_that_breaks_is_not_called_refused),
		TLS(test_mutual_tls_works_by_any_name_of_the_server),
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

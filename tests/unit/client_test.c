/* Calls of a client: every shape, and every way to fail that a server has. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
#include "tests/unit/client_fixture.h"
#include "tests/unit/echo.h"

/* --- the server --- */

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
	CHECK(grpc_byte_buffer_reader_init(&reader, buffer));
	bytes = grpc_byte_buffer_reader_readall(&reader);
	m = arena_unpack(a, TEXT_TYPE, GRPC_SLICE_START_PTR(bytes),
			 GRPC_SLICE_LENGTH(bytes));
	CHECK(m);
	n = strtoul(m->service, NULL, 10);
	grpc_slice_unref(bytes);
	grpc_byte_buffer_reader_destroy(&reader);
	grpc_byte_buffer_destroy(buffer);
	return n;
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

/* --- the client --- */

static int setup_unix(void **state)
{
	return setup_server(state, methods);
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

/* --- calls that succeed --- */

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

#define ALONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define UNIX(name)  cmocka_unit_test_setup_teardown(name, setup_unix, teardown)

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
	};

	client_silence_core();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Streaming calls as handlers and clients see them. */

#include "daemon/rpc/call.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/rpc/rpc.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/client.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"
#include "tests/unit/rpc_fixture.h"

#define LARGE (1 << 20)

/* --- handlers --- */

static void send_reply(struct call *call, const char *what)
{
	text m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

	m.service = (char *)(uintptr_t)what;
	call_send(call, &m.base);
}

static int on_open(struct call *call, struct err *err)
{
	(void)call;
	(void)err;
	happens(OPENED);
	return 0;
}

static int on_open_refused(struct call *call, struct err *err)
{
	(void)call;
	return err_set(err, GRPC_STATUS_PERMISSION_DENIED, "not you");
}

static void on_message(struct call *call, const void *request)
{
	happens(RECEIVED);
	send_reply(call, ((const text *)request)->service);
}

static void on_half_closed(struct call *call)
{
	happens(HALF_CLOSED);
	send_reply(call, "goodbye");
	call_end(call, NULL);
}

static void on_close(struct call *call)
{
	(void)call;
	happens(CLOSED);
}

/* Whatever else is sent is not wanted any more. */
static void on_message_once(struct call *call, const void *request)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	on_message(call, request);
	err_set(&err, GRPC_STATUS_NOT_FOUND, "that will do");
	call_end(call, &err);
	send_reply(call, "never sent");
	call_end(call, NULL);
}

/* As many numbers as the request says. */
static void on_message_flood(struct call *call, const void *request)
{
	int n = (int)strtol(((const text *)request)->service, NULL, 10);
	char number[16];

	for (int i = 0; i < n; i++) {
		snprintf(number, sizeof(number), "%d", i);
		send_reply(call, number);
	}
	call_end(call, NULL);
}

/* A message of LARGE bytes whenever the last one is taken. */
static void send_large(struct call *call)
{
	CLEANUP(cleanup_free) char *large = mem_alloc(LARGE + 1);

	happens(DRAINED);
	memset(large, 'x', LARGE);
	large[LARGE] = '\0';
	send_reply(call, large);
	if (count(DRAINED) == 64)
		call_end(call, NULL);
}

static void on_message_large(struct call *call, const void *request)
{
	(void)request;
	send_large(call);
}

static const struct call_stream chat = {.open = on_open,
					.message = on_message,
					.half_closed = on_half_closed,
					.close = on_close};
static const struct call_stream simple = {.open = on_open,
					  .message = on_message};
static const struct call_stream refused = {.open = on_open_refused,
					   .message = on_message,
					   .half_closed = on_half_closed,
					   .close = on_close};
static const struct call_stream once = {
	.open = on_open, .message = on_message_once, .close = on_close};
static const struct call_stream flood = {
	.open = on_open, .message = on_message_flood, .one_request = true};
static const struct call_stream large = {.open = on_open,
					 .message = on_message_large,
					 .drained = send_large,
					 .close = on_close,
					 .one_request = true};

static const struct rpc_method methods[] = {
	TEXT_METHOD("Chat", .stream = &chat),
	TEXT_METHOD("Simple", .stream = &simple),
	TEXT_METHOD("Refused", .stream = &refused),
	TEXT_METHOD("Once", .stream = &once),
	TEXT_METHOD("Flood", .stream = &flood),
	TEXT_METHOD("Large", .stream = &large),
	{.name = NULL},
};

static int setup_methods(void **state)
{
	rpc_setup(state);
	serve(*state, methods, NULL, NULL);
	return 0;
}

/* --- */

static struct client_stream *open_chat(void **state, const char *method)
{
	struct rpc_fixture *f = *state;

	return open_stream(&f->client, method);
}

static void assert_answers_with(void **state, struct client_stream *s,
				const char *expected)
{
	struct rpc_fixture *f = *state;

	assert_receives(&f->client, s, expected);
}

static void assert_ends(void **state, struct client_stream *s, int code,
			const char *message)
{
	struct rpc_fixture *f = *state;
	void *reply;

	assert_int_equal(client_stream_receive(s, f->client.arena, &reply,
					       &f->client.err),
			 code ? -1 : 0);
	assert_int_equal(f->client.err.code, code);
	if (message)
		assert_string_equal(f->client.err.msg, message);
	err_clear(&f->client.err);
}

static void test_a_stream_lasts_until_the_client_ends_it(void **state)
{
	struct client_stream *s = open_chat(state, PATH("Chat"));
	char number[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(number, sizeof(number), "%d", i);
		assert_int_equal(send_text(s, number), 0);
		assert_answers_with(state, s, number);
	}
	assert_int_equal(count(HALF_CLOSED), 0);
	client_stream_close_send(s);
	assert_answers_with(state, s, "goodbye");
	assert_ends(state, s, 0, NULL);
	await(CLOSED, 1);
}

static void test_a_stream_without_requests_is_a_stream(void **state)
{
	struct client_stream *s = open_chat(state, PATH("Chat"));

	client_stream_close_send(s);
	assert_answers_with(state, s, "goodbye");
	assert_ends(state, s, 0, NULL);
}

static void test_a_handler_that_does_not_care_ends_with_the_client(void **state)
{
	struct client_stream *s = open_chat(state, PATH("Simple"));

	assert_int_equal(send_text(s, "hello"), 0);
	client_stream_close_send(s);
	assert_answers_with(state, s, "hello");
	assert_ends(state, s, 0, NULL);
}

static void test_a_handler_may_end_the_call_at_any_time(void **state)
{
	struct client_stream *s = open_chat(state, PATH("Once"));

	assert_int_equal(send_text(s, "hello"), 0);
	assert_answers_with(state, s, "hello");
	assert_ends(state, s, GRPC_STATUS_NOT_FOUND, "that will do");
	await(CLOSED, 1);
	assert_int_equal(count(CLOSED), 1);
}

static void test_a_handler_may_refuse_a_stream(void **state)
{
	struct client_stream *s = open_chat(state, PATH("Refused"));

	assert_ends(state, s, GRPC_STATUS_PERMISSION_DENIED, "not you");
	await(CLOSED, 1);
	assert_int_equal(count(RECEIVED), 0);
	assert_int_equal(count(HALF_CLOSED), 0);
}

static void test_ten_thousand_messages_arrive_in_order(void **state)
{
	struct client_stream *s = open_chat(state, PATH("Flood"));
	char number[16];

	assert_int_equal(send_text(s, "10000"), 0);
	client_stream_close_send(s);
	for (int i = 0; i < 10000; i++) {
		snprintf(number, sizeof(number), "%d", i);
		assert_answers_with(state, s, number);
	}
	assert_ends(state, s, 0, NULL);
}

/* --- flow control --- */

static void test_a_client_that_does_not_read_holds_the_sender(void **state)
{
	struct client_stream *s = open_chat(state, PATH("Large"));
	struct rpc_fixture *f = *state;
	void *reply;
	int n = 0;

	assert_int_equal(send_text(s, "go"), 0);
	client_stream_close_send(s);
	while (client_stream_receive(s, f->client.arena, &reply,
				     &f->client.err) == 1) {
		n++;
		/* What is on its way is less than that. */
		assert_in_range(count(DRAINED), n, n + 32);
		arena_reset(f->client.arena);
	}
	assert_int_equal(f->client.err.code, 0);
	assert_int_equal(n, 64);
}

static void *send_64(void *arg)
{
	CLEANUP(cleanup_free) char *what = mem_alloc(LARGE + 1);

	memset(what, 'x', LARGE);
	what[LARGE] = '\0';
	for (int i = 0; i < 64; i++)
		assert_int_equal(send_text(arg, what), 0);
	client_stream_close_send(arg);
	return NULL;
}

static void test_requests_wait_until_replies_are_taken(void **state)
{
	struct client_stream *s = open_chat(state, PATH("Simple"));
	struct rpc_fixture *f = *state;
	pthread_t thread;
	void *reply;
	int n = 0;

	assert_int_equal(pthread_create(&thread, NULL, send_64, s), 0);
	while (client_stream_receive(s, f->client.arena, &reply,
				     &f->client.err) == 1) {
		n++;
		assert_in_range(count(RECEIVED), n, n + 32);
		arena_reset(f->client.arena);
	}
	pthread_join(thread, NULL);
	assert_int_equal(f->client.err.code, 0);
	assert_int_equal(n, 64);
}

/* --- streams that break off --- */

static void test_a_cancelled_stream_closes_and_does_not_half_close(void **state)
{
	struct rpc_fixture *f = *state;

	for (int i = 1; i <= 100; i++) {
		struct client_stream *s = open_chat(state, PATH("Chat"));

		assert_int_equal(send_text(s, "hello"), 0);
		assert_answers_with(state, s, "hello");
		client_stream_free(s);
		f->client.n_streams--;
		await(CLOSED, i);
	}
	assert_int_equal(count(HALF_CLOSED), 0);
	assert_int_equal(count(CLOSED), 100);
}

static void test_a_stream_that_is_too_late_closes(void **state)
{
	struct rpc_fixture *f = *state;
	struct client_call call = {.method = PATH("Chat"),
				   .reply_type = TEXT_TYPE};
	struct client_stream *s;

	do {
		call.deadline = units_monotonic() + UNITS_SECOND / 20;
		s = client_stream_open(f->client.client, &call, &f->client.err);
		assert_ends(state, s, GRPC_STATUS_DEADLINE_EXCEEDED, NULL);
		client_stream_free(s);
	} while (!count(OPENED));
	await(CLOSED, count(OPENED));
	assert_int_equal(count(HALF_CLOSED), 0);
}

static void test_too_large_a_message_does_not_half_close(void **state)
{
	struct client_stream *s = open_chat(state, PATH("Chat"));
	CLEANUP(cleanup_free) char *what = mem_alloc(5 * LARGE + 1);

	memset(what, 'x', 5 * LARGE);
	what[5 * LARGE] = '\0';
	send_text(s, what);
	assert_ends(state, s, GRPC_STATUS_RESOURCE_EXHAUSTED,
		    "Received message larger than max (5242885 vs. 4194304)");
	await(CLOSED, 1);
	assert_int_equal(count(HALF_CLOSED), 0);
}

static void test_a_message_that_is_not_text_ends_the_stream(void **state)
{
	struct client_stream *s = open_chat(state, PATH("Chat"));

	assert_int_equal(send_text(s, "hello"), 0);
	assert_answers_with(state, s, "hello");
	assert_int_equal(send_text(s, "caf\xe9"), 0);
	assert_ends(
		state, s, GRPC_STATUS_INVALID_ARGUMENT,
		"grpc.health.v1.HealthCheckRequest.service: text is not UTF-8");
	await(CLOSED, 1);
	assert_int_equal(count(RECEIVED), 1);
}

static void test_a_request_that_must_be_there_is_missed(void **state)
{
	struct client_stream *s = open_chat(state, PATH("Flood"));

	client_stream_close_send(s);
	assert_ends(state, s, GRPC_STATUS_INTERNAL,
		    "the request has no message");
}

static void test_a_stop_ends_streams_behind_what_was_sent(void **state)
{
	struct rpc_fixture *f = *state;
	struct client_stream *s = open_chat(state, PATH("Chat"));

	assert_int_equal(send_text(s, "hello"), 0);
	await(RECEIVED, 1);
	rpc_drain(f->rpc, 20 * UNITS_SECOND);
	assert_answers_with(state, s, "hello");
	assert_ends(state, s, GRPC_STATUS_UNAVAILABLE,
		    "the daemon is shutting down");
	assert_int_equal(count(CLOSED), 1);
	assert_int_equal(count(HALF_CLOSED), 0);
}

/* --- */

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, setup_methods, rpc_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_stream_lasts_until_the_client_ends_it),
		TEST(test_a_stream_without_requests_is_a_stream),
		TEST(test_a_handler_that_does_not_care_ends_with_the_client),
		TEST(test_a_handler_may_end_the_call_at_any_time),
		TEST(test_a_handler_may_refuse_a_stream),
		TEST(test_ten_thousand_messages_arrive_in_order),
		TEST(test_a_client_that_does_not_read_holds_the_sender),
		TEST(test_requests_wait_until_replies_are_taken),
		TEST(test_a_cancelled_stream_closes_and_does_not_half_close),
		TEST(test_a_stream_that_is_too_late_closes),
		TEST(test_too_large_a_message_does_not_half_close),
		TEST(test_a_message_that_is_not_text_ends_the_stream),
		TEST(test_a_request_that_must_be_there_is_missed),
		TEST(test_a_stop_ends_streams_behind_what_was_sent),
	};

	client_silence_core();
	return cmocka_run_group_tests_name("rpc streams", tests, NULL, NULL);
}

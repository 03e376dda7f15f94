/* Unary calls as handlers, routers and clients see them; and the stop. */

#include "daemon/rpc/rpc.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/rpc/call.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/client.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"
#include "tests/unit/rpc_fixture.h"

/* --- handlers --- */

static int echo(struct call *call, const void *request, void *reply,
		struct err *err)
{
	(void)call;
	(void)err;
	((text *)reply)->service = ((const text *)request)->service;
	return 0;
}

/* Answers when the test says so, or nobody is interested any more. */
static int wait_and_echo(struct call *call, const void *request, void *reply,
			 struct err *err)
{
	happens(ENTERED);
	wait_for_stage();
	happens(LEFT);
	return echo(call, request, reply, err);
}

static int say_cancelled(struct call *call, const void *request, void *reply,
			 struct err *err)
{
	(void)request;
	(void)reply;
	(void)err;
	happens(ENTERED);
	while (!call_is_cancelled(call))
		sched_yield();
	happens(LEFT);
	return 0;
}

static void *answer_later(void *arg)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	wait_for_stage();
	call_finish(arg, &err);
	return NULL;
}

static int echo_later(struct call *call, const void *request, void *reply,
		      struct err *err)
{
	pthread_t thread;

	echo(call, request, reply, err);
	assert_int_equal(pthread_create(&thread, NULL, answer_later, call), 0);
	pthread_detach(thread);
	happens(ENTERED);
	return CALL_LATER;
}

static int echo_early(struct call *call, const void *request, void *reply,
		      struct err *err)
{
	echo(call, request, reply, err);
	call_finish(call, err);
	return CALL_LATER;
}

static int fail_with_hint(struct call *call, const void *request, void *reply,
			  struct err *err)
{
	(void)call;
	(void)request;
	(void)reply;
	err_set(err, GRPC_STATUS_NOT_FOUND, "there is no such thing");
	return err_hint(err, "make one");
}

static int answer_bytes(struct call *call, const void *request, void *reply,
			struct err *err)
{
	static const char bytes[] = "\n\3raw";

	(void)request;
	(void)reply;
	(void)err;
	call_reply_encoded(call, mem_dup(bytes, sizeof(bytes) - 1),
			   sizeof(bytes) - 1);
	return 0;
}

static int say_metadata(struct call *call, const void *request, void *reply,
			struct err *err)
{
	const char *value = call_metadata(call, "x-key");

	(void)request;
	(void)err;
	((text *)reply)->service = arena_printf(
		call_arena(call), "%s %s", value ? value : "none",
		call_controller(call) ? call_controller(call) : "none");
	return 0;
}

static int say_seconds_left(struct call *call, const void *request, void *reply,
			    struct err *err)
{
	int64_t deadline = call_deadline(call);

	(void)request;
	(void)err;
	((text *)reply)->service =
		deadline == INT64_MAX
			? arena_strdup(call_arena(call), "forever")
			: arena_printf(call_arena(call), "%.0f",
				       (double)(deadline - units_monotonic()) /
					       UNITS_SECOND);
	return 0;
}

static const struct rpc_method methods[] = {
	TEXT_METHOD("Inline", .unary = echo, .flags = RPC_INLINE),
	TEXT_METHOD("Always", .unary = echo, .flags = RPC_WHILE_DRAINING),
	TEXT_METHOD("Work", .unary = echo),
	TEXT_METHOD("Wait", .unary = wait_and_echo),
	TEXT_METHOD("Cancelled", .unary = say_cancelled),
	TEXT_METHOD("Later", .unary = echo_later, .flags = RPC_INLINE),
	TEXT_METHOD("WorkLater", .unary = echo_later),
	TEXT_METHOD("Early", .unary = echo_early, .flags = RPC_INLINE),
	TEXT_METHOD("Hint", .unary = fail_with_hint, .flags = RPC_INLINE),
	TEXT_METHOD("Bytes", .unary = answer_bytes),
	TEXT_METHOD("Metadata", .unary = say_metadata),
	TEXT_METHOD("Deadline", .unary = say_seconds_left),
	{.name = NULL},
};

static int setup_methods(void **state)
{
	rpc_setup(state);
	serve(*state, methods, NULL, NULL);
	return 0;
}

/* --- replies --- */

static void assert_echoes(struct rpc_fixture *f, const char *method)
{
	const char *reply = call(&f->client, method, "hello");

	assert_non_null(reply);
	assert_string_equal(reply, "hello");
}

static void test_handlers_answer_on_the_loop_and_on_workers(void **state)
{
	assert_echoes(*state, PATH("Inline"));
	assert_echoes(*state, PATH("Work"));
}

static void test_a_handler_may_answer_later_by_another_thread(void **state)
{
	struct background b[2];

	begin(&b[0], *state, PATH("Later"), 20 * UNITS_SECOND);
	begin(&b[1], *state, PATH("WorkLater"), 20 * UNITS_SECOND);
	await(ENTERED, 2);
	assert_echoes(*state, PATH("Inline"));
	open_stage();
	for (int i = 0; i < 2; i++) {
		finish(&b[i]);
		assert_string_equal(b[i].reply, "hello");
		clear(&b[i]);
	}
}

static void test_a_handler_may_have_answered_before_it_returns(void **state)
{
	for (int i = 0; i < 100; i++)
		assert_echoes(*state, PATH("Early"));
}

static void test_a_reply_may_be_bytes(void **state)
{
	struct rpc_fixture *f = *state;

	assert_string_equal(call(&f->client, PATH("Bytes"), "x"), "raw");
}

static void test_errors_come_with_their_hint(void **state)
{
	struct rpc_fixture *f = *state;

	assert_fails(&f->client, PATH("Hint"), "x", GRPC_STATUS_NOT_FOUND,
		     "there is no such thing");
	assert_string_equal(f->client.err.hint, "make one");
}

static void test_a_method_without_a_row_is_unimplemented(void **state)
{
	struct rpc_fixture *f = *state;

	assert_fails(&f->client, PATH("List"), "x", GRPC_STATUS_UNIMPLEMENTED,
		     "unknown method /grpc.health.v1.Health/List");
}

/* --- what handlers see --- */

static const char *call_with(struct rpc_fixture *f, const struct client_md *md,
			     size_t n)
{
	struct client_call c = {.method = PATH("Metadata"),
				.reply_type = TEXT_TYPE,
				.md = md,
				.n_md = n};
	text m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	text *reply = client_unary(f->client.client, &c, &m.base,
				   f->client.arena, &f->client.err);

	assert_non_null(reply);
	return reply->service;
}

static void test_handlers_see_metadata(void **state)
{
	const struct client_md md[] = {{"x-key", "first", 5},
				       {"x-key", "second", 6},
				       {"controllerid", "n1", 2}};

	assert_string_equal(call_with(*state, NULL, 0), "none none");
	assert_string_equal(call_with(*state, md, 3), "first n1");
}

static void test_handlers_see_the_deadline(void **state)
{
	struct rpc_fixture *f = *state;
	int64_t in_a_minute = units_monotonic() + 60 * UNITS_SECOND;

	assert_string_equal(call_until(&f->client, PATH("Deadline"), "x", 0),
			    "forever");
	assert_string_equal(
		call_until(&f->client, PATH("Deadline"), "x", in_a_minute),
		"60");
}

static void test_a_late_handler_holds_nobody_and_hears_of_it(void **state)
{
	struct rpc_fixture *f = *state;

	/* On a slow machine it may be too late to begin. */
	while (!count(ENTERED)) {
		assert_null(call_until(&f->client, PATH("Cancelled"), "x",
				       units_monotonic() + UNITS_SECOND / 20));
		assert_int_equal(f->client.err.code,
				 GRPC_STATUS_DEADLINE_EXCEEDED);
	}
	await(LEFT, count(ENTERED));
	assert_echoes(f, PATH("Work"));
}

/* --- the pool --- */

static void test_a_full_queue_is_refused_and_nothing_else_suffers(void **state)
{
	struct rpc_fixture *f = *state;
	struct background b[WORKERS + QUEUE + 1];
	int n = sizeof(b) / sizeof(*b), refused = 0;

	for (int i = 0; i < n; i++)
		begin(&b[i], f, PATH("Wait"), 20 * UNITS_SECOND);
	await(ANSWERED, 1);
	assert_echoes(f, PATH("Inline"));
	open_stage();
	for (int i = 0; i < n; i++) {
		finish(&b[i]);
		if (b[i].reply)
			continue;
		refused++;
		assert_int_equal(b[i].own.err.code,
				 GRPC_STATUS_RESOURCE_EXHAUSTED);
		assert_string_equal(b[i].own.err.msg,
				    "the daemon is busy: 2 calls wait already");
	}
	assert_int_equal(refused, 1);
	for (int i = 0; i < n; i++)
		clear(&b[i]);
}

static void test_a_call_that_nobody_waits_for_is_not_begun(void **state)
{
	struct rpc_fixture *f = *state;
	struct background b[WORKERS];

	for (int i = 0; i < WORKERS; i++)
		begin(&b[i], f, PATH("Wait"), 20 * UNITS_SECOND);
	await(ENTERED, WORKERS);
	assert_null(call_until(&f->client, PATH("Wait"), "x",
			       units_monotonic() + UNITS_SECOND / 20));
	assert_int_equal(f->client.err.code, GRPC_STATUS_DEADLINE_EXCEEDED);
	/* What comes behind the cancellation on one connection is later. */
	assert_echoes(f, PATH("Inline"));
	open_stage();
	for (int i = 0; i < WORKERS; i++) {
		finish(&b[i]);
		clear(&b[i]);
	}
	stop_serving(f);
	assert_int_equal(count(ENTERED), WORKERS);
}

static void open_the_stage(void *arg)
{
	(void)arg;
	open_stage();
}

static void test_work_may_be_given_to_the_pool_and_to_the_loop(void **state)
{
	struct rpc_fixture *f = *state;

	assert_true(rpc_work(f->rpc, open_the_stage, NULL));
	wait_for_stage();
	stage.is_open = false;
	rpc_post(f->rpc, open_the_stage, NULL);
	wait_for_stage();
}

/* --- routers --- */

/* Asks the metadata of the call what to do. */
static bool route(void *arg, struct rpc_route *r)
{
	(void)arg;
	if (!r->controller)
		return true;
	r->verdict = RPC_REFUSE;
	err_set(&r->err, GRPC_STATUS_PERMISSION_DENIED, "not %s for %s/%s",
		r->controller, r->service, r->method);
	return true;
}

static void *route_later(void *arg)
{
	struct rpc_route *r = arg;

	wait_for_stage();
	route(NULL, r);
	r->done(r);
	return NULL;
}

static bool route_by_thread(void *arg, struct rpc_route *r)
{
	pthread_t thread;

	(void)arg;
	assert_int_equal(pthread_create(&thread, NULL, route_later, r), 0);
	pthread_detach(thread);
	happens(ENTERED);
	return false;
}

/* A call of a method for a controller is refused by the router. */
static void assert_refused(struct rpc_fixture *f, const char *method,
			   const char *message)
{
	const struct client_md md = {"controllerid", "n1", 2};
	struct client_call c = {.method = method,
				.reply_type = TEXT_TYPE,
				.md = &md,
				.n_md = 1};
	text m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;

	err_clear(&f->client.err);
	assert_null(client_unary(f->client.client, &c, &m.base, f->client.arena,
				 &f->client.err));
	assert_string_equal(f->client.err.msg, message);
	assert_int_equal(f->client.err.code, GRPC_STATUS_PERMISSION_DENIED);
}

static void test_a_router_refuses_calls_of_any_method(void **state)
{
	serve(*state, methods, NULL, route);
	assert_refused(*state, PATH("Work"),
		       "not n1 for grpc.health.v1.Health/Work");
	assert_refused(*state, "/a.b.C/d", "not n1 for a.b.C/d");
	assert_refused(*state, "/odd", "not n1 for odd/");
	assert_echoes(*state, PATH("Work"));
}

static void test_a_router_may_answer_later(void **state)
{
	struct rpc_fixture *f = *state;
	struct background b;

	serve(f, methods, NULL, route_by_thread);
	begin(&b, f, PATH("Work"), 20 * UNITS_SECOND);
	await(ENTERED, 1);
	open_stage();
	finish(&b);
	assert_string_equal(b.reply, "hello");
	clear(&b);
	assert_refused(f, PATH("Work"),
		       "not n1 for grpc.health.v1.Health/Work");
}

static void test_a_call_may_end_while_its_way_is_looked_for(void **state)
{
	struct rpc_fixture *f = *state;

	serve(f, methods, NULL, route_by_thread);
	assert_null(call_until(&f->client, PATH("Work"), "x",
			       units_monotonic() + UNITS_SECOND / 20));
	assert_int_equal(f->client.err.code, GRPC_STATUS_DEADLINE_EXCEEDED);
	open_stage();
	assert_echoes(f, PATH("Work"));
}

/* --- the stop --- */

static void *drain(void *arg)
{
	struct rpc_fixture *f = arg;

	rpc_drain(f->rpc, 20 * UNITS_SECOND);
	happens(CLOSED);
	return NULL;
}

static void test_a_stop_waits_for_calls_and_takes_no_more(void **state)
{
	struct rpc_fixture *f = *state;
	struct background b;
	pthread_t thread;

	begin(&b, f, PATH("Wait"), 20 * UNITS_SECOND);
	await(ENTERED, 1);
	assert_int_equal(pthread_create(&thread, NULL, drain, f), 0);
	while (call(&f->client, PATH("Inline"), "x"))
		;
	assert_string_equal(f->client.err.msg, "the daemon is shutting down");
	assert_int_equal(f->client.err.code, GRPC_STATUS_UNAVAILABLE);
	assert_echoes(f, PATH("Always"));
	assert_int_equal(count(CLOSED), 0);
	open_stage();
	pthread_join(thread, NULL);
	finish(&b);
	assert_string_equal(b.reply, "hello");
	clear(&b);
}

static void test_a_stop_cancels_what_takes_longer_than_it_may(void **state)
{
	struct rpc_fixture *f = *state;
	struct background b;

	begin(&b, f, PATH("Cancelled"), 20 * UNITS_SECOND);
	await(ENTERED, 1);
	rpc_drain(f->rpc, UNITS_SECOND / 50);
	assert_int_equal(count(LEFT), 1);
	finish(&b);
	assert_null(b.reply);
	clear(&b);
}

static void test_what_was_never_started_is_freed(void **state)
{
	struct rpc_config config = {.workers = 1, .queue = 1};
	const struct rpc_service *none[] = {NULL};
	struct rpc *rpc = rpc_new(&config);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	char *bound;

	(void)state;
	assert_int_equal(rpc_listen(rpc_server_new(rpc, none, NULL, NULL),
				    "192.0.2.1:1", &bound, &err),
			 -1);
	rpc_drain(rpc, UNITS_SECOND);
	rpc_free(rpc);
}

/* --- */

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, setup_methods, rpc_teardown)
#define TEST_ROUTER(name)                                                      \
	cmocka_unit_test_setup_teardown(name, rpc_setup, rpc_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_handlers_answer_on_the_loop_and_on_workers),
		TEST(test_a_handler_may_answer_later_by_another_thread),
		TEST(test_a_handler_may_have_answered_before_it_returns),
		TEST(test_a_reply_may_be_bytes),
		TEST(test_errors_come_with_their_hint),
		TEST(test_a_method_without_a_row_is_unimplemented),
		TEST(test_handlers_see_metadata),
		TEST(test_handlers_see_the_deadline),
		TEST(test_a_late_handler_holds_nobody_and_hears_of_it),
		TEST(test_a_full_queue_is_refused_and_nothing_else_suffers),
		TEST(test_a_call_that_nobody_waits_for_is_not_begun),
		TEST(test_work_may_be_given_to_the_pool_and_to_the_loop),
		TEST_ROUTER(test_a_router_refuses_calls_of_any_method),
		TEST_ROUTER(test_a_router_may_answer_later),
		TEST_ROUTER(test_a_call_may_end_while_its_way_is_looked_for),
		TEST(test_a_stop_waits_for_calls_and_takes_no_more),
		TEST(test_a_stop_cancels_what_takes_longer_than_it_may),
		cmocka_unit_test(test_what_was_never_started_is_freed),
	};

	client_silence_core();
	return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}

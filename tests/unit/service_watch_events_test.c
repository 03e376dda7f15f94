/* WatchEvents: where it begins, what it tells, when it ends. */

#include "tests/unit/service.h"

#define REPLY (&oim__admin__v1__watch_events_reply__descriptor)

typedef Oim__Admin__V1__WatchEventsRequest request;
typedef Oim__Admin__V1__WatchEventsReply reply;

static struct client_stream *watch(struct service *f, const request *r)
{
	const char *id = f->controller ? f->controller : "";
	const struct client_md md = {"controllerid", id, strlen(id)};
	const struct client_call call = {
		.method = "/oim.admin.v1.Admin/WatchEvents",
		.reply_type = REPLY,
		.md = &md,
		.n_md = f->controller ? 1 : 0,
		.deadline = units_monotonic() + 20 * UNITS_SECOND,
	};
	struct client_stream *s;

	err_clear(&f->err);
	s = client_stream_open(f->client, &call, &f->err);
	assert_non_null(s);
	assert_int_equal(client_stream_send(s, &r->base), 0);
	client_stream_close_send(s);
	return s;
}

static reply *next(struct service *f, struct client_stream *s)
{
	void *r;

	if (client_stream_receive(s, f->arena, &r, &f->err) != 1)
		fail_msg("%s", f->err.msg ? f->err.msg : "it has ended");
	return r;
}

/* Of all controllers, from now on, past the first reply. */
static struct client_stream *watch_all(struct service *f)
{
	request r = OIM__ADMIN__V1__WATCH_EVENTS_REQUEST__INIT;
	struct client_stream *s;

	f->controller = NULL;
	s = watch(f, &r);
	assert_int_equal(next(f, s)->n_events, 0);
	return s;
}

static void ends_with(struct service *f, struct client_stream *s, int code,
		      const char *text)
{
	void *r;

	while (client_stream_receive(s, f->arena, &r, &f->err) == 1)
		;
	service_failed(f, code, text);
	client_stream_free(s);
}

static void publish(struct service *f, int n)
{
	for (int i = 0; i < n; i++)
		events_publish(f->events, "value.set", "k1", "k1/x", "%d", i);
}

/* --- tests --- */

static void test_the_first_reply_says_where_the_feed_stands(void **state)
{
	request r = OIM__ADMIN__V1__WATCH_EVENTS_REQUEST__INIT;
	struct service *f = *state;
	struct client_stream *s;
	reply *first;

	publish(f, 3);
	f->controller = NULL;
	s = watch(f, &r);
	first = next(f, s);
	assert_int_equal(first->n_events, 0);
	assert_string_equal(
		first->position,
		arena_printf(f->arena, "%s:3", events_instance(f->events)));
	client_stream_free(s);
}

static void test_events_come_as_they_happen(void **state)
{
	struct service *f = *state;
	struct client_stream *s = watch_all(f);
	reply *r;

	f->controller = "k2";
	assert_int_equal(service_provision(f, "d0", MIB), 0);
	r = next(f, s);
	assert_int_equal(r->n_events, 1);
	assert_string_equal(r->events[0]->kind, "bdev.provisioned");
	assert_string_equal(r->events[0]->controller_id, "k2");
	assert_string_equal(r->events[0]->object, "d0");
	assert_string_equal(r->events[0]->position, r->position);
	assert_true(r->events[0]->time > 0);
	assert_non_null(service_map_malloc(f, "d0"));
	assert_string_equal(next(f, s)->events[0]->kind, "volume.mapped");
	assert_int_equal(service_unmap(f, "d0"), 0);
	assert_string_equal(next(f, s)->events[0]->kind, "volume.unmapped");
	client_stream_free(s);
}

static void test_a_position_goes_on_behind_it(void **state)
{
	request r = OIM__ADMIN__V1__WATCH_EVENTS_REQUEST__INIT;
	struct service *f = *state;
	struct client_stream *s;
	reply *events;

	publish(f, 300);
	f->controller = NULL;
	r.after = arena_printf(f->arena, "%s:290", events_instance(f->events));
	s = watch(f, &r);
	assert_true(strstr(next(f, s)->position, ":300"));
	events = next(f, s);
	assert_int_equal(events->n_events, 10);
	assert_true(strstr(events->events[0]->position, ":291"));
	client_stream_free(s);
}

static void test_all_that_is_kept_can_be_had(void **state)
{
	request r = OIM__ADMIN__V1__WATCH_EVENTS_REQUEST__INIT;
	struct service *f = *state;
	struct client_stream *s;
	const char *end;
	size_t n = 0;
	reply *events;

	publish(f, EVENTS_KEPT + 7);
	f->controller = NULL;
	r.oldest = true;
	s = watch(f, &r);
	end = next(f, s)->position;
	do {
		events = next(f, s);
		n += events->n_events;
	} while (strcmp(events->position, end) != 0);
	assert_int_equal(n, EVENTS_KEPT);
	client_stream_free(s);
}

static void test_only_what_is_wanted_is_told(void **state)
{
	request r = OIM__ADMIN__V1__WATCH_EVENTS_REQUEST__INIT;
	char *kinds[] = {(char *)"volume"};
	struct service *f = *state;
	struct client_stream *s;
	reply *events;

	publish(f, 10);
	events_publish(f->events, "volume.mapped", "k1", "v1", "-");
	events_publish(f->events, "volume.mapped", "k2", "v2", "-");
	publish(f, 10);
	f->controller = NULL;
	r.oldest = true;
	r.kinds = kinds;
	r.n_kinds = 1;
	r.controller_id = (char *)"k2";
	s = watch(f, &r);
	next(f, s);
	events = next(f, s);
	assert_int_equal(events->n_events, 1);
	assert_string_equal(events->events[0]->object, "v2");
	assert_true(strstr(events->position, ":22"));
	client_stream_free(s);
}

static void test_that_there_is_nothing_more_is_told(void **state)
{
	request r = OIM__ADMIN__V1__WATCH_EVENTS_REQUEST__INIT;
	char *kinds[] = {(char *)"volume"};
	struct service *f = *state;
	struct client_stream *s;
	reply *events;

	publish(f, 10);
	f->controller = NULL;
	r.oldest = true;
	r.kinds = kinds;
	r.n_kinds = 1;
	s = watch(f, &r);
	next(f, s);
	events = next(f, s);
	assert_int_equal(events->n_events, 0);
	assert_true(strstr(events->position, ":10"));
	/* and that the position has moved on a long way */
	publish(f, EVENTS_KEPT);
	events = next(f, s);
	assert_int_equal(events->n_events, 0);
	client_stream_free(s);
}

static void test_a_call_for_a_controller_is_about_that_one(void **state)
{
	request r = OIM__ADMIN__V1__WATCH_EVENTS_REQUEST__INIT;
	struct service *f = *state;
	struct client_stream *s;
	reply *events;

	events_publish(f->events, "volume.mapped", "k1", "v1", "-");
	events_publish(f->events, "volume.mapped", "k2", "v2", "-");
	f->controller = "k2";
	r.oldest = true;
	s = watch(f, &r);
	next(f, s);
	events = next(f, s);
	assert_int_equal(events->n_events, 1);
	assert_string_equal(events->events[0]->object, "v2");
	client_stream_free(s);
	r.controller_id = (char *)"k1";
	ends_with(f, watch(f, &r), GRPC_STATUS_INVALID_ARGUMENT, "\"k1\"");
	f->controller = "k9";
	ends_with(f, watch(f, &r), GRPC_STATUS_UNAVAILABLE, "not registered");
}

static void test_positions_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = {"x",    ":",  "x:",  "x:1x",
					  "1:-1", "12", "x: 1"};
	request r = OIM__ADMIN__V1__WATCH_EVENTS_REQUEST__INIT;
	struct service *f = *state;

	f->controller = NULL;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		r.after = (char *)bad[i];
		ends_with(f, watch(f, &r), GRPC_STATUS_INVALID_ARGUMENT,
			  "no position");
	}
	r.after = (char *)"x:99999999999999999999999";
	ends_with(f, watch(f, &r), GRPC_STATUS_INVALID_ARGUMENT, "no position");
	r.after = (char *)"x:1";
	r.oldest = true;
	ends_with(f, watch(f, &r), GRPC_STATUS_INVALID_ARGUMENT, "exclude");
}

static void test_positions_that_are_gone_are_out_of_range(void **state)
{
	request r = OIM__ADMIN__V1__WATCH_EVENTS_REQUEST__INIT;
	struct service *f = *state;

	publish(f, EVENTS_KEPT + 10);
	f->controller = NULL;
	r.after = (char *)"0123456789abcdef:1";
	ends_with(f, watch(f, &r), GRPC_STATUS_OUT_OF_RANGE, "this daemon");
	assert_non_null(strstr(f->err.hint, "list again"));
	r.after = arena_printf(f->arena, "%s:9", events_instance(f->events));
	ends_with(f, watch(f, &r), GRPC_STATUS_OUT_OF_RANGE, "not kept");
	r.after =
		arena_printf(f->arena, "%s:99999", events_instance(f->events));
	ends_with(f, watch(f, &r), GRPC_STATUS_OUT_OF_RANGE, "not happened");
}

static void test_too_many_kinds_are_refused(void **state)
{
	request r = OIM__ADMIN__V1__WATCH_EVENTS_REQUEST__INIT;
	struct service *f = *state;
	char *kinds[65];

	for (int i = 0; i < 65; i++)
		kinds[i] = (char *)"x";
	f->controller = NULL;
	r.kinds = kinds;
	r.n_kinds = 65;
	ends_with(f, watch(f, &r), GRPC_STATUS_INVALID_ARGUMENT, "65 kinds");
}

/* It takes nothing for so long that it falls out of the ring. */
static void test_a_slow_reader_is_told_that_it_has_missed_some(void **state)
{
	struct service *f = *state;
	struct client_stream *s = watch_all(f), *fast = watch_all(f);
	char text[EVENTS_TEXT + 1];
	uint64_t seen = 0;

	memset(text, 'x', EVENTS_TEXT);
	text[EVENTS_TEXT] = '\0';
	for (int i = 0; i < 3 * EVENTS_KEPT; i++) {
		events_publish(f->events, "value.set", "k1", text, "%s", text);
		while (i % 1000 == 999 && seen < (uint64_t)i + 1) {
			CLEANUP(cleanup_arena) struct arena *a = arena_new();
			void *r;

			assert_int_equal(
				client_stream_receive(fast, a, &r, &f->err), 1);
			seen += ((reply *)r)->n_events;
		}
	}
	assert_int_equal(seen, 3 * EVENTS_KEPT);
	ends_with(f, s, GRPC_STATUS_OUT_OF_RANGE, "not kept any more");
	client_stream_free(fast);
}

static void test_the_registry_tells_through_any_api(void **state)
{
	Oim__V0__RegisterControllerRequest r =
		OIM__V0__REGISTER_CONTROLLER_REQUEST__INIT;
	struct service *f = *state;
	struct client_stream *s = watch_all(f);
	Oim__V0__SetValueRequest set = OIM__V0__SET_VALUE_REQUEST__INIT;
	Oim__V0__Value v = OIM__V0__VALUE__INIT;

	r.controller_id = (char *)"far";
	r.address = (char *)"dns:///far:1";
	assert_non_null(
		service_call(f, "/oim.v0.Registry/RegisterController", &r.base,
			     &oim__v0__register_controller_reply__descriptor));
	assert_string_equal(next(f, s)->events[0]->kind,
			    "controller.registered");
	set.value = &v;
	v.path = (char *)"far/address";
	v.value = (char *)"dns:///far:2";
	assert_non_null(service_call(f, "/oim.v0.Registry/SetValue", &set.base,
				     &oim__v0__set_value_reply__descriptor));
	assert_string_equal(next(f, s)->events[0]->kind, "controller.moved");
	client_stream_free(s);
}

static void test_followers_may_come_and_go(void **state)
{
	struct service *f = *state;

	for (int i = 0; i < 20; i++) {
		struct client_stream *s[10];

		for (int k = 0; k < 10; k++)
			s[k] = watch_all(f);
		publish(f, 100);
		for (int k = 0; k < 10; k += 2)
			client_stream_free(s[k]);
		publish(f, 100);
		for (int k = 1; k < 10; k += 2) {
			assert_true(next(f, s[k])->n_events);
			client_stream_free(s[k]);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		SERVICE_TEST(test_the_first_reply_says_where_the_feed_stands),
		SERVICE_TEST(test_events_come_as_they_happen),
		SERVICE_TEST(test_a_position_goes_on_behind_it),
		SERVICE_TEST(test_all_that_is_kept_can_be_had),
		SERVICE_TEST(test_only_what_is_wanted_is_told),
		SERVICE_TEST(test_that_there_is_nothing_more_is_told),
		SERVICE_TEST(test_a_call_for_a_controller_is_about_that_one),
		SERVICE_TEST(test_positions_that_are_none_are_refused),
		SERVICE_TEST(test_positions_that_are_gone_are_out_of_range),
		SERVICE_TEST(test_too_many_kinds_are_refused),
		SERVICE_TEST(
			test_a_slow_reader_is_told_that_it_has_missed_some),
		SERVICE_TEST(test_the_registry_tells_through_any_api),
		SERVICE_TEST(test_followers_may_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

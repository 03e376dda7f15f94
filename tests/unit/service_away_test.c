/* A store of the cluster that is not embedded: it may take long to answer, and
 * all else goes on meanwhile. */

#include <pthread.h>
#include <sched.h>

#include "tests/unit/service.h"

#define REGISTRY "/oim.v0.Registry/"
#define ADMIN    "/oim.admin.v1.Admin/"

/* A call by a thread of its own. */
struct background {
	pthread_t thread;
	struct service own; /* shares client and controller, nothing else */
	const char *method;
	const ProtobufCMessage *request;
	const ProtobufCMessageDescriptor *reply;
};

static void *run(void *arg)
{
	struct background *b = arg;

	service_call(&b->own, b->method, b->request, b->reply);
	return NULL;
}

static void begin(struct background *b, const struct service *f,
		  const char *method, const ProtobufCMessage *request,
		  const ProtobufCMessageDescriptor *reply)
{
	*b = (struct background){
		.method = method, .request = request, .reply = reply};
	b->own.client = f->client;
	b->own.controller = f->controller;
	b->own.ttl = f->ttl;
	b->own.instance = f->instance;
	b->own.arena = arena_new();
	assert_int_equal(pthread_create(&b->thread, NULL, run, b), 0);
}

static int join(struct background *b)
{
	pthread_join(b->thread, NULL);
	return b->own.err.code;
}

static void forget(struct background *b)
{
	arena_free(b->own.arena);
	err_clear(&b->own.err);
}

/* What came of it. */
static int finish(struct background *b)
{
	int code = join(b);

	forget(b);
	return code;
}

static void begin_check(struct background *b, struct service *f,
			const char *controller)
{
	static const Oim__V0__CheckMallocBDevRequest r =
		OIM__V0__CHECK_MALLOC_BDEV_REQUEST__INIT;

	f->controller = controller;
	begin(b, f, "/oim.v0.Controller/CheckMallocBDev", &r.base,
	      &oim__v0__check_malloc_bdev_reply__descriptor);
	f->controller = "k1";
}

static void begin_list(struct background *b, const struct service *f)
{
	static const Oim__V0__GetControllerRequest r =
		OIM__V0__GET_CONTROLLER_REQUEST__INIT;

	begin(b, f, REGISTRY "GetControllers", &r.base,
	      &oim__v0__get_controller_reply__descriptor);
}

static void begin_register(struct background *b, const struct service *f,
			   Oim__V0__RegisterControllerRequest *r)
{
	begin(b, f, REGISTRY "RegisterController", &r->base,
	      &oim__v0__register_controller_reply__descriptor);
}

static Oim__V0__RegisterControllerRequest registration(void)
{
	Oim__V0__RegisterControllerRequest r =
		OIM__V0__REGISTER_CONTROLLER_REQUEST__INIT;

	r.controller_id = (char *)"far";
	r.address = (char *)"127.0.0.1:1";
	return r;
}

static void must_register(struct service *f)
{
	Oim__V0__RegisterControllerRequest r = registration();
	struct background b;

	begin_register(&b, f, &r);
	assert_int_equal(finish(&b), 0);
}

/* --- claims --- */

static void test_while_reads_wait_local_calls_are_answered(void **state)
{
	struct service *f = *state;
	struct background list, forward;

	must_register(f);
	away_hold(&f->away, true);
	begin_list(&list, f);
	begin_check(&forward, f, "far");
	away_wait(&f->away, 2);
	assert_int_equal(service_provision(f, "d0", MIB), 0);
	assert_non_null(service_map_malloc(f, "d0"));
	assert_int_equal(service_unmap(f, "d0"), 0);
	away_hold(&f->away, false);
	assert_int_equal(finish(&list), 0);
	/* nobody is at that address */
	assert_int_equal(finish(&forward), GRPC_STATUS_UNAVAILABLE);
}

static void test_while_writes_wait_local_calls_are_answered(void **state)
{
	Oim__V0__RegisterControllerRequest r = registration();
	struct service *f = *state;
	struct background b;

	away_hold(&f->away, true);
	begin_register(&b, f, &r);
	away_wait(&f->away, 1);
	assert_int_equal(service_provision(f, "d0", MIB), 0);
	away_hold(&f->away, false);
	assert_int_equal(finish(&b), 0);
}

/* While the store is held only those end that are refused. */
static int wait_for_one(struct background *all, int n)
{
	for (int i = 0;; i = (i + 1) % n) {
		if (pthread_tryjoin_np(all[i].thread, NULL) == 0)
			return i;
		sched_yield();
	}
}

static void test_more_look_ups_than_may_wait_are_refused(void **state)
{
	enum { N = SERVICE_WORKERS + SERVICE_QUEUE + 1 };
	struct service *f = *state;
	struct background all[N];
	int refused;

	must_register(f);
	away_hold(&f->away, true);
	for (int i = 0; i < N; i++)
		begin_check(&all[i], f, "far");
	refused = wait_for_one(all, N);
	service_failed(&all[refused].own, GRPC_STATUS_RESOURCE_EXHAUSTED,
		       "busy");
	away_hold(&f->away, false);
	for (int i = 0; i < N; i++) {
		if (i != refused)
			assert_int_equal(join(&all[i]),
					 GRPC_STATUS_UNAVAILABLE);
		forget(&all[i]);
	}
}

static void test_while_leases_wait_local_calls_are_answered(void **state)
{
	Oim__V0__RegisterControllerRequest r = registration();
	struct service *f = *state;
	struct background b;

	f->ttl = "30";
	f->instance = "a";
	for (int i = 0; i < 2; i++) { /* a new one, and a renewal */
		away_hold(&f->away, true);
		begin_register(&b, f, &r);
		away_wait(&f->away, 1);
		assert_int_equal(service_provision(f, "d0", MIB), 0);
		away_hold(&f->away, false);
		assert_int_equal(finish(&b), 0);
	}
	f->away.is_broken = true;
	begin_register(&b, f, &r);
	assert_int_equal(finish(&b), GRPC_STATUS_UNAVAILABLE);
}

static void test_a_store_that_fails_is_unavailable(void **state)
{
	Oim__V0__RegisterControllerRequest r = registration();
	struct service *f = *state;
	struct background b;

	must_register(f);
	f->away.is_broken = true;
	begin_list(&b, f);
	assert_int_equal(finish(&b), GRPC_STATUS_UNAVAILABLE);
	begin_check(&b, f, "far");
	assert_int_equal(finish(&b), GRPC_STATUS_UNAVAILABLE);
	begin_register(&b, f, &r);
	assert_int_equal(finish(&b), GRPC_STATUS_UNAVAILABLE);
	assert_int_equal(service_provision(f, "d0", MIB), 0);
}

static void test_nobody_waits_for_a_store_that_is_away_for_long(void **state)
{
	Oim__V0__RegisterControllerRequest r = registration();
	struct service *f = *state;
	struct probe *probe;
	struct background b;

	f->away.is_broken = true;
	probe = probe_start(&f->away.store, 1, &f->err);
	assert_non_null(probe);
	registry_set_probe(f->registry, probe);
	while (probe_check(probe, &f->err) == 0)
		sched_yield();
	err_clear(&f->err);
	/* from now on who asks it would wait for ever, and so does the probe */
	away_hold(&f->away, true);
	begin_list(&b, f);
	assert_int_equal(finish(&b), GRPC_STATUS_UNAVAILABLE);
	begin_check(&b, f, "far");
	assert_int_equal(finish(&b), GRPC_STATUS_UNAVAILABLE);
	begin_register(&b, f, &r);
	assert_int_equal(finish(&b), GRPC_STATUS_UNAVAILABLE);
	away_hold(&f->away, false);
	probe_stop(probe);
}

static void test_the_status_tells_of_a_store_that_fails(void **state)
{
	Oim__Admin__V1__GetStatusRequest r =
		OIM__ADMIN__V1__GET_STATUS_REQUEST__INIT;
	struct service *f = *state;
	Oim__Admin__V1__GetStatusReply *reply;

	f->away.is_broken = true;
	f->controller = NULL;
	reply = service_call(f, ADMIN "GetStatus", &r.base,
			     &oim__admin__v1__get_status_reply__descriptor);
	assert_non_null(reply);
	assert_false(reply->serving);
	assert_string_equal(reply->problem, "the store is away");
	assert_int_equal(reply->n_controllers, 2);
	assert_true(reply->controllers[0]->ready);
}

int main(void)
{
#define AWAY_TEST(f)                                                           \
	cmocka_unit_test_setup_teardown(f, service_open_away, service_close)
	static const struct CMUnitTest tests[] = {
		AWAY_TEST(test_while_reads_wait_local_calls_are_answered),
		AWAY_TEST(test_while_writes_wait_local_calls_are_answered),
		AWAY_TEST(test_while_leases_wait_local_calls_are_answered),
		AWAY_TEST(test_more_look_ups_than_may_wait_are_refused),
		AWAY_TEST(test_a_store_that_fails_is_unavailable),
		AWAY_TEST(test_nobody_waits_for_a_store_that_is_away_for_long),
		AWAY_TEST(test_the_status_tells_of_a_store_that_fails),
	};

	client_silence_core();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

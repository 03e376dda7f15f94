/* Which calls are served, forwarded and refused: the table, row by row. */

#include "daemon/route.h"

#include <sched.h>

#include "daemon/core/liveness.h"
#include "tests/unit/core.h"

#define CONTROLLER "oim.v0.Controller"
#define ADMIN      "oim.admin.v1.Admin"

struct fixture {
	char *dir;
	struct faulty_store store;
	struct registry *registry;
	struct controller one, two;
	struct controller *items[2];
	struct controllers controllers;
	struct routes routes;
	struct rpc_route route; /* of the last call */
};

/* A daemon with a registry and one controller, k1. */
static int setup(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));

	log_set_level(0);
	f->dir = core_make_dir();
	f->store.store.engine = &faulty_engine;
	f->store.disk = core_open_store(f->dir);
	f->registry = registry_new(&f->store.store);
	f->one.id = (char *)"k1";
	f->two.id = (char *)"k2";
	f->items[0] = &f->one;
	f->items[1] = &f->two;
	f->controllers = (struct controllers){f->items, 1};
	f->routes = (struct routes){.registry = f->registry,
				    .controllers = &f->controllers};
	*state = f;
	return 0;
}

static void forget(struct fixture *f)
{
	free(f->route.address);
	free(f->route.peer_name);
	free(f->route.note);
	err_clear(&f->route.err);
	f->route = (struct rpc_route){0};
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	forget(f);
	registry_free(f->registry);
	store_close(f->store.disk);
	core_remove_dir(f->dir);
	free(f);
	return 0;
}

static void must_register(struct fixture *f, const char *id,
			  const char *address)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_int_equal(
		registry_register_now(f->registry, &op_self, id, address, &err),
		0);
}

static const struct caller local = {.local = true};

static enum rpc_verdict route_as(struct fixture *f, const struct caller *caller,
				 const char *service, const char *controller)
{
	forget(f);
	f->route.service = service;
	f->route.method = "Method";
	f->route.controller = controller;
	f->route.caller = caller;
	assert_true(route_call(&f->routes, &f->route));
	assert_int_equal(f->route.verdict == RPC_REFUSE, !!f->route.err.code);
	return f->route.verdict;
}

static enum rpc_verdict route(struct fixture *f, const char *service,
			      const char *controller)
{
	return route_as(f, &local, service, controller);
}

/* Refused, with that code and that text. */
static void assert_refused(struct fixture *f, int code, const char *text)
{
	assert_int_equal(f->route.verdict, RPC_REFUSE);
	assert_int_equal(f->route.err.code, code);
	if (!strstr(f->route.err.msg, text))
		fail_msg("\"%s\" does not say \"%s\"", f->route.err.msg, text);
}

/* --- the table --- */

static void test_what_is_the_daemons_own_is_never_forwarded(void **state)
{
	static const char *const own[] = {
		"oim.v0.Registry", "grpc.health.v1.Health",
		"grpc.reflection.v1.ServerReflection",
		"grpc.reflection.v1alpha.ServerReflection"};
	struct fixture *f = *state;

	must_register(f, "far", "dns:///far:1");
	for (int i = 0; i < 4; i++) {
		assert_int_equal(route(f, own[i], NULL), RPC_SERVE);
		assert_int_equal(route(f, own[i], "k1"), RPC_SERVE);
		assert_int_equal(route(f, own[i], "far"), RPC_SERVE);
		assert_int_equal(route(f, own[i], "unknown"), RPC_SERVE);
	}
}

static void test_admin_without_a_controller_is_this_daemons(void **state)
{
	struct fixture *f = *state;

	must_register(f, "far", "dns:///far:1");
	assert_int_equal(route(f, ADMIN, NULL), RPC_SERVE);
	assert_int_equal(route(f, ADMIN, "k1"), RPC_SERVE);
	assert_int_equal(route(f, ADMIN, "far"), RPC_FORWARD);
}

static void test_a_controller_of_this_daemon_is_served_here(void **state)
{
	struct fixture *f = *state;

	must_register(f, "k1", "dns:///elsewhere:1");
	assert_int_equal(route(f, CONTROLLER, "k1"), RPC_SERVE);
	assert_int_equal(route(f, "some.Other", "k1"), RPC_SERVE);
}

static void test_another_controller_is_forwarded_to_as_registered(void **state)
{
	struct fixture *f = *state;

	must_register(f, "far", "foo://bar");
	assert_int_equal(route(f, CONTROLLER, "far"), RPC_FORWARD);
	assert_string_equal(f->route.address, "foo://bar");
	assert_null(f->route.peer_name);
	assert_int_equal(route(f, "some.Other", "far"), RPC_FORWARD);
}

static void test_what_is_not_registered_is_unavailable(void **state)
{
	struct fixture *f = *state;
	char big[1000];

	route(f, CONTROLLER, "unknown");
	assert_refused(f, GRPC_STATUS_UNAVAILABLE, "unknown: not registered");
	route(f, CONTROLLER, "");
	assert_refused(f, GRPC_STATUS_UNAVAILABLE, ": not registered");
	route(f, CONTROLLER, "a/b");
	assert_refused(f, GRPC_STATUS_UNAVAILABLE, "a/b: not registered");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	route(f, CONTROLLER, big);
	assert_refused(f, GRPC_STATUS_UNAVAILABLE, "not registered");
}

static void test_without_a_registry_others_are_unavailable(void **state)
{
	struct fixture *f = *state;

	f->routes.registry = NULL;
	assert_int_equal(route(f, CONTROLLER, "k1"), RPC_SERVE);
	route(f, CONTROLLER, "far");
	assert_refused(f, GRPC_STATUS_UNAVAILABLE, "far: not registered");
}

static void test_a_call_that_names_no_controller_is_for_the_only_one(
	void **state)
{
	struct fixture *f = *state;

	assert_int_equal(route(f, CONTROLLER, NULL), RPC_SERVE);
}

static void test_of_several_controllers_one_must_be_named(void **state)
{
	struct fixture *f = *state;

	f->controllers.n = 2;
	route(f, CONTROLLER, NULL);
	assert_refused(f, GRPC_STATUS_INVALID_ARGUMENT, "k1, k2");
	assert_int_equal(route(f, CONTROLLER, "k2"), RPC_SERVE);
}

static void test_without_controllers_the_service_is_unimplemented(void **state)
{
	struct fixture *f = *state;

	f->controllers.n = 0;
	route(f, CONTROLLER, NULL);
	assert_refused(f, GRPC_STATUS_UNIMPLEMENTED, "no controller here");
	must_register(f, "far", "dns:///far:1");
	assert_int_equal(route(f, CONTROLLER, "far"), RPC_FORWARD);
}

/* rpc knows that it has no such service, and says so. */
static void test_an_unknown_service_without_a_controller_is_left_to_rpc(
	void **state)
{
	struct fixture *f = *state;

	assert_int_equal(route(f, "some.Other", NULL), RPC_SERVE);
	f->controllers.n = 2;
	assert_int_equal(route(f, "some.Other", NULL), RPC_SERVE);
}

static void test_a_store_that_is_away_is_unavailable(void **state)
{
	struct fixture *f = *state;

	must_register(f, "far", "dns:///far:1");
	f->store.is_unreadable = true;
	route(f, CONTROLLER, "far");
	assert_refused(f, GRPC_STATUS_UNAVAILABLE, "the store is away");
	assert_int_equal(route(f, CONTROLLER, "k1"), RPC_SERVE);
}

/* --- who is lost --- */

/* Registers a controller that does not do so again. */
static void lose(struct fixture *f, const char *id)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct registry_change change = {.op = &op_self,
					 .arena = a,
					 .path = id,
					 .value = "dns:///far:1",
					 .ttl = "30"};
	struct liveness live;

	if (registry_wait(f->registry, registry_register, &change, &err) ==
		    -1 ||
	    liveness_read(f->store.disk, id, a, &live, &err) == -1 ||
	    store_lease_revoke(f->store.disk, live.lease, &err) == -1)
		fail_msg("%s", err.msg);
	while (!liveness_watch_lost(f->routes.liveness))
		sched_yield();
}

static void test_who_is_lost_is_forwarded_to_with_a_note(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct fixture *f = *state;

	f->routes.liveness = liveness_watch_start(f->store.disk, NULL, &err);
	assert_non_null(f->routes.liveness);
	must_register(f, "near", "dns:///near:1");
	lose(f, "far");
	assert_int_equal(route(f, CONTROLLER, "near"), RPC_FORWARD);
	assert_null(f->route.note);
	assert_int_equal(route(f, CONTROLLER, "far"), RPC_FORWARD);
	assert_string_equal(f->route.address, "dns:///far:1");
	assert_int_equal(
		strncmp(f->route.note, "it has not registered since 20", 30),
		0);
	liveness_watch_stop(f->routes.liveness);
}

/* --- TLS --- */

static void test_with_tls_the_controller_must_present_its_name(void **state)
{
	struct fixture *f = *state;

	f->routes.has_tls = true;
	must_register(f, "far", "dns:///far:1");
	assert_int_equal(route(f, CONTROLLER, "far"), RPC_FORWARD);
	assert_string_equal(f->route.peer_name, "controller.far");
}

static void test_with_tls_an_id_no_certificate_can_carry_is_refused(
	void **state)
{
	struct fixture *f = *state;
	char id[ID_MAX + 1] = "\xc3\xa4";

	memset(id + 2, 'x', ID_MAX - 2);
	must_register(f, id, "dns:///far:1");
	assert_int_equal(route(f, CONTROLLER, id), RPC_FORWARD);
	f->routes.has_tls = true;
	route(f, CONTROLLER, id);
	assert_refused(f, GRPC_STATUS_INVALID_ARGUMENT,
		       "cannot be used with TLS");
}

/* --- who --- */

#define NAMED(name)                                                            \
	((struct caller){.names = (const char *const[]){name, NULL}})

static void test_a_host_reaches_its_controller_by_a_registry_only(void **state)
{
	const struct caller near = NAMED("host.k1"), far = NAMED("host.far");
	struct fixture *f = *state;

	must_register(f, "far", "dns:///far:1");
	assert_int_equal(route_as(f, &far, CONTROLLER, "far"), RPC_FORWARD);
	assert_int_equal(route_as(f, &near, CONTROLLER, "k1"), RPC_SERVE);
	assert_int_equal(route_as(f, &near, CONTROLLER, NULL), RPC_SERVE);
	route_as(f, &far, CONTROLLER, "k1");
	assert_refused(f, GRPC_STATUS_PERMISSION_DENIED,
		       "caller \"host.far\" is not allowed to contact "
		       "controller \"k1\"");
	f->routes.registry = NULL;
	route_as(f, &near, CONTROLLER, "k1");
	assert_refused(f, GRPC_STATUS_PERMISSION_DENIED, "host.k1");
	route_as(f, &near, CONTROLLER, NULL);
	assert_refused(f, GRPC_STATUS_PERMISSION_DENIED, "host.k1");
}

static void test_who_is_registered_is_not_told_to_those_who_may_not_call(
	void **state)
{
	const struct caller other = NAMED("host.other");
	struct fixture *f = *state;

	must_register(f, "far", "dns:///far:1");
	route_as(f, &other, CONTROLLER, "far");
	assert_refused(f, GRPC_STATUS_PERMISSION_DENIED, "");
	route_as(f, &other, CONTROLLER, "unknown");
	assert_refused(f, GRPC_STATUS_PERMISSION_DENIED, "");
}

static void test_a_registry_reaches_the_controllers_of_this_daemon(void **state)
{
	const struct caller registry = NAMED("component.registry");
	struct fixture *f = *state;

	f->routes.registry = NULL;
	assert_int_equal(route_as(f, &registry, CONTROLLER, "k1"), RPC_SERVE);
	assert_int_equal(route_as(f, &registry, ADMIN, "k1"), RPC_SERVE);
	route_as(f, &registry, "some.Other", "k1");
	assert_refused(f, GRPC_STATUS_PERMISSION_DENIED, "component.registry");
}

static void test_users_and_controllers_call_no_controller(void **state)
{
	const struct caller callers[] = {NAMED("user.alice"),
					 NAMED("controller.k1"),
					 NAMED("controller.far"),
					 {0}};
	struct fixture *f = *state;

	must_register(f, "far", "dns:///far:1");
	for (int i = 0; i < 4; i++) {
		route_as(f, &callers[i], CONTROLLER, "k1");
		assert_refused(f, GRPC_STATUS_PERMISSION_DENIED, "");
		route_as(f, &callers[i], CONTROLLER, NULL);
		assert_refused(f, GRPC_STATUS_PERMISSION_DENIED, "");
		route_as(f, &callers[i], CONTROLLER, "far");
		assert_refused(f, GRPC_STATUS_PERMISSION_DENIED, "");
		route_as(f, &callers[i], ADMIN, "far");
		assert_refused(f, GRPC_STATUS_PERMISSION_DENIED, "");
	}
}

#define ROUTE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		ROUTE_TEST(test_what_is_the_daemons_own_is_never_forwarded),
		ROUTE_TEST(test_admin_without_a_controller_is_this_daemons),
		ROUTE_TEST(test_a_controller_of_this_daemon_is_served_here),
		ROUTE_TEST(
			test_another_controller_is_forwarded_to_as_registered),
		ROUTE_TEST(test_what_is_not_registered_is_unavailable),
		ROUTE_TEST(test_without_a_registry_others_are_unavailable),
		ROUTE_TEST(
			test_a_call_that_names_no_controller_is_for_the_only_one),
		ROUTE_TEST(test_of_several_controllers_one_must_be_named),
		ROUTE_TEST(
			test_without_controllers_the_service_is_unimplemented),
		ROUTE_TEST(
			test_an_unknown_service_without_a_controller_is_left_to_rpc),
		ROUTE_TEST(test_a_store_that_is_away_is_unavailable),
		ROUTE_TEST(test_who_is_lost_is_forwarded_to_with_a_note),
		ROUTE_TEST(test_with_tls_the_controller_must_present_its_name),
		ROUTE_TEST(
			test_with_tls_an_id_no_certificate_can_carry_is_refused),
		ROUTE_TEST(
			test_a_host_reaches_its_controller_by_a_registry_only),
		ROUTE_TEST(
			test_who_is_registered_is_not_told_to_those_who_may_not_call),
		ROUTE_TEST(
			test_a_registry_reaches_the_controllers_of_this_daemon),
		ROUTE_TEST(test_users_and_controllers_call_no_controller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

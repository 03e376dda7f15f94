/* oim.admin.v1.Admin: what operators see. */

#include <unistd.h>

#include "daemon/core/liveness.h"
#include "tests/unit/ceph_params.h"
#include "tests/unit/service.h"

#define SERVICE "/oim.admin.v1.Admin/"

/* Calls one that has no parameters; fails the test if it fails. */
static void *ask(struct service *f, const char *method,
		 const ProtobufCMessageDescriptor *type)
{
	Oim__Admin__V1__GetStatusRequest empty =
		OIM__ADMIN__V1__GET_STATUS_REQUEST__INIT;
	void *reply = service_call(f, method, &empty.base, type);

	if (!reply)
		fail_msg("%s", f->err.msg);
	return reply;
}

static Oim__Admin__V1__GetStatusReply *status(struct service *f)
{
	return ask(f, SERVICE "GetStatus",
		   &oim__admin__v1__get_status_reply__descriptor);
}

static Oim__Admin__V1__ListBDevsReply *bdevs(struct service *f)
{
	return ask(f, SERVICE "ListBDevs",
		   &oim__admin__v1__list_bdevs_reply__descriptor);
}

static Oim__Admin__V1__ListMappingsReply *mappings(struct service *f)
{
	return ask(f, SERVICE "ListMappings",
		   &oim__admin__v1__list_mappings_reply__descriptor);
}

static Oim__Admin__V1__ListControllersReply *controllers(struct service *f)
{
	return ask(f, SERVICE "ListControllers",
		   &oim__admin__v1__list_controllers_reply__descriptor);
}

/* k1 has d0, mapped, and d1; k2 has d0 and a Ceph volume, mapped. */
static int open_with_volumes(void **state)
{
	Oim__V0__CephParams params = ceph_params("hush");
	struct service *f;

	service_open(state);
	f = *state;
	assert_int_equal(service_provision(f, "d1", MIB), 0);
	assert_int_equal(service_provision(f, "d0", 2 * MIB), 0);
	assert_non_null(service_map_malloc(f, "d0"));
	f->controller = "k2";
	assert_int_equal(service_provision(f, "d0", 4 * MIB), 0);
	assert_non_null(service_map_ceph(f, "c0", &params));
	f->controller = NULL;
	return 0;
}

static void assert_bdev(const Oim__Admin__V1__BDev *b, const char *controller,
			const char *name, int64_t size, bool mapped)
{
	assert_string_equal(b->controller_id, controller);
	assert_string_equal(b->name, name);
	assert_string_equal(b->plane, "null");
	assert_string_equal(b->kind, "malloc");
	assert_int_equal(b->size, size);
	assert_int_equal(b->mapped, mapped);
	assert_true(b->created > 0);
	assert_string_equal(b->problem, "");
}

static void test_bdevs_of_all_controllers_are_listed(void **state)
{
	struct service *f = *state;
	Oim__Admin__V1__ListBDevsReply *r = bdevs(f);

	assert_int_equal(r->n_bdevs, 3);
	assert_bdev(r->bdevs[0], "k1", "d0", 2 * MIB, true);
	assert_bdev(r->bdevs[1], "k1", "d1", MIB, false);
	assert_bdev(r->bdevs[2], "k2", "d0", 4 * MIB, false);
}

static void test_a_bdev_whose_memory_is_gone_has_a_problem(void **state)
{
	struct service *f = *state;
	Oim__Admin__V1__ListBDevsReply *r;

	assert_int_equal(plane_remove(f->items[0]->plane, "d1", &f->err), 0);
	r = bdevs(f);
	assert_int_equal(r->n_bdevs, 3);
	assert_non_null(strstr(r->bdevs[1]->problem, "gone"));
}

static void test_mappings_of_all_controllers_are_listed(void **state)
{
	struct service *f = *state;
	Oim__Admin__V1__ListMappingsReply *r = mappings(f);

	assert_int_equal(r->n_mappings, 2);
	assert_string_equal(r->mappings[0]->volume_id, "d0");
	assert_string_equal(r->mappings[0]->controller_id, "k1");
	assert_string_equal(r->mappings[0]->kind, "malloc");
	assert_string_equal(r->mappings[0]->state, "attached");
	assert_int_equal(r->mappings[0]->size, 2 * MIB);
	assert_true(*r->mappings[0]->device);
	assert_string_equal(r->mappings[1]->volume_id, "c0");
	assert_string_equal(r->mappings[1]->controller_id, "k2");
	assert_string_equal(r->mappings[1]->kind, "ceph");
	assert_true(*r->mappings[1]->scsi);
}

static void test_a_call_that_names_a_controller_is_about_that_one(void **state)
{
	struct service *f = *state;

	f->controller = "k2";
	assert_int_equal(bdevs(f)->n_bdevs, 1);
	assert_int_equal(mappings(f)->n_mappings, 1);
	assert_int_equal(status(f)->n_controllers, 1);
	assert_string_equal(status(f)->controllers[0]->controller_id, "k2");
}

static void test_controllers_here_and_elsewhere_are_listed_by_id(void **state)
{
	struct service *f = *state;
	Oim__Admin__V1__ListControllersReply *r;

	assert_int_equal(registry_register_now(f->registry, &op_self, "k10",
					       "dns:///far:1", &f->err),
			 0);
	assert_int_equal(registry_register_now(f->registry, &op_self, "k2",
					       "unix:/k2", &f->err),
			 0);
	r = controllers(f);
	assert_int_equal(r->n_controllers, 3);
	assert_string_equal(r->controllers[0]->controller_id, "k1");
	assert_true(r->controllers[0]->here);
	assert_string_equal(r->controllers[0]->address, "");
	assert_string_equal(r->controllers[1]->controller_id, "k10");
	assert_false(r->controllers[1]->here);
	assert_string_equal(r->controllers[1]->address, "dns:///far:1");
	assert_string_equal(r->controllers[1]->plane, "");
	assert_string_equal(r->controllers[2]->controller_id, "k2");
	assert_true(r->controllers[2]->here);
	assert_string_equal(r->controllers[2]->address, "unix:/k2");
	assert_string_equal(r->controllers[2]->plane, "null");
}

/* Registers it as one that says for how long, or as one that does not. */
static void reg(struct service *f, const char *id, const char *address,
		const char *ttl, const char *instance)
{
	Oim__V0__RegisterControllerRequest r =
		OIM__V0__REGISTER_CONTROLLER_REQUEST__INIT;

	r.controller_id = (char *)id;
	r.address = (char *)address;
	f->ttl = ttl;
	f->instance = instance;
	if (!service_call(f, "/oim.v0.Registry/RegisterController", &r.base,
			  &oim__v0__register_controller_reply__descriptor))
		fail_msg("%s", f->err.msg);
	f->ttl = f->instance = NULL;
}

static void end_lease(struct service *f, const char *id)
{
	struct liveness live;

	assert_int_equal(
		liveness_read(f->stores.node, id, f->arena, &live, &f->err), 0);
	assert_int_equal(
		store_lease_revoke(f->stores.node, live.lease, &f->err), 0);
}

static void test_the_list_tells_who_is_alive(void **state)
{
	struct service *f = *state;
	Oim__Admin__V1__ListControllersReply *r;
	int64_t before = units_now();

	reg(f, "a", "x", NULL, NULL);
	reg(f, "b", "x", "30", "1");
	reg(f, "c", "x", "1", "1");
	end_lease(f, "c");
	r = controllers(f); /* nobody has marked it yet */
	assert_string_equal(r->controllers[2]->state, "lost");
	assert_in_range(r->controllers[2]->since, before, units_now());
	assert_int_equal(liveness_mark_lost(f->stores.node, "c", &f->err), 0);
	r = controllers(f);
	assert_int_equal(r->n_controllers, 5);
	assert_string_equal(r->controllers[0]->state, "static");
	assert_int_equal(r->controllers[0]->ttl, 0);
	assert_string_equal(r->controllers[1]->state, "ready");
	assert_int_equal(r->controllers[1]->since, 0);
	assert_int_equal(r->controllers[1]->ttl, 30);
	assert_string_equal(r->controllers[2]->state, "lost");
	assert_in_range(r->controllers[2]->since, before, units_now());
	assert_int_equal(r->controllers[2]->ttl, 5);
	/* of this daemon, and not registered */
	assert_string_equal(r->controllers[3]->controller_id, "k1");
	assert_string_equal(r->controllers[3]->state, "");
}

static void test_the_list_tells_of_two_of_one_id(void **state)
{
	struct service *f = *state;
	Oim__Admin__V1__ListControllersReply *r;

	reg(f, "a", "x", "30", "1");
	reg(f, "a", "y", "30", "2");
	assert_string_equal(controllers(f)->controllers[0]->problem, "");
	reg(f, "a", "x", "30", "1");
	r = controllers(f);
	assert_string_equal(
		r->controllers[0]->problem,
		"two controllers register this id in turn, one of them at \"y\"");
	assert_string_equal(r->controllers[0]->address, "x");
	assert_string_equal(r->controllers[0]->state, "ready");
}

static void test_the_status_counts_what_there_is(void **state)
{
	struct service *f = *state;
	Oim__Admin__V1__GetStatusReply *s = status(f);

	assert_true(s->serving);
	assert_string_equal(s->problem, "");
	assert_int_equal(s->pid, getpid());
	assert_true(s->registry);
	assert_int_equal(s->registered, 0);
	assert_string_equal(s->store->engine, "lmdb");
	assert_true(s->store->revision > 0);
	assert_true(s->store->size > 0);
	assert_int_equal(s->n_controllers, 2);
	assert_true(s->controllers[0]->ready);
	assert_int_equal(s->controllers[0]->bdevs, 2);
	assert_int_equal(s->controllers[0]->mappings, 1);
	assert_int_equal(s->controllers[0]->malloc_used, 3 * MIB);
	assert_int_equal(s->controllers[1]->bdevs, 1);
	assert_int_equal(s->controllers[1]->mappings, 1);
}

static void test_a_daemon_that_drains_says_so(void **state)
{
	struct service *f = *state;
	Oim__Admin__V1__GetStatusReply *s;

	f->admin.draining = true;
	s = status(f);
	assert_false(s->serving);
	assert_string_equal(s->problem, "the daemon is shutting down");
}

int main(void)
{
#define ADMIN_TEST(f)                                                          \
	cmocka_unit_test_setup_teardown(f, open_with_volumes, service_close)
	static const struct CMUnitTest tests[] = {
		ADMIN_TEST(test_bdevs_of_all_controllers_are_listed),
		ADMIN_TEST(test_a_bdev_whose_memory_is_gone_has_a_problem),
		ADMIN_TEST(test_mappings_of_all_controllers_are_listed),
		ADMIN_TEST(
			test_a_call_that_names_a_controller_is_about_that_one),
		ADMIN_TEST(
			test_controllers_here_and_elsewhere_are_listed_by_id),
		ADMIN_TEST(test_the_list_tells_who_is_alive),
		ADMIN_TEST(test_the_list_tells_of_two_of_one_id),
		ADMIN_TEST(test_the_status_counts_what_there_is),
		ADMIN_TEST(test_a_daemon_that_drains_says_so),
	};

	client_silence_core();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Who may do what: the table of identities, row by row. */

#include "daemon/core/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"

#define CONTROLLER "oim.v0.Controller"
#define ADMIN      "oim.admin.v1.Admin"
#define OTHER      "csi.v1.Node"

/* A caller with a certificate for one name. */
#define NAMED(name)                                                            \
	((struct caller){.names = (const char *const[]){name, NULL}})

static const struct caller local = {.local = true};
static const struct caller nobody = {0};

static int may_read(const struct caller *c)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	access_read(c, &err);
	return err.code;
}

static int may_admin(const struct caller *c)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	access_admin(c, &err);
	return err.code;
}

static int may_set(const struct caller *c, const char *id)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	access_set(c, id, &err);
	return err.code;
}

static int may_register(const struct caller *c, const char *id,
			const char *address)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	access_register(c, id, address, &err);
	return err.code;
}

/* Whether it may call controller X, at a daemon with a registry or without. */
static int may_call(const struct caller *c, const char *service,
		    bool is_forwarding)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	access_controller(c, "X", service, is_forwarding, &err);
	return err.code;
}

#define DENIED GRPC_STATUS_PERMISSION_DENIED

static void assert_may_all(const struct caller *c)
{
	static const char *const services[] = {CONTROLLER, ADMIN, OTHER};

	assert_int_equal(may_read(c), 0);
	assert_int_equal(may_admin(c), 0);
	assert_int_equal(may_set(c, "X"), 0);
	assert_int_equal(may_register(c, "X", "h:1"), 0);
	assert_int_equal(may_register(c, "X", "unix:/run/x"), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(may_call(c, services[i], true), 0);
		assert_int_equal(may_call(c, services[i], false), 0);
	}
}

static void assert_may_change_nothing(const struct caller *c)
{
	assert_int_equal(may_admin(c), DENIED);
	assert_int_equal(may_set(c, "X"), DENIED);
	assert_int_equal(may_register(c, "X", "h:1"), DENIED);
	assert_int_equal(may_register(c, "X", "unix:/run/x"), DENIED);
}

static void assert_may_call_nothing(const struct caller *c)
{
	static const char *const services[] = {CONTROLLER, ADMIN, OTHER};

	for (int i = 0; i < 3; i++) {
		assert_int_equal(may_call(c, services[i], true), DENIED);
		assert_int_equal(may_call(c, services[i], false), DENIED);
	}
}

static void test_a_local_caller_may_all(void **state)
{
	(void)state;
	assert_may_all(&local);
}

static void test_user_admin_may_all(void **state)
{
	(void)state;
	assert_may_all(&NAMED("user.admin"));
}

static void test_another_user_may_read(void **state)
{
	const struct caller c = NAMED("user.alice");

	(void)state;
	assert_int_equal(may_read(&c), 0);
	assert_may_change_nothing(&c);
	assert_may_call_nothing(&c);
}

static void test_a_controller_may_register_itself_and_read(void **state)
{
	const struct caller c = NAMED("controller.X");

	(void)state;
	assert_int_equal(may_read(&c), 0);
	assert_int_equal(may_set(&c, "X"), 0);
	assert_int_equal(may_register(&c, "X", "h:1"), 0);
	assert_int_equal(may_register(&c, "X", "unix:/run/x"), DENIED);
	assert_int_equal(may_set(&c, "Y"), DENIED);
	assert_int_equal(may_register(&c, "Y", "h:1"), DENIED);
	assert_int_equal(may_admin(&c), DENIED);
	assert_may_call_nothing(&c);
}

static void test_a_host_may_read_and_call_its_controller_by_a_registry(
	void **state)
{
	const struct caller c = NAMED("host.X");
	const struct caller other = NAMED("host.Y");

	(void)state;
	assert_int_equal(may_read(&c), 0);
	assert_int_equal(may_call(&c, CONTROLLER, true), 0);
	assert_int_equal(may_call(&c, OTHER, true), 0);
	assert_int_equal(may_call(&c, CONTROLLER, false), DENIED);
	assert_may_change_nothing(&c);
	assert_may_call_nothing(&other);
}

static void test_the_registry_may_call_controllers_and_nothing_else(
	void **state)
{
	const struct caller c = NAMED("component.registry");

	(void)state;
	for (int forwarding = 0; forwarding < 2; forwarding++) {
		assert_int_equal(may_call(&c, CONTROLLER, forwarding), 0);
		assert_int_equal(may_call(&c, ADMIN, forwarding), 0);
		assert_int_equal(may_call(&c, OTHER, forwarding), DENIED);
	}
	assert_may_change_nothing(&c);
	assert_int_equal(may_read(&c), DENIED);
}

static void test_a_caller_without_a_role_may_nothing(void **state)
{
	static const char *const names[] = {
		"",          "user",          "useradmin",  "User.admin",
		"admin",     "user-admin",    "hosts.X",    "x.user.admin",
		"component", "component.csi", "*.admin",    "registry",
		"root",      "host",          "controller", "www.example.com"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const struct caller c = NAMED(names[i]);

		assert_int_equal(may_read(&c), DENIED);
		assert_may_change_nothing(&c);
		assert_may_call_nothing(&c);
	}
	assert_int_equal(may_read(&nobody), DENIED);
	assert_may_change_nothing(&nobody);
	assert_may_call_nothing(&nobody);
}

static void test_names_are_compared_byte_for_byte(void **state)
{
	static const char *const names[] = {"controller.x",
					    "controller.X ",
					    "controller.X.example",
					    "controller.*",
					    "controller..X",
					    "Controller.X",
					    "controller.XX",
					    "controller.",
					    "host.*",
					    "host.X.",
					    "host.x",
					    "user.Admin",
					    "user.admin.",
					    "component.Registry"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const struct caller c = NAMED(names[i]);

		assert_may_change_nothing(&c);
		assert_may_call_nothing(&c);
	}
}

static void test_one_certificate_may_carry_several_names(void **state)
{
	const struct caller c = {
		.names = (const char *const[]){"host.X", "controller.X",
					       "mail.example.com", NULL}};

	(void)state;
	assert_int_equal(may_register(&c, "X", "h:1"), 0);
	assert_int_equal(may_call(&c, CONTROLLER, true), 0);
	assert_int_equal(may_admin(&c), DENIED);
}

static void test_an_id_may_have_dots(void **state)
{
	const struct caller c = NAMED("controller.n1.example.com");

	(void)state;
	assert_int_equal(may_set(&c, "n1.example.com"), 0);
	assert_int_equal(may_set(&c, "n1"), DENIED);
}

static void test_a_revoked_certificate_is_unauthenticated(void **state)
{
	const struct caller c = {.revoked = true};
	CLEANUP(err_clear) struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(may_read(&c), GRPC_STATUS_UNAUTHENTICATED);
	assert_int_equal(may_admin(&c), GRPC_STATUS_UNAUTHENTICATED);
	assert_int_equal(may_set(&c, "X"), GRPC_STATUS_UNAUTHENTICATED);
	assert_int_equal(may_call(&c, CONTROLLER, true),
			 GRPC_STATUS_UNAUTHENTICATED);
	access_read(&c, &err);
	assert_non_null(strstr(err.msg, "revoked"));
}

static void test_a_refusal_names_the_caller_and_what_is_missing(void **state)
{
	const struct caller c = NAMED("host.Y");
	CLEANUP(err_clear) struct err err = ERR_INIT;

	(void)state;
	access_controller(&c, "X", CONTROLLER, true, &err);
	assert_string_equal(err.msg, "caller \"host.Y\" is not allowed to "
				     "contact controller \"X\"");
	err_clear(&err);
	access_set(&c, "X", &err);
	assert_string_equal(err.msg, "caller \"host.Y\" is not allowed to set "
				     "anything of \"X\"");
}

/* --- what a certificate can carry --- */

static int can_certify(const char *id)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	access_can_certify("controller", id, &err);
	return err.code;
}

static void test_what_fits_a_common_name_or_a_dns_name_can_be_certified(
	void **state)
{
	char id[254];

	(void)state;
	assert_int_equal(can_certify("host-0"), 0);
	assert_int_equal(can_certify("\xc3\xa4"), 0);
	assert_int_equal(can_certify("a b"), 0);
	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	assert_int_equal(can_certify(id), 0);
}

static void test_what_fits_neither_cannot_and_the_error_says_so(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	char id[64 - sizeof("controller") + 2];

	(void)state;
	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	id[0] = ' ';
	assert_int_equal(access_can_certify("controller", id, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	assert_non_null(strstr(err.msg, "cannot be used with TLS"));
	assert_int_equal(can_certify(id + 1), 0);
	id[1] = ' '; /* and now one byte shorter */
	assert_int_equal(can_certify(id + 1), 0);
	id[0] = (char)0xc3;
	id[1] = (char)0xa4;
	assert_int_equal(can_certify(id), GRPC_STATUS_INVALID_ARGUMENT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_local_caller_may_all),
		cmocka_unit_test(test_user_admin_may_all),
		cmocka_unit_test(test_another_user_may_read),
		cmocka_unit_test(
			test_a_controller_may_register_itself_and_read),
		cmocka_unit_test(
			test_a_host_may_read_and_call_its_controller_by_a_registry),
		cmocka_unit_test(
			test_the_registry_may_call_controllers_and_nothing_else),
		cmocka_unit_test(test_a_caller_without_a_role_may_nothing),
		cmocka_unit_test(test_names_are_compared_byte_for_byte),
		cmocka_unit_test(test_one_certificate_may_carry_several_names),
		cmocka_unit_test(test_an_id_may_have_dots),
		cmocka_unit_test(test_a_revoked_certificate_is_unauthenticated),
		cmocka_unit_test(
			test_a_refusal_names_the_caller_and_what_is_missing),
		cmocka_unit_test(
			test_what_fits_a_common_name_or_a_dns_name_can_be_certified),
		cmocka_unit_test(
			test_what_fits_neither_cannot_and_the_error_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

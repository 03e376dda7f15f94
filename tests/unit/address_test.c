/* Addresses in all their forms. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/lib/address.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"

typedef int parse_fn(const char *s, struct address *a, struct err *err);

static parse_fn *const clients[] = {address_parse_server,
				    address_parse_controller};

static void assert_unix(parse_fn *parse, const char *s, const char *path,
			const char *target)
{
	CLEANUP(address_clear) struct address a = {0};
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (parse(s, &a, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(a.kind, ADDRESS_UNIX);
	assert_string_equal(a.path, path);
	assert_null(a.host);
	assert_string_equal(a.target, target);
}

static void assert_tcp(parse_fn *parse, const char *s, const char *host,
		       uint16_t port, const char *target)
{
	CLEANUP(address_clear) struct address a = {0};
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (parse(s, &a, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(a.kind, ADDRESS_TCP);
	assert_null(a.path);
	assert_string_equal(a.host, host);
	assert_int_equal(a.port, port);
	assert_string_equal(a.target, target);
}

static void assert_refused(parse_fn *parse, const char *s, const char *why)
{
	CLEANUP(address_clear) struct address a = {0};
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (parse(s, &a, &err) == 0)
		fail_msg("\"%s\" is accepted", s);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	if (!strstr(err.msg, why))
		fail_msg("%s", err.msg);
	assert_non_null(strstr(err.msg, "; accepted are unix:/path, "));
	assert_null(a.host);
	assert_null(a.path);
	assert_null(a.target);
}

static void test_unix_sockets_have_three_forms(void **state)
{
	static parse_fn *const parse[] = {address_parse_listen,
					  address_parse_server};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_unix(parse[i], "unix:/run/x", "/run/x", "unix:/run/x");
		assert_unix(parse[i], "unix:///run/x", "/run/x", "unix:/run/x");
		assert_unix(parse[i], "/run/x", "/run/x", "unix:/run/x");
	}
}

static void test_tcp_has_three_forms(void **state)
{
	static parse_fn *const parse[] = {address_parse_listen,
					  address_parse_server};
	static const char *const target[] = {"h:1", "dns:///h:1"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_tcp(parse[i], "h:1", "h", 1, target[i]);
		assert_tcp(parse[i], "dns:///h:1", "h", 1, target[i]);
		assert_tcp(parse[i], "tcp://h:1", "h", 1, target[i]);
	}
}

static void test_ipv6_stands_in_brackets(void **state)
{
	(void)state;
	assert_tcp(address_parse_listen, "[::1]:8999", "::1", 8999,
		   "[::1]:8999");
	assert_tcp(address_parse_server, "tcp://[2001:db8::2]:65535",
		   "2001:db8::2", 65535, "dns:///[2001:db8::2]:65535");
	assert_refused(address_parse_server, "::1:8999",
		       "an IPv6 address must be in brackets");
	assert_refused(address_parse_server, "[h]:1",
		       "in brackets there must be an IPv6 address");
	assert_refused(address_parse_server, "[]:1",
		       "in brackets there must be an IPv6 address");
	assert_refused(address_parse_server, "[::1]", "there is no port");
	assert_refused(address_parse_server, "[:1", "there is no port");
}

static void test_listening_may_leave_out_host_and_port(void **state)
{
	(void)state;
	assert_tcp(address_parse_listen, ":8999", "", 8999, "[::]:8999");
	assert_tcp(address_parse_listen, "localhost:0", "localhost", 0,
		   "localhost:0");
	assert_tcp(address_parse_listen, "0.0.0.0:0", "0.0.0.0", 0,
		   "0.0.0.0:0");
}

static void test_a_client_may_leave_out_the_host_only(void **state)
{
	(void)state;
	assert_tcp(address_parse_server, ":8999", "", 8999,
		   "dns:///localhost:8999");
	assert_refused(address_parse_server, "h:0", "port 0 cannot be reached");
}

static void test_a_controller_has_host_and_port(void **state)
{
	(void)state;
	assert_refused(address_parse_controller, ":8999", "there is no host");
	assert_refused(address_parse_controller, "h:0",
		       "port 0 cannot be reached");
	assert_refused(address_parse_controller, "h", "there is no port");
	assert_refused(address_parse_controller, "", "there is no port");
}

static void test_what_is_dialled_may_be_a_uri_of_grpc(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_tcp(clients[i], "dns:h:1", "h", 1, "dns:///h:1");
		assert_tcp(clients[i], "ipv4:1.2.3.4:5", "1.2.3.4", 5,
			   "ipv4:1.2.3.4:5");
		assert_tcp(clients[i], "ipv6:[::2]:5", "::2", 5,
			   "ipv6:[::2]:5");
		assert_refused(clients[i], "ipv4:h:5",
			       "this is no IP address of that kind");
		assert_refused(clients[i], "ipv4:[::1]:5",
			       "this is no IP address of that kind");
		assert_refused(clients[i], "ipv6:1.2.3.4:5",
			       "this is no IP address of that kind");
		assert_refused(clients[i], "ipv4:", "there is no port");
		assert_refused(clients[i], "dns://resolver/h:1",
			       "this form is not accepted");
	}
	assert_refused(address_parse_listen, "ipv4:1.2.3.4:5", "");
}

static void test_a_registry_dials_no_shorthand(void **state)
{
	(void)state;
	assert_unix(address_parse_controller, "unix:///run/x", "/run/x",
		    "unix:/run/x");
	assert_tcp(address_parse_controller, "h:1", "h", 1, "dns:///h:1");
	assert_refused(address_parse_controller, "/run/x",
		       "this form is not accepted");
	assert_refused(address_parse_controller, "tcp://h:1",
		       "this form is not accepted");
	assert_refused(address_parse_controller, "foo://bar",
		       "this form is not accepted; accepted are unix:/path, "
		       "unix:///path, host:port, dns:///host:port, "
		       "dns:host:port, ipv4:ip:port, ipv6:[ip]:port");
}

static void test_other_schemes_are_refused(void **state)
{
	(void)state;
	assert_refused(address_parse_server, "http://h:1",
		       "this form is not accepted");
	assert_refused(address_parse_server, "ipv4:///h:1",
		       "this form is not accepted");
	assert_refused(address_parse_listen, "unix-abstract:9",
		       "this form is not accepted");
	assert_refused(address_parse_controller, "UNIX:9",
		       "this form is not accepted");
}

static void test_ports_are_numbers_up_to_65535(void **state)
{
	static const char *const bad[] = {
		"h:",   "h:x",  "h:65536",  "h:-1",
		"h:+1", "h:1 ", "h:000001", "h:99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_refused(address_parse_listen, bad[i],
			       "a port is a number up to 65535");
}

static void test_hosts_have_no_odd_characters(void **state)
{
	static const char *const bad[] = {"a b:1", "user@h:1", "h,i:1",
					  "h?x:1", "h%41:1",   "caf\xc3\xa9:1"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_refused(address_parse_server, bad[i],
			       "this is no name of a host");
}

static void test_paths_are_absolute_and_fit_a_socket(void **state)
{
	char target[5 + 109] = "unix:", *path = target + 5;

	(void)state;
	memset(path, '/', 107);
	assert_unix(address_parse_listen, path, path, target);
	path[107] = '/';
	assert_refused(address_parse_listen, path,
		       "the path of a Unix socket has at most 107 bytes");
	assert_refused(address_parse_listen, "unix:run/x",
		       "a path must begin with /");
	assert_refused(address_parse_listen, "unix://host/x",
		       "a path must begin with /");
	assert_refused(address_parse_listen,
		       "unix:", "a path must begin with /");
}

static void test_a_path_is_encoded_for_grpc_only(void **state)
{
	(void)state;
	assert_unix(address_parse_listen, "/a b#c?d%41/caf\xc3\xa9",
		    "/a b#c?d%41/caf\xc3\xa9",
		    "unix:/a%20b%23c%3Fd%2541/caf%C3%A9");
}

static void test_what_is_no_text_is_refused(void **state)
{
	(void)state;
	assert_refused(address_parse_server, "/a\xff", "\"/a\\xff\"");
	assert_refused(address_parse_server, "/a\n", "this is no text");
}

static bool is_loopback(const char *s)
{
	CLEANUP(address_clear) struct address a = {0};
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_int_equal(address_parse_listen(s, &a, &err), 0);
	return address_is_loopback(&a);
}

static void test_loopback_is_this_host_only(void **state)
{
	(void)state;
	assert_true(is_loopback("/run/x"));
	assert_true(is_loopback("localhost:1"));
	assert_true(is_loopback("LocalHost:1"));
	assert_true(is_loopback("127.0.0.1:1"));
	assert_true(is_loopback("127.255.0.9:1"));
	assert_true(is_loopback("[::1]:1"));
	assert_true(is_loopback("[0:0::0:1]:1"));
}

static void test_everything_else_is_not_loopback(void **state)
{
	(void)state;
	assert_false(is_loopback(":1"));
	assert_false(is_loopback("0.0.0.0:1"));
	assert_false(is_loopback("[::]:1"));
	assert_false(is_loopback("128.0.0.1:1"));
	assert_false(is_loopback("localhost.example.org:1"));
	assert_false(is_loopback("127.0.0.1.example.org:1"));
	assert_false(is_loopback("[::ffff:1.2.3.4]:1"));
}

static void test_unix_is_recognised_however_bad(void **state)
{
	(void)state;
	assert_true(address_is_unix("unix:/x"));
	assert_true(address_is_unix("UNIX:x"));
	assert_true(address_is_unix(" unix://"));
	assert_true(address_is_unix("unix-abstract:x"));
	assert_true(address_is_unix("/x"));
	assert_false(address_is_unix("unix-host:1"));
	assert_false(address_is_unix("h:1"));
	assert_false(address_is_unix(""));
}

static void assert_format(const char *s, const char *expected)
{
	CLEANUP(address_clear) struct address a = {0};
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_free) char *text = NULL;

	assert_int_equal(address_parse_listen(s, &a, &err), 0);
	text = address_format(&a);
	assert_string_equal(text, expected);
}

static void test_addresses_are_printed_in_one_form(void **state)
{
	(void)state;
	assert_format("/run/x", "unix:///run/x");
	assert_format("unix:/run/x y", "unix:///run/x y");
	assert_format("tcp://h:1", "h:1");
	assert_format("dns:///[::1]:1", "[::1]:1");
	assert_format(":1", ":1");
	assert_format("dns:1", "dns:///dns:1");
	assert_format("dns:///unix:1", "dns:///unix:1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unix_sockets_have_three_forms),
		cmocka_unit_test(test_tcp_has_three_forms),
		cmocka_unit_test(test_ipv6_stands_in_brackets),
		cmocka_unit_test(test_listening_may_leave_out_host_and_port),
		cmocka_unit_test(test_a_client_may_leave_out_the_host_only),
		cmocka_unit_test(test_a_controller_has_host_and_port),
		cmocka_unit_test(test_what_is_dialled_may_be_a_uri_of_grpc),
		cmocka_unit_test(test_a_registry_dials_no_shorthand),
		cmocka_unit_test(test_other_schemes_are_refused),
		cmocka_unit_test(test_ports_are_numbers_up_to_65535),
		cmocka_unit_test(test_hosts_have_no_odd_characters),
		cmocka_unit_test(test_paths_are_absolute_and_fit_a_socket),
		cmocka_unit_test(test_a_path_is_encoded_for_grpc_only),
		cmocka_unit_test(test_what_is_no_text_is_refused),
		cmocka_unit_test(test_loopback_is_this_host_only),
		cmocka_unit_test(test_everything_else_is_not_loopback),
		cmocka_unit_test(test_unix_is_recognised_however_bad),
		cmocka_unit_test(test_addresses_are_printed_in_one_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

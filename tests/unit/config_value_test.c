/* The daemon's configuration: what values are taken and refused. */

#include "tests/unit/config.h"

/* --- where to listen --- */

static void test_several_addresses_may_be_listened_on(void **state)
{
	CLEANUP(cleanup_free)
	char *path = write_file("a.conf", "[daemon]\n"
					  "listen = unix:/a\n"
					  "listen = 127.0.0.1:1\n");
	CLEANUP(cleanup_config) struct config *file = must_read(path, NO_SET);
	CLEANUP(cleanup_config)
	struct config *set = must_read(
		path, SET("daemon.listen=/b", "daemon.listen=tcp://h:2"));

	(void)state;
	assert_string_equal(file->listen[0], "unix:/a");
	assert_string_equal(file->listen[1], "127.0.0.1:1");
	assert_null(file->listen[2]);
	assert_string_equal(set->listen[0], "/b");
	assert_string_equal(set->listen[1], "tcp://h:2");
	assert_null(set->listen[2]);
}

static void test_one_address_twice_is_refused_however_it_is_spelt(void **state)
{
	static const char *const pairs[][2] = {
		{"/a/b", "/a/b"},
		{"/a/b", "unix:/a/b"},
		{"unix:/a/b", "unix:///a/b"},
		{"h:1", "tcp://h:1"},
		{"h:1", "dns:///h:1"},
		{"h:1", "h:01"},
		{":1", "tcp://:1"},
		{"[::1]:1", "dns:///[::1]:1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		CLEANUP(cleanup_free)
		char *one = mem_printf("daemon.listen=%s", pairs[i][0]);
		CLEANUP(cleanup_free)
		char *other = mem_printf("daemon.listen=%s", pairs[i][1]);

		assert_refused(SET(one, other), "twice");
		assert_refused(SET(one, "daemon.listen=/else", other), "twice");
	}
}

static void test_addresses_that_only_resemble_each_other_are_two(void **state)
{
	CLEANUP(cleanup_config)
	struct config *c = must_set(
		SET("daemon.listen=h:1", "daemon.listen=h:2",
		    "daemon.listen=g:1", "daemon.listen=/h", "daemon.listen=/H",
		    "daemon.listen=127.0.0.1:1", "daemon.listen=[::1]:1"));

	(void)state;
	assert_string_equal(c->listen[6], "[::1]:1");
}

static void test_port_0_is_another_one_each_time(void **state)
{
	CLEANUP(cleanup_config)
	struct config *c =
		must_set(SET("daemon.listen=h:0", "daemon.listen=h:0"));

	(void)state;
	assert_non_null(c->listen[1]);
}

static void test_an_address_nobody_can_listen_on_is_refused(void **state)
{
	CLEANUP(cleanup_free)
	char *path = write_file("a.conf", "[daemon]\n\nlisten = foo://bar\n");
	CLEANUP(cleanup_free) char *origin = mem_printf("%s:3", path);

	(void)state;
	assert_refused(SET("daemon.listen=unix:relative"), "daemon.listen");
	assert_refused(SET("daemon.listen=h"), "accepted are unix:/path");
	assert_refused(SET("daemon.listen=h:70000"), "65535");
	assert_refused(SET("daemon.listen=h:1", "daemon.listen=x y:1"),
		       "--set");
	assert_file_refused(path, NO_SET, origin);
}

/* --- values --- */

static void test_a_bad_value_is_refused_with_its_key_and_origin(void **state)
{
	static const struct {
		const char *setting, *text;
	} bad[] = {
		{"daemon.plaintext=maybe", "--set: daemon.plaintext"},
		{"daemon.drain=10", "--set: daemon.drain"},
		{"daemon.drain=-1s", "--set: daemon.drain"},
		{"daemon.drain=366d", "must be from 0s to 365d"},
		{"store.engine=redis", "--set: store.engine = redis: must be"},
		{"registry.enabled=2", "--set: registry.enabled"},
		{"controller.enabled=perhaps", "--set: controller.enabled"},
		{"controller.k.interval=never", "--set: controller.k.interval"},
		{"controller.k.interval=0", "from 100ms to 365d"},
		{"controller.k.interval=99ms", "--set: controller.k.interval"},
		{"controller.k.interval=1ns", "--set: controller.k.interval"},
		{"controller.interval=1ns", "--set: controller.interval"},
		{"controller.k.interval=100000d", "--set: controller.k."},
		{"controller.k.malloc-limit=64X", "controller.k.malloc-limit"},
		{"controller.k.malloc-limit=-1", "--set: controller.k.malloc"},
		{"controller.k.malloc-limit=8E", "--set: controller.k.malloc"},
		{"log.level=loud", "--set: log.level = loud: must be error"},
		{"log.format=xml", "--set: log.format = xml: must be text"},
		{"limits.workers=0", "--set: limits.workers"},
		{"limits.workers=1025", "1024"},
		{"limits.queue=many", "--set: limits.queue"},
		{"limits.queue=-1", "--set: limits.queue"},
		{"limits.queue=99999999999999999999", "--set: limits.queue"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (bad[i].text)
			assert_refused(
				SET(bad[i].setting, "controller.k.plane=null"),
				bad[i].text);
}

static void test_a_bad_value_in_a_file_is_refused_with_file_and_line(
	void **state)
{
	CLEANUP(cleanup_free)
	char *path = write_file("a.conf", "# first\n[log]\nlevel = loud\n");
	CLEANUP(cleanup_free)
	char *origin = mem_printf("%s:3: log.level", path);

	(void)state;
	assert_file_refused(path, NO_SET, origin);
}

static void test_good_values_are_read(void **state)
{
	CLEANUP(cleanup_config)
	struct config *c =
		must_set(SET("daemon.plaintext=yes", "daemon.drain=1m30s",
			     "registry.enabled=off", "log.level=DEBUG",
			     "log.format=json", "limits.workers=1",
			     "limits.queue=1", "controller.k.interval=100ms",
			     "controller.k.malloc-limit=1.5GiB"));

	(void)state;
	assert_true(c->plaintext);
	assert_int_equal(c->drain, 90 * UNITS_SECOND);
	assert_false(c->registry);
	assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(c->log_format, LOG_FORMAT_JSON);
	assert_int_equal(c->workers, 1);
	assert_int_equal(c->queue, 1);
	assert_int_equal(c->controllers[0].interval, UNITS_SECOND / 10);
	assert_int_equal(c->controllers[0].malloc_limit, 3 << 29);
}

static void test_tls_needs_all_of_its_three_files(void **state)
{
	static const char *const files[] = {"tls.ca=/a", "tls.cert=/b",
					    "tls.key=/c"};
	CLEANUP(cleanup_config)
	struct config *c =
		must_set(SET(files[0], files[1], files[2], "tls.crl=/d"));

	(void)state;
	assert_string_equal(c->tls.ca, "/a");
	assert_string_equal(c->tls.cert, "/b");
	assert_string_equal(c->tls.key, "/c");
	assert_string_equal(c->tls.crl, "/d");
	for (int i = 0; i < 3; i++) {
		assert_refused(SET(files[i]), "tls.ca, tls.cert and tls.key");
		assert_refused(SET(files[i], files[(i + 1) % 3]), "TLS needs");
	}
	assert_refused(SET("tls.crl=/d"), "TLS needs");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CONFIG_TEST(test_several_addresses_may_be_listened_on),
		CONFIG_TEST(
			test_one_address_twice_is_refused_however_it_is_spelt),
		CONFIG_TEST(
			test_addresses_that_only_resemble_each_other_are_two),
		CONFIG_TEST(test_port_0_is_another_one_each_time),
		CONFIG_TEST(test_an_address_nobody_can_listen_on_is_refused),
		CONFIG_TEST(
			test_a_bad_value_is_refused_with_its_key_and_origin),
		CONFIG_TEST(
			test_a_bad_value_in_a_file_is_refused_with_file_and_line),
		CONFIG_TEST(test_good_values_are_read),
		CONFIG_TEST(test_tls_needs_all_of_its_three_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

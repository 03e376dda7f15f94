/* The daemon's configuration: defaults, sources, controllers, printing. */

#include "tests/unit/config.h"

static char *host_name(void)
{
	char *host = mem_alloc(256);

	assert_int_equal(gethostname(host, 256), 0);
	return host;
}

/* --- defaults --- */

static void test_an_empty_configuration_of_root_is_complete(void **state)
{
	CLEANUP(cleanup_config) struct config *c = NULL;
	CLEANUP(cleanup_free) char *host = host_name();
	CLEANUP(cleanup_free)
	char *memory = mem_printf("/dev/shm/oim/%s", host);

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
	c = must_set(NO_SET);
	assert_string_equal(c->listen[0], "unix:/run/oim/oimd.sock");
	assert_null(c->listen[1]);
	assert_string_equal(c->run_dir, "/run/oim");
	assert_string_equal(c->state_dir, "/var/lib/oim");
	assert_string_equal(c->store_path, "/var/lib/oim/store");
	assert_int_equal(c->n_controllers, 1);
	assert_string_equal(c->controllers[0].id, host);
	assert_string_equal(c->controllers[0].memory_dir, memory);
}

static void test_what_nobody_sets_has_its_default(void **state)
{
	CLEANUP(cleanup_config) struct config *c = must_set(NO_SET);

	(void)state;
	assert_false(c->plaintext);
	assert_true(c->registry);
	assert_null(c->tls.ca);
	assert_int_equal(c->log_level, LOG_LEVEL_INFO);
	assert_int_equal(c->log_format, LOG_FORMAT_TEXT);
	assert_int_equal(c->drain, 10 * UNITS_SECOND);
	assert_string_equal(c->controllers[0].plane, "kernel");
	assert_null(c->controllers[0].registry);
	assert_null(c->controllers[0].address);
	assert_int_equal(c->controllers[0].interval, 60 * UNITS_SECOND);
	assert_int_equal(c->controllers[0].malloc_limit, 0);
}

static void test_other_users_have_their_own_directories(void **state)
{
	CLEANUP(cleanup_config) struct config *c = NULL;
	CLEANUP(cleanup_free) char *memory = NULL;
	CLEANUP(cleanup_free) char *host = host_name();
	uid_t uid = geteuid() ? geteuid() : 65534;

	(void)state;
	assert_int_equal(seteuid(uid), 0);
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	setenv("XDG_STATE_HOME", "/home/u/state", 1);
	c = must_set(NO_SET);
	assert_int_equal(seteuid(getuid()), 0);
	memory = mem_printf("/dev/shm/oim-%u/%s", (unsigned)uid, host);
	assert_string_equal(c->listen[0], "unix:/run/user/7/oim/oimd.sock");
	assert_string_equal(c->store_path, "/home/u/state/oim/store");
	assert_string_equal(c->controllers[0].memory_dir, memory);
}

static void test_without_xdg_directories_the_usual_ones_are_used(void **state)
{
	CLEANUP(cleanup_config) struct config *c = NULL;
	CLEANUP(cleanup_free) char *listen = NULL;
	CLEANUP(cleanup_free) char *home = mem_strdup(getenv("HOME"));
	uid_t uid = geteuid() ? geteuid() : 65534;

	(void)state;
	unsetenv("XDG_RUNTIME_DIR");
	setenv("XDG_STATE_HOME", "relative", 1);
	setenv("HOME", "/home/u", 1);
	assert_int_equal(seteuid(uid), 0);
	c = must_set(NO_SET);
	assert_int_equal(seteuid(getuid()), 0);
	if (home)
		setenv("HOME", home, 1);
	unsetenv("XDG_STATE_HOME");
	listen = mem_printf("unix:/tmp/oim-%u/oimd.sock", (unsigned)uid);
	assert_string_equal(c->listen[0], listen);
	assert_string_equal(c->store_path, "/home/u/.local/state/oim/store");
}

/* --- directories that are set --- */

static void test_the_default_socket_is_in_the_run_dir(void **state)
{
	CLEANUP(cleanup_config)
	struct config *c = must_set(SET("daemon.run-dir=/r"));

	(void)state;
	assert_string_equal(c->listen[0], "unix:/r/oimd.sock");
	assert_string_equal(c->run_dir, "/r");
}

static void test_the_store_is_in_the_state_dir_unless_it_has_a_path(
	void **state)
{
	CLEANUP(cleanup_config)
	struct config *c = must_set(SET("daemon.state-dir=/s"));
	CLEANUP(cleanup_config)
	struct config *p = must_set(SET("store.path=/p", "store.engine=lmdb"));

	(void)state;
	assert_string_equal(c->store_path, "/s/store");
	assert_string_equal(p->store_path, "/p");
}

static void test_a_directory_that_is_not_needed_is_not_made(void **state)
{
	CLEANUP(cleanup_config)
	struct config *c =
		must_set(SET("daemon.listen=unix:/x", "store.path=/p"));

	(void)state;
	assert_null(c->run_dir);
	assert_null(c->state_dir);
}

static void test_the_memory_dir_is_named_after_the_controller(void **state)
{
	CLEANUP(cleanup_config)
	struct config *c = must_set(SET("controller.a b.plane=null",
					"controller.k1.memory-dir=/m",
					"controller.k2.plane=null"));
	char name[ID_FILE_NAME_SIZE];

	(void)state;
	assert_int_equal(c->n_controllers, 3);
	assert_non_null(strstr(c->controllers[0].memory_dir,
			       id_file_name("a b", name)));
	assert_string_equal(c->controllers[1].memory_dir, "/m");
	assert_non_null(strstr(c->controllers[2].memory_dir, "/k2"));
}

/* --- controllers --- */

static void test_the_default_controller_gives_way_to_any_section(void **state)
{
	CLEANUP(cleanup_free)
	char *path = write_file("a.conf", "[controller \"k1\"]\n");
	CLEANUP(cleanup_config) struct config *c = must_read(path, NO_SET);

	(void)state;
	assert_int_equal(c->n_controllers, 1);
	assert_string_equal(c->controllers[0].id, "k1");
}

static void test_the_default_controller_can_be_switched_off(void **state)
{
	CLEANUP(cleanup_config)
	struct config *none = must_set(SET("controller.enabled=no"));
	CLEANUP(cleanup_config)
	struct config *one = must_set(
		SET("controller.enabled=no", "controller.k1.plane=null"));

	(void)state;
	assert_int_equal(none->n_controllers, 0);
	assert_int_equal(one->n_controllers, 1);
}

static void test_controllers_come_in_the_order_of_their_ids(void **state)
{
	CLEANUP(cleanup_config)
	struct config *c = must_set(
		SET("controller.b.plane=null", "controller.a.b.plane=null",
		    "controller.a-.plane=null", "controller.a.plane=null"));

	(void)state;
	assert_int_equal(c->n_controllers, 4);
	assert_string_equal(c->controllers[0].id, "a");
	assert_string_equal(c->controllers[1].id, "a-");
	assert_string_equal(c->controllers[2].id, "a.b");
	assert_string_equal(c->controllers[3].id, "b");
}

static void test_a_controller_has_what_is_set_for_it_or_else_for_all(
	void **state)
{
	CLEANUP(cleanup_config)
	struct config *c = must_set(
		SET("controller.plane=null", "controller.registry=unix:/r",
		    "controller.interval=5s", "controller.malloc-limit=1M",
		    "controller.a.plane=kernel", "controller.a.interval=7s",
		    "controller.a.address=dns:///a:1",
		    "controller.b.registry=unix:/s",
		    "controller.b.malloc-limit=2M"));

	(void)state;
	assert_string_equal(c->controllers[0].plane, "kernel");
	assert_string_equal(c->controllers[0].registry, "unix:/r");
	assert_string_equal(c->controllers[0].address, "dns:///a:1");
	assert_int_equal(c->controllers[0].interval, 7 * UNITS_SECOND);
	assert_int_equal(c->controllers[0].malloc_limit, 1 << 20);
	assert_string_equal(c->controllers[1].plane, "null");
	assert_string_equal(c->controllers[1].registry, "unix:/s");
	assert_null(c->controllers[1].address);
	assert_int_equal(c->controllers[1].interval, 5 * UNITS_SECOND);
	assert_int_equal(c->controllers[1].malloc_limit, 2 << 20);
}

/* --- etcd --- */

#define ETCD "store.engine=etcd", "store.endpoints=a:1"

static void test_etcd_needs_only_to_know_where_it_is(void **state)
{
	CLEANUP(cleanup_config)
	struct config *c = must_set(SET(ETCD, "store.endpoints=b:2"));
	CLEANUP(cleanup_config) struct config *none = must_set(NO_SET);

	(void)state;
	assert_false(none->has_etcd);
	assert_true(c->has_etcd);
	assert_string_equal(c->etcd.endpoints[0], "a:1");
	assert_string_equal(c->etcd.endpoints[1], "b:2");
	assert_null(c->etcd.endpoints[2]);
	assert_string_equal(c->etcd.prefix, "oim/");
	assert_null(c->etcd.tls.ca);
	assert_null(c->etcd.tls.cert);
	assert_null(c->etcd.user);
	assert_non_null(c->store_path); /* of the node's state */
}

static void test_etcd_may_have_tls_a_user_and_a_prefix(void **state)
{
	CLEANUP(cleanup_config)
	struct config *c = must_set(SET(ETCD, "store.prefix=site/oim/",
					"store.ca=/ca", "store.cert=/cert",
					"store.key=/key", "store.user=oim",
					"store.password-file=/password"));

	(void)state;
	assert_string_equal(c->etcd.prefix, "site/oim/");
	assert_string_equal(c->etcd.tls.ca, "/ca");
	assert_string_equal(c->etcd.tls.cert, "/cert");
	assert_string_equal(c->etcd.tls.key, "/key");
	assert_string_equal(c->etcd.user, "oim");
	assert_string_equal(c->etcd.password_file, "/password");
}

static void test_what_etcd_lacks_is_named(void **state)
{
	(void)state;
	assert_refused(SET("store.engine=etcd"), "store.endpoints is missing");
	assert_refused(SET(ETCD, "store.ca=/a", "store.cert=/a"),
		       "store.key is missing");
	assert_refused(SET(ETCD, "store.ca=/a", "store.key=/a"),
		       "store.cert is missing");
	assert_refused(SET(ETCD, "store.cert=/a", "store.key=/a"),
		       "store.ca is missing");
	assert_refused(SET(ETCD, "store.user=a"),
		       "store.password-file is missing");
	assert_refused(SET(ETCD, "store.password-file=/a"),
		       "store.user is missing");
}

static void test_what_etcd_cannot_take_is_named(void **state)
{
	(void)state;
	assert_refused(SET(ETCD, "store.endpoints=http://b:2"),
		       "store.endpoints");
	assert_refused(SET(ETCD, "store.prefix=oim"), "store.prefix = oim");
	assert_refused(SET("store.engine=redis"), "lmdb or etcd");
}

static void test_what_is_for_etcd_is_refused_without_it(void **state)
{
	static const char *const settings[] = {
		"store.endpoints=a:1",    "store.prefix=a/", "store.ca=/a",
		"store.cert=/a",          "store.key=/a",    "store.user=a",
		"store.password-file=/a",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		CLEANUP(cleanup_free) char *key = mem_strdup(settings[i]);

		*strchr(key, '=') = '\0';
		assert_refused(SET(settings[i]), key);
	}
}

static void test_an_id_that_cannot_be_one_is_refused(void **state)
{
	CLEANUP(cleanup_free)
	char *path = write_file("a.conf", "\n[controller \"a/b\"]\n"
					  "plane = null\n");

	(void)state;
	assert_refused(SET("controller.a/b.plane=null"), "a/b");
	assert_refused(SET("controller.a/b.plane=null"), "slash");
	assert_file_refused(path, NO_SET, "[controller \"a/b\"]");
}

/* --- sources --- */

static void test_a_setting_beats_a_drop_in_and_that_the_file(void **state)
{
	CLEANUP(cleanup_free)
	char *path = write_file("a.conf", "[log]\nlevel = error\n"
					  "format = json\n"
					  "[daemon]\ndrain = 1s\n");
	CLEANUP(cleanup_free) char *drop_in = mem_printf("%s.d", path);
	CLEANUP(cleanup_free) char *later = NULL, *later_still = NULL;
	CLEANUP(cleanup_config) struct config *c = NULL;

	(void)state;
	assert_int_equal(mkdir(drop_in, 0700), 0);
	later = write_file("a.conf.d/10.conf", "[log]\nlevel = warn\n"
					       "format = logfmt\n");
	later_still = write_file("a.conf.d/20.conf", "[daemon]\ndrain = 2s\n");
	c = must_read(path, SET("log.level=debug"));
	assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(c->log_format, LOG_FORMAT_LOGFMT);
	assert_int_equal(c->drain, 2 * UNITS_SECOND);
}

static void test_a_file_that_is_named_must_be_there(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_free) char *path = mem_printf("%s/absent", dir);

	(void)state;
	assert_null(config_read(path, NO_SET, &err));
	assert_int_equal(err.code, GRPC_STATUS_NOT_FOUND);
	assert_non_null(strstr(err.msg, path));
}

static void test_an_unknown_key_is_refused_with_its_origin(void **state)
{
	CLEANUP(cleanup_free)
	char *path = write_file("a.conf", "[daemon]\nlisten = /a\n"
					  "lisen = /b\n");
	CLEANUP(cleanup_free) char *origin = mem_printf("%s:3: ", path);
	CLEANUP(cleanup_free) char *section = NULL;

	(void)state;
	assert_file_refused(path, NO_SET, origin);
	assert_file_refused(path, NO_SET, "\"lisen\"");
	section = write_file("b.conf", "[deamon]\nlisten = /a\n");
	assert_file_refused(section, NO_SET, "[deamon]");
	assert_refused(SET("daemon.lisen=/a"), "daemon.lisen");
	assert_refused(SET("controller.k1.memorydir=/a"), "memorydir");
	assert_refused(SET("controller.memory-dir=/a"), "memory-dir");
	assert_refused(SET("daemon.x.listen=/a"), "daemon.x.listen");
	assert_refused(SET("nonsense"), "SECTION.KEY=VALUE");
}

/* --- printing --- */

/* What config_print() prints, to be freed. */
static char *print(const struct config *c)
{
	int saved, file = memfd_create("out", MFD_CLOEXEC);
	char *text;
	off_t size;

	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	dup2(file, STDOUT_FILENO);
	config_print(c);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	size = lseek(file, 0, SEEK_END);
	text = mem_alloc((size_t)size + 1);
	assert_int_equal(pread(file, text, (size_t)size, 0), size);
	text[size] = '\0';
	close(file);
	return text;
}

/* Leaves out comments, since origins differ, and the directories that defaults
 * were made from. */
static void strip(char *text)
{
	char *out = text;

	for (char *line = text, *end; *line; line = end) {
		end = strchrnul(line, '\n');
		end += *end == '\n';
		if (*line != '#' && strncmp(line, "run-dir", 7) != 0 &&
		    strncmp(line, "state-dir", 9) != 0) {
			memmove(out, line, (size_t)(end - line));
			out += end - line;
		}
	}
	*out = '\0';
}

static void assert_printed_is_the_same(const char *const *settings)
{
	CLEANUP(cleanup_config) struct config *c = must_set(settings);
	CLEANUP(cleanup_free) char *first = print(c);
	CLEANUP(cleanup_free) char *path = write_file("p.conf", first);
	CLEANUP(cleanup_config) struct config *again = must_read(path, NO_SET);
	CLEANUP(cleanup_free) char *second = print(again);

	strip(first);
	strip(second);
	assert_string_equal(first, second);
	assert_int_equal(c->n_controllers, again->n_controllers);
	for (size_t i = 0; i < c->n_controllers; i++)
		assert_string_equal(c->controllers[i].id,
				    again->controllers[i].id);
}

static void test_what_is_printed_can_be_read_again(void **state)
{
	(void)state;
	assert_printed_is_the_same(NO_SET);
	assert_printed_is_the_same(SET("controller.enabled=no"));
	assert_printed_is_the_same(SET(
		"daemon.listen=/a", "daemon.listen=h:1", "daemon.plaintext=yes",
		"daemon.drain=90s", "registry.enabled=no", "tls.ca=/a b",
		"tls.cert=/b", "tls.key=/c", "tls.crl=/d", "log.level=debug",
		"log.format=json", "limits.workers=3",
		"controller.registry=unix:/r",
		"controller.k1.malloc-limit=1.5K",
		"controller.k1.interval=1m30s",
		"controller.host.n1.memory-dir=/m x",
		"controller.a b.address=foo://bar"));
	assert_printed_is_the_same(
		SET(ETCD, "store.endpoints=b:2", "store.path=/p",
		    "store.prefix=a/", "store.ca=/a", "store.cert=/b",
		    "store.key=/c", "store.user=d", "store.password-file=/e"));
}

static void test_what_is_printed_says_where_it_comes_from(void **state)
{
	CLEANUP(cleanup_free)
	char *path = write_file("a.conf", "[log]\nlevel = warn\n");
	CLEANUP(cleanup_free)
	char *origin = mem_printf("# %s:2\nlevel = warn\n", path);
	CLEANUP(cleanup_config)
	struct config *c = must_read(path, SET("log.format=json"));
	CLEANUP(cleanup_free) char *text = print(c);

	(void)state;
	assert_non_null(strstr(text, origin));
	assert_non_null(strstr(text, "# --set\nformat = json\n"));
	assert_non_null(strstr(text, "# default\ndrain = 10s\n"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CONFIG_TEST(test_an_empty_configuration_of_root_is_complete),
		CONFIG_TEST(test_what_nobody_sets_has_its_default),
		CONFIG_TEST(test_other_users_have_their_own_directories),
		CONFIG_TEST(
			test_without_xdg_directories_the_usual_ones_are_used),
		CONFIG_TEST(test_the_default_socket_is_in_the_run_dir),
		CONFIG_TEST(
			test_the_store_is_in_the_state_dir_unless_it_has_a_path),
		CONFIG_TEST(test_a_directory_that_is_not_needed_is_not_made),
		CONFIG_TEST(test_the_memory_dir_is_named_after_the_controller),
		CONFIG_TEST(
			test_the_default_controller_gives_way_to_any_section),
		CONFIG_TEST(test_the_default_controller_can_be_switched_off),
		CONFIG_TEST(test_controllers_come_in_the_order_of_their_ids),
		CONFIG_TEST(
			test_a_controller_has_what_is_set_for_it_or_else_for_all),
		CONFIG_TEST(test_etcd_needs_only_to_know_where_it_is),
		CONFIG_TEST(test_etcd_may_have_tls_a_user_and_a_prefix),
		CONFIG_TEST(test_what_etcd_lacks_is_named),
		CONFIG_TEST(test_what_etcd_cannot_take_is_named),
		CONFIG_TEST(test_what_is_for_etcd_is_refused_without_it),
		CONFIG_TEST(test_an_id_that_cannot_be_one_is_refused),
		CONFIG_TEST(test_a_setting_beats_a_drop_in_and_that_the_file),
		CONFIG_TEST(test_a_file_that_is_named_must_be_there),
		CONFIG_TEST(test_an_unknown_key_is_refused_with_its_origin),
		CONFIG_TEST(test_what_is_printed_can_be_read_again),
		CONFIG_TEST(test_what_is_printed_says_where_it_comes_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The kernel plane, with real loop devices. */

#include "daemon/plane/plane.h"

#include "proto/lib/id.h"
#include "tests/unit/kernel_bdev.h"

/* --- bdevs --- */

static void test_a_bdev_is_there_from_create_to_remove(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct kernel_bdev *f = *state;
	struct plane_stat st;

	assert_int_equal(plane_check(f->plane, &err), 0);
	assert_int_equal(plane_stat(f->plane, f->name, &st, &err), 0);
	create(f);
	assert_int_equal(plane_stat(f->plane, f->name, &st, &err), 1);
	assert_int_equal(st.size, MIB);
	assert_int_equal(plane_remove(f->plane, f->name, &err), 0);
	assert_int_equal(plane_stat(f->plane, f->name, &st, &err), 0);
	assert_int_equal(plane_remove(f->plane, f->name, &err), 0);
}

static void test_a_ceph_image_is_refused(void **state)
{
	const struct plane_source ceph = {.kind = PLANE_CEPH,
					  .monitors = "192.0.2.1:6789",
					  .pool = "rbd",
					  .image = "one"};
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct kernel_bdev *f = *state;

	assert_int_equal(plane_create(f->plane, f->name, &ceph, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_UNIMPLEMENTED);
	assert_string_equal(err.msg, "the kernel plane cannot map Ceph images");
}

static void test_the_epoch_is_that_of_the_boot(void **state)
{
	struct kernel_bdev *f = *state;
	CLEANUP(cleanup_free)
	char *epoch = mem_strdup(plane_epoch(f->plane, PLANE_MALLOC));

	assert_int_equal(strlen(epoch), 36);
	plane_close(f->plane);
	f->plane = open_plane(f->dir);
	assert_string_equal(plane_epoch(f->plane, PLANE_MALLOC), epoch);
}

static void test_the_default_directory_is_the_controllers(void **state)
{
	CLEANUP(cleanup_free)
	char *id = mem_printf("c %s", strrchr(*(char **)*state, '-'));
	char name[ID_FILE_NAME_SIZE];
	CLEANUP(cleanup_free)
	char *dir = mem_printf("/dev/shm/oim/%s", id_file_name(id, name));
	struct plane_config config = {.controller = id};
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct plane *p;

	NEEDS_ROOT();
	p = plane_open("kernel", &config, &err);
	good(p ? 0 : -1, &err);
	plane_close(p);
	assert_int_equal(rmdir(dir), 0);
	rmdir("/dev/shm/oim"); /* if nobody else uses it */
}

/* --- attachments --- */

static void test_a_plan_changes_nothing(void **state)
{
	struct kernel_bdev *f = *state;

	create(f);
	plan(f);
	NEEDS_LOOP();
	assert_gone(f);
}

static void test_a_bdev_that_is_absent_cannot_be_planned(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct kernel_bdev *f = *state;

	assert_int_equal(plane_plan(f->plane, f->name, &f->a, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_NOT_FOUND);
}

static void test_an_attached_bdev_is_found_by_its_device_and_link(void **state)
{
	struct kernel_bdev *f = *state;
	CLEANUP(cleanup_free) char *link = mem_printf(PREFIX "%s", f->name);
	CLEANUP(cleanup_free) char *target = NULL;
	CLEANUP(cleanup_free) char *disk = NULL;

	NEEDS_LOOP();
	create(f);
	attach(f);
	assert_int_equal(probe(f), PLANE_ATTACHED);
	assert_string_equal(f->a.scsi, "");
	disk = disk_path(f);
	target = realpath(link, NULL);
	assert_string_equal(target, disk);
	detach(f);
	assert_gone(f);
}

static void test_attach_and_detach_can_be_repeated(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct kernel_bdev *f = *state;
	CLEANUP(cleanup_free) char *device = NULL;

	NEEDS_LOOP();
	create(f);
	attach(f);
	device = mem_strdup(f->a.device);
	good(plane_attach(f->plane, f->name, &f->a, &err), &err);
	assert_string_equal(f->a.device, device);
	detach(f);
	detach(f);
	assert_gone(f);
}

static void test_a_restarted_daemon_knows_what_is_attached(void **state)
{
	struct kernel_bdev *f = *state;

	NEEDS_LOOP();
	create(f);
	attach(f);
	plane_close(f->plane);
	f->plane = open_plane(f->dir);
	assert_int_equal(probe(f), PLANE_ATTACHED);
	detach(f);
	assert_gone(f);
}

static void test_detach_needs_no_name(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct kernel_bdev *f = *state;
	enum plane_state found;

	NEEDS_LOOP();
	create(f);
	attach(f);
	good(plane_probe(f->plane, NULL, f->a.token, &found, &err), &err);
	assert_int_equal(found, PLANE_ATTACHED);
	good(plane_detach(f->plane, NULL, f->a.token, &err), &err);
	assert_gone(f);
}

static void test_an_attachment_without_its_link_is_partial(void **state)
{
	struct kernel_bdev *f = *state;
	CLEANUP(cleanup_free) char *link = mem_printf(PREFIX "%s", f->name);
	CLEANUP(err_clear) struct err err = ERR_INIT;

	NEEDS_LOOP();
	create(f);
	attach(f);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(probe(f), PLANE_PARTIAL);
	good(plane_attach(f->plane, f->name, &f->a, &err), &err);
	assert_int_equal(probe(f), PLANE_ATTACHED);
}

static void test_a_link_to_another_disk_is_left_alone(void **state)
{
	struct kernel_bdev *f = *state;
	CLEANUP(cleanup_free) char *link = mem_printf(PREFIX "%s", f->name);

	NEEDS_LOOP();
	create(f);
	attach(f);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("../../null", link), 0);
	detach(f);
	assert_true(has_link(f));
	unlink(link);
	assert_gone(f);
}

static void test_a_link_that_another_disk_has_stays_its(void **state)
{
	struct kernel_bdev *f = *state;
	CLEANUP(cleanup_free) char *link = mem_printf(PREFIX "%s", f->name);

	NEEDS_LOOP();
	create(f);
	attach(f); /* so that the directory is there */
	detach(f);
	assert_int_equal(symlink("../../loop0", link), 0);
	attach(f);
	assert_int_equal(probe(f), PLANE_ATTACHED);
	detach(f);
	assert_int_equal(probe(f), PLANE_ABSENT);
	assert_true(has_link(f));
	unlink(link);
}

static void test_a_link_that_cannot_be_made_undoes_the_attach(void **state)
{
	struct kernel_bdev *f = *state;
	CLEANUP(cleanup_free) char *link = mem_printf(PREFIX "%s", f->name);
	CLEANUP(err_clear) struct err err = ERR_INIT;

	NEEDS_LOOP();
	create(f);
	attach(f); /* so that the directory is there */
	detach(f);
	assert_int_equal(mkdir(link, 0700), 0);
	plan(f);
	assert_int_equal(plane_attach(f->plane, f->name, &f->a, &err), -1);
	assert_non_null(strstr(err.msg, link));
	rmdir(link);
	assert_gone(f);
}

static void test_a_bdev_made_anew_is_not_attached_by_an_old_plan(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct kernel_bdev *f = *state;

	create(f);
	plan(f);
	create(f);
	NEEDS_LOOP();
	assert_int_equal(plane_attach(f->plane, f->name, &f->a, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_ABORTED);
	assert_gone(f);
}

static void test_what_has_another_token_is_left_alone(void **state)
{
	static const char *const tokens[] = {
		"", "null:1", "loop:0:1:1", "loop:1048576:1:1", "loop:junk",
	};
	CLEANUP(cleanup_free) char *other = NULL;
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct kernel_bdev *f = *state;
	enum plane_state found;

	NEEDS_LOOP();
	create(f);
	attach(f);
	other = mem_printf("%s0", f->a.token); /* another inode */
	good(plane_detach(f->plane, f->name, other, &err), &err);
	for (size_t i = 0; i < sizeof(tokens) / sizeof(*tokens); i++) {
		good(plane_detach(f->plane, NULL, tokens[i], &err), &err);
		good(plane_probe(f->plane, f->name, tokens[i], &found, &err),
		     &err);
		assert_int_equal(found, PLANE_ABSENT);
	}
	good(plane_attach(f->plane, f->name, &f->a, &err), &err);
	assert_int_equal(probe(f), PLANE_ATTACHED);
}

static void test_without_privilege_only_attaching_fails(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct plane_attachment a = {0};
	struct plane_config config = {.controller = "c1"};
	pid_t pid;

	(void)state;
	NEEDS_ROOT();
	pid = fork();
	if (pid == 0) {
		char dir[] = "/dev/shm/oim-test-XXXXXX";
		struct plane *p;
		bool made, refused;

		if (setresuid(NOBODY, NOBODY, NOBODY) == -1 || !mkdtemp(dir))
			_exit(2);
		config.memory_dir = dir;
		p = plane_open("kernel", &config, &err);
		made = p && plane_create(p, "d0", &source, &err) == 0 &&
		       plane_plan(p, "d0", &a, &err) == 0;
		refused = made && plane_attach(p, "d0", &a, &err) == -1 &&
			  err.code == GRPC_STATUS_FAILED_PRECONDITION &&
			  strstr(err.msg, "/dev/loop-control");
		if (p)
			plane_remove(p, "d0", &err);
		rmdir(dir);
		_exit(refused ? 0 : 1);
	}
	disk_join(pid);
}

/* --- data --- */

static void test_data_stays_when_the_disk_goes_and_comes(void **state)
{
	static unsigned char block[MIB], again[MIB];
	struct kernel_bdev *f = *state;
	CLEANUP(cleanup_free) char *first = NULL;
	CLEANUP(cleanup_free) char *second = NULL;

	NEEDS_LOOP();
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (unsigned char)(i * 31 + (i >> 12));
	memcpy(again, block, sizeof(block));
	create(f);
	attach(f);
	first = disk_path(f);
	disk_io(first, true, 0, again, sizeof(again));
	detach(f);
	attach(f);
	second = disk_path(f);
	assert_string_not_equal(first, second);
	memset(again, 0, sizeof(again));
	disk_io(second, false, 0, again, sizeof(again));
	assert_memory_equal(block, again, sizeof(block));
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, make_plane, remove_plane)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_bdev_is_there_from_create_to_remove),
		TEST(test_a_ceph_image_is_refused),
		TEST(test_the_epoch_is_that_of_the_boot),
		TEST(test_the_default_directory_is_the_controllers),
		TEST(test_a_plan_changes_nothing),
		TEST(test_a_bdev_that_is_absent_cannot_be_planned),
		TEST(test_an_attached_bdev_is_found_by_its_device_and_link),
		TEST(test_attach_and_detach_can_be_repeated),
		TEST(test_a_restarted_daemon_knows_what_is_attached),
		TEST(test_detach_needs_no_name),
		TEST(test_an_attachment_without_its_link_is_partial),
		TEST(test_a_link_to_another_disk_is_left_alone),
		TEST(test_a_link_that_another_disk_has_stays_its),
		TEST(test_a_link_that_another_disk_has_stays_its),
		TEST(test_a_link_that_cannot_be_made_undoes_the_attach),
		TEST(test_a_bdev_made_anew_is_not_attached_by_an_old_plan),
		TEST(test_what_has_another_token_is_left_alone),
		TEST(test_without_privilege_only_attaching_fails),
		TEST(test_data_stays_when_the_disk_goes_and_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

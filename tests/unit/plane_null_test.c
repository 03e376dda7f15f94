/* The null plane, and the calls into planes. */

#include "daemon/plane/plane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

static const struct plane_source mib = {.kind = PLANE_MALLOC, .size = 1 << 20};
static const struct plane_source image = {.kind = PLANE_CEPH,
					  .monitors = "192.0.2.1:6789",
					  .pool = "rbd",
					  .image = "one"};

static int open_plane(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct plane_config config = {.controller = "c1"};

	*state = plane_open("null", &config, &err);
	return *state ? 0 : -1;
}

static int close_plane(void **state)
{
	plane_close(*state);
	return 0;
}

static void attach(struct plane *p, const char *name,
		   const struct plane_source *source,
		   struct plane_attachment *a)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_int_equal(plane_create(p, name, source, &err), 0);
	assert_int_equal(plane_plan(p, name, a, &err), 0);
	assert_int_equal(plane_attach(p, name, a, &err), 0);
}

static enum plane_state probe(struct plane *p, const char *name,
			      const char *token)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	enum plane_state state;

	assert_int_equal(plane_probe(p, name, token, &state, &err), 0);
	return state;
}

static void test_an_unknown_plane_is_refused_with_a_list(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct plane_config config = {.controller = "c1"};

	(void)state;
	assert_null(plane_open("kernle", &config, &err));
	assert_int_equal(err.code, GRPC_STATUS_NOT_FOUND);
	assert_non_null(strstr(err.msg, "kernel, null"));
}

static void test_what_a_plane_cannot_do_is_said(void **state)
{
	const struct plane_ops none = {.name = "empty"};
	struct plane p = {.ops = &none};
	CLEANUP(err_clear) struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(plane_create(&p, "d0", &mib, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_UNIMPLEMENTED);
	assert_string_equal(err.msg, "the empty plane cannot make bdevs");
	assert_null(plane_epoch(&p, PLANE_MALLOC));
}

static void test_a_bdev_is_there_from_create_to_remove(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct plane *p = *state;
	struct plane_stat st;

	assert_int_equal(plane_check(p, &err), 0);
	assert_int_equal(plane_stat(p, "d0", &st, &err), 0);
	assert_int_equal(plane_create(p, "d0", &mib, &err), 0);
	assert_int_equal(plane_stat(p, "d0", &st, &err), 1);
	assert_int_equal(st.size, 1 << 20);
	assert_int_equal(plane_remove(p, "d0", &err), 0);
	assert_int_equal(plane_stat(p, "d0", &st, &err), 0);
	assert_int_equal(plane_remove(p, "d0", &err), 0);
}

static void test_a_full_plane_refuses_more_until_some_is_removed(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct plane_source all = {.kind = PLANE_MALLOC};
	struct plane *p = *state;

	assert_int_equal(plane_capacity(p, &all.size, &err), 0);
	assert_int_equal(plane_create(p, "all", &all, &err), 0);
	assert_int_equal(plane_create(p, "more", &mib, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_RESOURCE_EXHAUSTED);
	err_clear(&err);
	assert_int_equal(plane_remove(p, "all", &err), 0);
	assert_int_equal(plane_create(p, "more", &mib, &err), 0);
}

static void test_a_plan_changes_nothing(void **state)
{
	CLEANUP(plane_attachment_clear) struct plane_attachment a = {0};
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct plane *p = *state;

	assert_int_equal(plane_create(p, "d0", &mib, &err), 0);
	assert_int_equal(plane_plan(p, "d0", &a, &err), 0);
	assert_int_equal(probe(p, "d0", a.token), PLANE_ABSENT);
	assert_int_equal(plane_remove(p, "d0", &err), 0);
}

static void test_no_device_is_part_of_another(void **state)
{
	struct plane_attachment a[12] = {0};
	struct plane *p = *state;

	for (int i = 0; i < 12; i++) {
		CLEANUP(cleanup_free) char *name = mem_printf("d%d", i);

		attach(p, name, &mib, &a[i]);
		assert_string_equal(a[i].scsi, "");
	}
	for (int i = 0; i < 12; i++)
		for (int j = 0; j < 12; j++)
			assert_int_equal(strstr(a[i].device, a[j].device) !=
						 NULL,
					 i == j);
	for (int i = 0; i < 12; i++)
		plane_attachment_clear(&a[i]);
}

static void test_an_image_is_attached_as_a_scsi_disk(void **state)
{
	CLEANUP(plane_attachment_clear) struct plane_attachment a = {0};

	attach(*state, "i0", &image, &a);
	assert_string_equal(a.scsi, "1:0");
}

static void test_attach_can_be_repeated(void **state)
{
	CLEANUP(plane_attachment_clear) struct plane_attachment a = {0};
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_free) char *device = NULL;
	struct plane *p = *state;

	attach(p, "d0", &mib, &a);
	device = mem_strdup(a.device);
	assert_int_equal(plane_attach(p, "d0", &a, &err), 0);
	assert_string_equal(a.device, device);
}

static void test_another_plan_for_an_attached_bdev_is_aborted(void **state)
{
	CLEANUP(plane_attachment_clear) struct plane_attachment a = {0};
	CLEANUP(plane_attachment_clear) struct plane_attachment b = {0};
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct plane *p = *state;

	attach(p, "d0", &mib, &a);
	assert_int_equal(plane_plan(p, "d0", &b, &err), 0);
	assert_int_equal(plane_attach(p, "d0", &b, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_ABORTED);
	assert_int_equal(probe(p, "d0", a.token), PLANE_ATTACHED);
}

static void test_an_attached_bdev_is_not_removed(void **state)
{
	CLEANUP(plane_attachment_clear) struct plane_attachment a = {0};
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct plane *p = *state;

	attach(p, "d0", &mib, &a);
	assert_int_equal(plane_remove(p, "d0", &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_FAILED_PRECONDITION);
	err_clear(&err);
	assert_int_equal(plane_detach(p, "d0", a.token, &err), 0);
	assert_int_equal(plane_remove(p, "d0", &err), 0);
}

static void test_detach_needs_no_name(void **state)
{
	CLEANUP(plane_attachment_clear) struct plane_attachment a = {0};
	CLEANUP(plane_attachment_clear) struct plane_attachment b = {0};
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct plane *p = *state;

	attach(p, "d0", &mib, &a);
	attach(p, "d1", &mib, &b);
	assert_int_equal(plane_detach(p, NULL, a.token, &err), 0);
	assert_int_equal(probe(p, "d0", a.token), PLANE_ABSENT);
	assert_int_equal(probe(p, NULL, b.token), PLANE_ATTACHED);
}

static void test_another_token_detaches_nothing(void **state)
{
	CLEANUP(plane_attachment_clear) struct plane_attachment a = {0};
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct plane *p = *state;

	attach(p, "d0", &mib, &a);
	assert_int_equal(plane_detach(p, "d0", "null:77", &err), 0);
	assert_int_equal(plane_detach(p, "d0", "null:1x", &err), 0);
	assert_int_equal(plane_detach(p, "d0", "loop:1000000:1:1", &err), 0);
	assert_int_equal(plane_detach(p, "d0", "", &err), 0);
	assert_int_equal(probe(p, "d0", a.token), PLANE_ATTACHED);
}

static void test_each_open_is_an_epoch_of_its_own(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct plane_config config = {.controller = "c1"};
	struct plane *other = plane_open("null", &config, &err);

	assert_non_null(other);
	assert_string_not_equal(plane_epoch(*state, PLANE_MALLOC),
				plane_epoch(other, PLANE_MALLOC));
	plane_close(other);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, open_plane, close_plane)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_unknown_plane_is_refused_with_a_list),
		cmocka_unit_test(test_what_a_plane_cannot_do_is_said),
		TEST(test_a_bdev_is_there_from_create_to_remove),
		TEST(test_a_full_plane_refuses_more_until_some_is_removed),
		TEST(test_a_plan_changes_nothing),
		TEST(test_no_device_is_part_of_another),
		TEST(test_an_image_is_attached_as_a_scsi_disk),
		TEST(test_attach_can_be_repeated),
		TEST(test_another_plan_for_an_attached_bdev_is_aborted),
		TEST(test_an_attached_bdev_is_not_removed),
		TEST(test_detach_needs_no_name),
		TEST(test_another_token_detaches_nothing),
		TEST(test_each_open_is_an_epoch_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

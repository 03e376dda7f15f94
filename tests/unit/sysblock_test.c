/* Finding a disk in a tree of links like /sys/dev/block. */

#include "proto/lib/sysblock.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define LOOP "devices/virtual/block/"
#define PCI  "devices/pci0000:00/0000:00:15.0/"
#define HOST PCI "host2/target2:0:"

/* A root below which each test makes its devices; links are relative to it, as
 * in /sys. */
static char *top;
static char *root;

static void make_dirs(const char *path)
{
	CLEANUP(cleanup_free) char *copy = mem_strdup(path);

	for (char *c = copy + 1; (c = strchr(c, '/')); c++) {
		*c = '\0';
		mkdir(copy, 0700);
		*c = '/';
	}
	mkdir(copy, 0700);
}

static void make_device(const char *number, const char *target)
{
	CLEANUP(cleanup_free) char *dir = mem_printf("%s/%s", top, target);
	CLEANUP(cleanup_free) char *link = mem_printf("%s/%s", root, number);
	CLEANUP(cleanup_free) char *to = mem_printf("../../%s", target);

	make_dirs(dir);
	assert_int_equal(symlink(to, link), 0);
}

static void make_partition(const char *number, const char *target)
{
	CLEANUP(cleanup_free)
	char *path = mem_printf("%s/%s/partition", top, target);
	FILE *file;

	make_device(number, target);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
}

static int make_root(void **state)
{
	char template[] = "/tmp/oim-sysblock-XXXXXX";

	(void)state;
	if (!mkdtemp(template))
		return -1;
	top = mem_strdup(template);
	root = mem_printf("%s/dev/block", top);
	make_dirs(root);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int remove_root(void **state)
{
	(void)state;
	nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(top);
	free(root);
	return 0;
}

static int find(const char *device, const char *scsi,
		struct sysblock_disk *disk, struct err *err)
{
	return sysblock_find(root, device, scsi, disk, err);
}

static void test_a_disk_is_found_by_a_part_of_its_link(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct sysblock_disk disk;

	(void)state;
	make_device("7:1000001", LOOP "loop1000001");
	make_device("7:1000002", LOOP "loop1000002");
	assert_int_equal(
		find("/devices/virtual/block/loop1000002", "", &disk, &err), 1);
	assert_string_equal(disk.name, "loop1000002");
	assert_int_equal(disk.major, 7);
	assert_int_equal(disk.minor, 1000002);
}

static void test_a_disk_that_is_not_there_is_no_error(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct sysblock_disk disk;

	(void)state;
	make_device("7:1000001", LOOP "loop1000001");
	assert_int_equal(find("loop1000003", "", &disk, &err), 0);
	assert_null(err.msg);
}

static void test_partitions_are_left_aside(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct sysblock_disk disk;

	(void)state;
	make_device("8:0", HOST "0/2:0:0:0/block/sda");
	make_device("8:1", HOST "0/2:0:0:0/block/sda/sda1");
	assert_int_equal(find("0000:00:15.0", "", &disk, &err), 1);
	assert_string_equal(disk.name, "sda");
}

static void test_a_partition_is_known_without_block_in_its_link(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct sysblock_disk disk;

	(void)state;
	make_device("259:0", PCI "nvme/nvme0/nvme0n1");
	make_partition("259:1", PCI "nvme/nvme0/nvme0n1/nvme0n1p1");
	assert_int_equal(find("0000:00:15.0", "", &disk, &err), 1);
	assert_string_equal(disk.name, "nvme0n1");
}

static void test_scsi_numbers_choose_among_the_disks_of_a_device(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct sysblock_disk disk;

	(void)state;
	make_device("8:0", HOST "0/2:0:0:0/block/sda");
	make_device("8:16", HOST "1/2:0:1:0/block/sdb");
	make_device("8:160", HOST "10/2:0:10:0/block/sdk");
	make_device("8:32", HOST "1/2:0:1:10/block/sdc");
	assert_int_equal(find("0000:00:15.0", "1:0", &disk, &err), 1);
	assert_string_equal(disk.name, "sdb");
	assert_int_equal(find("0000:00:15.0", "10:0", &disk, &err), 1);
	assert_string_equal(disk.name, "sdk");
	assert_int_equal(find("0000:00:15.0", "0:1", &disk, &err), 0);
}

static void test_several_disks_that_fit_are_listed(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct sysblock_disk disk;

	(void)state;
	make_device("8:0", HOST "0/2:0:0:0/block/sda");
	make_device("8:16", HOST "1/2:0:1:0/block/sdb");
	make_device("7:0", LOOP "loop0");
	assert_int_equal(find("0000:00:15.0", "", &disk, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_FAILED_PRECONDITION);
	assert_non_null(strstr(err.msg, "sda"));
	assert_non_null(strstr(err.msg, "sdb"));
	assert_null(strstr(err.msg, "loop0"));
}

static void test_what_is_no_link_of_a_device_is_skipped(void **state)
{
	CLEANUP(cleanup_free) char *file = mem_printf("%s/7:5", root);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct sysblock_disk disk;

	(void)state;
	make_device("uevent", LOOP "loop5");
	make_dirs(file); /* no link: as if gone since it was listed */
	make_device("7:6", LOOP "loop5x");
	assert_int_equal(find("block/loop5", "", &disk, &err), 1);
	assert_string_equal(disk.name, "loop5x");
}

static void test_a_slash_in_a_name_is_restored(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct sysblock_disk disk;

	(void)state;
	make_device("104:0", PCI "cciss0/c0d0/block/cciss!c0d0");
	assert_int_equal(find("0000:00:15.0", "", &disk, &err), 1);
	assert_string_equal(disk.name, "cciss/c0d0");
}

static void test_an_empty_device_is_refused(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct sysblock_disk disk;

	(void)state;
	make_device("7:0", LOOP "loop0");
	assert_int_equal(find("", "", &disk, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
}

static void test_a_root_that_is_missing_is_an_error(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct sysblock_disk disk;

	(void)state;
	assert_int_equal(sysblock_find("/nowhere", "x", "", &disk, &err), -1);
	assert_int_equal(err.code, GRPC_STATUS_FAILED_PRECONDITION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_disk_is_found_by_a_part_of_its_link),
		TEST(test_a_disk_that_is_not_there_is_no_error),
		TEST(test_partitions_are_left_aside),
		TEST(test_a_partition_is_known_without_block_in_its_link),
		TEST(test_scsi_numbers_choose_among_the_disks_of_a_device),
		TEST(test_several_disks_that_fit_are_listed),
		TEST(test_what_is_no_link_of_a_device_is_skipped),
		TEST(test_a_slash_in_a_name_is_restored),
		TEST(test_an_empty_device_is_refused),
		TEST(test_a_root_that_is_missing_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

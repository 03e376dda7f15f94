#ifndef OIM_TESTS_CONFIG_H
#define OIM_TESTS_CONFIG_H

/* Configurations of the daemon from files and settings. Includes all that a
 * test file needs. */

#include "daemon/config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <ftw.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

/* A directory for files of a test. */
static char dir[] = "/tmp/oim-config-XXXXXX";

static inline int setup(void **state)
{
	(void)state;
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	return mkdtemp(dir) ? 0 : -1;
}

static inline int remove_entry(const char *path, const struct stat *st,
			       int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int teardown(void **state)
{
	(void)state;
	return nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file of the directory; its path, to be freed. */
static inline char *write_file(const char *name, const char *text)
{
	char *path = mem_printf("%s/%s", dir, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	return path;
}

/* Settings as --set gives them. */
#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_SET   ((const char *const[]){NULL})

static inline struct config *must_read(const char *path,
				       const char *const *settings)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct config *c = config_read(path, settings, &err);

	if (!c)
		fail_msg("%s", err.msg);
	return c;
}

static inline struct config *must_set(const char *const *settings)
{
	return must_read("/dev/null", settings);
}

/* That file and these settings are refused with all of that text. */
static inline void assert_file_refused(const char *path,
				       const char *const *settings,
				       const char *text)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_config)
	struct config *c = config_read(path, settings, &err);

	if (c)
		fail_msg("accepted; should say \"%s\"", text);
	assert_int_equal(err.code, GRPC_STATUS_INVALID_ARGUMENT);
	if (!strstr(err.msg, text))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, text);
}

static inline void assert_refused(const char *const *settings, const char *text)
{
	assert_file_refused("/dev/null", settings, text);
}

#define CONFIG_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif

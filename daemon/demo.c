/* oimd --demo. */

#include "daemon/demo.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/lib/mem.h"

int demo_prepare(struct demo *demo, struct err *err)
{
	char *dir = mem_strdup("/tmp/oim-demo-XXXXXX");

	if (!mkdtemp(dir)) {
		free(dir);
		return err_errno(err, "cannot make a temporary directory");
	}
	demo->dir = dir;
	demo->settings[0] = mem_printf("daemon.state-dir=%s", dir);
	demo->settings[1] = mem_strdup("controller.demo.plane=null");
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void demo_clear(struct demo *demo)
{
	if (demo->dir)
		nftw(demo->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(demo->dir);
	for (int i = 0; i < DEMO_SETTINGS; i++)
		free(demo->settings[i]);
}

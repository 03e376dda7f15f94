#ifndef OIM_CONF_FILE_H
#define OIM_CONF_FILE_H

/*
 * One INI file, read with libini_config. Only conf.c calls this.
 */

#include <stdbool.h>

#include "proto/lib/err.h"

/* A section that begins (key NULL), or a value in it; borrowed. */
struct conf_entry {
	const char *section;
	const char *name; /* of [section "name"], else NULL */
	const char *key;
	const char *value; /* without spaces at its ends */
	unsigned line;     /* of the value */
	bool is_empty;     /* the section that begins has no values */
};

/*
 * Calls fn for every section, in their order, and after each for its values:
 * those of one key follow each other in their order. If the file is bad, fn is
 * not called. The library tells neither sections nor keys apart by case, so a
 * section that comes twice, in any case, is an error.
 */
typedef void conf_entry_fn(void *arg, const struct conf_entry *entry);
int conf_file_read(const char *path, conf_entry_fn *fn, void *arg,
		   struct err *err);

#endif

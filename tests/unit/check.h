#ifndef OIM_TEST_CHECK_H
#define OIM_TEST_CHECK_H

/* What servers and certificates of tests rely on; their threads may not fail a
 * test by cmocka's means. */

#include <stdio.h>
#include <stdlib.h>

#define CHECK(what)                                                            \
	do {                                                                   \
		if (!(what)) {                                                 \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,     \
				#what);                                        \
			abort();                                               \
		}                                                              \
	} while (0)

#endif

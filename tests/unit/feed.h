#ifndef OIM_TESTS_FEED_H
#define OIM_TESTS_FEED_H

/* What a feed of events has, as text. Includes all that it needs. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sched.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/core/events.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/units.h"

/* "kind controller object, kind controller object", of those behind a sequence.
 */
static inline const char *feed_text(struct events *e, uint64_t after,
				    struct arena *a)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct events_batch b;
	const char *text = "";

	if (events_read(e, after, NULL, 100, a, &b, &err) == -1)
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < b.n; i++)
		text = arena_printf(
			a, "%s%s%s%s%s%s%s", text, i ? ", " : "",
			b.items[i].kind, *b.items[i].controller ? " " : "",
			b.items[i].controller, *b.items[i].object ? " " : "",
			b.items[i].object);
	return text;
}

/* Waits until there are so many in all. */
static inline void feed_await(struct events *e, uint64_t n)
{
	int64_t end = units_monotonic() + 20 * UNITS_SECOND;

	while (events_last(e) < n)
		if (sched_yield() == -1 || units_monotonic() > end)
			fail_msg("only %d events", (int)events_last(e));
}

#define feed_assert(e, after, a, text)                                         \
	assert_string_equal(feed_text(e, after, a), text)

#endif

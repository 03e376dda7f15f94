/* The ring of events: numbers, bounds, filters, followers. */

#include "daemon/core/events.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"
#include "proto/lib/utf8.h"

struct fixture {
	struct events *e;
	struct arena *a;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));

	f->e = events_new();
	f->a = arena_new();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	events_free(f->e);
	arena_free(f->a);
	err_clear(&f->err);
	free(f);
	return 0;
}

/* Those behind a sequence; fails the test if they cannot be had. */
static struct events_batch read_behind(struct fixture *f, uint64_t after,
				       const struct events_filter *filter)
{
	struct events_batch batch;

	if (events_read(f->e, after, filter, 100, f->a, &batch, &f->err) == -1)
		fail_msg("%s", f->err.msg);
	return batch;
}

static int code_of(struct fixture *f, uint64_t after)
{
	struct events_batch batch;

	err_clear(&f->err);
	events_read(f->e, after, NULL, 100, f->a, &batch, &f->err);
	return f->err.code;
}

static void publish_many(struct fixture *f, int n)
{
	for (int i = 0; i < n; i++)
		events_publish(f->e, "value.set", "n1", "n1/x", "event %d", i);
}

static void test_what_is_published_is_read_in_order(void **state)
{
	struct fixture *f = *state;
	int64_t before = units_now();
	struct events_batch b;

	events_publish(f->e, "volume.mapped", "n1", "v1", "volume %s", "v1");
	events_publish(f->e, "plane.failed", "n2", NULL, "it is %d", 7);
	b = read_behind(f, 0, NULL);
	assert_int_equal(b.n, 2);
	assert_int_equal(b.position, 2);
	assert_int_equal(b.items[0].sequence, 1);
	assert_string_equal(b.items[0].kind, "volume.mapped");
	assert_string_equal(b.items[0].controller, "n1");
	assert_string_equal(b.items[0].object, "v1");
	assert_string_equal(b.items[0].message, "volume v1");
	assert_in_range(b.items[0].time, before, units_now());
	assert_int_equal(b.items[1].sequence, 2);
	assert_string_equal(b.items[1].object, "");
	assert_true(b.items[1].time >= b.items[0].time);
	assert_int_equal(read_behind(f, 1, NULL).n, 1);
	assert_int_equal(read_behind(f, 2, NULL).n, 0);
}

static void test_nobody_to_publish_to_is_fine(void **state)
{
	(void)state;
	events_publish(NULL, "value.set", NULL, NULL, "nothing");
	events_free(NULL);
}

static void test_instances_differ(void **state)
{
	struct fixture *f = *state;
	struct events *other = events_new();

	assert_int_equal(strlen(events_instance(f->e)), 16);
	assert_string_not_equal(events_instance(f->e), events_instance(other));
	events_free(other);
}

static void test_a_reader_that_has_fallen_out_is_told(void **state)
{
	struct fixture *f = *state;

	publish_many(f, EVENTS_KEPT);
	assert_int_equal(events_oldest(f->e), 0);
	assert_int_equal(code_of(f, 0), 0);
	publish_many(f, 10);
	assert_int_equal(events_oldest(f->e), 10);
	assert_int_equal(events_last(f->e), EVENTS_KEPT + 10);
	assert_int_equal(code_of(f, 9), GRPC_STATUS_OUT_OF_RANGE);
	assert_non_null(strstr(f->err.msg, "the oldest is 11"));
	assert_int_equal(code_of(f, 10), 0);
	assert_int_equal(read_behind(f, 10, NULL).items[0].sequence, 11);
	assert_int_equal(code_of(f, EVENTS_KEPT + 10), 0);
}

static void test_a_position_of_the_future_is_out_of_range(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(code_of(f, 0), 0);
	assert_int_equal(code_of(f, 1), GRPC_STATUS_OUT_OF_RANGE);
	assert_int_equal(code_of(f, UINT64_MAX), GRPC_STATUS_OUT_OF_RANGE);
}

static void test_long_events_do_not_take_more_memory(void **state)
{
	struct fixture *f = *state;
	char text[EVENTS_TEXT + 1];
	uint64_t kept;

	memset(text, 'x', EVENTS_TEXT);
	text[EVENTS_TEXT] = '\0';
	for (int i = 0; i < EVENTS_KEPT; i++)
		events_publish(f->e, "value.set", text, text, "%s", text);
	kept = events_last(f->e) - events_oldest(f->e);
	assert_in_range(kept * 3 * EVENTS_TEXT, EVENTS_BYTES * 8 / 10,
			EVENTS_BYTES);
	assert_int_equal(code_of(f, events_oldest(f->e)), 0);
}

static void test_a_text_that_is_too_long_is_cut_between_characters(void **state)
{
	struct fixture *f = *state;
	char text[3 * EVENTS_TEXT + 1] = "";
	const char *message;

	for (int i = 0; i < EVENTS_TEXT; i++)
		memcpy(text + 3 * i, "\xe2\x82\xac", 4);
	events_publish(f->e, "value.set", NULL, NULL, "a%s", text);
	events_publish(f->e, "value.set", NULL, "a\xff", "b\xff");
	message = read_behind(f, 0, NULL).items[0].message;
	assert_in_range(strlen(message), EVENTS_TEXT - 3, EVENTS_TEXT);
	assert_true(utf8_is_valid(message, strlen(message)));
	assert_string_equal(read_behind(f, 1, NULL).items[0].object, "a");
	assert_string_equal(read_behind(f, 1, NULL).items[0].message, "b");
}

static void test_a_filter_takes_kinds_and_groups_of_kinds(void **state)
{
	static const char *const kinds[] = {"volume", "value.set"};
	const struct events_filter filter = {kinds, 2, NULL};
	struct fixture *f = *state;
	struct events_batch b;

	events_publish(f->e, "volume.mapped", "n1", "1", "-");
	events_publish(f->e, "volumes.mapped", "n1", "2", "-");
	events_publish(f->e, "value.set", "n1", "3", "-");
	events_publish(f->e, "value.settled", "n1", "4", "-");
	events_publish(f->e, "value", "n1", "5", "-");
	events_publish(f->e, "volume.unmapped", "n2", "6", "-");
	events_publish(f->e, "bdev.removed", "n2", "7", "-");
	b = read_behind(f, 0, &filter);
	assert_int_equal(b.n, 3);
	assert_string_equal(b.items[0].object, "1");
	assert_string_equal(b.items[1].object, "3");
	assert_string_equal(b.items[2].object, "6");
	assert_int_equal(b.position, 7);
}

static void test_a_filter_takes_one_controller(void **state)
{
	const struct events_filter filter = {.controller = "n2"};
	struct fixture *f = *state;

	publish_many(f, 3);
	events_publish(f->e, "bdev.removed", "n2", "d", "-");
	events_publish(f->e, "bdev.removed", NULL, "d", "-");
	assert_int_equal(read_behind(f, 0, &filter).n, 1);
}

static void test_a_filter_that_finds_little_gets_on(void **state)
{
	const struct events_filter filter = {.controller = "n2"};
	struct fixture *f = *state;
	uint64_t position = 0;
	size_t found = 0;

	publish_many(f, EVENTS_KEPT - 1);
	events_publish(f->e, "bdev.removed", "n2", "d", "-");
	while (position < EVENTS_KEPT) {
		struct events_batch b = read_behind(f, position, &filter);

		assert_true(b.position > position);
		position = b.position;
		found += b.n;
	}
	assert_int_equal(found, 1);
}

static void count_wake(void *arg)
{
	++*(int *)arg;
}

static void test_a_follower_is_woken_until_it_leaves(void **state)
{
	struct fixture *f = *state;
	int one = 0, other = 0;
	struct events_follower *a = events_follow(f->e, count_wake, &one);
	struct events_follower *b = events_follow(f->e, count_wake, &other);

	publish_many(f, 3);
	events_unfollow(f->e, a);
	publish_many(f, 2);
	events_unfollow(f->e, b);
	events_unfollow(f->e, NULL);
	publish_many(f, 2);
	assert_int_equal(one, 3);
	assert_int_equal(other, 5);
}

static void *publish(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < 3 * EVENTS_KEPT; i++)
		events_publish(f->e, "value.set", "n1", "n1/x",
			       "the value of a path is %d now", i);
	return NULL;
}

/* All, or told that some are missing: never others. */
static void test_a_reader_beside_publishers_sees_each_once(void **state)
{
	struct fixture *f = *state;
	uint64_t position = 0, end = 4 * 3 * (uint64_t)EVENTS_KEPT;
	pthread_t threads[4];
	int64_t start = units_monotonic();

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, publish, f);
	while (position < end) {
		struct events_batch b;

		arena_reset(f->a);
		err_clear(&f->err);
		if (events_read(f->e, position, NULL, 100, f->a, &b, &f->err) ==
		    -1) {
			assert_int_equal(f->err.code, GRPC_STATUS_OUT_OF_RANGE);
			position = events_oldest(f->e);
			continue;
		}
		for (size_t i = 0; i < b.n; i++)
			assert_int_equal(b.items[i].sequence, ++position);
		assert_int_equal(b.position, position);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	printf("# %.0f events published in a second\n",
	       (double)end * UNITS_SECOND /
		       (double)(units_monotonic() - start));
}

#define EVENTS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		EVENTS_TEST(test_what_is_published_is_read_in_order),
		EVENTS_TEST(test_nobody_to_publish_to_is_fine),
		EVENTS_TEST(test_instances_differ),
		EVENTS_TEST(test_a_reader_that_has_fallen_out_is_told),
		EVENTS_TEST(test_a_position_of_the_future_is_out_of_range),
		EVENTS_TEST(test_long_events_do_not_take_more_memory),
		EVENTS_TEST(
			test_a_text_that_is_too_long_is_cut_between_characters),
		EVENTS_TEST(test_a_filter_takes_kinds_and_groups_of_kinds),
		EVENTS_TEST(test_a_filter_takes_one_controller),
		EVENTS_TEST(test_a_filter_that_finds_little_gets_on),
		EVENTS_TEST(test_a_follower_is_woken_until_it_leaves),
		EVENTS_TEST(test_a_reader_beside_publishers_sees_each_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

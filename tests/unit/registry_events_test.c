/* Changes of the registry as events, also where the store loses some. */

#include "daemon/core/registry_events.h"

#include "tests/unit/feed.h"
#include "tests/unit/registry.h"

/* --- a store whose watch can be cut off --- */

struct tap {
	struct store_watch base;
	struct store_watch *inner;
	void (*fn)(void *arg, const struct store_change *change);
	void *arg;
};

static struct {
	pthread_mutex_t mu;
	struct tap *tap;
	bool is_cut; /* changes are not told any more */
	bool fails;  /* there are no new watches */
} taps = {.mu = PTHREAD_MUTEX_INITIALIZER};

static void pass(void *arg, const struct store_change *change)
{
	struct tap *t = arg;

	pthread_mutex_lock(&taps.mu);
	if (!taps.is_cut)
		t->fn(t->arg, change);
	pthread_mutex_unlock(&taps.mu);
}

static struct store_watch *tap_watch(
	struct store *s, const char *prefix, int64_t from,
	void (*fn)(void *arg, const struct store_change *change), void *arg,
	struct err *err)
{
	struct tap *t;

	pthread_mutex_lock(&taps.mu);
	if (taps.fails) {
		pthread_mutex_unlock(&taps.mu);
		err_set(err, GRPC_STATUS_UNAVAILABLE, "the store is away");
		return NULL;
	}
	t = mem_zalloc(1, sizeof(*t));
	t->base.store = s;
	t->fn = fn;
	t->arg = arg;
	taps.tap = t;
	taps.is_cut = false;
	pthread_mutex_unlock(&taps.mu);
	t->inner = store_watch(((struct faulty_store *)s)->disk, prefix, from,
			       pass, t, err);
	return &t->base;
}

static void tap_unwatch(struct store_watch *w)
{
	struct tap *t = (struct tap *)w;

	store_unwatch(t->inner);
	pthread_mutex_lock(&taps.mu);
	if (taps.tap == t)
		taps.tap = NULL;
	pthread_mutex_unlock(&taps.mu);
	free(t);
}

/* From now on changes get lost. */
static void cut(void)
{
	pthread_mutex_lock(&taps.mu);
	taps.is_cut = true;
	pthread_mutex_unlock(&taps.mu);
}

/* That they are lost is told. */
static void tell_gone(bool fails)
{
	pthread_mutex_lock(&taps.mu);
	taps.fails = fails;
	taps.tap->fn(taps.tap->arg, &(struct store_change){.gone = true});
	pthread_mutex_unlock(&taps.mu);
}

static void mend(void)
{
	pthread_mutex_lock(&taps.mu);
	taps.fails = false;
	pthread_mutex_unlock(&taps.mu);
}

/* --- fixture --- */

static struct store_engine engine;
static struct events *events;
static struct registry_events *feed;

static int open_feed(void **state)
{
	struct fixture *f;

	setup(state);
	f = *state;
	engine = faulty_engine;
	engine.watch = tap_watch;
	engine.unwatch = tap_unwatch;
	f->store.store.engine = &engine;
	events = events_new();
	feed = registry_events_start(&f->store.store, events, &f->err);
	assert_non_null(feed);
	return 0;
}

static int close_feed(void **state)
{
	registry_events_stop(feed);
	events_free(events);
	return teardown(state);
}

/* --- tests --- */

static void test_entries_come_move_and_go(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, "n1", "dns:///a:1"), 0);
	assert_int_equal(reg(f, "n1", "dns:///a:1"), 0);
	assert_int_equal(reg(f, "n1", "dns:///b:1"), 0);
	assert_int_equal(set(f, "n1/address", "dns:///c:1"), 0);
	assert_int_equal(reg(f, "n1", ""), 0);
	assert_int_equal(reg(f, "n1", ""), 0);
	assert_int_equal(set(f, "/n1//address", "dns:///d:1"), 0);
	feed_await(events, 5);
	feed_assert(events, 0, f->arena,
		    "controller.registered n1, controller.moved n1, "
		    "controller.moved n1, controller.removed n1, "
		    "controller.registered n1");
}

static void test_the_message_has_the_new_address(void **state)
{
	struct fixture *f = *state;
	struct events_batch b;

	assert_int_equal(reg(f, "n1", "dns:///a:1"), 0);
	assert_int_equal(reg(f, "n1", "dns:///b:1"), 0);
	feed_await(events, 2);
	assert_int_equal(events_read(events, 0, NULL, 9, f->arena, &b, &f->err),
			 0);
	assert_string_equal(b.items[0].message,
			    "controller \"n1\" is registered at dns:///a:1");
	assert_string_equal(b.items[1].message,
			    "controller \"n1\" is now at dns:///b:1");
}

static void test_values_are_set_and_removed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set(f, "n1/pci", "00:15.0"), 0);
	assert_int_equal(set(f, "n1/pci", "00:16.0"), 0);
	assert_int_equal(set(f, "n1/a/address", "x"), 0);
	assert_int_equal(set(f, "n1/pci", ""), 0);
	assert_int_equal(set(f, "lone", "x"), 0);
	feed_await(events, 5);
	feed_assert(events, 0, f->arena,
		    "value.set n1 n1/pci, value.set n1 n1/pci, "
		    "value.set n1 n1/a/address, value.removed n1 n1/pci, "
		    "value.set lone lone");
}

static void test_what_is_no_part_of_the_registry_is_not_told(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store_put(f->store.disk, "alive/n1", "", 0, &f->err),
			 0);
	assert_int_equal(store_put(f->store.disk, "bdevs/n1/d", "", 0, &f->err),
			 0);
	assert_int_equal(reg(f, "n1", "x"), 0);
	feed_await(events, 1);
	feed_assert(events, 0, f->arena, "controller.registered n1");
}

static void test_what_is_there_at_start_is_not_news(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, "n1", "x"), 0);
	feed_await(events, 1);
	registry_events_stop(feed);
	feed = registry_events_start(&f->store.store, events, &f->err);
	assert_int_equal(reg(f, "n1", "y"), 0);
	feed_await(events, 2);
	feed_assert(events, 1, f->arena, "controller.moved n1");
}

static void test_what_the_store_lost_is_told_from_a_list(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, "a", "x"), 0);
	assert_int_equal(reg(f, "b", "x"), 0);
	assert_int_equal(reg(f, "c", "x"), 0);
	feed_await(events, 3);
	cut();
	assert_int_equal(reg(f, "b", "y"), 0);
	assert_int_equal(reg(f, "c", ""), 0);
	assert_int_equal(reg(f, "d", "x"), 0);
	tell_gone(false);
	feed_await(events, 6);
	assert_int_equal(reg(f, "e", "x"), 0);
	feed_await(events, 7);
	feed_assert(events, 3, f->arena,
		    "controller.moved b, controller.registered d, "
		    "registry.missed, controller.registered e");
}

static void test_a_store_that_is_away_does_not_end_the_feed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, "a", "x"), 0);
	feed_await(events, 1);
	cut();
	tell_gone(true);
	assert_int_equal(reg(f, "b", "x"), 0);
	mend();
	feed_await(events, 3);
	assert_int_equal(reg(f, "c", "x"), 0);
	feed_await(events, 4);
	feed_assert(events, events_last(events) - 1, f->arena,
		    "controller.registered c");
}

/* More than are read at once. */
static void test_a_large_registry_is_listed_in_pages(void **state)
{
	struct fixture *f = *state;
	char id[16];

	cut();
	for (int i = 0; i < 600; i++) {
		snprintf(id, sizeof(id), "n%03d", i);
		assert_int_equal(reg(f, id, "x"), 0);
	}
	tell_gone(false);
	feed_await(events, 601);
	feed_assert(events, 599, f->arena,
		    "controller.registered n599, registry.missed");
}

static void test_a_damaged_record_is_told_as_such(void **state)
{
	struct fixture *f = *state;
	struct events_batch b;

	assert_int_equal(store_put(f->store.disk, "controllers/n1/address",
				   "\xff", 1, &f->err),
			 0);
	feed_await(events, 1);
	assert_int_equal(events_read(events, 0, NULL, 9, f->arena, &b, &f->err),
			 0);
	assert_non_null(strstr(b.items[0].message, "damaged"));
}

#define FEED_TEST(f) cmocka_unit_test_setup_teardown(f, open_feed, close_feed)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FEED_TEST(test_entries_come_move_and_go),
		FEED_TEST(test_the_message_has_the_new_address),
		FEED_TEST(test_values_are_set_and_removed),
		FEED_TEST(test_what_is_no_part_of_the_registry_is_not_told),
		FEED_TEST(test_what_is_there_at_start_is_not_news),
		FEED_TEST(test_what_the_store_lost_is_told_from_a_list),
		FEED_TEST(test_a_store_that_is_away_does_not_end_the_feed),
		FEED_TEST(test_a_large_registry_is_listed_in_pages),
		FEED_TEST(test_a_damaged_record_is_told_as_such),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

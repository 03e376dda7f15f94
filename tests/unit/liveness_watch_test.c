/* Daemons that watch who is alive. */

#include "daemon/core/liveness_watch.h"

#include <sched.h>

#include "daemon/core/liveness.h"
#include "proto/lib/units.h"
#include "tests/unit/registry.h"

#define PATIENCE (20 * UNITS_SECOND)

static void must(struct fixture *f, int code)
{
	if (code)
		fail_msg("%s", f->err.msg);
}

static struct liveness_watch *start(struct store *store)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct liveness_watch *w = liveness_watch_start(store, NULL, &err);

	assert_non_null(w);
	return w;
}

static void alive(struct fixture *f, const char *id)
{
	must(f, reg_alive(f, f->r, id, "host:1", "30", "a"));
}

/* As if it had not registered in time. */
static void end_lease(struct fixture *f, const char *id)
{
	struct liveness l;

	err_clear(&f->err);
	must(f, liveness_read(f->store.disk, id, f->arena, &l, &f->err));
	must(f, store_lease_revoke(f->store.disk, l.lease, &f->err));
}

static int64_t revision(struct fixture *f)
{
	struct store_status status;

	must(f, store_check(f->store.disk, &status, &f->err));
	return status.revision;
}

static void wait_for(struct liveness_watch *w, const char *id, bool is_lost)
{
	int64_t until = units_monotonic() + PATIENCE;

	while (!liveness_watch_seen(w, id) == is_lost) {
		assert_true(units_monotonic() < until);
		sched_yield();
	}
}

static void test_who_does_not_register_in_time_is_lost(void **state)
{
	struct fixture *f = *state;
	struct liveness_watch *w = start(f->store.disk);

	alive(f, "k1");
	alive(f, "k2");
	end_lease(f, "k1");
	wait_for(w, "k1", true);
	assert_int_equal(liveness_watch_seen(w, "k2"), 0);
	assert_int_equal(liveness_watch_lost(w), 1);
	assert_string_equal(entries(f), "k1=host:1,k2=host:1");
	alive(f, "k1");
	wait_for(w, "k1", false);
	assert_int_equal(liveness_watch_lost(w), 0);
	liveness_watch_stop(w);
}

static void test_one_of_several_daemons_marks_it_and_all_know(void **state)
{
	struct fixture *f = *state;
	struct liveness_watch *all[4];
	int64_t before;

	for (int i = 0; i < 4; i++)
		all[i] = start(f->store.disk);
	alive(f, "k1");
	before = revision(f);
	end_lease(f, "k1");
	for (int i = 0; i < 4; i++)
		wait_for(all[i], "k1", true);
	for (int i = 0; i < 4; i++)
		liveness_watch_stop(all[i]);
	/* the end of the lease, and the mark */
	assert_int_equal(revision(f), before + 2);
}

static void test_who_is_removed_on_purpose_is_not_lost(void **state)
{
	struct fixture *f = *state;
	struct liveness_watch *w = start(f->store.disk);

	alive(f, "k1");
	alive(f, "k2");
	alive(f, "k3");
	must(f, reg(f, "k1", ""));
	must(f, reg(f, "k2", "host:1"));
	end_lease(f, "k3");
	wait_for(w, "k3", true);
	assert_int_equal(liveness_watch_lost(w), 1);
	liveness_watch_stop(w);
}

static void test_a_lost_one_that_is_unregistered_is_forgotten(void **state)
{
	struct fixture *f = *state;
	struct liveness_watch *w = start(f->store.disk);

	alive(f, "k1");
	end_lease(f, "k1");
	wait_for(w, "k1", true);
	must(f, reg(f, "k1", ""));
	wait_for(w, "k1", false);
	liveness_watch_stop(w);
}

static void test_who_ended_while_nobody_watched_is_marked_at_start(void **state)
{
	struct fixture *f = *state;
	struct liveness_watch *w;

	alive(f, "k1");
	alive(f, "k2");
	must(f, reg(f, "k3", "host:1"));
	end_lease(f, "k1");
	w = start(f->store.disk);
	wait_for(w, "k1", true);
	liveness_watch_stop(w);
	/* and known at the next start */
	w = start(f->store.disk);
	wait_for(w, "k1", true);
	assert_int_equal(liveness_watch_lost(w), 1);
	liveness_watch_stop(w);
}

static void test_a_watch_that_is_gone_is_begun_anew(void **state)
{
	static const struct store_change gone = {.gone = true};
	struct fixture *f = *state;
	struct liveness_watch *w;

	alive(f, "k1");
	alive(f, "k2");
	end_lease(f, "k1");
	f->store.is_mute = true;
	f->store.writes = 0;
	w = start(&f->store.store);
	/* it has watched, and has looked at what there is */
	while (!f->store.writes)
		sched_yield();
	end_lease(f, "k2");
	f->store.is_mute = false;
	f->store.watcher(f->store.watcher_arg, &gone);
	wait_for(w, "k1", true);
	wait_for(w, "k2", true);
	alive(f, "k1");
	wait_for(w, "k1", false);
	liveness_watch_stop(w);
}

static void test_what_a_store_that_was_away_has_seen_is_found(void **state)
{
	struct fixture *f = *state;
	struct liveness_watch *w = start(&f->store.store);

	alive(f, "k1");
	f->store.is_unreadable = true;
	end_lease(f, "k1");
	f->store.is_unreadable = false;
	wait_for(w, "k1", true);
	liveness_watch_stop(w);
	f->store.is_unreadable = true;
	w = start(&f->store.store);
	assert_int_equal(liveness_watch_lost(w), 0);
	f->store.is_unreadable = false;
	wait_for(w, "k1", true);
	liveness_watch_stop(w);
}

static void assert_once(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	if (!at || strstr(at + 1, line))
		fail_msg("not once: \"%s\" in\n%s", line, text);
}

static void test_each_turn_is_told_once(void **state)
{
	CLEANUP(cleanup_free) char *text = NULL;
	struct fixture *f = *state;
	struct liveness_watch *w;
	struct log_capture log;

	alive(f, "k0");
	end_lease(f, "k0");
	log_set_level(LOG_LEVEL_INFO);
	log_capture_begin(&log);
	w = start(f->store.disk);
	wait_for(w, "k0", true);
	alive(f, "k1");
	for (int i = 0; i < 4; i++)
		must(f, reg_alive(f, f->r, "k1", "host:1", "30",
				  i & 1 ? "a" : "b"));
	end_lease(f, "k1");
	wait_for(w, "k1", true);
	alive(f, "k1");
	wait_for(w, "k1", false);
	liveness_watch_stop(w);
	text = log_capture_end(&log);
	assert_once(text, "two controllers register as \"k1\" in turn");
	assert_once(
		text,
		"controller \"k0\" is lost: it has not registered since 20");
	assert_once(
		text,
		"controller \"k1\" is lost: it has not registered since 20");
	assert_once(text, "controller \"k1\" is not lost any more\n");
}

static void test_nobody_watches_for_nobody(void **state)
{
	(void)state;
	liveness_watch_stop(NULL);
	assert_int_equal(liveness_watch_seen(NULL, "k1"), 0);
	assert_int_equal(liveness_watch_lost(NULL), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		REGISTRY_TEST(test_who_does_not_register_in_time_is_lost),
		REGISTRY_TEST(
			test_one_of_several_daemons_marks_it_and_all_know),
		REGISTRY_TEST(test_who_is_removed_on_purpose_is_not_lost),
		REGISTRY_TEST(
			test_a_lost_one_that_is_unregistered_is_forgotten),
		REGISTRY_TEST(
			test_who_ended_while_nobody_watched_is_marked_at_start),
		REGISTRY_TEST(test_a_watch_that_is_gone_is_begun_anew),
		REGISTRY_TEST(
			test_what_a_store_that_was_away_has_seen_is_found),
		REGISTRY_TEST(test_each_turn_is_told_once),
		REGISTRY_TEST(test_nobody_watches_for_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

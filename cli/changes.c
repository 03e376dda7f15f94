/* Following events to know when to list again. */

#include "cli/changes.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "cli/ask.h"
#include "cli/dialect.h"
#include "cli/feed.h"
#include "cli/interrupt.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/client.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

/* Controllers that are followed; of more, it is looked now and then. */
#define MAX_FOLLOWED 64

/* Between two looks where nobody tells of changes, and at least between any
 * two: what happens meanwhile is seen in one. */
#define POLL_PERIOD (2 * UNITS_SECOND)
#define LEAST_PAUSE (UNITS_SECOND / 10)

/* What one look may take. */
#define ROUND (30 * UNITS_SECOND)

/* Whose events are followed, by a thread. */
struct source {
	SLIST_ENTRY(source) siblings;
	struct changes *changes;
	char *controller; /* NULL: the server's own */
	pthread_t thread;
};

struct changes {
	const struct task *task;
	SLIST_HEAD(, source) sources; /* of the thread that began */
	size_t n;
	int64_t last; /* when it was last time to list */

	pthread_mutex_t mu; /* of all below */
	pthread_cond_t news;
	size_t running;  /* threads */
	bool is_changed; /* since it was last told */
	bool has_begun;  /* the server's own feed has */
	bool polls;      /* not all is told by events */
	bool stop;
	struct err err; /* why it cannot go on */
};

int64_t changes_deadline(const struct task *t)
{
	return t->settings.all[SETTING_TIMEOUT].rank == RANK_BUILT_IN
		       ? 0
		       : t->deadline;
}

int64_t changes_round(int64_t deadline)
{
	int64_t end = units_monotonic() + ROUND;

	return deadline && deadline < end ? deadline : end;
}

bool changes_can_pass(const struct err *err, int64_t deadline)
{
	return err->code == GRPC_STATUS_UNAVAILABLE ||
	       (err->code == GRPC_STATUS_DEADLINE_EXCEEDED &&
		(!deadline || units_monotonic() < deadline));
}

/* Waits with the lock held; false if that time has come. */
static bool wait_until(struct changes *c, int64_t time)
{
	struct timespec ts = {time / UNITS_SECOND, time % UNITS_SECOND};

	if (!time)
		return pthread_cond_wait(&c->news, &c->mu) == 0;
	return pthread_cond_clockwait(&c->news, &c->mu, CLOCK_MONOTONIC, &ts) !=
	       ETIMEDOUT;
}

/* --- threads --- */

/* Nobody wakes it at a Ctrl-C, so it looks. */
static bool pause_source(void *arg, int64_t ns)
{
	struct changes *c = arg;
	int64_t end = units_monotonic() + ns, now;
	bool stop = false;

	pthread_mutex_lock(&c->mu);
	while (!stop && (now = units_monotonic()) < end) {
		wait_until(c,
			   now + LEAST_PAUSE < end ? now + LEAST_PAUSE : end);
		stop = c->stop || interrupt_wait(0);
	}
	pthread_mutex_unlock(&c->mu);
	return !stop;
}

/* The server itself, not only a controller that it reaches. */
static bool is_server(const struct source *s)
{
	return !s->controller || task_controller(s->changes->task);
}

static void note_change(struct source *s, enum feed_news news)
{
	struct changes *c = s->changes;

	pthread_mutex_lock(&c->mu);
	c->is_changed = true;
	if (is_server(s))
		c->has_begun |= news == FEED_BEGUN;
	pthread_cond_broadcast(&c->news);
	pthread_mutex_unlock(&c->mu);
}

/* Whether it is over for all; else nobody tells events there, and the rest goes
 * on. */
static bool is_fatal(const struct changes *c, const struct err *err)
{
	return err->code == GRPC_STATUS_CANCELLED ||
	       (err->code == GRPC_STATUS_UNAVAILABLE && !c->has_begun);
}

static void note_end(struct changes *c, struct err *err)
{
	pthread_mutex_lock(&c->mu);
	if (!c->stop && !c->err.code && is_fatal(c, err))
		err_move(&c->err, err);
	c->polls = c->has_begun = true;
	c->is_changed = true;
	c->running--;
	pthread_cond_broadcast(&c->news);
	pthread_mutex_unlock(&c->mu);
}

static bool is_stopping(struct changes *c)
{
	bool stop;

	pthread_mutex_lock(&c->mu);
	stop = c->stop;
	pthread_mutex_unlock(&c->mu);
	return stop;
}

static void *run(void *arg)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct source *s = arg;
	const struct feed_config config = {
		.controller = s->controller,
		.is_needed = is_server(s),
		.pause = pause_source,
		.arg = s->changes,
	};
	struct feed *feed = feed_new(s->changes->task, &config);
	const Oim__Admin__V1__WatchEventsReply *reply;
	int news;

	while (!is_stopping(s->changes) &&
	       (news = feed_next(feed, a, &reply, &err)) != -1) {
		note_change(s, news);
		arena_reset(a);
	}
	feed_free(feed);
	note_end(s->changes, &err);
	return NULL;
}

static int add_source(struct changes *c, const char *controller,
		      struct err *err)
{
	struct source *s = mem_zalloc(1, sizeof(*s));

	s->changes = c;
	s->controller = mem_strdup(controller);
	pthread_mutex_lock(&c->mu);
	errno = pthread_create(&s->thread, NULL, run, s);
	c->running += !errno;
	pthread_mutex_unlock(&c->mu);
	if (errno) {
		err_errno(err, "cannot start a thread");
		free(s->controller);
		free(s);
		return -1;
	}
	SLIST_INSERT_HEAD(&c->sources, s, siblings);
	c->n++;
	return 0;
}

/* --- beginning and ending --- */

static int wait_for_begin(struct changes *c, int64_t deadline, struct err *err)
{
	bool is_late = false;

	pthread_mutex_lock(&c->mu);
	while (!c->has_begun && !is_late)
		is_late = !wait_until(c, deadline);
	c->is_changed = false;
	err_move(err, &c->err);
	pthread_mutex_unlock(&c->mu);
	if (is_late)
		err_set(err, GRPC_STATUS_DEADLINE_EXCEEDED,
			"no answer from the server in time");
	return err->code ? -1 : 0;
}

struct changes *changes_begin(struct task *t, struct err *err)
{
	struct changes *c;

	if (!ask_client(t, err))
		return NULL;
	c = mem_zalloc(1, sizeof(*c));
	c->task = t;
	SLIST_INIT(&c->sources);
	pthread_mutex_init(&c->mu, NULL);
	pthread_cond_init(&c->news, NULL);
	t->answered = true;
	if (add_source(c, task_controller(t), err) == -1 ||
	    wait_for_begin(c, changes_round(changes_deadline(t)), err) == -1) {
		changes_end(c);
		return NULL;
	}
	c->last = units_monotonic();
	return c;
}

/* One that begins its call just now is not cancelled by the first attempt. */
static void stop_threads(struct changes *c)
{
	struct client *client = c->task->session->connection.client;

	pthread_mutex_lock(&c->mu);
	c->stop = true;
	pthread_cond_broadcast(&c->news);
	while (c->running) {
		pthread_mutex_unlock(&c->mu);
		client_cancel(client);
		pthread_mutex_lock(&c->mu);
		if (c->running)
			wait_until(c, units_monotonic() + UNITS_SECOND / 100);
	}
	pthread_mutex_unlock(&c->mu);
}

void changes_end(struct changes *c)
{
	struct source *s;

	if (!c)
		return;
	stop_threads(c);
	while ((s = SLIST_FIRST(&c->sources))) {
		SLIST_REMOVE_HEAD(&c->sources, siblings);
		pthread_join(s->thread, NULL);
		free(s->controller);
		free(s);
	}
	err_clear(&c->err);
	pthread_cond_destroy(&c->news);
	pthread_mutex_destroy(&c->mu);
	free(c);
}

/* --- whom to follow --- */

static bool is_followed(const struct changes *c, const char *controller)
{
	const struct source *s;

	SLIST_FOREACH(s, &c->sources, siblings)
	if (s->controller && strcmp(s->controller, controller) == 0)
		return true;
	return false;
}

static int follow(struct changes *c, const char *controller, struct err *err)
{
	if (is_followed(c, controller))
		return 0;
	if (c->n < MAX_FOLLOWED)
		return add_source(c, controller, err);
	pthread_mutex_lock(&c->mu);
	c->polls = true;
	pthread_mutex_unlock(&c->mu);
	return 0;
}

int changes_follow_all(struct changes *c, struct task *t, struct err *err)
{
	struct entry *entries;
	size_t n;

	if (task_controller(t))
		return 0;
	if (dialect_entries(t, &entries, &n, err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (!entries[i].here && follow(c, entries[i].id, err) == -1)
			return -1;
	return 0;
}

/* --- waiting --- */

static int64_t earlier(int64_t a, int64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/* Until there is a change, or none but time to look; needs the lock. */
static void wait_for_change(struct changes *c, int64_t deadline)
{
	while (!c->is_changed && !c->err.code) {
		int64_t poll = c->polls ? c->last + POLL_PERIOD : 0;

		if (!wait_until(c, earlier(deadline, poll)))
			break;
	}
}

int changes_wait(struct changes *c, int64_t deadline, struct err *err)
{
	int64_t soon = earlier(deadline, c->last + LEAST_PAUSE);
	bool is_late;

	pthread_mutex_lock(&c->mu);
	wait_for_change(c, deadline);
	while (!c->err.code && wait_until(c, soon))
		;
	err_move(err, &c->err);
	c->is_changed = false;
	pthread_mutex_unlock(&c->mu);
	c->last = units_monotonic();
	is_late = deadline && c->last >= deadline;
	if (err->code)
		return -1;
	return is_late ? 0 : 1;
}

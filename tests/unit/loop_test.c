/* The loop: what other threads give it, what it does of its own accord. */

#include "daemon/rpc/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <grpc/grpc.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

#define THREADS 4
#define TASKS   1000

struct fixture {
	struct loop *loop;
	pthread_mutex_t mu;
	pthread_cond_t changed;
	int n;      /* things that happened */
	bool order; /* in the order that they should */
	struct poster {
		struct fixture *f;
		struct item {
			struct task task;
			struct poster *poster;
			int number;
		} items[TASKS];
		int next;
	} posters[THREADS];
};

static int setup(void **state)
{
	struct fixture *f = mem_zalloc(1, sizeof(*f));

	grpc_init();
	f->loop = loop_new();
	f->order = true;
	pthread_mutex_init(&f->mu, NULL);
	pthread_cond_init(&f->changed, NULL);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_stop(f->loop);
	loop_free(f->loop);
	grpc_shutdown();
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->mu);
	free(f);
	return 0;
}

static void start(struct fixture *f)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_int_equal(loop_start(f->loop, &err), 0);
}

static void happens(struct fixture *f)
{
	pthread_mutex_lock(&f->mu);
	f->n++;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->mu);
}

static void await(struct fixture *f, int n)
{
	pthread_mutex_lock(&f->mu);
	while (f->n < n)
		pthread_cond_wait(&f->changed, &f->mu);
	pthread_mutex_unlock(&f->mu);
}

/* --- */

static void on_item(void *arg)
{
	struct item *item = arg;
	struct poster *p = item->poster;

	if (item->number != p->next++)
		p->f->order = false;
	happens(p->f);
}

static void *post_all(void *arg)
{
	struct poster *p = arg;

	for (int i = 0; i < TASKS; i++) {
		p->items[i].poster = p;
		p->items[i].number = i;
		p->items[i].task = (struct task){on_item, &p->items[i], NULL};
		loop_post(p->f->loop, &p->items[i].task);
	}
	return NULL;
}

static void test_tasks_of_any_thread_run_in_their_order(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[THREADS];

	start(f);
	for (int i = 0; i < THREADS; i++) {
		f->posters[i].f = f;
		assert_int_equal(pthread_create(&threads[i], NULL, post_all,
						&f->posters[i]),
				 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	await(f, THREADS * TASKS);
	assert_true(f->order);
}

static void test_what_is_posted_before_the_start_runs_after_it(void **state)
{
	struct fixture *f = *state;

	f->posters[0].f = f;
	post_all(&f->posters[0]);
	assert_int_equal(f->n, 0);
	start(f);
	await(f, TASKS);
	assert_true(f->order);
}

static void test_a_loop_that_never_ran_can_be_stopped(void **state)
{
	struct fixture *f = *state;

	f->posters[0].f = f;
	post_all(&f->posters[0]);
	assert_int_equal(f->n, 0); /* teardown() stops it */
}

/* A task that posts itself again. */
struct again {
	struct task task;
	struct fixture *f;
	pthread_t thread;
	int left;
};

static void post_again(void *arg)
{
	struct again *a = arg;

	a->f->order &= pthread_equal(a->thread, pthread_self()) || !a->f->n;
	a->thread = pthread_self();
	happens(a->f);
	if (--a->left)
		loop_post(a->f->loop, &a->task);
}

static void test_a_task_may_be_posted_by_itself(void **state)
{
	struct fixture *f = *state;
	struct again a = {.f = f, .left = TASKS};

	a.task = (struct task){post_again, &a, NULL};
	start(f);
	loop_post(f->loop, &a.task);
	await(f, TASKS);
	assert_true(f->order); /* all by one thread */
}

static void on_time(void *arg)
{
	happens(arg);
}

static void test_a_timer_comes_again_and_again(void **state)
{
	struct fixture *f = *state;
	int64_t begin = units_monotonic();

	loop_every(f->loop, UNITS_SECOND / 100, on_time, f);
	start(f);
	await(f, 5);
	assert_true(units_monotonic() - begin >= 5 * UNITS_SECOND / 100);
}

struct busy {
	struct task task;
	struct fixture *f;
};

/* Keeps the loop busy until the timer has come five times. */
static void be_busy(void *arg)
{
	struct busy *b = arg;
	int n;

	pthread_mutex_lock(&b->f->mu);
	n = b->f->n;
	pthread_mutex_unlock(&b->f->mu);
	if (n < 5)
		loop_post(b->f->loop, &b->task);
	else
		happens(b->f);
}

static void test_a_timer_comes_while_the_loop_is_busy(void **state)
{
	struct fixture *f = *state;
	struct busy b = {.f = f};

	b.task = (struct task){be_busy, &b, NULL};
	loop_every(f->loop, UNITS_SECOND / 100, on_time, f);
	start(f);
	loop_post(f->loop, &b.task);
	await(f, 6);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tasks_of_any_thread_run_in_their_order),
		TEST(test_what_is_posted_before_the_start_runs_after_it),
		TEST(test_a_loop_that_never_ran_can_be_stopped),
		TEST(test_a_task_may_be_posted_by_itself),
		TEST(test_a_timer_comes_again_and_again),
		TEST(test_a_timer_comes_while_the_loop_is_busy),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}

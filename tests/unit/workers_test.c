/* The pool of workers: who runs, who waits, who is refused. */

#include "daemon/rpc/workers.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MAX_JOBS 8

/* Jobs that stay until they are let go, and what is known of them. */
struct crowd {
	pthread_mutex_t mu;
	pthread_cond_t changed;
	int arrived, left, allowed; /* to leave */
	struct visitor {
		struct job job;
		struct crowd *crowd;
		int rank; /* by arrival, from 1 on */
	} visitors[MAX_JOBS];
};

static void visit(void *arg)
{
	struct visitor *v = arg;
	struct crowd *c = v->crowd;

	pthread_mutex_lock(&c->mu);
	v->rank = ++c->arrived;
	pthread_cond_broadcast(&c->changed);
	while (c->allowed < v->rank)
		pthread_cond_wait(&c->changed, &c->mu);
	c->left++;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->mu);
}

static void crowd_init(struct crowd *c)
{
	*c = (struct crowd){.mu = PTHREAD_MUTEX_INITIALIZER,
			    .changed = PTHREAD_COND_INITIALIZER};
	for (int i = 0; i < MAX_JOBS; i++) {
		c->visitors[i].crowd = c;
		c->visitors[i].job = (struct job){visit, &c->visitors[i], NULL};
	}
}

static void allow(struct crowd *c, int n)
{
	pthread_mutex_lock(&c->mu);
	c->allowed = n;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->mu);
}

/* Waits until so many have arrived and so many have left. */
static void await(struct crowd *c, int arrived, int left)
{
	pthread_mutex_lock(&c->mu);
	while (c->arrived < arrived || c->left < left)
		pthread_cond_wait(&c->changed, &c->mu);
	assert_int_equal(c->arrived, arrived);
	pthread_mutex_unlock(&c->mu);
}

static void test_as_many_jobs_run_at_once_as_there_are_threads(void **state)
{
	struct workers *w = workers_new(3, MAX_JOBS);
	struct crowd c;

	(void)state;
	crowd_init(&c);
	for (int i = 0; i < 5; i++)
		assert_true(workers_add(w, &c.visitors[i].job));
	await(&c, 3, 0);
	allow(&c, 1);
	await(&c, 4, 1);
	allow(&c, MAX_JOBS);
	workers_free(w);
	assert_int_equal(c.left, 5);
}

static void test_jobs_begin_in_the_order_that_they_came(void **state)
{
	struct workers *w = workers_new(1, MAX_JOBS);
	struct crowd c;

	(void)state;
	crowd_init(&c);
	for (int i = 0; i < 5; i++)
		assert_true(workers_add(w, &c.visitors[i].job));
	allow(&c, MAX_JOBS);
	workers_free(w);
	for (int i = 0; i < 5; i++)
		assert_int_equal(c.visitors[i].rank, i + 1);
}

static void test_a_job_is_refused_when_as_many_wait_as_may(void **state)
{
	struct workers *w = workers_new(1, 2);
	struct crowd c;

	(void)state;
	crowd_init(&c);
	assert_true(workers_add(w, &c.visitors[0].job));
	await(&c, 1, 0);
	assert_true(workers_add(w, &c.visitors[1].job));
	assert_true(workers_add(w, &c.visitors[2].job));
	assert_false(workers_add(w, &c.visitors[3].job));
	allow(&c, 1);
	await(&c, 2, 1);
	assert_true(workers_add(w, &c.visitors[3].job));
	allow(&c, MAX_JOBS);
	workers_free(w);
	assert_int_equal(c.left, 4);
}

static void test_a_job_that_a_thread_is_free_for_does_not_wait(void **state)
{
	struct workers *w = workers_new(4, 1);
	struct crowd c;

	(void)state;
	crowd_init(&c);
	for (int i = 0; i < 5; i++)
		assert_true(workers_add(w, &c.visitors[i].job));
	assert_false(workers_add(w, &c.visitors[5].job));
	await(&c, 4, 0);
	allow(&c, MAX_JOBS);
	workers_free(w);
	assert_int_equal(c.left, 5);
}

/* A job that notes who ran it. */
struct diary {
	struct job job;
	struct crowd *crowd;
	pthread_t thread;
};

static void note(void *arg)
{
	struct diary *d = arg;

	d->thread = pthread_self();
	pthread_mutex_lock(&d->crowd->mu);
	d->crowd->left++;
	pthread_cond_broadcast(&d->crowd->changed);
	pthread_mutex_unlock(&d->crowd->mu);
}

static void test_jobs_one_by_one_do_not_go_round_all_threads(void **state)
{
	struct workers *w = workers_new(MAX_JOBS, MAX_JOBS);
	pthread_t seen[MAX_JOBS];
	struct crowd c;
	int n = 0;

	(void)state;
	crowd_init(&c);
	for (int i = 0; i < MAX_JOBS; i++)
		assert_true(workers_add(w, &c.visitors[i].job));
	await(&c, MAX_JOBS, 0);
	allow(&c, MAX_JOBS);
	await(&c, MAX_JOBS, MAX_JOBS);
	for (int i = 0; i < 100; i++) {
		struct diary d = {.job = {note, &d, NULL}, .crowd = &c};
		int k = 0;

		assert_true(workers_add(w, &d.job));
		await(&c, MAX_JOBS, MAX_JOBS + i + 1);
		while (k < n && !pthread_equal(seen[k], d.thread))
			k++;
		if (k == n)
			seen[n++] = d.thread;
	}
	workers_free(w);
	assert_in_range(n, 1, MAX_JOBS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_as_many_jobs_run_at_once_as_there_are_threads),
		cmocka_unit_test(test_jobs_begin_in_the_order_that_they_came),
		cmocka_unit_test(
			test_a_job_is_refused_when_as_many_wait_as_may),
		cmocka_unit_test(
			test_a_job_that_a_thread_is_free_for_does_not_wait),
		cmocka_unit_test(
			test_jobs_one_by_one_do_not_go_round_all_threads),
	};

	return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}

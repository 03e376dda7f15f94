/* One question to all controllers. */

#include "cli/everywhere.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cli/dialect.h"
#include "cli/hints.h"
#include "cli/interrupt.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define MAX_THREADS 32

static const Oim__Admin__V1__ListBDevsRequest bdevs_request =
	OIM__ADMIN__V1__LIST_BDEVS_REQUEST__INIT;

const struct ask everywhere_bdevs = {
	.method = "/oim.admin.v1.Admin/ListBDevs",
	.request = &bdevs_request.base,
	.reply = &oim__admin__v1__list_bdevs_reply__descriptor,
};

static const Oim__Admin__V1__ListMappingsRequest mappings_request =
	OIM__ADMIN__V1__LIST_MAPPINGS_REQUEST__INIT;

const struct ask everywhere_mappings = {
	.method = "/oim.admin.v1.Admin/ListMappings",
	.request = &mappings_request.base,
	.reply = &oim__admin__v1__list_mappings_reply__descriptor,
};

/* A call, and what came of it. */
struct question {
	const char *target; /* for errors */
	struct ask what;
	struct arena *arena;
	void *reply;
	struct err err;
};

struct questions {
	const struct task *task;
	struct question *all;
	size_t n;
	atomic_size_t next;
};

static void *work(void *arg)
{
	struct questions *q = arg;
	size_t i;

	while ((i = atomic_fetch_add(&q->next, 1)) < q->n) {
		struct question *one = &q->all[i];

		one->reply = ask_beside(q->task, &one->what, q->task->deadline,
					one->arena, &one->err);
	}
	return NULL;
}

/* The caller works too. */
static void ask_all(struct questions *q)
{
	pthread_t threads[MAX_THREADS];
	size_t n = 0;

	while (n < MAX_THREADS && n + 1 < q->n &&
	       pthread_create(&threads[n], NULL, work, q) == 0)
		n++;
	work(q);
	while (n)
		pthread_join(threads[--n], NULL);
}

static void add_question(struct questions *q, const struct ask *what,
			 const char *controller, const char *target)
{
	struct question *one = &q->all[q->n++];

	*one = (struct question){
		.target = target, .what = *what, .arena = arena_new()};
	one->what.controller = controller;
}

/* Those of the daemon itself need one call in all, the others one each. */
static void plan(struct questions *q, const struct ask *what,
		 const struct entry *entries, size_t n)
{
	bool has_own = false;

	q->all = mem_zalloc(n + 1, sizeof(*q->all));
	for (size_t i = 0; i < n; i++) {
		if (entries[i].here && !has_own)
			add_question(q, what, NULL, entries[i].id);
		else if (!entries[i].here)
			add_question(q, what, entries[i].id, entries[i].id);
		has_own |= entries[i].here;
	}
}

static void note_failure(struct task *t, struct question *one)
{
	struct task aside = *t;

	aside.answered = true;
	hints_add(&aside, &one->err);
	out_error(t->out, one->target, &one->err);
	t->status = STATUS_SOME;
}

static void finish(struct task *t, struct questions *q,
		   void (*add)(struct task *t, const void *reply))
{
	for (size_t i = 0; i < q->n; i++) {
		struct question *one = &q->all[i];

		if (one->reply)
			add(t, one->reply);
		else
			note_failure(t, one);
		err_clear(&one->err);
		arena_free(one->arena);
	}
	free(q->all);
}

static int ask_one(struct task *t, const struct ask *what,
		   void (*add)(struct task *t, const void *reply),
		   struct err *err)
{
	struct ask one = *what;
	const void *reply;

	one.controller = task_controller(t);
	reply = ask(t, &one, err);
	if (!reply)
		return -1;
	add(t, reply);
	return 0;
}

int everywhere_ask(struct task *t, const struct ask *what,
		   void (*add)(struct task *t, const void *reply),
		   struct err *err)
{
	struct questions q = {.task = t};
	struct entry *entries;
	size_t n;

	if (task_controller(t))
		return ask_one(t, what, add, err);
	if (dialect_entries(t, &entries, &n, err) == -1)
		return -1;
	plan(&q, what, entries, n);
	ask_all(&q);
	finish(t, &q, add);
	return interrupt_wait(0)
		       ? err_set(err, GRPC_STATUS_CANCELLED, "interrupted")
		       : 0;
}

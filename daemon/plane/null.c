/*
 * The null plane: bdevs without bytes, in memory, that appear nowhere. It keeps
 * every promise of plane.h otherwise, so that all that is above planes can be
 * tested without privilege. Its token is "null:NUMBER".
 */

#include "daemon/plane/plane.h"

#include <inttypes.h>
#include <pthread.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define CAPACITY (UINT64_C(1) << 40)

/* What an image has for size, since there is none to ask. */
#define IMAGE_SIZE (UINT64_C(1) << 30)

struct bdev {
	char *name;
	enum plane_kind kind;
	uint64_t size;
	unsigned int number; /* of the attachment, 0 if there is none */
};

struct null_plane {
	struct plane plane;
	char epoch[17];
	pthread_mutex_t lock;     /* of what follows */
	void *bdevs;              /* tree of struct bdev by name */
	uint64_t used;            /* bytes of the malloc ones */
	unsigned int last_number; /* that was planned */
};

/* The plane, locked until the end of the scope. */
static struct null_plane *lock(struct plane *p)
{
	struct null_plane *n = (struct null_plane *)p;

	pthread_mutex_lock(&n->lock);
	return n;
}

static void unlock(struct null_plane **n)
{
	pthread_mutex_unlock(&(*n)->lock);
}

static int compare(const void *a, const void *b)
{
	const struct bdev *one = a, *other = b;

	return strcmp(one->name, other->name);
}

static struct bdev *find(struct null_plane *n, const char *name)
{
	const struct bdev key = {.name = (char *)name};
	void *node = tfind(&key, &n->bdevs, compare);

	return node ? *(struct bdev **)node : NULL;
}

static void free_bdev(void *arg)
{
	struct bdev *b = arg;

	free(b->name);
	free(b);
}

static struct plane *null_open(const struct plane_config *config,
			       struct err *err)
{
	struct null_plane *n;
	uint64_t random;

	(void)config;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
		err_errno(err, "get a random number");
		return NULL;
	}
	n = mem_zalloc(1, sizeof(*n));
	n->plane.ops = &plane_null;
	pthread_mutex_init(&n->lock, NULL);
	snprintf(n->epoch, sizeof(n->epoch), "%016" PRIx64, random);
	return &n->plane;
}

static void null_close(struct plane *p)
{
	struct null_plane *n = (struct null_plane *)p;

	tdestroy(n->bdevs, free_bdev);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

static int null_check(struct plane *p, struct err *err)
{
	(void)p;
	(void)err;
	return 0;
}

static int null_capacity(struct plane *p, uint64_t *bytes, struct err *err)
{
	(void)p;
	(void)err;
	*bytes = CAPACITY;
	return 0;
}

static const char *null_epoch(const struct plane *p, enum plane_kind kind)
{
	(void)kind;
	return ((const struct null_plane *)p)->epoch;
}

/* --- bdevs --- */

static void forget(struct null_plane *n, struct bdev *b)
{
	if (b->kind == PLANE_MALLOC)
		n->used -= b->size;
	tdelete(b, &n->bdevs, compare);
	free_bdev(b);
}

static int null_create(struct plane *p, const char *name,
		       const struct plane_source *source, struct err *err)
{
	CLEANUP(unlock) struct null_plane *n = lock(p);
	struct bdev *b = find(n, name);

	if (b)
		forget(n, b);
	if (source->kind == PLANE_MALLOC && source->size > CAPACITY - n->used)
		return err_set(err, GRPC_STATUS_RESOURCE_EXHAUSTED,
			       "%" PRIu64 " bytes do not fit, %" PRIu64
			       " are free",
			       source->size, CAPACITY - n->used);
	b = mem_zalloc(1, sizeof(*b));
	b->name = mem_strdup(name);
	b->kind = source->kind;
	b->size = source->kind == PLANE_MALLOC ? source->size : IMAGE_SIZE;
	if (b->kind == PLANE_MALLOC)
		n->used += b->size;
	tsearch(b, &n->bdevs, compare);
	return 0;
}

static int null_remove(struct plane *p, const char *name, struct err *err)
{
	CLEANUP(unlock) struct null_plane *n = lock(p);
	struct bdev *b = find(n, name);

	if (b && b->number)
		return err_set(err, GRPC_STATUS_FAILED_PRECONDITION,
			       "bdev \"%s\" is attached", name);
	if (b)
		forget(n, b);
	return 0;
}

static int null_stat(struct plane *p, const char *name, struct plane_stat *stat,
		     struct err *err)
{
	CLEANUP(unlock) struct null_plane *n = lock(p);
	const struct bdev *b = find(n, name);

	(void)err;
	if (!b)
		return 0;
	stat->size = b->size;
	return 1;
}

/* --- attachments --- */

/* 0 if the token is not of this plane. */
static unsigned int parse(const char *token)
{
	unsigned int number;
	int size = 0;

	if (sscanf(token, "null:%u%n", &number, &size) != 1 || token[size])
		return 0;
	return number;
}

static int no_bdev(const char *name, struct err *err)
{
	return err_set(err, GRPC_STATUS_NOT_FOUND, "there is no bdev \"%s\"",
		       name);
}

static int null_plan(struct plane *p, const char *name,
		     struct plane_attachment *a, struct err *err)
{
	CLEANUP(unlock) struct null_plane *n = lock(p);

	if (!find(n, name))
		return no_bdev(name, err);
	free(a->token);
	a->token = mem_printf("null:%u", ++n->last_number);
	return 0;
}

static int null_attach(struct plane *p, const char *name,
		       struct plane_attachment *a, struct err *err)
{
	CLEANUP(unlock) struct null_plane *n = lock(p);
	unsigned int number = parse(a->token);
	struct bdev *b = find(n, name);

	if (!number)
		return err_set(err, GRPC_STATUS_ABORTED,
			       "\"%s\" is not a plan of the null plane",
			       a->token);
	if (!b)
		return no_bdev(name, err);
	if (b->number && b->number != number)
		return err_set(err, GRPC_STATUS_ABORTED,
			       "bdev \"%s\" is attached by another plan", name);
	b->number = number;
	free(a->device);
	free(a->scsi);
	a->device = mem_printf("/devices/virtual/oim-null/%u/", number);
	a->scsi = b->kind == PLANE_CEPH ? mem_printf("%u:0", number)
					: mem_strdup("");
	return 0;
}

struct search {
	unsigned int number;
	struct bdev *found;
};

static void match_number(const void *node, VISIT visit, void *arg)
{
	struct bdev *b = *(struct bdev *const *)node;
	struct search *s = arg;

	if ((visit == postorder || visit == leaf) && b->number == s->number)
		s->found = b;
}

/* What is attached by the token; name may be NULL. */
static struct bdev *find_attached(struct null_plane *n, const char *name,
				  const char *token)
{
	struct search s = {.number = parse(token)};

	if (!s.number)
		return NULL;
	if (!name) {
		twalk_r(n->bdevs, match_number, &s);
		return s.found;
	}
	s.found = find(n, name);
	return s.found && s.found->number == s.number ? s.found : NULL;
}

static int null_detach(struct plane *p, const char *name, const char *token,
		       struct err *err)
{
	CLEANUP(unlock) struct null_plane *n = lock(p);
	struct bdev *b = find_attached(n, name, token);

	(void)err;
	if (b)
		b->number = 0;
	return 0;
}

static int null_probe(struct plane *p, const char *name, const char *token,
		      enum plane_state *state, struct err *err)
{
	CLEANUP(unlock) struct null_plane *n = lock(p);

	(void)err;
	*state = find_attached(n, name, token) ? PLANE_ATTACHED : PLANE_ABSENT;
	return 0;
}

const struct plane_ops plane_null = {
	.name = "null",
	.open = null_open,
	.close = null_close,
	.check = null_check,
	.capacity = null_capacity,
	.create = null_create,
	.remove = null_remove,
	.stat = null_stat,
	.plan = null_plan,
	.attach = null_attach,
	.detach = null_detach,
	.probe = null_probe,
	.epoch = null_epoch,
};

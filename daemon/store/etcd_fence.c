/* The fence of a store, see etcd_txn.c: a key that readers pass over. */

#include "daemon/store/etcd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

/* No key of a store has a NUL. */
#define NAME "\0fence/"

int etcd_fence_init(struct etcd *s, struct err *err)
{
	size_t size = s->prefix_size + sizeof(NAME) - 1;
	uint64_t id;

	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		return err_errno(err, "make a name");
	s->fence_key.data = mem_zalloc(1, size + 2 * sizeof(id) + 1);
	s->fence_key.len = size + 2 * sizeof(id);
	memcpy(s->fence_key.data, s->prefix, s->prefix_size);
	memcpy(s->fence_key.data + s->prefix_size, NAME, sizeof(NAME) - 1);
	snprintf((char *)s->fence_key.data + size, 2 * sizeof(id) + 1,
		 "%016" PRIx64, id);
	return 0;
}

int64_t etcd_fence(struct etcd *s)
{
	int64_t fence;

	pthread_mutex_lock(&s->lock);
	fence = s->fence;
	pthread_mutex_unlock(&s->lock);
	return fence;
}

void etcd_set_fence(struct etcd *s, int64_t was, int64_t revision)
{
	pthread_mutex_lock(&s->lock);
	if (s->fence == was || revision > s->fence)
		s->fence = revision;
	pthread_mutex_unlock(&s->lock);
}

bool etcd_fence_begin(struct etcd *s, int64_t until)
{
	struct timespec ts = {.tv_sec = until / UNITS_SECOND,
			      .tv_nsec = until % UNITS_SECOND};
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	while (rc == 0 && s->is_settling)
		rc = pthread_cond_clockwait(&s->settled, &s->lock,
					    CLOCK_MONOTONIC, &ts);
	if (!s->is_settling)
		rc = 0;
	s->is_settling = true;
	pthread_mutex_unlock(&s->lock);
	return rc == 0;
}

void etcd_fence_end(struct etcd *s)
{
	pthread_mutex_lock(&s->lock);
	s->is_settling = false;
	pthread_cond_signal(&s->settled);
	pthread_mutex_unlock(&s->lock);
}

bool etcd_fence_is_due(struct etcd *s)
{
	bool is_due;

	pthread_mutex_lock(&s->lock);
	is_due = s->fence_is_due;
	pthread_mutex_unlock(&s->lock);
	return is_due;
}

void etcd_fence_set_due(struct etcd *s, bool is_due)
{
	pthread_mutex_lock(&s->lock);
	s->fence_is_due = is_due;
	pthread_mutex_unlock(&s->lock);
}

void etcd_fence_clear(struct etcd *s)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	Etcdserverpb__DeleteRangeRequest request =
		ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
	struct etcd_call call = {
		.method = "/etcdserverpb.KV/DeleteRange",
		.reply_type = &etcdserverpb__delete_range_response__descriptor,
		.request = &request.base,
		.is_write = true,
		.until = units_monotonic() + ETCD_ATTEMPT,
	};

	request.key = s->fence_key;
	if (s->fence)
		etcd_call(s, &call, a, &err);
}

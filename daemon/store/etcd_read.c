/* Keys as they are in etcd, and reading: always linearizable. */

#include "daemon/store/etcd.h"

#include <stdlib.h>
#include <string.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

/* --- keys --- */

ProtobufCBinaryData etcd_key(const struct etcd *s, struct arena *a,
			     const char *key)
{
	char *text = arena_printf(a, "%s%s", s->prefix, key);

	return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

/* The first key behind those that begin with prefix. */
static ProtobufCBinaryData end_of(struct arena *a, ProtobufCBinaryData prefix)
{
	uint8_t *end = arena_dup(a, prefix.data, prefix.len);
	size_t n = prefix.len;

	while (n && end[n - 1] == 0xff)
		n--;
	if (!n) /* to the end */
		return (ProtobufCBinaryData){1, arena_dup(a, "", 1)};
	end[n - 1]++;
	return (ProtobufCBinaryData){n, end};
}

void etcd_range_of(const struct etcd *s, struct arena *a, const char *prefix,
		   const char *after, ProtobufCBinaryData *key,
		   ProtobufCBinaryData *end)
{
	*key = etcd_key(s, a, prefix);
	*end = end_of(a, *key);
	if (after && strcmp(after, prefix) >= 0) {
		*key = etcd_key(s, a, after);
		key->len++; /* with its NUL: the next possible key */
	}
	if (!key->len) /* etcd has no empty key, not even to begin with */
		key->len++;
}

bool etcd_take(const struct etcd *s, struct arena *a,
	       const Mvccpb__KeyValue *from, struct store_kv *kv)
{
	const char *key = (const char *)from->key.data + s->prefix_size;
	size_t size = from->key.len - s->prefix_size;

	if (from->key.len <= s->prefix_size || size > STORE_MAX_KEY ||
	    memchr(key, '\0', size))
		return false;
	*kv = (struct store_kv){
		.key = arena_dup(a, key, size),
		.value = arena_dup(a, from->value.data, from->value.len),
		.size = from->value.len,
		.create_revision = from->create_revision,
		.mod_revision = from->mod_revision,
		.lease = from->lease,
	};
	return true;
}

/* --- one reply --- */

void *etcd_read(struct etcd *s, const Etcdserverpb__RangeRequest *request,
		int64_t until, struct arena *a, struct err *err)
{
	struct etcd_call call = {
		.method = "/etcdserverpb.KV/Range",
		.reply_type = &etcdserverpb__range_response__descriptor,
		.request = &request->base,
		.again = &request->base,
		.until = until,
	};

	return etcd_call(s, &call, a, err);
}

static int get(struct etcd *s, const char *key, struct arena *tmp,
	       struct arena *a, struct store_kv *kv, struct err *err)
{
	Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
	const Etcdserverpb__RangeResponse *reply;

	request.key = etcd_key(s, tmp, key);
	reply = etcd_read(s, &request, 0, tmp, err);
	if (!reply)
		return -1;
	return reply->n_kvs && etcd_take(s, a, reply->kvs[0], kv);
}

int etcd_get(struct store *base, const char *key, struct arena *a,
	     struct store_kv *kv, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *tmp = arena_new();

	return get((struct etcd *)base, key, tmp, a, kv, err);
}

/* --- pages --- */

/*
 * A walk over a range, a page at a time, all of one revision. A reply that is
 * too large for the client makes the pages smaller.
 */
struct walk {
	struct etcd *s;
	Etcdserverpb__RangeRequest request;
	struct arena *keys; /* of the request */
	struct arena *tmp;  /* of the reply */
	const Etcdserverpb__RangeResponse *reply;
	size_t page;
};

static void walk_init(struct walk *w, struct etcd *s, const char *prefix,
		      const char *after)
{
	*w = (struct walk){.s = s,
			   .request = ETCDSERVERPB__RANGE_REQUEST__INIT,
			   .keys = arena_new(),
			   .tmp = arena_new(),
			   .page = ETCD_PAGE};
	etcd_range_of(s, w->keys, prefix, after, &w->request.key,
		      &w->request.range_end);
}

static void walk_clear(struct walk *w)
{
	arena_free(w->keys);
	arena_free(w->tmp);
}

static bool is_too_large(const struct err *err)
{
	return err->code == GRPC_STATUS_RESOURCE_EXHAUSTED &&
	       strstr(err->msg, "Received message larger than max");
}

/* The next page, of at most limit keys (0: any number). */
static int fetch(struct walk *w, size_t limit, struct err *err)
{
	for (;;) {
		size_t n = limit && limit < w->page ? limit : w->page;

		arena_reset(w->tmp);
		w->request.limit = (int64_t)n;
		w->reply = etcd_read(w->s, &w->request, 0, w->tmp, err);
		if (w->reply)
			break;
		if (!is_too_large(err) || n == 1)
			return -1;
		err_clear(err);
		w->page = n > 16 ? n / 16 : 1;
	}
	if (!w->request.revision && w->reply->header)
		w->request.revision = w->reply->header->revision;
	return 0;
}

/* Where the next page begins; false: there is none. */
static bool turn(struct walk *w)
{
	const Mvccpb__KeyValue *last;

	if (!w->reply->more || !w->reply->n_kvs)
		return false;
	last = w->reply->kvs[w->reply->n_kvs - 1];
	/* The copy has a NUL behind it. */
	w->request.key.data = arena_dup(w->keys, last->key.data, last->key.len);
	w->request.key.len = last->key.len + 1;
	return true;
}

/* --- ranges --- */

struct found {
	struct store_kv *kvs;
	size_t n, size;
};

static void add_page(const struct walk *w, struct arena *a, struct found *f)
{
	if (f->n + w->reply->n_kvs > f->size) {
		f->size = 2 * f->n + w->reply->n_kvs;
		f->kvs = mem_realloc(f->kvs, f->size, sizeof(*f->kvs));
	}
	for (size_t i = 0; i < w->reply->n_kvs; i++)
		f->n += etcd_take(w->s, a, w->reply->kvs[i], &f->kvs[f->n]);
}

static int collect(struct walk *w, size_t limit, struct arena *a,
		   struct found *f, struct store_list *list, struct err *err)
{
	do {
		if (fetch(w, limit ? limit - f->n : 0, err) < 0)
			return -1;
		add_page(w, a, f);
		list->more = limit && f->n == limit && w->reply->more;
	} while (!list->more && turn(w));
	list->revision = w->request.revision;
	list->n = f->n;
	list->kvs = arena_dup(a, f->kvs, f->n * sizeof(*f->kvs));
	return 0;
}

int etcd_range(struct store *base, const char *prefix, const char *after,
	       size_t limit, struct arena *a, struct store_list *list,
	       struct err *err)
{
	struct found f = {0};
	struct walk w;
	int rc;

	*list = (struct store_list){0};
	walk_init(&w, (struct etcd *)base, prefix, after);
	rc = collect(&w, limit, a, &f, list, err);
	walk_clear(&w);
	free(f.kvs);
	return rc;
}

static bool visit_page(const struct walk *w, struct arena *a,
		       bool (*visit)(void *arg, const struct store_kv *kv),
		       void *arg)
{
	struct store_kv kv;

	for (size_t i = 0; i < w->reply->n_kvs; i++) {
		arena_reset(a);
		if (etcd_take(w->s, a, w->reply->kvs[i], &kv) &&
		    !visit(arg, &kv))
			return false;
	}
	return true;
}

int etcd_each(struct store *base, const char *prefix,
	      bool (*visit)(void *arg, const struct store_kv *kv), void *arg,
	      struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct walk w;
	int rc;

	walk_init(&w, (struct etcd *)base, prefix, NULL);
	do {
		rc = fetch(&w, 0, err);
	} while (rc == 0 && visit_page(&w, a, visit, arg) && turn(&w));
	walk_clear(&w);
	return rc;
}

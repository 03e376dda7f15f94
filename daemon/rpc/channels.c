/* The cache of connections to controllers. */

#include "daemon/rpc/channels.h"

#include <assert.h>
#include <search.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/grpc_security.h>

#include "proto/lib/address.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

struct channel {
	char *key; /* address, newline, name */
	grpc_channel *grpc;
	unsigned generation; /* of the TLS material that it was made with */
	int users;           /* calls */
	int places;          /* controllers that are here */
	bool is_listed;      /* in the cache; else it goes with its last user */
};

/* Where a controller is. */
struct place {
	char *controller;
	struct channel *channel;
	int64_t used;
};

struct channels {
	struct tls *tls;
	grpc_resource_quota *memory;
	void *by_key;        /* tsearch(3) tree of struct channel */
	void *by_controller; /* of struct place */
};

struct channels *channels_new(struct tls *tls, grpc_resource_quota *memory)
{
	struct channels *cs = mem_zalloc(1, sizeof(*cs));

	cs->tls = tls;
	cs->memory = memory;
	return cs;
}

static int compare_channels(const void *a, const void *b)
{
	return strcmp(((const struct channel *)a)->key,
		      ((const struct channel *)b)->key);
}

static int compare_places(const void *a, const void *b)
{
	return strcmp(((const struct place *)a)->controller,
		      ((const struct place *)b)->controller);
}

static void unlist(struct channels *cs, struct channel *c)
{
	if (c->is_listed)
		tdelete(c, &cs->by_key, compare_channels);
	c->is_listed = false;
}

static void free_if_unused(struct channels *cs, struct channel *c)
{
	if (c->users || c->places)
		return;
	unlist(cs, c);
	grpc_channel_destroy(c->grpc);
	free(c->key);
	free(c);
}

static void leave(struct channels *cs, struct place *p)
{
	struct channel *c = p->channel;

	p->channel = NULL;
	if (!c)
		return;
	c->places--;
	free_if_unused(cs, c);
}

static grpc_arg integer(const char *key, int value)
{
	return (grpc_arg){.type = GRPC_ARG_INTEGER,
			  .key = (char *)key,
			  .value.integer = value};
}

grpc_arg channels_memory_arg(grpc_resource_quota *memory)
{
	grpc_arg arg = {.type = GRPC_ARG_POINTER,
			.key = (char *)GRPC_ARG_RESOURCE_QUOTA};

	arg.value.pointer.p = memory;
	arg.value.pointer.vtable = grpc_resource_quota_arg_vtable();
	return arg;
}

/*
 * A forwarder repeats no call, keeps no clock of its own (the call that came in
 * has one) and passes messages of any size on.
 */
static grpc_channel *connect_to(struct channels *cs, const struct address *a,
				const char *peer_name)
{
	grpc_arg args[] = {
		integer(GRPC_ARG_ENABLE_RETRIES, 0),
		integer(GRPC_ARG_MINIMAL_STACK, 1),
		integer(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, -1),
		/* See inflate.h. */
		integer(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
		integer(GRPC_ARG_ENABLE_CHANNELZ, 0),
		integer(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
		integer(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
		integer(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000),
		integer(GRPC_ARG_KEEPALIVE_TIME_MS, 30000),
		integer(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000),
		channels_memory_arg(cs->memory),
	};
	grpc_channel_args all = {sizeof(args) / sizeof(*args), args};
	grpc_channel_credentials *creds =
		cs->tls && a->kind == ADDRESS_TCP
			? tls_channel_credentials(cs->tls, peer_name)
			: grpc_insecure_credentials_create();
	grpc_channel *channel = grpc_channel_create(a->target, creds, &all);

	grpc_channel_credentials_release(creds);
	return channel;
}

static struct channel *channel_new(struct channels *cs, char *key,
				   const char *address, const char *peer_name,
				   struct err *err)
{
	CLEANUP(cleanup_free) char *owned = key;
	CLEANUP(address_clear) struct address a = {0};
	struct channel *c;

	if (address_parse_controller(address, &a, err) == -1) {
		err->code = GRPC_STATUS_UNAVAILABLE;
		return NULL;
	}
	c = mem_zalloc(1, sizeof(*c));
	c->generation = cs->tls ? tls_generation(cs->tls) : 0;
	c->grpc = connect_to(cs, &a, peer_name);
	c->key = STEAL(owned);
	c->is_listed = true;
	tsearch(c, &cs->by_key, compare_channels);
	return c;
}

static struct place *find_place(struct channels *cs, const char *controller)
{
	struct place key = {.controller = (char *)controller};
	void *node = tfind(&key, &cs->by_controller, compare_places);
	struct place *p;

	if (node)
		return *(struct place **)node;
	p = mem_zalloc(1, sizeof(*p));
	p->controller = mem_strdup(controller);
	tsearch(p, &cs->by_controller, compare_places);
	return p;
}

/* Whether the connection was made with certificates that are not in use any
 * more. */
static bool is_outdated(struct channels *cs, const struct channel *c)
{
	return cs->tls && c->generation != tls_generation(cs->tls);
}

struct channel *channels_get(struct channels *cs, const char *controller,
			     const char *address, const char *peer_name,
			     struct err *err)
{
	char *key = mem_printf("%s\n%s", address, cs->tls ? peer_name : "");
	struct place *p = find_place(cs, controller);
	struct channel *c = p->channel;
	struct channel wanted = {.key = key};
	void *node;

	if (!c || !c->is_listed || strcmp(c->key, key) != 0 ||
	    is_outdated(cs, c)) {
		leave(cs, p);
		node = tfind(&wanted, &cs->by_key, compare_channels);
		c = node ? *(struct channel **)node : NULL;
		if (c && is_outdated(cs, c)) {
			unlist(cs, c);
			free_if_unused(cs, c);
			c = NULL;
		}
		if (!c)
			c = channel_new(cs, STEAL(key), address, peer_name,
					err);
		if (c) {
			p->channel = c;
			c->places++;
		}
	}
	free(key);
	p->used = units_monotonic();
	if (c)
		c->users++;
	return c;
}

void channel_put(struct channels *cs, struct channel *c)
{
	c->users--;
	free_if_unused(cs, c);
}

grpc_channel *channel_grpc(const struct channel *c)
{
	return c->grpc;
}

void channel_failed(struct channels *cs, struct channel *c)
{
	unlist(cs, c);
}

/* tdelete() must not be called while twalk_r() walks: collect first. */
struct sweep {
	struct place **idle;
	size_t n;
	int64_t before;
};

static void collect(const void *node, VISIT which, void *arg)
{
	struct sweep *s = arg;
	struct place *p = *(struct place *const *)node;

	if (which != postorder && which != leaf)
		return;
	if (p->used > s->before || (p->channel && p->channel->users))
		return;
	s->idle = mem_realloc(s->idle, s->n + 1, sizeof(*s->idle));
	s->idle[s->n++] = p;
}

static void sweep_before(struct channels *cs, int64_t before)
{
	struct sweep s = {.before = before};

	twalk_r(cs->by_controller, collect, &s);
	for (size_t i = 0; i < s.n; i++) {
		tdelete(s.idle[i], &cs->by_controller, compare_places);
		leave(cs, s.idle[i]);
		free(s.idle[i]->controller);
		free(s.idle[i]);
	}
	free(s.idle);
}

void channels_sweep(struct channels *cs, int64_t idle)
{
	sweep_before(cs, units_monotonic() - idle);
}

void channels_free(struct channels *cs)
{
	sweep_before(cs, INT64_MAX);
	assert(!cs->by_controller && !cs->by_key);
	free(cs);
}

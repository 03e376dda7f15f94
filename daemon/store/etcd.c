/* The etcd engine: opening, closing, and how it is. */

#include "daemon/store/etcd.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

/* Members may be away for long, so connections are tried again soon and given
 * up soon; etcd does not take pings more often than every 5 s. */
#define CONNECT           UNITS_SECOND
#define KEEPALIVE         (10 * UNITS_SECOND)
#define KEEPALIVE_TIMEOUT (3 * UNITS_SECOND)
/* All keys of a transaction, as somebody else may have written them. */
#define REPLY_MAX ((STORE_MAX_OPS + 1) * (STORE_MAX_VALUE + 1024))

/* --- opening --- */

static int add_endpoint(struct etcd *s, const char *address, struct err *err)
{
	struct client_config config = {
		.address = address,
		.tls = s->tls,
		.backoff = UNITS_SECOND,
		.connect = CONNECT,
		.keepalive = KEEPALIVE,
		.keepalive_timeout = KEEPALIVE_TIMEOUT,
		.reply_max = REPLY_MAX,
	};
	struct etcd_endpoint *e = &s->endpoints[s->n_endpoints];
	char *before = s->location;

	e->client = client_new(&config, err);
	if (!e->client)
		return -1;
	e->name = mem_strdup(address);
	s->n_endpoints++;
	s->location = mem_printf("%s%s%s", before ? before : "",
				 before ? "," : "", address);
	free(before);
	return 0;
}

static int add_endpoints(struct etcd *s, const char *const *addresses,
			 struct err *err)
{
	size_t n = 0;

	while (addresses[n])
		n++;
	if (!n)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "etcd has no endpoints");
	s->endpoints = mem_zalloc(n, sizeof(*s->endpoints));
	for (size_t i = 0; i < n; i++)
		if (add_endpoint(s, addresses[i], err) < 0)
			return -1;
	return 0;
}

static int open_all(struct etcd *s, const struct store_etcd_config *config,
		    struct err *err)
{
	if (s->prefix_size && s->prefix[s->prefix_size - 1] != '/')
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "the prefix \"%s\" does not end with a slash",
			       s->prefix);
	if (config->tls.ca) {
		s->tls = tls_new(&config->tls, err);
		if (!s->tls)
			return -1;
	}
	if (etcd_auth_check(s, err) < 0 || etcd_fence_init(s, err) < 0)
		return -1;
	return add_endpoints(s, config->endpoints, err);
}

static void close_store(struct store *base)
{
	struct etcd *s = (struct etcd *)base;
	struct etcd_id *id;

	etcd_watches_end(s); /* a consumer may submit until then */
	pthread_mutex_lock(&s->lock);
	s->is_closing = true;
	pthread_mutex_unlock(&s->lock);
	etcd_pool_free(s->pool);
	etcd_fence_clear(s);
	free(s->fence_key.data);
	for (size_t i = 0; i < s->n_endpoints; i++) {
		client_free(s->endpoints[i].client);
		free(s->endpoints[i].name);
	}
	free(s->endpoints);
	tls_unref(s->tls);
	while ((id = s->ids)) {
		s->ids = id->older;
		free(id);
	}
	pthread_cond_destroy(&s->kick);
	pthread_mutex_destroy(&s->watching);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->settled);
	pthread_mutex_destroy(&s->authenticating);
	mem_free_secret(s->token);
	free(s->password_file);
	free(s->user);
	free(s->location);
	free(s->prefix);
	free(s);
}

/* --- how it is --- */

/* What the members say is wrong with them. */
static int explain_errors(const Etcdserverpb__StatusResponse *status,
			  struct err *err)
{
	int code = GRPC_STATUS_UNAVAILABLE;

	for (size_t i = 0; i < status->n_errors; i++)
		if (strstr(status->errors[i], "NOSPACE"))
			code = GRPC_STATUS_RESOURCE_EXHAUSTED;
	return err_set(err, code, "etcd is ill: %s", status->errors[0]);
}

static int ask_status(struct etcd *s, int64_t until, struct arena *a,
		      struct store_status *status, struct err *err)
{
	Etcdserverpb__StatusRequest request =
		ETCDSERVERPB__STATUS_REQUEST__INIT;
	struct etcd_call call = {
		.method = "/etcdserverpb.Maintenance/Status",
		.reply_type = &etcdserverpb__status_response__descriptor,
		.request = &request.base,
		.is_local = true,
		.until = until,
	};
	const Etcdserverpb__StatusResponse *reply;

	reply = etcd_call(s, &call, a, err);
	if (!reply)
		return -1;
	if (!reply->leader)
		return err_set(err, GRPC_STATUS_UNAVAILABLE,
			       "etcd has no leader");
	if (reply->n_errors)
		return explain_errors(reply, err);
	status->size = (uint64_t)reply->dbsize;
	return 0;
}

/* Of the cluster rather than of the member; that it is told proves that most
 * members are there, and that they let us in. */
static int ask_revision(struct etcd *s, int64_t until, struct arena *a,
			struct store_status *status, struct err *err)
{
	Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
	const Etcdserverpb__RangeResponse *reply;

	request.key = s->fence_key; /* any key would do */
	request.keys_only = true;
	reply = etcd_read(s, &request, until, a, err);
	if (!reply)
		return -1;
	status->revision = reply->header ? reply->header->revision : 0;
	return 0;
}

static int check(struct store *base, struct store_status *status,
		 struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct etcd *s = (struct etcd *)base;
	int64_t until = units_monotonic() + ETCD_CHECK;

	*status = (struct store_status){.engine = base->engine->name,
					.location = s->location};
	if (ask_status(s, until, a, status, err) < 0)
		return -1;
	return ask_revision(s, until, a, status, err);
}

static const char *find_id(struct etcd *s)
{
	const char *text;

	pthread_mutex_lock(&s->lock);
	text = s->ids ? s->ids->text : NULL;
	pthread_mutex_unlock(&s->lock);
	return text;
}

static const char *id(const struct store *base)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct etcd *s = (struct etcd *)(uintptr_t)base;
	struct store_status status;

	if (!find_id(s))
		check(&s->base, &status, &err);
	return find_id(s) ? find_id(s) : "";
}

/* --- engine --- */

static const struct store_engine engine = {
	.name = "etcd",
	.embedded = false,
	.close = close_store,
	.check = check,
	.id = id,
	.get = etcd_get,
	.range = etcd_range,
	.each = etcd_each,
	.submit = etcd_submit,
	.watch = etcd_watch,
	.unwatch = etcd_unwatch,
	.lease_grant = etcd_lease_grant,
	.lease_renew = etcd_lease_renew,
	.lease_revoke = etcd_lease_revoke,
};

struct store *store_etcd_open(const struct store_etcd_config *config,
			      struct err *err)
{
	struct etcd *s = mem_zalloc(1, sizeof(*s));

	s->base.engine = &engine;
	s->prefix = mem_strdup(config->prefix);
	s->prefix_size = strlen(config->prefix);
	s->user = mem_strdup(config->user);
	s->password_file = mem_strdup(config->password_file);
	s->pool = etcd_pool_new(etcd_run, s);
	pthread_mutex_init(&s->authenticating, NULL);
	pthread_cond_init(&s->settled, NULL);
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->watching, NULL);
	pthread_cond_init(&s->kick, NULL);
	LIST_INIT(&s->watches);
	if (open_all(s, config, err) == 0)
		return &s->base;
	close_store(&s->base);
	return NULL;
}

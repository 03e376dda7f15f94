/*
 * The client, its connection, and calls with one answer. What is common to all
 * calls is in client_exchange.c, what an error means in client_error.c.
 */

#include "proto/lib/client.h"

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/log.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/client_exchange.h"
#include "proto/lib/mem.h"
#include "proto/lib/tls_material.h"
#include "proto/lib/units.h"

#define REPLY_MAX (64 << 20)

static grpc_arg int_arg(const char *key, int value)
{
	return (grpc_arg){.type = GRPC_ARG_INTEGER,
			  .key = (char *)(uintptr_t)key,
			  .value.integer = value};
}

/* In milliseconds, at least some; 0 is otherwise. */
static int to_ms(int64_t ns, int64_t otherwise, int least)
{
	int64_t ms = (ns ? ns : otherwise) / 1000000;

	return ms < least ? least : ms > INT_MAX ? INT_MAX : (int)ms;
}

static int to_bytes(size_t size)
{
	return !size ? REPLY_MAX : size > INT_MAX ? INT_MAX : (int)size;
}

static grpc_channel_credentials *credentials_new(const struct client *c)
{
	return c->tls ? tls_channel_credentials(c->tls, c->tls_name)
		      : grpc_insecure_credentials_create();
}

static struct channel *channel_new(struct client *c)
{
	const struct client_config *config = &c->config;
	grpc_arg args[] = {
		int_arg(GRPC_ARG_ENABLE_RETRIES, 0),
		int_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
		int_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
		int_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100),
		int_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
			to_ms(config->backoff, UNITS_SECOND, 100)),
		int_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
			to_ms(config->connect, 20 * UNITS_SECOND, 100)),
		int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
			to_bytes(config->reply_max)),
		int_arg(GRPC_ARG_KEEPALIVE_TIME_MS,
			to_ms(config->keepalive, INT64_MAX, 1)),
		int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
			to_ms(config->keepalive_timeout, 20 * UNITS_SECOND, 1)),
		/* As many as it takes; 2 is what core has. */
		int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA,
			config->keepalive ? 0 : 2),
	};
	grpc_channel_args all = {.num_args = sizeof(args) / sizeof(*args),
				 .args = args};
	struct channel *channel = mem_zalloc(1, sizeof(*channel));
	grpc_channel_credentials *creds;

	channel->generation = c->tls ? tls_generation(c->tls) : 0;
	creds = credentials_new(c);
	channel->core = grpc_channel_create(c->address.target, creds, &all);
	channel->refs = 1;
	grpc_channel_credentials_release(creds);
	return channel;
}

/* Needs c->lock. */
static void unref_channel(struct channel *channel)
{
	if (!channel || --channel->refs)
		return;
	grpc_channel_destroy(channel->core);
	free(channel);
}

struct channel *client_take_channel(struct client *c)
{
	struct channel *channel;

	if (c->tls)
		tls_look(c->tls);
	pthread_mutex_lock(&c->lock);
	if (c->channel && c->tls &&
	    c->channel->generation != tls_generation(c->tls))
		unref_channel(STEAL(c->channel));
	if (!c->channel)
		c->channel = channel_new(c);
	channel = c->channel;
	channel->refs++;
	pthread_mutex_unlock(&c->lock);
	return channel;
}

void client_unref_channel(struct client *c, struct channel *channel)
{
	pthread_mutex_lock(&c->lock);
	unref_channel(channel);
	pthread_mutex_unlock(&c->lock);
}

void client_drop_channel(struct client *c, struct channel *channel)
{
	pthread_mutex_lock(&c->lock);
	if (c->channel == channel)
		unref_channel(STEAL(c->channel));
	pthread_mutex_unlock(&c->lock);
}

struct client *client_new(const struct client_config *config, struct err *err)
{
	struct address address = {0};
	struct client *c;

	if (address_parse_server(config->address, &address, err) < 0)
		return NULL;
	c = mem_zalloc(1, sizeof(*c));
	c->address = address;
	c->name = address_format(&address);
	c->config = *config;
	c->config.address = c->config.tls_name = NULL;
	c->config.tls = NULL;
	if (config->tls && address.kind == ADDRESS_TCP) {
		c->tls = tls_ref(config->tls);
		c->tls_name = mem_strdup(config->tls_name);
	}
	pthread_mutex_init(&c->lock, NULL);
	LIST_INIT(&c->calls);
	grpc_init();
	return c;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	assert(LIST_EMPTY(&c->calls));
	unref_channel(c->channel);
	grpc_shutdown();
	tls_unref(c->tls);
	address_clear(&c->address);
	pthread_mutex_destroy(&c->lock);
	free(c->tls_name);
	free(c->name);
	free(c);
}

void client_cancel(struct client *c)
{
	struct exchange *x;

	pthread_mutex_lock(&c->lock);
	c->cancels++;
	for (x = LIST_FIRST(&c->calls); x; x = LIST_NEXT(x, siblings))
		grpc_call_cancel(x->core, NULL);
	pthread_mutex_unlock(&c->lock);
}

static unsigned count_cancels(struct client *c)
{
	unsigned n;

	pthread_mutex_lock(&c->lock);
	n = c->cancels;
	pthread_mutex_unlock(&c->lock);
	return n;
}

static void *unary(struct exchange *x, const ProtobufCMessage *request,
		   struct arena *a, struct err *err)
{
	grpc_byte_buffer *sent = exchange_pack(request);
	grpc_byte_buffer *received = NULL;
	grpc_op ops[] = {
		exchange_op_send_headers(x),
		{.op = GRPC_OP_SEND_MESSAGE,
		 .data.send_message.send_message = sent},
		{.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
		exchange_op_receive_headers(x),
		{.op = GRPC_OP_RECV_MESSAGE,
		 .data.recv_message.recv_message = &received},
		exchange_op_receive_status(x),
	};
	void *reply = NULL;

	exchange_start(x, ops, sizeof(ops) / sizeof(*ops), x);
	exchange_wait(x, x);
	if (exchange_result(x, err) == 0)
		reply = exchange_unpack(x, received, a, err);
	grpc_byte_buffer_destroy(sent);
	grpc_byte_buffer_destroy(received);
	return reply;
}

static void *call_once(struct client *c, const struct client_call *what,
		       const ProtobufCMessage *request, struct arena *a,
		       bool *stale, struct err *err)
{
	struct exchange x;
	void *reply;

	if (what->unsent)
		*what->unsent = true;
	if (exchange_init(&x, c, what, err) < 0)
		return NULL;
	reply = unary(&x, request, a, err);
	*stale = x.stale;
	if (what->unsent)
		*what->unsent = x.unsent;
	exchange_clear(&x);
	return reply;
}

void *client_unary(struct client *c, const struct client_call *call,
		   const ProtobufCMessage *request, struct arena *a,
		   struct err *err)
{
	unsigned cancels = count_cancels(c);
	bool stale = false;
	void *reply;

	reply = call_once(c, call, request, a, &stale, err);
	if (!stale || count_cancels(c) != cancels)
		return reply;
	err_clear(err);
	return call_once(c, call, request, a, &stale, err);
}

static void drop_line(gpr_log_func_args *args)
{
	(void)args;
}

void client_silence_core(void)
{
	if (!getenv("GRPC_VERBOSITY") && !getenv("GRPC_TRACE"))
		gpr_set_log_function(drop_line);
}

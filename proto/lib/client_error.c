/* What it means that a call failed, in words. */

#include "proto/lib/client_exchange.h"

#include <stdbool.h>
#include <string.h>

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/diagnose.h"
#include "proto/lib/mem.h"
#include "proto/lib/utf8.h"
#include "proto/lib/wire.h"

#define DETAILS "grpc-status-details-bin"
#define HELP    "/google.rpc.Help"

static bool is_checked(const ProtobufCMessageDescriptor *type,
		       const uint8_t *data, size_t size)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	return wire_check(type, data, size, WIRE_MAX_FIELDS, &err) == 0;
}

static void *unpack(struct arena *a, const ProtobufCMessageDescriptor *type,
		    const uint8_t *data, size_t size)
{
	return is_checked(type, data, size) ? arena_unpack(a, type, data, size)
					    : NULL;
}

/* One after the other. */
static void add_hint(struct err *err, const char *text)
{
	CLEANUP(cleanup_free) char *clean = utf8_printable(text, strlen(text));
	CLEANUP(cleanup_free) char *all = NULL;

	if (!*clean)
		return;
	all = mem_printf("%s%s%s", err->hint ? err->hint : "",
			 err->hint ? "; " : "", clean);
	err_hint(err, "%s", all);
}

static bool has_suffix(const char *s, const char *suffix)
{
	size_t size = strlen(s);
	size_t n = strlen(suffix);

	return size >= n && strcmp(s + size - n, suffix) == 0;
}

static void take_help(struct arena *a, const Google__Protobuf__Any *any,
		      struct err *err)
{
	const Google__Rpc__Help *help;

	if (!has_suffix(any->type_url, HELP))
		return;
	help = unpack(a, &google__rpc__help__descriptor, any->value.data,
		      any->value.len);
	for (size_t i = 0; help && i < help->n_links; i++) {
		add_hint(err, help->links[i]->description);
		add_hint(err, help->links[i]->url);
	}
}

static void take_details(const uint8_t *data, size_t size, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	const Google__Rpc__Status *status;

	status = unpack(a, &google__rpc__status__descriptor, data, size);
	if (!status)
		return;
	err->status = mem_dup(data, size);
	err->status_size = size;
	for (size_t i = 0; i < status->n_details; i++)
		take_help(a, status->details[i], err);
}

static void take_trailers(const grpc_metadata_array *trailers, struct err *err)
{
	for (size_t i = 0; i < trailers->count && !err->status; i++) {
		const grpc_metadata *md = &trailers->metadata[i];

		if (grpc_slice_str_cmp(md->key, DETAILS) == 0)
			take_details(GRPC_SLICE_START_PTR(md->value),
				     GRPC_SLICE_LENGTH(md->value), err);
	}
}

/*
 * Once a call is on a connection, core dresses up what goes wrong there as an
 * answer of the server. These are its words.
 */
static bool is_broken(const char *message)
{
	return strcmp(message, "Socket closed") == 0 ||
	       strcmp(message, "GOAWAY received") == 0 ||
	       strncmp(message, "recvmsg:", 8) == 0 ||
	       strncmp(message, "sendmsg:", 8) == 0;
}

static bool is_connected(const struct exchange *x)
{
	return grpc_channel_check_connectivity_state(x->channel->core, 0) ==
	       GRPC_CHANNEL_READY;
}

/* What the server says, or words of ours for those of core. Owned. */
static char *phrase(const struct exchange *x, const char *message)
{
	grpc_status_code code = x->outcome.code;

	if (code == GRPC_STATUS_DEADLINE_EXCEEDED &&
	    strcmp(message, "Deadline Exceeded") == 0)
		return mem_printf("no %s %s in time",
				  is_connected(x) ? "answer from"
						  : "connection to",
				  x->client->name);
	if (code == GRPC_STATUS_CANCELLED && strcmp(message, "CANCELLED") == 0)
		return mem_strdup("cancelled");
	if (code == GRPC_STATUS_UNAVAILABLE && is_broken(message))
		return mem_printf(
			"the connection broke before the answer came (%s)",
			message);
	return mem_strdup(*message ? message : "the server does not say why");
}

static char *message_of(const struct outcome *o)
{
	return utf8_printable((const char *)GRPC_SLICE_START_PTR(o->message),
			      GRPC_SLICE_LENGTH(o->message));
}

static int explain_answer(const struct exchange *x, struct err *err)
{
	CLEANUP(cleanup_free) char *message = message_of(&x->outcome);
	CLEANUP(cleanup_free) char *words = phrase(x, message);

	err_set(err, (int)x->outcome.code, "%s", words);
	take_trailers(&x->outcome.trailers, err);
	return -1;
}

static int explain_unconnected(struct exchange *x, struct err *err)
{
	struct client *c = x->client;
	CLEANUP(cleanup_free) char *message = message_of(&x->outcome);

	if (diagnose(&c->address, c->tls, c->tls_name, err) == 0) {
		client_drop_channel(c, x->channel);
		x->stale = true;
		err_set(err, GRPC_STATUS_UNAVAILABLE, "%s", message);
	}
	return err_wrap(err, "cannot connect to %s", c->name);
}

/* A call that never was on a connection has no such words in its story. */
static bool is_unconnected(const struct outcome *o)
{
	return o->code == GRPC_STATUS_UNAVAILABLE && o->error &&
	       !strstr(o->error, "Error received from peer");
}

int exchange_result(struct exchange *x, struct err *err)
{
	if (x->outcome.code == GRPC_STATUS_OK)
		return 0;
	x->unsent = is_unconnected(&x->outcome);
	return x->unsent ? explain_unconnected(x, err) : explain_answer(x, err);
}

/*
 * A load generator: keeps calls of one unary method under way on one
 * connection and says how many a second were answered. Unlike h2load it looks
 * at the status of each, and can send a message of its own with each.
 *
 *	load --server ADDRESS [OPTION...] METHOD [JSON]
 *
 * "@" in the request stands for the number of the call. Prints one line:
 *
 *	ok=N failed=N rate=CALLS/S p50=US p99=US bytes=LAST_REPLY
 */

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <popt.h>

#include "proto/lib/address.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/descriptors.h"
#include "proto/lib/err.h"
#include "proto/lib/json.h"
#include "proto/lib/mem.h"
#include "proto/lib/tls.h"
#include "proto/lib/units.h"

/* For everything together, in seconds. */
#define TIME_LIMIT 120

static struct {
	char *server, *ca, *cert, *key, *tls_name;
	char *controller;
	char **metadata;
	int calls, streams, rate;
	int show;
} options = {.calls = 1, .streams = 1};

static const struct poptOption option_table[] = {
	{"server", 's', POPT_ARG_STRING, &options.server, 0, "whom to call",
	 "ADDRESS"},
	{"ca", 0, POPT_ARG_STRING, &options.ca, 0, "with TLS: trusted", "FILE"},
	{"cert", 0, POPT_ARG_STRING, &options.cert, 0, "own certificate",
	 "FILE"},
	{"key", 0, POPT_ARG_STRING, &options.key, 0, "its key", "FILE"},
	{"tls-name", 0, POPT_ARG_STRING, &options.tls_name, 0,
	 "who the server must be", "NAME"},
	{"controller", 0, POPT_ARG_STRING, &options.controller, 0,
	 "metadata controllerid", "ID"},
	{"metadata", 0, POPT_ARG_ARGV, &options.metadata, 0, "more of it",
	 "KEY=VALUE"},
	{"rate", 0, POPT_ARG_INT, &options.rate, 0,
	 "begin at most so many a second", "N"},
	{"calls", 'n', POPT_ARG_INT, &options.calls, 0, "how many", "N"},
	{"streams", 'm', POPT_ARG_INT, &options.streams, 0, "at once", "N"},
	{"show", 0, POPT_ARG_NONE, &options.show, 0,
	 "print the last reply as JSON behind the line", NULL},
	POPT_AUTOHELP POPT_TABLEEND};

struct load {
	struct descriptors_method method;
	grpc_slice path;
	grpc_metadata md[8];
	size_t n_md;
	grpc_slice *requests; /* as many as there are calls, or one */
	bool same;

	grpc_channel *channel;
	grpc_completion_queue *queue;
	gpr_timespec until;

	int64_t start;
	size_t calls, started, failed;
	int64_t *took; /* of each call, ns */
	size_t n_took;
	grpc_byte_buffer *last;
};

/* Where calls are made one after the other. */
struct stream {
	grpc_call *call;
	int64_t began;
	grpc_byte_buffer *request, *reply;
	grpc_metadata_array headers, trailers;
	grpc_status_code status;
	grpc_slice message;
};

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "load: %s%s%s\n", what, err ? ": " : "",
		err ? err->msg : "");
	exit(2);
}

/* --- requests --- */

/* The text with the number in place of each "@". */
static char *numbered(const char *text, size_t number)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	for (; *text; text++)
		if (*text == '@')
			fprintf(f, "%zu", number);
		else
			fputc(*text, f);
	fclose(f);
	return out;
}

static grpc_slice encode(const ProtobufCMessageDescriptor *type,
			 const char *text)
{
	struct err err = ERR_INIT;
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(cleanup_json)
	struct json_object *json = json_parse(text, strlen(text), &err);
	ProtobufCMessage *message =
		err.code ? NULL : json_to_message(type, json, a, &err);
	grpc_slice slice;

	if (!message)
		die(text, &err);
	slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));
	protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
	return slice;
}

static void add_metadata(struct load *l, const char *key, size_t size,
			 const char *value)
{
	if (l->n_md == sizeof(l->md) / sizeof(*l->md))
		die("too much metadata", NULL);
	l->md[l->n_md].key = grpc_slice_from_copied_buffer(key, size);
	l->md[l->n_md++].value = grpc_slice_from_copied_string(value);
}

static void prepare_metadata(struct load *l)
{
	if (options.controller)
		add_metadata(l, "controllerid", strlen("controllerid"),
			     options.controller);
	for (char **m = options.metadata; m && *m; m++) {
		size_t size = strcspn(*m, "=");

		if (!(*m)[size])
			die("--metadata is KEY=VALUE", NULL);
		add_metadata(l, *m, size, *m + size + 1);
	}
}

static void prepare(struct load *l, const char *method, const char *text)
{
	CLEANUP(cleanup_free) char *path = NULL;
	size_t n;

	if (!descriptors_find_method(method, &l->method))
		die("unknown method", NULL);
	path = mem_printf("/%s/%s", l->method.service->name,
			  l->method.method->name);
	l->path = grpc_slice_from_copied_string(path);
	l->same = !strchr(text, '@');
	n = l->same ? 1 : l->calls;
	l->requests = mem_zalloc(n, sizeof(*l->requests));
	for (size_t i = 0; i < n; i++) {
		CLEANUP(cleanup_free) char *one = numbered(text, i);

		l->requests[i] = encode(l->method.method->input, one);
	}
	prepare_metadata(l);
}

/* --- the connection --- */

static grpc_channel_credentials *credentials(void)
{
	struct err err = ERR_INIT;
	struct tls_files files = {
		.ca = options.ca, .cert = options.cert, .key = options.key};
	grpc_channel_credentials *creds;
	struct tls *tls;

	if (!options.ca)
		return grpc_insecure_credentials_create();
	tls = tls_new(&files, &err);
	if (!tls)
		die("TLS", &err);
	creds = tls_channel_credentials(tls, options.tls_name);
	tls_unref(tls);
	return creds;
}

static grpc_arg integer(const char *key, int value)
{
	return (grpc_arg){.type = GRPC_ARG_INTEGER,
			  .key = (char *)key,
			  .value.integer = value};
}

static void dial(struct load *l)
{
	struct err err = ERR_INIT;
	CLEANUP(address_clear) struct address a = {0};
	grpc_arg args[] = {
		integer(GRPC_ARG_ENABLE_RETRIES, 0),
		integer(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
		integer(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, -1),
	};
	grpc_channel_args all = {sizeof(args) / sizeof(*args), args};
	grpc_channel_credentials *creds = credentials();

	if (address_parse_server(options.server, &a, &err) == -1)
		die("--server", &err);
	l->channel = grpc_channel_create(a.target, creds, &all);
	grpc_channel_credentials_release(creds);
	l->queue = grpc_completion_queue_create_for_next(NULL);
	l->until =
		gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
			     gpr_time_from_seconds(TIME_LIMIT, GPR_TIMESPAN));
}

static void wait_until_connected(struct load *l)
{
	for (;;) {
		grpc_connectivity_state state =
			grpc_channel_check_connectivity_state(l->channel, 1);

		if (state == GRPC_CHANNEL_READY)
			return;
		if (state == GRPC_CHANNEL_TRANSIENT_FAILURE)
			die("cannot connect", NULL);
		grpc_channel_watch_connectivity_state(l->channel, state,
						      l->until, l->queue, NULL);
		grpc_completion_queue_next(
			l->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
	}
}

/* --- calls --- */

/* Waits until the next call is due. */
static void pace(const struct load *l)
{
	int64_t due;

	if (!options.rate)
		return;
	due = l->start + (int64_t)l->started * (UNITS_SECOND / options.rate);
	clock_nanosleep(
		CLOCK_MONOTONIC, TIMER_ABSTIME,
		&(struct timespec){due / UNITS_SECOND, due % UNITS_SECOND},
		NULL);
}

static void begin(struct load *l, struct stream *s)
{
	grpc_slice request = l->requests[l->same ? 0 : l->started];
	grpc_op ops[6] = {
		{.op = GRPC_OP_SEND_INITIAL_METADATA},
		{.op = GRPC_OP_SEND_MESSAGE},
		{.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
		{.op = GRPC_OP_RECV_INITIAL_METADATA},
		{.op = GRPC_OP_RECV_MESSAGE},
		{.op = GRPC_OP_RECV_STATUS_ON_CLIENT},
	};

	pace(l);
	l->started++;
	s->request = grpc_raw_byte_buffer_create(&request, 1);
	ops[0].data.send_initial_metadata.metadata = l->md;
	ops[0].data.send_initial_metadata.count = l->n_md;
	ops[1].data.send_message.send_message = s->request;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &s->headers;
	ops[4].data.recv_message.recv_message = &s->reply;
	ops[5].data.recv_status_on_client.trailing_metadata = &s->trailers;
	ops[5].data.recv_status_on_client.status = &s->status;
	ops[5].data.recv_status_on_client.status_details = &s->message;
	grpc_metadata_array_init(&s->headers);
	grpc_metadata_array_init(&s->trailers);
	s->began = units_monotonic();
	s->call = grpc_channel_create_call(l->channel, NULL, 0, l->queue,
					   l->path, NULL, l->until, NULL);
	grpc_call_start_batch(s->call, ops, 6, s, NULL);
}

static void count(struct load *l, struct stream *s)
{
	if (s->status == GRPC_STATUS_OK) {
		l->took[l->n_took++] = units_monotonic() - s->began;
		return;
	}
	if (!l->failed++) {
		CLEANUP(cleanup_free)
		char *message = grpc_slice_to_c_string(s->message);

		fprintf(stderr, "load: %s: %s\n", err_code_name((int)s->status),
			message);
	}
}

static void end(struct load *l, struct stream *s)
{
	count(l, s);
	if (l->last)
		grpc_byte_buffer_destroy(l->last);
	l->last = s->reply;
	s->reply = NULL;
	grpc_slice_unref(s->message);
	grpc_metadata_array_destroy(&s->headers);
	grpc_metadata_array_destroy(&s->trailers);
	grpc_byte_buffer_destroy(s->request);
	grpc_call_unref(s->call);
}

/* Makes all calls; returns how long that took, in nanoseconds. */
static int64_t make_calls(struct load *l, size_t n_streams)
{
	CLEANUP(cleanup_free)
	struct stream *streams = mem_zalloc(n_streams, sizeof(*streams));

	l->start = units_monotonic();
	for (size_t i = 0; i < n_streams && l->started < l->calls; i++)
		begin(l, &streams[i]);
	while (l->n_took + l->failed < l->calls) {
		struct stream *s =
			grpc_completion_queue_next(
				l->queue, gpr_inf_future(GPR_CLOCK_REALTIME),
				NULL)
				.tag;

		end(l, s);
		if (l->started < l->calls)
			begin(l, s);
	}
	return units_monotonic() - l->start;
}

/* --- results --- */

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double percentile_us(const struct load *l, size_t percent)
{
	return l->n_took
		       ? (double)l->took[(l->n_took - 1) * percent / 100] / 1e3
		       : 0;
}

static void show_reply(const struct load *l)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(cleanup_json) struct json_object *json = NULL;
	CLEANUP(cleanup_free) char *text = NULL;
	grpc_byte_buffer_reader reader;
	grpc_slice bytes;
	ProtobufCMessage *reply;

	if (!l->last || !grpc_byte_buffer_reader_init(&reader, l->last))
		return;
	bytes = grpc_byte_buffer_reader_readall(&reader);
	reply = arena_unpack(a, l->method.method->output,
			     GRPC_SLICE_START_PTR(bytes),
			     GRPC_SLICE_LENGTH(bytes));
	grpc_slice_unref(bytes);
	grpc_byte_buffer_reader_destroy(&reader);
	if (!reply)
		die("the reply does not decode", NULL);
	json = json_from_message(reply, 0);
	text = json_text(json, false);
	puts(text);
}

static void report(const struct load *l, int64_t ns)
{
	qsort(l->took, l->n_took, sizeof(*l->took), compare);
	printf("ok=%zu failed=%zu rate=%.0f p50=%.0f p99=%.0f bytes=%zu\n",
	       l->n_took, l->failed,
	       (double)l->n_took / ((double)ns / UNITS_SECOND),
	       percentile_us(l, 50), percentile_us(l, 99),
	       l->last ? grpc_byte_buffer_length(l->last) : 0);
	if (options.show)
		show_reply(l);
}

static void load_clear(struct load *l)
{
	if (l->last)
		grpc_byte_buffer_destroy(l->last);
	for (size_t i = 0; i < (l->same ? 1 : l->calls); i++)
		grpc_slice_unref(l->requests[i]);
	free(l->requests);
	free(l->took);
	for (size_t i = 0; i < l->n_md; i++) {
		grpc_slice_unref(l->md[i].key);
		grpc_slice_unref(l->md[i].value);
	}
	grpc_slice_unref(l->path);
	grpc_channel_destroy(l->channel);
	grpc_completion_queue_shutdown(l->queue);
	while (grpc_completion_queue_next(
		       l->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL)
		       .type != GRPC_QUEUE_SHUTDOWN)
		;
	grpc_completion_queue_destroy(l->queue);
}

static bool options_are_good(poptContext context)
{
	return poptGetNextOpt(context) == -1 && options.server &&
	       options.calls > 0 && options.streams > 0 && options.rate >= 0 &&
	       !options.ca == !options.tls_name;
}

int main(int argc, const char **argv)
{
	poptContext context =
		poptGetContext("load", argc, argv, option_table, 0);
	struct load l = {0};
	const char *method, *request;
	int64_t took;

	mallopt(M_TOP_PAD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 16 << 20);
	poptSetOtherOptionHelp(context, "METHOD [JSON]");
	if (!options_are_good(context) || !poptPeekArg(context)) {
		poptPrintUsage(context, stderr, 0);
		return 2;
	}
	method = poptGetArg(context);
	request = poptGetArg(context);
	grpc_init();
	l.calls = (size_t)options.calls;
	l.took = mem_zalloc(l.calls, sizeof(*l.took));
	prepare(&l, method, request ? request : "{}");
	dial(&l);
	wait_until_connected(&l);
	took = make_calls(&l, (size_t)options.streams);
	report(&l, took);
	load_clear(&l);
	grpc_shutdown();
	poptFreeContext(context);
	return l.failed ? 1 : 0;
}

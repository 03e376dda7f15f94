/* Servers: listening, accepting calls, and finding their way. */

#include "daemon/rpc/server.h"

#include <stdlib.h>
#include <string.h>

#include <grpc/grpc_security.h>

#include "daemon/log.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"
#include "proto/lib/utf8.h"

#define LOG_COMPONENT "rpc"

/* Calls to no row that core may hand over at once; more wait in core. */
#define GENERIC_SLOTS 16

/* The same, but values of the first are ASCII and those of the second any. */
#define CONTROLLER_KEY     "controllerid"
#define CONTROLLER_KEY_BIN "controllerid-bin"

static void arm(struct rpc_server *server, const struct method *method);

/* --- routing --- */

static void serve(struct call *call)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (!call->method) {
		err_set(&err, GRPC_STATUS_UNIMPLEMENTED,
			"unknown method /%s/%s", call->route.service,
			call->route.method);
		call_refuse(call, &err);
	} else if (call->method->row->stream) {
		stream_serve(call);
	} else {
		call_serve(call);
	}
}

static void follow_route(struct call *call)
{
	switch (call->route.verdict) {
	case RPC_SERVE:
		serve(call);
		break;
	case RPC_FORWARD:
		forward_call(call);
		break;
	case RPC_REFUSE:
		call_refuse(call, &call->route.err);
		break;
	}
	call_unref(call); /* the one since it was accepted */
}

static void route_task(void *arg)
{
	follow_route(arg);
}

static void on_routed(struct rpc_route *route)
{
	struct call *call =
		(struct call *)((char *)route - offsetof(struct call, route));

	call->task = (struct task){route_task, call, NULL};
	loop_post(call->server->rpc->loop, &call->task);
}

static void find_route(struct call *call)
{
	struct rpc_server *server = call->server;

	call->route.verdict = RPC_SERVE;
	call->route.done = on_routed;
	if (!server->router || server->router(server->router_arg, &call->route))
		follow_route(call);
}

/* Splits "/package.Service/Method". */
static void split_path(struct call *call)
{
	char *path, *slash;

	if (call->method) {
		call->route.service = call->method->service;
		call->route.method = call->method->row->name;
		return;
	}
	path = arena_dup(call->arena,
			 GRPC_SLICE_START_PTR(call->details.method),
			 GRPC_SLICE_LENGTH(call->details.method));
	if (*path == '/')
		path++;
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	call->route.service = path;
	call->route.method = slash ? slash + 1 : "";
}

static bool is_controller_key(grpc_slice key)
{
	return grpc_slice_str_cmp(key, CONTROLLER_KEY) == 0 ||
	       grpc_slice_str_cmp(key, CONTROLLER_KEY_BIN) == 0;
}

/* Takes the id from the metadata; it must be what its bytes say, all of them.
 */
static int take_controller(struct call *call, grpc_slice value, struct err *err)
{
	const char *id = (const char *)GRPC_SLICE_START_PTR(value);
	size_t size = GRPC_SLICE_LENGTH(value);

	if (memchr(id, '\0', size) || !utf8_is_valid(id, size))
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "\"" CONTROLLER_KEY
			       "\" in the metadata is not text");
	call->route.controller = arena_dup(call->arena, id, size);
	return 0;
}

/* Whom the call is for, if its metadata says so. */
static int find_controller(struct call *call, struct err *err)
{
	const grpc_metadata *found = NULL;

	for (size_t i = 0; i < call->md.count; i++) {
		const grpc_metadata *md = &call->md.metadata[i];

		if (!is_controller_key(md->key))
			continue;
		if (found && !grpc_slice_eq(found->value, md->value))
			return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
				       "several values of \"" CONTROLLER_KEY
				       "\" in the metadata");
		found = md;
	}
	return found ? take_controller(call, found->value, err) : 0;
}

/* --- accepting --- */

static void count_up(struct rpc *rpc)
{
	loop_count_call(rpc->loop, 1);
	pthread_mutex_lock(&rpc->mu);
	rpc->live++;
	rpc->accepted++;
	pthread_mutex_unlock(&rpc->mu);
}

/* While the daemon stops, only what says so is still answered. */
static int admit(const struct call *call, struct err *err)
{
	const struct method *m = call->method;

	if (!call->server->rpc->draining ||
	    (m && m->row->flags & RPC_WHILE_DRAINING))
		return 0;
	return err_set(err, GRPC_STATUS_UNAVAILABLE, RPC_DRAINING_MESSAGE);
}

static void on_accepted(void *arg, bool ok)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct call *call = arg;
	struct rpc *rpc = call->server->rpc;

	if (!ok) { /* the server stops */
		call_unref(call);
		return;
	}
	arm(call->server, call->method);
	count_up(rpc);
	if (!call->method)
		call->deadline = call->details.deadline;
	if (log_is_debug())
		call->started = units_monotonic();
	split_path(call);
	peer_of_call(call->grpc, rpc->config.tls, &call->caller, &call->peer,
		     &call->identity);
	call->route.caller = &call->caller;
	if (admit(call, &err) == 0 && find_controller(call, &err) == 0) {
		find_route(call);
		return;
	}
	call_refuse(call, &err);
	call_unref(call);
}

/* Lets core hand over one call to that row, or to none. */
static void arm(struct rpc_server *server, const struct method *method)
{
	struct call *call = call_new(server, method);
	grpc_completion_queue *queue = loop_queue(server->rpc->loop);
	grpc_call_error error;

	call_ref(call);
	call->accepted = (struct tag){on_accepted, call};
	if (method)
		error = grpc_server_request_registered_call(
			server->grpc, method->registered, &call->grpc,
			&call->deadline, &call->md,
			method->comes_with_request ? &call->payload : NULL,
			queue, queue, &call->accepted);
	else
		error = grpc_server_request_call(server->grpc, &call->grpc,
						 &call->details, &call->md,
						 queue, queue, &call->accepted);
	if (error)
		call_unref(call);
}

/* --- servers --- */

static void add_method(struct rpc_server *server,
		       const struct rpc_service *service,
		       const struct rpc_method *row)
{
	struct method *m = mem_zalloc(1, sizeof(*m));
	const ProtobufCMethodDescriptor *contract =
		protobuf_c_service_descriptor_get_method_by_name(
			service->contract, row->name);
	CLEANUP(cleanup_free)
	char *path = mem_printf("/%s/%s", service->contract->name, row->name);

	m->row = row;
	m->service = service->contract->name;
	m->path = grpc_slice_from_copied_string(path);
	m->arg = service->arg;
	m->request = row->request ? row->request : contract->input;
	m->reply = row->reply ? row->reply : contract->output;
	m->comes_with_request = row->unary || row->stream->one_request;
	m->registered = grpc_server_register_method(
		server->grpc, path, NULL,
		m->comes_with_request
			? GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER
			: GRPC_SRM_PAYLOAD_NONE,
		0);
	m->next = server->methods;
	server->methods = m;
}

static grpc_arg integer(const char *key, int value)
{
	return (grpc_arg){.type = GRPC_ARG_INTEGER,
			  .key = (char *)key,
			  .value.integer = value};
}

struct rpc_server *rpc_server_new(struct rpc *rpc,
				  const struct rpc_service *const services[],
				  rpc_router_fn *router, void *router_arg)
{
	struct rpc_server *server = mem_zalloc(1, sizeof(*server));
	grpc_arg args[] = {
		integer(GRPC_ARG_ALLOW_REUSEPORT, 0),
		integer(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, RPC_MAX_MESSAGE),
		integer(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
		integer(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
			9000),
		integer(GRPC_ARG_ENABLE_CHANNELZ, 0),
		integer(GRPC_ARG_HTTP2_BDP_PROBE, 0),
		/* See inflate.h. */
		integer(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
		channels_memory_arg(rpc->memory),
	};
	grpc_channel_args all = {sizeof(args) / sizeof(*args), args};

	server->rpc = rpc;
	server->router = router;
	server->router_arg = router_arg;
	server->grpc = grpc_server_create(&all, NULL);
	grpc_server_register_completion_queue(server->grpc,
					      loop_queue(rpc->loop), NULL);
	for (; *services; services++)
		for (const struct rpc_method *row = (*services)->methods;
		     row->name; row++)
			add_method(server, *services, row);
	server->next = rpc->servers;
	rpc->servers = server;
	return server;
}

static int listen_on_tcp(struct rpc_server *server, const char *address,
			 struct address *a, struct err *err)
{
	struct rpc_config *config = &server->rpc->config;
	grpc_server_credentials *creds;
	int port, rc;

	if (!config->tls && !config->plaintext)
		return err_set(
			err, GRPC_STATUS_INVALID_ARGUMENT,
			"cannot listen on \"%s\": TCP needs certificates (tls.ca, tls.cert, tls.key) or, on loopback, daemon.plaintext = yes",
			address);
	if (!config->tls && !address_is_loopback(a))
		return err_set(
			err, GRPC_STATUS_INVALID_ARGUMENT,
			"cannot listen on \"%s\": TCP without certificates is possible on loopback addresses only",
			address);
	creds = config->tls ? tls_server_credentials(config->tls)
			    : grpc_insecure_server_credentials_create();
	rc = listen_tcp(server->grpc, a, creds, &port, err);
	grpc_server_credentials_release(creds);
	if (rc == 0)
		a->port = (uint16_t)port;
	return rc;
}

int rpc_listen(struct rpc_server *server, const char *address, char **bound,
	       struct err *err)
{
	CLEANUP(address_clear) struct address a = {0};
	int rc;

	if (address_parse_listen(address, &a, err) == -1)
		return -1;
	if (a.kind == ADDRESS_UNIX)
		rc = listeners_add_unix(server->rpc->listeners, server->grpc,
					a.path, err);
	else
		rc = listen_on_tcp(server, address, &a, err);
	if (rc == -1)
		return -1;
	*bound = address_format(&a);
	return 0;
}

void server_start(struct rpc_server *server)
{
	grpc_server_start(server->grpc);
	for (const struct method *m = server->methods; m; m = m->next)
		arm(server, m);
	for (int i = 0; i < GENERIC_SLOTS; i++)
		arm(server, NULL);
}

void server_free(struct rpc_server *server)
{
	struct method *next;

	grpc_server_destroy(server->grpc);
	for (struct method *m = server->methods; m; m = next) {
		next = m->next;
		grpc_slice_unref(m->path);
		free(m);
	}
	free(server);
}

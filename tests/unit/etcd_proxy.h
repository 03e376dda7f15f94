#ifndef OIM_TESTS_ETCD_PROXY_H
#define OIM_TESTS_ETCD_PROXY_H

/*
 * A server before the etcd of the tests that passes calls on, and loses one
 * when it is told to. Streams are not served.
 */

#include "proto/lib/client.h"
#include "etcd/rpc.pb-c.h"
#include "tests/unit/echo.h"
#include "tests/unit/etcd_server.h"

enum proxy_fault {
	PROXY_NONE = 0,
	PROXY_LOSE_REQUEST,  /* etcd does not get it */
	PROXY_LOSE_REPLY,    /* etcd does it */
	PROXY_DELAY,         /* etcd gets it from proxy_deliver() */
	PROXY_NO_LEADER,     /* refused */
	PROXY_OTHER_CLUSTER, /* answered in the name of another one */
	PROXY_OLD_REVISION,
	PROXY_TOO_LARGE, /* as the client finds it */
};

struct proxy {
	struct echo echo;
	struct client *client;
	struct store *store; /* by way of it */

	/* What happens to the next calls of a method; set while none is under
	 * way. */
	const char *method;
	enum proxy_fault fault;
	int times;
	void (*meanwhile)(void *arg); /* after a call was lost */
	void *arg;
	int calls;     /* of that method */
	uint8_t *late; /* a transaction that was delayed */
	size_t late_size;
};

static struct proxy proxy;

static const struct proxy_method {
	const char *name;
	const ProtobufCMessageDescriptor *request;
	const ProtobufCMessageDescriptor *reply;
} proxy_methods[] = {
	{"/etcdserverpb.KV/Range", &etcdserverpb__range_request__descriptor,
	 &etcdserverpb__range_response__descriptor},
	{"/etcdserverpb.KV/Txn", &etcdserverpb__txn_request__descriptor,
	 &etcdserverpb__txn_response__descriptor},
	{"/etcdserverpb.Lease/LeaseGrant",
	 &etcdserverpb__lease_grant_request__descriptor,
	 &etcdserverpb__lease_grant_response__descriptor},
	{"/etcdserverpb.Lease/LeaseRevoke",
	 &etcdserverpb__lease_revoke_request__descriptor,
	 &etcdserverpb__lease_revoke_response__descriptor},
	{"/etcdserverpb.Maintenance/Status",
	 &etcdserverpb__status_request__descriptor,
	 &etcdserverpb__status_response__descriptor},
};

static inline const struct proxy_method *proxy_find(struct echo_call *c)
{
	const struct proxy_method *m = proxy_methods;

	while (grpc_slice_str_cmp(c->details.method, m->name) != 0)
		m++;
	return m;
}

static inline void *proxy_decode(struct arena *a, grpc_byte_buffer *buffer,
				 const ProtobufCMessageDescriptor *type)
{
	grpc_byte_buffer_reader reader;
	grpc_slice bytes;
	void *message;

	CHECK(buffer && grpc_byte_buffer_reader_init(&reader, buffer));
	bytes = grpc_byte_buffer_reader_readall(&reader);
	message = arena_unpack(a, type, GRPC_SLICE_START_PTR(bytes),
			       GRPC_SLICE_LENGTH(bytes));
	grpc_slice_unref(bytes);
	grpc_byte_buffer_reader_destroy(&reader);
	grpc_byte_buffer_destroy(buffer);
	CHECK(message);
	return message;
}

static inline grpc_byte_buffer *proxy_encode(const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	grpc_slice slice = grpc_slice_malloc(size);
	grpc_byte_buffer *buffer;

	protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
	buffer = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return buffer;
}

/* What happens to this call. */
static inline enum proxy_fault proxy_fault_of(const struct proxy_method *m)
{
	if (!proxy.method || strcmp(proxy.method, m->name) != 0)
		return PROXY_NONE;
	proxy.calls++;
	return proxy.times-- > 0 ? proxy.fault : PROXY_NONE;
}

static inline void proxy_fail(struct echo_call *c, grpc_status_code code,
			      const char *text)
{
	if (proxy.meanwhile)
		proxy.meanwhile(proxy.arg);
	echo_finish(c, code, text, NULL, 0);
}

static inline void proxy_answer(struct echo_call *c, enum proxy_fault fault,
				const ProtobufCMessage *reply)
{
	Etcdserverpb__ResponseHeader *header;

	/* It is the first field of all replies. */
	memcpy(&header,
	       (const char *)reply + reply->descriptor->fields[0].offset,
	       sizeof(header));
	if (fault == PROXY_OTHER_CLUSTER)
		header->cluster_id++;
	if (fault == PROXY_OLD_REVISION)
		header->revision = 1;
	echo_send(c, proxy_encode(reply));
	echo_finish(c, GRPC_STATUS_OK, "", NULL, 0);
}

static inline void proxy_serve(struct echo_call *c)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const struct proxy_method *m = proxy_find(c);
	enum proxy_fault fault = proxy_fault_of(m);
	struct client_call call = {
		.method = m->name,
		.reply_type = m->reply,
		.deadline = units_monotonic() + 10 * UNITS_SECOND,
	};
	ProtobufCMessage *request =
		proxy_decode(a, echo_receive(c), m->request);
	const ProtobufCMessage *reply = NULL;

	if (fault == PROXY_NO_LEADER) {
		proxy_fail(c, GRPC_STATUS_UNAVAILABLE, "etcdserver: no leader");
		return;
	}
	if (fault == PROXY_TOO_LARGE) {
		proxy_fail(c, GRPC_STATUS_RESOURCE_EXHAUSTED,
			   "Received message larger than max (2 vs. 1)");
		return;
	}
	if (fault == PROXY_DELAY && proxy.late)
		fault = PROXY_LOSE_REQUEST;
	if (fault == PROXY_DELAY) {
		proxy.late_size = protobuf_c_message_get_packed_size(request);
		proxy.late = mem_alloc(proxy.late_size);
		protobuf_c_message_pack(request, proxy.late);
		fault = PROXY_LOSE_REQUEST;
	}
	if (fault != PROXY_LOSE_REQUEST)
		reply = client_unary(proxy.client, &call, request, a, &err);
	if (fault == PROXY_LOSE_REQUEST || fault == PROXY_LOSE_REPLY)
		proxy_fail(c, GRPC_STATUS_UNAVAILABLE,
			   "etcdserver: request timed out");
	else if (reply)
		proxy_answer(c, fault, reply);
	else
		echo_finish(c, (grpc_status_code)err.code, err.msg, NULL, 0);
}

/* The faults do not begin before proxy_break(). */
static inline void proxy_start(const char *prefix)
{
	static const struct echo_method methods[] = {
		{"/etcdserverpb.KV/Range", proxy_serve},
		{"/etcdserverpb.KV/Txn", proxy_serve},
		{"/etcdserverpb.Lease/LeaseGrant", proxy_serve},
		{"/etcdserverpb.Lease/LeaseRevoke", proxy_serve},
		{"/etcdserverpb.Maintenance/Status", proxy_serve},
		{NULL, NULL},
	};
	const char *endpoints[2] = {NULL};
	struct err err = ERR_INIT;
	struct store_status status;

	memset(&proxy, 0, sizeof(proxy));
	proxy.client = client_new(
		&(struct client_config){.address = etcd_server.endpoints[0]},
		&err);
	echo_start(&proxy.echo, "127.0.0.1:0", methods, NULL);
	endpoints[0] = proxy.echo.address;
	proxy.store = store_etcd_open(
		&(struct store_etcd_config){.endpoints = endpoints,
					    .prefix = prefix},
		&err);
	CHECK(proxy.store && store_check(proxy.store, &status, &err) == 0);
}

static inline void proxy_break(const char *method, enum proxy_fault fault,
			       int times)
{
	proxy.method = method;
	proxy.fault = fault;
	proxy.times = times;
	proxy.calls = 0;
}

/* What was delayed reaches etcd; whether it does anything. */
static inline bool proxy_deliver(void)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct client_call call = {
		.method = "/etcdserverpb.KV/Txn",
		.reply_type = &etcdserverpb__txn_response__descriptor};
	const Etcdserverpb__TxnResponse *reply;

	CHECK(proxy.late);
	reply = client_unary(
		proxy.client, &call,
		arena_unpack(a, &etcdserverpb__txn_request__descriptor,
			     proxy.late, proxy.late_size),
		a, &err);
	free(STEAL(proxy.late));
	CHECK(reply);
	return reply->succeeded;
}

static inline void proxy_stop(void)
{
	free(proxy.late);
	store_close(proxy.store);
	echo_stop(&proxy.echo);
	client_free(proxy.client);
}

#endif

#ifndef OIM_TEST_ECHO_H
#define OIM_TEST_ECHO_H

/*
 * A gRPC server for tests of clients, in the same process: one thread accepts,
 * and each call has a thread that serves it step by step. What a method does
 * is a function of the test: see struct echo_method.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include "proto/lib/mem.h"
#include "tests/unit/check.h"

struct echo_call;

/* A table of them ends with name NULL. */
struct echo_method {
	const char *name; /* "/package.Service/Method" */
	void (*serve)(struct echo_call *c);
};

struct echo {
	const struct echo_method *methods;
	grpc_server *server;
	grpc_completion_queue *queue;
	pthread_t thread;
	char *address; /* that clients dial */
	pthread_mutex_t lock;
	pthread_cond_t idle;
	unsigned live;
};

struct echo_call {
	struct echo *echo;
	grpc_call *call;
	grpc_completion_queue *queue;
	grpc_call_details details;
	grpc_metadata_array md;
	int cancelled;
};

static inline bool echo_wait(struct echo_call *c, void *tag)
{
	return grpc_completion_queue_pluck(
		       c->queue, tag, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL)
		.success;
}

static inline void echo_start_op(struct echo_call *c, grpc_op op, void *tag)
{
	CHECK(grpc_call_start_batch(c->call, &op, 1, tag, NULL) ==
	      GRPC_CALL_OK);
}

static inline bool echo_op(struct echo_call *c, grpc_op op)
{
	echo_start_op(c, op, c);
	return echo_wait(c, c);
}

/* The next message, or NULL if there will be no more. */
static inline grpc_byte_buffer *echo_receive(struct echo_call *c)
{
	grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
	grpc_byte_buffer *message = NULL;

	op.data.recv_message.recv_message = &message;
	echo_op(c, op);
	return message;
}

/* Takes the message; nothing is sent if there is none. */
static inline bool echo_send(struct echo_call *c, grpc_byte_buffer *message)
{
	grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};
	bool ok;

	if (!message)
		return false;
	op.data.send_message.send_message = message;
	ok = echo_op(c, op);
	grpc_byte_buffer_destroy(message);
	return ok;
}

static inline void echo_finish(struct echo_call *c, grpc_status_code code,
			       const char *message, grpc_metadata *trailers,
			       size_t n)
{
	grpc_op op = {.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
	grpc_slice slice = grpc_slice_from_copied_string(message);

	op.data.send_status_from_server.status = code;
	op.data.send_status_from_server.status_details = &slice;
	op.data.send_status_from_server.trailing_metadata = trailers;
	op.data.send_status_from_server.trailing_metadata_count = n;
	echo_op(c, op);
	grpc_slice_unref(slice);
}

/* Until the client has gone. */
static inline void echo_wait_for_cancel(struct echo_call *c)
{
	echo_wait(c, &c->cancelled);
	c->cancelled = -1;
}

static inline void echo_call_free(struct echo_call *c)
{
	if (c->call)
		grpc_call_unref(c->call);
	grpc_completion_queue_destroy(c->queue);
	grpc_call_details_destroy(&c->details);
	grpc_metadata_array_destroy(&c->md);
	free(c);
}

static inline void echo_dispatch(struct echo_call *c)
{
	const struct echo_method *m = c->echo->methods;

	while (m->name && grpc_slice_str_cmp(c->details.method, m->name) != 0)
		m++;
	if (m->name)
		m->serve(c);
	else
		echo_finish(c, GRPC_STATUS_UNIMPLEMENTED, "no such method",
			    NULL, 0);
}

static inline void *echo_serve(void *arg)
{
	struct echo_call *c = arg;
	struct echo *e = c->echo;
	grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};

	op.data.recv_close_on_server.cancelled = &c->cancelled;
	echo_start_op(c, op, &c->cancelled);
	echo_op(c, (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA});
	echo_dispatch(c);
	if (c->cancelled != -1)
		echo_wait(c, &c->cancelled);
	echo_call_free(c);
	pthread_mutex_lock(&e->lock);
	e->live--;
	pthread_cond_signal(&e->idle);
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

/* Waits for the next call. */
static inline void echo_arm(struct echo *e)
{
	struct echo_call *c = mem_zalloc(1, sizeof(*c));

	c->echo = e;
	c->queue = grpc_completion_queue_create_for_pluck(NULL);
	grpc_call_details_init(&c->details);
	grpc_metadata_array_init(&c->md);
	CHECK(grpc_server_request_call(e->server, &c->call, &c->details, &c->md,
				       c->queue, e->queue, c) == GRPC_CALL_OK);
}

static inline void echo_spawn(struct echo *e, struct echo_call *c)
{
	pthread_t thread;

	pthread_mutex_lock(&e->lock);
	e->live++;
	pthread_mutex_unlock(&e->lock);
	CHECK(pthread_create(&thread, NULL, echo_serve, c) == 0);
	pthread_detach(thread);
}

static inline void *echo_accept(void *arg)
{
	struct echo *e = arg;
	grpc_event ev;

	for (;;) {
		ev = grpc_completion_queue_next(
			e->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
		if (ev.type == GRPC_QUEUE_SHUTDOWN)
			return NULL;
		if (ev.tag == e) { /* all calls are over */
			grpc_completion_queue_shutdown(e->queue);
		} else if (ev.success) {
			echo_arm(e);
			echo_spawn(e, ev.tag);
		} else {
			echo_call_free(ev.tag);
		}
	}
}

/*
 * Listens on "127.0.0.1:PORT" (0: any) or "unix:/path"; creds NULL is
 * plaintext, else they are taken.
 */
static inline void echo_start(struct echo *e, const char *address,
			      const struct echo_method *methods,
			      grpc_server_credentials *creds)
{
	grpc_arg arg = {.type = GRPC_ARG_INTEGER,
			.key = GRPC_ARG_ALLOW_REUSEPORT};
	grpc_channel_args args = {.num_args = 1, .args = &arg};
	int port;

	memset(e, 0, sizeof(*e));
	grpc_init();
	if (!creds)
		creds = grpc_insecure_server_credentials_create();
	e->methods = methods;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->idle, NULL);
	e->server = grpc_server_create(&args, NULL);
	e->queue = grpc_completion_queue_create_for_next(NULL);
	grpc_server_register_completion_queue(e->server, e->queue, NULL);
	port = grpc_server_add_http2_port(e->server, address, creds);
	grpc_server_credentials_release(creds);
	CHECK(port);
	e->address = strncmp(address, "unix:", 5) == 0
			     ? mem_strdup(address)
			     : mem_printf("127.0.0.1:%d", port);
	grpc_server_start(e->server);
	echo_arm(e);
	CHECK(pthread_create(&e->thread, NULL, echo_accept, e) == 0);
}

/* Cancels what is under way. */
static inline void echo_stop(struct echo *e)
{
	grpc_server_shutdown_and_notify(e->server, e->queue, e);
	grpc_server_cancel_all_calls(e->server);
	pthread_mutex_lock(&e->lock);
	while (e->live)
		pthread_cond_wait(&e->idle, &e->lock);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	grpc_server_destroy(e->server);
	grpc_completion_queue_destroy(e->queue);
	pthread_cond_destroy(&e->idle);
	pthread_mutex_destroy(&e->lock);
	free(e->address);
	grpc_shutdown();
}

#endif

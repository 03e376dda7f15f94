/*
 * The baseline: a bare C-core server that echoes. One thread, one queue, one
 * batch per call, no decoding. It takes the methods that the benchmark calls,
 * so that it can stand for a registry as well as for a controller.
 *
 *	echo_server ADDRESS [CA CERT KEY]
 *
 * prints "listening on ADDRESS" with the port that it got.
 */

#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>

#include "proto/lib/mem.h"

#define SLOTS 16

static const char *const methods[] = {
	"/oim.v0.Registry/GetControllers",
	"/oim.v0.Registry/RegisterController",
	"/oim.v0.Controller/CheckMallocBDev",
};
#define N_METHODS (sizeof(methods) / sizeof(*methods))

static grpc_server *server;
static grpc_completion_queue *queue;

struct echo {
	void *method;
	grpc_call *call;
	grpc_metadata_array md;
	gpr_timespec deadline;
	grpc_byte_buffer *payload;
	int cancelled;
	bool replied;
};

static void arm(void *method)
{
	struct echo *e = mem_zalloc(1, sizeof(*e));

	e->method = method;
	grpc_metadata_array_init(&e->md);
	grpc_server_request_registered_call(server, method, &e->call,
					    &e->deadline, &e->md, &e->payload,
					    queue, queue, e);
}

static void reply(struct echo *e)
{
	grpc_op ops[4] = {
		{.op = GRPC_OP_SEND_INITIAL_METADATA},
		{.op = GRPC_OP_SEND_MESSAGE},
		{.op = GRPC_OP_SEND_STATUS_FROM_SERVER},
		{.op = GRPC_OP_RECV_CLOSE_ON_SERVER},
	};

	ops[1].data.send_message.send_message = e->payload;
	ops[3].data.recv_close_on_server.cancelled = &e->cancelled;
	e->replied = true;
	grpc_call_start_batch(e->call, ops, 4, e, NULL);
}

static void finish(struct echo *e)
{
	if (e->call)
		grpc_call_unref(e->call);
	if (e->payload)
		grpc_byte_buffer_destroy(e->payload);
	grpc_metadata_array_destroy(&e->md);
	free(e);
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = mem_zalloc(1, 1 << 16);

	if (!f || !fread(text, 1, (1 << 16) - 1, f)) {
		perror(path);
		exit(1);
	}
	fclose(f);
	return text;
}

static grpc_server_credentials *credentials(char **argv)
{
	grpc_ssl_pem_key_cert_pair pair;

	if (!argv[2])
		return grpc_insecure_server_credentials_create();
	pair.cert_chain = read_file(argv[3]);
	pair.private_key = read_file(argv[4]);
	return grpc_ssl_server_credentials_create_ex(
		read_file(argv[2]), &pair, 1,
		GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY,
		NULL);
}

static void listen_on(char **argv)
{
	char *address = mem_strdup(argv[1]);
	int port =
		grpc_server_add_http2_port(server, address, credentials(argv));

	if (!port)
		exit(1);
	if (strncmp(address, "unix:", 5) == 0) {
		printf("listening on %s\n", address);
	} else {
		*strrchr(address, ':') = '\0';
		printf("listening on %s:%d\n", address, port);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	grpc_event ev;
	void *registered[N_METHODS];

	if (argc != 2 && argc != 5) {
		fputs("usage: echo_server ADDRESS [CA CERT KEY]\n", stderr);
		return 2;
	}
	mallopt(M_TOP_PAD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 16 << 20);
	grpc_init();
	server = grpc_server_create(NULL, NULL);
	queue = grpc_completion_queue_create_for_next(NULL);
	grpc_server_register_completion_queue(server, queue, NULL);
	for (size_t i = 0; i < N_METHODS; i++)
		registered[i] = grpc_server_register_method(
			server, methods[i], NULL,
			GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
	listen_on(argv);
	grpc_server_start(server);
	for (size_t i = 0; i < N_METHODS * SLOTS; i++)
		arm(registered[i % N_METHODS]);
	for (;;) {
		struct echo *e;

		ev = grpc_completion_queue_next(
			queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
		e = ev.tag;
		if (e->replied || !ev.success) {
			finish(e);
		} else {
			arm(e->method);
			reply(e);
		}
	}
}

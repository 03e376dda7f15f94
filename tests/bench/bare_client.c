/*
 * The least that a client of gRPC's C core can be: one call with an empty
 * request, looked at for its status only. What oimctl is compared with.
 *
 *	bare_client TARGET /package.Service/Method
 */

#include <stdio.h>
#include <unistd.h>

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>

struct call {
	grpc_call *grpc;
	grpc_byte_buffer *request, *reply;
	grpc_metadata_array headers, trailers;
	grpc_status_code status;
	grpc_slice message;
};

static void start(struct call *c)
{
	grpc_slice nothing = grpc_empty_slice();
	grpc_op ops[6] = {
		{.op = GRPC_OP_SEND_INITIAL_METADATA},
		{.op = GRPC_OP_SEND_MESSAGE},
		{.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
		{.op = GRPC_OP_RECV_INITIAL_METADATA},
		{.op = GRPC_OP_RECV_MESSAGE},
		{.op = GRPC_OP_RECV_STATUS_ON_CLIENT},
	};

	c->request = grpc_raw_byte_buffer_create(&nothing, 1);
	grpc_metadata_array_init(&c->headers);
	grpc_metadata_array_init(&c->trailers);
	ops[1].data.send_message.send_message = c->request;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &c->headers;
	ops[4].data.recv_message.recv_message = &c->reply;
	ops[5].data.recv_status_on_client.trailing_metadata = &c->trailers;
	ops[5].data.recv_status_on_client.status = &c->status;
	ops[5].data.recv_status_on_client.status_details = &c->message;
	grpc_call_start_batch(c->grpc, ops, 6, c, NULL);
}

int main(int argc, char **argv)
{
	struct call c = {0};
	grpc_channel_credentials *creds;
	grpc_channel *channel;
	grpc_completion_queue *queue;
	gpr_timespec never = gpr_inf_future(GPR_CLOCK_REALTIME);

	if (argc != 3) {
		fputs("usage: bare_client TARGET METHOD\n", stderr);
		return 2;
	}
	grpc_init();
	creds = grpc_insecure_credentials_create();
	channel = grpc_channel_create(argv[1], creds, NULL);
	grpc_channel_credentials_release(creds);
	queue = grpc_completion_queue_create_for_next(NULL);
	c.grpc = grpc_channel_create_call(
		channel, NULL, 0, queue, grpc_slice_from_static_string(argv[2]),
		NULL, never, NULL);
	start(&c);
	grpc_completion_queue_next(queue, never, NULL);
	if (c.status)
		fprintf(stderr, "bare_client: status %d\n", (int)c.status);
	else
		printf("%zu\n", grpc_byte_buffer_length(c.reply));
	fflush(stdout);
	_exit(c.status ? 1 : 0); /* the kernel cleans up faster */
}

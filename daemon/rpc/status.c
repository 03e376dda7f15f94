/* How a call ends in error: the status, and the details beside it. */

#include "daemon/rpc/server.h"

#include <stdlib.h>
#include <string.h>

#include <grpc/slice.h>

#include "google/protobuf/any.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "proto/lib/arena.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/utf8.h"

/*
 * Bytes of an error's sentence as they are sent, percent-encoded, and of the
 * hint beside it: with the details, which have both once more in base64, the
 * trailers stay below the 8 KiB that clients take by default.
 */
#define MAX_STATUS_MESSAGE 2048
#define MAX_HINT           1024
#define DETAILS_KEY        "grpc-status-details-bin"
#define TYPE_PREFIX        "type.googleapis.com/"

/* How much of a text fits into max bytes when it is percent-encoded. */
static size_t fit(const char *text, size_t max)
{
	size_t n = 0;

	for (size_t used = 0; text[n]; n++) {
		used += text[n] < ' ' || text[n] > '~' || text[n] == '%' ? 3
									 : 1;
		if (used > max)
			return utf8_valid_prefix(text, n);
	}
	return n;
}

/* The text as it may be sent, in the arena: valid UTF-8, and not too long. */
static char *fit_text(struct arena *a, const char *text, size_t max)
{
	CLEANUP(cleanup_free) char *clean = NULL;

	if (!utf8_is_valid(text, strlen(text)))
		text = clean = utf8_printable(text, strlen(text));
	return arena_dup(a, text, fit(text, max));
}

/* The error with its hint as google.rpc.Status. */
static grpc_slice encode_details(struct arena *a, const struct err *err,
				 char *message)
{
	Google__Rpc__Help__Link link = GOOGLE__RPC__HELP__LINK__INIT;
	Google__Rpc__Help__Link *links[] = {&link};
	Google__Rpc__Help help = GOOGLE__RPC__HELP__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	Google__Protobuf__Any *anys[] = {&any};
	Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
	uint8_t *out;

	link.description = fit_text(a, err->hint, MAX_HINT);
	help.n_links = 1;
	help.links = links;
	any.type_url = (char *)TYPE_PREFIX "google.rpc.Help";
	any.value.len = google__rpc__help__get_packed_size(&help);
	any.value.data = arena_alloc(a, any.value.len);
	google__rpc__help__pack(&help, any.value.data);
	status.code = err->code;
	status.message = message;
	status.n_details = 1;
	status.details = anys;
	out = arena_alloc(a, google__rpc__status__get_packed_size(&status));
	return grpc_slice_from_copied_buffer(
		(char *)out, google__rpc__status__pack(&status, out));
}

void call_status_op(struct call *call, grpc_op *op, const struct err *err)
{
	char *message;

	*op = (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
	op->data.send_status_from_server.status = err->code;
	if (!err->msg)
		return;
	message = fit_text(call->arena, err->msg, MAX_STATUS_MESSAGE);
	call->message = grpc_slice_from_copied_string(message);
	op->data.send_status_from_server.status_details = &call->message;
	if (!err->hint && !err->status)
		return;
	call->details_md.key = grpc_slice_from_static_string(DETAILS_KEY);
	call->details_md.value =
		err->status ? grpc_slice_from_copied_buffer(err->status,
							    err->status_size)
			    : encode_details(call->arena, err, message);
	op->data.send_status_from_server.trailing_metadata = &call->details_md;
	op->data.send_status_from_server.trailing_metadata_count = 1;
}

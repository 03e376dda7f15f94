/* Unpacking compressed messages, up to a limit. */

#include "daemon/rpc/inflate.h"

#include <stdlib.h>

#include <zlib.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>

#include "proto/lib/mem.h"

/* Of zlib: any window, and the header says whether it is gzip or zlib (which is
 * what gRPC calls deflate). */
#define ANY_FORMAT (15 + 32)

#define FIRST_SIZE 4096

bool inflate_is_needed(const grpc_byte_buffer *bytes)
{
	return bytes->data.raw.compression != GRPC_COMPRESS_NONE;
}

/* What is unpacked grows as needed, and stops a byte behind the limit. */
struct output {
	unsigned char *data;
	size_t size, max;
};

static void grow(struct output *o, z_stream *z)
{
	size_t more = o->size ? o->size : FIRST_SIZE;

	if (more > o->max + 1 - o->size)
		more = o->max + 1 - o->size;
	o->data = mem_realloc(o->data, o->size + more, 1);
	z->next_out = o->data + o->size;
	z->avail_out = (uInt)more;
	o->size += more;
}

static int unpack(z_stream *z, struct output *o, struct err *err)
{
	int rc;

	do {
		if (!z->avail_out)
			grow(o, z);
		rc = inflate(z, Z_NO_FLUSH);
		if (o->size - z->avail_out > o->max)
			return err_set(
				err, GRPC_STATUS_RESOURCE_EXHAUSTED,
				"the message is larger than %zu bytes when it is unpacked",
				o->max);
	} while (rc == Z_OK);
	if (rc != Z_STREAM_END || z->avail_in)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "the message is not compressed as it says");
	o->size -= z->avail_out;
	return 0;
}

int inflate_bytes(grpc_byte_buffer *bytes, size_t max, grpc_slice *out,
		  struct err *err)
{
	struct output o = {.max = max};
	grpc_byte_buffer_reader reader;
	z_stream z = {0};
	grpc_slice packed;
	int rc;

	grpc_byte_buffer_reader_init(&reader, bytes);
	packed = grpc_byte_buffer_reader_readall(&reader);
	grpc_byte_buffer_reader_destroy(&reader);
	z.next_in = GRPC_SLICE_START_PTR(packed);
	z.avail_in = (uInt)GRPC_SLICE_LENGTH(packed);
	if (!z.avail_in) { /* some senders pack nothing into nothing */
		*out = packed;
		return 0;
	}
	if (inflateInit2(&z, ANY_FORMAT) != Z_OK)
		abort(); /* memory, as everywhere */
	rc = unpack(&z, &o, err);
	inflateEnd(&z);
	grpc_slice_unref(packed);
	if (rc == -1)
		free(o.data);
	else
		*out = grpc_slice_new(o.data, o.size, free);
	return rc;
}

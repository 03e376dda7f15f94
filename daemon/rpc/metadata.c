/* Metadata of calls that are forwarded. */

#include "daemon/rpc/metadata.h"

#include <stdio.h>
#include <stdlib.h>

#include <grpc/slice.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define HOPS_KEY "oim-hops"

static bool is_hops(const grpc_metadata *md)
{
	return grpc_slice_str_cmp(md->key, HOPS_KEY) == 0;
}

static bool is_legal(const grpc_metadata *md)
{
	return grpc_header_key_is_legal(md->key) &&
	       (grpc_is_binary_header(md->key) ||
		grpc_header_nonbin_value_is_legal(md->value));
}

unsigned long metadata_hops(const grpc_metadata_array *md)
{
	for (size_t i = 0; i < md->count; i++)
		if (is_hops(&md->metadata[i])) {
			CLEANUP(cleanup_free)
			char *text =
				grpc_slice_to_c_string(md->metadata[i].value);

			return strtoul(text, NULL, 10);
		}
	return 0;
}

int metadata_check(const grpc_metadata_array *md, struct err *err)
{
	for (size_t i = 0; i < md->count; i++) {
		CLEANUP(cleanup_free) char *key = NULL;

		if (is_legal(&md->metadata[i]))
			continue;
		key = grpc_slice_to_c_string(md->metadata[i].key);
		return err_set(
			err, GRPC_STATUS_INVALID_ARGUMENT,
			"the metadata \"%s\" is not allowed: values must be printable ASCII unless the key ends in -bin",
			key);
	}
	return 0;
}

bool metadata_keep_legal(grpc_metadata_array *md)
{
	size_t before = md->count;
	size_t n = 0;

	for (size_t i = 0; i < before; i++)
		if (is_legal(&md->metadata[i]))
			md->metadata[n++] = md->metadata[i];
	md->count = n;
	return n < before;
}

void metadata_copy(struct metadata *md, const grpc_metadata_array *from,
		   unsigned long hops)
{
	char text[24];

	md->n = 0;
	md->entries = mem_zalloc(from->count + 1, sizeof(*md->entries));
	for (size_t i = 0; i < from->count; i++)
		if (!is_hops(&from->metadata[i]))
			md->entries[md->n++] = from->metadata[i];
	snprintf(text, sizeof(text), "%lu", hops);
	md->entries[md->n].key = grpc_slice_from_static_string(HOPS_KEY);
	md->entries[md->n++].value = grpc_slice_from_copied_string(text);
}

void metadata_clear(struct metadata *md)
{
	grpc_slice_unref(md->entries[md->n - 1].value);
	free(md->entries);
}

#ifndef OIM_BACKUP_H
#define OIM_BACKUP_H

/*
 * The cluster's state as a document of JSON, and back:
 *
 *	{"apiVersion": "oim/v1", "kind": "State", "storeId": ..., "revision":
 *..., "items": [{"key": "controllers/n1/address", "type":
 *"oim.state.v1.RegistryEntry", "value": {...}}]}
 *
 * Of it are the registry's entries and values and who registers with a time to
 * live; who is alive is not, since that shows anew. The node's state, what this
 * host did, is not either. For a store of any engine. Every function may block.
 */

#include <stdbool.h>
#include <stddef.h>

#include "daemon/store/store.h"
#include "proto/lib/err.h"

/* The document, which the caller frees. DATA_LOSS names a damaged record. */
char *backup_export(struct store *cluster, struct err *err);

/* What an import has come to. */
struct backup_result {
	size_t written;
	size_t removed;
	size_t same; /* were there already */
};

/*
 * Stores what the document has. FAILED_PRECONDITION if the store has something
 * else already, unless force is set: then it has only that of the document
 * afterwards. Bit by bit: an import that fails on the way is repeated, and does
 * the rest. INVALID_ARGUMENT says where the document is none; ABORTED: somebody
 * else has changed the store meanwhile.
 */
int backup_import(struct store *cluster, const char *text, size_t size,
		  bool force, struct backup_result *result, struct err *err);

#endif

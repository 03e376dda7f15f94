/* The parameters of a Ceph volume. */

#include "daemon/core/ceph.h"

#include <string.h>

/* A cephx key as text: 28 bytes in base64, of which the first two are the type,
 * 1, and the next ones a time (Ceph: src/auth/Crypto.cc). */
#define KEY_LENGTH 40
#define KEY_BEGIN  "AQ"
#define KEY_END    "=="

static bool looks_like_key(const char *s)
{
	size_t size = strlen(s);

	return size == KEY_LENGTH &&
	       strncmp(s, KEY_BEGIN, sizeof(KEY_BEGIN) - 1) == 0 &&
	       strcmp(s + size - (sizeof(KEY_END) - 1), KEY_END) == 0;
}

int ceph_check(const Oim__V0__CephParams *params, struct err *err)
{
	const struct {
		const char *name, *value;
	} needed[] = {
		{"monitors", params->monitors},
		{"pool", params->pool},
		{"image", params->image},
	};

	if (looks_like_key(params->user_id))
		return err_set(
			err, GRPC_STATUS_INVALID_ARGUMENT,
			"user_id of the Ceph parameters looks like a key: here secret is field 1 and user_id field 2, some clients number them the other way round");
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (!*needed[i].value)
			return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
				       "the Ceph parameters lack %s",
				       needed[i].name);
	return 0;
}

bool ceph_is_same(const Oim__V0__CephParams *a, const Oim__V0__CephParams *b)
{
	return strcmp(a->monitors, b->monitors) == 0 &&
	       strcmp(a->pool, b->pool) == 0 &&
	       strcmp(a->image, b->image) == 0 &&
	       strcmp(a->user_id, b->user_id) == 0;
}

/* What it means that a call to etcd failed (the table of store.md section 5).
 */

#include "daemon/store/etcd.h"

#include <string.h>

struct rule {
	int code;
	const char *text; /* in the message; NULL: any */
	enum etcd_verdict verdict;
};

/* The first that fits. Of writes. */
static const struct rule rules[] = {
	{GRPC_STATUS_UNAVAILABLE, "etcdserver: no leader", ETCD_LATER},
	{GRPC_STATUS_RESOURCE_EXHAUSTED, "etcdserver: too many requests",
	 ETCD_LATER},
	{GRPC_STATUS_UNAUTHENTICATED, "invalid auth token", ETCD_TOKEN},
	{GRPC_STATUS_INVALID_ARGUMENT, "user name is empty", ETCD_TOKEN},
	{GRPC_STATUS_INVALID_ARGUMENT, "revision of auth store is old",
	 ETCD_TOKEN},
	{GRPC_STATUS_RESOURCE_EXHAUSTED, "database space exceeded", ETCD_FINAL},
	{GRPC_STATUS_RESOURCE_EXHAUSTED, "grpc: received message larger",
	 ETCD_FINAL},
	{GRPC_STATUS_FAILED_PRECONDITION, "etcdserver: lease already exists",
	 ETCD_FINAL},
	{GRPC_STATUS_INVALID_ARGUMENT, "etcdserver: ", ETCD_FINAL},
	{GRPC_STATUS_PERMISSION_DENIED, NULL, ETCD_FINAL},
	{GRPC_STATUS_OUT_OF_RANGE, NULL, ETCD_FINAL},
	{GRPC_STATUS_NOT_FOUND, NULL, ETCD_FINAL},
	{GRPC_STATUS_UNIMPLEMENTED, NULL, ETCD_FINAL},
};

static bool fits(const struct rule *r, const struct err *err)
{
	return r->code == err->code && (!r->text || strstr(err->msg, r->text));
}

static enum etcd_verdict judge_read(const struct err *err)
{
	switch (err->code) {
	case GRPC_STATUS_UNAVAILABLE:
	case GRPC_STATUS_DEADLINE_EXCEEDED:
	case GRPC_STATUS_CANCELLED:
	case GRPC_STATUS_UNKNOWN: /* "context deadline exceeded" */
		return ETCD_LATER;
	default:
		return ETCD_FINAL;
	}
}

enum etcd_verdict etcd_judge(const struct err *err, bool unsent, bool is_write)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (fits(&rules[i], err))
			return rules[i].verdict;
	if (unsent || !is_write)
		return judge_read(err);
	return ETCD_UNKNOWN;
}

void etcd_translate(struct err *err)
{
	switch (err->code) {
	case GRPC_STATUS_NOT_FOUND:
	case GRPC_STATUS_OUT_OF_RANGE:
	case GRPC_STATUS_RESOURCE_EXHAUSTED:
	case GRPC_STATUS_FAILED_PRECONDITION:
		break;
	case GRPC_STATUS_INVALID_ARGUMENT:
	case GRPC_STATUS_PERMISSION_DENIED:
	case GRPC_STATUS_UNAUTHENTICATED:
	case GRPC_STATUS_UNIMPLEMENTED:
		err->code = GRPC_STATUS_FAILED_PRECONDITION;
		break;
	default:
		err->code = GRPC_STATUS_UNAVAILABLE;
	}
}

bool etcd_is_compacted(const struct err *err)
{
	return err->code == GRPC_STATUS_OUT_OF_RANGE &&
	       strstr(err->msg, "has been compacted");
}

bool etcd_is_future(const struct err *err)
{
	return err->code == GRPC_STATUS_OUT_OF_RANGE &&
	       strstr(err->msg, "future revision");
}

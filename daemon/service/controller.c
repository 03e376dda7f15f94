/* oim.v0.Controller: volumes as disks, and malloc bdevs. */

#include "daemon/service/controller.h"

#include <stddef.h>
#include <string.h>

#include "daemon/core/bdev.h"
#include "daemon/core/mapping.h"
#include "daemon/service/op_of_call.h"
#include "oim/v0/compat.pb-c.h"
#include "oim/v0/oim.pb-c.h"

/* The controller that the call is for: routing has seen to it that a call that
 * names none is for the only one. */
static struct controller *target(const struct call *call)
{
	const struct controllers *cs = call_arg(call);
	const char *id = call_controller(call);

	return id ? controllers_find(cs, id) : cs->items[0];
}

/* --- the parameters of a volume, in all their forms --- */

/* Where the early draft's map has the fields of CephParams. */
static char **ceph_field(Oim__V0__CephParams *ceph, const char *key)
{
	static const struct {
		const char *key;
		size_t offset;
	} fields[] = {
		{"secret", offsetof(Oim__V0__CephParams, secret)},
		{"user_id", offsetof(Oim__V0__CephParams, user_id)},
		{"monitors", offsetof(Oim__V0__CephParams, monitors)},
		{"pool", offsetof(Oim__V0__CephParams, pool)},
		{"image", offsetof(Oim__V0__CephParams, image)},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (strcmp(fields[i].key, key) == 0)
			return (char **)((char *)ceph + fields[i].offset);
	return NULL;
}

static int read_map(const Oim__V0__Compat__MapVolume *r,
		    Oim__V0__CephParams *ceph, const char **type,
		    struct err *err)
{
	for (size_t i = 0; i < r->n_params; i++) {
		const Oim__V0__Compat__MapParam *p = r->params[i];
		char **field = ceph_field(ceph, p->key);

		if (strcmp(p->key, "type") == 0)
			*type = p->value;
		else if (field)
			*field = p->value;
		else
			return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
				       "unknown volume parameter \"%s\"",
				       p->key);
	}
	return 0;
}

/* The early draft's map<string, string>. */
static int params_of_map(const Oim__V0__Compat__MapVolume *r, struct arena *a,
			 struct mapping_params *params, struct err *err)
{
	Oim__V0__CephParams *ceph =
		arena_message(a, &oim__v0__ceph_params__descriptor);
	const char *type = "";

	if (read_map(r, ceph, &type, err) == -1)
		return -1;
	if (strcmp(type, "ceph") == 0) {
		params->ceph = ceph;
		return 0;
	}
	if (strcmp(type, "malloc") != 0)
		return err_set(
			err, GRPC_STATUS_INVALID_ARGUMENT,
			"the volume parameter \"type\" must be \"malloc\" or \"ceph\"");
	if (r->n_params == 1)
		return 0;
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		       "a malloc volume has no other parameters than \"type\"");
}

static int params_of_request(const Oim__V0__Compat__MapVolume *r,
			     struct arena *a, struct mapping_params *params,
			     struct err *err)
{
	if (r->ceph && r->n_params)
		return err_set(
			err, GRPC_STATUS_INVALID_ARGUMENT,
			"volume \"%s\" has both malloc and Ceph parameters",
			r->volume_id);
	if (!r->ceph && !r->n_params)
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "missing parameters of volume \"%s\"",
			       r->volume_id);
	params->ceph = r->ceph;
	/* An empty MallocParams looks like one entry without a key. */
	if (r->ceph ||
	    (r->n_params == 1 && !*r->params[0]->key && !*r->params[0]->value))
		return 0;
	return params_of_map(r, a, params, err);
}

/* --- the methods --- */

static int map_volume(struct call *call, const void *request, void *reply,
		      struct err *err)
{
	const Oim__V0__Compat__MapVolume *r = request;
	Oim__V0__MapVolumeReply *result = reply;
	struct mapping_params params = {0};
	Oim__State__V1__Mapping *mapping;

	if (params_of_request(r, call_arena(call), &params, err) == -1 ||
	    mapping_map(target(call), op_of_call(call), r->volume_id, &params,
			call_arena(call), &mapping, err) == -1)
		return -1;
	result->device = mapping->device;
	result->scsi = mapping->scsi;
	return 0;
}

static int unmap_volume(struct call *call, const void *request, void *reply,
			struct err *err)
{
	const Oim__V0__UnmapVolumeRequest *r = request;

	(void)reply;
	return mapping_unmap(target(call), op_of_call(call), r->volume_id, err);
}

static int provision_malloc_bdev(struct call *call, const void *request,
				 void *reply, struct err *err)
{
	const Oim__V0__ProvisionMallocBDevRequest *r = request;

	(void)reply;
	return bdev_provision(target(call), op_of_call(call), r->bdev_name,
			      r->size, err);
}

static int check_malloc_bdev(struct call *call, const void *request,
			     void *reply, struct err *err)
{
	const Oim__V0__CheckMallocBDevRequest *r = request;

	(void)reply;
	return bdev_check(target(call), r->bdev_name, err);
}

const struct rpc_method service_controller[] = {
	{.name = "MapVolume",
	 .unary = map_volume,
	 .request = &oim__v0__compat__map_volume__descriptor},
	{.name = "UnmapVolume", .unary = unmap_volume},
	{.name = "ProvisionMallocBDev", .unary = provision_malloc_bdev},
	{.name = "CheckMallocBDev", .unary = check_malloc_bdev},
	{.name = NULL},
};

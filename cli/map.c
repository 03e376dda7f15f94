/* Volumes and their disks: map, unmap. */

#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/disk.h"
#include "cli/everywhere.h"
#include "cli/secret.h"
#include "cli/task.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "oim/v0/oim.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"

/* --- map --- */

/* The first option that is given of those that only Ceph has, or NULL. */
static const char *ceph_option(const struct task *t)
{
	static const char *const names[] = {"monitors", "user", "secret-file"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (task_option(t, names[i]))
			return names[i];
	return NULL;
}

static int check_source(const struct task *t, struct err *err)
{
	const char *option = ceph_option(t);

	if (!task_option(t, "ceph"))
		return !option ? 0
			       : err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
					 "--%s is for --ceph", option);
	if (task_option(t, "malloc"))
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "--malloc and --ceph exclude each other");
	if (!task_option(t, "monitors") || !task_option(t, "secret-file"))
		return err_set(
			err, GRPC_STATUS_INVALID_ARGUMENT,
			"--ceph needs --monitors A[,B] and --secret-file FILE");
	return 0;
}

/* "POOL/IMAGE", in the arena. */
static int split_image(const struct task *t, Oim__V0__CephParams *ceph,
		       struct err *err)
{
	const char *spec = task_option(t, "ceph");
	char *pool = arena_strdup(t->arena, spec);
	char *image = strchr(pool, '/');

	if (!image || image == pool || !image[1] || strchr(image + 1, '/'))
		return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
			       "\"%s\" is not POOL/IMAGE", spec);
	*image++ = '\0';
	ceph->pool = pool;
	ceph->image = image;
	return 0;
}

/* Fills in all but the secret, which is the caller's. */
static int describe_ceph(const struct task *t, Oim__V0__CephParams *ceph,
			 struct err *err)
{
	const char *user = task_option(t, "user");

	ceph->monitors = (char *)task_option(t, "monitors");
	ceph->user_id = (char *)(user ? user : "");
	return split_image(t, ceph, err);
}

static const Oim__V0__MapVolumeReply *map(
	struct task *t, const Oim__V0__MapVolumeRequest *request,
	struct err *err)
{
	const struct ask what = {
		.method = "/oim.v0.Controller/MapVolume",
		.controller = task_controller(t),
		.request = &request->base,
		.reply = &oim__v0__map_volume_reply__descriptor,
	};

	return ask_patiently(t, &what, err);
}

static const Oim__V0__MapVolumeReply *map_malloc(struct task *t,
						 struct err *err)
{
	Oim__V0__MapVolumeRequest request = OIM__V0__MAP_VOLUME_REQUEST__INIT;
	Oim__V0__MallocParams malloc_params = OIM__V0__MALLOC_PARAMS__INIT;

	request.volume_id = (char *)t->args[0];
	request.params_case = OIM__V0__MAP_VOLUME_REQUEST__PARAMS_MALLOC;
	request.malloc = &malloc_params;
	return map(t, &request, err);
}

static const Oim__V0__MapVolumeReply *map_ceph(struct task *t, struct err *err)
{
	Oim__V0__MapVolumeRequest request = OIM__V0__MAP_VOLUME_REQUEST__INIT;
	Oim__V0__CephParams ceph = OIM__V0__CEPH_PARAMS__INIT;
	const Oim__V0__MapVolumeReply *reply;

	if (describe_ceph(t, &ceph, err) == -1)
		return NULL;
	ceph.secret = secret_read(t, task_option(t, "secret-file"), err);
	if (!ceph.secret)
		return NULL;
	request.volume_id = (char *)t->args[0];
	request.params_case = OIM__V0__MAP_VOLUME_REQUEST__PARAMS_CEPH;
	request.ceph = &ceph;
	reply = map(t, &request, err);
	mem_free_secret(ceph.secret);
	return reply;
}

static bool is_for_people(const struct task *t)
{
	return t->settings.style.format == OUT_TABLE &&
	       !t->settings.style.columns;
}

static int run_map(struct task *t, struct err *err)
{
	const char *volume = t->args[0];
	const Oim__V0__MapVolumeReply *r;
	unsigned flags = DISK_WAIT;
	struct disk disk;

	if (id_check(volume, "volume id", err) == -1 ||
	    check_source(t, err) == -1)
		return -1;
	r = task_option(t, "ceph") ? map_ceph(t, err) : map_malloc(t, err);
	if (!is_for_people(t))
		flags |= DISK_NAME_CONTROLLER;
	if (!r || disk_find(t, task_controller(t), flags, r->device, r->scsi,
			    &disk, err) == -1)
		return -1;
	out_object(t->out, "Mapping");
	out_str(t->out, "volumeId", volume);
	if (*disk.controller || !is_for_people(t))
		out_str(t->out, "controllerId", disk.controller);
	out_str(t->out, "device", r->device);
	out_str(t->out, "scsi", r->scsi);
	out_str(t->out, "path", disk.path);
	return 0;
}

/* --- unmap --- */

static int check_mapped(struct task *t, const char *volume, struct err *err)
{
	struct ask what = everywhere_mappings;
	const Oim__Admin__V1__ListMappingsReply *r;

	what.controller = task_controller(t);
	if (!task_option(t, "must-exist") || task_option(t, "dry-run"))
		return 0;
	r = ask(t, &what, err);
	for (size_t i = 0; r && i < r->n_mappings; i++)
		if (strcmp(r->mappings[i]->volume_id, volume) == 0)
			return 0;
	return r ? task_absent(t, err, "volume \"%s\" is not mapped", volume)
		 : -1;
}

static int unmap(struct task *t, const char *volume, struct err *err)
{
	Oim__V0__UnmapVolumeRequest request =
		OIM__V0__UNMAP_VOLUME_REQUEST__INIT;
	const struct ask what = {
		.method = "/oim.v0.Controller/UnmapVolume",
		.controller = task_controller(t),
		.request = &request.base,
		.reply = &oim__v0__unmap_volume_reply__descriptor,
	};

	request.volume_id = (char *)volume;
	if (check_mapped(t, volume, err) == -1 || !ask_patiently(t, &what, err))
		return -1;
	task_done(t, volume, "unmapped");
	return 0;
}

static int run_unmap(struct task *t, struct err *err)
{
	for (size_t i = 0; i < t->n_args; i++)
		if (id_check(t->args[i], "volume id", err) == -1)
			return -1;
	task_results(t);
	return task_each(t, unmap, err);
}

static const struct opt map_options[] = {
	{"malloc", 0, NULL, "the malloc bdev of that name (the default)", 0,
	 NULL},
	{"ceph", 0, "POOL/IMAGE", "an image of a Ceph cluster", 0, NULL},
	{"monitors", 0, "A,B", "its monitors, as host:port", OPT_LIST, NULL},
	{"user", 0, "ID", "Ceph user, without \"client.\"", 0, NULL},
	{"secret-file", 0, "FILE", "file with the user's key, - for stdin", 0,
	 NULL},
	{0},
};

static const struct opt unmap_options[] = {
	{"must-exist", 0, NULL, "absence is an error", 0, NULL},
	{0},
};

static const struct out_column map_columns[] = {
	{"volumeId", "VOLUME", 0},
	{"path", "PATH", 0},
	{"controllerId", "CONTROLLER", 0},
	{"device", "DEVICE", 0},
	{"scsi", "SCSI", 0},
	{0},
};

const struct cmd cmds_map[] = {
	{
		.name = "map",
		.args = "VOLUME",
		.help = "make a volume appear as a disk",
		.more = "Prints where the disk is: its node in /dev if it is on this host.\n"
			"\n"
			"  oimctl map vol1\n"
			"  oimctl map vol1 -o value=/path\n"
			"  oimctl map vol2 --ceph rbd/vol2 --monitors mon1:6789 --user admin \\\n"
			"         --secret-file /etc/ceph/key\n",
		.options = map_options,
		.columns = map_columns,
		.run = run_map,
		.complete = complete_bdevs,
		.verify = "list mappings",
	},
	{
		.name = "unmap",
		.args = "VOLUME...",
		.help = "remove the disks of volumes; the data stays",
		.more = "What is mounted or in use is left alone. Unmapping what is not mapped\n"
			"is no error.\n"
			"\n"
			"  oimctl unmap vol1\n",
		.flags = CMD_QUIET,
		.options = unmap_options,
		.columns = task_result_columns,
		.run = run_unmap,
		.complete = complete_mappings,
		.verify = "list mappings",
	},
	{0},
};

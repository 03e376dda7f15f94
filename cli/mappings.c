/* What is mapped: list mappings, show mapping. */

#include "cli/ask.h"
#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/disk.h"
#include "cli/everywhere.h"
#include "cli/items.h"
#include "cli/task.h"
#include "cli/watch.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "proto/lib/cleanup.h"

static void begin(struct task *t, const Oim__Admin__V1__Mapping *m)
{
	out_row(t->out);
	out_str(t->out, "volumeId", m->volume_id);
	out_str(t->out, "controllerId", m->controller_id);
	out_str(t->out, "device", m->device);
	out_str(t->out, "scsi", m->scsi);
}

static void finish(struct task *t, const Oim__Admin__V1__Mapping *m)
{
	out_str(t->out, "plane", m->plane);
	out_str(t->out, "type", m->kind);
	out_size(t->out, "size", (uint64_t)m->size);
	out_time(t->out, "since", m->since);
	out_str(t->out, "state", m->state);
}

static void add_listed(struct task *t, const void *reply)
{
	const Oim__Admin__V1__ListMappingsReply *r = reply;

	for (size_t i = 0; i < r->n_mappings; i++) {
		begin(t, r->mappings[i]);
		finish(t, r->mappings[i]);
	}
}

/* Of few volumes it is worth to find out where they are. */
static void add_path(struct task *t, const Oim__Admin__V1__Mapping *m)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct disk disk;

	if (disk_find(t, m->controller_id, 0, m->device, m->scsi, &disk,
		      &err) == -1)
		disk.path = "";
	out_str(t->out, "path", disk.path);
}

static void add_shown(struct task *t, const void *reply)
{
	const Oim__Admin__V1__ListMappingsReply *r = reply;

	for (size_t i = 0; i < r->n_mappings; i++)
		if (items_has(t, r->mappings[i]->volume_id)) {
			begin(t, r->mappings[i]);
			add_path(t, r->mappings[i]);
			finish(t, r->mappings[i]);
		}
}

static int gather(struct task *t,
		  void (*add)(struct task *t, const void *reply),
		  struct err *err)
{
	if (items_check(t, "volume id", err) == -1)
		return -1;
	out_list(t->out, "MappingList", "items");
	out_order(t->out, "controllerId");
	if (everywhere_ask(t, &everywhere_mappings, add, err) == -1)
		return -1;
	return items_finish(t, "volumeId", "Mapping", err);
}

static int list(struct task *t, struct err *err)
{
	return gather(t, add_listed, err);
}

static int run_list(struct task *t, struct err *err)
{
	return watch_list(t, true, list, err);
}

static int run_show(struct task *t, struct err *err)
{
	return gather(t, add_shown, err);
}

static const struct out_column list_columns[] = {
	{"volumeId", "VOLUME", 0},
	{"controllerId", "CONTROLLER", 0},
	{"plane", "PLANE", OUT_ONLY_WIDE},
	{"type", "TYPE", OUT_ONLY_WIDE},
	{"size", "SIZE", 0},
	{"state", "STATE", 0},
	{"since", "AGE", OUT_AGE},
	{"device", "DEVICE", 0},
	{"scsi", "SCSI", OUT_ONLY_WIDE},
	{0},
};

static const struct out_column show_columns[] = {
	{"volumeId", "VOLUME", 0},
	{"path", "PATH", 0},
	{"controllerId", "CONTROLLER", 0},
	{"device", "DEVICE", 0},
	{"scsi", "SCSI", 0},
	{"plane", "PLANE", 0},
	{"type", "TYPE", 0},
	{"size", "SIZE", 0},
	{"state", "STATE", 0},
	{"since", "AGE", OUT_AGE},
	{0},
};

const struct cmd cmds_mappings[] = {
	{
		.name = "list mappings",
		.help = "list what all controllers map, or one does",
		.more = "  oimctl list mappings --controller node-7\n",
		.options = watch_options,
		.columns = list_columns,
		.run = run_list,
	},
	{
		.name = "show mapping",
		.args = "VOLUME...",
		.help = "show mapped volumes and where their disks are",
		.more = "  oimctl show mapping vol1 -o value=/path\n",
		.columns = show_columns,
		.run = run_show,
		.complete = complete_mappings,
	},
	{0},
};

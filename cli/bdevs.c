/* Malloc bdevs: provision, check, list bdevs, show bdev. */

#include "cli/ask.h"
#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/everywhere.h"
#include "cli/items.h"
#include "cli/task.h"
#include "cli/watch.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "oim/v0/oim.pb-c.h"
#include "proto/lib/id.h"
#include "proto/lib/units.h"

/* --- check --- */

static int exists(struct task *t, const char *name, struct err *err)
{
	Oim__V0__CheckMallocBDevRequest request =
		OIM__V0__CHECK_MALLOC_BDEV_REQUEST__INIT;
	const struct ask what = {
		.method = "/oim.v0.Controller/CheckMallocBDev",
		.controller = task_controller(t),
		.request = &request.base,
		.reply = &oim__v0__check_malloc_bdev_reply__descriptor,
	};

	request.bdev_name = (char *)name;
	return ask(t, &what, err) ? 0 : -1;
}

static int check(struct task *t, const char *name, struct err *err)
{
	if (exists(t, name, err) == -1)
		return -1;
	task_done(t, name, "ok");
	return 0;
}

static int run_check(struct task *t, struct err *err)
{
	for (size_t i = 0; i < t->n_args; i++)
		if (id_check(t->args[i], "bdev name", err) == -1)
			return -1;
	task_results(t);
	return task_each(t, check, err);
}

/* --- provision --- */

static int parse_size(const char *text, uint64_t *bytes, struct err *err)
{
	if (units_parse_size(text, bytes, err) == -1)
		return -1;
	if (*bytes % 512 == 0)
		return 0;
	return err_set(err, GRPC_STATUS_INVALID_ARGUMENT,
		       "size %s is not a multiple of 512 bytes", text);
}

static int provision(struct task *t, const char *name, uint64_t bytes,
		     struct err *err)
{
	Oim__V0__ProvisionMallocBDevRequest request =
		OIM__V0__PROVISION_MALLOC_BDEV_REQUEST__INIT;
	const struct ask what = {
		.method = "/oim.v0.Controller/ProvisionMallocBDev",
		.controller = task_controller(t),
		.request = &request.base,
		.reply = &oim__v0__provision_malloc_bdev_reply__descriptor,
	};

	request.bdev_name = (char *)name;
	request.size = (int64_t)bytes;
	return ask_patiently(t, &what, err) ? 0 : -1;
}

static int remove_bdev(struct task *t, const char *name, struct err *err)
{
	if (task_option(t, "must-exist") && !task_option(t, "dry-run") &&
	    exists(t, name, err) == -1)
		return -1;
	if (task_confirm(t, err, "delete bdev \"%s\" and its data", name) ==
		    -1 ||
	    provision(t, name, 0, err) == -1)
		return -1;
	task_done(t, name, "deleted");
	return 0;
}

static int run_provision(struct task *t, struct err *err)
{
	const char *name = t->args[0];
	uint64_t bytes;

	if (id_check(name, "bdev name", err) == -1 ||
	    parse_size(t->args[1], &bytes, err) == -1)
		return -1;
	task_results(t);
	if (!bytes)
		return remove_bdev(t, name, err);
	if (provision(t, name, bytes, err) == -1)
		return -1;
	task_done(t, name, "provisioned");
	return 0;
}

/* --- list and show --- */

static void describe(struct task *t, const Oim__Admin__V1__BDev *b)
{
	out_row(t->out);
	out_str(t->out, "name", b->name);
	out_str(t->out, "controllerId", b->controller_id);
	out_str(t->out, "plane", b->plane);
	out_str(t->out, "type", b->kind);
	out_size(t->out, "size", (uint64_t)b->size);
	out_bool(t->out, "mapped", b->mapped);
	out_time(t->out, "created", b->created);
	out_str(t->out, "problem", b->problem);
}

static void add_bdevs(struct task *t, const void *reply)
{
	const Oim__Admin__V1__ListBDevsReply *r = reply;

	for (size_t i = 0; i < r->n_bdevs; i++)
		if (items_has(t, r->bdevs[i]->name))
			describe(t, r->bdevs[i]);
}

/* With arguments only those. */
static int run_show(struct task *t, struct err *err)
{
	if (items_check(t, "bdev name", err) == -1)
		return -1;
	out_list(t->out, "BDevList", "items");
	out_order(t->out, "controllerId");
	if (everywhere_ask(t, &everywhere_bdevs, add_bdevs, err) == -1)
		return -1;
	return items_finish(t, "name", "BDev", err);
}

static int run_list(struct task *t, struct err *err)
{
	return watch_list(t, true, run_show, err);
}

static const struct opt provision_options[] = {
	{"must-exist", 0, NULL, "absence is an error, with size 0", 0, NULL},
	{0},
};

static const struct out_column bdev_columns[] = {
	{"name", "BDEV", 0},
	{"controllerId", "CONTROLLER", 0},
	{"plane", "PLANE", OUT_ONLY_WIDE},
	{"type", "TYPE", 0},
	{"size", "SIZE", 0},
	{"mapped", "MAPPED", 0},
	{"created", "AGE", OUT_AGE},
	{"problem", "PROBLEM", OUT_TROUBLE},
	{0},
};

const struct cmd cmds_bdevs[] = {
	{
		.name = "provision",
		.args = "NAME SIZE",
		.help = "create a malloc bdev, or delete it with size 0",
		.more = "A block device in the memory of a controller, for testing. Its data\n"
			"survives being unmapped, but not a reboot.\n"
			"\n"
			"  oimctl provision vol1 64M\n"
			"  oimctl provision vol1 0 --yes\n",
		.flags = CMD_QUIET,
		.options = provision_options,
		.columns = task_result_columns,
		.run = run_provision,
		.complete = complete_bdevs,
		.verify = "list bdevs",
	},
	{
		.name = "check",
		.args = "NAME...",
		.help = "tell whether malloc bdevs exist",
		.more = "  oimctl check vol1 vol2\n",
		.columns = task_result_columns,
		.run = run_check,
		.complete = complete_bdevs,
	},
	{
		.name = "list bdevs",
		.help = "list the bdevs of all controllers, or of one",
		.more = "  oimctl list bdevs --controller node-7 --sort -size\n",
		.options = watch_options,
		.columns = bdev_columns,
		.run = run_list,
	},
	{
		.name = "show bdev",
		.args = "NAME...",
		.help = "show bdevs",
		.columns = bdev_columns,
		.run = run_show,
		.complete = complete_bdevs,
	},
	{0},
};

/* Entries of the registry: register, unregister. */

#include <string.h>

#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/dialect.h"
#include "cli/report.h"
#include "cli/task.h"
#include "proto/lib/address.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"

/* --- register --- */

static int check_pci(const char *bdf, struct err *err)
{
	if (!bdf || (*bdf && !bdf[strspn(bdf, "0123456789abcdefABCDEF:.")]))
		return 0;
	return err_set(
		err, GRPC_STATUS_INVALID_ARGUMENT,
		"\"%s\" is not a PCI address such as 0000:00:15.0 or 00:15",
		bdf);
}

static int check_address(const char *address, struct err *err)
{
	if (*address)
		return 0;
	err_set(err, GRPC_STATUS_INVALID_ARGUMENT, "the address is empty");
	return err_hint(err, "\"unregister\" removes a controller");
}

/* Some are registered for others to read; a registry cannot forward to them. */
static void warn_of_address(const struct task *t, const char *address)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(address_clear) struct address a = {0};

	if (address_parse_controller(address, &a, &err) == -1)
		report_warning(t, "registries cannot forward calls there: %s",
			       err.msg);
}

static int run_register(struct task *t, struct err *err)
{
	const char *id = t->args[0], *address = t->args[1];
	const char *pci = task_option(t, "pci");

	if (id_check(id, "controller id", err) == -1 ||
	    check_address(address, err) == -1 || check_pci(pci, err) == -1)
		return -1;
	warn_of_address(t, address);
	task_results(t);
	if (dialect_register(t, id, address, err) == -1)
		return -1;
	if (pci && dialect_set(t, arena_printf(t->arena, "%s/pci", id), pci,
			       err) == -1)
		return -1;
	task_done(t, id, "registered");
	return 0;
}

/* --- unregister --- */

static const struct entry *find_entry(const struct entry *entries, size_t n,
				      const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (*entries[i].address && strcmp(entries[i].id, id) == 0)
			return &entries[i];
	return NULL;
}

/* Shows what is about to go; on a terminal only, since it takes a call. */
static int confirm_unregister(struct task *t, struct err *err)
{
	struct entry *entries;
	size_t n;

	if (!task_asks(t))
		return task_confirm(t, err, "unregister %zu controller%s",
				    t->n_args, t->n_args > 1 ? "s" : "");
	if (dialect_entries(t, &entries, &n, err) == -1)
		return -1;
	for (size_t i = 0; i < t->n_args; i++) {
		const struct entry *e = find_entry(entries, n, t->args[i]);

		if (e &&
		    task_confirm(t, err, "unregister controller \"%s\" at %s",
				 e->id, e->address) == -1)
			return -1;
	}
	return 0;
}

static int check_exists(struct task *t, const char *id, struct err *err)
{
	struct entry *entries;
	size_t n;

	if (!task_option(t, "must-exist") || task_option(t, "dry-run"))
		return 0;
	if (dialect_entries(t, &entries, &n, err) == -1)
		return -1;
	if (find_entry(entries, n, id))
		return 0;
	return task_absent(t, err, "controller \"%s\" is not registered", id);
}

static int unregister(struct task *t, const char *id, struct err *err)
{
	if (check_exists(t, id, err) == -1 ||
	    dialect_register(t, id, "", err) == -1)
		return -1;
	task_done(t, id, "unregistered");
	return 0;
}

static int run_unregister(struct task *t, struct err *err)
{
	for (size_t i = 0; i < t->n_args; i++)
		if (id_check(t->args[i], "controller id", err) == -1)
			return -1;
	if (confirm_unregister(t, err) == -1)
		return -1;
	task_results(t);
	return task_each(t, unregister, err);
}

static const struct opt register_options[] = {
	{"pci", 0, "BDF", "PCI address at which its disks appear", 0, NULL},
	{0},
};

static const struct opt unregister_options[] = {
	{"must-exist", 0, NULL, "absence is an error", 0, NULL},
	{0},
};

const struct cmd cmds_registry[] = {
	{
		.name = "register",
		.args = "ID ADDRESS",
		.help = "register a controller, or change its address",
		.more = "The registry forwards calls for the controller to the address.\n"
			"\n"
			"  oimctl register node-7 node-7.example.com:8999\n"
			"  oimctl register node-7 unix:///run/oim/oimd.sock\n",
		.flags = CMD_QUIET,
		.options = register_options,
		.columns = task_result_columns,
		.run = run_register,
		.verify = "list controllers",
	},
	{
		.name = "unregister",
		.args = "ID...",
		.help = "remove controllers from the registry",
		.more = "Nobody reaches them through the registry any more. Removing what is\n"
			"absent is no error.\n"
			"\n"
			"  oimctl unregister node-7 --yes\n",
		.flags = CMD_QUIET,
		.options = unregister_options,
		.columns = task_result_columns,
		.run = run_unregister,
		.complete = complete_controllers,
		.verify = "list controllers",
	},
	{0},
};

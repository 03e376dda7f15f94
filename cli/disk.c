/* Where a mapped volume is on this host. */

#include "cli/disk.h"

#include <string.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/interrupt.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/sysblock.h"
#include "proto/lib/units.h"

/* sysfs sends no events that could be waited for: it is looked at again. */
#define LOOK_PERIOD (UNITS_SECOND / 50)
#define PATIENCE    (5 * UNITS_SECOND)

/* What is asked of the daemon that has the controller, at most once. */
struct owner {
	struct task *task;
	const char *controller; /* NULL: its only one */
	const Oim__Admin__V1__GetStatusReply *status;
	bool is_asked;
};

/* NULL if it does not say. */
static const Oim__Admin__V1__GetStatusReply *status_of(struct owner *o)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (!o->is_asked)
		o->status = ask_status(o->task, o->controller, &err);
	o->is_asked = true;
	return o->status;
}

/* Whether its host is this one. */
static bool is_here(struct owner *o)
{
	char own[256] = "";

	if (!o->controller && o->task->session->connection.is_local)
		return true;
	gethostname(own, sizeof(own) - 1);
	return status_of(o) && *own && strcmp(o->status->host, own) == 0;
}

static const char *controller_of(struct owner *o, bool needed)
{
	if (o->controller)
		return o->controller;
	if (!needed || !status_of(o) || o->status->n_controllers != 1)
		return "";
	return o->status->controllers[0]->controller_id;
}

/* Such devices are there before the controller answers, on its own host. */
static bool is_virtual(const char *device)
{
	return strstr(device, "/virtual/");
}

static int look(const char *device, const char *scsi, struct task *t,
		const char **path, struct err *err)
{
	struct sysblock_disk found;
	int rc = sysblock_find(SYSBLOCK_ROOT, device, scsi, &found, err);

	if (rc == 1)
		*path = arena_printf(t->arena, "/dev/%s", found.name);
	return rc == -1 ? -1 : 0;
}

static int wait_for(const char *device, const char *scsi, struct task *t,
		    const char **path, struct err *err)
{
	int64_t end = units_monotonic() + PATIENCE;
	int rc = 0;

	if (t->deadline && t->deadline < end)
		end = t->deadline;
	while (rc == 0 && !**path && units_monotonic() < end &&
	       !interrupt_wait(LOOK_PERIOD))
		rc = look(device, scsi, t, path, err);
	return rc;
}

static int find_path(struct owner *o, unsigned flags, const char *device,
		     const char *scsi, const char **path, struct err *err)
{
	if (!*device)
		return 0;
	if (look(device, scsi, o->task, path, err) == -1)
		return -1;
	if (is_virtual(device) && **path && !is_here(o))
		*path = "";
	if (**path || is_virtual(device) || !(flags & DISK_WAIT) || !is_here(o))
		return 0;
	return wait_for(device, scsi, o->task, path, err);
}

int disk_find(struct task *t, const char *controller, unsigned flags,
	      const char *device, const char *scsi, struct disk *disk,
	      struct err *err)
{
	struct owner o = {.task = t, .controller = controller};

	*disk = (struct disk){.path = ""};
	if (find_path(&o, flags, device, scsi, &disk->path, err) == -1)
		return -1;
	disk->controller = controller_of(&o, flags & DISK_NAME_CONTROLLER);
	return 0;
}

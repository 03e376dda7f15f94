/* Looking at objects that are waited for. */

#include "cli/wait_look.h"

#include <string.h>

#include "cli/ask.h"
#include "cli/dialect.h"
#include "cli/everywhere.h"
#include "cli/items.h"
#include "oim/admin/v1/admin.pb-c.h"
#include "proto/lib/cleanup.h"

/* What is known of an object. */
#define PRESENT  1u /* registered, recorded */
#define READY    2u /* of a controller: it answers, and so does its plane */
#define LOST     4u
#define ATTACHED 8u /* of a mapping, and of a bdev: it is mapped */

static const struct wait_state controller_states[] = {
	{"registered", PRESENT, 0},
	{"ready", PRESENT | READY, LOST},
	{"lost", LOST, 0},
	{"absent", 0, PRESENT},
	{0},
};

static const struct wait_state mapping_states[] = {
	{"attached", ATTACHED, 0},
	{"mapped", ATTACHED, 0},
	{"present", PRESENT, 0},
	{"absent", 0, PRESENT},
	{0},
};

static const struct wait_state bdev_states[] = {
	{"present", PRESENT, 0},
	{"mapped", ATTACHED, 0},
	{"unmapped", PRESENT, ATTACHED},
	{"absent", 0, PRESENT},
	{0},
};

static void note(struct look *l, const char *id, unsigned what)
{
	for (size_t i = 0; i < l->task.n_args; i++)
		if (strcmp(l->task.args[i], id) == 0)
			l->found[i] |= what;
}

static bool answers(struct task *t, const char *id)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	const Oim__Admin__V1__ControllerStatus *s =
		ask_controller_status(t, id, &err);

	return s && s->ready;
}

static void look_at_entry(struct look *l, const struct entry *e)
{
	bool is_lost = strcmp(e->state, "lost") == 0;

	if (!*e->address || !items_has(&l->task, e->id))
		return;
	note(l, e->id, PRESENT | (is_lost ? LOST : 0));
	if (!is_lost && l->state->needs & READY && answers(&l->task, e->id))
		note(l, e->id, READY);
}

static int look_at_controllers(struct look *l, struct err *err)
{
	struct entry *entries;
	size_t n;

	if (dialect_entries(&l->task, &entries, &n, err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		look_at_entry(l, &entries[i]);
	return 0;
}

static void add_mappings(struct task *t, const void *reply)
{
	const Oim__Admin__V1__ListMappingsReply *r = reply;

	for (size_t i = 0; i < r->n_mappings; i++) {
		const Oim__Admin__V1__Mapping *m = r->mappings[i];
		bool is_attached = strcmp(m->state, "attached") == 0;

		note((struct look *)t, m->volume_id,
		     PRESENT | (is_attached ? ATTACHED : 0));
	}
}

static void add_bdevs(struct task *t, const void *reply)
{
	const Oim__Admin__V1__ListBDevsReply *r = reply;

	for (size_t i = 0; i < r->n_bdevs; i++)
		note((struct look *)t, r->bdevs[i]->name,
		     PRESENT | (r->bdevs[i]->mapped ? ATTACHED : 0));
}

static int ask_everywhere(struct look *l, const struct ask *what,
			  void (*add)(struct task *t, const void *reply),
			  struct err *err)
{
	int rc = everywhere_ask(&l->task, what, add, err);

	l->is_partial = out_errors(l->task.out);
	return rc;
}

static int look_at_mappings(struct look *l, struct err *err)
{
	return ask_everywhere(l, &everywhere_mappings, add_mappings, err);
}

static int look_at_bdevs(struct look *l, struct err *err)
{
	return ask_everywhere(l, &everywhere_bdevs, add_bdevs, err);
}

/* Nobody knows what those who could not be asked have. */
bool look_is_so(const struct look *l, unsigned found)
{
	const struct wait_state *s = l->state;

	if (s->excludes && l->is_partial)
		return false;
	return (found & s->needs) == s->needs && !(found & s->excludes);
}

const struct wait_kind wait_controllers = {
	"controller id", false, controller_states, look_at_controllers};

const struct wait_kind wait_mappings = {"volume id", true, mapping_states,
					look_at_mappings};

const struct wait_kind wait_bdevs = {"bdev name", true, bdev_states,
				     look_at_bdevs};

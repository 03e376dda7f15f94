/* Making volumes appear as disks. */

#include "daemon/core/mapping.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/core/bdev.h"
#include "daemon/core/ceph.h"
#include "daemon/log.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/id.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

#define LOG_COMPONENT "mapping"

#define TYPE      (&oim__state__v1__mapping__descriptor)
#define ATTACHING OIM__STATE__V1__MAPPING__STATE__ATTACHING
#define ATTACHED  OIM__STATE__V1__MAPPING__STATE__ATTACHED
#define DETACHING OIM__STATE__V1__MAPPING__STATE__DETACHING

/* How often a plan that somebody else was quicker with is made anew. */
#define MAX_PLANS 32

/* A volume that is being worked on. */
struct work {
	struct controller *c;
	struct arena *arena;
	const char *volume;
	char name[ID_FILE_NAME_SIZE]; /* of its bdev, for the plane */
	bool changed;
	bool attached; /* what was not before */
};

static void init_work(struct work *w, struct controller *c, struct arena *a,
		      const char *volume)
{
	*w = (struct work){.c = c, .arena = a, .volume = volume};
	id_file_name(volume, w->name);
}

/* --- records --- */

static int get(struct work *w, Oim__State__V1__Mapping **m, struct err *err)
{
	return controller_get(
		w->c, controller_key(w->c, MAPPING_KIND, w->volume, w->arena),
		TYPE, w->arena, m, err);
}

static int put(struct work *w, Oim__State__V1__Mapping *m,
	       Oim__State__V1__Mapping__State state, struct err *err)
{
	m->state = state;
	return store_put_message(
		w->c->store,
		controller_key(w->c, MAPPING_KIND, w->volume, w->arena),
		&m->base, err);
}

static int drop(struct work *w, struct err *err)
{
	return store_delete(
		w->c->store,
		controller_key(w->c, MAPPING_KIND, w->volume, w->arena), err);
}

int mapping_exists(struct controller *c, const char *volume, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	Oim__State__V1__Mapping *m;
	struct work w;

	init_work(&w, c, a, volume);
	return get(&w, &m, err);
}

static int compare(const void *a, const void *b)
{
	return strcmp((*(Oim__State__V1__Mapping *const *)a)->volume_id,
		      (*(Oim__State__V1__Mapping *const *)b)->volume_id);
}

int mapping_list(struct controller *c, struct arena *a,
		 Oim__State__V1__Mapping ***mappings, size_t *n,
		 struct err *err)
{
	if (controller_list(c, MAPPING_KIND, TYPE, a, mappings, n, err) == -1)
		return -1;
	qsort(*mappings, *n, sizeof(**mappings), compare);
	return 0;
}

const char *mapping_state_name(Oim__State__V1__Mapping__State state)
{
	return state == ATTACHING   ? "attaching"
	       : state == ATTACHED  ? "attached"
	       : state == DETACHING ? "detaching"
				    : "unknown";
}

/* --- undoing --- */

static bool is_ceph(const Oim__State__V1__Mapping *m)
{
	return m->ceph != NULL;
}

/* The disk of a volume that was being unmapped is held: nothing has changed,
 * and nothing shall seem to have. */
static void keep(struct work *w, Oim__State__V1__Mapping *m)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (put(w, m, ATTACHED, &err) == -1)
		log_warn("mapping \"%s\" stays recorded as being detached: %s",
			 w->volume, err.msg);
}

/* Takes away all that a mapping made, and its record. */
static int take_away(struct work *w, Oim__State__V1__Mapping *m,
		     struct err *err)
{
	if (*m->token &&
	    plane_detach(w->c->plane, w->name, m->token, err) == -1) {
		if (err->code == GRPC_STATUS_FAILED_PRECONDITION &&
		    m->state == DETACHING)
			keep(w, m);
		return -1;
	}
	/* A malloc bdev keeps its data; of Ceph it was only a handle. */
	if (is_ceph(m) && plane_remove(w->c->plane, w->name, err) == -1)
		return -1;
	return drop(w, err);
}

static void undo(struct work *w, Oim__State__V1__Mapping *m)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	if (take_away(w, m, &err) == -1)
		log_warn(
			"what is left of mapping \"%s\" stays until it is mapped or unmapped again: %s",
			w->volume, err.msg);
}

/* --- attaching --- */

/* Attaches by the record's token, or by new plans if that cannot be done; the
 * record is stored, as ATTACHING, before each attempt. */
static int attach(struct work *w, Oim__State__V1__Mapping *m, struct err *err)
{
	struct plane_attachment at = {0};
	int rc = -1;

	for (int i = 0; rc == -1 && i < MAX_PLANS; i++) {
		err_clear(err);
		plane_attachment_clear(&at);
		if (plane_plan(w->c->plane, w->name, &at, err) == -1)
			break;
		m->token = arena_strdup(w->arena, at.token);
		if (put(w, m, ATTACHING, err) == -1)
			break;
		rc = plane_attach(w->c->plane, w->name, &at, err);
		if (rc == -1 && err->code != GRPC_STATUS_ABORTED)
			break;
	}
	if (rc == 0) {
		m->device = arena_strdup(w->arena, at.device);
		m->scsi = arena_strdup(w->arena, at.scsi);
	}
	plane_attachment_clear(&at);
	return rc;
}

/* The source of a Ceph volume, from its record. */
static struct plane_source source_of(const Oim__State__V1__Mapping *m)
{
	return (struct plane_source){
		.kind = PLANE_CEPH,
		.monitors = m->ceph->monitors,
		.pool = m->ceph->pool,
		.image = m->ceph->image,
		.user = *m->ceph->user_id ? m->ceph->user_id : NULL,
		.secret = *m->ceph->secret ? m->ceph->secret : NULL,
	};
}

/* Makes sure that there is a bdev; of Ceph it is made. */
static int provide_bdev(struct work *w, Oim__State__V1__Mapping *m,
			struct err *err)
{
	struct plane_stat stat;
	int rc = plane_stat(w->c->plane, w->name, &stat, err);

	if (rc == 0 && is_ceph(m)) {
		struct plane_source source = source_of(m);

		if (plane_create(w->c->plane, w->name, &source, err) == -1)
			return -1;
		rc = plane_stat(w->c->plane, w->name, &stat, err);
	}
	if (rc == 0)
		err_set(err, GRPC_STATUS_NOT_FOUND,
			"the data of volume \"%s\" is gone", w->volume);
	if (rc != 1)
		return -1;
	m->size = stat.size;
	return 0;
}

/* --- mapping --- */

static int check_ceph(struct work *w, struct err *err)
{
	int found = bdev_exists(w->c, w->volume, err);

	if (found != 1)
		return found;
	return err_set(err, GRPC_STATUS_ALREADY_EXISTS,
		       "\"%s\" is a malloc bdev, not a Ceph volume", w->volume);
}

static int check_malloc(struct work *w, struct err *err)
{
	Oim__State__V1__BDev *b;
	int found = bdev_find(w->c, w->volume, w->arena, &b, err);

	if (found)
		return found == 1 ? 0 : -1;
	err_set(err, GRPC_STATUS_NOT_FOUND, "there is no malloc bdev \"%s\"",
		w->volume);
	return err_hint(err, "provision it first");
}

static Oim__State__V1__Mapping *new_record(struct work *w,
					   const struct mapping_params *params)
{
	Oim__State__V1__Mapping *m = arena_message(w->arena, TYPE);
	const char *epoch = plane_epoch(
		w->c->plane, params->ceph ? PLANE_CEPH : PLANE_MALLOC);

	m->volume_id = (char *)w->volume;
	m->controller_id = w->c->id;
	m->kind = (char *)(params->ceph ? "ceph" : "malloc");
	m->ceph = (Oim__V0__CephParams *)params->ceph;
	m->since = units_now();
	if (epoch)
		m->epoch = (char *)epoch;
	return m;
}

static int map_anew(struct work *w, const struct mapping_params *params,
		    Oim__State__V1__Mapping **mapping, struct err *err)
{
	Oim__State__V1__Mapping *m;

	if ((params->ceph ? check_ceph : check_malloc)(w, err) == -1)
		return -1;
	m = *mapping = new_record(w, params);
	w->changed = true;
	/* Before the handle on an image is made; a plan follows. */
	if (is_ceph(m) && put(w, m, ATTACHING, err) == -1)
		return -1;
	if (provide_bdev(w, m, err) == 0 && attach(w, m, err) == 0 &&
	    put(w, m, ATTACHED, err) == 0) {
		w->attached = true;
		return 0;
	}
	undo(w, m);
	return -1;
}

/* Attaches what should be and is not, if possible as it was. */
static int attach_again(struct work *w, Oim__State__V1__Mapping *m,
			struct err *err)
{
	struct plane_attachment at = {.token = mem_strdup(m->token)};
	int rc = provide_bdev(w, m, err);

	log_warn(
		"volume \"%s\" is mapped but not attached, it is attached again",
		w->volume);
	w->changed = true;
	if (rc == 0)
		rc = plane_attach(w->c->plane, w->name, &at, err);
	plane_attachment_clear(&at);
	if (rc == -1 && err->code == GRPC_STATUS_ABORTED) {
		err_clear(err);
		rc = attach(w, m, err);
	}
	if (rc == 0)
		rc = put(w, m, ATTACHED, err);
	w->attached = rc == 0;
	return rc;
}

/* A volume that is mapped already. */
static int map_again(struct work *w, const struct mapping_params *params,
		     Oim__State__V1__Mapping *m, struct err *err)
{
	enum plane_state state;

	if (!params->ceph != !is_ceph(m) ||
	    (is_ceph(m) && !ceph_is_same(params->ceph, m->ceph)))
		return err_set(err, GRPC_STATUS_ALREADY_EXISTS,
			       "volume \"%s\" is mapped with other parameters",
			       w->volume);
	if (is_ceph(m) && strcmp(m->ceph->secret, params->ceph->secret) != 0) {
		m->ceph = (Oim__V0__CephParams *)params->ceph;
		w->changed = true;
		if (put(w, m, ATTACHED, err) == -1)
			return -1;
	}
	if (plane_probe(w->c->plane, w->name, m->token, &state, err) == -1)
		return -1;
	return state == PLANE_ATTACHED ? 0 : attach_again(w, m, err);
}

static int map(struct work *w, const struct mapping_params *params,
	       Oim__State__V1__Mapping **mapping, struct err *err)
{
	int found = get(w, mapping, err);

	if (found == -1)
		return -1;
	if (found && (*mapping)->state == ATTACHED)
		return map_again(w, params, *mapping, err);
	/* An attempt that could not be taken back. */
	if (found && take_away(w, *mapping, err) == -1)
		return -1;
	return map_anew(w, params, mapping, err);
}

static void tell_mapped(const struct work *w, const Oim__State__V1__Mapping *m)
{
	events_publish(w->c->events, "volume.mapped", w->c->id, w->volume,
		       "volume \"%s\" is mapped%s%s", w->volume,
		       *m->device ? " as " : "", m->device);
}

int mapping_map(struct controller *c, const struct op *op, const char *volume,
		const struct mapping_params *params, struct arena *a,
		Oim__State__V1__Mapping **mapping, struct err *err)
{
	struct work w;
	int rc;

	if (id_check(volume, "volume id", err) == -1 ||
	    (params->ceph && ceph_check(params->ceph, err) == -1) ||
	    op_check(op, err) == -1 || lock_take(c->locks, volume, err) == -1)
		return -1;
	init_work(&w, c, a, volume);
	rc = map(&w, params, mapping, err);
	if (rc == 0 && w.attached)
		tell_mapped(&w, *mapping);
	lock_drop(c->locks, volume);
	if (w.changed)
		audit(op->caller, "map volume", c->id, volume, err);
	return rc;
}

/* --- unmapping --- */

static int unmap(struct work *w, struct err *err)
{
	Oim__State__V1__Mapping *m;
	int found = get(w, &m, err);

	if (found != 1)
		return found;
	w->changed = true;
	if (m->state == ATTACHED && put(w, m, DETACHING, err) == -1)
		return -1;
	return take_away(w, m, err);
}

static void tell_unmapped(const struct work *w)
{
	events_publish(w->c->events, "volume.unmapped", w->c->id, w->volume,
		       "volume \"%s\" is not mapped any more", w->volume);
}

int mapping_unmap(struct controller *c, const struct op *op, const char *volume,
		  struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct work w;
	int rc;

	if (id_check(volume, "volume id", err) == -1 ||
	    op_check(op, err) == -1 || lock_take(c->locks, volume, err) == -1)
		return -1;
	init_work(&w, c, a, volume);
	rc = unmap(&w, err);
	if (rc == 0 && w.changed)
		tell_unmapped(&w);
	lock_drop(c->locks, volume);
	if (w.changed)
		audit(op->caller, "unmap volume", c->id, volume, err);
	return rc;
}

/* --- starting --- */

/* Brings one record and what is there together; NULL or what was done. */
static const char *settle(struct work *w, Oim__State__V1__Mapping *m,
			  struct err *err)
{
	const char *epoch = plane_epoch(w->c->plane,
					is_ceph(m) ? PLANE_CEPH : PLANE_MALLOC);
	enum plane_state state;
	const char *action;

	if (*m->epoch && (!epoch || strcmp(m->epoch, epoch) != 0)) {
		if (drop(w, err) == 0)
			events_publish(
				w->c->events, "record.dropped", w->c->id,
				w->volume,
				"mapping \"%s\" is forgotten, its memory is gone",
				w->volume);
		return "forget mapping, its memory is gone";
	}
	if (m->state == ATTACHED) {
		if (plane_probe(w->c->plane, w->name, m->token, &state, err) ==
			    -1 ||
		    state == PLANE_ATTACHED)
			return NULL;
		if (attach_again(w, m, err) == 0)
			tell_mapped(w, m);
		return "attach volume again";
	}
	action = m->state == DETACHING ? "unmap volume, half done"
				       : "take back mapping, half done";
	if (take_away(w, m, err) == 0) {
		tell_unmapped(w);
	} else if (m->state == ATTACHED) {
		err_clear(err);
		return NULL;
	}
	return action;
}

int mapping_recover(struct controller *c, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	Oim__State__V1__Mapping **all;
	size_t n;

	if (controller_list(c, MAPPING_KIND, TYPE, a, &all, &n, err) == -1)
		return -1;
	for (size_t i = 0; i < n; i++) {
		CLEANUP(err_clear) struct err trouble = ERR_INIT;
		const char *action;
		struct work w;

		init_work(&w, c, a, all[i]->volume_id);
		action = settle(&w, all[i], &trouble);
		if (action)
			audit(&audit_self, action, c->id, all[i]->volume_id,
			      &trouble);
		else if (trouble.msg)
			log_warn("mapping \"%s\" could not be looked at: %s",
				 all[i]->volume_id, trouble.msg);
	}
	return 0;
}

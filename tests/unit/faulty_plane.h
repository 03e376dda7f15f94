#ifndef OIM_TESTS_FAULTY_PLANE_H
#define OIM_TESTS_FAULTY_PLANE_H

/*
 * A plane that fails when a test wants it to, in front of a null plane: it
 * refuses, does not answer, waits, loses bdevs and attachments.
 */

#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/plane/plane.h"
#include "proto/lib/err.h"

enum faulty_op {
	FAULTY_CREATE,
	FAULTY_REMOVE,
	FAULTY_STAT,
	FAULTY_PLAN,
	FAULTY_ATTACH,
	FAULTY_DETACH,
	FAULTY_PROBE,
	FAULTY_OPS, /* how many */
};

struct faulty_plane {
	struct plane plane;
	struct plane *real;
	const char *epoch;
	uint64_t capacity;
	bool is_partial; /* what is attached looks so */
	bool is_silent;  /* it does not answer when it is checked */
	unsigned calls[FAULTY_OPS];
	struct {
		int code;       /* 0: works */
		unsigned times; /* how often it fails, 0: always */
		bool is_done;   /* fails after it was done */
	} faults[FAULTY_OPS];

	/* If blocks is set: this operation posts entered and waits for go. */
	bool blocks;
	enum faulty_op blocking;
	sem_t entered, go;
};

/* Counts a call; -1 if it fails without being done. */
static inline int faulty_before(struct faulty_plane *f, enum faulty_op op,
				struct err *err)
{
	f->calls[op]++;
	if (f->blocks && f->blocking == op) {
		sem_post(&f->entered);
		sem_wait(&f->go);
	}
	if (!f->faults[op].code || f->faults[op].is_done)
		return 0;
	err_set(err, f->faults[op].code, "the plane says so");
	if (f->faults[op].times && !--f->faults[op].times)
		f->faults[op].code = 0;
	return -1;
}

/* What an operation that was done answers. */
static inline int faulty_after(struct faulty_plane *f, enum faulty_op op,
			       int rc, struct err *err)
{
	if (rc == -1 || !f->faults[op].code)
		return rc;
	return err_set(err, f->faults[op].code, "the plane says so");
}

static inline struct faulty_plane *faulty(struct plane *p)
{
	return (struct faulty_plane *)p;
}

static inline int faulty_check(struct plane *p, struct err *err)
{
	if (faulty(p)->is_silent)
		return err_set(err, GRPC_STATUS_UNAVAILABLE, "no answer");
	return plane_check(faulty(p)->real, err);
}

static inline int faulty_capacity(struct plane *p, uint64_t *bytes,
				  struct err *err)
{
	(void)err;
	*bytes = faulty(p)->capacity;
	return 0;
}

static inline int faulty_create(struct plane *p, const char *name,
				const struct plane_source *source,
				struct err *err)
{
	struct faulty_plane *f = faulty(p);

	if (faulty_before(f, FAULTY_CREATE, err) == -1)
		return -1;
	return faulty_after(f, FAULTY_CREATE,
			    plane_create(f->real, name, source, err), err);
}

static inline int faulty_remove(struct plane *p, const char *name,
				struct err *err)
{
	struct faulty_plane *f = faulty(p);

	if (faulty_before(f, FAULTY_REMOVE, err) == -1)
		return -1;
	return faulty_after(f, FAULTY_REMOVE, plane_remove(f->real, name, err),
			    err);
}

static inline int faulty_stat(struct plane *p, const char *name,
			      struct plane_stat *stat, struct err *err)
{
	struct faulty_plane *f = faulty(p);

	if (faulty_before(f, FAULTY_STAT, err) == -1)
		return -1;
	return plane_stat(f->real, name, stat, err);
}

static inline int faulty_plan(struct plane *p, const char *name,
			      struct plane_attachment *a, struct err *err)
{
	struct faulty_plane *f = faulty(p);

	if (faulty_before(f, FAULTY_PLAN, err) == -1)
		return -1;
	return plane_plan(f->real, name, a, err);
}

static inline int faulty_attach(struct plane *p, const char *name,
				struct plane_attachment *a, struct err *err)
{
	struct faulty_plane *f = faulty(p);

	if (faulty_before(f, FAULTY_ATTACH, err) == -1)
		return -1;
	return faulty_after(f, FAULTY_ATTACH,
			    plane_attach(f->real, name, a, err), err);
}

static inline int faulty_detach(struct plane *p, const char *name,
				const char *token, struct err *err)
{
	struct faulty_plane *f = faulty(p);

	if (faulty_before(f, FAULTY_DETACH, err) == -1)
		return -1;
	return faulty_after(f, FAULTY_DETACH,
			    plane_detach(f->real, name, token, err), err);
}

static inline int faulty_probe(struct plane *p, const char *name,
			       const char *token, enum plane_state *state,
			       struct err *err)
{
	struct faulty_plane *f = faulty(p);

	if (faulty_before(f, FAULTY_PROBE, err) == -1 ||
	    plane_probe(f->real, name, token, state, err) == -1)
		return -1;
	if (*state == PLANE_ATTACHED && f->is_partial)
		*state = PLANE_PARTIAL;
	return 0;
}

static inline const char *faulty_epoch(const struct plane *p,
				       enum plane_kind kind)
{
	return kind == PLANE_MALLOC ? ((const struct faulty_plane *)p)->epoch
				    : NULL;
}

static const struct plane_ops faulty_ops = {
	.name = "faulty",
	.check = faulty_check,
	.capacity = faulty_capacity,
	.create = faulty_create,
	.remove = faulty_remove,
	.stat = faulty_stat,
	.plan = faulty_plan,
	.attach = faulty_attach,
	.detach = faulty_detach,
	.probe = faulty_probe,
	.epoch = faulty_epoch,
};

/* From now on, times times; 0: always. */
static inline void faulty_refuse(struct faulty_plane *f, enum faulty_op op,
				 int code, unsigned times)
{
	f->faults[op].code = code;
	f->faults[op].times = times;
	f->faults[op].is_done = false;
}

/* It does what it is asked, and then says that it failed. */
static inline void faulty_do_and_refuse(struct faulty_plane *f,
					enum faulty_op op, int code)
{
	f->faults[op].code = code;
	f->faults[op].is_done = true;
}

static inline void faulty_obey(struct faulty_plane *f)
{
	for (int i = 0; i < FAULTY_OPS; i++) {
		f->faults[i].code = 0;
		f->calls[i] = 0;
	}
	f->is_partial = f->blocks = false;
}

#endif

#ifndef OIM_PLANE_H
#define OIM_PLANE_H

/*
 * Where bytes live: a data plane makes block devices (bdevs) and attaches them
 * so that they appear as disks. A plane knows nothing of volumes, callers or
 * stores: core decides what should be, writes the intent down, and calls.
 *
 * Names of bdevs are file names (id.h). Every operation may be repeated after
 * a crash at any instruction of it, or of the daemon: it then finishes what was
 * begun. Core never runs two operations on one name at once; operations on
 * different names run in parallel on different threads. They may block.
 *
 * Errors of all operations: UNAVAILABLE the plane does not answer (nothing is
 * known); UNIMPLEMENTED with a sentence where a plane cannot do it;
 * FAILED_PRECONDITION what this host lacks, or who holds the disk;
 * RESOURCE_EXHAUSTED out of space or numbers; ABORTED try again, from plan().
 */

#include <stdint.h>

#include "proto/lib/err.h"

struct plane;

enum plane_kind {
	PLANE_MALLOC = 1, /* memory of the plane */
	PLANE_CEPH,       /* an RBD image; the bdev is a handle on it */
};

/* What a bdev is made of. */
struct plane_source {
	enum plane_kind kind;
	uint64_t size; /* malloc: bytes, a multiple of 512, not 0 */
	/* ceph: */
	const char *monitors; /* host:port, separated by commas */
	const char *pool;
	const char *image;
	const char *user;   /* NULL: the cluster's default */
	const char *secret; /* of the user; may be NULL */
};

struct plane_stat {
	uint64_t size; /* bytes */
};

/*
 * How a bdev is attached. plan() fills in token, which is stored before
 * attach(); with it attach(), detach() and probe() recognise what is theirs.
 * attach() fills in the rest. Strings are owned: plane_attachment_clear().
 */
struct plane_attachment {
	char *token;
	char *device; /* as in oim.v0.MapVolumeReply */
	char *scsi;   /* likewise; "" for disks that are not SCSI */
};
void plane_attachment_clear(struct plane_attachment *a);

enum plane_state {
	PLANE_ABSENT = 1, /* nothing of it is there */
	PLANE_PARTIAL,    /* begun but not complete */
	PLANE_ATTACHED,
};

struct plane_config {
	const char *controller; /* its id */
	const char *memory_dir; /* kernel; NULL: the default */
};

/*
 * One operation a row; NULL where the plane cannot. Callers use the functions
 * below the table, which answer UNIMPLEMENTED for NULL.
 */
struct plane_ops {
	const char *name;
	struct plane *(*open)(const struct plane_config *config,
			      struct err *err);
	void (*close)(struct plane *p);

	/* Whether the plane answers. */
	int (*check)(struct plane *p, struct err *err);

	/* Bytes that malloc bdevs could take in all if nothing else did. */
	int (*capacity)(struct plane *p, uint64_t *bytes, struct err *err);

	/*
	 * Makes the bdev, whole or not at all. One of that name that is there
	 * is a leftover of this same operation: it is made anew. Never called
	 * for a name whose data somebody may still want.
	 */
	int (*create)(struct plane *p, const char *name,
		      const struct plane_source *source, struct err *err);

	/* Deletes the bdev with its data (of ceph: the handle only). Absent is
	 * fine. */
	int (*remove)(struct plane *p, const char *name, struct err *err);

	/* 1 and *stat, 0 if there is none of that name, or -1. */
	int (*stat)(struct plane *p, const char *name, struct plane_stat *stat,
		    struct err *err);

	/* Chooses what attach() will use and writes it into token. Changes
	 * nothing. */
	int (*plan)(struct plane *p, const char *name,
		    struct plane_attachment *a, struct err *err);

	/*
	 * Makes the bdev a disk by the plan; if it is one by that plan
	 * already, only fills in a. ABORTED if the plan cannot be carried out
	 * any more: nothing is left of it, plan again.
	 */
	int (*attach)(struct plane *p, const char *name,
		      struct plane_attachment *a, struct err *err);

	/*
	 * Undoes attach(), finished or not. If the disk is mounted or held,
	 * FAILED_PRECONDITION names the holder and nothing has changed. Absent
	 * is fine; what is there but not by that token is left alone. name is
	 * NULL if the bdev is not known any more.
	 */
	int (*detach)(struct plane *p, const char *name, const char *token,
		      struct err *err);

	/* What is there of an attachment. */
	int (*probe)(struct plane *p, const char *name, const char *token,
		     enum plane_state *state, struct err *err);

	/*
	 * NULL if bdevs of that kind last. Else a text that is another one
	 * whenever the plane may have lost them: the kernel's boot id, say.
	 * Constant while open; the plane's.
	 */
	const char *(*epoch)(const struct plane *p, enum plane_kind kind);
};

/* A plane's own struct begins with this. */
struct plane {
	const struct plane_ops *ops;
};

/* NOT_FOUND lists the planes there are. */
struct plane *plane_open(const char *kind, const struct plane_config *config,
			 struct err *err);
void plane_close(struct plane *p);

int plane_check(struct plane *p, struct err *err);
int plane_capacity(struct plane *p, uint64_t *bytes, struct err *err);
int plane_create(struct plane *p, const char *name,
		 const struct plane_source *source, struct err *err);
int plane_remove(struct plane *p, const char *name, struct err *err);
int plane_stat(struct plane *p, const char *name, struct plane_stat *stat,
	       struct err *err);
int plane_plan(struct plane *p, const char *name, struct plane_attachment *a,
	       struct err *err);
int plane_attach(struct plane *p, const char *name, struct plane_attachment *a,
		 struct err *err);
int plane_detach(struct plane *p, const char *name, const char *token,
		 struct err *err);
int plane_probe(struct plane *p, const char *name, const char *token,
		enum plane_state *state, struct err *err);
const char *plane_epoch(const struct plane *p, enum plane_kind kind);

extern const struct plane_ops plane_null;
extern const struct plane_ops plane_kernel;

#endif

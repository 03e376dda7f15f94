/* The planes there are, and calls into them. */

#include "daemon/plane/plane.h"

#include <stdlib.h>
#include <string.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

static const struct plane_ops *const planes[] = {
	&plane_kernel,
	&plane_null,
};

#define COUNT (sizeof(planes) / sizeof(*planes))

void plane_attachment_clear(struct plane_attachment *a)
{
	free(a->token);
	free(a->device);
	free(a->scsi);
	*a = (struct plane_attachment){0};
}

static int unknown(const char *kind, struct err *err)
{
	CLEANUP(cleanup_free) char *names = mem_strdup(planes[0]->name);

	for (size_t i = 1; i < COUNT; i++) {
		char *longer = mem_printf("%s, %s", names, planes[i]->name);

		free(names);
		names = longer;
	}
	return err_set(err, GRPC_STATUS_NOT_FOUND,
		       "there is no plane \"%s\"; planes are %s", kind, names);
}

struct plane *plane_open(const char *kind, const struct plane_config *config,
			 struct err *err)
{
	for (size_t i = 0; i < COUNT; i++)
		if (strcmp(planes[i]->name, kind) == 0)
			return planes[i]->open(config, err);
	unknown(kind, err);
	return NULL;
}

void plane_close(struct plane *p)
{
	if (p)
		p->ops->close(p);
}

static int cannot(const struct plane *p, const char *what, struct err *err)
{
	return err_set(err, GRPC_STATUS_UNIMPLEMENTED, "the %s plane cannot %s",
		       p->ops->name, what);
}

int plane_check(struct plane *p, struct err *err)
{
	return p->ops->check(p, err);
}

int plane_capacity(struct plane *p, uint64_t *bytes, struct err *err)
{
	return p->ops->capacity ? p->ops->capacity(p, bytes, err)
				: cannot(p, "tell how much memory it has", err);
}

int plane_create(struct plane *p, const char *name,
		 const struct plane_source *source, struct err *err)
{
	return p->ops->create ? p->ops->create(p, name, source, err)
			      : cannot(p, "make bdevs", err);
}

int plane_remove(struct plane *p, const char *name, struct err *err)
{
	return p->ops->remove ? p->ops->remove(p, name, err)
			      : cannot(p, "delete bdevs", err);
}

int plane_stat(struct plane *p, const char *name, struct plane_stat *stat,
	       struct err *err)
{
	return p->ops->stat ? p->ops->stat(p, name, stat, err)
			    : cannot(p, "look at bdevs", err);
}

int plane_plan(struct plane *p, const char *name, struct plane_attachment *a,
	       struct err *err)
{
	return p->ops->plan ? p->ops->plan(p, name, a, err)
			    : cannot(p, "attach disks", err);
}

int plane_attach(struct plane *p, const char *name, struct plane_attachment *a,
		 struct err *err)
{
	return p->ops->attach ? p->ops->attach(p, name, a, err)
			      : cannot(p, "attach disks", err);
}

int plane_detach(struct plane *p, const char *name, const char *token,
		 struct err *err)
{
	return p->ops->detach ? p->ops->detach(p, name, token, err)
			      : cannot(p, "detach disks", err);
}

int plane_probe(struct plane *p, const char *name, const char *token,
		enum plane_state *state, struct err *err)
{
	return p->ops->probe ? p->ops->probe(p, name, token, state, err)
			     : cannot(p, "look at disks", err);
}

const char *plane_epoch(const struct plane *p, enum plane_kind kind)
{
	return p->ops->epoch ? p->ops->epoch(p, kind) : NULL;
}

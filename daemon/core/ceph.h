#ifndef OIM_CEPH_H
#define OIM_CEPH_H

/* The parameters of a Ceph volume. */

#include <stdbool.h>

#include "oim/v0/oim.pb-c.h"
#include "proto/lib/err.h"

/*
 * INVALID_ARGUMENT if one that is needed is missing, or if user_id looks like a
 * cephx key: then the client numbers these two fields the other way round. The
 * message never shows either.
 */
int ceph_check(const Oim__V0__CephParams *params, struct err *err);

/* Whether they name the same image for the same user; secrets may differ. */
bool ceph_is_same(const Oim__V0__CephParams *a, const Oim__V0__CephParams *b);

#endif

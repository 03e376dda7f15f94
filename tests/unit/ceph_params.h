#ifndef OIM_TESTS_CEPH_PARAMS_H
#define OIM_TESTS_CEPH_PARAMS_H

/* Parameters of a Ceph volume that are good but for what a test changes. */

#include "oim/v0/oim.pb-c.h"

static inline Oim__V0__CephParams ceph_params(const char *secret)
{
	Oim__V0__CephParams p = OIM__V0__CEPH_PARAMS__INIT;

	p.secret = (char *)secret;
	p.user_id = (char *)"admin-user";
	p.monitors = (char *)"192.0.2.1:6789,192.0.2.2:6789";
	p.pool = (char *)"rbd";
	p.image = (char *)"one";
	return p;
}

#endif

#ifndef OIM_CONFIG_ETCD_H
#define OIM_CONFIG_ETCD_H

/* Between the files that read the configuration. */

#include "daemon/config.h"
#include "proto/lib/err.h"

/* INVALID_ARGUMENT with the value, where it comes from, and what is right. */
int config_bad_value(const struct config *c, const char *section,
		     const char *name, const char *key, const char *right,
		     struct err *err);

/* Reads which engine has the cluster's state, and what is for etcd only. */
int config_read_etcd(struct config *c, struct err *err);

#endif

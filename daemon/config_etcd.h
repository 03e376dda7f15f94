#ifndef OIM_CONFIG_ETCD_H
#define OIM_CONFIG_ETCD_H

/* A part of config.c. */

#include "daemon/config.h"
#include "proto/lib/err.h"

/* Reads which engine has the cluster's state, and what is for etcd only. */
int config_read_etcd(struct config *c, struct err *err);

#endif

#ifndef OIM_RPC_CORK_H
#define OIM_RPC_CORK_H

/*
 * gRPC core writes each reply with a system call of its own. While the loop
 * handles a burst of completions, the TCP connections of the process are corked
 * so that the kernel sends what was written in few packets. Core does not tell
 * its sockets, so we look for them among the descriptors; to cork a wrong one
 * is harmless, as the cork is pulled in the same turn.
 *
 * Used by the loop thread only.
 */

struct corks;

struct corks *corks_new(void);
void corks_free(struct corks *c);

void corks_put(struct corks *c);
void corks_pull(struct corks *c);

#endif

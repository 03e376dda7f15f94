/* TCP_CORK around bursts. */

#include "daemon/rpc/cork.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "proto/lib/mem.h"

/* With more connections than this the system calls cost more than they save. */
#define MAX_SOCKETS 16
/* Connections with higher descriptors are not looked for. */
#define MAX_DESCRIPTORS 256
/* Bursts between two looks for sockets. */
#define LOOK_EVERY 500

struct corks {
	int fds[MAX_SOCKETS];
	int n;
	int bursts;
};

struct corks *corks_new(void)
{
	return mem_zalloc(1, sizeof(struct corks));
}

void corks_free(struct corks *c)
{
	free(c);
}

static bool is_connection(int fd)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
	       info.tcpi_state == TCP_ESTABLISHED;
}

static void look(struct corks *c)
{
	c->n = 0;
	for (int fd = 0; fd < MAX_DESCRIPTORS; fd++) {
		if (!is_connection(fd))
			continue;
		if (c->n == MAX_SOCKETS) {
			c->n = 0;
			return;
		}
		c->fds[c->n++] = fd;
	}
}

static void set(struct corks *c, int on)
{
	for (int i = 0; i < c->n; i++)
		setsockopt(c->fds[i], IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

void corks_put(struct corks *c)
{
	if (c->bursts++ % LOOK_EVERY == 0)
		look(c);
	set(c, 1);
}

void corks_pull(struct corks *c)
{
	set(c, 0);
}

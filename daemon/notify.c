/* The notification protocol of systemd. */

#include "daemon/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"

void notify(const char *format, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	CLEANUP(cleanup_free) char *text = NULL;
	CLEANUP(cleanup_fd) int fd = -1;
	size_t size;
	va_list ap;

	if (!path || (*path != '/' && *path != '@'))
		return;
	size = strlen(path);
	if (size >= sizeof(sun.sun_path))
		return;
	memcpy(sun.sun_path, path, size);
	if (*path == '@')
		sun.sun_path[0] = '\0';
	va_start(ap, format);
	text = mem_vprintf(format, ap);
	va_end(ap);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		sendto(fd, text, strlen(text), MSG_NOSIGNAL,
		       (struct sockaddr *)&sun,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				   size));
}

void notify_reloading(void)
{
	notify("RELOADING=1\nMONOTONIC_USEC=%" PRId64,
	       units_monotonic() / 1000);
}

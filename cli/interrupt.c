/* Ctrl-C, for a thread that may take locks: client_cancel() needs that. */

#include "cli/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "proto/lib/client.h"
#include "proto/lib/units.h"

static struct {
	pthread_t thread;
	int fd; /* an eventfd that counts what was not taken */
	bool is_stopping;
	pthread_mutex_t lock; /* guards target */
	struct client *target;
} state = {.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

static void only_sigint(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
}

static void *wait_for_signals(void *arg)
{
	sigset_t set;
	int number;

	(void)arg;
	only_sigint(&set);
	while (sigwait(&set, &number) == 0 &&
	       !__atomic_load_n(&state.is_stopping, __ATOMIC_ACQUIRE)) {
		eventfd_write(state.fd, 1);
		pthread_mutex_lock(&state.lock);
		if (state.target)
			client_cancel(state.target);
		pthread_mutex_unlock(&state.lock);
	}
	return NULL;
}

void interrupt_block(void)
{
	sigset_t set;

	only_sigint(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void interrupt_start(void)
{
	interrupt_block();
	state.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (state.fd == -1 ||
	    pthread_create(&state.thread, NULL, wait_for_signals, NULL) != 0)
		abort();
}

void interrupt_stop(void)
{
	__atomic_store_n(&state.is_stopping, true, __ATOMIC_RELEASE);
	pthread_kill(state.thread, SIGINT);
	pthread_join(state.thread, NULL);
	close(state.fd);
	state.fd = -1;
}

void interrupt_aim(struct client *c)
{
	pthread_mutex_lock(&state.lock);
	state.target = c;
	pthread_mutex_unlock(&state.lock);
}

int interrupt_fd(void)
{
	return state.fd;
}

bool interrupt_take(void)
{
	eventfd_t n;

	return state.fd != -1 && eventfd_read(state.fd, &n) == 0;
}

bool interrupt_wait(int64_t ns)
{
	struct timespec time = {ns / UNITS_SECOND, ns % UNITS_SECOND};
	struct pollfd p = {.fd = state.fd, .events = POLLIN};

	return ppoll(&p, 1, &time, NULL) == 1;
}

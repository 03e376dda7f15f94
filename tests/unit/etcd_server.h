#ifndef OIM_TESTS_ETCD_SERVER_H
#define OIM_TESTS_ETCD_SERVER_H

/*
 * One etcd for all tests of a program, of one member or as many as ETCD_MEMBERS
 * says: started when the first one needs it, killed when the program ends,
 * however it ends. Each test has a prefix of its own.
 */

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/store/store.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/err.h"
#include "proto/lib/mem.h"
#include "proto/lib/units.h"
#include "tests/unit/check.h"

#define ETCD_SERVER_MOST 5

struct etcd_server {
	unsigned n; /* members; 0: it has not been started */
	pid_t pids[ETCD_SERVER_MOST];
	char endpoints[ETCD_SERVER_MOST][32];
	char peers[ETCD_SERVER_MOST][32];
	char dir[64];
	unsigned prefixes;
};

static struct etcd_server etcd_server;

static inline const char *etcd_server_missing(void)
{
	return access("/usr/bin/etcd", X_OK) == 0 ? NULL : "needs etcd";
}

static inline unsigned etcd_server_free_port(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(bind(fd, (struct sockaddr *)&addr, size) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&addr, &size) == 0);
	close(fd);
	return ntohs(addr.sin_port);
}

static inline int etcd_server_remove_entry(const char *path,
					   const struct stat *st, int type,
					   struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void etcd_server_kill(void)
{
	for (unsigned i = 0; i < etcd_server.n; i++) {
		if (!etcd_server.pids[i])
			continue;
		kill(etcd_server.pids[i], SIGKILL);
		waitpid(etcd_server.pids[i], NULL, 0);
		etcd_server.pids[i] = 0;
	}
}

static inline void etcd_server_stop(void)
{
	etcd_server_kill();
	nftw(etcd_server.dir, etcd_server_remove_entry, 8,
	     FTW_DEPTH | FTW_PHYS);
}

/* "m0=http://...,m1=http://..."; the caller frees it. */
static inline char *etcd_server_cluster(void)
{
	char *text = mem_strdup("");

	for (unsigned i = 0; i < etcd_server.n; i++) {
		char *before = text;

		text = mem_printf("%s%sm%u=http://%s", before, i ? "," : "", i,
				  etcd_server.peers[i]);
		free(before);
	}
	return text;
}

/* It dies with this program, even if that is killed. */
static inline void etcd_server_spawn(unsigned i)
{
	char *name = mem_printf("m%u", i);
	char *peer = mem_printf("http://%s", etcd_server.peers[i]);
	char *client = mem_printf("http://%s", etcd_server.endpoints[i]);
	char *cluster = etcd_server_cluster();
	char *log = mem_printf("%s/%s.log", etcd_server.dir, name);
	char *data = mem_printf("%s/%s", etcd_server.dir, name);
	char *argv[] = {"setpriv",
			"--pdeathsig",
			"KILL",
			"/usr/bin/etcd",
			"--name",
			name,
			"--data-dir",
			data,
			"--listen-client-urls",
			client,
			"--advertise-client-urls",
			client,
			"--listen-peer-urls",
			peer,
			"--initial-advertise-peer-urls",
			peer,
			"--initial-cluster",
			cluster,
			"--heartbeat-interval",
			"20",
			"--election-timeout",
			"200",
			NULL};
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, log,
					 O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	CHECK(posix_spawnp(&etcd_server.pids[i], argv[0], &actions, NULL, argv,
			   environ) == 0);
	posix_spawn_file_actions_destroy(&actions);
	free(data);
	free(log);
	free(cluster);
	free(client);
	free(peer);
	free(name);
}

static inline struct store *etcd_server_open(const char *prefix,
					     struct err *err)
{
	const char *endpoints[ETCD_SERVER_MOST + 1] = {NULL};

	for (unsigned i = 0; i < etcd_server.n; i++)
		endpoints[i] = etcd_server.endpoints[i];
	return store_etcd_open(
		&(struct store_etcd_config){.endpoints = endpoints,
					    .prefix = prefix},
		err);
}

static inline bool etcd_server_answers(void)
{
	struct err err = ERR_INIT;
	struct store_status status;
	struct store *s = etcd_server_open("", &err);
	bool answers = s && store_check(s, &status, &err) == 0;

	store_close(s);
	err_clear(&err);
	return answers;
}

/* All of them, with nothing in them. */
static inline void etcd_server_spawn_all(void)
{
	for (unsigned i = 0; i < etcd_server.n; i++) {
		snprintf(etcd_server.endpoints[i], 32, "127.0.0.1:%u",
			 etcd_server_free_port());
		snprintf(etcd_server.peers[i], 32, "127.0.0.1:%u",
			 etcd_server_free_port());
	}
	for (unsigned i = 0; i < etcd_server.n; i++)
		etcd_server_spawn(i);
}

static inline bool etcd_server_has_ended(void)
{
	for (unsigned i = 0; i < etcd_server.n; i++)
		if (waitpid(etcd_server.pids[i], NULL, WNOHANG) != 0) {
			etcd_server.pids[i] = 0;
			return true;
		}
	return false;
}

static inline void etcd_server_make_dir(void)
{
	const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	snprintf(etcd_server.dir, sizeof(etcd_server.dir), "%s/oim-etcd-XXXXXX",
		 tmp);
	CHECK(mkdtemp(etcd_server.dir));
}

/* Ports that were free a moment ago may not be any more. */
static inline void etcd_server_start(void)
{
	const char *members = getenv("ETCD_MEMBERS");
	int64_t end = units_monotonic() + 60 * UNITS_SECOND;

	etcd_server.n = members ? (unsigned)atoi(members) : 1;
	CHECK(etcd_server.n > 0 && etcd_server.n <= ETCD_SERVER_MOST);
	etcd_server_make_dir();
	atexit(etcd_server_stop);
	etcd_server_spawn_all();
	while (!etcd_server_answers()) {
		CHECK(units_monotonic() < end);
		if (!etcd_server_has_ended())
			continue;
		etcd_server_stop();
		etcd_server_make_dir();
		etcd_server_spawn_all();
	}
}

/* The caller frees it. */
static inline char *etcd_server_new_prefix(void)
{
	if (!etcd_server.n)
		etcd_server_start();
	return mem_printf("test/%u/", etcd_server.prefixes++);
}

/* So that leases that end later change nothing. */
static inline void etcd_server_clear(const char *prefix)
{
	struct err err = ERR_INIT;
	struct store *s = etcd_server_open(prefix, &err);
	struct arena *a = arena_new();
	struct store_list list;

	CHECK(s && store_range(s, "", NULL, 0, a, &list, &err) == 0);
	for (size_t i = 0; i < list.n; i++)
		CHECK(store_delete(s, list.kvs[i].key, &err) == 0);
	arena_free(a);
	store_close(s);
}

#endif

/* oimd: options, signals, and the daemon between them. */

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <popt.h>

#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/demo.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/transfer.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define LOG_COMPONENT "main"

/* Seconds between two looks whether all is well. */
#define WATCH_PERIOD 2

#define EXIT_USAGE 2

static struct {
	char *config;
	char **settings;
	char *log_level;
	char *log_setting; /* the same as --set has it */
	char *export, *import;
	int check, print, demo, version, force;
} options;

static const struct poptOption option_table[] = {
	{"config", 'c', POPT_ARG_STRING, &options.config, 0,
	 "read this file instead of /etc/oim/oimd.conf", "FILE"},
	{"set", 's', POPT_ARG_ARGV, &options.settings, 0,
	 "set a key of the configuration; may be repeated",
	 "SECTION.KEY=VALUE"},
	{"check-config", 0, POPT_ARG_NONE, &options.check, 0,
	 "only check the configuration", NULL},
	{"print-config", 0, POPT_ARG_NONE, &options.print, 0,
	 "print the configuration that is in force", NULL},
	{"log-level", 0, POPT_ARG_STRING, &options.log_level, 0,
	 "error, warn, info or debug", "LEVEL"},
	{"export", 0, POPT_ARG_STRING, &options.export, 0,
	 "write the cluster's state to this file, - is stdout", "FILE"},
	{"import", 0, POPT_ARG_STRING, &options.import, 0,
	 "store what --export wrote, - is stdin", "FILE"},
	{"force", 0, POPT_ARG_NONE, &options.force, 0,
	 "import in place of what is there", NULL},
	{"demo", 0, POPT_ARG_NONE, &options.demo, 0,
	 "run with a pretended data plane and a store that is thrown away",
	 NULL},
	{"version", 'V', POPT_ARG_NONE, &options.version, 0,
	 "print the version", NULL},
	POPT_AUTOHELP POPT_TABLEEND};

static int check_options(void)
{
	bool moves = options.export || options.import;

	if ((options.export && options.import) || (moves && options.demo) ||
	    (options.force && !options.import)) {
		fprintf(stderr,
			"oimd: --export, --import and --demo exclude each other, and --force is for --import\n");
		return -1;
	}
	return 0;
}

static int parse_options(int argc, const char **argv)
{
	poptContext context =
		poptGetContext("oimd", argc, argv, option_table, 0);
	int rc = poptGetNextOpt(context);

	if (rc < -1)
		fprintf(stderr, "oimd: %s: %s\n", poptBadOption(context, 0),
			poptStrerror(rc));
	else if (poptPeekArg(context))
		fprintf(stderr, "oimd: unexpected argument \"%s\"\n",
			poptPeekArg(context));
	rc = rc < -1 || poptPeekArg(context) ? -1 : 0;
	poptFreeContext(context);
	return rc == 0 ? check_options() : -1;
}

/* What --log-level and --demo stand for comes behind what --set says. */
static const char **all_settings(struct demo *demo)
{
	size_t n = 0, k = 0;
	const char **all;

	while (options.settings && options.settings[n])
		n++;
	all = mem_zalloc(n + 2 + DEMO_SETTINGS, sizeof(*all));
	for (; demo && k < DEMO_SETTINGS; k++)
		all[k] = demo->settings[k];
	for (size_t i = 0; i < n; i++)
		all[k++] = options.settings[i];
	if (options.log_level)
		all[k] = options.log_setting =
			mem_printf("log.level=%s", options.log_level);
	return all;
}

static void reload(struct daemon *d, const char *const *settings)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_config) struct config *c = NULL;

	notify_reloading();
	c = config_read(options.config, settings, &err);
	if (c) {
		log_set_level(c->log_level);
		log_set_format(c->log_format);
	}
	if (!c || daemon_reload(d, &err) == -1)
		log_error("not reloaded, the old settings stay: %s", err.msg);
	else
		log_info("reloaded");
	notify("READY=1");
}

/* Until a signal says stop; -1 if the daemon cannot go on. */
static int wait_for_signals(struct daemon *d, const sigset_t *signals,
			    const char *const *settings, struct err *err)
{
	const struct timespec period = {WATCH_PERIOD, 0};
	int signal;

	for (;;) {
		signal = sigtimedwait(signals, NULL, &period);
		if (signal == SIGTERM || signal == SIGINT)
			return 0;
		if (signal == SIGHUP)
			reload(d, settings);
		else if (signal == -1 && errno == EAGAIN &&
			 daemon_watch(d, err) == -1)
			return -1;
	}
}

static int run(const struct config *config, const sigset_t *signals,
	       const char *const *settings, struct err *err)
{
	struct daemon *d;
	int rc;

	log_set_level(config->log_level);
	log_set_format(config->log_format);
	d = daemon_start(config, err);
	if (!d)
		return -1;
	if (options.demo)
		fprintf(stderr,
			"Try in another terminal: oimctl --server %s status\n",
			*config->listen);
	rc = wait_for_signals(d, signals, settings, err);
	log_info("stopping");
	daemon_stop(d);
	return rc;
}

static void block_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/*
 * As many descriptors as we may have: when they run out while it accepts a TCP
 * connection, gRPC core 1.51 closes the port for good.
 */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int fail(const struct err *err, int status)
{
	fprintf(stderr, "oimd: %s\n", err->msg);
	if (err->hint)
		fprintf(stderr, "hint: %s\n", err->hint);
	return status;
}

static int move_state(const struct config *config, struct err *err)
{
	struct backup_result r;

	if (options.export)
		return transfer_export(config, options.export, err);
	if (transfer_import(config, options.import, options.force, &r, err) ==
	    -1)
		return -1;
	fprintf(stderr, "oimd: %zu written, %zu removed, %zu there already\n",
		r.written, r.removed, r.same);
	return 0;
}

int main(int argc, const char **argv)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	CLEANUP(cleanup_config) struct config *config = NULL;
	CLEANUP(demo_clear) struct demo demo = {0};
	CLEANUP(cleanup_free) const char **settings = NULL;
	sigset_t signals;

	/* Give the top of the heap back seldom, and have messages on it too:
	 * see mallopt(3), and page faults for what is mapped instead. */
	mallopt(M_TOP_PAD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 16 << 20);
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	/* Memory holds secrets of volumes: no core files. */
	prctl(PR_SET_DUMPABLE, 0);
	if (parse_options(argc, argv) == -1)
		return EXIT_USAGE;
	if (options.version) {
		puts("oimd " OIM_VERSION);
		return 0;
	}
	if (options.demo && demo_prepare(&demo, &err) == -1)
		return fail(&err, EXIT_FAILURE);
	settings = all_settings(options.demo ? &demo : NULL);
	config = config_read(options.config, settings, &err);
	if (!config)
		return fail(&err, EXIT_USAGE);
	if (options.print)
		config_print(config);
	if (options.print || options.check)
		return 0;
	if (options.export || options.import)
		return move_state(config, &err) == -1 ? fail(&err, EXIT_FAILURE)
						      : 0;
	block_signals(&signals);
	raise_limits();
	if (run(config, &signals, settings, &err) == -1)
		return fail(&err, EXIT_FAILURE);
	return 0;
}

/* Lists that are printed whenever they change. */

#include "cli/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/changes.h"
#include "cli/feed.h"
#include "cli/report.h"
#include "proto/lib/cleanup.h"
#include "proto/lib/mem.h"

#define CLEAR "\033[H\033[2J"

struct watch {
	struct task *task;
	bool everywhere;
	int (*list)(struct task *t, struct err *err);
	int64_t deadline;
	struct changes *changes;
	char *printed; /* the last document; NULL: none yet */
	bool is_away;  /* the server has not answered, which was said */
};

const struct opt watch_options[] = {WATCH_OPTION, {0}};

static bool is_for_people(const struct task *t)
{
	enum out_format format = t->settings.style.format;

	return format == OUT_TABLE || format == OUT_WIDE;
}

/* On a terminal it takes the place of the last one. */
static void separate(const struct watch *w)
{
	const struct task *t = w->task;
	const char *term = getenv("TERM");

	if (t->settings.style.format == OUT_JSON ||
	    t->settings.style.format == OUT_YAML)
		return;
	if (is_for_people(t) && isatty(STDOUT_FILENO) && term &&
	    strcmp(term, "dumb") != 0)
		fputs(CLEAR, stdout);
	else if (w->printed)
		putchar('\n');
}

static int print(struct watch *w, struct err *err)
{
	CLEANUP(cleanup_free) char *text = out_json_text(w->task->out);

	if (w->printed && strcmp(w->printed, text) == 0) {
		out_reset(w->task->out);
		return 0;
	}
	separate(w);
	free(w->printed);
	w->printed = STEAL(text);
	report_failures(w->task);
	return out_emit(w->task->out, stdout, err);
}

/* Lists with memory of its own, which the next round does not need. */
static int look(struct watch *w, struct err *err)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct task round = *w->task;
	int rc;

	round.arena = a;
	round.deadline = changes_round(w->deadline);
	out_reset(w->task->out);
	rc = w->everywhere ? changes_follow_all(w->changes, &round, err) : 0;
	if (rc == 0)
		rc = w->list(&round, err);
	if (rc == 0)
		rc = print(w, err);
	w->task->answered = round.answered;
	return rc;
}

/* What is away may come back, once it was there. */
static int bear(struct watch *w, struct err *err)
{
	if (!w->printed || !changes_can_pass(err, w->deadline))
		return -1;
	if (!w->is_away)
		report_warning(w->task, "%s", err->msg);
	w->is_away = true;
	err_clear(err);
	return 0;
}

static int follow(struct watch *w, struct err *err)
{
	int rc;

	do {
		if (look(w, err) == 0)
			w->is_away = false;
		else if (bear(w, err) == -1)
			return -1;
		rc = changes_wait(w->changes, w->deadline, err);
	} while (rc == 1);
	if (rc == 0)
		err_set(err, GRPC_STATUS_DEADLINE_EXCEEDED, "the time is over");
	w->task->answered = true;
	return -1;
}

int watch_list(struct task *t, bool everywhere,
	       int (*list)(struct task *t, struct err *err), struct err *err)
{
	static const struct feed_config plan = {0};
	struct watch w = {.task = t, .everywhere = everywhere, .list = list};
	int rc;

	if (!task_option(t, "watch"))
		return list(t, err);
	if (task_option(t, "dry-run")) {
		feed_plan(t, &plan);
		return list(t, err);
	}
	w.deadline = changes_deadline(t);
	w.changes = changes_begin(t, err);
	if (!w.changes)
		return -1;
	rc = follow(&w, err);
	changes_end(w.changes);
	free(w.printed);
	return rc;
}

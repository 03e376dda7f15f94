/* The kernel plane when it is killed, and when many use it at once. */

#include "daemon/plane/plane.h"

#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>

#include "tests/unit/kernel_bdev.h"

/* --- crash --- */

static int run_create(struct kernel_bdev *f, struct err *err)
{
	return plane_create(f->plane, f->name, &source, err);
}

static int run_attach(struct kernel_bdev *f, struct err *err)
{
	return plane_attach(f->plane, f->name, &f->a, err);
}

static int run_detach(struct kernel_bdev *f, struct err *err)
{
	return plane_detach(f->plane, f->name, f->a.token, err);
}

/*
 * Runs the operation in a child that is killed when that many of its system
 * calls are done. Whether the operation ended before.
 */
static bool run_killed(struct kernel_bdev *f,
		       int (*run)(struct kernel_bdev *f, struct err *err),
		       int calls)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	int stops = 2 * calls; /* one before and one after each call */
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(run(f, &err));
	}
	while (waitpid(pid, &status, 0) == pid && !WIFEXITED(status) &&
	       !WIFSIGNALED(status)) {
		if (stops-- == 0)
			kill(pid, SIGKILL);
		else
			ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
	}
	return WIFEXITED(status);
}

static void test_create_killed_anywhere_leaves_all_or_nothing(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct kernel_bdev *f = *state;
	CLEANUP(cleanup_free) char *path = mem_printf("%s/%s", f->dir, f->name);
	bool ended = false;
	struct stat st;

	for (int calls = 1; !ended; calls++) {
		ended = run_killed(f, run_create, calls);
		if (stat(path, &st) == 0)
			assert_int_equal(st.st_blocks, MIB / 512);
		else
			assert_false(ended);
		good(plane_remove(f->plane, f->name, &err), &err);
		assert_int_equal(rmdir(f->dir), 0); /* it is empty */
		assert_int_equal(mkdir(f->dir, 0700), 0);
		plane_close(f->plane);
		f->plane = open_plane(f->dir);
	}
}

static void test_attach_killed_anywhere_is_finished_by_a_repeat(void **state)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct kernel_bdev *f = *state;
	bool ended = false;

	NEEDS_LOOP();
	create(f);
	for (int calls = 1; !ended; calls++) {
		plan(f);
		ended = run_killed(f, run_attach, calls);
		if (ended)
			assert_int_equal(probe(f), PLANE_ATTACHED);
		good(run_attach(f, &err), &err);
		assert_int_equal(probe(f), PLANE_ATTACHED);
		detach(f);
		assert_gone(f);
	}
}

static void test_attach_killed_anywhere_is_undone_by_detach(void **state)
{
	struct kernel_bdev *f = *state;
	bool ended = false;

	NEEDS_LOOP();
	create(f);
	for (int calls = 1; !ended; calls++) {
		plan(f);
		ended = run_killed(f, run_attach, calls);
		detach(f);
		assert_gone(f);
	}
}

static void test_detach_killed_anywhere_is_finished_by_a_repeat(void **state)
{
	struct kernel_bdev *f = *state;
	bool ended = false;

	NEEDS_LOOP();
	create(f);
	for (int calls = 1; !ended; calls++) {
		attach(f);
		ended = run_killed(f, run_detach, calls);
		if (ended)
			assert_gone(f);
		detach(f);
		assert_gone(f);
	}
}

/* --- concurrency --- */

#define THREADS 16
#define ROUNDS  8

struct worker {
	struct plane *plane;
	pthread_t thread;
	char name[32];
	const char *failed; /* the step */
	char *why;
};

static int run_round(struct worker *w, const char **step, struct err *err)
{
	CLEANUP(plane_attachment_clear) struct plane_attachment a = {0};
	enum plane_state state;

	*step = "create";
	if (plane_create(w->plane, w->name, &source, err) < 0)
		return -1;
	*step = "plan";
	if (plane_plan(w->plane, w->name, &a, err) < 0)
		return -1;
	*step = "attach";
	if (plane_attach(w->plane, w->name, &a, err) < 0)
		return -1;
	*step = "probe of what is attached";
	if (plane_probe(w->plane, w->name, a.token, &state, err) < 0 ||
	    state != PLANE_ATTACHED)
		return -1;
	*step = "detach";
	if (plane_detach(w->plane, w->name, a.token, err) < 0)
		return -1;
	*step = "probe of what is detached";
	if (plane_probe(w->plane, w->name, a.token, &state, err) < 0 ||
	    state != PLANE_ABSENT)
		return -1;
	*step = "remove";
	return plane_remove(w->plane, w->name, err);
}

static void *work(void *arg)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct worker *w = arg;

	for (int i = 0; i < ROUNDS; i++)
		if (run_round(w, &w->failed, &err) < 0) {
			w->why = mem_strdup(err.msg ? err.msg : "wrong state");
			break;
		}
	return NULL;
}

static void test_many_bdevs_are_attached_and_detached_at_once(void **state)
{
	struct worker workers[THREADS] = {0};
	struct kernel_bdev *f = *state;

	NEEDS_LOOP();
	for (int i = 0; i < THREADS; i++) {
		struct worker *w = &workers[i];

		w->plane = f->plane;
		snprintf(w->name, sizeof(w->name), "%s-%d", f->name, i);
		assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (int i = 0; i < THREADS; i++)
		if (workers[i].why)
			fail_msg("%s: %s", workers[i].failed, workers[i].why);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, make_plane, remove_plane)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_create_killed_anywhere_leaves_all_or_nothing),
		TEST(test_attach_killed_anywhere_is_finished_by_a_repeat),
		TEST(test_attach_killed_anywhere_is_undone_by_detach),
		TEST(test_detach_killed_anywhere_is_finished_by_a_repeat),
		TEST(test_many_bdevs_are_attached_and_detached_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

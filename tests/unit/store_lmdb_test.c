/* What only LMDB promises: the directory, its owner, and a map that grows. */

#include "tests/unit/store_engines.h"

#include <dirent.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void assert_not_opened(const char *place, int code, const char *part)
{
	CLEANUP(err_clear) struct err err = ERR_INIT;

	assert_null(store_lmdb_open(place, &err));
	assert_int_equal(err.code, code);
	if (!strstr(err.msg, place) || !strstr(err.msg, part))
		fail_msg("\"%s\" does not name %s and say \"%s\"", err.msg,
			 place, part);
}

/* --- the directory --- */

static mode_t mode_of(const char *dir, const char *name)
{
	CLEANUP(cleanup_free) char *path = mem_printf("%s/%s", dir, name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void assert_made_private(const char *path, mode_t mask)
{
	mode_t before = umask(mask);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	struct store *s = store_lmdb_open(path, &err);

	umask(before);
	if (!s)
		fail_msg("%s", err.msg);
	store_close(s);
	assert_int_equal(mode_of(path, ""), 0700);
	assert_int_equal(mode_of(path, "lock"), 0600);
	assert_int_equal(mode_of(path, "lock.mdb"), 0600);
	assert_int_equal(mode_of(path, "data.mdb"), 0600);
}

static void test_a_new_store_is_private_whatever_the_umask(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *open = mem_printf("%s/open", f->place);
	CLEANUP(cleanup_free) char *closed = mem_printf("%s/closed", f->place);

	assert_made_private(open, 0);
	assert_made_private(closed, 0777);
}

static void test_a_directory_that_is_there_keeps_its_mode(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(chmod(f->place, 0750), 0);
	reopen(f);
	assert_int_equal(mode_of(f->place, ""), 0750);
}

static void test_a_file_that_was_too_open_is_private_again(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *path = mem_printf("%s/data.mdb", f->place);

	assert_int_equal(chmod(path, 0666), 0);
	reopen(f);
	assert_int_equal(mode_of(f->place, "data.mdb"), 0600);
}

static void test_the_parent_directory_must_be_there(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *path = mem_printf("%s/no/store", f->place);

	assert_not_opened(path, GRPC_STATUS_NOT_FOUND, "No such file");
}

static void test_the_reader_table_has_its_blocks(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *path = mem_printf("%s/lock.mdb", f->place);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_blocks * 512 >= st.st_size);
}

static void assert_not_inherited(int dir, const char *fd, const char *place)
{
	char target[4096] = "";

	if (readlinkat(dir, fd, target, sizeof(target) - 1) < 0 ||
	    strncmp(target, place, strlen(place)) != 0)
		return;
	if (!(fcntl((int)strtol(fd, NULL, 10), F_GETFD) & FD_CLOEXEC))
		fail_msg("%s would be inherited", target);
}

static void test_no_descriptor_is_inherited(void **state)
{
	CLEANUP(cleanup_dir) DIR *fds = opendir("/proc/self/fd");
	struct fixture *f = *state;
	struct dirent *e;

	assert_non_null(fds);
	while ((e = readdir(fds)))
		assert_not_inherited(dirfd(fds), e->d_name, f->place);
}

/* --- one owner --- */

static void test_a_second_opening_names_the_process(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free)
	char *self = mem_printf("process %d ", (int)getpid());

	assert_not_opened(f->place, GRPC_STATUS_FAILED_PRECONDITION, self);
	put(f->s, "a", "1");
}

/* A process that has the store open until it is killed. */
static pid_t start_holder(const char *place)
{
	int fds[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		struct err err = ERR_INIT;
		struct store *s = store_lmdb_open(place, &err);

		if (!s || store_put(s, "a", "1", 1, &err) < 0 ||
		    write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &c, 1), 1);
	close(fds[0]);
	return pid;
}

static void test_another_process_is_named_and_its_end_frees_it(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *name = NULL;
	pid_t pid;

	store_close(f->s);
	f->s = NULL;
	pid = start_holder(f->place);
	name = mem_printf("process %d ", (int)pid);
	assert_not_opened(f->place, GRPC_STATUS_FAILED_PRECONDITION, name);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	f->s = open_at(f->place);
	assert_value(f->s, "a", "1");
}

/* --- what is in it --- */

/* Overwrites an entry of a database behind the engine's back. */
static void tamper(const char *place, const char *database, const char *key,
		   const void *data, size_t size)
{
	MDB_val k = {strlen(key), (void *)(uintptr_t)key};
	MDB_val v = {size, (void *)(uintptr_t)data};
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
	assert_int_equal(mdb_env_open(env, place, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, database, 0, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void test_a_newer_schema_is_refused_and_left_alone(void **state)
{
	struct fixture *f = *state;
	int64_t newer = 2, known = 1;

	put(f->s, "a", "1");
	store_close(f->s);
	f->s = NULL;
	tamper(f->place, "meta", "schema", &newer, sizeof(newer));
	assert_not_opened(f->place, GRPC_STATUS_FAILED_PRECONDITION,
			  "version 2, this program knows version 1");
	tamper(f->place, "meta", "schema", &known, sizeof(known));
	f->s = open_at(f->place);
	assert_value(f->s, "a", "1");
}

static void test_a_damaged_record_is_found_at_the_opening(void **state)
{
	struct fixture *f = *state;

	put(f->s, "a", "1");
	store_close(f->s);
	f->s = NULL;
	tamper(f->place, "kv", "a", "short", 5);
	assert_not_opened(f->place, GRPC_STATUS_DATA_LOSS, "");
}

static void test_a_file_of_something_else_is_refused_and_kept(void **state)
{
	static const char text[] = "a diary, not a store\n";
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *dir = mem_printf("%s/other", f->place);
	CLEANUP(cleanup_free) char *path = mem_printf("%s/data.mdb", dir);
	CLEANUP(cleanup_file) FILE *file = NULL;
	char back[sizeof(text)] = "";

	assert_int_equal(mkdir(dir, 0700), 0);
	file = fopen(path, "w+");
	assert_non_null(file);
	fputs(text, file);
	fflush(file);
	assert_not_opened(dir, GRPC_STATUS_DATA_LOSS, "");
	rewind(file);
	assert_non_null(fgets(back, sizeof(back), file));
	assert_string_equal(back, text);
}

static void test_two_stores_have_two_ids(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *path = mem_printf("%s/other", f->place);
	struct store *other = open_at(path);

	assert_int_equal(strlen(store_id(other)), 32);
	assert_string_not_equal(store_id(f->s), store_id(other));
	store_close(other);
}

static void test_a_store_names_its_path(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(status_of(f->s).engine, "lmdb");
	assert_string_equal(status_of(f->s).location, f->place);
	assert_true(store_is_embedded(f->s));
}

/* --- growth --- */

#define BLOCK   (512u << 10)
#define BLOCKS  100 /* fifty MiB: the map of 16 doubles twice */
#define READERS 4

struct reader {
	struct store *s;
	bool stop;
	int bad;
	int reads;
	pthread_t thread;
};

static bool is_uniform(const struct store_kv *kv)
{
	const char *bytes = kv->value;

	return kv->size == BLOCK && memcmp(bytes, bytes + 1, BLOCK - 1) == 0;
}

static bool look(void *arg, const struct store_kv *kv)
{
	struct reader *r = arg;

	r->bad += !is_uniform(kv);
	r->reads++;
	return r->reads % 10;
}

static void *read_on(void *arg)
{
	CLEANUP(cleanup_arena) struct arena *a = arena_new();
	struct reader *r = arg;

	while (!__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST)) {
		struct err err = ERR_INIT;
		struct store_kv kv;

		if (store_each(r->s, "", look, r, &err) < 0 ||
		    store_get(r->s, "0", a, &kv, &err) != 1)
			abort();
		r->bad += !is_uniform(&kv);
		arena_reset(a);
	}
	return NULL;
}

static void put_block(struct store *s, int i)
{
	CLEANUP(cleanup_free) char *block = mem_alloc(BLOCK);
	CLEANUP(err_clear) struct err err = ERR_INIT;
	char key[16];

	memset(block, 'a' + i % 26, BLOCK);
	snprintf(key, sizeof(key), "%d", i);
	if (store_put(s, key, block, BLOCK, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_the_map_grows_under_readers(void **state)
{
	struct reader readers[READERS] = {0};
	struct store *s = store_of(state);

	put_block(s, 0);
	for (int i = 0; i < READERS; i++) {
		readers[i].s = s;
		if (pthread_create(&readers[i].thread, NULL, read_on,
				   &readers[i]))
			abort();
	}
	for (int i = 1; i < BLOCKS; i++)
		put_block(s, i);
	for (int i = 0; i < READERS; i++) {
		__atomic_store_n(&readers[i].stop, true, __ATOMIC_SEQ_CST);
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].bad, 0);
		assert_true(readers[i].reads > 0);
	}
	assert_true(status_of(s).size > (uint64_t)BLOCKS * BLOCK);
}

static void test_a_store_that_has_grown_opens_and_grows_again(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 40; i++)
		put_block(f->s, i);
	reopen(f);
	for (int i = 40; i < 70; i++)
		put_block(f->s, i);
	assert_true(has(f->s, "0"));
	assert_true(has(f->s, "69"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_a_new_store_is_private_whatever_the_umask),
		STORE_TEST(test_a_directory_that_is_there_keeps_its_mode),
		STORE_TEST(test_a_file_that_was_too_open_is_private_again),
		STORE_TEST(test_the_parent_directory_must_be_there),
		STORE_TEST(test_the_reader_table_has_its_blocks),
		STORE_TEST(test_no_descriptor_is_inherited),
		STORE_TEST(test_a_second_opening_names_the_process),
		STORE_TEST(test_another_process_is_named_and_its_end_frees_it),
		STORE_TEST(test_a_newer_schema_is_refused_and_left_alone),
		STORE_TEST(test_a_damaged_record_is_found_at_the_opening),
		STORE_TEST(test_a_file_of_something_else_is_refused_and_kept),
		STORE_TEST(test_two_stores_have_two_ids),
		STORE_TEST(test_a_store_names_its_path),
		STORE_TEST(test_the_map_grows_under_readers),
		STORE_TEST(test_a_store_that_has_grown_opens_and_grows_again),
	};

	return cmocka_run_group_tests_name("lmdb", tests, NULL, NULL);
}

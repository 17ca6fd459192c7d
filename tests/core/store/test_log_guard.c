/*
 * Memory of a store's file that cannot be read: the program ends with a status of its own and a sentence. Here it does
 * not end: _exit() leads back into the test, and LMDB gives away what it would call.
 */
#include "store/log_guard.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/io.h"
#include "lib/run.h"
#include "lib/temp_dir.h"

static sigjmp_buf back;
static int status;        /* of _exit(); -1: somebody else's handler ran */
static MDB_assert_func *given; /* what LMDB calls when it finds itself wrong */
static char dir[TEMP_DIR_LEN], path[96];

_Noreturn void __wrap__exit(int how);
_Noreturn void __wrap__exit(int how)
{
	status = how;
	siglongjmp(back, 1);
}

int __wrap_mdb_env_set_assert(MDB_env *env, MDB_assert_func *call);
int __wrap_mdb_env_set_assert(MDB_env *env, MDB_assert_func *call)
{
	(void)env;
	given = call;
	return 0;
}

static void somebody_else(int signal)
{
	(void)signal;
	status = -1;
	siglongjmp(back, 1);
}

static MDB_env *env;

static void setup(void)
{
	temp_dir_make_on_disk(dir, "guard");
	signal(SIGBUS, somebody_else);
	signal(SIGSEGV, somebody_else);
	ck_assert_int_eq(mdb_env_create(&env), 0);
	log_guard(env);
	log_guard(env); /* each store of the process does */
	status = 0;
}

static void teardown(void)
{
	mdb_env_close(env);
	temp_dir_remove(dir);
}

/* A file mapped whole and then cut short: what was behind the end cannot be read. */
static volatile char *map_cut(const char *name)
{
	char *at;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 8192), 0);
	at = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(at, MAP_FAILED);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	close(fd);
	return at;
}

static int saved_stderr;

static void catch_stderr(void)
{
	char said[96];
	int fd;

	snprintf(said, sizeof(said), "%s/said", dir);
	fd = open(said, O_RDWR | O_CREAT | O_TRUNC, 0600);
	saved_stderr = dup(STDERR_FILENO);
	ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
	close(fd);
}

static const char *said(void)
{
	static struct buf text = BUF_INIT(8192);
	char name[96];

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	snprintf(name, sizeof(name), "%s/said", dir);
	buf_clear(&text);
	ck_assert_int_eq(file_read(&text, name), 0);
	return text.len == 0 ? "" : text.ptr;
}

/* The status the program would have had after a look there. */
static int look(const volatile char *at)
{
	static volatile char seen;

	status = 0;
	if (sigsetjmp(back, 1) == 0)
		seen = *at;
	(void)seen;
	return status;
}

START_TEST(a_file_of_a_store_ends_it_by_name)
{
	const volatile char *at = map_cut("data.mdb");
	const char *text;

	catch_stderr();
	look(at + 4096);
	text = said();
	ck_assert_int_eq(status, LOG_STATUS_DAMAGED);
	ck_assert_msg(strncmp(text, "lulab: ", 7) == 0 && strncmp(text + 7, path, strlen(path)) == 0, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "lulab log verify"));
}
END_TEST

static const char *const others[] = {"data.mdc", "b", "my-data.mdb.old"};

START_TEST(another_file_is_left_to_who_was_there_before)
{
	const volatile char *at = map_cut(others[_i]);
	const char *text;

	catch_stderr();
	look(at);
	text = said();
	ck_assert_int_eq(status, -1);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(so_is_memory_of_no_file)
{
	const char *at = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *text;

	ck_assert_ptr_ne(at, MAP_FAILED);
	catch_stderr();
	look(at);
	text = said();
	ck_assert_int_eq(status, -1);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(a_store_that_finds_itself_wrong_ends_it_too)
{
	bool opened = _i == 1;
	const char *text;

	if (opened)
		ck_assert_int_eq(mdb_env_open(env, dir, 0, 0600), 0);
	ck_assert(given != NULL);
	catch_stderr();
	if (sigsetjmp(back, 1) == 0)
		given(env, "a page is not what it says");
	text = said();
	ck_assert_int_eq(status, LOG_STATUS_DAMAGED);
	ck_assert_ptr_nonnull(strstr(text, "/data.mdb: this file is damaged; stopped: a page is not what it says\n"));
	ck_assert_int_eq(strstr(text, dir) != NULL, opened);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_guard");
	TCase *t = tcase_create("guard");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_file_of_a_store_ends_it_by_name);
	tcase_add_loop_test(t, another_file_is_left_to_who_was_there_before, 0, (int)COUNT(others));
	tcase_add_test(t, so_is_memory_of_no_file);
	tcase_add_loop_test(t, a_store_that_finds_itself_wrong_ends_it_too, 0, 2);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

/*
 * What threads of the service do by themselves while every call of theirs that can fail does so once: accounts out of a
 * file, erasures, the end of one-time codes. What failed is tried again after a while, which is made short here, and
 * comes to what it would have come to, once.
 */
#include "base/thread.h"
#include "core/app/request_walk.h"

#define SHORT_MS 2u

/* What a file of accounts says of a row that no memory was left for. */
#define FOR_WANT_OF_MEMORY "'code':'failed'"

static const char *walked; /* the thread */

struct timespec __real_thread_deadline(unsigned ms);
struct timespec __wrap_thread_deadline(unsigned ms);
struct timespec __wrap_thread_deadline(unsigned ms)
{
	char name[16] = "";

	pthread_getname_np(pthread_self(), name, sizeof(name));
	return __real_thread_deadline(walked != NULL && strcmp(name, walked) == 0 && ms > SHORT_MS ? SHORT_MS : ms);
}

static void setup(void)
{
	static const char *const settings[] = {"LULAB_ENV=development", "LULAB_TRUSTED_PROXIES=127.0.0.1/32", NULL};
	static const struct walk_request made[] = {
		MAKE(NULL, "POST /api/v1/users", "{'username':'somebody','displayName':'So'}", 201, "some=id"),
	};

	walk_open(NULL, settings, made, COUNT(made));
}

static uint64_t count(const char *type)
{
	return count_events(&walk.r.f, type);
}

static void until_told(const char *type, uint64_t n)
{
	while (count(type) < n)
		ck_assert_int_ne(eventlog_wait(walk.r.f.log, eventlog_size(walk.r.f.log), 50), ERR_CANCELLED);
}

static void count_up(void)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", ++walk.number);
	walk_set("n", slice_str(text));
}

static void look(const char *line, int status, const char *says)
{
	walk_do(&(struct walk_request){.line = line, .status = status, .says = says});
}

static bool is_destroyed(const char *name)
{
	struct id id;

	ck_assert_int_eq(id_parse(slice_str(walk_value(slice_str(name))), &id), 0);
	return keyring_is_erased(walk.r.app.keyring, &id);
}

static unsigned walk_thread(const char *thread, unsigned kinds, void (*before)(void), int (*act)(void), void (*after)(int, const char *))
{
	const char *const threads[] = {thread, NULL};
	struct failing_walk of = {.kinds = kinds, .before = before,
	    .act = act, .after = after, .runs_on = true, .threads = threads, .depth = 4};
	unsigned n;

	walked = thread;
	n = failing_walk(&of);
	walked = NULL;
	return n;
}

/* ---- accounts out of a file --------------------------------------------------------------------------- */

static uint64_t n_imports;

static int import(void)
{
	static const struct walk_request upload = {.line = "POST /api/v1/users/imports",
	    .body = "username,email,displayName\nquill$n,quill$n@example.com,Q\nsomebody,,S\nraven$n,none,R\n", .status = 202,
	    .keep = "import=id", .field = "Content-Type: text/csv\r\n"};

	failing_pause();
	walk_do(&upload);
	until_told("user_import.ended", ++n_imports);
	failing_go_on();
	return 0;
}

static bool says(struct slice text, const char *what)
{
	return walk_says(&(struct walk_request){.says = what}, text);
}

static void accounts_are_what_was_told(int rc, const char *what)
{
	struct walk_request rows = {.line = "GET /api/v1/users/imports/$import"}, found = {.line = "GET /api/v1/users?search=quill$n"};
	struct buf told = BUF_INIT(1u << 20), there = BUF_INIT(1u << 20);
	bool failed, is_made;

	(void)rc;
	wait_all(&walk.r.f, walk.r.app.projector);
	ck_assert_int_eq(walk_exchange(&rows, &told), 200);
	ck_assert_int_eq(walk_exchange(&found, &there), 200);
	failed = says(buf_slice(&told), FOR_WANT_OF_MEMORY);
	is_made = says(buf_slice(&told), "'created':1");
	ck_assert_msg(what != NULL || !failed, "%s", told.ptr);
	ck_assert_msg(says(buf_slice(&told), "'state':'DONE'") && says(buf_slice(&told), "'total':3,'done':3"), "after %s failed: %s",
	    what == NULL ? "nothing" : what, told.ptr);
	ck_assert_msg(is_made || failed, "after %s failed: %s", what == NULL ? "nothing" : what, told.ptr);
	ck_assert_msg(says(buf_slice(&there), "'total':1") == is_made, "after %s failed: %s and there is %s",
	    what == NULL ? "nothing" : what, told.ptr, there.ptr);
	ck_assert_msg(failed || (says(buf_slice(&told), "'code':'taken'") && says(buf_slice(&told), "'field':'email'")),
	    "after %s failed: %s", what == NULL ? "nothing" : what, told.ptr);
	/* Each row and each file are told of once, and the file is gone. */
	ck_assert_uint_eq(count("user_import.row_done"), 3 * n_imports);
	ck_assert_uint_eq(count("user_import.ended"), n_imports);
	ck_assert(is_destroyed("import"));
	buf_finish(&told);
	buf_finish(&there);
}

START_TEST(a_file_of_accounts_is_taken_in_once)
{
	unsigned n = walk_thread("lulab-import", FAILING_ALL, count_up, import, accounts_are_what_was_told);

	ck_assert_msg(n >= 45, "only %u calls failed", n);
}
END_TEST

/* ---- erasures ------------------------------------------------------------------------------------------- */

static uint64_t n_erased;

static void make_somebody(void)
{
	static const struct walk_request make = MAKE(NULL, "POST /api/v1/users",
	    "{'username':'gone$n','email':'gone$n@example.com','displayName':'G'}", 201, "user=id");

	count_up();
	walk_do(&make);
}

#define ERASE "DELETE /api/v1/users/$user?erase=true"

/* It is said that it is done when it is. */
static int erase(void)
{
	struct walk_request q = {.line = ERASE};
	struct buf body = BUF_INIT(1u << 20);
	int status;

	failing_pause();
	n_erased++;
	status = walk_exchange(&q, &body);
	ck_assert_msg(status == 200 ? count("privacy.erasure.completed") == n_erased : status >= 500, "%d: %s", status, body.ptr);
	until_told("privacy.erasure.completed", n_erased);
	buf_finish(&body);
	failing_go_on();
	return 0;
}

static void nobody_is_left(int rc, const char *what)
{
	(void)rc;
	(void)what;
	look(ERASE, 200, "'erased':true");
	look("GET /api/v1/users?search=gone$n", 200, "'total':0");
	ck_assert_uint_eq(count("privacy.erasure.requested"), n_erased);
	ck_assert_uint_eq(count("privacy.erasure.completed"), n_erased);
}

START_TEST(who_is_to_be_erased_is)
{
	unsigned n = walk_thread("lulab-erase", FAILING_MEMORY | FAILING_ARENAS, make_somebody, erase, nobody_is_left);

	ck_assert_msg(n >= 14, "only %u calls failed", n);
}
END_TEST

/* ---- one-time codes --------------------------------------------------------------------------------------- */

static uint64_t n_codes;

static int use_a_code(void)
{
	static const struct walk_request send = {.as = "", .line = "POST /api/auth/otp/send",
	    .body = "{'target':'code$n@example.com','type':'register'}", .status = 200, .keep = "code=requestId"},
	    use = {.as = "", .line = "POST /api/auth/register", .body = "{'type':'email_code','email':'code$n@example.com','code':'$code'}",
	    .status = 201};

	failing_pause();
	walk_do(&send);
	walk_do(&use);
	until_told("verification.ended", ++n_codes);
	failing_go_on();
	return 0;
}

static void its_key_is_destroyed(int rc, const char *what)
{
	(void)rc;
	(void)what;
	wait_all(&walk.r.f, walk.r.app.projector);
	ck_assert_uint_eq(count("verification.ended"), n_codes);
}

START_TEST(a_code_that_was_used_ends)
{
	unsigned n = walk_thread("lulab-codes", FAILING_ALL, count_up, use_a_code, its_key_is_destroyed);

	ck_assert_msg(n >= 20, "only %u calls failed", n);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("threads_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, walk_close);
	tcase_add_test(t, a_file_of_accounts_is_taken_in_once);
	tcase_add_test(t, who_is_to_be_erased_is);
	tcase_add_test(t, a_code_that_was_used_ends);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

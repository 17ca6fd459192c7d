/* The log verified in the background, while it grows and after it was damaged. */
#include "app/log_check.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/store/log_fixture.h"
#include "lib/run.h"
#include "store/checkpoint.h"

static struct log_fixture f;
static struct signer *s;
static struct log_check *c;

static void setup(void)
{
	struct signer_options o = {.origin = "log.example.test/events", .interval_ms = 60000, .events_max = UINT64_MAX,
	    .clock = &clock_system, .rng = &rng_system};

	log_fixture_init(&f);
	log_fixture_open(&f);
	o.data_dir = f.dir;
	o.log = signed_log_of(f.log);
	ck_assert_int_eq(signer_start(&s, &o), 0);
	c = NULL;
}

static void teardown(void)
{
	log_check_stop(c);
	signer_stop(s);
	log_fixture_finish(&f);
}

static void start_check(unsigned interval_s, uint64_t bytes_per_s)
{
	struct log_check_options o = {.log = f.log, .data_dir = f.dir, .clock = &clock_system, .n_keys = 1,
	    .interval_s = interval_s, .bytes_per_s = bytes_per_s};

	o.keys[0] = *signer_key(s);
	ck_assert_int_eq(log_check_start(&c, &o), 0);
}

static void grow(unsigned n)
{
	static const struct test_event event = {.stream = "s/1", .blob = "a blob", .filler = "something to be damaged"};

	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(append_one(f.log, &event), 0);
	ck_assert_int_eq(signer_sign_now(s, eventlog_size(f.log)), 0);
}

/* Until so many runs have ended; gives the last one's outcome. */
static struct log_check_status await_runs(uint64_t n)
{
	struct log_check_status status;

	for (;;) {
		log_check_status(c, &status);
		if (status.runs[LOG_GOOD] + status.runs[LOG_UNCLEAR] + status.runs[LOG_BAD] >= n)
			return status;
		usleep(10000);
	}
}

/* Writes over a text in the store's file, wherever it is; says how often it was there. */
static unsigned damage(const char *old, const char *new)
{
	size_t len = strlen(old);
	char path[128], *at, *end, *bytes;
	unsigned n = 0;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/log/data.mdb", f.dir);
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	bytes = malloc((size_t)st.st_size);
	ck_assert_int_eq(pread(fd, bytes, (size_t)st.st_size, 0), st.st_size);
	for (at = bytes, end = bytes + st.st_size; (at = memmem(at, (size_t)(end - at), old, len)) != NULL; at += len, n++)
		ck_assert_int_eq(pwrite(fd, new, len, at - bytes), (ssize_t)len);
	free(bytes);
	close(fd);
	return n;
}

START_TEST(a_log_that_grows_is_good_all_along)
{
	struct log_check_status status;

	grow(300);
	start_check(1, 0);
	for (int i = 0; i < 20; i++)
		grow(10);
	status = await_runs(2);
	ck_assert_int_eq(status.verdict, LOG_GOOD);
	ck_assert_uint_eq(status.size, eventlog_size(f.log));
	ck_assert_str_eq(status.problem, "");
	ck_assert_ptr_null(eventlog_refusal(f.log));
}
END_TEST

START_TEST(an_empty_log_is_waited_for)
{
	start_check(1, 0);
	grow(3);
	ck_assert_int_eq(await_runs(1).verdict, LOG_GOOD);
}
END_TEST

START_TEST(a_damaged_blob_is_found_and_the_log_refuses)
{
	struct log_check_status status;
	static const struct test_event odd = {.stream = "s/2", .blob = "the one that is damaged"};
	static const struct test_event late = {.stream = "s/1"};

	grow(270);
	ck_assert_int_eq(append_one(f.log, &odd), 0);
	grow(30);
	ck_assert_uint_gt(damage("the one that is damaged", "the one that ix damaged"), 0);
	start_check(86400, 0);
	status = await_runs(1);
	ck_assert_int_eq(status.verdict, LOG_BAD);
	ck_assert(status.has_bad);
	ck_assert_uint_eq(status.first_bad, 270);
	ck_assert_ptr_nonnull(strstr(status.problem, "at index 270"));
	ck_assert_str_eq(eventlog_refusal(f.log), status.problem);
	ck_assert_int_eq(append_one(f.log, &late), ERR_UNAVAILABLE);
}
END_TEST

START_TEST(damage_is_remembered_until_a_run_finds_none)
{
	struct log_check_status status;
	char path[128];

	snprintf(path, sizeof(path), "%s/log.damage", f.dir);
	grow(3);
	ck_assert_int_eq(file_replace(path, SLICE("verification found damage at index 1\n"), 0644), 0);
	start_check(86400, 1); /* a byte a second: it does not come to an end */
	log_check_status(c, &status);
	ck_assert_int_eq(status.verdict, LOG_BAD);
	ck_assert_str_eq(eventlog_refusal(f.log), "verification found damage at index 1");
	log_check_stop(c); /* nor does stopping wait for it */
	ck_assert_int_eq(access(path, F_OK), 0);
	start_check(86400, 0);
	ck_assert_int_eq(await_runs(1).verdict, LOG_GOOD);
	log_check_stop(c);
	c = NULL;
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_check");
	TCase *t = tcase_create("log_check");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_log_that_grows_is_good_all_along);
	tcase_add_test(t, an_empty_log_is_waited_for);
	tcase_add_test(t, a_damaged_blob_is_found_and_the_log_refuses);
	tcase_add_test(t, damage_is_remembered_until_a_run_finds_none);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

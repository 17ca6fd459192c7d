/*
 * A writer is killed at any moment, many times over: whatever it said was
 * stored is there exactly once, the checks at start pass, and the indexes agree
 * with the entries.
 *
 * The child appends from three threads under keys of their own and writes each
 * key to a pipe once its append was answered; the parent kills it after a random
 * number of those.
 */
#include "log_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#define ROUNDS 50
#define THREADS 3
#define PER_ROUND_MAX 400

struct key {
	uint32_t round, thread, number;
};

static struct log_fixture f;
static int pipe_fd;
static uint32_t this_round;

static void once_of(char ret[64], const struct key *k)
{
	snprintf(ret, 64, "once-%u-%u-%u", k->round, k->thread, k->number);
}

static void *append_for_ever(void *arg)
{
	struct key k = {this_round, (uint32_t)(uintptr_t)arg, 0};
	char once[64], blob[80];

	for (;; k.number++) {
		struct test_event e[2] = {{.stream = "meeting/1", .once = once, .blob = blob}, {.stream = "meeting/2"}};

		once_of(once, &k);
		snprintf(blob, sizeof(blob), "blob of %s", once);
		if (append_events(f.log, e, 2, NULL) != 0)
			_exit(2);
		if (write(pipe_fd, &k, sizeof(k)) != sizeof(k))
			_exit(3);
	}
	return NULL;
}

static void child(void)
{
	pthread_t threads[THREADS];

	if (eventlog_open(&f.log, &f.options) != 0)
		_exit(1);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, append_for_ever, (void *)i);
	pthread_join(threads[0], NULL);
}

/* Gives how many were acknowledged before the kill; all of them, for the pipe is read to its end. */
static size_t run_round(struct key *ret_acked, size_t kill_after)
{
	int fds[2], status;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(fds[0]);
		pipe_fd = fds[1];
		child();
		_exit(4);
	}
	close(fds[1]);
	while (n < PER_ROUND_MAX && (got = read(fds[0], &ret_acked[n], sizeof(*ret_acked))) > 0) {
		ck_assert_int_eq(got, sizeof(*ret_acked)); /* writes this short are whole */
		if (++n == kill_after)
			ck_assert_int_eq(kill(pid, SIGKILL), 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFSIGNALED(status), "the child ended by itself: %d", status);
	close(fds[0]);
	return n;
}

static void check_round(const struct key *acked, size_t n)
{
	struct eventlog_cursor c;
	struct log_read read;
	struct log_record r;
	struct reindex_report report;
	uint64_t size, seen = 0;
	char once[64];

	log_fixture_open(&f); /* the checks of integrity.md 10 are in here */
	size = eventlog_size(f.log);
	ck_assert_uint_eq(size % 2, 0); /* batches are whole */
	ck_assert_int_eq(log_read_start(&read, f.log), 0);
	for (size_t i = 0; i < n; i++) {
		uint8_t hash[32];
		uint64_t position;
		struct slice blob;

		once_of(once, &acked[i]);
		sha256(hash, (struct slice[]){slice_str(once)}, 1);
		ck_assert_msg(eventlog_find_once(f.log, hash, &position) == 0, "%s was acknowledged and is lost", once);
		ck_assert_int_eq(eventlog_read_one(&read, position, &r), 0);
		ck_assert_int_eq(eventlog_blob(&read, position, 0, &blob), 0);
		ck_assert(blob.len == 8 + strlen(once) && memcmp(blob.ptr + 8, once, strlen(once)) == 0);
	}
	log_read_stop(&read);
	eventlog_cursor_init(&c, f.log, 0, NULL);
	while (eventlog_cursor_next(&c, &r) == 0)
		seen++;
	eventlog_cursor_finish(&c);
	ck_assert_uint_eq(seen, size);
	log_fixture_close(&f);
	if (this_round % 10 == 9) {
		ck_assert_int_eq(eventlog_reindex(&f.options, &report, NULL, NULL), 0);
		ck_assert_msg(report.differences == 0 && report.headers == 0, "%s", report.first);
		ck_assert_uint_eq(report.once, size / 2); /* as many keys as appends: none is there twice */
	}
}

START_TEST(what_was_acknowledged_is_there)
{
	static struct key acked[PER_ROUND_MAX];
	struct rng_test rng;

	rng_test_init(&rng, 5);
	log_fixture_init(&f);
	f.options.index_batch = 32; /* so that kills hit the index's commits too */
	for (this_round = 0; this_round < ROUNDS; this_round++) {
		size_t n = run_round(acked, 1 + rng_below(&rng.rng, 100));

		check_round(acked, n);
	}
	log_fixture_finish(&f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("eventlog_crash");
	TCase *t = tcase_create("crash");
	SRunner *runner;
	int failed;

	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(t, 100);
	tcase_add_test(t, what_was_acknowledged_is_there);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

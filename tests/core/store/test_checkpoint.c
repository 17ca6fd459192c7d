/* The signer on a log in memory that grows, shrinks and lies as the test says. */
#include "store/checkpoint.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "lib/temp_dir.h"

#define LEAVES_MAX 300
#define NOTES_MAX 64
#define ORIGIN "log.example.test/events"

/* A log; `lock` guards it, `grown` tells of more leaves and more notes. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t grown;
	struct merkle_hash tiles[2][MERKLE_TILE_WIDTH * 2];
	struct merkle_edge edge;
	uint64_t noted;
	unsigned n_notes, n_refused;
	uint64_t sizes[NOTES_MAX];
	char notes[NOTES_MAX][512];
	char reason[256];
	int put_rc;
} l = {.lock = PTHREAD_MUTEX_INITIALIZER, .grown = PTHREAD_COND_INITIALIZER};

static char dir[TEMP_DIR_LEN];
static struct clock_manual now;
static struct signer *s;

static int read_tile(void *arg, unsigned level, uint64_t number, unsigned first, unsigned n, struct merkle_hash *ret)
{
	int rc = 0;

	(void)arg;
	pthread_mutex_lock(&l.lock);
	if (number * 256 + first + n > l.edge.size >> (8 * level))
		rc = ERR_NOT_FOUND;
	else
		memcpy(ret, &l.tiles[level][number * 256 + first], n * sizeof(*ret));
	pthread_mutex_unlock(&l.lock);
	return rc;
}

static int size(void *arg, uint64_t *ret)
{
	(void)arg;
	pthread_mutex_lock(&l.lock);
	*ret = l.edge.size;
	pthread_mutex_unlock(&l.lock);
	return 0;
}

static int wait_longer(void *arg, uint64_t than, unsigned timeout_ms)
{
	struct timespec at;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_nsec += timeout_ms * 1000000L;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	pthread_mutex_lock(&l.lock);
	while (l.edge.size <= than && pthread_cond_timedwait(&l.grown, &l.lock, &at) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&l.lock);
	return 0;
}

static int noted_size(void *arg, uint64_t *ret)
{
	(void)arg;
	*ret = l.noted;
	return 0;
}

static int put_note(void *arg, uint64_t at, struct slice note)
{
	int rc;

	(void)arg;
	pthread_mutex_lock(&l.lock);
	rc = l.put_rc;
	if (rc == 0 && l.n_notes < NOTES_MAX && note.len < sizeof(l.notes[0])) {
		/* Its own record must know of it before anybody else does. */
		struct buf state = BUF_INIT(1024);
		char path[128], line[32];

		snprintf(path, sizeof(path), "%s/signer.state", dir);
		snprintf(line, sizeof(line), "\n%llu\n", (unsigned long long)at);
		if (file_read(&state, path) != 0 || strstr(state.ptr, line) == NULL)
			rc = ERR_CORRUPT;
		buf_finish(&state);
		l.sizes[l.n_notes] = l.noted = at;
		memcpy(l.notes[l.n_notes], note.ptr, note.len);
		l.notes[l.n_notes][note.len] = '\0';
		l.n_notes++;
	}
	pthread_cond_broadcast(&l.grown);
	pthread_mutex_unlock(&l.lock);
	return rc;
}

static void refuse_writes(void *arg, const char *reason)
{
	(void)arg;
	pthread_mutex_lock(&l.lock);
	l.n_refused++;
	snprintf(l.reason, sizeof(l.reason), "%s", reason);
	pthread_mutex_unlock(&l.lock);
}

static void grow(uint64_t n, const char *what)
{
	pthread_mutex_lock(&l.lock);
	for (uint64_t i = 0; i < n; i++) {
		struct merkle_hash leaf, gained[MERKLE_LEVELS];
		uint64_t index = l.edge.size;
		char text[64];
		unsigned levels;

		snprintf(text, sizeof(text), "%s %llu", what, (unsigned long long)index);
		merkle_leaf(&leaf, slice_str(text));
		levels = merkle_edge_add(&l.edge, &leaf, gained);
		for (unsigned level = 0; level < levels; level++)
			l.tiles[level][index >> (8 * level)] = gained[level];
	}
	pthread_cond_broadcast(&l.grown);
	pthread_mutex_unlock(&l.lock);
}

static int start(void)
{
	struct signer_options o = {
	    .data_dir = dir,
	    .origin = ORIGIN,
	    .log = {.tiles = {read_tile, NULL}, .size = size, .wait = wait_longer, .noted_size = noted_size,
		.put_note = put_note, .refuse_writes = refuse_writes},
	    .events_max = 100,
	    .clock = &now.clock,
	    .rng = &rng_system,
	};

	return signer_start(&s, &o);
}

static void stop(void)
{
	signer_stop(s);
	s = NULL;
}

static void setup(void)
{
	temp_dir_make(dir, "signer");
	clock_manual_init(&now, INT64_C(1790000000000000));
	l.edge.size = 0;
	l.noted = l.n_notes = l.n_refused = 0;
	l.put_rc = 0;
}

static void teardown(void)
{
	stop();
	temp_dir_remove(dir);
}

/* Every note is by the signer's key, in order, and has the root of its size. */
static void check_notes(const struct note_key *key)
{
	struct tile_reader tiles = {read_tile, NULL};

	for (unsigned i = 0; i < l.n_notes; i++) {
		struct checkpoint c;
		struct merkle_hash root;

		ck_assert_int_eq(checkpoint_open(&c, NULL, slice_str(l.notes[i]), key, 1, NULL), 0);
		ck_assert_uint_eq(c.size, l.sizes[i]);
		ck_assert_int_eq(merkle_root(&root, c.size, &tiles), 0);
		ck_assert(merkle_hash_eq(&root, &c.root));
		if (i > 0)
			ck_assert_uint_ge(l.sizes[i], l.sizes[i - 1]);
	}
}

START_TEST(checkpoints_are_made_on_request_and_at_stop)
{
	struct note_key key;
	struct stat st;
	char path[128];

	ck_assert_int_eq(start(), 0);
	key = *signer_key(s);
	ck_assert_str_eq(key.name, ORIGIN);
	ck_assert_int_eq(signer_sign_now(s, 0), 0);
	ck_assert_int_eq(signer_sign_now(s, 1), ERR_RANGE);
	for (uint64_t n = 1; n <= 20; n++) {
		grow(1, "leaf");
		ck_assert_int_eq(signer_sign_now(s, n), 0);
		ck_assert_uint_eq(signer_size(s), n);
	}
	grow(1, "leaf");
	stop();
	ck_assert_uint_eq(l.sizes[l.n_notes - 1], 21);
	check_notes(&key);
	snprintf(path, sizeof(path), "%s/signer.key", dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0400);
	ck_assert_int_eq(st.st_size, 32);
	/* The same key after a restart, and nothing signed twice. */
	ck_assert_int_eq(start(), 0);
	ck_assert_mem_eq(&key, signer_key(s), sizeof(key));
	ck_assert_uint_eq(signer_size(s), 21);
	stop();
	ck_assert_uint_eq(l.sizes[l.n_notes - 1], 21);
	ck_assert_uint_eq(l.n_refused, 0);
}
END_TEST

static void wait_for_note(uint64_t at_least)
{
	pthread_mutex_lock(&l.lock);
	while (l.noted < at_least)
		pthread_cond_wait(&l.grown, &l.lock);
	pthread_mutex_unlock(&l.lock);
}

START_TEST(checkpoints_come_with_time_and_with_many_events)
{
	unsigned n;

	ck_assert_int_eq(start(), 0);
	grow(1, "leaf"); /* the first at once */
	wait_for_note(1);
	n = l.n_notes;
	grow(99, "leaf"); /* too few and too soon */
	ck_assert_uint_eq(l.n_notes, n);
	grow(1, "leaf"); /* a hundred new ones */
	wait_for_note(101);
	grow(1, "leaf");
	ck_assert_uint_eq(l.noted, 101);
	clock_manual_advance(&now, 1000000);
	wait_for_note(102);
	check_notes(signer_key(s));
}
END_TEST

START_TEST(a_log_that_lost_signed_events_is_refused)
{
	struct merkle_hash root, signed_root;
	uint64_t recorded;

	ck_assert_int_eq(signer_record(dir, &recorded, &root), ERR_NOT_FOUND);
	ck_assert(!signer_was_here(dir));
	ck_assert_int_eq(start(), 0);
	grow(10, "leaf");
	ck_assert_int_eq(signer_sign_now(s, 10), 0);
	stop();
	ck_assert_int_eq(signer_record(dir, &recorded, &root), 0);
	ck_assert(signer_was_here(dir));
	ck_assert_uint_eq(recorded, 10);
	merkle_edge_root(&signed_root, &l.edge);
	ck_assert(merkle_hash_eq(&root, &signed_root));
	l.edge.size = 0;
	grow(9, "leaf");
	ck_assert_int_eq(start(), 0);
	ck_assert_ptr_nonnull(strstr(signer_refusal(s), "missing"));
	ck_assert_uint_eq(l.n_refused, 1);
	grow(10, "leaf"); /* growing again does not make it good */
	ck_assert_int_eq(signer_sign_now(s, 15), ERR_CORRUPT);
	stop();
	ck_assert_uint_eq(l.noted, 10);
}
END_TEST

START_TEST(a_rewritten_log_is_refused)
{
	ck_assert_int_eq(start(), 0);
	grow(10, "leaf");
	ck_assert_int_eq(signer_sign_now(s, 10), 0);
	pthread_mutex_lock(&l.lock);
	l.edge.size = 0;
	pthread_mutex_unlock(&l.lock);
	grow(12, "fief");
	ck_assert_int_eq(signer_sign_now(s, 12), ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(signer_refusal(s), "does not extend"));
	stop();
	ck_assert_uint_eq(l.n_refused, 1);
	ck_assert_ptr_nonnull(strstr(l.reason, "does not extend"));
	ck_assert_uint_eq(l.noted, 10);
	/* And so it is at the next start. */
	ck_assert_int_eq(start(), 0);
	ck_assert_ptr_nonnull(signer_refusal(s));
}
END_TEST

START_TEST(a_note_that_was_not_kept_is_made_again)
{
	ck_assert_int_eq(start(), 0);
	/* Before the log grows: the signer's own thread may sign first. */
	l.put_rc = ERR_IO;
	grow(5, "leaf");
	ck_assert_int_eq(signer_sign_now(s, 5), ERR_IO);
	stop();
	ck_assert_uint_eq(l.n_notes, 0);
	l.put_rc = 0;
	ck_assert_int_eq(start(), 0);
	wait_for_note(5);
	ck_assert_ptr_null(signer_refusal(s));
	check_notes(signer_key(s));
}
END_TEST

static int refuse_rename(const char *from, const char *to)
{
	(void)from;
	(void)to;
	errno = EIO;
	return -1;
}

START_TEST(nothing_is_released_when_the_record_cannot_be_kept)
{
	struct io broken = io_system;

	ck_assert_int_eq(start(), 0);
	broken.rename = refuse_rename;
	io_calls = &broken;
	grow(5, "leaf");
	ck_assert_int_eq(signer_sign_now(s, 5), ERR_IO);
	ck_assert_uint_eq(l.n_notes, 0);
	stop();
	io_calls = &io_system;
	ck_assert_uint_eq(l.n_notes, 0);
}
END_TEST

START_TEST(a_lost_key_is_not_replaced_in_silence)
{
	char path[128];

	ck_assert_int_eq(start(), 0);
	grow(5, "leaf");
	ck_assert_int_eq(signer_sign_now(s, 5), 0);
	stop();
	snprintf(path, sizeof(path), "%s/signer.key", dir);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(start(), ERR_BAD_KEY);
	ck_assert_int_eq(file_replace(path, SLICE("short"), 0400), 0);
	ck_assert_int_eq(start(), ERR_BAD_KEY);
	snprintf(path, sizeof(path), "%s/signer.state", dir);
	ck_assert_int_eq(file_replace(path, SLICE("rubbish"), 0600), 0);
	ck_assert_int_eq(start(), ERR_CORRUPT);
}
END_TEST

START_TEST(the_log_has_one_name)
{
	char first[LOG_ORIGIN_MAX + 1], again[LOG_ORIGIN_MAX + 1];

	ck_assert_int_eq(log_origin(first, dir, NULL, &rng_system), 0);
	ck_assert_int_eq(log_origin(again, dir, "", &rng_system), 0);
	ck_assert_str_eq(first, again);
	ck_assert_int_eq(log_origin(again, dir, ORIGIN, &rng_system), 0);
	ck_assert_str_eq(again, ORIGIN);
	ck_assert_int_eq(log_origin(again, dir, "a b", &rng_system), ERR_CONFIG);
	ck_assert_int_eq(log_origin(again, dir, "a+b", &rng_system), ERR_CONFIG);
	/* Once something is signed under a name, another is a mistake. */
	ck_assert_int_eq(start(), 0);
	grow(1, "leaf");
	ck_assert_int_eq(signer_sign_now(s, 1), 0);
	stop();
	ck_assert_int_eq(log_origin(again, dir, ORIGIN, &rng_system), 0);
	ck_assert_int_eq(log_origin(again, dir, "other.example.test/events", &rng_system), ERR_CONFIG);
	ck_assert_int_eq(log_origin(again, dir, NULL, &rng_system), ERR_CONFIG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("checkpoint");
	TCase *t = tcase_create("checkpoint");
	SRunner *r;
	int failed;

	if (crypto_init() != 0)
		return EXIT_FAILURE;
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, checkpoints_are_made_on_request_and_at_stop);
	tcase_add_test(t, checkpoints_come_with_time_and_with_many_events);
	tcase_add_test(t, a_log_that_lost_signed_events_is_refused);
	tcase_add_test(t, a_rewritten_log_is_refused);
	tcase_add_test(t, a_note_that_was_not_kept_is_made_again);
	tcase_add_test(t, nothing_is_released_when_the_record_cannot_be_kept);
	tcase_add_test(t, a_lost_key_is_not_replaced_in_silence);
	tcase_add_test(t, the_log_has_one_name);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

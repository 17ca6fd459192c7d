/*
 * The witness's one step, from inside: every file call of it fails once, and
 * threads race for it. From outside: tests/audit/test_witness.py and tests/fault/witness_race.py.
 */
#include "witness.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "lib/run.h"
#include "lib/temp_dir.h"

#define ORIGIN "log.example.test/events"
#define SIZE_MAX_TREE 512
#define THREADS 4
#define TRIES 150

/* ---- a log with two ends --------------------------------------------------------------- */

static struct merkle_hash leaves[2][SIZE_MAX_TREE];
static uint8_t log_secret[ED25519_SECRET_LEN];
static struct note_key log_key;
static char dir[PATH_MAX];
static struct witness *witness;

/* Level 0 of the tree is all that tiles of so small a one are made from, but for one hash above. */
static int read_tile(void *arg, unsigned level, uint64_t tile, unsigned from, unsigned n, struct merkle_hash *ret)
{
	const struct merkle_hash *all = arg;
	struct merkle_edge edge;

	for (unsigned i = 0; i < n; i++) {
		if (level == 0) {
			ret[i] = all[tile * MERKLE_TILE_WIDTH + from + i];
			continue;
		}
		edge = (struct merkle_edge){0};
		for (unsigned j = 0; j < MERKLE_TILE_WIDTH; j++)
			merkle_edge_add(&edge, &all[(from + i) * MERKLE_TILE_WIDTH + j], NULL);
		merkle_edge_root(&ret[i], &edge);
	}
	return 0;
}

static void make_request(struct buf *out, unsigned branch, uint64_t old_size, uint64_t size)
{
	struct tile_reader tiles = {.arg = leaves[branch], .read = read_tile};
	struct cosign_request request = {.old_size = old_size};
	struct checkpoint c = {.origin = SLICE(ORIGIN), .size = size};
	struct buf text = BUF_INIT(NOTE_BYTES_MAX), note = BUF_INIT(NOTE_BYTES_MAX);

	ck_assert_int_eq(merkle_root(&c.root, size, &tiles), 0);
	if (old_size <= size)
		ck_assert_int_eq(merkle_consistency_make(&request.proof, old_size, size, &tiles), 0);
	ck_assert_int_eq(checkpoint_format(&text, &c), 0);
	ck_assert_int_eq(note_sign(&note, buf_slice(&text), &log_key, log_secret), 0);
	request.note = buf_slice(&note);
	ck_assert_int_eq(cosign_request_format(out, &request), 0);
	buf_finish(&text);
	buf_finish(&note);
}

/* Gives the status; on 409 also what the witness holds. */
static int ask(unsigned branch, uint64_t old_size, uint64_t size, uint64_t *ret_held)
{
	struct buf request = BUF_INIT(COSIGN_REQUEST_MAX), answer = BUF_INIT(65536);
	int status;

	make_request(&request, branch, old_size, size);
	status = witness_add_checkpoint(witness, buf_slice(&request), &answer);
	if (status == 409 && ret_held != NULL)
		ck_assert_int_eq(slice_to_u64(slice_trim(buf_slice(&answer)), ret_held), 0);
	buf_finish(&request);
	buf_finish(&answer);
	return status;
}

static void reopen(void)
{
	struct buf problem = BUF_INIT(1024);

	witness_close(witness);
	ck_assert_int_eq(witness_open(&witness, dir, &clock_system, &problem), 0);
	buf_finish(&problem);
}

static void set_up(void)
{
	uint8_t seed[ED25519_SEED_LEN] = {0x11}, public_key[ED25519_PUBLIC_LEN];

	for (unsigned branch = 0; branch < 2; branch++)
		for (unsigned i = 0; i < SIZE_MAX_TREE; i++) {
			unsigned leaf[2] = {i, i < 20 ? 0 : branch};

			merkle_leaf(&leaves[branch][i], slice_of(leaf, sizeof(leaf)));
		}
	ed25519_from_seed(public_key, log_secret, seed);
	ck_assert_int_eq(note_key_make(&log_key, SLICE(ORIGIN), NOTE_ED25519, public_key), 0);
	temp_dir_make(dir, "witness");
	ck_assert_int_eq(witness_init(dir, "w.example.test", &log_key, 1, &rng_system), 0);
	reopen();
}

static void tear_down(void)
{
	witness_close(witness);
	witness = NULL;
	temp_dir_remove(dir);
}

/* ---- every call fails ----------------------------------------------------------------------- */

static int countdown; /* the call that fails; 0 = none */
static int n_synced, n_renamed;

static bool fails(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	errno = EIO;
	return true;
}

static int failing_open(const char *path, int flags, mode_t mode)
{
	return fails() ? -1 : io_system.open(path, flags, mode);
}

static ssize_t failing_read(int fd, void *bytes, size_t len)
{
	return fails() ? -1 : io_system.read(fd, bytes, len);
}

static ssize_t failing_write(int fd, const void *bytes, size_t len)
{
	return fails() ? -1 : io_system.write(fd, bytes, len);
}

static int failing_fsync(int fd)
{
	n_synced++;
	return fails() ? -1 : io_system.fsync(fd);
}

static int failing_rename(const char *from, const char *to)
{
	n_renamed++;
	return fails() ? -1 : io_system.rename(from, to);
}

START_TEST(nothing_is_signed_that_is_not_stored)
{
	struct io failing = io_system;
	uint64_t size = 1, held = 0;
	int n;

	failing.open = failing_open;
	failing.read = failing_read;
	failing.write = failing_write;
	failing.fsync = failing_fsync;
	failing.rename = failing_rename;
	ck_assert_int_eq(ask(0, 0, size, NULL), 200);
	for (n = 1;; n++) {
		int status;

		io_calls = &failing;
		countdown = n;
		n_synced = n_renamed = 0;
		status = ask(0, size, size + 1, NULL);
		io_calls = &io_system;
		if (countdown > 0)
			break; /* it made fewer calls than that: all of them have failed by now */
		ck_assert_int_eq(status, 500);
		/* Stored or not, that is open; but it is one of the two, and the way goes on from there. */
		reopen();
		ck_assert_int_eq(ask(0, SIZE_MAX_TREE, SIZE_MAX_TREE, &held), 409);
		ck_assert(held == size || held == size + 1);
		size = held;
	}
	countdown = 0;
	size++; /* the last one went through */
	ck_assert_int_ge(n, 8);
	/* File and directory were synced, and the new record took the old one's place in between. */
	ck_assert_int_eq(n_synced, 2);
	ck_assert_int_eq(n_renamed, 1);
	reopen();
	ck_assert_int_eq(ask(0, size, size, NULL), 200);
}
END_TEST

/* ---- threads ---------------------------------------------------------------------------------- */

static struct {
	pthread_mutex_t lock;
	uint64_t left_for[SIZE_MAX_TREE]; /* the size that was signed next after this one; 0 = none */
	bool beyond[2];                   /* of which branches something was signed beyond where they part */
	unsigned n_signed;
} race = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *racer(void *arg)
{
	unsigned branch = (unsigned)(uintptr_t)arg % 2;
	uint64_t held = 0;

	for (unsigned i = 0; i < TRIES && held + 3 < SIZE_MAX_TREE; i++) {
		uint64_t size = held + 1 + (i + branch) % 2;
		int status = ask(branch, held, size, &held);

		if (status != 200)
			continue;
		pthread_mutex_lock(&race.lock);
		ck_assert_uint_eq(race.left_for[held], 0);
		race.left_for[held] = size;
		race.n_signed++;
		if (size > 20)
			race.beyond[branch] = true;
		pthread_mutex_unlock(&race.lock);
		held = size;
	}
	return NULL;
}

START_TEST(threads_get_one_history_signed)
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, racer, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_gt(race.n_signed, 20);
	ck_assert(race.beyond[0] != race.beyond[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("witness");
	TCase *all = tcase_create("all");

	if (crypto_init() != 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_set_timeout(all, 60);
	tcase_add_test(all, nothing_is_signed_that_is_not_stored);
	tcase_add_test(all, threads_get_one_history_signed);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}

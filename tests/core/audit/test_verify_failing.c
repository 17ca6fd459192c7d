/*
 * The verifier while every call it makes fails once, on a good log and on a damaged one: what could not be read is
 * said to be unclear, never damaged and never good; and damage is never called good.
 */
#include "audit/verify.h"

#include <stdatomic.h>

#include "app/log_check.h"
#include "base/log.h"
#include "core/store/log_fixture.h"
#include "lib/failing.h"
#include "lib/run.h"

#define N_EVENTS 270u

static struct log_fixture f;
static struct verify_summary good;
static bool is_damaged;

static void quiet(void *arg, struct slice line)
{
	(void)arg;
	(void)line;
}

static void sign(struct eventlog *log)
{
	struct buf note = BUF_INIT(4000);
	struct merkle_hash root;
	uint64_t size;

	eventlog_root(log, &size, &root);
	checkpoint_make(&note, size, &root);
	ck_assert_int_eq(eventlog_put_note(log, size, buf_slice(&note)), 0);
	buf_finish(&note);
}

static bool go_on(void *arg)
{
	(void)arg;
	return false;
}

static struct verify_summary summary;

static int verify(const struct verify_source *source)
{
	uint8_t public_key[ED25519_PUBLIC_LEN], secret[ED25519_SECRET_LEN], seed[ED25519_SEED_LEN] = {1};
	struct verify_options o = {.n_log_keys = 1, .semantics = true, .stopped = go_on};

	ed25519_from_seed(public_key, secret, seed);
	failing_pause();
	note_key_make(&o.keys[0], SLICE("log.example.test/events"), NOTE_ED25519, public_key);
	failing_go_on();
	return verify_log(source, &o, &summary);
}

static int verify_stored(void)
{
	struct verify_source source = {0};
	int rc = verify_data_open(&source, f.dir);

	if (rc == 0) {
		rc = verify(&source);
		verify_data_close(&source);
	}
	return rc;
}

static int verify_own(void)
{
	struct verify_source source = log_check_source(f.log);

	return verify(&source);
}

static void verdict_is_honest(int rc, const char *what)
{
	bool clear = rc == 0 && summary.n_unknown == 0;

	if (what == NULL) {
		ck_assert_msg(clear, "%s, %llu unknown", err_name(rc), (unsigned long long)summary.n_unknown);
		ck_assert_uint_eq(summary.n_evidence > 0, is_damaged);
		ck_assert_uint_eq(summary.records, N_EVENTS);
		good = summary;
	}
	if (is_damaged)
		ck_assert_msg(!clear || summary.n_evidence > 0, "damage passes when %s fails", what);
	else if (rc == 0)
		ck_assert_msg(summary.n_evidence == 0, "a failing %s is called damage", what);
	if (clear) {
		ck_assert_uint_eq(summary.records, good.records);
		ck_assert_uint_eq(summary.blobs, good.blobs);
		ck_assert_uint_eq(summary.once_keys, good.once_keys);
		ck_assert_uint_eq(summary.checkpoints, good.checkpoints);
	}
}

static const struct {
	const char *says;
	int (*act)(void);
	bool damaged;
	unsigned n_min; /* so many calls at least */
} walks[] = {
	{"a log on the disk", verify_stored, false, 60},
	{"a damaged log on the disk", verify_stored, true, 60},
	{"a log that is served", verify_own, false, 30},
	{"a damaged log that is served", verify_own, true, 30},
};

static void setup(void)
{
	log_set_sink(quiet, NULL);
	log_fixture_init(&f);
	log_fixture_open(&f);
	for (unsigned i = 0; i < N_EVENTS; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%u", i);
		ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a", .once = key,
		    .blob = i % 100 == 7 ? "a blob" : NULL}), 0);
		if (i == 100)
			sign(f.log);
	}
	sign(f.log);
	log_fixture_close(&f);
}

static void teardown(void)
{
	log_fixture_finish(&f);
	log_set_sink(NULL, NULL);
}

/* One letter of one blob, wherever it lies in the file. */
static void damage(void)
{
	char path[96], *at;
	struct buf bytes = BUF_INIT(64u << 20);

	snprintf(path, sizeof(path), "%s/log/data.mdb", f.dir);
	ck_assert_int_eq(file_read(&bytes, path), 0);
	at = memmem(bytes.ptr, bytes.len, "a blob", 6);
	ck_assert_ptr_nonnull(at);
	*at = 'A';
	ck_assert_int_eq(file_replace(path, buf_slice(&bytes), 0600), 0);
	buf_finish(&bytes);
}

START_TEST(every_call_fails_once)
{
	struct failing_walk walk = {.kinds = FAILING_ALL, .act = walks[_i].act, .after = verdict_is_honest};
	unsigned n;

	is_damaged = walks[_i].damaged;
	if (is_damaged)
		damage();
	if (walks[_i].act == verify_own)
		log_fixture_open(&f);
	n = failing_walk(&walk);
	ck_assert_msg(n >= walks[_i].n_min, "%s: only %u calls failed", walks[_i].says, n);
}
END_TEST

/* ---- reads that fail from a moment on ------------------------------------------------------------ */

static struct verify_source whole;
static atomic_int reads_left; /* the verifier reads with two threads */

static int fails(void)
{
	return atomic_fetch_sub(&reads_left, 1) <= 0 ? ERR_IO : 0;
}

static int entries(void *arg, uint64_t tile, unsigned width, struct buf *ret_bytes)
{
	return fails() != 0 ? ERR_IO : whole.entries(arg, tile, width, ret_bytes);
}

static int hashes(void *arg, unsigned level, uint64_t tile, unsigned width, struct merkle_hash *ret_hashes)
{
	return fails() != 0 ? ERR_IO : whole.hashes(arg, level, tile, width, ret_hashes);
}

static int blob(void *arg, uint64_t index, struct slice hex, uint8_t ret_hash[SHA256_LEN], uint64_t *ret_size)
{
	return fails() != 0 ? ERR_IO : whole.blob(arg, index, hex, ret_hash, ret_size);
}

START_TEST(a_disk_that_goes_away_is_no_damage)
{
	struct verify_source source;
	bool clear = false;

	log_fixture_open(&f);
	whole = source = log_check_source(f.log);
	source.entries = entries;
	source.hashes = hashes;
	source.blob = blob;
	for (int n = 0; !clear; n++) {
		atomic_store(&reads_left, n);
		ck_assert_int_eq(verify(&source), 0);
		ck_assert_msg(summary.n_evidence == 0, "reads that fail after %d are called damage", n);
		clear = summary.n_unknown == 0;
		ck_assert_msg(clear || atomic_load(&reads_left) < 0, "unclear, though every read was answered");
		ck_assert_int_lt(n, 100);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("verify_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, every_call_fails_once, 0, COUNT(walks));
	tcase_add_test(t, a_disk_that_goes_away_is_no_damage);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

/*
 * The keyring and the signer while every call they make fails once: a key handed out is there afterwards, an erased
 * one is gone, a checkpoint signed is on record.
 */
#include "core/store/log_fixture.h"
#include "lib/failing.h"
#include "lib/run.h"

#include "base/log.h"
#include "store/checkpoint.h"
#include "store/keyring.h"

#define DAY_US INT64_C(86400000000)
#define N_TAKEN 12u

static struct log_fixture f;
static char keys_dir[96], root_path[96], origin[LOG_ORIGIN_MAX + 1];
static struct id taken[N_TAKEN];
static uint8_t keys[N_TAKEN][KEYRING_KEY_LEN];
static unsigned n_taken, n_erased; /* the first so many of them */
static bool erasing, sweeping;     /* it may or may not have come to pass */

static void quiet(void *arg, struct slice line)
{
	(void)arg;
	(void)line;
}

static struct keyring_options options(bool readonly)
{
	return (struct keyring_options){.dir = keys_dir, .root_key_path = root_path, .stock = 4, .keep_days = 30,
	    .readonly = readonly, .clock = &f.clock.clock, .rng = &rng_system};
}

static void fresh(void)
{
	ck_assert_int_eq(tree_remove(keys_dir), 0);
	ck_assert_int_eq(tree_remove(root_path), 0);
	clock_manual_init(&f.clock, FIXTURE_TIME_US);
	n_taken = n_erased = 0;
	erasing = sweeping = false;
}

static int take_some(struct keyring *kr, unsigned n)
{
	int rc = 0;

	while (rc == 0 && n_taken < n) {
		rc = keyring_take(kr, n_taken % 3 == 2 ? KEY_DELIVERY : KEY_SUBJECT, &taken[n_taken]);
		if (rc == 0)
			rc = keyring_get(kr, &taken[n_taken], keys[n_taken]);
		if (rc == 0)
			n_taken++;
	}
	return rc;
}

static int use(struct keyring *kr)
{
	struct keyring_stats stats;
	uint8_t key[KEYRING_KEY_LEN];
	uint64_t n_swept;
	int rc = keyring_secret(kr, "fingerprint", key);

	if (rc == 0)
		rc = take_some(kr, N_TAKEN);
	if (rc == 0) {
		erasing = true;
		rc = keyring_erase(kr, taken, 2);
	}
	if (rc == 0) {
		n_erased = 2;
		rc = keyring_turn_epoch(kr);
	}
	if (rc == 0)
		rc = keyring_stats(kr, &stats);
	if (rc != 0)
		return rc;
	sweeping = true;
	clock_manual_advance(&f.clock, 40 * DAY_US);
	return keyring_sweep(kr, &n_swept);
}

static int open_and_use(void)
{
	struct keyring_options o = options(false);
	struct keyring *kr = NULL;
	int rc = keyring_open(&kr, &o);

	if (rc == 0)
		rc = use(kr);
	keyring_close(kr);
	return rc;
}

static void with_keys(void)
{
	struct keyring_options o = options(false);
	uint8_t key[KEYRING_KEY_LEN];
	struct keyring *kr;

	fresh();
	ck_assert_int_eq(keyring_open(&kr, &o), 0);
	ck_assert_int_eq(keyring_secret(kr, "fingerprint", key), 0);
	ck_assert_int_eq(take_some(kr, N_TAKEN - 3), 0);
	ck_assert_int_eq(keyring_erase(kr, taken, 1), 0);
	n_erased = 1;
	keyring_close(kr);
}

static int read_only(void)
{
	struct keyring_options o = options(true);
	struct keyring *kr = NULL;
	uint8_t key[KEYRING_KEY_LEN];
	int rc = keyring_open(&kr, &o);

	if (rc == 0 && (rc = keyring_get(kr, &taken[0], key)) == ERR_ERASED)
		rc = keyring_get(kr, &taken[1], key);
	if (rc == 0 && memcmp(key, keys[1], sizeof(key)) != 0)
		rc = ERR_INVALID;
	if (rc == 0)
		rc = keyring_secret(kr, "fingerprint", key);
	keyring_close(kr);
	return rc;
}

/* Which may be of an age to be shredded, and be so or not. */
static void check_key(struct keyring *kr, unsigned i, const char *what)
{
	bool may_be_gone = (sweeping && i % 3 == 2) || (erasing && i < 2);
	uint8_t key[KEYRING_KEY_LEN];
	int rc = keyring_get(kr, &taken[i], key);

	if (i < n_erased) {
		ck_assert_msg(rc == ERR_ERASED, "erased key %u gives %s after %s failed", i, err_name(rc), what);
		return;
	}
	if (may_be_gone && (rc == ERR_ERASED || rc == ERR_NOT_FOUND))
		return;
	ck_assert_msg(rc == 0, "key %u gives %s after %s failed", i, err_name(rc), what);
	ck_assert_mem_eq(key, keys[i], sizeof(key));
}

static void keys_are_there(int rc, const char *what)
{
	struct keyring_options o = options(false);
	struct keyring *kr;
	struct id id;

	ck_assert_msg(what != NULL || rc == 0, "%s", err_name(rc));
	rc = keyring_open(&kr, &o);
	ck_assert_msg(rc == 0, "it does not open after %s failed: %s", what, err_name(rc));
	for (unsigned i = 0; i < n_taken; i++)
		check_key(kr, i, what);
	ck_assert_int_eq(keyring_take(kr, KEY_SUBJECT, &id), 0);
	for (unsigned i = 0; i < n_taken; i++)
		ck_assert_mem_ne(&id, &taken[i], sizeof(id));
	keyring_close(kr);
}

/* ---- the signer -------------------------------------------------------------------------- */

static const char *const signer_files[] = {"signer.key", "signer.state", "log.origin", "log", "index"};
static uint64_t n_signed;

static void remove_signer(void)
{
	char path[128];

	n_signed = 0;
	for (unsigned i = 0; i < COUNT(signer_files); i++) {
		snprintf(path, sizeof(path), "%s/%s", f.dir, signer_files[i]);
		ck_assert_int_eq(tree_remove(path), 0);
	}
}

static void unsigned_log(void)
{
	remove_signer();
	log_fixture_open(&f);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
}

static int sign(void)
{
	struct signer_options o = {.data_dir = f.dir, .origin = origin, .log = signed_log_of(f.log), .interval_ms = 60000,
	    .events_max = UINT64_MAX, .clock = &clock_system, .rng = &rng_system};
	struct buf note = BUF_INIT(4000);
	struct signer *s = NULL;
	int rc = log_origin(origin, f.dir, NULL, &rng_system);

	if (rc == 0)
		rc = signer_start(&s, &o);
	if (rc == 0)
		rc = signer_sign_now(s, eventlog_size(f.log));
	if (rc == 0)
		n_signed = signer_size(s);
	if (rc == 0)
		rc = signer_last_note(f.dir, &note);
	eventlog_wake(f.log); /* its thread waits there */
	signer_stop(s);
	buf_finish(&note);
	return rc;
}

static void signed_log(void)
{
	unsigned_log();
	ck_assert_int_eq(sign(), 0);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
}

static void what_was_signed_is_on_record(int rc, const char *what)
{
	char was[LOG_ORIGIN_MAX + 1];
	struct merkle_hash root;
	uint64_t size = 0;

	ck_assert_msg(what != NULL || rc == 0, "%s", err_name(rc));
	if (n_signed > 0) {
		ck_assert_int_eq(signer_record(f.dir, &size, &root), 0);
		ck_assert_int_eq(signer_origin(was, f.dir), 0);
		ck_assert_str_eq(was, origin);
	}
	ck_assert_uint_ge(size, n_signed);
	rc = eventlog_refusal(f.log) == NULL ? sign() : 0; /* a commit that failed ends the log until the next start */
	ck_assert_msg(rc == 0 || rc == ERR_UNAVAILABLE, "it does not sign after %s failed: %s", what, err_name(rc));
	log_fixture_close(&f);
	log_fixture_open(&f);
	ck_assert_int_eq(sign(), 0);
	ck_assert_uint_eq(n_signed, eventlog_size(f.log));
	log_fixture_close(&f);
}

static const struct {
	const char *says;
	void (*before)(void);
	int (*act)(void);
	void (*after)(int rc, const char *what);
	unsigned n_min; /* so many calls at least: that is far fewer than there are, for threads come in another order each time */
} walks[] = {
	{"a new keyring is used", fresh, open_and_use, keys_are_there, 33},
	{"a keyring that is there is used", with_keys, open_and_use, keys_are_there, 33},
	{"a tool looks for keys", with_keys, read_only, keys_are_there, 15},
	{"a log is signed for the first time", unsigned_log, sign, what_was_signed_is_on_record, 15},
	{"a log is signed on", signed_log, sign, what_was_signed_is_on_record, 15},
};

static void setup(void)
{
	log_set_sink(quiet, NULL);
	log_fixture_init(&f);
	snprintf(keys_dir, sizeof(keys_dir), "%s/keys", f.dir);
	snprintf(root_path, sizeof(root_path), "%s/root.key", f.dir);
}

static void teardown(void)
{
	log_fixture_finish(&f);
	log_set_sink(NULL, NULL);
}

START_TEST(every_call_fails_once)
{
	struct failing_walk walk = {.kinds = FAILING_ALL, .before = walks[_i].before, .act = walks[_i].act,
	    .after = walks[_i].after};
	unsigned n = failing_walk(&walk);

	ck_assert_msg(n >= walks[_i].n_min, "%s: only %u calls failed", walks[_i].says, n);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("keyring_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, every_call_fails_once, 0, COUNT(walks));
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

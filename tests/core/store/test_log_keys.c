/* The key's change, step by step, each step repeated after what a crash leaves of it. */
#include "store/log_keys.h"

#include "domain/event.h"
#include "lib/run.h"
#include "log_fixture.h"
#include "store/checkpoint.h"

#define ORIGIN "log.example.test/events"
#define DAY_US INT64_C(86400000000)

static struct log_fixture f;
static struct signer_options signer;
static struct log_key_change change;
static struct log_key key;
static int64_t ready_us;
static int n_signed, sign_rc;

static int sign(void *arg)
{
	struct signer *s = NULL;
	int rc;

	(void)arg;
	n_signed++;
	if (sign_rc != 0)
		return sign_rc;
	rc = signer_start(&s, &signer);
	if (rc == 0)
		rc = signer_sign_now(s, eventlog_size(f.log));
	signer_stop(s);
	return rc;
}

static void setup(void)
{
	log_fixture_init(&f);
	f.options.type_number = event_type_number;
	log_fixture_open(&f);
	signer = (struct signer_options){.data_dir = f.dir, .origin = ORIGIN, .log = signed_log_of(f.log),
	    .clock = &clock_system, .rng = &rng_system};
	change = (struct log_key_change){.log = f.log, .data_dir = f.dir, .origin = ORIGIN, .clock = &f.clock.clock,
	    .rng = &rng_system};
	n_signed = sign_rc = 0;
	ck_assert_int_eq(sign(NULL), 0); /* makes the first key */
}

static void teardown(void)
{
	log_fixture_finish(&f);
}

static bool has_next(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/signer.next.key", f.dir);
	return file_exists(path);
}

START_TEST(thirty_days_and_not_a_moment_less)
{
	struct log_key keys[LOG_KEYS_MAX];
	unsigned n;

	ck_assert_int_eq(log_key_add(&change, &key), 0);
	ck_assert_int_eq(sign(NULL), 0);
	clock_manual_advance(&f.clock, 30 * DAY_US - 1);
	ck_assert_int_eq(log_key_retire(&change, sign, NULL, &key, &ready_us), ERR_RANGE);
	ck_assert_int_eq(ready_us, FIXTURE_TIME_US + 30 * DAY_US);
	ck_assert_uint_eq(eventlog_size(f.log), 1);
	clock_manual_advance(&f.clock, 1);
	ck_assert_int_eq(log_key_retire(&change, sign, NULL, &key, &ready_us), 0);
	ck_assert_uint_eq(eventlog_size(f.log), 2);
	ck_assert(!has_next());
	ck_assert_int_eq(log_keys_list(f.log, keys, &n), 0);
	ck_assert_uint_eq(n, 1); /* the first one was named by no record here */
	ck_assert_mem_eq(keys[0].key.public_key, key.key.public_key, ED25519_PUBLIC_LEN);
	ck_assert(!keys[0].retired);
}
END_TEST

START_TEST(a_second_change_waits_for_the_first)
{
	struct log_key again;

	ck_assert_int_eq(log_key_add(&change, &key), 0);
	ck_assert_int_eq(log_key_add(&change, &again), ERR_EXISTS);
	ck_assert_mem_eq(again.key.public_key, key.key.public_key, ED25519_PUBLIC_LEN);
	ck_assert_uint_eq(again.added_at, 0);
	ck_assert_uint_eq(eventlog_size(f.log), 1);
}
END_TEST

/* The file was made, the record not written: the next `add` tells of that key, `retire` of none. */
START_TEST(a_key_that_was_made_and_not_told_of)
{
	static const uint8_t seed[ED25519_SEED_LEN] = {7};
	uint8_t public_key[ED25519_PUBLIC_LEN], secret[ED25519_SECRET_LEN];
	char path[128];

	snprintf(path, sizeof(path), "%s/signer.next.key", f.dir);
	ck_assert_int_eq(file_create(path, slice_of(seed, sizeof(seed)), 0400), 0);
	ck_assert_int_eq(log_key_retire(&change, sign, NULL, &key, &ready_us), ERR_NOT_FOUND);
	ck_assert_int_eq(log_key_add(&change, &key), 0);
	ed25519_from_seed(public_key, secret, seed);
	ck_assert_mem_eq(key.key.public_key, public_key, sizeof(public_key));
}
END_TEST

/* The record was written, the file not moved: said once, and both keys have signed it before one is gone. */
START_TEST(an_end_that_was_told_of_and_not_made)
{
	ck_assert_int_eq(log_key_add(&change, &key), 0);
	clock_manual_advance(&f.clock, 31 * DAY_US);
	n_signed = 0;
	sign_rc = ERR_IO;
	ck_assert_int_eq(log_key_retire(&change, sign, NULL, &key, &ready_us), ERR_IO);
	ck_assert(has_next());
	ck_assert_uint_eq(eventlog_size(f.log), 2);
	sign_rc = 0;
	ck_assert_int_eq(log_key_retire(&change, sign, NULL, &key, &ready_us), 0);
	ck_assert(!has_next());
	ck_assert_int_eq(n_signed, 2);
	ck_assert_int_eq(log_key_retire(&change, sign, NULL, &key, &ready_us), ERR_NOT_FOUND);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_keys");
	TCase *t = tcase_create("log_keys");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, thirty_days_and_not_a_moment_less);
	tcase_add_test(t, a_second_change_waits_for_the_first);
	tcase_add_test(t, a_key_that_was_made_and_not_told_of);
	tcase_add_test(t, an_end_that_was_told_of_and_not_made);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

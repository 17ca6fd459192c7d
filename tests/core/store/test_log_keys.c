/* The key's change, step by step, each step repeated after what a crash leaves of it. */
#include "store/log_keys.h"

#include <errno.h>
#include <limits.h>

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

/* ---- what goes wrong ----------------------------------------------------------------------- */

static void put(const char *name, const void *bytes, size_t len)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", f.dir, name);
	ck_assert_int_eq(file_replace(path, slice_of(bytes, len), 0400), 0);
}

START_TEST(a_file_of_another_length_is_no_key)
{
	static const uint8_t bytes[ED25519_SEED_LEN + 1] = {7};
	static const size_t lens[] = {0, 1, ED25519_SEED_LEN - 1, ED25519_SEED_LEN + 1};

	for (size_t i = 0; i < COUNT(lens); i++) {
		put("signer.next.key", bytes, lens[i]);
		ck_assert_int_eq(log_key_add(&change, &key), ERR_BAD_KEY);
		ck_assert_int_eq(log_key_retire(&change, sign, NULL, &key, &ready_us), ERR_BAD_KEY);
	}
	ck_assert_uint_eq(eventlog_size(f.log), 0);
	put("signer.next.key", bytes, ED25519_SEED_LEN);
	ck_assert_int_eq(log_key_add(&change, &key), 0);
	clock_manual_advance(&f.clock, 31 * DAY_US);
	put("signer.key", bytes, 1);
	ck_assert_int_eq(log_key_retire(&change, sign, NULL, &key, &ready_us), ERR_BAD_KEY);
}
END_TEST

static int no_rename(const char *from, const char *to)
{
	(void)from, (void)to;
	errno = EIO;
	return -1;
}

/* All is said and signed; the files change places when they can. */
START_TEST(a_rename_that_fails_is_made_up_for)
{
	struct io ours = io_system;

	ck_assert_int_eq(log_key_add(&change, &key), 0);
	clock_manual_advance(&f.clock, 31 * DAY_US);
	ours.rename = no_rename;
	io_calls = &ours;
	ck_assert_int_eq(log_key_retire(&change, NULL, NULL, &key, &ready_us), ERR_IO);
	io_calls = &io_system;
	ck_assert(has_next());
	ck_assert_uint_eq(eventlog_size(f.log), 2);
	ck_assert_int_eq(log_key_retire(&change, NULL, NULL, &key, &ready_us), 0);
	ck_assert_uint_eq(eventlog_size(f.log), 3); /* the key was named by no record, so that it ended is said again */
	ck_assert(!has_next());
}
END_TEST

START_TEST(a_directory_of_a_long_name_is_refused)
{
	static char longest[PATH_MAX];

	memset(longest, 'x', sizeof(longest) - 1);
	change.data_dir = longest;
	ck_assert_int_eq(log_key_add(&change, &key), ERR_BAD_KEY);
	ck_assert_int_eq(log_key_retire(&change, NULL, NULL, &key, &ready_us), ERR_BAD_KEY);
	ck_assert_uint_eq(eventlog_size(f.log), 0);
}
END_TEST

/* An event about keys, as it comes: a key that is none, or one more of too many. */
static void tell_of(enum event_type type, struct slice vkey)
{
	struct event_context ctx = {&rng_system, &f.clock.clock, NULL};
	struct event_meta meta = {.source = SLICE("/"), .actor = SLICE("system"), .expect = EXPECT_ANY};
	struct event_log_created created = {.origin = SLICE(ORIGIN), .software = SLICE("test"), .vkey = vkey};
	struct event_log_key_added added = {.vkey = vkey};
	struct event_log_key_retired retired = {.vkey = vkey};
	const void *data = type == EVENT_LOG_CREATED ? (const void *)&created :
	    type == EVENT_LOG_KEY_ADDED ? (const void *)&added : &retired;
	struct arena arena = ARENA_INIT(1 << 20);
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};

	ck_assert_int_eq(event_draft_make(&ctx, type, data, &meta, &arena, &draft, NULL), 0);
	ck_assert_int_eq(eventlog_append_wait(f.log, &append), 0);
	arena_finish(&arena);
}

static void tell_of_key(enum event_type type, unsigned n)
{
	uint8_t public_key[ED25519_PUBLIC_LEN] = {(uint8_t)n, 1};
	struct buf vkey = BUF_INIT(300);
	struct note_key one;

	ck_assert_int_eq(note_key_make(&one, SLICE(ORIGIN), NOTE_ED25519, public_key), 0);
	ck_assert_int_eq(note_key_format(&vkey, &one), 0);
	tell_of(type, buf_slice(&vkey));
	buf_finish(&vkey);
}

START_TEST(what_the_log_tells_of_keys_is_listed_once)
{
	struct log_key keys[LOG_KEYS_MAX];
	unsigned n;

	tell_of_key(EVENT_LOG_CREATED, 0);
	tell_of(EVENT_LOG_KEY_ADDED, SLICE("no key"));
	tell_of(EVENT_LOG_KEY_RETIRED, SLICE("no key"));
	tell_of_key(EVENT_LOG_KEY_RETIRED, 99); /* was never added */
	tell_of_key(EVENT_LOG_KEY_ADDED, 1);
	tell_of_key(EVENT_LOG_KEY_ADDED, 1);
	tell_of_key(EVENT_LOG_KEY_RETIRED, 0);
	ck_assert_int_eq(log_keys_list(f.log, keys, &n), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert(keys[0].retired && keys[0].added_at == 0 && keys[0].retired_at == 6);
	ck_assert(!keys[1].retired && keys[1].added_at == 4);
	for (unsigned i = 2; i < LOG_KEYS_MAX + 2; i++)
		tell_of_key(EVENT_LOG_KEY_ADDED, i);
	ck_assert_int_eq(log_keys_list(f.log, keys, &n), 0);
	ck_assert_uint_eq(n, LOG_KEYS_MAX);
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
	tcase_add_test(t, a_file_of_another_length_is_no_key);
	tcase_add_test(t, a_rename_that_fails_is_made_up_for);
	tcase_add_test(t, a_directory_of_a_long_name_is_refused);
	tcase_add_test(t, what_the_log_tells_of_keys_is_listed_once);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

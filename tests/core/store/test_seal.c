/* Sealed fields open where they belong and nowhere else; identities find their subject again. */
#include "store/seal.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/io.h"
#include "domain/schema.h"
#include "lib/no_memory.h"
#include "lib/run.h"
#include "lib/temp_dir.h"

#define EVENT SLICE("0123456789abcdef0123456789abcdef")
#define ORIGIN "log.example.test/events"

static char dir[TEMP_DIR_LEN], keys_dir[96], root_path[96];
static struct keyring *kr;
static struct sealer *s;

/* What the log's index knows: one ref, or nothing. */
static struct subject indexed;
static bool has_indexed;

static int look_up_rc; /* when it cannot tell */
static struct subject crowd[1500];
static size_t n_crowd; /* of them are in the index */

static int look_up(void *arg, const uint8_t ref[SEAL_REF_LEN], struct id *ret_id)
{
	(void)arg;
	if (look_up_rc != 0)
		return look_up_rc;
	for (size_t i = 0; i < n_crowd; i++) {
		if (memcmp(crowd[i].ref, ref, SEAL_REF_LEN) != 0)
			continue;
		*ret_id = crowd[i].id;
		return 0;
	}
	if (!has_indexed || memcmp(indexed.ref, ref, SEAL_REF_LEN) != 0)
		return ERR_NOT_FOUND;
	*ret_id = indexed.id;
	return 0;
}

static struct sealer *make_sealer(const char *origin)
{
	struct sealer_options o = {.keyring = kr, .origin = origin, .lookup = look_up, .rng = &rng_system};
	struct sealer *made;

	ck_assert_int_eq(sealer_create(&made, &o), 0);
	return made;
}

static void setup(void)
{
	struct keyring_options o = {.dir = keys_dir, .root_key_path = root_path, .stock = 64, .keep_days = 30,
	    .clock = &clock_system, .rng = &rng_system};

	temp_dir_make(dir, "seal");
	snprintf(keys_dir, sizeof(keys_dir), "%s/keys", dir);
	snprintf(root_path, sizeof(root_path), "%s/root.key", dir);
	ck_assert_int_eq(keyring_open(&kr, &o), 0);
	has_indexed = false;
	s = make_sealer(ORIGIN);
}

static void teardown(void)
{
	sealer_destroy(s);
	keyring_close(kr);
	temp_dir_remove(dir);
}

static struct subject subject_of(const char *identity)
{
	struct subject subject;

	ck_assert_int_eq(sealer_subject(s, SLICE("tencent.user"), slice_str(identity), &subject), 0);
	return subject;
}

START_TEST(values_of_every_length_come_back)
{
	struct subject li = subject_of("li");
	char text[100];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 3 == 0 ? 0 : (char)0x80;
	for (size_t len = 0; len <= sizeof(text); len++) {
		struct buf sealed = BUF_INIT(1024);
		struct arena a = ARENA_INIT(4096);
		struct buf opened = BUF_INIT(1024);
		struct slice plain;

		ck_assert_int_eq(seal_field(s, &li.id, EVENT, SLICE("operator"), slice_of(text, len), &sealed), 0);
		ck_assert_uint_eq(sealed.len, SEALED_LEN(len));
		ck_assert_uint_eq((sealed.len - 1 - 16 - 24 - 16) % 32, 0);
		ck_assert_int_eq(sealed.ptr[0], 1);
		ck_assert_mem_eq(sealed.ptr + 1, li.id.bytes, ID_LEN);
		ck_assert_int_eq(seal_open(s, EVENT, SLICE("operator"), buf_slice(&sealed), &a, &plain), 0);
		ck_assert(slice_eq(plain, slice_of(text, len)));
		ck_assert_int_eq(seal_open_to(s, EVENT, SLICE("operator"), buf_slice(&sealed), &opened), 0);
		ck_assert(slice_eq(buf_slice(&opened), slice_of(text, len)));
		buf_finish(&sealed);
		buf_finish(&opened);
		arena_finish(&a);
	}
}
END_TEST

START_TEST(a_sealed_value_cannot_be_moved_or_altered)
{
	struct subject li = subject_of("li");
	struct sealer *other = make_sealer("other.example.test/events");
	struct buf sealed = BUF_INIT(1024);
	struct arena a = ARENA_INIT(1 << 16);
	struct slice plain;

	ck_assert_int_eq(seal_field(s, &li.id, EVENT, SLICE("operator"), SLICE("{\"name\":\"李\"}"), &sealed), 0);
	ck_assert_int_eq(seal_open(s, EVENT, SLICE("creator"), buf_slice(&sealed), &a, &plain), ERR_CORRUPT);
	ck_assert_int_eq(seal_open(s, SLICE("0123456789abcdef0123456789abcdee"), SLICE("operator"), buf_slice(&sealed),
	    &a, &plain), ERR_CORRUPT);
	ck_assert_int_eq(seal_open(other, EVENT, SLICE("operator"), buf_slice(&sealed), &a, &plain), ERR_CORRUPT);
	for (size_t i = 0; i < sealed.len; i++) {
		int rc;

		sealed.ptr[i] ^= 0x10;
		rc = seal_open(s, EVENT, SLICE("operator"), buf_slice(&sealed), &a, &plain);
		/* The form, another (unknown) key, or the seal itself. */
		ck_assert_int_eq(rc, i == 0 ? ERR_MALFORMED : i <= ID_LEN ? ERR_NOT_FOUND : ERR_CORRUPT);
		sealed.ptr[i] ^= 0x10;
	}
	for (size_t len = 0; len < sealed.len; len++)
		ck_assert_int_eq(seal_open(s, EVENT, SLICE("operator"), slice_of(sealed.ptr, len), &a, &plain),
		    ERR_MALFORMED);
	sealer_destroy(other);
	arena_finish(&a);
	buf_finish(&sealed);
}
END_TEST

/* Sealed under the subject's key and for this place, but not padded as we pad. */
static void seal_unpadded(struct buf *out, const struct id *subject, const char plain[32])
{
	static const char aad[] = "field/v1\0" ORIGIN "\0" "0123456789abcdef0123456789abcdef\0operator";
	uint8_t key[KEYRING_KEY_LEN], bytes[SEALED_LEN(0)] = {0x01};

	ck_assert_int_eq(keyring_get(kr, subject, key), 0);
	memcpy(bytes + 1, subject->bytes, ID_LEN);
	xchacha_seal(bytes + 1 + ID_LEN + XCHACHA_NONCE_LEN, slice_of(plain, 32), slice_of(aad, sizeof(aad) - 1),
	    bytes + 1 + ID_LEN, key);
	buf_append(out, slice_of(bytes, sizeof(bytes)));
}

START_TEST(padding_is_checked)
{
	static const char plains[][32] = {"x\x80", "", "no padding at all, all 32 bytes."};
	static const int codes[] = {0, ERR_CORRUPT, ERR_CORRUPT};
	struct subject li = subject_of("li");

	for (size_t i = 0; i < 3; i++) {
		struct buf sealed = BUF_INIT(1024), opened = BUF_INIT(1024);

		seal_unpadded(&sealed, &li.id, plains[i]);
		ck_assert_int_eq(seal_open_to(s, EVENT, SLICE("operator"), buf_slice(&sealed), &opened), codes[i]);
		ck_assert_uint_eq(opened.len, i == 0 ? 1 : 0);
		buf_finish(&sealed);
		buf_finish(&opened);
	}
}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
{
	struct subject li = subject_of("li");
	struct buf sealed = BUF_INIT(1024), small = BUF_INIT(8);
	struct arena little = ARENA_INIT(8), a = ARENA_INIT(4096);
	char name[700];
	struct slice plain, long_name = slice_of(name, sizeof(name));

	memset(name, 'n', sizeof(name));
	ck_assert_int_eq(seal_field(s, &li.id, EVENT, SLICE("f"), slice_of(name, (64u << 20) + 1), &sealed), ERR_TOO_BIG);
	ck_assert_int_eq(seal_field(s, &li.id, EVENT, SLICE("f"), SLICE("x"), &small), ERR_TOO_BIG);
	ck_assert_int_eq(seal_field(s, &li.id, EVENT, long_name, SLICE("x"), &sealed), ERR_TOO_BIG);
	ck_assert_int_eq(seal_field(s, &li.id, EVENT, SLICE("f"), slice_of(name, 100), &sealed), 0);
	ck_assert_int_eq(seal_open(s, EVENT, long_name, buf_slice(&sealed), &a, &plain), ERR_TOO_BIG);
	ck_assert_int_eq(seal_open(s, EVENT, SLICE("f"), buf_slice(&sealed), &little, &plain), ERR_NOMEM);
	for (size_t len = 0; len < sealed.len; len++) {
		int rc = seal_open(s, EVENT, SLICE("f"), slice_of(sealed.ptr, len), &a, &plain);

		/* Of a length that could be: then the seal is broken. */
		ck_assert(rc == ERR_MALFORMED || (rc == ERR_CORRUPT && len >= SEALED_LEN(0) && (len - SEALED_LEN(0)) % 32 == 0));
	}
	buf_clear(&small);
	ck_assert_int_eq(seal_open_to(s, EVENT, SLICE("f"), buf_slice(&sealed), &small), ERR_TOO_BIG);
	buf_clear(&small);
	ck_assert_int_eq(seal_open_to(s, EVENT, SLICE("f"), SLICE("x"), &small), ERR_MALFORMED);
	small.max = 1024;
	ck_assert_int_eq(seal_open_to(s, EVENT, SLICE("g"), buf_slice(&sealed), &small), ERR_CORRUPT);
	ck_assert_uint_eq(small.len, 0);
	buf_finish(&sealed);
	buf_finish(&small);
	arena_finish(&little);
	arena_finish(&a);
}
END_TEST

START_TEST(who_cannot_be_looked_up_gets_no_new_key)
{
	struct sealer_options alone = {.keyring = kr, .origin = ORIGIN, .rng = &rng_system};
	struct subject zhao, again;
	struct sealer *other;

	look_up_rc = ERR_IO;
	ck_assert_int_eq(sealer_subject(s, SLICE("tencent.user"), SLICE("zhao"), &zhao), ERR_IO);
	look_up_rc = 0;
	ck_assert_int_eq(sealer_subject(s, SLICE("tencent.user"), SLICE("zhao"), &zhao), 0);
	/* Without an index there is what was given out lately. */
	ck_assert_int_eq(sealer_create(&other, &alone), 0);
	ck_assert_int_eq(sealer_subject(other, SLICE("tencent.user"), SLICE("qian"), &zhao), 0);
	ck_assert_int_eq(sealer_subject(other, SLICE("tencent.user"), SLICE("qian"), &again), 0);
	ck_assert_mem_eq(&zhao.id, &again.id, sizeof(again.id));
	sealer_destroy(other);
}
END_TEST

START_TEST(who_is_looked_for_gets_no_subject_by_it)
{
	struct sealer_options without_index = {.keyring = kr, .origin = ORIGIN, .rng = &rng_system};
	struct subject li = subject_of("li"), found;
	struct sealer *alone;

	ck_assert_int_eq(sealer_find_subject(s, SLICE("tencent.user"), SLICE("li"), &found), ERR_NOT_FOUND);
	indexed = li;
	has_indexed = true;
	ck_assert_int_eq(sealer_find_subject(s, SLICE("tencent.user"), SLICE("li"), &found), 0);
	ck_assert_mem_eq(&found.id, &li.id, sizeof(li.id));
	ck_assert_int_eq(sealer_find_subject(s, SLICE("lark.user"), SLICE("li"), &found), ERR_NOT_FOUND);
	look_up_rc = ERR_IO;
	ck_assert_int_eq(sealer_find_subject(s, SLICE("tencent.user"), SLICE("li"), &found), ERR_IO);
	look_up_rc = 0;
	/* Where there is no index nobody is in it. */
	ck_assert_int_eq(sealer_create(&alone, &without_index), 0);
	ck_assert_int_eq(sealer_find_subject(alone, SLICE("tencent.user"), SLICE("li"), &found), ERR_NOT_FOUND);
	sealer_destroy(alone);
}
END_TEST

/* Enough of them that some share a set of the table of recent ones. */
/* Whoever is pushed out of those given lately, of whom few share a set, is in the index by then. */
START_TEST(a_crowd_keeps_its_subjects)
{
	char name[16];

	for (int round = 0; round < 2; round++, n_crowd = sizeof(crowd) / sizeof(crowd[0]))
		for (size_t i = 0; i < sizeof(crowd) / sizeof(crowd[0]); i++) {
			struct subject subject;

			snprintf(name, sizeof(name), "u%zu", i);
			subject = subject_of(name);
			if (round == 0)
				crowd[i] = subject;
			ck_assert_mem_eq(&crowd[i].id, &subject.id, sizeof(subject.id));
		}
	n_crowd = 0;
}
END_TEST

START_TEST(a_sealer_that_finds_no_memory_is_none)
{
	struct sealer_options o = {.keyring = kr, .origin = ORIGIN, .lookup = look_up, .rng = &rng_system};
	struct sealer *made = NULL;
	int rc = ERR_NOMEM;

	for (int nth = 0; nth < 3; nth++) {
		no_memory_in = nth;
		rc = sealer_create(&made, &o);
		no_memory_in = -1;
		ck_assert_int_eq(rc, ERR_NOMEM);
		ck_assert_ptr_null(made);
	}
	for (int nth = 0; nth < 2; nth++) {
		no_memory_in = nth;
		rc = sealer_create_opener(&made, s, "before.example.test/events");
		no_memory_in = -1;
		ck_assert_int_eq(rc, ERR_NOMEM);
		ck_assert_ptr_null(made);
	}
	sealer_destroy(NULL);
}
END_TEST

START_TEST(an_opener_opens_what_another_log_sealed)
{
	struct sealer *before = make_sealer("before.example.test/events"), *opener;
	struct subject li = subject_of("li");
	struct buf sealed = BUF_INIT(1024);
	struct arena a = ARENA_INIT(4096);
	struct slice plain;

	ck_assert_int_eq(seal_field(before, &li.id, EVENT, SLICE("f"), SLICE("\"x\""), &sealed), 0);
	ck_assert_int_eq(sealer_create_opener(&opener, s, "before.example.test/events"), 0);
	ck_assert_int_eq(seal_open(s, EVENT, SLICE("f"), buf_slice(&sealed), &a, &plain), ERR_CORRUPT);
	ck_assert_int_eq(seal_open(opener, EVENT, SLICE("f"), buf_slice(&sealed), &a, &plain), 0);
	ck_assert_slice_eq(plain, SLICE("\"x\""));
	sealer_destroy(opener);
	sealer_destroy(before);
	arena_finish(&a);
	buf_finish(&sealed);
}
END_TEST

START_TEST(an_erased_subject_opens_no_more_and_comes_back_as_another)
{
	struct subject li = subject_of("li"), wang = subject_of("wang"), again;
	struct buf sealed = BUF_INIT(1024);
	struct arena a = ARENA_INIT(1 << 16);
	struct slice plain;

	ck_assert_int_eq(seal_field(s, &li.id, EVENT, SLICE("operator"), SLICE("\"x\""), &sealed), 0);
	indexed = li;
	has_indexed = true;
	ck_assert_int_eq(keyring_erase(kr, &li.id, 1), 0);
	ck_assert_int_eq(seal_open(s, EVENT, SLICE("operator"), buf_slice(&sealed), &a, &plain), ERR_ERASED);
	ck_assert_int_eq(seal_field(s, &li.id, EVENT, SLICE("operator"), SLICE("\"x\""), &sealed), ERR_ERASED);
	again = subject_of("li");
	ck_assert_mem_eq(again.ref, li.ref, SEAL_REF_LEN);
	ck_assert_mem_ne(again.id.bytes, li.id.bytes, ID_LEN);
	ck_assert_mem_eq(subject_of("li").id.bytes, again.id.bytes, ID_LEN);
	ck_assert_mem_eq(subject_of("wang").id.bytes, wang.id.bytes, ID_LEN);
	arena_finish(&a);
	buf_finish(&sealed);
}
END_TEST

START_TEST(an_identity_keeps_its_subject)
{
	struct subject li = subject_of("li"), other_kind, after;

	ck_assert_mem_eq(subject_of("li").id.bytes, li.id.bytes, ID_LEN);
	ck_assert_mem_ne(subject_of("wang").id.bytes, li.id.bytes, ID_LEN);
	ck_assert_int_eq(sealer_subject(s, SLICE("tencent.meeting"), SLICE("li"), &other_kind), 0);
	ck_assert_mem_ne(other_kind.ref, li.ref, SEAL_REF_LEN);
	ck_assert_mem_ne(other_kind.id.bytes, li.id.bytes, ID_LEN);
	/* After a restart the log's index knows it. */
	indexed = li;
	has_indexed = true;
	sealer_destroy(s);
	s = make_sealer(ORIGIN);
	after = subject_of("li");
	ck_assert_mem_eq(after.id.bytes, li.id.bytes, ID_LEN);
	ck_assert_mem_eq(after.ref, li.ref, SEAL_REF_LEN);
}
END_TEST

START_TEST(fingerprints_commit_without_telling)
{
	uint8_t a[SHA256_LEN], b[SHA256_LEN];
	struct slice text = SLICE("a body");

	sealer_fingerprint(s, text, a);
	sealer_fingerprint(s, text, b);
	ck_assert_mem_eq(a, b, sizeof(a));
	sealer_fingerprint(s, SLICE("another"), b);
	ck_assert_mem_ne(a, b, sizeof(a));
	sha256(b, &text, 1);
	ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

START_TEST(raw_bodies_have_keys_of_their_own)
{
	struct id first, second;
	struct buf sealed = BUF_INIT(1 << 20), opened = BUF_INIT(1 << 20);
	static char body[300000];

	ck_assert_int_eq(sealer_delivery(s, &first), 0);
	ck_assert_int_eq(sealer_delivery(s, &second), 0);
	ck_assert_mem_ne(first.bytes, second.bytes, ID_LEN);
	memset(body, 'x', sizeof(body));
	ck_assert_int_eq(seal_field(s, &first, EVENT, SLICE("raw"), slice_of(body, sizeof(body)), &sealed), 0);
	ck_assert_int_eq(seal_open_to(s, EVENT, SLICE("raw"), buf_slice(&sealed), &opened), 0);
	ck_assert(slice_eq(buf_slice(&opened), slice_of(body, sizeof(body))));
	buf_finish(&sealed);
	buf_finish(&opened);
}
END_TEST

START_TEST(the_hooks_seal_for_the_subject_that_is_named)
{
	struct subject li = subject_of("li");
	struct seal_subject subjects[] = {{"operator", li.id}};
	struct seal_scope scope = {.sealer = s, .event_id = EVENT, .subjects = subjects, .n_subjects = 1};
	struct seal_hooks hooks;
	struct buf sealed = BUF_INIT(1024);
	struct arena a = ARENA_INIT(4096);
	struct slice json;

	seal_scope_hooks(&hooks, &scope);
	ck_assert_int_eq(hooks.seal(hooks.arg, "operator", "operator", SLICE("{}"), &sealed), 0);
	ck_assert_int_eq(hooks.open(hooks.arg, "operator", buf_slice(&sealed), &a, &json), 0);
	ck_assert(slice_is(json, "{}"));
	ck_assert_int_eq(hooks.seal(hooks.arg, "creator", "creator", SLICE("{}"), &sealed), ERR_INVALID);
	buf_finish(&sealed);
	arena_finish(&a);
}
END_TEST

/* More than a memo holds, so that each finds its key gone once and there once. */
#define N_SUBJECTS (SEAL_MEMO_KEYS + 4)

START_TEST(a_memo_gives_each_subject_its_own_key_for_as_long_as_it_lasts)
{
	struct seal_memo memo = {0};
	struct seal_scope scope = {.sealer = s, .event_id = EVENT, .memo = &memo};
	struct subject subjects[N_SUBJECTS];
	struct buf sealed[N_SUBJECTS];
	struct arena a = ARENA_INIT(1 << 16);
	struct seal_hooks hooks;
	struct slice json;

	seal_scope_hooks(&hooks, &scope);
	for (int i = 0; i < N_SUBJECTS; i++) {
		char text[16];

		snprintf(text, sizeof(text), "\"%d\"", i);
		subjects[i] = subject_of(text);
		sealed[i] = (struct buf)BUF_INIT(1024);
		ck_assert_int_eq(seal_field(s, &subjects[i].id, EVENT, SLICE("operator"), slice_str(text), &sealed[i]), 0);
	}
	for (int i = 0; i < 4 * N_SUBJECTS; i++) {
		int k = i / 2 % N_SUBJECTS;
		char text[16];

		snprintf(text, sizeof(text), "\"%d\"", k);
		ck_assert_int_eq(hooks.open(hooks.arg, "operator", buf_slice(&sealed[k]), &a, &json), 0);
		ck_assert(slice_eq(json, slice_str(text)));
	}
	/* Put in once for each time it had given way, not for each time it was asked for. */
	ck_assert_uint_eq(memo.n, 2 * N_SUBJECTS);
	ck_assert_int_eq(keyring_erase(kr, &subjects[N_SUBJECTS - 1].id, 1), 0);
	ck_assert_int_eq(hooks.open(hooks.arg, "operator", buf_slice(&sealed[N_SUBJECTS - 1]), &a, &json), 0);
	memo = (struct seal_memo){0};
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(hooks.open(hooks.arg, "operator", buf_slice(&sealed[N_SUBJECTS - 1]), &a, &json),
		    ERR_ERASED);
	ck_assert_uint_eq(memo.n, 0);
	for (int i = 0; i < N_SUBJECTS; i++)
		buf_finish(&sealed[i]);
	arena_finish(&a);
}
END_TEST

#define N_THREADS 4
#define N_IDENTITIES 200

static void *asker(void *arg)
{
	struct subject *subjects = arg;

	for (int i = 0; i < N_IDENTITIES; i++) {
		char identity[16];

		snprintf(identity, sizeof(identity), "person %d", i);
		if (sealer_subject(s, SLICE("k"), slice_str(identity), &subjects[i]) != 0)
			return arg;
	}
	return NULL;
}

START_TEST(threads_agree_on_who_is_who)
{
	static struct subject subjects[N_THREADS][N_IDENTITIES];
	pthread_t threads[N_THREADS];
	void *failed;

	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, asker, subjects[i]), 0);
	for (int i = 0; i < N_THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
		ck_assert_ptr_null(failed);
		ck_assert_mem_eq(subjects[i], subjects[0], sizeof(subjects[0]));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("seal");
	TCase *t = tcase_create("seal");
	SRunner *r;
	int failed;

	if (crypto_init() != 0)
		return EXIT_FAILURE;
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, values_of_every_length_come_back);
	tcase_add_test(t, a_sealed_value_cannot_be_moved_or_altered);
	tcase_add_test(t, an_opener_opens_what_another_log_sealed);
	tcase_add_test(t, an_erased_subject_opens_no_more_and_comes_back_as_another);
	tcase_add_test(t, an_identity_keeps_its_subject);
	tcase_add_test(t, padding_is_checked);
	tcase_add_test(t, what_does_not_fit_is_an_error);
	tcase_add_test(t, who_cannot_be_looked_up_gets_no_new_key);
	tcase_add_test(t, who_is_looked_for_gets_no_subject_by_it);
	tcase_add_test(t, a_crowd_keeps_its_subjects);
	tcase_add_test(t, a_sealer_that_finds_no_memory_is_none);
	tcase_add_test(t, fingerprints_commit_without_telling);
	tcase_add_test(t, raw_bodies_have_keys_of_their_own);
	tcase_add_test(t, the_hooks_seal_for_the_subject_that_is_named);
	tcase_add_test(t, a_memo_gives_each_subject_its_own_key_for_as_long_as_it_lasts);
	tcase_add_test(t, threads_agree_on_who_is_who);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

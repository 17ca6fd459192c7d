/* Policy files, and what goes to a witness and comes back. */
#include "domain/cosign.h"
#include "domain/policy.h"

#include "base/err.h"
#include "base/io.h"
#include "lib/run.h"

#define LOG_KEY "log.example.test/events+d23885f3+AdBKsjJ0K7SrOhNovUYV5ObQIkq3GgFrr4UgozLJd4c3"
#define WITNESS_KEY "witness.example.test/w1+daa85b2a+BKCapfR6Z1mAL/lV+NwtKhSlyZ0jvpf4ZBJ/+Tg0VaTw"
#define TEXT "log.example.test/events\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n"
#define LOG_LINE \
	"\xe2\x80\x94 log.example.test/events " \
	"0jiF89fPqN3X1jjHKgAL3rf/zHnkDL/JCQrbp+qp7oskBiIeoX/8umcdVr+JTlKSa7upLjgVrdJM8Gi1Ey63myKmYQQ=\n"
#define WITNESS_LINE \
	"\xe2\x80\x94 witness.example.test/w1 " \
	"2qhbKgAAAABoTuGA2s4i1HhVC657tau2VU6kiyeWpdedIWJbt8+8HU14HkYvyyDc2HkGes+aGhd0xkqqEssdypVlWMoqcIjDI62dCA==\n"
#define OTHER_LINE "\xe2\x80\x94 other.example.test AAAAAAA=\n"
#define NOTE TEXT "\n" LOG_LINE

#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X100 X50 X50

static const struct {
	const char *says, *text;
	const char *problem; /* NULL: it is good */
	unsigned n_logs, n_witnesses, quorum;
} policies[] = {
	{"an empty file is a policy", "", NULL, 0, 0, 0},
	{"comments and blank lines", "# all of it\n\n  # more\n", NULL, 0, 0, 0},
	{"one of each", "log " LOG_KEY "\nwitness " WITNESS_KEY " https://w.example.test\nquorum 1\n", NULL, 1, 1, 1},
	{"spaces around, no last newline", "  log   " LOG_KEY "  \r\nquorum 0", NULL, 1, 0, 0},
	{"a witness needs no URL", "witness " WITNESS_KEY "\n", NULL, 0, 1, 0},
	{"an unknown word", "\nlogs x\n", "line 2: a line begins with", 0, 0, 0},
	{"a key with a changed id", "log log.example.test/events+d33885f3+AdBKsjJ0K7SrOhNovUYV5ObQIkq3GgFrr4UgozLJd4c3\n",
	    "line 1: the id in the key", 0, 0, 0},
	{"no key at all", "log\n", "line 1: not a verifier key", 0, 0, 0},
	{"a witness as a log", "log " WITNESS_KEY "\n", "line 1: this is a witness's key", 0, 0, 0},
	{"a log as a witness", "witness " LOG_KEY "\n", "line 1: this is a log's key", 0, 0, 0},
	{"a log twice", "log " LOG_KEY "\nlog " LOG_KEY "\n", "line 2: this log was named", 0, 0, 0},
	{"a witness twice", "witness " WITNESS_KEY "\nwitness " WITNESS_KEY " http://x\n", "line 2: this witness", 0, 0, 0},
	{"a URL of another kind", "witness " WITNESS_KEY " ftp://x\n", "line 1: behind the key", 0, 0, 0},
	{"more behind a log's key", "log " LOG_KEY " https://x\n", "line 1: there is more behind the key", 0, 0, 0},
	{"a quorum of more than there can be", "quorum 1000\n", "line 1: a quorum is a number", 0, 0, 0},
	{"a URL that is no end of", "witness " WITNESS_KEY " https://" X100 X100 X100 X100 X100 X100 "\n", "line 1: the URL is too long", 0,
	    0, 0},
	{"a quorum of more", "witness " WITNESS_KEY "\nquorum 2\n", "the quorum is more", 0, 0, 0},
	{"a quorum twice", "quorum 0\nquorum 0\n", "line 2: a second quorum", 0, 0, 0},
	{"a quorum that is no number", "quorum most\n", "line 1: a quorum is a number", 0, 0, 0},
};

START_TEST(policies_are_read)
{
	struct buf problem = BUF_INIT(1024);
	struct policy p;
	int rc = policy_parse(&p, slice_str(policies[_i].text), &problem);

	if (policies[_i].problem == NULL) {
		ck_assert_int_eq(rc, 0);
		ck_assert_uint_eq(p.n_logs, policies[_i].n_logs);
		ck_assert_uint_eq(p.n_witnesses, policies[_i].n_witnesses);
		ck_assert_uint_eq(p.quorum, policies[_i].quorum);
		if (p.n_logs > 0 && p.n_witnesses > 0)
			ck_assert_str_eq(p.witnesses[0].url, "https://w.example.test");
	} else {
		ck_assert_int_eq(rc, ERR_CONFIG);
		ck_assert_msg(strstr(problem.ptr, policies[_i].problem) != NULL, "%s: %s", policies[_i].says, problem.ptr);
	}
	buf_finish(&problem);
}
END_TEST

/* So many keys, each of its own seed, and one more. */
START_TEST(there_is_an_end_to_keys)
{
	static const struct {
		const char *kind;
		enum note_key_type type;
		unsigned max;
		const char *problem;
	} kinds[] = {{"log", NOTE_ED25519, POLICY_LOGS_MAX, "too many log lines"},
	    {"witness", NOTE_COSIGNATURE, POLICY_WITNESSES_MAX, "too many witness lines"}};
	struct buf text = BUF_INIT(1 << 20), problem = BUF_INIT(1024);
	static struct policy p;

	for (unsigned i = 0; i <= kinds[_i].max; i++) {
		uint8_t public_key[ED25519_PUBLIC_LEN] = {(uint8_t)i, (uint8_t)(i >> 8)};
		struct note_key key;

		if (i == kinds[_i].max)
			ck_assert_int_eq(policy_parse(&p, buf_slice(&text), &problem), 0);
		ck_assert_int_eq(note_key_make(&key, SLICE("a.example"), kinds[_i].type, public_key), 0);
		buf_printf(&text, "%s ", kinds[_i].kind);
		note_key_format(&text, &key);
		buf_append_char(&text, '\n');
	}
	ck_assert_int_eq(policy_parse(&p, buf_slice(&text), &problem), ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(problem.ptr, kinds[_i].problem));
	buf_finish(&text);
	buf_finish(&problem);
}
END_TEST

START_TEST(a_file_of_a_policy_or_of_keys)
{
	static const char good[] = LOG_KEY "\n" LOG_KEY "\n";
	struct buf problem = BUF_INIT(1024);
	static struct policy p;
	struct note_key keys[3];
	char path[] = "/tmp/lulab-policy-XXXXXX";
	unsigned n = 0;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(policy_keys(keys, 3, &n, NOTE_ED25519, path), ERR_MALFORMED); /* is empty */
	ck_assert_int_eq(file_replace(path, SLICE("nonsense\n"), 0600), 0);
	ck_assert_int_eq(policy_read(&p, path, &problem), ERR_CONFIG);
	ck_assert(slice_starts_with(buf_slice(&problem), slice_str(path)));
	ck_assert_ptr_nonnull(strstr(problem.ptr, ", line 1: a line begins with"));
	ck_assert_int_eq(file_replace(path, SLICE(good), 0600), 0);
	ck_assert_int_eq(policy_keys(keys, 3, &n, NOTE_ED25519, path), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(policy_keys(keys, 3, &n, NOTE_ED25519, path), ERR_TOO_BIG); /* there is room for one more */
	ck_assert_uint_eq(n, 3);
	ck_assert_int_eq(policy_keys(keys, 3, &n, NOTE_COSIGNATURE, LOG_KEY), ERR_UNSUPPORTED);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(policy_keys(keys, 3, &n, NOTE_ED25519, path), ERR_NOT_FOUND);
	buf_clear(&problem);
	ck_assert_int_eq(policy_read(&p, path, &problem), ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(problem.ptr, "cannot be read"));
	buf_finish(&problem);
}
END_TEST

START_TEST(a_request_is_what_was_written)
{
	struct cosign_request request = {.old_size = 6, .proof = {.n = 2}, .note = SLICE(NOTE)}, read;
	struct buf text = BUF_INIT(COSIGN_REQUEST_MAX);

	memset(request.proof.hashes[0].bytes, 7, MERKLE_HASH_LEN);
	memset(request.proof.hashes[1].bytes, 7, MERKLE_HASH_LEN);
	ck_assert_int_eq(cosign_request_format(&text, &request), 0);
	ck_assert(slice_starts_with(buf_slice(&text), SLICE("old 6\nBwcHB")));
	ck_assert_int_eq(cosign_request_parse(&read, buf_slice(&text)), 0);
	ck_assert_uint_eq(read.old_size, 6);
	ck_assert_uint_eq(read.proof.n, 2);
	ck_assert_mem_eq(read.proof.hashes, request.proof.hashes, 2 * sizeof(request.proof.hashes[0]));
	ck_assert_slice_eq(read.note, request.note);
	buf_finish(&text);
}
END_TEST

static const struct {
	const char *says, *note, *lines, *whole;
	int rc;
} additions[] = {
	{"a cosignature goes under the note", NOTE, WITNESS_LINE, NOTE WITNESS_LINE, 0},
	{"of several lines only the witness's own", NOTE, OTHER_LINE WITNESS_LINE, NOTE WITNESS_LINE, 0},
	{"one that is there is not put twice", NOTE WITNESS_LINE, WITNESS_LINE, NOTE WITNESS_LINE, 0},
	{"somebody else's is not what was asked for", NOTE, OTHER_LINE, NULL, ERR_NOT_FOUND},
	{"over another text", "x\n\n" LOG_LINE, WITNESS_LINE, NULL, ERR_BAD_SIGNATURE},
	{"an empty answer", NOTE, "", NULL, ERR_MALFORMED},
	{"a page of something", NOTE, "<html>", NULL, ERR_MALFORMED},
	{"an empty line would move the text's end", NOTE, "\n" WITNESS_LINE, NULL, ERR_BAD_SIGNATURE},
};

START_TEST(an_answer_is_put_under_the_note)
{
	struct buf whole = BUF_INIT(NOTE_BYTES_MAX);
	struct note_key key;

	ck_assert_int_eq(note_key_parse(&key, SLICE(WITNESS_KEY)), 0);
	ck_assert_int_eq(cosign_note_add(&whole, slice_str(additions[_i].note), slice_str(additions[_i].lines), &key),
	    additions[_i].rc);
	if (additions[_i].rc == 0)
		ck_assert_str_eq(whole.ptr, additions[_i].whole);
	else
		ck_assert_uint_eq(whole.len, 0);
	buf_finish(&whole);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy");
	TCase *all = tcase_create("all");

	if (crypto_init() != 0)
		return EXIT_FAILURE;
	tcase_add_loop_test(all, policies_are_read, 0, COUNT(policies));
	tcase_add_loop_test(all, there_is_an_end_to_keys, 0, 2);
	tcase_add_test(all, a_file_of_a_policy_or_of_keys);
	tcase_add_test(all, a_request_is_what_was_written);
	tcase_add_loop_test(all, an_answer_is_put_under_the_note, 0, COUNT(additions));
	suite_add_tcase(suite, all);
	return run_suite(suite);
}

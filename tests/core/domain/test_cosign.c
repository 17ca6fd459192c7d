/* What a log asks of a witness, and what it takes of the answer. */
#include "domain/cosign.h"

#include "base/err.h"
#include "lib/no_memory.h"
#include "lib/run.h"

#define TEXT "log.example.test/events\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n"
#define HASH "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n"
#define LINE "\xe2\x80\x94 "

static struct note_key log_key, witness, other;
static uint8_t log_secret[ED25519_SECRET_LEN], witness_secret[ED25519_SECRET_LEN], other_secret[ED25519_SECRET_LEN];
static struct buf note, line, others_line; /* the log's note, and what two witnesses say to it */

static void make_key(struct note_key *ret, uint8_t secret[ED25519_SECRET_LEN], const char *name, enum note_key_type type,
    uint8_t first)
{
	uint8_t seed[ED25519_SEED_LEN] = {first}, public_key[ED25519_PUBLIC_LEN];

	ed25519_from_seed(public_key, secret, seed);
	ck_assert_int_eq(note_key_make(ret, slice_str(name), type, public_key), 0);
}

static void set_up(void)
{
	note = line = others_line = (struct buf)BUF_INIT(NOTE_BYTES_MAX);
	make_key(&log_key, log_secret, "log.example.test/events", NOTE_ED25519, 1);
	make_key(&witness, witness_secret, "w.example.test", NOTE_COSIGNATURE, 2);
	make_key(&other, other_secret, "v.example.test", NOTE_COSIGNATURE, 3);
	ck_assert_int_eq(note_sign(&note, SLICE(TEXT), &log_key, log_secret), 0);
	ck_assert_int_eq(note_cosign_line(&line, SLICE(TEXT), &witness, witness_secret, 1750000000), 0);
	ck_assert_int_eq(note_cosign_line(&others_line, SLICE(TEXT), &other, other_secret, 1750000000), 0);
}

static void tear_down(void)
{
	buf_finish(&note);
	buf_finish(&line);
	buf_finish(&others_line);
}

static const struct {
	const char *says, *bytes;
	int rc;
	unsigned n_hashes;
	const char *note;
} requests[] = {
    {"a witness that holds nothing yet is asked without a proof", "old 0\n\nthe note\n", 0, 0, "the note\n"},
    {"one that holds 8 gets the way from there", "old 8\n" HASH HASH "\nthe note\n", 0, 2, "the note\n"},
    {"the note is not looked into", "old 8\n\n", 0, 0, ""},
    {"nothing at all", "", ERR_MALFORMED, 0, NULL},
    {"no line", "old 8", ERR_MALFORMED, 0, NULL},
    {"another word", "new 8\n\nthe note\n", ERR_MALFORMED, 0, NULL},
    {"no space behind the word", "old8\n\nthe note\n", ERR_MALFORMED, 0, NULL},
    {"no size", "old \n\nthe note\n", ERR_MALFORMED, 0, NULL},
    {"a size below nothing", "old -1\n\nthe note\n", ERR_MALFORMED, 0, NULL},
    {"a leading zero: the same size would have two forms", "old 08\n\nthe note\n", ERR_MALFORMED, 0, NULL},
    {"two zeros", "old 00\n\nthe note\n", ERR_MALFORMED, 0, NULL},
    {"more than 64 bits", "old 18446744073709551616\n\nthe note\n", ERR_MALFORMED, 0, NULL},
    {"words behind the size", "old 8 or so\n\nthe note\n", ERR_MALFORMED, 0, NULL},
    {"a proof of something else than hashes", "old 8\nXcna\n\nthe note\n", ERR_MALFORMED, 0, NULL},
    {"a proof without its end", "old 8\n" HASH, ERR_MALFORMED, 0, NULL},
};

START_TEST(a_request_is_read_in_its_one_form)
{
	struct cosign_request request = {.old_size = 77};
	struct buf again = BUF_INIT(COSIGN_REQUEST_MAX);

	ck_assert_msg(cosign_request_parse(&request, slice_str(requests[_i].bytes)) == requests[_i].rc, "%s", requests[_i].says);
	if (requests[_i].rc == 0) {
		ck_assert_msg(request.proof.n == requests[_i].n_hashes, "%s", requests[_i].says);
		ck_assert(slice_is(request.note, requests[_i].note));
		ck_assert_int_eq(cosign_request_format(&again, &request), 0);
		ck_assert_slice_eq(buf_slice(&again), slice_str(requests[_i].bytes));
	} else {
		ck_assert_uint_eq(request.old_size, 77); /* left as it was */
	}
	buf_finish(&again);
}
END_TEST

START_TEST(no_request_is_longer_than_one_can_be)
{
	struct buf bytes = BUF_INIT(2 * COSIGN_REQUEST_MAX);
	struct cosign_request request;

	buf_append_str(&bytes, "old 1\n");
	for (int i = 0; i <= MERKLE_PROOF_MAX; i++)
		buf_append_str(&bytes, HASH);
	buf_append_str(&bytes, "\nthe note\n");
	ck_assert_int_eq(cosign_request_parse(&request, buf_slice(&bytes)), ERR_TOO_BIG);
	buf_clear(&bytes);
	buf_append_str(&bytes, "old 1\n\n");
	while (bytes.len <= COSIGN_REQUEST_MAX)
		buf_append_char(&bytes, 'n');
	ck_assert_int_eq(cosign_request_parse(&request, buf_slice(&bytes)), ERR_TOO_BIG);
	ck_assert_int_eq(cosign_request_parse(&request, slice_of(bytes.ptr, COSIGN_REQUEST_MAX)), 0);
	buf_finish(&bytes);
}
END_TEST

/* cosign_note_add() of `lines` to `under`, by the witness; the note that came of it in *ret. */
static int add(struct buf *ret, struct slice under, struct slice lines)
{
	buf_clear(ret);
	return cosign_note_add(ret, under, lines, &witness);
}

START_TEST(of_an_answer_one_line_is_taken)
{
	struct buf made = BUF_INIT(NOTE_BYTES_MAX), expected = BUF_INIT(NOTE_BYTES_MAX), answer = BUF_INIT(NOTE_BYTES_MAX);

	buf_append(&expected, buf_slice(&note));
	buf_append(&expected, buf_slice(&line));
	ck_assert_int_eq(add(&made, buf_slice(&note), buf_slice(&line)), 0);
	ck_assert_slice_eq(buf_slice(&made), buf_slice(&expected));
	/* What others say, before it and after, stays out. */
	buf_append(&answer, buf_slice(&others_line));
	buf_append(&answer, buf_slice(&line));
	buf_append(&answer, buf_slice(&others_line));
	ck_assert_int_eq(add(&made, buf_slice(&note), buf_slice(&answer)), 0);
	ck_assert_slice_eq(buf_slice(&made), buf_slice(&expected));
	/* Said twice it stands there once. */
	ck_assert_int_eq(add(&made, buf_slice(&expected), buf_slice(&line)), 0);
	ck_assert_slice_eq(buf_slice(&made), buf_slice(&expected));
	buf_finish(&made);
	buf_finish(&expected);
	buf_finish(&answer);
}
END_TEST

START_TEST(what_is_no_cosignature_of_this_note_is_refused)
{
	struct buf made = BUF_INIT(NOTE_BYTES_MAX), forged = BUF_INIT(NOTE_BYTES_MAX);
	struct note_key same_name;
	uint8_t secret[ED25519_SECRET_LEN];

	ck_assert_int_eq(add(&made, buf_slice(&note), buf_slice(&others_line)), ERR_NOT_FOUND);
	ck_assert_int_eq(add(&made, buf_slice(&note), SLICE("")), ERR_MALFORMED);
	ck_assert_int_eq(add(&made, buf_slice(&note), SLICE("409 conflict\n")), ERR_MALFORMED);
	ck_assert_int_eq(add(&made, SLICE("no note"), buf_slice(&line)), ERR_MALFORMED);
	/* Over another checkpoint. */
	ck_assert_int_eq(note_cosign_line(&forged, SLICE("log.example.test/events\n9\n" HASH), &witness, witness_secret, 1), 0);
	ck_assert_int_eq(add(&made, buf_slice(&note), buf_slice(&forged)), ERR_BAD_SIGNATURE);
	/* By the witness's name, with another's key: it has another id. */
	make_key(&same_name, secret, "w.example.test", NOTE_COSIGNATURE, 4);
	buf_clear(&forged);
	ck_assert_int_eq(note_cosign_line(&forged, SLICE(TEXT), &same_name, secret, 1), 0);
	ck_assert_int_eq(add(&made, buf_slice(&note), buf_slice(&forged)), ERR_NOT_FOUND);
	/* With the witness's id, by another's name. */
	same_name = witness;
	same_name.name[0] = 'x';
	buf_clear(&forged);
	ck_assert_int_eq(note_cosign_line(&forged, SLICE(TEXT), &same_name, witness_secret, 1), 0);
	ck_assert_int_eq(add(&made, buf_slice(&note), buf_slice(&forged)), ERR_NOT_FOUND);
	ck_assert_uint_eq(made.len, 0);
	buf_finish(&made);
	buf_finish(&forged);
}
END_TEST

START_TEST(nothing_comes_of_no_memory)
{
	struct buf made = BUF_INIT(NOTE_BYTES_MAX);
	int rc = ERR_NOMEM;

	for (int nth = 0; rc != 0 && nth < 20; nth++) {
		no_memory_in = nth;
		rc = add(&made, buf_slice(&note), buf_slice(&line));
		no_memory_in = -1;
		ck_assert_msg(rc == 0 || rc == ERR_NOMEM, "allocation %d: %s", nth, err_name(rc));
		buf_finish(&made);
	}
	ck_assert_int_eq(rc, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cosign");
	TCase *t = tcase_create("cosign");

	if (crypto_init() != 0)
		return EXIT_FAILURE;
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, a_request_is_read_in_its_one_form, 0, COUNT(requests));
	tcase_add_test(t, no_request_is_longer_than_one_can_be);
	tcase_add_test(t, of_an_answer_one_line_is_taken);
	tcase_add_test(t, what_is_no_cosignature_of_this_note_is_refused);
	tcase_add_test(t, nothing_comes_of_no_memory);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}

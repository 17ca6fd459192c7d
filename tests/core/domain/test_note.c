/* The vectors of integrity.md section 22, and every way a note can be wrong. */
#include "domain/note.h"

#include <check.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/err.h"
#include "lib/no_memory.h"

#define EXAMPLE_KEY "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
#define EXAMPLE_TEXT "This is an example message.\n"
#define EXAMPLE_SIGNATURE \
	"\xe2\x80\x94 example.com/foo " \
	"Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
#define EXAMPLE_NOTE EXAMPLE_TEXT "\n" EXAMPLE_SIGNATURE

#define LOG_KEY "log.example.test/events+d23885f3+AdBKsjJ0K7SrOhNovUYV5ObQIkq3GgFrr4UgozLJd4c3"
#define WITNESS_KEY "witness.example.test/w1+daa85b2a+BKCapfR6Z1mAL/lV+NwtKhSlyZ0jvpf4ZBJ/+Tg0VaTw"
#define CHECKPOINT_TEXT "log.example.test/events\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n"
#define CHECKPOINT_NOTE \
	CHECKPOINT_TEXT "\n" \
	"\xe2\x80\x94 log.example.test/events " \
	"0jiF89fPqN3X1jjHKgAL3rf/zHnkDL/JCQrbp+qp7oskBiIeoX/8umcdVr+JTlKSa7upLjgVrdJM8Gi1Ey63myKmYQQ=\n" \
	"\xe2\x80\x94 witness.example.test/w1 " \
	"2qhbKgAAAABoTuGA2s4i1HhVC657tau2VU6kiyeWpdedIWJbt8+8HU14HkYvyyDc2HkGes+aGhd0xkqqEssdypVlWMoqcIjDI62dCA==\n"

static struct note_key key_of(const char *text)
{
	struct note_key key;

	ck_assert_int_eq(note_key_parse(&key, slice_str(text)), 0);
	return key;
}

START_TEST(the_published_note_verifies)
{
	struct note_key key = key_of(EXAMPLE_KEY);
	struct buf text = BUF_INIT(256);
	struct note note;
	uint64_t by = 0;

	ck_assert_int_eq(note_parse(&note, SLICE(EXAMPLE_NOTE)), 0);
	ck_assert(slice_is(note.text, EXAMPLE_TEXT));
	ck_assert_int_eq(note_verify(&note, &key, 1, &by), 0);
	ck_assert_uint_eq(by, 1);
	ck_assert_int_eq(note_key_format(&text, &key), 0);
	ck_assert_str_eq(text.ptr, EXAMPLE_KEY);
	buf_finish(&text);
}
END_TEST

START_TEST(the_checkpoint_of_the_specification_is_made_and_read)
{
	struct note_key keys[2] = {key_of(LOG_KEY), key_of(WITNESS_KEY)}, made;
	uint8_t log_seed[32], witness_seed[32], public_key[32], log_secret[64], witness_secret[64];
	struct buf text = BUF_INIT(NOTE_BYTES_MAX), note_text = BUF_INIT(NOTE_BYTES_MAX);
	struct checkpoint c = {.origin = SLICE("log.example.test/events"), .size = 8}, read;
	struct note note;
	uint64_t by, seconds;

	memset(log_seed, 0x11, sizeof(log_seed));
	memset(witness_seed, 0x22, sizeof(witness_seed));
	ed25519_from_seed(public_key, log_secret, log_seed);
	ck_assert_int_eq(note_key_make(&made, slice_str(keys[0].name), NOTE_ED25519, public_key), 0);
	ck_assert_mem_eq(made.id, keys[0].id, NOTE_ID_LEN);
	ed25519_from_seed(public_key, witness_secret, witness_seed);
	ck_assert_int_eq(note_key_make(&made, slice_str(keys[1].name), NOTE_COSIGNATURE, public_key), 0);
	ck_assert_mem_eq(made.id, keys[1].id, NOTE_ID_LEN);
	ck_assert_int_eq(hex_decode(c.root.bytes, 32,
	    SLICE("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")), 0);

	ck_assert_int_eq(checkpoint_format(&text, &c), 0);
	ck_assert_str_eq(text.ptr, CHECKPOINT_TEXT);
	ck_assert_int_eq(note_sign(&note_text, buf_slice(&text), &keys[0], log_secret), 0);
	ck_assert_int_eq(note_cosign_line(&note_text, buf_slice(&text), &keys[1], witness_secret, 1750000000), 0);
	ck_assert_str_eq(note_text.ptr, CHECKPOINT_NOTE);

	ck_assert_int_eq(checkpoint_open(&read, &note, buf_slice(&note_text), keys, 2, &by), 0);
	ck_assert_uint_eq(by, 3);
	ck_assert_uint_eq(read.size, 8);
	ck_assert(merkle_hash_eq(&read.root, &c.root));
	ck_assert_int_eq(note_cosignature_time(&note, &keys[1], &seconds), 0);
	ck_assert_uint_eq(seconds, 1750000000);
	ck_assert_int_eq(note_cosignature_time(&note, &keys[0], &seconds), ERR_NOT_FOUND);
	/* The log's own signature must be there: a witness alone does not make a checkpoint. */
	ck_assert_int_eq(checkpoint_open(&read, NULL, buf_slice(&note_text), &keys[1], 1, NULL), ERR_BAD_SIGNATURE);
	buf_finish(&text);
	buf_finish(&note_text);
}
END_TEST

#define LINE "\xe2\x80\x94 example.com/foo "
static const struct {
	const char *says, *note;
	int rc;
} malformed[] = {
    {"nothing", "", ERR_MALFORMED},
    {"a newline only", "\n", ERR_MALFORMED},
    {"no final newline", "text\n\n" LINE "Uw2QOkn8srU=", ERR_MALFORMED},
    {"no signature", "text\n\n", ERR_MALFORMED},
    {"no empty line", "text\n" EXAMPLE_SIGNATURE, ERR_MALFORMED},
    {"no text", "\n" EXAMPLE_SIGNATURE, ERR_MALFORMED},
    {"a hyphen for the dash", "text\n\n- example.com/foo Uw2QOkn8srU=\n", ERR_MALFORMED},
    {"no space after the dash", "text\n\n\xe2\x80\x94" "example.com/foo Uw2QOkn8srU=\n", ERR_MALFORMED},
    {"no name", "text\n\n\xe2\x80\x94  Uw2QOkn8srU=\n", ERR_MALFORMED},
    {"a plus in the name", "text\n\n\xe2\x80\x94 a+b Uw2QOkn8srU=\n", ERR_MALFORMED},
    {"a no-break space in the name", "text\n\n\xe2\x80\x94 a\xc2\xa0" "b Uw2QOkn8srU=\n", ERR_MALFORMED},
    {"no signature after the name", "text\n\n\xe2\x80\x94 example.com/foo\n", ERR_MALFORMED},
    {"base64 without padding", "text\n\n" LINE "Uw2QOkn8srU\n", ERR_MALFORMED},
    {"a key id and nothing more", "text\n\n" LINE "Uw2QOg==\n", ERR_MALFORMED},
    {"text after the base64", "text\n\n" LINE "Uw2QOkn8srU= x\n", ERR_MALFORMED},
    {"a carriage return", "text\r\n\n" LINE "Uw2QOkn8srU=\n", ERR_MALFORMED},
    {"a tab", "te\txt\n\n" LINE "Uw2QOkn8srU=\n", ERR_MALFORMED},
    {"broken UTF-8", "te\xffxt\n\n" LINE "Uw2QOkn8srU=\n", ERR_MALFORMED},
    {"an empty line at the end", EXAMPLE_NOTE "\n", ERR_MALFORMED},
    {"a signature line that is none, after a good one", EXAMPLE_NOTE "x\n", ERR_MALFORMED},
    {"well formed by a stranger", "text\n\n\xe2\x80\x94 example.org/bar Uw2QOkn8srU=\n", 0},
    {"two empty lines before the signatures", "text\n\n\n" LINE "Uw2QOkn8srU=\n", 0},
};

START_TEST(malformed_notes_are_refused)
{
	struct note note;

	ck_assert_msg(note_parse(&note, slice_str(malformed[_i].note)) == malformed[_i].rc, "%s", malformed[_i].says);
}
END_TEST

START_TEST(the_last_empty_line_separates)
{
	struct note note;

	ck_assert_int_eq(note_parse(&note, SLICE("a\n\nb\n\n" LINE "Uw2QOkn8srU=\n")), 0);
	ck_assert(slice_is(note.text, "a\n\nb\n"));
	ck_assert_int_eq(note_parse(&note, SLICE("a\n\n\n" LINE "Uw2QOkn8srU=\n")), 0);
	ck_assert(slice_is(note.text, "a\n\n"));
}
END_TEST

START_TEST(sixty_four_signatures_are_read_and_one_more_is_not)
{
	struct buf b = BUF_INIT(2 * NOTE_BYTES_MAX);
	struct note_key key = key_of(EXAMPLE_KEY);
	struct note note;

	buf_append_str(&b, EXAMPLE_TEXT "\n");
	for (int i = 0; i < NOTE_SIGNATURES_MAX - 1; i++)
		buf_append_str(&b, "\xe2\x80\x94 a Uw2QOkn8srU=\n");
	buf_append_str(&b, EXAMPLE_SIGNATURE);
	ck_assert_int_eq(note_parse(&note, buf_slice(&b)), 0);
	ck_assert_int_eq(note_verify(&note, &key, 1, NULL), 0);
	buf_append_str(&b, EXAMPLE_SIGNATURE);
	ck_assert_int_eq(note_parse(&note, buf_slice(&b)), ERR_TOO_BIG);
	buf_clear(&b);
	while (b.len <= NOTE_BYTES_MAX)
		buf_append_str(&b, EXAMPLE_TEXT);
	buf_append_str(&b, "\n" EXAMPLE_SIGNATURE);
	ck_assert_int_eq(note_parse(&note, buf_slice(&b)), ERR_TOO_BIG);
	buf_finish(&b);
}
END_TEST

START_TEST(unknown_signers_are_ignored_and_false_ones_reject)
{
	struct note_key keys[2] = {key_of(EXAMPLE_KEY), key_of(LOG_KEY)};
	char text[] = EXAMPLE_TEXT "\n"
	    "\xe2\x80\x94 example.com/foo AAAAAEn8srV1yJGh\n" /* right name, another key's id */
	    "\xe2\x80\x94 other.example Uw2QOkn8srU=\n" EXAMPLE_SIGNATURE;
	struct note note;
	uint64_t by;

	ck_assert_int_eq(note_parse(&note, SLICE(EXAMPLE_NOTE)), 0);
	ck_assert_int_eq(note_verify(&note, &keys[1], 1, NULL), ERR_BAD_SIGNATURE);
	ck_assert_int_eq(note_verify(&note, keys, 0, NULL), ERR_BAD_SIGNATURE);
	ck_assert_int_eq(note_parse(&note, slice_str(text)), 0);
	ck_assert_int_eq(note_verify(&note, keys, 2, &by), 0);
	ck_assert_uint_eq(by, 1);
	text[0] = 't';
	ck_assert_int_eq(note_parse(&note, slice_str(text)), 0);
	ck_assert_int_eq(note_verify(&note, keys, 2, &by), ERR_BAD_SIGNATURE);
	/* One good and one bad by the same key. */
	ck_assert_int_eq(note_parse(&note, SLICE(EXAMPLE_NOTE
	    "\xe2\x80\x94 example.com/foo Uw2QOkn8srU=\n")), 0);
	ck_assert_int_eq(note_verify(&note, keys, 1, &by), ERR_BAD_SIGNATURE);
}
END_TEST

static const struct {
	const char *says, *key;
	int rc;
} bad_keys[] = {
    {"nothing", "", ERR_MALFORMED},
    {"a name only", "example.com/foo", ERR_MALFORMED},
    {"an id of another key", "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", ERR_BAD_KEY},
    {"a short id", "example.com/foo+530d90+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", ERR_MALFORMED},
    {"a short key", "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U==", ERR_MALFORMED},
    {"an unknown type", "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", ERR_UNSUPPORTED},
    {"a space in the name", "example com+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", ERR_MALFORMED},
    {"no second plus", "example.com/foo+530d903a", ERR_MALFORMED},
    {"no name", "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", ERR_MALFORMED},
};

START_TEST(bad_verifier_keys_are_refused)
{
	struct note_key key;

	ck_assert_msg(note_key_parse(&key, slice_str(bad_keys[_i].key)) == bad_keys[_i].rc, "%s", bad_keys[_i].says);
}
END_TEST

#define ROOT "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg="
static const struct {
	const char *says, *text;
	int rc;
} checkpoints[] = {
    {"a good one", "log\n8\n" ROOT "\n", 0},
    {"the empty tree", "log\n0\n" ROOT "\n", 0},
    {"the largest size", "log\n18446744073709551615\n" ROOT "\n", 0},
    {"a leading zero", "log\n08\n" ROOT "\n", ERR_MALFORMED},
    {"a sign", "log\n+8\n" ROOT "\n", ERR_MALFORMED},
    {"too large a size", "log\n18446744073709551616\n" ROOT "\n", ERR_MALFORMED},
    {"no size", "log\n\n" ROOT "\n", ERR_MALFORMED},
    {"an origin without end", "log", ERR_MALFORMED},
    {"a size without end", "log\n8", ERR_MALFORMED},
    {"no origin", "\n8\n" ROOT "\n", ERR_MALFORMED},
    {"an extension line", "log\n8\n" ROOT "\nmore\n", ERR_MALFORMED},
    {"no root", "log\n8\n", ERR_MALFORMED},
    {"a short root", "log\n8\nXcna\n", ERR_MALFORMED},
    {"no final newline", "log\n8\n" ROOT, ERR_MALFORMED},
    {"white space after the size", "log\n8 \n" ROOT "\n", ERR_MALFORMED},
};

static const struct {
	const char *says, *name;
	int rc;
} names[] = {
    {"letters of two, three and four bytes", "\xc3\xa4\xe6\x97\xa5\xf0\x9f\x98\x80", 0},
    {"letters around the spaces", "\xe1\x9a\x81\xe1\xbf\xbf\xe2\x80\x8b\xe2\x80\xae\xe2\x80\xb0\xe2\x81\xa0\xe3\x80\x81", 0},
    {"nothing", "", ERR_INVALID},
    {"broken UTF-8", "a\xff", ERR_INVALID},
    {"a control character", "a\x01", ERR_INVALID},
    {"a tab", "a\tb", ERR_INVALID},
    {"a space", "a b", ERR_INVALID},
    {"a plus", "a+b", ERR_INVALID},
    {"next line", "a\xc2\x85", ERR_INVALID},
    {"no-break space", "a\xc2\xa0", ERR_INVALID},
    {"ogham space", "a\xe1\x9a\x80", ERR_INVALID},
    {"en quad", "a\xe2\x80\x80", ERR_INVALID},
    {"hair space", "a\xe2\x80\x8a", ERR_INVALID},
    {"line separator", "a\xe2\x80\xa8", ERR_INVALID},
    {"paragraph separator", "a\xe2\x80\xa9", ERR_INVALID},
    {"narrow no-break space", "a\xe2\x80\xaf", ERR_INVALID},
    {"mathematical space", "a\xe2\x81\x9f", ERR_INVALID},
    {"ideographic space", "a\xe3\x80\x80", ERR_INVALID},
};

START_TEST(names_have_no_spaces_of_any_kind)
{
	uint8_t public_key[ED25519_PUBLIC_LEN] = {1};
	char longest[NOTE_NAME_MAX + 1];
	struct note_key key;

	ck_assert_msg(note_key_make(&key, slice_str(names[_i].name), NOTE_ED25519, public_key) == names[_i].rc, "%s",
	    names[_i].says);
	memset(longest, 'x', sizeof(longest));
	ck_assert_int_eq(note_key_make(&key, slice_of(longest, NOTE_NAME_MAX), NOTE_ED25519, public_key), 0);
	ck_assert_int_eq(note_key_make(&key, slice_of(longest, NOTE_NAME_MAX + 1), NOTE_ED25519, public_key), ERR_INVALID);
}
END_TEST

/* A key of each kind, of the same seed. */
static void make_keys(struct note_key *log, struct note_key *witness, uint8_t secret[ED25519_SECRET_LEN])
{
	uint8_t seed[32] = {7}, public_key[ED25519_PUBLIC_LEN];

	ed25519_from_seed(public_key, secret, seed);
	ck_assert_int_eq(note_key_make(log, SLICE("log"), NOTE_ED25519, public_key), 0);
	ck_assert_int_eq(note_key_make(witness, SLICE("w"), NOTE_COSIGNATURE, public_key), 0);
}

START_TEST(only_clean_text_is_signed)
{
	static const char *const texts[] = {"", "no newline", "a tab\t\n", "broken \xff\n"};
	struct note_key log, witness;
	uint8_t secret[ED25519_SECRET_LEN];
	char *big = malloc(2 * NOTE_BYTES_MAX);

	make_keys(&log, &witness, secret);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct buf out = BUF_INIT(NOTE_BYTES_MAX);

		ck_assert_int_eq(note_sign_line(&out, slice_str(texts[i]), &log, secret), ERR_INVALID);
		ck_assert_int_eq(note_cosign_line(&out, slice_str(texts[i]), &witness, secret, 1), ERR_INVALID);
		ck_assert_uint_eq(out.len, 0);
		buf_finish(&out);
	}
	memset(big, 'x', 2 * NOTE_BYTES_MAX);
	big[2 * NOTE_BYTES_MAX - 1] = '\n';
	struct buf out = BUF_INIT(NOTE_BYTES_MAX);

	ck_assert_int_eq(note_cosign_line(&out, slice_of(big, 2 * NOTE_BYTES_MAX), &witness, secret, 1), ERR_TOO_BIG);
	buf_finish(&out);
	free(big);
}
END_TEST

/* A note over this text, by the log and, `seconds` given, by the witness. */
static void make_note(struct buf *out, const char *text, const struct note_key *log, const struct note_key *witness,
    const uint8_t secret[ED25519_SECRET_LEN], uint64_t seconds)
{
	buf_append_str(out, text);
	buf_append_char(out, '\n');
	if (log != NULL)
		ck_assert_int_eq(note_sign_line(out, slice_str(text), log, secret), 0);
	if (seconds > 0)
		ck_assert_int_eq(note_cosign_line(out, slice_str(text), witness, secret, seconds), 0);
}

START_TEST(a_checkpoint_is_the_logs_own)
{
	struct note_key keys[2], other;
	uint8_t secret[ED25519_SECRET_LEN];
	struct checkpoint c;
	uint64_t seconds;
	struct note note;
	const struct {
		const char *says, *text;
		bool by_log, by_witness;
		int rc;
	} all[] = {
	    {"by both", "log\n8\n" ROOT "\n", true, true, 0},
	    {"by the witness alone", "log\n8\n" ROOT "\n", false, true, ERR_BAD_SIGNATURE},
	    {"of another origin", "gol\n8\n" ROOT "\n", true, true, ERR_BAD_SIGNATURE},
	    {"no checkpoint", "log\n8\n", true, true, ERR_MALFORMED},
	};

	make_keys(&keys[0], &keys[1], secret);
	ck_assert_int_eq(checkpoint_open(&c, NULL, SLICE("x"), keys, 2, NULL), ERR_MALFORMED);
	ck_assert_int_eq(checkpoint_open(&c, NULL, SLICE(CHECKPOINT_NOTE), keys, 2, NULL), ERR_BAD_SIGNATURE);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct buf text = BUF_INIT(NOTE_BYTES_MAX);

		make_note(&text, all[i].text, all[i].by_log ? &keys[0] : NULL, &keys[1], secret, all[i].by_witness ? 42 : 0);
		ck_assert_msg(checkpoint_open(&c, &note, buf_slice(&text), keys, 2, NULL) == all[i].rc, "%s", all[i].says);
		if (i == 0) {
			ck_assert_int_eq(note_cosignature_time(&note, &keys[1], &seconds), 0);
			ck_assert_uint_eq(seconds, 42);
			/* Of a key that makes no such signature, or made none here. */
			ck_assert_int_eq(note_cosignature_time(&note, &keys[0], &seconds), ERR_NOT_FOUND);
			ck_assert_int_eq(note_key_make(&other, SLICE("v"), NOTE_COSIGNATURE, keys[1].public_key), 0);
			ck_assert_int_eq(note_cosignature_time(&note, &other, &seconds), ERR_NOT_FOUND);
			/* Without memory for what was signed nothing is believed, and nobody blamed. */
			no_memory_in = 0;
			ck_assert_int_eq(note_verify(&note, &keys[1], 1, NULL), ERR_NOMEM);
			/* Nor a cosignature of another time, or one of the wrong length. */
			for (unsigned k = 0; k < note.n_signatures; k++)
				if (slice_is(note.signatures[k].name, "w"))
					note.signatures[k].bytes[7]++;
			ck_assert_int_eq(note_verify(&note, &keys[1], 1, NULL), ERR_BAD_SIGNATURE);
			ck_assert_int_eq(checkpoint_open(&c, NULL, buf_slice(&text), keys, 2, NULL), 0);
			for (unsigned k = 0; k < note.n_signatures; k++)
				if (slice_is(note.signatures[k].name, "w"))
					note.signatures[k].len--;
			ck_assert_int_eq(note_verify(&note, &keys[1], 1, NULL), ERR_BAD_SIGNATURE);
		}
		buf_finish(&text);
	}
}
END_TEST

START_TEST(checkpoints_have_three_exact_lines)
{
	struct checkpoint c;

	ck_assert_msg(checkpoint_parse(&c, slice_str(checkpoints[_i].text)) == checkpoints[_i].rc, "%s",
	    checkpoints[_i].says);
}
END_TEST

#define PROOF_HEAD "c2sp.org/tlog-proof@v1\n"
static const struct {
	const char *says, *text;
	int rc;
} proof_files[] = {
    {"two hashes", PROOF_HEAD "index 5\n" ROOT "\n" ROOT "\n\n" CHECKPOINT_NOTE, 0},
    {"no hash: a tree of one", PROOF_HEAD "index 0\n\n" CHECKPOINT_NOTE, 0},
    {"another version", "c2sp.org/tlog-proof@v2\nindex 0\n\n" CHECKPOINT_NOTE, ERR_MALFORMED},
    {"the first line only", PROOF_HEAD, ERR_MALFORMED},
    {"no index", PROOF_HEAD ROOT "\n\n" CHECKPOINT_NOTE, ERR_MALFORMED},
    {"an index with a leading zero", PROOF_HEAD "index 05\n\n" CHECKPOINT_NOTE, ERR_MALFORMED},
    {"a hash cut short", PROOF_HEAD "index 5\nXcna\n\n" CHECKPOINT_NOTE, ERR_MALFORMED},
    {"no empty line", PROOF_HEAD "index 5\n" ROOT "\n", ERR_MALFORMED},
    {"nothing", "", ERR_MALFORMED},
};

START_TEST(proof_files_are_read_strictly_and_written_back)
{
	struct buf out = BUF_INIT(NOTE_BYTES_MAX);
	struct proof_file file;
	int rc = proof_file_parse(&file, slice_str(proof_files[_i].text));

	ck_assert_msg(rc == proof_files[_i].rc, "%s", proof_files[_i].says);
	if (rc == 0) {
		ck_assert_int_eq(proof_file_format(&out, &file), 0);
		ck_assert_str_eq(out.ptr, proof_files[_i].text);
	}
	buf_finish(&out);
}
END_TEST

START_TEST(a_proof_of_more_than_63_hashes_is_refused)
{
	struct buf text = BUF_INIT(NOTE_BYTES_MAX);
	struct proof_file file;

	buf_append_str(&text, PROOF_HEAD "index 5\n");
	for (int i = 0; i < MERKLE_PROOF_MAX + 1; i++)
		buf_append_str(&text, ROOT "\n");
	buf_append_str(&text, "\n" CHECKPOINT_NOTE);
	ck_assert_int_eq(proof_file_parse(&file, buf_slice(&text)), ERR_TOO_BIG);
	buf_finish(&text);
}
END_TEST

#define N(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
	Suite *s = suite_create("note");
	TCase *t = tcase_create("note");
	SRunner *r;
	int failed;

	if (crypto_init() != 0)
		return EXIT_FAILURE;
	tcase_add_test(t, the_published_note_verifies);
	tcase_add_test(t, the_checkpoint_of_the_specification_is_made_and_read);
	tcase_add_loop_test(t, malformed_notes_are_refused, 0, N(malformed));
	tcase_add_test(t, the_last_empty_line_separates);
	tcase_add_test(t, sixty_four_signatures_are_read_and_one_more_is_not);
	tcase_add_test(t, unknown_signers_are_ignored_and_false_ones_reject);
	tcase_add_loop_test(t, bad_verifier_keys_are_refused, 0, N(bad_keys));
	tcase_add_loop_test(t, names_have_no_spaces_of_any_kind, 0, N(names));
	tcase_add_test(t, only_clean_text_is_signed);
	tcase_add_test(t, a_checkpoint_is_the_logs_own);
	tcase_add_loop_test(t, checkpoints_have_three_exact_lines, 0, N(checkpoints));
	tcase_add_loop_test(t, proof_files_are_read_strictly_and_written_back, 0, N(proof_files));
	tcase_add_test(t, a_proof_of_more_than_63_hashes_is_refused);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

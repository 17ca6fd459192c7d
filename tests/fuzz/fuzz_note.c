/*
 * Fuzz entry: bytes as a note, a checkpoint, a verifier key and a proof file.
 * What is read must be inside the bytes, and what is written back must read
 * the same.
 */
#include "domain/note.h"
#include "fuzz.h"

static void try_note(struct slice bytes)
{
	static const char example[] =
	    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
	struct buf again = BUF_INIT(NOTE_BYTES_MAX);
	struct checkpoint c;
	struct note_key key;
	struct note note;

	if (note_parse(&note, bytes) != 0)
		return;
	check(inside(note.text, bytes) && note.text.len > 0 && note.text.ptr[note.text.len - 1] == '\n');
	check(note.n_signatures >= 1 && note.n_signatures <= NOTE_SIGNATURES_MAX);
	for (unsigned i = 0; i < note.n_signatures; i++)
		check(inside(note.signatures[i].name, bytes) && note.signatures[i].len >= 1);
	check(note_key_parse(&key, slice_str(example)) == 0);
	note_verify(&note, &key, 1, NULL);
	if (checkpoint_parse(&c, note.text) == 0) {
		check(checkpoint_format(&again, &c) == 0);
		check(slice_eq(buf_slice(&again), note.text));
	}
	buf_finish(&again);
}

static void try_key(struct slice bytes)
{
	struct buf again = BUF_INIT(1024);
	struct note_key key, same;

	if (note_key_parse(&key, bytes) == 0) {
		check(note_key_format(&again, &key) == 0);
		check(note_key_parse(&same, buf_slice(&again)) == 0);
		check(memcmp(&key, &same, sizeof(key)) == 0);
	}
	buf_finish(&again);
}

static void try_proof(struct slice bytes)
{
	struct buf again = BUF_INIT(2 * NOTE_BYTES_MAX);
	struct proof_file file;

	if (bytes.len <= NOTE_BYTES_MAX && proof_file_parse(&file, bytes) == 0) {
		check(file.proof.n <= MERKLE_PROOF_MAX);
		check(proof_file_format(&again, &file) == 0);
		check(slice_eq(buf_slice(&again), bytes));
	}
	buf_finish(&again);
}

void fuzz_one(struct slice input)
{
	check(crypto_init() == 0);
	try_note(input);
	try_key(input);
	try_proof(input);
}

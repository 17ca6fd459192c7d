/*
 * Fuzz entry: bytes as an export of three records: a bundle of records, and,
 * behind it, the tile of their hashes. The note over them is good and signed.
 * The verifier may call it good only when every record is what was signed.
 */
#include "audit/verify.h"
#include "base/err.h"
#include "fuzz.h"

#define N_RECORDS 3

#define RECORD(number, id_digit) \
	"{\"specversion\":\"1.0\",\"id\":\"0000000000000000000000000000000" id_digit "\",\"source\":\"/api\"," \
	"\"type\":\"test.happened\",\"subject\":\"test/a\",\"time\":\"2026-11-23T22:39:1" number ".000000Z\"," \
	"\"sequence\":\"0000000000000000000" number "\",\"actor\":\"system\",\"dataschema\":\"test.happened/1\"," \
	"\"datacontenttype\":\"application/json\",\"data\":{\"a\":[1,\"" id_digit "\"]}}"

static const struct slice records[N_RECORDS] = {
	SLICE_INIT(RECORD("0", "a")), SLICE_INIT(RECORD("1", "b")), SLICE_INIT(RECORD("2", "c")),
};

static struct buf bundle = BUF_INIT(8192), note = BUF_INIT(4096);
static struct merkle_hash leaves[N_RECORDS];
static struct note_key key;

/* The export as it was: what an input is a change of, and what is good. */
static void make(void)
{
	uint8_t seed[32] = {17}, secret[ED25519_SECRET_LEN], public_key[ED25519_PUBLIC_LEN];
	struct checkpoint c = {.origin = SLICE("log.example.test/fuzz"), .size = N_RECORDS};
	struct buf text = BUF_INIT(1024);
	struct merkle_edge edge = {0};

	check(crypto_init() == 0);
	for (unsigned i = 0; i < N_RECORDS; i++) {
		buf_append_char(&bundle, (char)(records[i].len >> 8));
		buf_append_char(&bundle, (char)(records[i].len & 0xff));
		buf_append(&bundle, records[i]);
		merkle_leaf(&leaves[i], records[i]);
		merkle_edge_add(&edge, &leaves[i], NULL);
	}
	merkle_edge_root(&c.root, &edge);
	ed25519_from_seed(public_key, secret, seed);
	check(note_key_make(&key, c.origin, NOTE_ED25519, public_key) == 0);
	check(checkpoint_format(&text, &c) == 0);
	check(note_sign(&note, buf_slice(&text), &key, secret) == 0);
	buf_finish(&text);
}

/* ---- the input as a source ---- */

static int newest(void *arg, struct buf *ret_note)
{
	(void)arg;
	return buf_append(ret_note, buf_slice(&note));
}

static int note_sizes(void *arg, uint64_t **ret_sizes, size_t *ret_n)
{
	(void)arg;
	*ret_sizes = malloc(sizeof(**ret_sizes));
	check(*ret_sizes != NULL);
	(*ret_sizes)[0] = N_RECORDS;
	*ret_n = 1;
	return 0;
}

static int note_of(void *arg, uint64_t size, struct buf *ret_note)
{
	check(size == N_RECORDS);
	return newest(arg, ret_note);
}

static int entries(void *arg, uint64_t tile, unsigned width, struct buf *ret_bytes)
{
	const struct slice *input = arg;

	check(tile == 0 && width == N_RECORDS);
	return buf_append(ret_bytes, slice_of(input->ptr, input->len - sizeof(leaves)));
}

static int hashes(void *arg, unsigned level, uint64_t tile, unsigned width, struct merkle_hash *ret_hashes)
{
	const struct slice *input = arg;

	if (level != 0 || tile != 0 || width != N_RECORDS)
		return ERR_NOT_FOUND;
	memcpy(ret_hashes, input->ptr + input->len - sizeof(leaves), sizeof(leaves));
	return 0;
}

static int blob(void *arg, uint64_t index, struct slice hex, uint8_t ret_hash[SHA256_LEN], uint64_t *ret_size)
{
	(void)arg;
	(void)ret_hash;
	(void)ret_size;
	check(index < N_RECORDS && hex.len == 64);
	return ERR_NOT_FOUND;
}

void fuzz_one(struct slice input)
{
	struct verify_source source = {&input, newest, note_sizes, note_of, NULL, entries, hashes, blob};
	struct verify_options options = {.n_log_keys = 1, .threads = 1};
	struct verify_summary summary = {0};
	bool same;

	if (bundle.len == 0)
		make();
	if (input.len < sizeof(leaves))
		return;
	options.keys[0] = key;
	same = slice_eq(slice_of(input.ptr, input.len - sizeof(leaves)), buf_slice(&bundle)) &&
	    memcmp(input.ptr + input.len - sizeof(leaves), leaves, sizeof(leaves)) == 0;
	check(verify_log(&source, &options, &summary) == 0);
	check((summary.n_evidence == 0 && summary.n_unknown == 0) == same);
	check(!summary.has_bad || summary.first_bad <= N_RECORDS);
}

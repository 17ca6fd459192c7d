/*
 * Which keys may sign the log's checkpoints (integrity.md 6, "Key change").
 *
 * A log names its keys in records: log.created and log.key.added give one,
 * log.key.retired ends one. A key so named is accepted when a checkpoint that
 * covers the record is signed by a key accepted already: the first one kept
 * that does, or the newest. From the keys a person gave this is repeated until
 * it leads no further, forwards to the keys that came after and backwards to
 * those before. The record itself needs no belief here: that checkpoint's root
 * is compared with the records like every other one's.
 *
 * A key may sign for sizes that include the record naming it. One that was
 * retired may not be the only one to sign what includes the record saying so,
 * not even one that was given.
 *
 * The records are looked through only when some checkpoint has a signature in
 * the log's name by a key that is not known.
 */
#include <stdlib.h>

#include "audit/verify_private.h"
#include "audit/verify_record.h"
#include "base/err.h"
#include "base/json.h"
#include "base/planted.h"

#define NAMED_MAX 64 /* keys named by records that are looked at; a log changes its key once in years */

struct named {
	uint64_t index;
	struct note_key key;
	bool accepted;
};

/* ---- opening notes ----------------------------------------------------------------------- */

int verify_note_open(const struct verify *v, struct slice bytes, struct checkpoint *ret, struct note *ret_note,
    uint64_t *ret_by, unsigned *ret_witnesses)
{
	const struct verify_options *o = v->options;
	struct note_key keys[2 * VERIFY_KEYS_MAX];
	unsigned which[VERIFY_KEYS_MAX], n_log = 0;
	uint64_t signed_by, by = 0;
	int rc;

	rc = note_parse(ret_note, bytes);
	if (rc == 0)
		rc = checkpoint_parse(ret, ret_note->text);
	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < v->n_log_keys; i++) {
		if (ret->size < v->key_from[i])
			continue;
		keys[n_log] = v->log_keys[i];
		which[n_log++] = i;
	}
	for (unsigned i = 0; i < o->n_witness_keys; i++)
		keys[n_log + i] = o->keys[o->n_log_keys + i];
	rc = note_verify(ret_note, keys, n_log + o->n_witness_keys, &signed_by);
	if (PLANTED(verify_signature) && rc == ERR_BAD_SIGNATURE && n_log > 0) {
		signed_by = 1;
		rc = 0;
	}
	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < n_log; i++)
		by |= (signed_by >> i & 1) << which[i];
	if (by == 0 || !slice_is(ret->origin, o->keys[0].name))
		return ERR_BAD_SIGNATURE;
	if (ret_by != NULL)
		*ret_by = by;
	if (ret_witnesses != NULL)
		*ret_witnesses = (unsigned)__builtin_popcountll(signed_by >> n_log);
	return 0;
}

/* ---- records about keys -------------------------------------------------------------------- */

/* The log's key that the record is about. */
static bool key_of(const struct verify *v, struct slice data, struct note_key *ret)
{
	struct json_value vkey;

	return json_member(json_root(data), "vkey", &vkey) && vkey.type == JSON_STRING && vkey.text.len > 2 &&
	    note_key_parse(ret, slice_of(vkey.text.ptr + 1, vkey.text.len - 2)) == 0 && ret->type == NOTE_ED25519 &&
	    strcmp(ret->name, v->options->keys[0].name) == 0;
}

static bool key_eq(const struct note_key *a, const struct note_key *b)
{
	return memcmp(a->public_key, b->public_key, sizeof(a->public_key)) == 0 && strcmp(a->name, b->name) == 0;
}

uint64_t verify_keys_ended(const struct verify *v, const struct record_facts *facts)
{
	struct note_key key;
	uint64_t bits = 0;

	if (!slice_is(facts->type, "log.key.retired") || !key_of(v, facts->data, &key))
		return 0;
	for (unsigned i = 0; i < v->n_log_keys; i++)
		bits |= (uint64_t)key_eq(&v->log_keys[i], &key) << i;
	return bits;
}

static void look_at_record(const struct verify *v, struct slice record, uint64_t index, struct named *named,
    unsigned *n_named)
{
	struct record_facts facts;
	const char *reason;
	struct note_key key;

	/* Nearly no record speaks of keys: one look for what all that do contain spares the rest. */
	if (*n_named == NAMED_MAX || memmem(record.ptr, record.len, "\"type\":\"log.", 12) == NULL ||
	    record_check(record, index, &facts, &reason) != 0)
		return;
	if (!slice_is(facts.type, "log.created") && !slice_is(facts.type, "log.key.added"))
		return;
	if (key_of(v, facts.data, &key))
		named[(*n_named)++] = (struct named){.index = index, .key = key};
}

/* As far as the records can be read. */
static void find_named(const struct verify *v, uint64_t size, struct named *named, unsigned *n_named)
{
	struct buf bundle = BUF_INIT(BUNDLE_LEN_MAX);

	for (uint64_t tile = 0; tile * MERKLE_TILE_WIDTH < size; tile++) {
		uint64_t index = tile * MERKLE_TILE_WIDTH;
		struct slice rest, record;
		bool cut;

		buf_clear(&bundle);
		if (v->source->entries(v->source->arg, tile, merkle_tile_width(size, 0, tile), &bundle) != 0)
			break;
		for (rest = buf_slice(&bundle); index < size && bundle_next(&rest, &record, &cut); index++)
			look_at_record(v, record, index, named, n_named);
		if (v->options->stopped != NULL && v->options->stopped(v->options->arg))
			break;
	}
	buf_finish(&bundle);
}

/* ---- following ------------------------------------------------------------------------------ */

/* A signature in the log's name by a key that is none of those known. */
static bool has_unknown(const struct verify *v, struct slice bytes)
{
	struct note note;

	if (note_parse(&note, bytes) != 0)
		return false;
	for (unsigned i = 0; i < note.n_signatures; i++) {
		bool known = !slice_is(note.signatures[i].name, v->options->keys[0].name);

		for (unsigned k = 0; !known && k < v->n_log_keys; k++)
			known = memcmp(note.signatures[i].id, v->log_keys[k].id, NOTE_ID_LEN) == 0;
		if (!known)
			return true;
	}
	return false;
}

static bool keys_are_missing(const struct verify *v, struct slice newest)
{
	struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
	bool missing = has_unknown(v, newest) || has_unknown(v, v->options->old_checkpoint);

	for (size_t i = 0; !missing && i < v->n_note_sizes; i++) {
		buf_clear(&bytes);
		missing = v->source->note(v->source->arg, v->note_sizes[i], &bytes) == 0 && has_unknown(v, buf_slice(&bytes));
	}
	buf_finish(&bytes);
	return missing;
}

static bool covers(const struct verify *v, struct slice bytes, uint64_t index)
{
	struct checkpoint c;
	struct note note;

	return verify_note_open(v, bytes, &c, &note, NULL, NULL) == 0 && c.size > index;
}

static bool is_covered(const struct verify *v, uint64_t index, struct slice newest)
{
	struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
	size_t first = verify_notes_above(v, index);
	bool covered;

	covered = covers(v, newest, index) || (first < v->n_note_sizes &&
	    v->source->note(v->source->arg, v->note_sizes[first], &bytes) == 0 && covers(v, buf_slice(&bytes), index));
	buf_finish(&bytes);
	return covered;
}

static void accept(struct verify *v, const struct named *named)
{
	for (unsigned i = 0; i < v->n_log_keys; i++) {
		if (!key_eq(&v->log_keys[i], &named->key))
			continue;
		if (v->key_from[i] > named->index + 1)
			v->key_from[i] = named->index + 1;
		return;
	}
	if (v->n_log_keys == VERIFY_KEYS_MAX)
		return;
	v->log_keys[v->n_log_keys] = named->key;
	v->key_from[v->n_log_keys++] = named->index + 1;
}

static void follow(struct verify *v, struct slice newest, struct named *named, unsigned n_named)
{
	bool further = true;

	while (further) {
		further = false;
		for (unsigned i = 0; i < n_named; i++) {
			if (named[i].accepted || !is_covered(v, named[i].index, newest))
				continue;
			named[i].accepted = further = true;
			accept(v, &named[i]);
		}
	}
}

/* How many records there may be to look through: what the newest note says, whoever signed it. */
static uint64_t claimed_size(const struct verify *v, struct slice newest)
{
	struct checkpoint c;
	struct note note;
	uint64_t size;

	if (v->source->size != NULL && v->source->size(v->source->arg, &size) == 0)
		return size;
	return note_parse(&note, newest) == 0 && checkpoint_parse(&c, note.text) == 0 ? c.size : 0;
}

int verify_keys_follow(struct verify *v)
{
	struct buf newest = BUF_INIT(NOTE_BYTES_MAX);
	struct named *named = NULL;
	unsigned n_named = 0;
	int rc = 0;

	v->n_log_keys = v->options->n_log_keys;
	memcpy(v->log_keys, v->options->keys, v->n_log_keys * sizeof(v->log_keys[0]));
	if (v->source->newest(v->source->arg, &newest) == 0 && keys_are_missing(v, buf_slice(&newest))) {
		named = calloc(NAMED_MAX, sizeof(*named));
		if (named == NULL)
			rc = ERR_NOMEM;
		if (rc == 0) {
			find_named(v, claimed_size(v, buf_slice(&newest)), named, &n_named);
			follow(v, buf_slice(&newest), named, n_named);
		}
	}
	v->summary->keys_reached = v->n_log_keys - v->options->n_log_keys;
	free(named);
	buf_finish(&newest);
	return rc;
}

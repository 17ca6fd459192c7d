/*
 * One tile on its own: its 256 records, their blobs, their stored hashes, and
 * the notes signed inside it. Nothing here knows of the tiles before.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "audit/verify_private.h"
#include "audit/verify_record.h"
#include "base/err.h"
#include "base/planted.h"

__attribute__((format(printf, 4, 5))) static void tile_found(struct verify_tile *t, bool evidence, uint64_t index,
    const char *format, ...)
{
	va_list args;

	if (evidence) {
		if (t->n_evidence++ == 0 || index < t->first_bad)
			t->first_bad = index;
	} else {
		t->n_unknown++;
	}
	if (t->n_findings == TOLD_PER_TILE)
		return;
	struct verify_finding *f = &t->findings[t->n_findings++];
	*f = (struct verify_finding){.evidence = evidence, .has_index = true, .index = index};
	va_start(args, format);
	vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
}

/* ---- notes ---------------------------------------------------------------------------- */

static void check_stored_note(const struct verify *v, struct verify_tile *t, uint64_t size)
{
	struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
	uint64_t last = size - 1, by;
	struct checkpoint c;
	struct note note;
	int rc;

	rc = v->source->note(v->source->arg, size, &bytes);
	if (rc != 0) {
		tile_found(t, false, last, "the checkpoint of size %" PRIu64 " cannot be read: %s", size, err_text(rc));
	} else if ((rc = verify_note_open(v, buf_slice(&bytes), &c, &note, &by, NULL)) != 0) {
		/* Want of memory says nothing about the log. */
		tile_found(t, rc != ERR_NOMEM, last, "the checkpoint of size %" PRIu64 " is not good: %s", size, err_text(rc));
	} else if (c.size != size) {
		tile_found(t, true, last, "the checkpoint kept under size %" PRIu64 " is of size %" PRIu64, size, c.size);
	} else {
		unsigned i = t->n_notes++;

		t->notes[i].size = size;
		t->notes[i].root = c.root;
		t->notes[i].by = by;
		t->notes[i].cosigned_at = 0;
		if (v->options->n_witness_keys > 0)
			note_cosignature_time(&note, &v->options->keys[v->options->n_log_keys], &t->notes[i].cosigned_at);
	}
	buf_finish(&bytes);
}

size_t verify_notes_above(const struct verify *v, uint64_t size)
{
	size_t low = 0, high = v->n_note_sizes;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (v->note_sizes[middle] > size)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* ---- records ------------------------------------------------------------------------------- */

bool bundle_next(struct slice *bundle, struct slice *ret_record, bool *ret_cut)
{
	const uint8_t *at = (const uint8_t *)bundle->ptr;
	size_t len;

	*ret_cut = false;
	if (bundle->len == 0)
		return false;
	len = bundle->len < 2 ? 0 : (size_t)at[0] << 8 | at[1];
	if (bundle->len < 2 + len - PLANTED(bundle_overread)) {
		*ret_cut = true;
		return false;
	}
	*ret_record = slice_of(bundle->ptr + 2, len);
	bundle->ptr += 2 + len;
	bundle->len -= 2 + len;
	return true;
}

struct blob_check {
	const struct verify *v;
	struct verify_tile *t;
};

static int on_blob(void *arg, struct slice hex, uint64_t size)
{
	struct blob_check *check = arg;
	const struct verify_source *source = check->v->source;
	uint64_t index = check->t->blob_index, real_size;
	uint8_t hash[SHA256_LEN];
	char real[2 * SHA256_LEN + 1];
	int rc;

	check->t->blobs++;
	rc = source->blob(source->arg, index, hex, hash, &real_size);
	if (rc == ERR_NOT_FOUND) {
		tile_found(check->t, false, index, "blob %.*s of record %" PRIu64 " is missing", SLICE_ARG(hex), index);
	} else if (rc != 0) {
		tile_found(check->t, false, index, "blob %.*s cannot be read: %s", SLICE_ARG(hex), err_text(rc));
	} else {
		check->t->blob_bytes += real_size;
		for (size_t i = 0; i < SHA256_LEN; i++)
			snprintf(real + 2 * i, 3, "%02x", hash[i]);
		if ((!slice_is(hex, real) || size != real_size) && !PLANTED(verify_blob))
			tile_found(check->t, true, index, "blob %.*s of record %" PRIu64 " was altered", SLICE_ARG(hex), index);
	}
	return 0;
}

static void note_retirement(const struct verify *v, struct verify_tile *t, uint64_t index,
    const struct record_facts *facts)
{
	uint64_t keys = verify_keys_ended(v, facts);

	if (keys == 0 || t->n_retirements == RETIREMENTS_PER_TILE)
		return;
	t->retirements[t->n_retirements].index = index;
	t->retirements[t->n_retirements++].keys = keys;
}

static void check_record(const struct verify *v, struct verify_tile *t, unsigned i, struct slice record)
{
	uint64_t index = t->number * MERKLE_TILE_WIDTH + i;
	struct blob_check check = {v, t};
	struct record_facts facts;
	const char *reason;

	merkle_leaf(&t->leaves[i], record);
	t->has_leaf[i] = true;
	t->bytes += record.len;
	t->records++;
	if (t->has_stored && !merkle_hash_eq(&t->leaves[i], &t->stored[i]) && !PLANTED(verify_leaf))
		tile_found(t, true, index, "record %" PRIu64 " does not have the hash in tile/0", index);
	if (record_check(record, index, &facts, &reason) != 0) {
		if (PLANTED(verify_form))
			return;
		tile_found(t, true, index, "record %" PRIu64 ": %s", index, reason);
		return;
	}
	if (t->first_us == INT64_MIN)
		t->first_us = facts.time_us;
	else if (facts.time_us < t->last_us && !PLANTED(verify_time))
		tile_found(t, true, index, "the time of record %" PRIu64 " is before that of the one before", index);
	t->last_us = facts.time_us;
	t->once_keys += facts.has_once;
	note_retirement(v, t, index, &facts);
	t->blob_index = index;
	if (record_blobs(&facts, on_blob, &check) != 0)
		tile_found(t, true, index, "record %" PRIu64 " names a blob in a wrong form", index);
}

static void check_records(const struct verify *v, struct verify_tile *t)
{
	uint64_t first = t->number * MERKLE_TILE_WIDTH;
	struct slice rest, record;
	unsigned i = 0;
	bool cut = false;
	int rc;

	buf_clear(&t->bundle);
	rc = v->source->entries(v->source->arg, t->number, t->width, &t->bundle);
	if (rc != 0) {
		tile_found(t, false, first, "records %" PRIu64 " to %" PRIu64 " cannot be read: %s", first,
		    first + t->width - 1, err_text(rc));
		return;
	}
	rest = buf_slice(&t->bundle);
	while (i < t->width && bundle_next(&rest, &record, &cut))
		check_record(v, t, i++, record);
	if (i < t->width)
		tile_found(t, true, first + i, "records %" PRIu64 " to %" PRIu64 " are not there: the bundle %s", first + i,
		    first + t->width - 1, cut ? "ends inside a record" : "is too short");
	else if (rest.len > 0)
		tile_found(t, true, first + i - 1, "there is more behind record %" PRIu64 " than there should be", first + i - 1);
}

void verify_tile_check(const struct verify *v, struct verify_tile *t)
{
	uint64_t first = t->number * MERKLE_TILE_WIDTH;
	int rc;

	t->n_notes = t->n_findings = t->n_retirements = 0;
	t->n_evidence = t->n_unknown = t->bytes = t->blobs = t->blob_bytes = t->once_keys = t->records = 0;
	t->first_us = t->last_us = INT64_MIN;
	memset(t->has_leaf, 0, sizeof(t->has_leaf));
	rc = v->source->hashes(v->source->arg, 0, t->number, t->width, t->stored);
	t->has_stored = rc == 0;
	if (rc == ERR_MALFORMED)
		tile_found(t, true, first, "tile %" PRIu64 " of level 0 has not the length of its hashes", t->number);
	else if (rc != 0)
		tile_found(t, false, first, "tile %" PRIu64 " of level 0 cannot be read: %s", t->number, err_text(rc));
	check_records(v, t);
	for (size_t i = verify_notes_above(v, first); i < v->n_note_sizes && v->note_sizes[i] <= first + t->width; i++)
		if (t->n_notes < NOTES_PER_TILE)
			check_stored_note(v, t, v->note_sizes[i]);
}

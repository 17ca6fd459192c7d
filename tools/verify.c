/*
 * How the verifier works through a log.
 *
 * Each thread takes the next tile of 256 records, reads it, checks every record
 * and every note signed inside it (tile_check), then waits for its turn and
 * adds what it found to the whole (tile_merge): leaf hashes to the tree, roots
 * against the notes, times against the time before.
 *
 * Two trees grow: `rebuilt` from the records, and, from the first place on
 * where a record does not have the hash stored for it, `stored` from the tiles.
 * Which of the two leads to the signed root tells in the end what was changed.
 */
#include "verify.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/clock.h"
#include "verify_record.h"

#define THREADS_MAX 16
#define TOLD_PER_TILE 32   /* findings of one tile that are told; the rest are counted */
#define TOLD_MAX 1000      /* of the whole */
#define NOTES_PER_TILE 256 /* one size each */

struct tile {
	uint64_t number;
	unsigned width;
	struct merkle_hash leaves[MERKLE_TILE_WIDTH];  /* of the records */
	struct merkle_hash stored[MERKLE_TILE_WIDTH];  /* level 0 as it is kept */
	bool has_leaf[MERKLE_TILE_WIDTH], has_stored;
	int64_t first_us, last_us; /* of the readable records; INT64_MIN: none */
	uint64_t bytes, blobs, once_keys, records;
	struct {
		uint64_t size;
		struct merkle_hash root;
		uint64_t cosigned_at; /* by the first witness; 0 = not */
		bool good;
	} notes[NOTES_PER_TILE];
	unsigned n_notes;
	struct verify_finding findings[TOLD_PER_TILE];
	unsigned n_findings;
	uint64_t n_evidence, n_unknown, first_bad;
	struct buf bundle;
	uint64_t blob_index; /* of the record whose blobs are looked at */
};

struct verify {
	const struct verify_source *source;
	const struct verify_options *options;
	struct verify_summary *summary;
	uint64_t *note_sizes; /* ascending */
	size_t n_note_sizes;
	uint64_t total, n_tiles; /* records to read */
	struct checkpoint newest, old;
	bool has_newest, has_old;

	pthread_mutex_t lock; /* guards all below, and summary */
	pthread_cond_t turn;
	uint64_t next_tile, next_merge;
	int rc;
	uint64_t n_told;

	/* Of the thread whose turn it is. */
	struct merkle_builder rebuilt, stored;
	bool split;       /* `stored` has gone its own way */
	bool rebuilt_gap; /* records that could not be read are in `rebuilt` by their stored hash, or not at all */
	bool stored_gap;
	int64_t last_us;
	uint64_t last_cosigned_at;
	uint64_t agreed, disagreed; /* the greatest size a note agreed at, the least it did not; the latter 0 = none */
	bool newest_rebuilt, newest_stored, newest_seen;
};

/* ---- findings ----------------------------------------------------------------------- */

__attribute__((format(printf, 4, 5))) static void tile_found(struct tile *t, bool evidence, uint64_t index,
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

static void tell(struct verify *v, const struct verify_finding *f)
{
	if (v->n_told++ < TOLD_MAX && v->options->on_finding != NULL)
		v->options->on_finding(v->options->arg, f);
}

static void count(struct verify *v, bool evidence, bool has_index, uint64_t index)
{
	struct verify_summary *s = v->summary;

	if (!evidence) {
		s->n_unknown++;
		return;
	}
	s->n_evidence++;
	if (has_index && (!s->has_bad || index < s->first_bad)) {
		s->has_bad = true;
		s->first_bad = index;
	}
}

#define NO_INDEX UINT64_MAX

__attribute__((format(printf, 4, 5))) static void found(struct verify *v, bool evidence, uint64_t index,
    const char *format, ...)
{
	struct verify_finding f = {.evidence = evidence, .has_index = index != NO_INDEX, .index = index};
	va_list args;

	va_start(args, format);
	vsnprintf(f.text, sizeof(f.text), format, args);
	va_end(args);
	count(v, evidence, f.has_index, index);
	tell(v, &f);
}

/* ---- notes ---------------------------------------------------------------------------- */

/* A note signed by the log under one of the keys given, for the log those keys are of. */
static int note_open(const struct verify *v, struct slice bytes, struct checkpoint *ret, struct note *ret_note,
    uint64_t *ret_by)
{
	const struct verify_options *o = v->options;
	uint64_t by;
	int rc;

	rc = note_parse(ret_note, bytes);
	if (rc == 0)
		rc = note_verify(ret_note, o->keys, o->n_log_keys + o->n_witness_keys, &by);
	if (rc == 0)
		rc = checkpoint_parse(ret, ret_note->text);
	if (rc != 0)
		return rc;
	if ((by & ((UINT64_C(1) << o->n_log_keys) - 1)) == 0 || !slice_is(ret->origin, o->keys[0].name))
		return ERR_BAD_SIGNATURE;
	*ret_by = by;
	return 0;
}

static void check_stored_note(const struct verify *v, struct tile *t, uint64_t size)
{
	struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
	uint64_t last = size - 1, by;
	struct checkpoint c;
	struct note note;
	int rc;

	rc = v->source->note(v->source->arg, size, &bytes);
	if (rc != 0) {
		tile_found(t, false, last, "the checkpoint of size %" PRIu64 " cannot be read: %s", size, err_text(rc));
	} else if ((rc = note_open(v, buf_slice(&bytes), &c, &note, &by)) != 0) {
		tile_found(t, true, last, "the checkpoint of size %" PRIu64 " is not good: %s", size, err_text(rc));
	} else if (c.size != size) {
		tile_found(t, true, last, "the checkpoint kept under size %" PRIu64 " is of size %" PRIu64, size, c.size);
	} else {
		unsigned i = t->n_notes++;

		t->notes[i].size = size;
		t->notes[i].root = c.root;
		t->notes[i].cosigned_at = 0;
		if (v->options->n_witness_keys > 0)
			note_cosignature_time(&note, &v->options->keys[v->options->n_log_keys], &t->notes[i].cosigned_at);
	}
	buf_finish(&bytes);
}

/* Index of the first note size above `size`. */
static size_t notes_above(const struct verify *v, uint64_t size)
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

/* ---- one tile, on its own ---------------------------------------------------------------- */

bool bundle_next(struct slice *bundle, struct slice *ret_record, bool *ret_cut)
{
	const uint8_t *at = (const uint8_t *)bundle->ptr;
	size_t len;

	*ret_cut = false;
	if (bundle->len == 0)
		return false;
	len = bundle->len < 2 ? SIZE_MAX : (size_t)at[0] << 8 | at[1];
	if (len > bundle->len - 2) {
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
	struct tile *t;
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
		for (size_t i = 0; i < SHA256_LEN; i++)
			snprintf(real + 2 * i, 3, "%02x", hash[i]);
		if (!slice_is(hex, real) || size != real_size)
			tile_found(check->t, true, index, "blob %.*s of record %" PRIu64 " was altered", SLICE_ARG(hex), index);
	}
	return 0;
}

static void check_record(const struct verify *v, struct tile *t, unsigned i, struct slice record)
{
	uint64_t index = t->number * MERKLE_TILE_WIDTH + i;
	struct blob_check check = {v, t};
	struct record_facts facts;
	const char *reason;

	merkle_leaf(&t->leaves[i], record);
	t->has_leaf[i] = true;
	t->bytes += record.len;
	t->records++;
	if (t->has_stored && !merkle_hash_eq(&t->leaves[i], &t->stored[i]))
		tile_found(t, true, index, "record %" PRIu64 " does not have the hash in tile/0", index);
	if (record_check(record, index, &facts, &reason) != 0) {
		tile_found(t, true, index, "record %" PRIu64 ": %s", index, reason);
		return;
	}
	if (t->first_us == INT64_MIN)
		t->first_us = facts.time_us;
	else if (facts.time_us < t->last_us)
		tile_found(t, true, index, "the time of record %" PRIu64 " is before that of the one before", index);
	t->last_us = facts.time_us;
	t->once_keys += facts.has_once;
	t->blob_index = index;
	if (record_blobs(&facts, on_blob, &check) != 0)
		tile_found(t, true, index, "record %" PRIu64 " names a blob in a wrong form", index);
}

static void check_records(const struct verify *v, struct tile *t)
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

static void tile_check(const struct verify *v, struct tile *t)
{
	uint64_t first = t->number * MERKLE_TILE_WIDTH;
	int rc;

	t->n_notes = t->n_findings = 0;
	t->n_evidence = t->n_unknown = t->bytes = t->blobs = t->once_keys = t->records = 0;
	t->first_us = t->last_us = INT64_MIN;
	memset(t->has_leaf, 0, sizeof(t->has_leaf));
	rc = v->source->hashes(v->source->arg, 0, t->number, t->width, t->stored);
	t->has_stored = rc == 0;
	if (rc == ERR_MALFORMED)
		tile_found(t, true, first, "tile %" PRIu64 " of level 0 has not the length of its hashes", t->number);
	else if (rc != 0)
		tile_found(t, false, first, "tile %" PRIu64 " of level 0 cannot be read: %s", t->number, err_text(rc));
	check_records(v, t);
	for (size_t i = notes_above(v, first); i < v->n_note_sizes && v->note_sizes[i] <= first + t->width; i++)
		if (t->n_notes < NOTES_PER_TILE)
			check_stored_note(v, t, v->note_sizes[i]);
}

/* ---- all tiles, in order -------------------------------------------------------------------- */

/* A tile of a higher level, just completed or partial at the end, against what is kept. */
static int compare_tile(void *arg, unsigned level, uint64_t number, const struct merkle_hash *hashes, unsigned n)
{
	struct verify *v = arg;
	struct merkle_hash kept[MERKLE_TILE_WIDTH];
	uint64_t covers = UINT64_C(1) << (8 * level);
	int rc;

	if (level == 0) /* was compared hash by hash */
		return 0;
	rc = v->source->hashes(v->source->arg, level, number, n, kept);
	if (rc == ERR_MALFORMED) {
		found(v, true, number * MERKLE_TILE_WIDTH * covers, "tile %" PRIu64 " of level %u has not the length of its hashes",
		    number, level);
	} else if (rc != 0) {
		found(v, false, NO_INDEX, "tile %" PRIu64 " of level %u cannot be read: %s", number, level, err_text(rc));
	} else {
		v->summary->tiles++;
		for (unsigned i = 0; i < n; i++) {
			uint64_t first = (number * MERKLE_TILE_WIDTH + i) * covers;

			if (merkle_hash_eq(&hashes[i], &kept[i]))
				continue;
			found(v, true, v->summary->has_bad && v->summary->first_bad < first + covers ? NO_INDEX : first,
			    "hash %u in tile %" PRIu64 " of level %u is not that of the hashes below it", i, number, level);
			break;
		}
	}
	return 0;
}

static int ignore_tile(void *arg, unsigned level, uint64_t number, const struct merkle_hash *hashes, unsigned n)
{
	(void)arg;
	(void)level;
	(void)number;
	(void)hashes;
	(void)n;
	return 0;
}

static void add_leaf(struct verify *v, const struct tile *t, unsigned i)
{
	bool has_leaf = t->has_leaf[i], has_stored = t->has_stored;
	const struct merkle_hash *leaf = has_leaf ? &t->leaves[i] : &t->stored[i];
	const struct merkle_hash *stored = has_stored ? &t->stored[i] : &t->leaves[i];

	if (!has_leaf && !has_stored)
		v->rebuilt_gap = v->stored_gap = true; /* no tree any more: zeros keep the count */
	if (!has_leaf)
		v->rebuilt_gap = true;
	if (!has_stored)
		v->stored_gap = true;
	if (!v->split && has_leaf && has_stored && !merkle_hash_eq(leaf, stored)) {
		v->stored = v->rebuilt;
		v->split = true;
	}
	merkle_builder_add(&v->rebuilt, leaf, v->split || v->stored_gap ? ignore_tile : compare_tile, v);
	if (v->split)
		merkle_builder_add(&v->stored, stored, v->stored_gap ? ignore_tile : compare_tile, v);
}

static void compare_root(struct verify *v, const struct merkle_hash *root, uint64_t size)
{
	struct merkle_hash rebuilt;

	merkle_edge_root(&rebuilt, &v->rebuilt.edge);
	if (merkle_hash_eq(&rebuilt, root)) {
		v->agreed = size;
	} else if (v->disagreed == 0 && !v->rebuilt_gap) {
		v->disagreed = size;
	}
}

static void compare_newest(struct verify *v)
{
	struct merkle_hash root;

	merkle_edge_root(&root, &v->rebuilt.edge);
	v->newest_seen = true;
	v->newest_rebuilt = merkle_hash_eq(&root, &v->newest.root);
	v->newest_stored = v->newest_rebuilt;
	if (v->split) {
		struct merkle_hash stored;

		merkle_edge_root(&stored, &v->stored.edge);
		v->newest_stored = merkle_hash_eq(&stored, &v->newest.root);
	}
	if (!v->rebuilt_gap) {
		v->summary->root = root;
		v->summary->has_root = true;
	}
	compare_root(v, &v->newest.root, v->newest.size);
}

/*
 * Where to look for what makes a root differ at `size`: from the last size on at which one agreed, unless a
 * record or a hash below was named already.
 */
static uint64_t suspect(const struct verify *v, uint64_t size)
{
	if (v->agreed >= size || (v->summary->has_bad && v->summary->first_bad < size))
		return NO_INDEX;
	return v->agreed;
}

static void compare_old(struct verify *v)
{
	struct merkle_hash root;

	merkle_edge_root(&root, &v->rebuilt.edge);
	if (!merkle_hash_eq(&root, &v->old.root) && !v->rebuilt_gap)
		found(v, true, suspect(v, v->old.size),
		    "the records do not have the root of the old checkpoint at its size %" PRIu64, v->old.size);
}

static void compare_note(struct verify *v, const struct tile *t, unsigned i)
{
	struct merkle_hash root;

	merkle_edge_root(&root, &v->rebuilt.edge);
	v->summary->checkpoints++;
	if (!merkle_hash_eq(&root, &t->notes[i].root) && !v->rebuilt_gap && v->disagreed == 0)
		found(v, true, suspect(v, t->notes[i].size),
		    "the records do not have the root of the checkpoint of size %" PRIu64 "; they did at %" PRIu64,
		    t->notes[i].size, v->agreed);
	compare_root(v, &t->notes[i].root, t->notes[i].size);
	if (t->notes[i].cosigned_at != 0 && t->notes[i].cosigned_at < v->last_cosigned_at)
		found(v, true, NO_INDEX, "the checkpoint of size %" PRIu64 " was witnessed before a shorter one", t->notes[i].size);
	if (t->notes[i].cosigned_at != 0)
		v->last_cosigned_at = t->notes[i].cosigned_at;
}

/* Under the lock, in the order of the log. */
static void tile_merge(struct verify *v, const struct tile *t)
{
	struct verify_summary *s = v->summary;
	unsigned note = 0;

	s->bytes += t->bytes;
	s->records += t->records;
	s->blobs += t->blobs;
	s->once_keys += t->once_keys;
	s->tiles += t->has_stored;
	s->n_unknown += t->n_unknown;
	s->n_evidence += t->n_evidence;
	if (t->n_evidence > 0 && (!s->has_bad || t->first_bad < s->first_bad)) {
		s->has_bad = true;
		s->first_bad = t->first_bad;
	}
	for (unsigned i = 0; i < t->n_findings; i++)
		tell(v, &t->findings[i]);
	v->n_told += t->n_evidence + t->n_unknown - t->n_findings;
	if (t->first_us != INT64_MIN) {
		if (t->first_us < v->last_us)
			found(v, true, t->number * MERKLE_TILE_WIDTH, "the time of record %" PRIu64 " is before that of the one before",
			    t->number * MERKLE_TILE_WIDTH);
		v->last_us = t->last_us;
	}
	for (unsigned i = 0; i < t->width; i++) {
		uint64_t size;

		add_leaf(v, t, i);
		size = v->rebuilt.edge.size;
		for (; note < t->n_notes && t->notes[note].size <= size; note++)
			compare_note(v, t, note);
		if (v->has_old && v->old.size == size)
			compare_old(v);
		if (v->has_newest && v->newest.size == size)
			compare_newest(v);
	}
	if (v->options->on_progress != NULL)
		v->options->on_progress(v->options->arg, v->rebuilt.edge.size, v->total);
}

static void *work(void *arg)
{
	struct verify *v = arg;
	struct tile *t = calloc(1, sizeof(*t));

	pthread_mutex_lock(&v->lock);
	if (t == NULL)
		v->rc = ERR_NOMEM;
	else
		t->bundle = (struct buf)BUF_INIT(BUNDLE_LEN_MAX);
	while (v->rc == 0 && v->next_tile < v->n_tiles) {
		t->number = v->next_tile++;
		t->width = merkle_tile_width(v->total, 0, t->number);
		pthread_mutex_unlock(&v->lock);
		tile_check(v, t);
		pthread_mutex_lock(&v->lock);
		while (v->next_merge != t->number && v->rc == 0)
			pthread_cond_wait(&v->turn, &v->lock);
		if (v->rc != 0)
			break;
		tile_merge(v, t);
		v->next_merge++;
		if (v->options->stopped != NULL && v->options->stopped())
			v->rc = ERR_CANCELLED;
		pthread_cond_broadcast(&v->turn);
	}
	pthread_cond_broadcast(&v->turn);
	pthread_mutex_unlock(&v->lock);
	if (t != NULL)
		buf_finish(&t->bundle);
	free(t);
	return NULL;
}

static int work_through(struct verify *v)
{
	unsigned n = v->options->threads == 0 ? 2 : v->options->threads;
	pthread_t threads[THREADS_MAX];
	unsigned started = 0;

	if (n > THREADS_MAX)
		n = THREADS_MAX;
	for (; started < n; started++)
		if (pthread_create(&threads[started], NULL, work, v) != 0)
			break;
	if (started == 0)
		work(v);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return v->rc;
}

/* ---- before and after -------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/* Step 1: the newest checkpoint, and what the policy says about it. */
static void open_newest(struct verify *v)
{
	struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
	struct note note;
	uint64_t by;
	int rc;

	rc = v->source->newest(v->source->arg, &bytes);
	if (rc != 0) {
		found(v, false, NO_INDEX, "the newest checkpoint cannot be read: %s", err_text(rc));
	} else if ((rc = note_open(v, buf_slice(&bytes), &v->newest, &note, &by)) != 0) {
		found(v, true, NO_INDEX, rc == ERR_BAD_SIGNATURE ? "the newest checkpoint is not signed by the key given" :
		    "the newest checkpoint is not a checkpoint");
	} else {
		unsigned cosigned = (unsigned)__builtin_popcountll(by >> v->options->n_log_keys);

		v->has_newest = true;
		v->newest.origin = (struct slice){0}; /* it goes with the note's bytes; keys[0] has it */
		v->summary->size = v->newest.size;
		if (cosigned < v->options->witnesses_needed)
			found(v, true, NO_INDEX, "the newest checkpoint is signed by %u of the %u witnesses needed", cosigned,
			    v->options->witnesses_needed);
	}
	buf_finish(&bytes);
}

static int read_hashes(void *arg, unsigned level, uint64_t number, unsigned first, unsigned n, struct merkle_hash *ret)
{
	const struct verify *v = arg;
	struct merkle_hash tile[MERKLE_TILE_WIDTH];
	int rc;

	/* In an export a partial tile is found by its width only. */
	rc = v->source->hashes(v->source->arg, level, number, merkle_tile_width(v->newest.size, level, number), tile);
	if (rc == 0)
		memcpy(ret, tile + first, n * sizeof(*ret));
	return rc;
}

/* Step 5, the half that is by proof. */
static void open_old(struct verify *v)
{
	struct tile_reader tiles = {read_hashes, v};
	struct merkle_proof proof;
	struct note note;
	uint64_t by;
	int rc;

	if (v->options->old_checkpoint.len == 0)
		return;
	rc = note_open(v, v->options->old_checkpoint, &v->old, &note, &by);
	if (rc != 0) {
		found(v, true, NO_INDEX, "the old checkpoint is not one of this log under the key given: %s", err_text(rc));
		return;
	}
	v->has_old = true;
	if (!v->has_newest)
		return;
	if (v->old.size > v->newest.size) {
		found(v, true, v->newest.size, "the old checkpoint is of %" PRIu64 " records, the newest of %" PRIu64
		    ": records are missing", v->old.size, v->newest.size);
		return;
	}
	rc = merkle_consistency_make(&proof, v->old.size, v->newest.size, &tiles);
	if (rc != 0)
		found(v, false, NO_INDEX, "no proof from the old checkpoint to the newest can be made: %s", err_text(rc));
	else if (!merkle_consistency_holds(&proof, v->old.size, v->newest.size, &v->old.root, &v->newest.root))
		found(v, true, NO_INDEX, "the newest checkpoint does not extend the old one");
}

static int list_notes(struct verify *v)
{
	size_t beyond;
	int rc;

	rc = v->source->note_sizes(v->source->arg, &v->note_sizes, &v->n_note_sizes);
	if (rc == ERR_NOMEM)
		return rc;
	if (rc != 0) {
		found(v, false, NO_INDEX, "the checkpoints kept cannot be listed: %s", err_text(rc));
		return 0;
	}
	if (v->n_note_sizes > 0)
		qsort(v->note_sizes, v->n_note_sizes, sizeof(*v->note_sizes), by_size);
	beyond = notes_above(v, v->total);
	if (beyond < v->n_note_sizes)
		found(v, true, v->total, "a checkpoint of %" PRIu64 " records was signed, there are %" PRIu64
		    ": records are missing", v->note_sizes[v->n_note_sizes - 1], v->total);
	return 0;
}

/* What the two trees, together, say. */
static void conclude(struct verify *v)
{
	merkle_builder_flush(&v->rebuilt, v->split || v->stored_gap ? ignore_tile : compare_tile, v);
	if (v->split)
		merkle_builder_flush(&v->stored, v->stored_gap ? ignore_tile : compare_tile, v);
	if (!v->has_newest)
		return;
	if (v->newest.size == 0)
		compare_newest(v);
	if (!v->newest_seen) {
		found(v, true, v->rebuilt.edge.size, "records from %" PRIu64 " on are missing", v->rebuilt.edge.size);
		return;
	}
	if (v->split && v->newest_rebuilt)
		found(v, true, NO_INDEX, "the records lead to the signed root and the tiles do not: the tiles were damaged");
	else if (v->split && v->newest_stored)
		found(v, true, NO_INDEX, "the tiles lead to the signed root and the records do not: the records named were altered");
	else if (v->split)
		found(v, true, NO_INDEX, "neither records nor tiles lead to the signed root");
	else if (!v->newest_rebuilt && !v->rebuilt_gap)
		found(v, true, suspect(v, v->newest.size), "records and tiles agree, but do not lead to the signed root: history was rewritten, "
		    "somewhere from record %" PRIu64 " on", v->agreed);
	else if (!v->newest_rebuilt)
		found(v, true, NO_INDEX, "the hashes that can be read do not lead to the signed root");
}

static void on_semantic(void *arg, bool evidence, uint64_t index, const char *text)
{
	found(arg, evidence, index, "%s", text);
}

int verify_log(const struct verify_source *source, const struct verify_options *options, struct verify_summary *ret)
{
	struct verify *v = calloc(1, sizeof(*v));
	int rc = 0;

	assert(options->n_log_keys >= 1 && options->n_log_keys + options->n_witness_keys <= VERIFY_KEYS_MAX);
	if (v == NULL)
		return ERR_NOMEM;
	*ret = (struct verify_summary){0};
	memcpy(ret->origin, options->keys[0].name, sizeof(ret->origin));
	v->source = source;
	v->options = options;
	v->summary = ret;
	v->last_us = INT64_MIN;
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->turn, NULL);

	open_newest(v);
	open_old(v);
	v->total = ret->size;
	if (source->size != NULL) {
		rc = source->size(source->arg, &v->total);
		if (rc != 0) {
			found(v, false, NO_INDEX, "the size of the log cannot be read: %s", err_text(rc));
			rc = 0;
		}
	}
	if (v->has_newest && v->total > ret->size)
		ret->unsigned_records = v->total - ret->size;
	v->n_tiles = v->total / MERKLE_TILE_WIDTH + (v->total % MERKLE_TILE_WIDTH != 0);
	rc = list_notes(v);
	if (rc == 0)
		rc = work_through(v);
	if (rc == 0)
		conclude(v);
	if (rc == 0 && options->semantics)
		rc = verify_semantics(source, v->total, ret, options->stopped, on_semantic, v);
	if (rc == 0 && v->n_told > TOLD_MAX && options->on_finding != NULL) {
		struct verify_finding more = {.evidence = true};

		snprintf(more.text, sizeof(more.text), "and %" PRIu64 " findings more", v->n_told - TOLD_MAX);
		options->on_finding(options->arg, &more);
	}
	free(v->note_sizes);
	pthread_cond_destroy(&v->turn);
	pthread_mutex_destroy(&v->lock);
	free(v);
	return rc;
}

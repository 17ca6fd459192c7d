/*
 * How the verifier works through a log.
 *
 * Each thread takes the next tile of 256 records, reads it, checks every record
 * and every note signed inside it (verify_tile.c), then waits for its turn and
 * adds what it found to the whole (verify_tree.c): leaf hashes to the tree, roots
 * against the notes, times against the time before.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/verify_private.h"
#include "base/err.h"
#include "base/planted.h"

#define THREADS_MAX 16
#define TOLD_MAX 1000 /* findings of the whole */

/* ---- findings ----------------------------------------------------------------------- */

void verify_tell(struct verify *v, const struct verify_finding *f)
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

void verify_found(struct verify *v, bool evidence, uint64_t index, const char *format, ...)
{
	struct verify_finding f = {.evidence = evidence, .has_index = index != NO_INDEX, .index = index};
	va_list args;

	va_start(args, format);
	vsnprintf(f.text, sizeof(f.text), format, args);
	va_end(args);
	count(v, evidence, f.has_index, index);
	verify_tell(v, &f);
}

/* ---- the threads ---------------------------------------------------------------------- */

static void *work(void *arg)
{
	struct verify *v = arg;
	struct verify_tile *t = calloc(1, sizeof(*t));

	pthread_mutex_lock(&v->lock);
	if (t == NULL)
		v->rc = ERR_NOMEM;
	else
		t->bundle = (struct buf)BUF_INIT(BUNDLE_LEN_MAX);
	while (v->rc == 0 && v->next_tile < v->n_tiles) {
		t->number = v->next_tile++;
		t->width = merkle_tile_width(v->total, 0, t->number);
		pthread_mutex_unlock(&v->lock);
		verify_tile_check(v, t);
		pthread_mutex_lock(&v->lock);
		while (v->next_merge != t->number && v->rc == 0)
			pthread_cond_wait(&v->turn, &v->lock);
		if (v->rc != 0)
			break;
		verify_tile_merge(v, t);
		v->next_merge++;
		if (v->options->stopped != NULL && v->options->stopped(v->options->arg))
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
	for (; n > 1 && started < n; started++)
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
	unsigned cosigned;
	struct note note;
	int rc;

	rc = v->source->newest(v->source->arg, &bytes);
	if (rc != 0) {
		verify_found(v, false, NO_INDEX, "the newest checkpoint cannot be read: %s", err_text(rc));
	} else if ((rc = verify_note_open(v, buf_slice(&bytes), &v->newest, &note, &v->newest_by,
	    &cosigned)) != 0) {
		verify_found(v, rc != ERR_NOMEM, NO_INDEX, rc == ERR_NOMEM ? "the newest checkpoint cannot be read: out of memory" :
		    rc == ERR_BAD_SIGNATURE ? "the newest checkpoint is not signed by a key given, nor by one that those lead to" :
		    "the newest checkpoint is not a checkpoint");
	} else {
		v->has_newest = true;
		v->newest.origin = (struct slice){0}; /* it goes with the note's bytes; keys[0] has it */
		v->summary->size = v->newest.size;
		if (cosigned < v->options->witnesses_needed)
			verify_found(v, true, NO_INDEX, "the newest checkpoint is signed by %u of the %u witnesses needed", cosigned,
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
	int rc;

	if (v->options->old_checkpoint.len == 0)
		return;
	rc = verify_note_open(v, v->options->old_checkpoint, &v->old, &note, &v->old_by, NULL);
	if (rc != 0) {
		verify_found(v, rc != ERR_NOMEM, NO_INDEX, "the old checkpoint is not one of this log under the key given: %s", err_text(rc));
		return;
	}
	v->has_old = true;
	if (!v->has_newest)
		return;
	if (v->old.size > v->newest.size) {
		verify_found(v, true, v->newest.size, "the old checkpoint is of %" PRIu64 " records, the newest of %" PRIu64
		    ": records are missing", v->old.size, v->newest.size);
		return;
	}
	rc = merkle_consistency_make(&proof, v->old.size, v->newest.size, &tiles);
	if (rc != 0)
		verify_found(v, false, NO_INDEX, "no proof from the old checkpoint to the newest can be made: %s", err_text(rc));
	else if (!merkle_consistency_holds(&proof, v->old.size, v->newest.size, &v->old.root, &v->newest.root) &&
	    !PLANTED(verify_old))
		verify_found(v, true, NO_INDEX, "the newest checkpoint does not extend the old one");
}

static int list_notes(struct verify *v)
{
	int rc;

	rc = v->source->note_sizes(v->source->arg, &v->note_sizes, &v->n_note_sizes);
	if (rc == ERR_NOMEM)
		return rc;
	if (rc != 0) {
		verify_found(v, false, NO_INDEX, "the checkpoints kept cannot be listed: %s", err_text(rc));
		return 0;
	}
	if (v->n_note_sizes > 0)
		qsort(v->note_sizes, v->n_note_sizes, sizeof(*v->note_sizes), by_size);
	return 0;
}

/* Asked for last: a log that is being written has by then all that any note read before covers. */
static void measure(struct verify *v)
{
	struct verify_summary *s = v->summary;
	int rc;

	v->total = s->size;
	if (v->source->size != NULL) {
		rc = v->source->size(v->source->arg, &v->total);
		if (rc != 0)
			verify_found(v, false, NO_INDEX, "the size of the log cannot be read: %s", err_text(rc));
	}
	if (v->has_newest && v->total > s->size)
		s->unsigned_records = v->total - s->size;
	v->n_tiles = v->total / MERKLE_TILE_WIDTH + (v->total % MERKLE_TILE_WIDTH != 0);
	if (verify_notes_above(v, v->total) < v->n_note_sizes)
		verify_found(v, true, v->total, "a checkpoint of %" PRIu64 " records was signed, there are %" PRIu64
		    ": records are missing", v->note_sizes[v->n_note_sizes - 1], v->total);
}

static void on_semantic(void *arg, bool evidence, uint64_t index, const char *text)
{
	verify_found(arg, evidence, index, "%s", text);
}

int verify_log(const struct verify_source *source, const struct verify_options *options, struct verify_summary *ret)
{
	struct verify *v = calloc(1, sizeof(*v));
	int rc;

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

	rc = list_notes(v);
	if (rc == 0)
		rc = verify_keys_follow(v);
	if (rc == 0) {
		open_newest(v);
		open_old(v);
		measure(v);
		rc = work_through(v);
	}
	if (rc == 0)
		verify_conclude(v);
	if (rc == 0 && options->semantics)
		rc = verify_semantics(source, v->total, ret, options, on_semantic, v);
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


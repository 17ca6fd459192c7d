/*
 * The tree as the tiles come in, in the order of the log.
 *
 * Two trees grow: `rebuilt` from the records, and, from the first place on
 * where a record does not have the hash stored for it, `stored` from the tiles.
 * What one of them lacks it takes from the other.
 * Which of the two leads to the signed root tells in the end what was changed.
 */
#include <inttypes.h>

#include "audit/verify_private.h"
#include "base/err.h"
#include "base/planted.h"

/* A tile of a higher level, just completed or partial at the end, against what is kept. */
static int compare_tile(void *arg, unsigned level, uint64_t number, const struct merkle_hash *hashes, unsigned n)
{
	struct verify *v = arg;
	struct merkle_hash kept[MERKLE_TILE_WIDTH];
	uint64_t covers = UINT64_C(1) << (8 * level);
	int rc;

	if (level == 0 || PLANTED(verify_tile)) /* was compared hash by hash */
		return 0;
	rc = v->source->hashes(v->source->arg, level, number, n, kept);
	if (rc == ERR_MALFORMED) {
		verify_found(v, true, number * MERKLE_TILE_WIDTH * covers, "tile %" PRIu64 " of level %u has not the length of its hashes",
		    number, level);
	} else if (rc != 0) {
		verify_found(v, false, NO_INDEX, "tile %" PRIu64 " of level %u cannot be read: %s", number, level, err_text(rc));
	} else {
		v->summary->tiles++;
		for (unsigned i = 0; i < n; i++) {
			uint64_t first = (number * MERKLE_TILE_WIDTH + i) * covers;

			if (merkle_hash_eq(&hashes[i], &kept[i]))
				continue;
			verify_found(v, true, v->summary->has_bad && v->summary->first_bad < first + covers ? NO_INDEX : first,
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

static void add_leaf(struct verify *v, const struct verify_tile *t, unsigned i)
{
	bool has_leaf = t->has_leaf[i], has_stored = t->has_stored;
	const struct merkle_hash *leaf = has_leaf ? &t->leaves[i] : &t->stored[i];
	const struct merkle_hash *stored = has_stored ? &t->stored[i] : &t->leaves[i];

	if (!has_leaf && !has_stored)
		v->hole = true; /* no tree any more: zeros keep the count */
	if (!has_leaf)
		v->rebuilt_gap = true;
	if (!v->split && has_leaf && has_stored && !merkle_hash_eq(leaf, stored)) {
		v->stored = v->rebuilt;
		v->split = true;
	}
	merkle_builder_add(&v->rebuilt, leaf, v->split || v->hole ? ignore_tile : compare_tile, v);
	if (v->split)
		merkle_builder_add(&v->stored, stored, v->hole ? ignore_tile : compare_tile, v);
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

/* A key that was retired may not be the only one to sign. */
static void check_signers(struct verify *v, const char *which, uint64_t size, uint64_t by)
{
	if ((by & ~v->retired) == 0)
		verify_found(v, true, size > 0 ? size - 1 : NO_INDEX, "the %s checkpoint of size %" PRIu64
		    " is signed only by a key that record %" PRIu64 " retired", which, size, v->retired_at);
}

static void compare_newest(struct verify *v)
{
	struct merkle_hash root;

	check_signers(v, "newest", v->newest.size, v->newest_by);

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

	check_signers(v, "old", v->old.size, v->old_by);
	merkle_edge_root(&root, &v->rebuilt.edge);
	if (!merkle_hash_eq(&root, &v->old.root) && !v->rebuilt_gap && !PLANTED(verify_old))
		verify_found(v, true, suspect(v, v->old.size),
		    "the records do not have the root of the old checkpoint at its size %" PRIu64, v->old.size);
}

static void compare_note(struct verify *v, const struct verify_tile *t, unsigned i)
{
	struct merkle_hash root;

	check_signers(v, "kept", t->notes[i].size, t->notes[i].by);
	merkle_edge_root(&root, &v->rebuilt.edge);
	v->summary->checkpoints++;
	if (!merkle_hash_eq(&root, &t->notes[i].root) && !v->rebuilt_gap && v->disagreed == 0 && !PLANTED(verify_root))
		verify_found(v, true, suspect(v, t->notes[i].size),
		    "the records do not have the root of the checkpoint of size %" PRIu64 "; they did at %" PRIu64,
		    t->notes[i].size, v->agreed);
	compare_root(v, &t->notes[i].root, t->notes[i].size);
	if (t->notes[i].cosigned_at != 0 && t->notes[i].cosigned_at < v->last_cosigned_at)
		verify_found(v, true, NO_INDEX, "the checkpoint of size %" PRIu64 " was witnessed before a shorter one", t->notes[i].size);
	if (t->notes[i].cosigned_at != 0)
		v->last_cosigned_at = t->notes[i].cosigned_at;
}

void verify_tile_merge(struct verify *v, const struct verify_tile *t)
{
	struct verify_summary *s = v->summary;
	unsigned note = 0, retirement = 0;

	s->bytes += t->bytes;
	s->records += t->records;
	s->blobs += t->blobs;
	s->blob_bytes += t->blob_bytes;
	s->once_keys += t->once_keys;
	s->tiles += t->has_stored;
	s->n_unknown += t->n_unknown;
	s->n_evidence += t->n_evidence;
	if (t->n_evidence > 0 && (!s->has_bad || t->first_bad < s->first_bad)) {
		s->has_bad = true;
		s->first_bad = t->first_bad;
	}
	for (unsigned i = 0; i < t->n_findings; i++)
		verify_tell(v, &t->findings[i]);
	v->n_told += t->n_evidence + t->n_unknown - t->n_findings;
	if (t->first_us != INT64_MIN) {
		if (t->first_us < v->last_us)
			verify_found(v, true, t->number * MERKLE_TILE_WIDTH, "the time of record %" PRIu64 " is before that of the one before",
			    t->number * MERKLE_TILE_WIDTH);
		v->last_us = t->last_us;
	}
	for (unsigned i = 0; i < t->width; i++) {
		uint64_t size;

		add_leaf(v, t, i);
		size = v->rebuilt.edge.size;
		for (; retirement < t->n_retirements && t->retirements[retirement].index < size; retirement++) {
			v->retired |= t->retirements[retirement].keys;
			v->retired_at = t->retirements[retirement].index;
		}
		/* The auditor's own first: what the log's notes say at that size is no excuse. */
		if (v->has_old && v->old.size == size)
			compare_old(v);
		for (; note < t->n_notes && t->notes[note].size <= size; note++)
			compare_note(v, t, note);
		if (v->has_newest && v->newest.size == size)
			compare_newest(v);
	}
	if (v->options->on_progress != NULL)
		v->options->on_progress(v->options->arg, s, v->rebuilt.edge.size, v->total);
}

void verify_conclude(struct verify *v)
{
	merkle_builder_flush(&v->rebuilt, v->split || v->hole ? ignore_tile : compare_tile, v);
	if (v->split)
		merkle_builder_flush(&v->stored, v->hole ? ignore_tile : compare_tile, v);
	if (!v->has_newest)
		return;
	if (v->newest.size == 0)
		compare_newest(v);
	if (!v->newest_seen) {
		verify_found(v, true, v->rebuilt.edge.size, "records from %" PRIu64 " on are missing", v->rebuilt.edge.size);
		return;
	}
	if (v->hole && v->summary->n_unknown > 0)
		return; /* that was told, and is not evidence of anything */
	if (v->split && v->newest_rebuilt)
		verify_found(v, true, NO_INDEX, "the records lead to the signed root and the tiles do not: the tiles were damaged");
	else if (v->split && v->newest_stored)
		verify_found(v, true, NO_INDEX, "the tiles lead to the signed root and the records do not: the records named were altered");
	else if (v->split)
		verify_found(v, true, NO_INDEX, "neither records nor tiles lead to the signed root");
	else if (!v->newest_rebuilt && !v->rebuilt_gap)
		verify_found(v, true, suspect(v, v->newest.size), "records and tiles agree, but do not lead to the signed root: history was rewritten, "
		    "somewhere from record %" PRIu64 " on", v->agreed);
	else if (!v->newest_rebuilt)
		verify_found(v, true, NO_INDEX, "the hashes that can be read do not lead to the signed root");
}

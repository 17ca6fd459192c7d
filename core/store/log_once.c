/* The runs of once keys. See log_once.h; log_format.h has the tables. */
#include "store/log_once.h"

#include <stdio.h>

#include "base/err.h"
#include "store/log_format.h"
#include "store/log_mdb.h"

#define RUN_KEYS 65536
#define RUNS_MERGED 4
/*
 * Keys a merge brings forward with a batch, for each key of it. The sources of a merge come in while as many keys
 * are added as it has, so with 1 it would be done just when the next is due.
 */
#define MERGE_PACE 2

#define RUN_LEN 24 /* of one run in the list of them */
#define PLACE_LEN 8

/* A page that belongs to a big value alone has room for this much of it. */
#define PIECE_LEN 4032
#define BLOCK_LEN 64 /* a line of the processor's cache */
#define KEY_BITS 6
#define PIECE_KEYS 2688 /* 12 bits each: about one key in a hundred that is not in the run seems to be */

/* ---- which runs there are ------------------------------------------------- */

static const MDB_val list_key = {.mv_size = 9, .mv_data = (void *)(uintptr_t)"once runs"};

static bool run_get(struct once_run *ret, const uint8_t *at)
{
	*ret = (struct once_run){.kind = (enum once_run_kind)at[0], .level = at[1], .pieces = (uint32_t)get_le(at + 4, 4),
	    .keys = get_le(at + 8, 8), .sources = get_le(at + 16, 8)};
	return at[0] <= RUN_IN_WORK;
}

static void run_put(uint8_t *at, const struct once_run *run)
{
	at[0] = (uint8_t)run->kind;
	at[1] = (uint8_t)run->level;
	put_le(at + 2, 0, 2);
	put_le(at + 4, run->pieces, 4);
	put_le(at + 8, run->keys, 8);
	put_le(at + 16, run->sources, 8);
}

/* The list as it lies in the map; ERR_NOT_FOUND before the first key. */
static int list_get(const struct log_once *o, MDB_txn *txn, const uint8_t **ret)
{
	MDB_val key = list_key, value;
	int rc = mdb_err(mdb_get(txn, o->meta, &key, &value));

	if (rc == 0 && value.mv_size != (size_t)ONCE_RUNS_MAX * RUN_LEN)
		return ERR_CORRUPT;
	*ret = rc == 0 ? value.mv_data : NULL;
	return rc;
}

static int runs_get(const struct log_once *o, MDB_txn *txn, struct once_run ret[ONCE_RUNS_MAX])
{
	const uint8_t *list;
	int rc = list_get(o, txn, &list);

	memset(ret, 0, ONCE_RUNS_MAX * sizeof(*ret));
	if (rc != 0)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	for (unsigned i = 0; i < ONCE_RUNS_MAX; i++) {
		if (!run_get(&ret[i], list + (size_t)i * RUN_LEN))
			return ERR_CORRUPT;
	}
	return 0;
}

static int runs_put(const struct log_once *o, MDB_txn *txn, const struct once_run runs[ONCE_RUNS_MAX])
{
	uint8_t list[ONCE_RUNS_MAX * RUN_LEN];
	MDB_val key = list_key, value = val_of(list, sizeof(list));

	for (unsigned i = 0; i < ONCE_RUNS_MAX; i++)
		run_put(list + (size_t)i * RUN_LEN, &runs[i]);
	return mdb_err(mdb_put(txn, o->meta, &key, &value, 0));
}

static bool answers(const struct once_run *run)
{
	return run->kind == RUN_YOUNG || run->kind == RUN_WHOLE;
}

int log_once_open(struct log_once *o, MDB_txn *txn, MDB_dbi meta)
{
	int rc = log_table(txn, "once_filters", &o->filters);

	o->meta = meta;
	o->run_keys = RUN_KEYS;
	for (unsigned i = 0; rc == 0 && i < ONCE_RUNS_MAX; i++) {
		char name[sizeof("once_00")];

		snprintf(name, sizeof(name), "once_%02u", i % 100);
		rc = log_table(txn, name, &o->runs[i]);
	}
	return rc;
}

/* ---- filters ---------------------------------------------------------------- */

/* Once keys are hashes: their own bits are as good as any made of them. */
static uint32_t key_bits(const uint8_t *key, unsigned at)
{
	return (uint32_t)key[at] << 24 | (uint32_t)key[at + 1] << 16 | (uint32_t)key[at + 2] << 8 | key[at + 3];
}

/* Pieces follow the order of the keys, so that a run written in order writes its filter in order. */
static uint32_t piece_of(const uint8_t *key, uint32_t n_pieces)
{
	return (uint32_t)((uint64_t)key_bits(key, 0) * n_pieces >> 32);
}

static size_t block_of(const uint8_t *key)
{
	return (size_t)((uint64_t)key_bits(key, 4) * (PIECE_LEN / BLOCK_LEN) >> 32) * BLOCK_LEN;
}

static unsigned bit_of(const uint8_t *key, unsigned i)
{
	return (unsigned)(key[8 + 2 * i] << 8 | key[9 + 2 * i]) % (BLOCK_LEN * 8);
}

static void piece_key(uint8_t ret[5], unsigned run, uint32_t piece)
{
	ret[0] = (uint8_t)run;
	put_be32(ret + 1, piece);
}

static int piece_get(const struct log_once *o, MDB_txn *txn, unsigned run, uint32_t piece, const uint8_t **ret)
{
	uint8_t name[5];
	MDB_val key = val_of(name, sizeof(name)), value;
	int rc;

	piece_key(name, run, piece);
	rc = mdb_err(mdb_get(txn, o->filters, &key, &value));
	if (rc == 0 && value.mv_size != PIECE_LEN)
		return ERR_CORRUPT;
	*ret = rc == 0 ? value.mv_data : NULL;
	return rc;
}

/* The part of a run's filter that tells of this key; NULL: nothing was written to its piece, so the key is not there. */
static int block_get(const struct log_once *o, MDB_txn *txn, unsigned run, uint32_t n_pieces, const uint8_t *key,
    const uint8_t **ret)
{
	const uint8_t *piece;
	int rc = piece_get(o, txn, run, piece_of(key, n_pieces), &piece);

	*ret = rc == 0 ? piece + block_of(key) : NULL;
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* False: the key is not in the run of this block. */
static bool may_have(const uint8_t *block, const uint8_t *key)
{
	for (unsigned i = 0; i < KEY_BITS; i++) {
		unsigned bit = bit_of(key, i);

		if ((block[bit / 8] >> bit % 8 & 1) == 0)
			return false;
	}
	return true;
}

/* The filter of a run while keys are added to it in their order: one piece at a time. */
struct filtering {
	const struct log_once *o;
	MDB_txn *txn;
	unsigned run;
	uint32_t n_pieces, piece;
	bool begun; /* `bytes` are those of `piece` */
	uint8_t bytes[PIECE_LEN];
};

static int filter_flush(struct filtering *f)
{
	uint8_t name[5];
	MDB_val key = val_of(name, sizeof(name)), value = val_of(f->bytes, sizeof(f->bytes));

	if (!f->begun)
		return 0;
	f->begun = false;
	piece_key(name, f->run, f->piece);
	return mdb_err(mdb_put(f->txn, f->o->filters, &key, &value, 0));
}

static int filter_turn(struct filtering *f, uint32_t piece)
{
	const uint8_t *bytes;
	int rc = filter_flush(f);

	if (rc == 0)
		rc = piece_get(f->o, f->txn, f->run, piece, &bytes); /* begun with a batch before */
	if (rc == ERR_NOT_FOUND)
		memset(f->bytes, 0, sizeof(f->bytes));
	else if (rc == 0)
		memcpy(f->bytes, bytes, sizeof(f->bytes));
	else
		return rc;
	f->piece = piece;
	f->begun = true;
	return 0;
}

static int filter_add(struct filtering *f, const uint8_t *key)
{
	uint32_t piece = piece_of(key, f->n_pieces);
	uint8_t *block;
	int rc = f->begun && f->piece == piece ? 0 : filter_turn(f, piece);

	if (rc != 0)
		return rc;
	block = f->bytes + block_of(key);
	for (unsigned i = 0; i < KEY_BITS; i++) {
		unsigned bit = bit_of(key, i);

		block[bit / 8] = (uint8_t)(block[bit / 8] | 1u << bit % 8);
	}
	return 0;
}

static int filter_remove(const struct log_once *o, MDB_txn *txn, unsigned run, uint32_t n_pieces)
{
	uint8_t name[5];
	MDB_val key = val_of(name, sizeof(name));
	int rc = 0;

	for (uint32_t piece = 0; rc == 0 && piece < n_pieces; piece++) {
		piece_key(name, run, piece);
		rc = mdb_err(mdb_del(txn, o->filters, &key, NULL));
		if (rc == ERR_NOT_FOUND)
			rc = 0; /* no key fell into this one */
	}
	return rc;
}

/* ---- walking several runs at once -------------------------------------------- */

static int walk_step(struct log_once_walk *w, unsigned i, MDB_cursor_op op)
{
	int rc = mdb_err(mdb_cursor_get(w->cursors[i], &w->keys[i], &w->values[i], op));

	if (rc == ERR_NOT_FOUND) {
		mdb_cursor_close(w->cursors[i]);
		w->n--;
		w->cursors[i] = w->cursors[w->n];
		w->keys[i] = w->keys[w->n];
		w->values[i] = w->values[w->n];
		w->cursors[w->n] = NULL;
		return ERR_NOT_FOUND;
	}
	if (rc == 0 && (w->keys[i].mv_size != ONCE_KEY_LEN || w->values[i].mv_size != PLACE_LEN))
		return ERR_CORRUPT;
	return rc;
}

/* From the first key of a run that comes after `after` (NULL: its first). */
static int walk_add(struct log_once_walk *w, MDB_txn *txn, MDB_dbi run, const uint8_t *after)
{
	unsigned i = w->n;
	int rc = mdb_err(mdb_cursor_open(txn, run, &w->cursors[i]));

	if (rc != 0) {
		w->cursors[i] = NULL;
		return rc;
	}
	w->n++;
	if (after != NULL)
		w->keys[i] = val_of(after, ONCE_KEY_LEN);
	rc = walk_step(w, i, after == NULL ? MDB_FIRST : MDB_SET_RANGE);
	if (rc == 0 && after != NULL && memcmp(w->keys[i].mv_data, after, ONCE_KEY_LEN) == 0)
		rc = walk_step(w, i, MDB_NEXT);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

int log_once_walk_next(struct log_once_walk *w, MDB_val *ret_key, MDB_val *ret_value)
{
	unsigned least = 0, i = 0;

	if (w->n == 0)
		return ERR_NOT_FOUND;
	for (unsigned k = 1; k < w->n; k++) {
		int order = memcmp(w->keys[k].mv_data, w->keys[least].mv_data, ONCE_KEY_LEN);

		if (order < 0 || (order == 0 && get_le(w->values[k].mv_data, 8) > get_le(w->values[least].mv_data, 8)))
			least = k;
	}
	*ret_key = w->keys[least];
	*ret_value = w->values[least];
	/* What was given stays where it is in the map; the cursors go on. */
	while (i < w->n) {
		int rc = 0;

		if (memcmp(w->keys[i].mv_data, ret_key->mv_data, ONCE_KEY_LEN) == 0) {
			rc = walk_step(w, i, MDB_NEXT);
			if (rc == ERR_NOT_FOUND)
				continue; /* another took its place in the list */
			if (rc != 0)
				return rc;
		}
		i++;
	}
	return 0;
}

int log_once_walk_begin(struct log_once_walk *w, const struct log_once *o, MDB_txn *txn)
{
	struct once_run runs[ONCE_RUNS_MAX];
	int rc = runs_get(o, txn, runs);

	w->n = 0;
	for (unsigned i = 0; rc == 0 && i < ONCE_RUNS_MAX; i++) {
		if (answers(&runs[i]))
			rc = walk_add(w, txn, o->runs[i], NULL);
	}
	return rc;
}

void log_once_walk_end(struct log_once_walk *w)
{
	while (w->n > 0)
		mdb_cursor_close(w->cursors[--w->n]);
}

/* ---- looking up --------------------------------------------------------------- */

/* A run that may have the key: by its filter, of which `block` is the part to look at; NULL: it is young and has none. */
struct candidate {
	unsigned run;
	const uint8_t *block;
};

/*
 * Of the runs that answer, those whose filter has anything there. The blocks lie all over memory: they are asked for
 * together, so that looking at them is one wait for it and not one for each.
 */
static int candidates_of(const struct log_once *o, MDB_txn *txn, const uint8_t *key, struct candidate ret[ONCE_RUNS_MAX],
    unsigned *ret_n)
{
	const uint8_t *list;
	int rc = list_get(o, txn, &list);

	*ret_n = 0;
	for (unsigned i = 0; rc == 0 && i < ONCE_RUNS_MAX; i++, list += RUN_LEN) {
		struct candidate c = {.run = i};
		struct once_run run;

		if (list[0] == RUN_NONE || list[0] == RUN_IN_WORK)
			continue;
		if (!run_get(&run, list))
			return ERR_CORRUPT;
		if (run.pieces > 0) {
			rc = block_get(o, txn, i, run.pieces, key, &c.block);
			if (c.block == NULL)
				continue;
			__builtin_prefetch(c.block);
		}
		ret[(*ret_n)++] = c;
	}
	return rc;
}

/* Looks into one run: ERR_NOT_FOUND when it is not there. */
static int run_find(const struct log_once *o, MDB_txn *txn, unsigned run, const uint8_t key[ONCE_KEY_LEN],
    uint64_t *ret_place)
{
	MDB_val k = val_of(key, ONCE_KEY_LEN), v;
	int rc = mdb_err(mdb_get(txn, o->runs[run], &k, &v));

	if (rc == 0 && v.mv_size != PLACE_LEN)
		return ERR_CORRUPT;
	if (rc == 0)
		*ret_place = get_le(v.mv_data, PLACE_LEN);
	return rc;
}

/* The writer asks for every event: the list is read where it lies. */
int log_once_find(const struct log_once *o, MDB_txn *txn, const uint8_t key[ONCE_KEY_LEN], uint64_t *ret_place)
{
	struct candidate candidates[ONCE_RUNS_MAX];
	unsigned n;
	int rc = candidates_of(o, txn, key, candidates, &n);

	for (unsigned i = 0; rc == 0 && i < n; i++) {
		if (candidates[i].block != NULL && !may_have(candidates[i].block, key))
			continue;
		rc = run_find(o, txn, candidates[i].run, key, ret_place);
		if (rc != ERR_NOT_FOUND)
			return rc;
		rc = 0;
	}
	return rc != 0 ? rc : ERR_NOT_FOUND;
}

int log_once_count(const struct log_once *o, MDB_txn *txn, uint64_t *ret_n)
{
	struct once_run runs[ONCE_RUNS_MAX];
	int rc = runs_get(o, txn, runs);

	*ret_n = 0;
	for (unsigned i = 0; rc == 0 && i < ONCE_RUNS_MAX; i++) {
		if (answers(&runs[i]))
			*ret_n += runs[i].keys;
	}
	return rc;
}

/* ---- adding -------------------------------------------------------------------- */

#define NOWHERE ONCE_RUNS_MAX

static unsigned first_of(const struct once_run runs[ONCE_RUNS_MAX], enum once_run_kind kind)
{
	unsigned i = 0;

	while (i < ONCE_RUNS_MAX && runs[i].kind != kind)
		i++;
	return i;
}

int log_once_begin(struct log_once_batch *ret, const struct log_once *o, MDB_txn *txn)
{
	*ret = (struct log_once_batch){.o = o, .txn = txn};
	return runs_get(o, txn, ret->runs);
}

int log_once_put(struct log_once_batch *b, const uint8_t key[ONCE_KEY_LEN], uint64_t place)
{
	unsigned young = first_of(b->runs, RUN_YOUNG);
	uint8_t bytes[PLACE_LEN];
	MDB_val k = val_of(key, ONCE_KEY_LEN), v = val_of(bytes, sizeof(bytes));
	int rc;

	if (young == NOWHERE) {
		young = first_of(b->runs, RUN_NONE); /* end() leaves one */
		if (young == NOWHERE)
			return ERR_CORRUPT;
		b->runs[young] = (struct once_run){.kind = RUN_YOUNG};
	}
	put_le(bytes, place, PLACE_LEN);
	rc = mdb_err(mdb_put(b->txn, b->o->runs[young], &k, &v, MDB_NOOVERWRITE));
	if (rc == ERR_EXISTS) {
		v = val_of(bytes, sizeof(bytes));
		return mdb_err(mdb_put(b->txn, b->o->runs[young], &k, &v, 0));
	}
	if (rc == 0) {
		b->runs[young].keys++;
		b->n_added++;
	}
	return rc;
}

static uint32_t pieces_for(uint64_t keys)
{
	return (uint32_t)(keys / PIECE_KEYS + 1);
}

/* The young run gets its filter. */
static int close_young(struct log_once_batch *b, unsigned young)
{
	struct once_run *run = &b->runs[young];
	struct filtering f = {.o = b->o, .txn = b->txn, .run = young, .n_pieces = pieces_for(run->keys)};
	struct log_once_walk w = {.n = 0};
	int rc = walk_add(&w, b->txn, b->o->runs[young], NULL);

	while (rc == 0) {
		uint8_t copy[ONCE_KEY_LEN]; /* its page may be one of this transaction's, and be moved by a put */
		MDB_val key, value;

		rc = log_once_walk_next(&w, &key, &value);
		if (rc == 0) {
			memcpy(copy, key.mv_data, sizeof(copy));
			rc = filter_add(&f, copy);
		}
	}
	log_once_walk_end(&w);
	if (rc == ERR_NOT_FOUND)
		rc = filter_flush(&f);
	run->kind = RUN_WHOLE;
	run->pieces = f.n_pieces;
	return rc;
}

/* Begins a run of the next level when there are runs enough for one, and room. */
static void merge_begin(struct log_once_batch *b, unsigned level)
{
	struct once_run made = {.kind = RUN_IN_WORK, .level = level + 1};
	unsigned n = 0, at = first_of(b->runs, RUN_NONE);
	uint64_t keys = 0;

	for (unsigned i = 0; i < ONCE_RUNS_MAX && n < RUNS_MERGED; i++) {
		if (b->runs[i].kind != RUN_WHOLE || b->runs[i].level != level)
			continue;
		made.sources |= UINT64_C(1) << i;
		keys += b->runs[i].keys;
		n++;
	}
	if (n < RUNS_MERGED || at == NOWHERE)
		return;
	made.pieces = pieces_for(keys);
	b->runs[at] = made;
}

/* The run is whole: what it was made of goes. */
static int merge_end(struct log_once_batch *b, struct once_run *made)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < ONCE_RUNS_MAX; i++) {
		if ((made->sources >> i & 1) == 0)
			continue;
		rc = mdb_err(mdb_drop(b->txn, b->o->runs[i], 0));
		if (rc == 0)
			rc = filter_remove(b->o, b->txn, i, b->runs[i].pieces);
		b->runs[i] = (struct once_run){0};
	}
	made->kind = RUN_WHOLE;
	made->sources = 0;
	return rc;
}

/* Where a run in work ends: its last key, if it has any. */
static int last_of(struct log_once_batch *b, unsigned run, uint8_t ret[ONCE_KEY_LEN], bool *ret_any)
{
	MDB_cursor *cursor;
	MDB_val key;
	int rc = mdb_err(mdb_cursor_open(b->txn, b->o->runs[run], &cursor));

	if (rc != 0)
		return rc;
	rc = mdb_err(mdb_cursor_get(cursor, &key, NULL, MDB_LAST));
	*ret_any = rc == 0;
	if (rc == 0 && key.mv_size == ONCE_KEY_LEN)
		memcpy(ret, key.mv_data, ONCE_KEY_LEN);
	else if (rc == 0)
		rc = ERR_CORRUPT;
	mdb_cursor_close(cursor);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int merge_on(struct log_once_batch *b, unsigned at, uint64_t n)
{
	struct once_run *made = &b->runs[at];
	struct filtering f = {.o = b->o, .txn = b->txn, .run = at, .n_pieces = made->pieces};
	struct log_once_walk w = {.n = 0};
	MDB_cursor *out = NULL;
	uint8_t last[ONCE_KEY_LEN];
	bool any = false, whole = false;
	int rc = last_of(b, at, last, &any);

	for (unsigned i = 0; rc == 0 && i < ONCE_RUNS_MAX; i++) {
		if ((made->sources >> i & 1) != 0)
			rc = walk_add(&w, b->txn, b->o->runs[i], any ? last : NULL);
	}
	if (rc == 0)
		rc = mdb_err(mdb_cursor_open(b->txn, b->o->runs[at], &out));
	/* The sources were whole before this transaction: what is found in them stays where it is. */
	for (; rc == 0 && n > 0; n--) {
		MDB_val key, value;

		rc = log_once_walk_next(&w, &key, &value);
		whole = rc == ERR_NOT_FOUND;
		if (rc == 0)
			rc = filter_add(&f, key.mv_data);
		if (rc == 0)
			rc = mdb_err(mdb_cursor_put(out, &key, &value, MDB_APPEND));
		if (rc == 0)
			made->keys++;
	}
	if (out != NULL)
		mdb_cursor_close(out);
	log_once_walk_end(&w);
	if (rc == 0 || whole)
		rc = filter_flush(&f);
	if (rc == ERR_EXISTS)
		return ERR_CORRUPT; /* keys without order */
	return rc == 0 && whole ? merge_end(b, made) : rc;
}

static unsigned in_work(const struct once_run runs[ONCE_RUNS_MAX], unsigned level)
{
	unsigned i = 0;

	while (i < ONCE_RUNS_MAX && !(runs[i].kind == RUN_IN_WORK && runs[i].level == level))
		i++;
	return i;
}

int log_once_end(struct log_once_batch *b)
{
	unsigned young = first_of(b->runs, RUN_YOUNG), top = 0;
	int rc = 0;

	/* A slot stays free for the next young run. */
	if (young != NOWHERE && b->runs[young].keys >= b->o->run_keys && first_of(b->runs, RUN_NONE) != NOWHERE)
		rc = close_young(b, young);
	for (unsigned i = 0; i < ONCE_RUNS_MAX; i++)
		top = b->runs[i].level > top ? b->runs[i].level : top;
	for (unsigned level = 0; rc == 0 && level <= top; level++) {
		unsigned at = in_work(b->runs, level + 1);

		if (at != NOWHERE)
			rc = merge_on(b, at, b->n_added * MERGE_PACE);
		else
			merge_begin(b, level);
	}
	return rc == 0 ? runs_put(b->o, b->txn, b->runs) : rc;
}

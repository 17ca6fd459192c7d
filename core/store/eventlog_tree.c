/*
 * The event log's Merkle tree on disk, and the notes signed about it.
 *
 * Level l of the tiles is one long row of hashes, cut into chunks of 16; the
 * last chunk of each level is in the writer's memory and is put again by every
 * commit that lengthened it.
 */
#include "store/eventlog_private.h"

#include <assert.h>

#include "store/log_format.h"

_Static_assert(MERKLE_TILE_WIDTH % TILE_CHUNK == 0, "a tile is whole chunks");

static void chunk_key(uint8_t key[9], unsigned level, uint64_t chunk)
{
	key[0] = (uint8_t)(255 - level);
	put_be64(key + 1, chunk);
}

/* ---- writing ------------------------------------------------------------ */

static int chunk_put(struct eventlog *log, unsigned level)
{
	uint64_t count = log->tree->levels[level].count;
	uint64_t chunk = (count - 1) / TILE_CHUNK;
	size_t n = (size_t)(count - chunk * TILE_CHUNK);
	uint8_t key[9];
	MDB_val k = val_of(key, sizeof(key));
	MDB_val v = val_of(log->tree->levels[level].hashes, n * MERKLE_HASH_LEN);

	assert(count > 0 && n <= TILE_CHUNK);
	chunk_key(key, level, chunk);
	log->tree->levels[level].changed = false;
	return mdb_err(mdb_put(log->txn, log->tiles, &k, &v, 0));
}

int log_tiles_add(struct eventlog *log, const struct merkle_hash *leaf)
{
	struct merkle_hash gained[MERKLE_LEVELS];
	unsigned n = merkle_edge_add(&log->tree->edge, leaf, gained);
	int rc = 0;

	for (unsigned level = 0; rc == 0 && level < n; level++) {
		uint64_t count = log->tree->levels[level].count++;

		log->tree->levels[level].hashes[count % TILE_CHUNK] = gained[level];
		log->tree->levels[level].changed = true;
		if (count % TILE_CHUNK == TILE_CHUNK - 1)
			rc = chunk_put(log, level);
	}
	return rc;
}

int log_tiles_flush(struct eventlog *log)
{
	int rc = 0;

	for (unsigned level = 0; rc == 0 && level < MERKLE_LEVELS; level++) {
		if (log->tree->levels[level].changed)
			rc = chunk_put(log, level);
	}
	return rc;
}

/* ---- reading ------------------------------------------------------------ */

int log_tiles_read(struct eventlog *log, MDB_txn *txn, unsigned level, uint64_t number, unsigned first,
    unsigned n, struct merkle_hash *ret)
{
	uint64_t at = number * MERKLE_TILE_WIDTH + first, end = at + n;

	while (at < end) {
		unsigned skip = (unsigned)(at % TILE_CHUNK);
		unsigned take = TILE_CHUNK - skip;
		uint8_t key[9];
		MDB_val k = val_of(key, sizeof(key)), v;
		int rc;

		if (take > end - at)
			take = (unsigned)(end - at);
		chunk_key(key, level, at / TILE_CHUNK);
		rc = mdb_err(mdb_get(txn, log->tiles, &k, &v));
		if (rc != 0)
			return rc;
		if (v.mv_size % MERKLE_HASH_LEN != 0 || v.mv_size > TILE_CHUNK * MERKLE_HASH_LEN)
			return ERR_CORRUPT;
		if (v.mv_size < (skip + take) * MERKLE_HASH_LEN)
			return ERR_NOT_FOUND;
		memcpy(ret, (const struct merkle_hash *)v.mv_data + skip, take * MERKLE_HASH_LEN);
		ret += take;
		at += take;
	}
	return 0;
}

static int tiles_read(void *arg, unsigned level, uint64_t number, unsigned first, unsigned n,
    struct merkle_hash *ret_hashes)
{
	struct eventlog *log = arg;
	MDB_txn *txn = NULL;
	int rc;

	rc = log_env_read(&log->env, &txn);
	if (rc == 0)
		rc = log_tiles_read(log, txn, level, number, first, n, ret_hashes);
	log_env_done(&log->env, &txn);
	return rc;
}

struct tile_reader eventlog_tiles(struct eventlog *log)
{
	return (struct tile_reader){.read = tiles_read, .arg = log};
}

struct in_txn {
	struct eventlog *log;
	MDB_txn *txn;
};

static int tiles_read_in_txn(void *arg, unsigned level, uint64_t number, unsigned first, unsigned n,
    struct merkle_hash *ret_hashes)
{
	struct in_txn *in = arg;

	return log_tiles_read(in->log, in->txn, level, number, first, n, ret_hashes);
}

int log_tiles_load(struct eventlog *log, MDB_txn *txn, uint64_t size)
{
	struct in_txn in = {log, txn};
	struct tile_reader tiles = {.read = tiles_read_in_txn, .arg = &in};
	int rc;

	*log->tree = (struct log_tiles){0};
	rc = merkle_edge_load(&log->tree->edge, size, &tiles);
	for (unsigned level = 0; rc == 0 && level < MERKLE_LEVELS; level++) {
		uint64_t count = size >> (8 * level);
		unsigned n = (unsigned)(count % TILE_CHUNK);

		log->tree->levels[level].count = count;
		if (n > 0)
			rc = log_tiles_read(log, txn, level, count / MERKLE_TILE_WIDTH,
			    (unsigned)(count % MERKLE_TILE_WIDTH) - n, n, log->tree->levels[level].hashes);
	}
	return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
}

void eventlog_root(struct eventlog *log, uint64_t *ret_size, struct merkle_hash *ret_root)
{
	struct merkle_edge edge;

	if (log->readonly) {
		struct tile_reader tiles = eventlog_tiles(log);
		uint64_t size = eventlog_size(log);

		*ret_size = size;
		if (merkle_root(ret_root, size, &tiles) == 0)
			return;
		*ret_size = 0; /* a tree that cannot be read is told as an empty one; verifying finds out why */
		merkle_edge_root(ret_root, &(struct merkle_edge){0});
		return;
	}
	pthread_mutex_lock(&log->state_lock);
	edge = log->edge;
	pthread_mutex_unlock(&log->state_lock);
	*ret_size = edge.size;
	merkle_edge_root(ret_root, &edge);
}

/* ---- notes -------------------------------------------------------------- */

static int note_get(struct eventlog *log, uint64_t from, MDB_cursor_op op, uint64_t *ret_size,
    struct buf *ret_note)
{
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;
	uint8_t place[8];
	MDB_val key = val_of(place, sizeof(place)), value;
	int rc;

	put_be64(place, from);
	rc = log_env_read(&log->env, &txn);
	if (rc != 0)
		return rc;
	rc = mdb_err(mdb_cursor_open(txn, log->notes, &cursor));
	if (rc == 0)
		rc = mdb_err(mdb_cursor_get(cursor, &key, &value, op));
	if (rc == 0 && key.mv_size != sizeof(place))
		rc = ERR_CORRUPT;
	if (rc == 0)
		rc = buf_append(ret_note, val_slice(value));
	if (rc == 0)
		*ret_size = get_be64(key.mv_data);
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	log_env_done(&log->env, &txn);
	return rc;
}

int eventlog_next_note(struct eventlog *log, uint64_t from, uint64_t *ret_size, struct buf *ret_note)
{
	return note_get(log, from, MDB_SET_RANGE, ret_size, ret_note);
}

int eventlog_last_note(struct eventlog *log, uint64_t *ret_size, struct buf *ret_note)
{
	return note_get(log, 0, MDB_LAST, ret_size, ret_note);
}

int eventlog_put_note(struct eventlog *log, uint64_t size, struct slice note)
{
	struct append append = {.note = note, .note_size = size};

	if (note.len == 0 || note.len > 65536)
		return ERR_INVALID;
	return eventlog_append_wait(log, &append);
}

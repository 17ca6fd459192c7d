/*
 * The log of a data directory as the verifier reads it: DATA/log, an LMDB
 * environment (the layout is written down in core/store/log_format.h; this file
 * shares no code with it). Read-only; a running server is not disturbed, as
 * every transaction ends with the tile it was for.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <lmdb.h>

#include "audit/verify.h"
#include "base/err.h"

#define HEADER_LEN 32
#define CHUNK 16 /* hashes */
#define FORMAT 1
#define HEADS_LEN (2 * 4096) /* the least, with the smallest pages */

struct data {
	MDB_env *env;
	MDB_dbi entries, blobs, tiles, notes;
};

static int translate(int code)
{
	if (code == 0)
		return 0;
	if (code == MDB_NOTFOUND)
		return ERR_NOT_FOUND;
	if (code == MDB_VERSION_MISMATCH || code == MDB_INVALID)
		return ERR_VERSION;
	if (code > 0)
		return err_from_errno(code);
	return code == MDB_READERS_FULL ? ERR_BUSY : ERR_CORRUPT;
}

static void put_be64(uint8_t *at, uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		at[i] = (uint8_t)value;
}

static uint64_t get_be64(const void *from)
{
	const uint8_t *at = from;
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | at[i];
	return value;
}

static MDB_val value_of(void *bytes, size_t len)
{
	return (MDB_val){.mv_size = len, .mv_data = bytes};
}

static int begin(struct data *d, MDB_txn **ret_txn)
{
	return translate(mdb_txn_begin(d->env, NULL, MDB_RDONLY, ret_txn));
}

/* The last key of a table of 8-byte keys; *ret_any false when it is empty. */
static int last_key(struct data *d, MDB_dbi table, uint64_t *ret_key, bool *ret_any, struct buf *ret_value)
{
	MDB_cursor *cursor = NULL;
	MDB_txn *txn;
	MDB_val k, v;
	int rc;

	rc = begin(d, &txn);
	if (rc != 0)
		return rc;
	rc = translate(mdb_cursor_open(txn, table, &cursor));
	if (rc == 0)
		rc = translate(mdb_cursor_get(cursor, &k, &v, MDB_LAST));
	*ret_any = rc == 0;
	if (rc == 0 && k.mv_size != 8)
		rc = ERR_CORRUPT;
	if (rc == 0) {
		*ret_key = get_be64(k.mv_data);
		if (ret_value != NULL)
			rc = buf_append(ret_value, slice_of(v.mv_data, v.mv_size));
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int newest(void *arg, struct buf *ret_note)
{
	struct data *d = arg;
	uint64_t size;
	bool any;
	int rc = last_key(d, d->notes, &size, &any, ret_note);

	return rc == 0 && !any ? ERR_NOT_FOUND : rc;
}

static int size(void *arg, uint64_t *ret_size)
{
	struct data *d = arg;
	uint64_t last;
	bool any;
	int rc = last_key(d, d->entries, &last, &any, NULL);

	if (rc == 0)
		*ret_size = any ? last + 1 : 0;
	return rc;
}

static int note(void *arg, uint64_t at, struct buf *ret_note)
{
	struct data *d = arg;
	uint8_t key[8];
	MDB_val k = value_of(key, sizeof(key)), v;
	MDB_txn *txn;
	int rc;

	put_be64(key, at);
	rc = begin(d, &txn);
	if (rc != 0)
		return rc;
	rc = translate(mdb_get(txn, d->notes, &k, &v));
	if (rc == 0)
		rc = buf_append(ret_note, slice_of(v.mv_data, v.mv_size));
	mdb_txn_abort(txn);
	return rc;
}

static int note_sizes(void *arg, uint64_t **ret_sizes, size_t *ret_n)
{
	struct data *d = arg;
	MDB_cursor *cursor = NULL;
	uint64_t *sizes = NULL;
	MDB_txn *txn;
	MDB_stat stat;
	MDB_val k, v;
	size_t n = 0;
	int rc;

	rc = begin(d, &txn);
	if (rc != 0)
		return rc;
	rc = translate(mdb_stat(txn, d->notes, &stat));
	if (rc == 0 && (sizes = calloc(stat.ms_entries + 1, sizeof(*sizes))) == NULL)
		rc = ERR_NOMEM;
	if (rc == 0)
		rc = translate(mdb_cursor_open(txn, d->notes, &cursor));
	while (rc == 0 && n < stat.ms_entries) {
		rc = translate(mdb_cursor_get(cursor, &k, &v, MDB_NEXT));
		if (rc == 0 && k.mv_size != 8)
			rc = ERR_CORRUPT;
		if (rc == 0)
			sizes[n++] = get_be64(k.mv_data);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	if (rc != 0 && rc != ERR_NOT_FOUND) {
		free(sizes);
		return rc;
	}
	*ret_sizes = sizes;
	*ret_n = n;
	return 0;
}

/* A gap ends the bundle: the verifier sees that it is short. */
static int entries(void *arg, uint64_t tile, unsigned width, struct buf *ret_bytes)
{
	struct data *d = arg;
	uint64_t first = tile * MERKLE_TILE_WIDTH;
	MDB_cursor *cursor = NULL;
	uint8_t key[8];
	MDB_val k = value_of(key, sizeof(key)), v;
	MDB_txn *txn;
	int rc;

	put_be64(key, first);
	rc = begin(d, &txn);
	if (rc != 0)
		return rc;
	rc = translate(mdb_cursor_open(txn, d->entries, &cursor));
	if (rc == 0)
		rc = translate(mdb_cursor_get(cursor, &k, &v, MDB_SET));
	for (unsigned i = 0; rc == 0 && i < width; i++) {
		size_t len = v.mv_size - HEADER_LEN;

		if (k.mv_size != 8 || get_be64(k.mv_data) != first + i)
			break;
		if (v.mv_size < HEADER_LEN || len > UINT16_MAX) {
			rc = ERR_CORRUPT;
			break;
		}
		buf_append_char(ret_bytes, (char)(len >> 8));
		buf_append_char(ret_bytes, (char)len);
		rc = buf_append(ret_bytes, slice_of((char *)v.mv_data + HEADER_LEN, len));
		if (rc == 0 && i + 1 < width)
			rc = translate(mdb_cursor_get(cursor, &k, &v, MDB_NEXT));
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int hashes(void *arg, unsigned level, uint64_t tile, unsigned width, struct merkle_hash *ret_hashes)
{
	struct data *d = arg;
	MDB_txn *txn;
	int rc;

	rc = begin(d, &txn);
	if (rc != 0)
		return rc;
	for (unsigned at = 0; rc == 0 && at < width; at += CHUNK) {
		unsigned n = width - at < CHUNK ? width - at : CHUNK;
		uint8_t key[9];
		MDB_val k = value_of(key, sizeof(key)), v;

		key[0] = (uint8_t)(255 - level);
		put_be64(key + 1, (tile * MERKLE_TILE_WIDTH + at) / CHUNK);
		rc = translate(mdb_get(txn, d->tiles, &k, &v));
		if (rc == 0 && v.mv_size < n * MERKLE_HASH_LEN)
			rc = ERR_NOT_FOUND;
		if (rc == 0)
			memcpy(ret_hashes + at, v.mv_data, n * MERKLE_HASH_LEN);
	}
	mdb_txn_abort(txn);
	return rc;
}

/*
 * The store keeps a record's blobs by number. The one with the hash asked for; else the
 * last one looked at, so that an altered blob is told as such and not as missing.
 */
static int blob(void *arg, uint64_t index, struct slice hex, uint8_t ret_hash[SHA256_LEN], uint64_t *ret_size)
{
	struct data *d = arg;
	uint8_t key[12] = {0};
	char text[2 * SHA256_LEN + 1];
	bool any = false;
	MDB_txn *txn;
	int rc;

	put_be64(key, index);
	rc = begin(d, &txn);
	if (rc != 0)
		return rc;
	for (unsigned n = 0; n < UINT8_MAX; n++) {
		MDB_val k = value_of(key, sizeof(key)), v;
		struct slice bytes;

		key[11] = (uint8_t)n;
		rc = translate(mdb_get(txn, d->blobs, &k, &v));
		if (rc != 0)
			break;
		bytes = slice_of(v.mv_data, v.mv_size);
		sha256(ret_hash, &bytes, 1);
		*ret_size = bytes.len;
		any = true;
		for (size_t i = 0; i < SHA256_LEN; i++)
			snprintf(text + 2 * i, 3, "%02x", ret_hash[i]);
		if (slice_is(hex, text))
			break;
	}
	mdb_txn_abort(txn);
	return rc == ERR_NOT_FOUND && any ? 0 : rc;
}

static int open_tables(struct data *d)
{
	MDB_dbi meta;
	MDB_val k = value_of((char[]){"format"}, 6), v;
	MDB_txn *txn;
	int rc;

	rc = begin(d, &txn);
	if (rc != 0)
		return rc;
	rc = translate(mdb_dbi_open(txn, "meta", 0, &meta));
	if (rc == 0)
		rc = translate(mdb_get(txn, meta, &k, &v));
	if (rc == 0 && (v.mv_size != 4 || memcmp(v.mv_data, (uint8_t[]){FORMAT, 0, 0, 0}, 4) != 0))
		rc = ERR_VERSION;
	if (rc == 0)
		rc = translate(mdb_dbi_open(txn, "entries", 0, &d->entries));
	if (rc == 0)
		rc = translate(mdb_dbi_open(txn, "blobs", 0, &d->blobs));
	if (rc == 0)
		rc = translate(mdb_dbi_open(txn, "tiles", 0, &d->tiles));
	if (rc == 0)
		rc = translate(mdb_dbi_open(txn, "notes", 0, &d->notes));
	if (rc == 0)
		return translate(mdb_txn_commit(txn)); /* keeps the handles */
	mdb_txn_abort(txn);
	return rc;
}

/* The library says "input/output error" of a file without room for its two heads. */
static int check_heads(const char *dir)
{
	char path[PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/data.mdb", dir) >= (int)sizeof(path))
		return ERR_TOO_BIG;
	if (stat(path, &st) != 0)
		return err_from_errno(errno);
	return st.st_size < HEADS_LEN ? ERR_CORRUPT : 0;
}

/* A file that was cut would end the process at the first page it lacks, not with an error. */
static int check_length(struct data *d, const char *dir)
{
	char path[PATH_MAX];
	MDB_envinfo info;
	MDB_stat stat;
	struct stat st;
	int rc = translate(mdb_env_info(d->env, &info));

	if (rc == 0)
		rc = translate(mdb_env_stat(d->env, &stat));
	if (rc == 0 && snprintf(path, sizeof(path), "%s/data.mdb", dir) >= (int)sizeof(path))
		rc = ERR_TOO_BIG;
	if (rc == 0 && lstat(path, &st) != 0)
		rc = err_from_errno(errno);
	if (rc == 0 && (uint64_t)st.st_size < ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize)
		rc = ERR_CORRUPT;
	return rc;
}

int verify_data_open(struct verify_source *ret, const char *data_dir)
{
	struct data *d = calloc(1, sizeof(*d));
	char path[PATH_MAX];
	int rc;

	if (d == NULL)
		return ERR_NOMEM;
	if (snprintf(path, sizeof(path), "%s/log", data_dir) >= (int)sizeof(path)) {
		free(d);
		return ERR_TOO_BIG;
	}
	rc = check_heads(path);
	if (rc == 0)
		rc = translate(mdb_env_create(&d->env));
	if (rc == 0)
		rc = translate(mdb_env_set_maxdbs(d->env, 16));
	if (rc == 0)
		rc = translate(mdb_env_open(d->env, path, MDB_RDONLY | MDB_NOTLS, 0600));
	if (rc == 0)
		rc = check_length(d, path);
	if (rc == 0)
		rc = open_tables(d);
	if (rc != 0) {
		if (d->env != NULL)
			mdb_env_close(d->env);
		free(d);
		return rc;
	}
	*ret = (struct verify_source){
	    .arg = d,
	    .newest = newest,
	    .note_sizes = note_sizes,
	    .note = note,
	    .size = size,
	    .entries = entries,
	    .hashes = hashes,
	    .blob = blob,
	};
	return 0;
}

void verify_data_close(struct verify_source *source)
{
	struct data *d = source->arg;

	if (d == NULL)
		return;
	mdb_env_close(d->env);
	free(d);
	*source = (struct verify_source){0};
}

/* The indexes on disk: opening, folding, looking up. See log_index.h. */
#include "store/log_index.h"

#include <assert.h>

#include "base/err.h"
#include "store/log_format.h"
#include "store/log_pages.h"

#define STATE_LEN (8 + MERKLE_HASH_LEN)

static int tables_open(struct log_index *x, MDB_txn *txn)
{
	const struct {
		const char *name;
		MDB_dbi *dbi;
	} tables[] = {
	    {"meta", &x->meta},
	    {"claims", &x->claims},
	    {"streams", &x->streams},
	    {"stream_events", &x->stream_events},
	    {"types", &x->types},
	    {"type_counts", &x->type_counts},
	    {"subjects", &x->subjects},
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(tables) / sizeof(tables[0]); i++)
		rc = log_table(txn, tables[i].name, tables[i].dbi);
	return rc == 0 ? log_once_open(&x->once, txn, x->meta) : rc;
}

static int format_check(struct log_index *x, MDB_txn *txn, bool readonly)
{
	uint8_t format[4];
	MDB_val key = val_of("format", 6), value;
	int rc;

	rc = mdb_err(mdb_get(txn, x->meta, &key, &value));
	if (rc == ERR_NOT_FOUND && !readonly) {
		put_le(format, INDEX_FORMAT, 4);
		value = val_of(format, sizeof(format));
		return mdb_err(mdb_put(txn, x->meta, &key, &value, 0));
	}
	if (rc != 0)
		return rc;
	return value.mv_size == 4 && get_le(value.mv_data, 4) == INDEX_FORMAT ? 0 : ERR_VERSION;
}

int log_index_open(struct log_index *x, const char *dir, uint64_t map_bytes, bool readonly)
{
	MDB_txn *txn = NULL;
	int rc;

	*x = (struct log_index){0};
	rc = readonly ? 0 : log_pages_check(dir, map_bytes, NULL);
	if (rc == 0)
		rc = log_env_open(&x->env, dir, map_bytes, readonly);
	if (rc != 0)
		return rc;
	rc = mdb_err(mdb_txn_begin(x->env.env, NULL, readonly ? MDB_RDONLY : 0, &txn));
	if (rc == 0)
		rc = tables_open(x, txn);
	if (rc == 0)
		rc = format_check(x, txn, readonly);
	if (rc == 0) {
		rc = mdb_err(mdb_txn_commit(txn)); /* a read transaction too, or its tables are closed again */
		txn = NULL;
	}
	if (txn != NULL)
		mdb_txn_abort(txn);
	if (rc != 0)
		log_index_close(x);
	return rc;
}

void log_index_close(struct log_index *x)
{
	log_env_close(&x->env);
	*x = (struct log_index){0};
}

int log_index_state(struct log_index *x, MDB_txn *txn, struct log_index_state *ret)
{
	MDB_val key = val_of("state", 5), value;
	int rc;

	*ret = (struct log_index_state){0};
	rc = mdb_err(mdb_get(txn, x->meta, &key, &value));
	if (rc == ERR_NOT_FOUND)
		return 0;
	if (rc != 0)
		return rc;
	if (value.mv_size != STATE_LEN)
		return ERR_CORRUPT;
	ret->position = get_le(value.mv_data, 8);
	memcpy(ret->last_leaf.bytes, (const uint8_t *)value.mv_data + 8, MERKLE_HASH_LEN);
	return 0;
}

int log_index_carried(struct log_index *x, MDB_txn *txn, unsigned *ret_n)
{
	MDB_val key = val_of("carried", 7), value;
	int rc = mdb_err(mdb_get(txn, x->meta, &key, &value));

	*ret_n = 0;
	if (rc != 0)
		return rc == ERR_NOT_FOUND ? 0 : rc;
	if (value.mv_size != 4)
		return ERR_CORRUPT;
	*ret_n = (unsigned)get_le(value.mv_data, 4);
	return 0;
}

/* ---- folding ------------------------------------------------------------ */

int log_index_begin(struct log_index *x, struct log_index_batch *ret)
{
	struct log_index_state state;
	MDB_txn *txn;
	int rc;

	rc = mdb_err(mdb_txn_begin(x->env.env, NULL, 0, &txn));
	if (rc != 0)
		return rc;
	rc = log_index_state(x, txn, &state);
	*ret = (struct log_index_batch){.x = x, .txn = txn, .start = state.position, .position = state.position};
	if (rc == 0)
		rc = log_once_begin(&ret->once, &x->once, txn);
	if (rc != 0)
		log_index_abort(ret);
	return rc;
}

static int put(struct log_index_batch *b, MDB_dbi dbi, struct slice key, const void *value, size_t len)
{
	MDB_val k = val_of(key.ptr, key.len), v = val_of(value, len);

	return mdb_err(mdb_put(b->txn, dbi, &k, &v, 0));
}

static int count_type(struct log_index_batch *b, const uint8_t type[2], uint16_t number)
{
	uint8_t value[8];
	uint64_t n;
	int rc = log_index_type_count(b->x, b->txn, number, &n);

	if (rc != 0)
		return rc;
	put_le(value, n + 1, 8);
	return put(b, b->x->type_counts, slice_of(type, 2), value, sizeof(value));
}

static int fold_event(struct log_index_batch *b, const struct log_fact *fact, uint64_t *ret_stream,
    uint32_t *ret_version)
{
	struct log_index *x = b->x;
	uint64_t stream, version;
	uint8_t value[16], place[16], type[10];
	int rc;

	if (fact->position != b->position)
		return ERR_CORRUPT;
	b->position++;
	rc = log_index_stream(x, b->txn, fact->key, &stream, &version);
	if (rc == ERR_NOT_FOUND) {
		stream = fact->position;
		version = 0;
	} else if (rc != 0) {
		return rc;
	}
	version++;
	put_le(value, stream, 8);
	put_le(value + 8, version, 8);
	rc = put(b, x->streams, fact->key, value, sizeof(value));
	if (rc != 0)
		return rc;
	put_be64(place, stream);
	put_be64(place + 8, fact->position);
	rc = put(b, x->stream_events, slice_of(place, sizeof(place)), "", 0);
	if (rc != 0)
		return rc;
	put_be16(type, fact->type);
	put_be64(type + 2, fact->position);
	rc = put(b, x->types, slice_of(type, sizeof(type)), "", 0);
	if (rc == 0)
		rc = count_type(b, type, fact->type);
	if (rc != 0)
		return rc;
	if (ret_stream != NULL)
		*ret_stream = stream;
	if (ret_version != NULL)
		*ret_version = (uint32_t)version;
	return 0;
}

static int fold_key(struct log_index_batch *b, const struct log_fact *fact, uint64_t place)
{
	struct log_index *x = b->x;
	uint8_t value[24];
	MDB_val key = val_of(fact->key.ptr, fact->key.len);
	int rc;

	put_le(value, place, 8);
	switch (fact->kind) {
	case FACT_ONCE:
		return fact->key.len == ONCE_KEY_LEN ? log_once_put(&b->once, (const uint8_t *)fact->key.ptr, place) : ERR_CORRUPT;
	case FACT_CLAIM:
		return put(b, x->claims, fact->key, value, 8);
	case FACT_RELEASE:
		rc = mdb_err(mdb_del(b->txn, x->claims, &key, NULL));
		return rc == ERR_NOT_FOUND ? 0 : rc; /* giving back what one does not hold changes nothing */
	case FACT_SUBJECT:
		memcpy(value, fact->id.bytes, ID_LEN);
		put_le(value + ID_LEN, place, 8);
		return put(b, x->subjects, fact->key, value, sizeof(value));
	case FACT_EVENT:
		break;
	}
	return ERR_INVALID;
}

int log_index_fold(struct log_index_batch *b, const struct log_fact *fact, uint64_t *ret_stream,
    uint32_t *ret_version)
{
	if (fact->kind == FACT_EVENT)
		return fold_event(b, fact, ret_stream, ret_version);
	return fact->position + 1 == b->position ? fold_key(b, fact, fact->position) : ERR_CORRUPT;
}

int log_index_carry(struct log_index_batch *b, const struct log_fact *fact, uint64_t place)
{
	assert(b->start == 0 && b->position == 0);
	return fact->kind == FACT_EVENT ? 0 : fold_key(b, fact, place);
}

static int commit(struct log_index_batch *b, const char *name, const void *value, size_t len)
{
	int rc = log_once_end(&b->once);

	if (rc == 0)
		rc = put(b, b->x->meta, slice_str(name), value, len);
	if (rc != 0) {
		log_index_abort(b);
		return rc;
	}
	rc = mdb_err(mdb_txn_commit(b->txn));
	b->txn = NULL;
	return rc;
}

int log_index_commit_carried(struct log_index_batch *b, unsigned n_logs)
{
	uint8_t value[4];

	put_le(value, n_logs, 4);
	return commit(b, "carried", value, sizeof(value));
}

int log_index_commit(struct log_index_batch *b, const struct merkle_hash *last_leaf)
{
	uint8_t value[STATE_LEN];

	put_le(value, b->position, 8);
	memcpy(value + 8, last_leaf->bytes, MERKLE_HASH_LEN);
	return commit(b, "state", value, sizeof(value));
}

void log_index_abort(struct log_index_batch *b)
{
	if (b->txn != NULL)
		mdb_txn_abort(b->txn);
	b->txn = NULL;
}

/* ---- looking up --------------------------------------------------------- */

static int get(MDB_txn *txn, MDB_dbi dbi, struct slice key, size_t len, const uint8_t **ret)
{
	MDB_val k = val_of(key.ptr, key.len), v;
	int rc;

	rc = mdb_err(mdb_get(txn, dbi, &k, &v));
	if (rc != 0)
		return rc;
	if (v.mv_size != len)
		return ERR_CORRUPT;
	*ret = v.mv_data;
	return 0;
}

static int get_number(MDB_txn *txn, MDB_dbi dbi, struct slice key, uint64_t *ret)
{
	const uint8_t *value;
	int rc;

	rc = get(txn, dbi, key, 8, &value);
	if (rc == 0)
		*ret = get_le(value, 8);
	return rc;
}

int log_index_once(struct log_index *x, MDB_txn *txn, const uint8_t once[ONCE_KEY_LEN], uint64_t *ret_position)
{
	return log_once_find(&x->once, txn, once, ret_position);
}

int log_index_claim(struct log_index *x, MDB_txn *txn, struct slice claim, uint64_t *ret_position)
{
	if (claim.len == 0 || claim.len > CLAIM_LEN_MAX)
		return ERR_NOT_FOUND;
	return get_number(txn, x->claims, claim, ret_position);
}

int log_index_stream(struct log_index *x, MDB_txn *txn, struct slice stream, uint64_t *ret_number,
    uint64_t *ret_version)
{
	const uint8_t *value;
	int rc;

	if (stream.len == 0 || stream.len > STREAM_LEN_MAX)
		return ERR_NOT_FOUND;
	rc = get(txn, x->streams, stream, 16, &value);
	if (rc == 0) {
		*ret_number = get_le(value, 8);
		*ret_version = get_le(value + 8, 8);
	}
	return rc;
}

int log_index_type_count(struct log_index *x, MDB_txn *txn, uint16_t type, uint64_t *ret_n)
{
	uint8_t key[2];
	int rc;

	put_be16(key, type);
	rc = get_number(txn, x->type_counts, slice_of(key, sizeof(key)), ret_n);
	if (rc == ERR_NOT_FOUND) {
		*ret_n = 0;
		return 0;
	}
	return rc;
}

int log_index_subject(struct log_index *x, MDB_txn *txn, const uint8_t ref[SUBJECT_REF_LEN], struct id *ret_id)
{
	const uint8_t *value;
	int rc;

	rc = get(txn, x->subjects, slice_of(ref, SUBJECT_REF_LEN), 24, &value);
	if (rc == 0)
		memcpy(ret_id->bytes, value, ID_LEN);
	return rc;
}

/* The first key that is >= `from` and begins with the same prefix_len bytes; a position ends it. */
static int next_of(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor, uint8_t *from, size_t prefix_len,
    uint64_t *ret_position)
{
	MDB_val key = val_of(from, prefix_len + 8), value;
	int rc;

	if (*cursor == NULL) {
		rc = mdb_err(mdb_cursor_open(txn, dbi, cursor));
		if (rc != 0)
			return rc;
	}
	rc = mdb_err(mdb_cursor_get(*cursor, &key, &value, MDB_SET_RANGE));
	if (rc != 0)
		return rc;
	if (key.mv_size != prefix_len + 8)
		return ERR_CORRUPT;
	if (memcmp(key.mv_data, from, prefix_len) != 0)
		return ERR_NOT_FOUND;
	*ret_position = get_be64((const uint8_t *)key.mv_data + prefix_len);
	return 0;
}

int log_index_next_of_stream(struct log_index *x, MDB_txn *txn, MDB_cursor **cursor, uint64_t stream,
    uint64_t from, uint64_t *ret_position)
{
	uint8_t key[16];

	put_be64(key, stream);
	put_be64(key + 8, from);
	return next_of(txn, x->stream_events, cursor, key, 8, ret_position);
}

int log_index_next_of_type(struct log_index *x, MDB_txn *txn, MDB_cursor **cursor, uint16_t type,
    uint64_t from, uint64_t *ret_position)
{
	uint8_t key[10];

	put_be16(key, type);
	put_be64(key + 2, from);
	return next_of(txn, x->types, cursor, key, 2, ret_position);
}

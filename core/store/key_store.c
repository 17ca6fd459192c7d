/*
 * See key_store.h. The tables, and what is done to all keys of them: erasure,
 * sweep, and turn of the epoch. Which thread may call what is said there.
 */
#include "store/key_store_private.h"

#include <stdio.h>

#include "base/err.h"
#include "base/io.h"
#include "base/planted.h"

#define KEYRING_FORMAT 1u
#define MAP_BYTES (UINT64_C(64) << 30) /* address space only */
#define BATCH 16384 /* keys changed in one commit */

/* ---- open and close ---------------------------------------------------------- */

static int open_tables(struct key_store *store, bool readonly)
{
	MDB_txn *txn;
	MDB_val key = val_of("format", 6), value;
	uint8_t format[4];
	int rc;

	rc = mdb_err(mdb_txn_begin(store->env.env, NULL, readonly ? MDB_RDONLY : 0, &txn));
	if (rc != 0)
		return rc;
	rc = log_table(txn, "subjects", &store->keys[KEY_SUBJECT]);
	if (rc == 0)
		rc = log_table(txn, "deliveries", &store->keys[KEY_DELIVERY]);
	if (rc == 0)
		rc = log_table(txn, "codes", &store->keys[KEY_CODE]);
	if (rc == ERR_NOT_FOUND && readonly) { /* nothing has written here since before there were any: their keys are nowhere */
		store->keys[KEY_CODE] = store->keys[KEY_DELIVERY];
		rc = 0;
	}
	if (rc == 0)
		rc = log_table(txn, "tombstones", &store->tombstones);
	if (rc == 0)
		rc = log_table(txn, "meta", &store->meta);
	if (rc == 0)
		rc = mdb_err(mdb_get(txn, store->meta, &key, &value));
	if (rc == 0 && (value.mv_size != 4 || key_get_be(value.mv_data, 4) != KEYRING_FORMAT))
		rc = ERR_VERSION;
	if (rc == ERR_NOT_FOUND && !readonly) {
		key_put_be(format, KEYRING_FORMAT, 4);
		value = val_of(format, 4);
		rc = mdb_err(mdb_put(txn, store->meta, &key, &value, 0));
	}
	if (rc == 0)
		return mdb_err(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return rc;
}

static int open_keys(struct key_store *store, const struct keyring_options *options)
{
	uint32_t numbers[2];
	int rc;

	rc = key_file_epochs(store, numbers);
	if (rc != 0)
		return rc;
	rc = key_file_root_read(store->root, options->root_key_path);
	/* Without an epoch key nothing was ever wrapped: only then may a root key be made. */
	if (rc == ERR_NOT_FOUND && numbers[0] == 0 && !options->readonly)
		rc = key_file_root_create(store->root, options->root_key_path, store->rng);
	if (rc != 0)
		return rc;
	if (numbers[0] == 0)
		return options->readonly ? ERR_NOT_FOUND : key_file_epoch_create(&store->epochs[0], store, 1);
	rc = key_file_epoch_load(&store->epochs[0], store, numbers[0]);
	if (rc != 0 || numbers[1] == 0)
		return rc;
	if (key_file_epoch_load(&store->epochs[1], store, numbers[1]) == 0 || options->readonly)
		return 0;
	/* A crash half way through its destruction: all was wrapped anew by then. */
	return key_file_epoch_destroy(store, numbers[1]);
}

int key_store_reload(struct key_store *store, struct epoch_key ret_epochs[2])
{
	uint32_t numbers[2];
	int rc;

	rc = key_file_epochs(store, numbers);
	if (rc == 0)
		rc = key_file_epoch_load(&ret_epochs[0], store, numbers[0]);
	if (rc == 0 && (numbers[1] == 0 || key_file_epoch_load(&ret_epochs[1], store, numbers[1]) != 0))
		ret_epochs[1].number = 0;
	return rc;
}

int key_store_open(struct key_store *store, const struct keyring_options *options)
{
	int rc;

	*store = (struct key_store){.rng = options->rng};
	if (snprintf(store->dir, sizeof(store->dir), "%s", options->dir) >= (int)sizeof(store->dir))
		return ERR_TOO_BIG;
	rc = open_keys(store, options);
	if (rc == 0)
		rc = log_env_open(&store->env, store->dir, options->readonly ? 0 : MAP_BYTES, options->readonly);
	if (rc == 0)
		rc = open_tables(store, options->readonly);
	if (rc == 0 && !options->readonly)
		rc = dir_sync(store->dir); /* the library does not sync what it made */
	if (rc != 0)
		key_store_close(store);
	return rc;
}

void key_store_close(struct key_store *store)
{
	log_env_close(&store->env);
	crypto_wipe(store, sizeof(*store));
}

/* LMDB goes no further when the page that names the newest tables could not be written. */
bool key_store_is_lost(struct key_store *store)
{
	MDB_txn *txn = NULL;
	int code = mdb_txn_begin(store->env.env, NULL, MDB_RDONLY, &txn);

	if (code == 0)
		mdb_txn_abort(txn);
	return code == MDB_PANIC;
}

/* ---- reading ------------------------------------------------------------------- */

int key_store_get(struct key_store *store, const struct epoch_key epochs[2], const struct id *id,
    uint8_t ret_key[KEYRING_KEY_LEN])
{
	MDB_val key = val_of(id->bytes, ID_LEN), value;
	MDB_txn *txn = NULL;
	int rc;

	rc = log_env_read(&store->env, &txn);
	if (rc == 0)
		rc = mdb_err(mdb_get(txn, store->keys[key_kind_of(id)], &key, &value));
	if (rc == 0)
		rc = key_record_open(ret_key, value, id, epochs);
	log_env_done(&store->env, &txn);
	return rc;
}

int key_store_list(struct key_store *store, enum key_kind kind, const struct id *after, struct key_entry *ret_entries,
    size_t n, size_t *ret_n)
{
	MDB_val key = val_of(after->bytes, ID_LEN), value;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;
	size_t got = 0;
	int rc;

	rc = log_env_read(&store->env, &txn);
	if (rc == 0)
		rc = mdb_err(mdb_cursor_open(txn, store->keys[kind], &cursor));
	if (rc == 0)
		rc = mdb_err(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
	while (rc == 0 && got < n) {
		struct key_entry *entry = &ret_entries[got];

		if (key.mv_size != ID_LEN) {
			rc = ERR_CORRUPT;
			break;
		}
		memcpy(entry->id.bytes, key.mv_data, ID_LEN);
		if (memcmp(entry->id.bytes, after->bytes, ID_LEN) != 0) {
			rc = key_record_open(entry->key, value, &entry->id, store->epochs);
			if (rc != 0)
				break;
			got++;
		}
		rc = mdb_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	log_env_done(&store->env, &txn);
	if (rc != 0 && rc != ERR_NOT_FOUND)
		return rc;
	*ret_n = got;
	return 0;
}

int key_store_last(struct key_store *store, enum key_kind kind, struct id *ret_id)
{
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;
	MDB_val key, value;
	int rc;

	rc = log_env_read(&store->env, &txn);
	if (rc == 0)
		rc = mdb_err(mdb_cursor_open(txn, store->keys[kind], &cursor));
	if (rc == 0)
		rc = mdb_err(mdb_cursor_get(cursor, &key, &value, MDB_LAST));
	if (rc == 0 && key.mv_size != ID_LEN)
		rc = ERR_CORRUPT;
	if (rc == 0)
		memcpy(ret_id->bytes, key.mv_data, ID_LEN);
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	log_env_done(&store->env, &txn);
	return rc;
}

int key_store_count(struct key_store *store, enum key_kind kind, uint64_t *ret_n)
{
	MDB_txn *txn = NULL;
	MDB_stat stat;
	int rc;

	rc = log_env_read(&store->env, &txn);
	if (rc == 0)
		rc = mdb_err(mdb_stat(txn, store->keys[kind], &stat));
	if (rc == 0)
		*ret_n = stat.ms_entries;
	log_env_done(&store->env, &txn);
	return rc;
}

int key_store_tombstones(struct key_store *store, int (*each)(void *arg, const struct id *id), void *arg)
{
	MDB_cursor *cursor = NULL;
	MDB_txn *txn = NULL;
	MDB_val key, value;
	int rc;

	rc = log_env_read(&store->env, &txn);
	if (rc == 0)
		rc = mdb_err(mdb_cursor_open(txn, store->tombstones, &cursor));
	while (rc == 0) {
		struct id id;

		rc = mdb_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
		if (rc != 0)
			break;
		if (key.mv_size != ID_LEN) {
			rc = ERR_CORRUPT;
			break;
		}
		memcpy(id.bytes, key.mv_data, ID_LEN);
		rc = each(arg, &id);
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	log_env_done(&store->env, &txn);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

int key_store_meta_get(struct key_store *store, const char *name, void *ret, size_t len)
{
	MDB_val key = val_of(name, strlen(name)), value;
	MDB_txn *txn = NULL;
	int rc;

	rc = log_env_read(&store->env, &txn);
	if (rc == 0)
		rc = mdb_err(mdb_get(txn, store->meta, &key, &value));
	if (rc == 0 && value.mv_size != len)
		rc = ERR_CORRUPT;
	if (rc == 0)
		memcpy(ret, value.mv_data, len);
	log_env_done(&store->env, &txn);
	return rc;
}

/* ---- writing ------------------------------------------------------------------- */

static int begin(struct key_store *store, MDB_txn **ret_txn)
{
	*ret_txn = NULL;
	return mdb_err(mdb_txn_begin(store->env.env, NULL, 0, ret_txn));
}

/* Commits when all went well so far, else undoes. */
static int end(MDB_txn *txn, int rc)
{
	if (rc == 0)
		return mdb_err(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return rc;
}

static int put(MDB_txn *txn, MDB_dbi table, const void *key, size_t key_len, const void *bytes, size_t len, unsigned flags)
{
	MDB_val k = val_of(key, key_len), v = val_of(bytes, len);

	return mdb_err(mdb_put(txn, table, &k, &v, flags));
}

static int put_time(MDB_txn *txn, MDB_dbi table, const char *name, int64_t time_us)
{
	uint8_t bytes[8];

	key_put_be(bytes, (uint64_t)time_us, 8);
	return put(txn, table, name, strlen(name), bytes, sizeof(bytes), 0);
}

int key_store_meta_put(struct key_store *store, const char *name, const void *bytes, size_t len)
{
	MDB_val key = val_of(name, strlen(name));
	MDB_txn *txn;
	int rc;

	rc = begin(store, &txn);
	if (rc != 0)
		return rc;
	if (len > 0) {
		rc = put(txn, store->meta, name, strlen(name), bytes, len, 0);
	} else {
		rc = mdb_err(mdb_del(txn, store->meta, &key, NULL));
		if (rc == ERR_NOT_FOUND)
			rc = 0;
	}
	return end(txn, rc);
}

int key_store_add(struct key_store *store, enum key_kind kind, const struct key_entry *entries, size_t n)
{
	uint8_t record[KEY_RECORD_LEN];
	MDB_txn *txn;
	int rc;

	rc = begin(store, &txn);
	if (rc != 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		key_record_make(record, store, &entries[i].id, entries[i].key);
		rc = put(txn, store->keys[kind], entries[i].id.bytes, ID_LEN, record, sizeof(record), MDB_APPEND);
	}
	if (rc == 0 && kind == KEY_CODE && n > 0)
		rc = put(txn, store->meta, "codes", 5, entries[n - 1].id.bytes, ID_LEN, 0);
	return end(txn, rc);
}

int key_store_erase(struct key_store *store, const struct id *ids, size_t n, int64_t now_us, int64_t turn_due_us)
{
	uint8_t when[8];
	MDB_txn *txn;
	int rc;

	if (PLANTED(erase_in_memory))
		return 0;
	key_put_be(when, (uint64_t)now_us, 8);
	rc = begin(store, &txn);
	if (rc != 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		MDB_val key = val_of(ids[i].bytes, ID_LEN);

		rc = mdb_err(mdb_del(txn, store->keys[key_kind_of(&ids[i])], &key, NULL));
		if (rc == ERR_NOT_FOUND)
			rc = 0;
		if (rc == 0 && key_kind_of(&ids[i]) != KEY_CODE)
			rc = put(txn, store->tombstones, ids[i].bytes, ID_LEN, when, sizeof(when), 0);
	}
	if (rc == 0)
		rc = put_time(txn, store->meta, "turn", turn_due_us);
	return end(txn, rc);
}

/* One commit of a sweep: *ret_n removed, fewer than BATCH when it was the last. */
static int sweep_some(struct key_store *store, enum key_kind kind, const struct id *horizon, int64_t turn_due_us, size_t *ret_n)
{
	MDB_cursor *cursor = NULL;
	MDB_val key, value;
	MDB_txn *txn;
	size_t n = 0;
	int rc;

	rc = begin(store, &txn);
	if (rc != 0)
		return rc;
	rc = mdb_err(mdb_cursor_open(txn, store->keys[kind], &cursor));
	while (rc == 0 && n < BATCH) {
		rc = mdb_err(mdb_cursor_get(cursor, &key, &value, MDB_FIRST));
		if (rc != 0 || key.mv_size != ID_LEN || memcmp(key.mv_data, horizon->bytes, ID_LEN) >= 0)
			break;
		rc = mdb_err(mdb_cursor_del(cursor, 0));
		n++;
	}
	if (rc == ERR_NOT_FOUND)
		rc = 0;
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	if (rc == 0 && kind == KEY_DELIVERY)
		rc = put(txn, store->meta, "swept", 5, horizon->bytes, ID_LEN, 0);
	if (rc == 0 && n > 0)
		rc = put_time(txn, store->meta, "turn", turn_due_us);
	rc = end(txn, rc);
	*ret_n = n;
	return rc;
}

int key_store_sweep(struct key_store *store, enum key_kind kind, const struct id *horizon, int64_t turn_due_us, uint64_t *ret_n)
{
	uint64_t total = 0;
	size_t n = BATCH;
	int rc = 0;

	while (rc == 0 && n == BATCH) {
		rc = sweep_some(store, kind, horizon, turn_due_us, &n);
		if (rc == 0)
			total += n;
	}
	*ret_n = total;
	return rc;
}

int key_store_secret(struct key_store *store, const char *name, bool make, uint8_t ret_secret[KEYRING_KEY_LEN])
{
	char entry[7 + KEY_SECRET_NAME_MAX + 1];
	uint8_t wrapped[KEY_WRAPPED_LEN];
	struct slice label = slice_str(name);
	int rc;

	if (label.len == 0 || label.len > KEY_SECRET_NAME_MAX)
		return ERR_INVALID;
	snprintf(entry, sizeof(entry), "secret/%s", name);
	rc = key_store_meta_get(store, entry, wrapped, sizeof(wrapped));
	if (rc == 0)
		return key_unwrap(ret_secret, wrapped, "secret/v1", label, store->root) == 0 ? 0 : ERR_CORRUPT;
	if (rc != ERR_NOT_FOUND || !make)
		return rc;
	rng_fill(store->rng, ret_secret, KEYRING_KEY_LEN);
	key_wrap(wrapped, store->rng, ret_secret, 0, "secret/v1", label, store->root);
	return key_store_meta_put(store, entry, wrapped, sizeof(wrapped));
}

/* ---- turning the epoch ---------------------------------------------------------- */

int key_store_epoch_new(struct key_store *store, struct epoch_key *ret_epoch)
{
	uint32_t number = store->epochs[0].number + 1;
	int rc = key_file_epoch_create(ret_epoch, store, number);

	/* Of a turn that made it and could not sync its name: nothing was wrapped with it. */
	if (rc != ERR_EXISTS)
		return rc;
	rc = key_file_epoch_load(ret_epoch, store, number);
	return rc == 0 ? dir_sync(store->dir) : rc;
}

/* One commit of a turn over one table: goes on above *after, and moves it. */
static int rewrap_some(struct key_store *store, MDB_dbi table, struct id *after, bool *ret_more)
{
	uint8_t record[KEY_RECORD_LEN], plain[KEYRING_KEY_LEN];
	MDB_val key = val_of(after->bytes, ID_LEN), value;
	MDB_cursor *cursor = NULL;
	MDB_txn *txn;
	size_t n = 0;
	int rc;

	rc = begin(store, &txn);
	if (rc != 0)
		return rc;
	rc = mdb_err(mdb_cursor_open(txn, table, &cursor));
	if (rc == 0)
		rc = mdb_err(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
	for (; rc == 0 && n < BATCH; n++) {
		if (key.mv_size != ID_LEN || value.mv_size != KEY_RECORD_LEN) {
			rc = ERR_CORRUPT;
			break;
		}
		memcpy(after->bytes, key.mv_data, ID_LEN);
		if (key_get_be((const uint8_t *)value.mv_data + 1, 4) != store->epochs[0].number) {
			rc = key_record_open(plain, value, after, store->epochs);
			if (rc != 0)
				break;
			key_record_make(record, store, after, plain);
			value = val_of(record, sizeof(record));
			key = val_of(after->bytes, ID_LEN);
			rc = mdb_err(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT));
			if (rc != 0)
				break;
		}
		rc = mdb_err(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
	}
	*ret_more = rc == 0;
	if (rc == ERR_NOT_FOUND)
		rc = 0;
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	crypto_wipe(plain, sizeof(plain));
	return end(txn, rc);
}

int key_store_turn(struct key_store *store)
{
	int rc = 0;

	if (store->epochs[1].number == 0)
		return 0;
	if (PLANTED(epoch_first))
		rc = key_file_epoch_destroy(store, store->epochs[1].number);
	for (int kind = 0; rc == 0 && kind < N_KEY_KINDS; kind++) {
		struct id after = {{0}};
		bool more = true;

		while (rc == 0 && more)
			rc = rewrap_some(store, store->keys[kind], &after, &more);
	}
	if (rc == 0)
		rc = key_file_epoch_destroy(store, store->epochs[1].number);
	return rc != 0 ? rc : key_store_meta_put(store, "turn", NULL, 0);
}

/* See bench_floor.h. */
#include "bench_floor.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/thread.h"
#include "crypto/crypto.h"
#include "domain/merkle.h"

#define MAP_LEN ((size_t)64 << 30)
#define CHUNK 16             /* hashes a value of the tiles' table, as in the log */
#define RECENT ((size_t)1 << 17)
#define FOLD_RECORDS 32768   /* as the log's index does it: so many, or so long */
#define FOLD_MS 5000
#define AAD_LEN 96           /* what binds a seal to its place */

/* Sealed texts of a usual event: the meeting's code and title, two people, the hosts. With padding. */
static const size_t sealed_lens[] = {32, 64, 192, 192, 736};
#define N_SEALED (sizeof(sealed_lens) / sizeof(sealed_lens[0]))
#define SEAL_HEAD_LEN (1 + 16 + XCHACHA_NONCE_LEN)

/* As long as envelope, open fields and names of subjects of such an event, in about as many members. */
#define MEMBER(n) "\"member_" n "\":\"of the envelope or an open field\","
#define TEN(n) MEMBER(n "0") MEMBER(n "1") MEMBER(n "2") MEMBER(n "3") MEMBER(n "4") \
	MEMBER(n "5") MEMBER(n "6") MEMBER(n "7") MEMBER(n "8") MEMBER(n "9")
static const char record_head[] = "{" TEN("0") TEN("1") TEN("2");
#define HEAD_LEN (sizeof(record_head) - 1)
#define SEALED_NAME_LEN (sizeof("\"sealed_0\":\"") - 1)

/* A wrapped key and what tells a wrong one, as in the keyring. */
#define WRAPPED_LEN (1 + 4 + XCHACHA_NONCE_LEN + XCHACHA_KEY_LEN + XCHACHA_TAG_LEN)
#define KEY_CHECK_LEN 16

/* What the index is told of one record. */
struct fact {
	uint8_t once[32], ref[32];
	char stream[32];
	uint64_t position;
};

struct facts {
	struct fact *items;
	size_t n, room;
};

struct floor {
	MDB_env *index;
	MDB_dbi records, blobs, tiles; /* in the environment of the ceiling program */
	MDB_dbi once, refs, streams, stream_events, types, keys;
	MDB_txn *look; /* the writer's, renewed at every commit */
	struct merkle_edge edge;
	struct merkle_hash tails[MERKLE_LEVELS][CHUNK];
	uint64_t counts[MERKLE_LEVELS];
	bool changed[MERKLE_LEVELS];
	uint64_t *recent; /* keys not yet in the index, by their first bytes */
	struct facts batch; /* of the commit at hand */

	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* guards: */
	pthread_cond_t due;
	struct facts waiting;
	bool stopping;
};

/* ---- on the loop ---- */

static uint8_t *seal_into(uint8_t *at, struct slice plain, size_t len)
{
	static const uint8_t key[XCHACHA_KEY_LEN] = {1};
	static const char aad[AAD_LEN] = "field/v1";
	uint8_t *text = at + SEAL_HEAD_LEN;

	at[0] = 1;
	rng_fill(&rng_system, at + 17, XCHACHA_NONCE_LEN);
	memcpy(text, plain.ptr, plain.len < len ? plain.len : len);
	xchacha_seal(text, slice_of(text, len), slice_of(aad, sizeof(aad)), at + 17, key);
	return text + len + XCHACHA_TAG_LEN;
}

static size_t sealed_len(size_t len)
{
	return SEAL_HEAD_LEN + len + XCHACHA_TAG_LEN;
}

/* The sealed fields as text behind a head that is copied, and one scan: what an encoder cannot do less than. */
static int make_record(struct slice plain, struct arena *arena, struct floor_record *ret)
{
	struct json_limits compact = JSON_LIMITS_DEFAULT;
	size_t len = HEAD_LEN;
	uint8_t sealed[SEAL_HEAD_LEN + 736 + XCHACHA_TAG_LEN] = {0};
	char *text, *at;

	for (size_t i = 0; i < N_SEALED; i++)
		len += SEALED_NAME_LEN + BASE64URL_LEN(sealed_len(sealed_lens[i])) + 2;
	text = at = arena_alloc(arena, len);
	if (text == NULL)
		return ERR_NOMEM;
	memcpy(at, record_head, HEAD_LEN);
	at += HEAD_LEN;
	for (size_t i = 0; i < N_SEALED; i++) {
		seal_into(sealed, plain, sealed_lens[i]);
		memcpy(at, "\"sealed_0\":\"", SEALED_NAME_LEN);
		at[SEALED_NAME_LEN - 4] = (char)('0' + i);
		at += SEALED_NAME_LEN;
		base64url_encode_to(at, sealed, sealed_len(sealed_lens[i]));
		at += BASE64URL_LEN(sealed_len(sealed_lens[i]));
		*at++ = '"';
		*at++ = i < N_SEALED - 1 ? ',' : '}';
	}
	ret->record = slice_of(text, len);
	compact.compact = true;
	return json_scan(ret->record, &compact, NULL);
}

int floor_make(struct slice body, struct slice plain, struct arena *arena, struct floor_record *ret)
{
	static const uint8_t secret[32] = {2};
	uint8_t fingerprint[SHA256_LEN], digest[SHA256_LEN];
	size_t raw_len = (body.len / 32 + 1) * 32;
	uint8_t *blob = arena_alloc(arena, sealed_len(raw_len));

	if (blob == NULL)
		return ERR_NOMEM;
	memset(blob + SEAL_HEAD_LEN, 0, raw_len);
	seal_into(blob, body, raw_len);
	ret->blob = slice_of(blob, sealed_len(raw_len));
	sha256(digest, &ret->blob, 1);
	hmac_sha256(fingerprint, slice_of(secret, sizeof(secret)), &plain, 1);
	/* Whom it is about: the meeting and two people. The fingerprint stands for what tells them apart. */
	for (uint8_t i = 0; i < 3; i++)
		hmac_sha256(ret->ref, slice_of(secret, sizeof(secret)),
		    (struct slice[]){slice_of(fingerprint, 20), slice_of(&i, 1)}, 2);
	blake2b(ret->once, sizeof(ret->once), (struct slice){0}, (struct slice[]){slice_of(fingerprint, 32)}, 1);
	memcpy(ret->stream, "meeting/", 8);
	memcpy(ret->stream + 8, fingerprint, sizeof(ret->stream) - 8);
	return make_record(plain, arena, ret);
}

/* ---- the writer ---- */

static int put(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_len, const void *value, size_t value_len,
    unsigned flags)
{
	MDB_val k = {key_len, (void *)(uintptr_t)key}, v = {value_len, (void *)(uintptr_t)value};

	return mdb_put(txn, dbi, &k, &v, flags);
}

static uint64_t big_endian(uint64_t n)
{
	return __builtin_bswap64(n);
}

static int put_chunk(struct floor *f, MDB_txn *txn, unsigned level)
{
	uint64_t chunk = (f->counts[level] - 1) / CHUNK;
	uint8_t key[9] = {(uint8_t)(255 - level)};

	memcpy(key + 1, &(uint64_t){big_endian(chunk)}, 8);
	f->changed[level] = false;
	return put(txn, f->tiles, key, sizeof(key), f->tails[level],
	    (size_t)(f->counts[level] - chunk * CHUNK) * MERKLE_HASH_LEN, 0);
}

static int add_leaf(struct floor *f, MDB_txn *txn, struct slice record)
{
	struct merkle_hash leaf, gained[MERKLE_LEVELS];
	unsigned n;
	int rc = 0;

	merkle_leaf(&leaf, record);
	n = merkle_edge_add(&f->edge, &leaf, gained);
	for (unsigned level = 0; rc == 0 && level < n; level++) {
		f->tails[level][f->counts[level]++ % CHUNK] = gained[level];
		f->changed[level] = true;
		if (f->counts[level] % CHUNK == 0)
			rc = put_chunk(f, txn, level);
	}
	return rc;
}

static int note(struct facts *facts, const struct fact *fact)
{
	if (facts->n == facts->room) {
		size_t room = facts->room == 0 ? 1024 : facts->room * 2;
		struct fact *items = realloc(facts->items, room * sizeof(*items));

		if (items == NULL)
			return ENOMEM;
		facts->items = items;
		facts->room = room;
	}
	facts->items[facts->n++] = *fact;
	return 0;
}

/* Among those not yet in the index, then there; here none is ever found. */
static int look_up(struct floor *f, const uint8_t once[32])
{
	MDB_val key = {32, (void *)(uintptr_t)once}, value;
	uint64_t first;
	int rc = 0;

	memcpy(&first, once, sizeof(first));
	if (f->recent[first % RECENT] == first)
		return MDB_KEYEXIST;
	if (f->look == NULL)
		rc = mdb_txn_begin(f->index, NULL, MDB_RDONLY, &f->look);
	if (rc == 0)
		rc = mdb_get(f->look, f->once, &key, &value);
	f->recent[first % RECENT] = first;
	return rc == MDB_NOTFOUND ? 0 : rc == 0 ? MDB_KEYEXIST : rc;
}

int floor_put(struct floor *f, MDB_txn *txn, uint64_t position, const struct floor_record *record)
{
	struct fact fact = {.position = position};
	uint64_t key = big_endian(position);
	int rc;

	rc = look_up(f, record->once);
	if (rc == 0)
		rc = put(txn, f->records, &key, sizeof(key), record->record.ptr, record->record.len, MDB_APPEND);
	if (rc == 0)
		rc = put(txn, f->blobs, &key, sizeof(key), record->blob.ptr, record->blob.len, MDB_APPEND);
	if (rc == 0)
		rc = add_leaf(f, txn, record->record);
	memcpy(fact.once, record->once, sizeof(fact.once));
	memcpy(fact.ref, record->ref, sizeof(fact.ref));
	memcpy(fact.stream, record->stream, sizeof(fact.stream));
	return rc == 0 ? note(&f->batch, &fact) : rc;
}

int floor_flush(struct floor *f, MDB_txn *txn)
{
	int rc = 0;

	for (unsigned level = 0; rc == 0 && level < MERKLE_LEVELS; level++)
		if (f->changed[level])
			rc = put_chunk(f, txn, level);
	if (f->look != NULL)
		mdb_txn_abort(f->look);
	f->look = NULL;
	return rc;
}

void floor_committed(struct floor *f)
{
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->batch.n; i++)
		(void)note(&f->waiting, &f->batch.items[i]); /* one that is lost costs nothing here */
	if (f->waiting.n >= FOLD_RECORDS)
		pthread_cond_signal(&f->due);
	pthread_mutex_unlock(&f->lock);
	f->batch.n = 0;
}

/* ---- the index ---- */

/* The key that the body of one delivery is sealed under: made ahead by the keyring, one for each. */
static int put_key(struct floor *f, MDB_txn *txn, const uint64_t *position)
{
	static const uint8_t with[XCHACHA_KEY_LEN] = {3};
	static const char aad[28] = "wrap/v1";
	uint8_t key[XCHACHA_KEY_LEN], record[WRAPPED_LEN + KEY_CHECK_LEN] = {1};
	uint8_t id[16] = {0};

	rng_fill(&rng_system, key, sizeof(key));
	rng_fill(&rng_system, record + 5, XCHACHA_NONCE_LEN);
	xchacha_seal(record + 5 + XCHACHA_NONCE_LEN, slice_of(key, sizeof(key)), slice_of(aad, sizeof(aad)), record + 5, with);
	blake2b(record + WRAPPED_LEN, KEY_CHECK_LEN, slice_of(key, sizeof(key)), &SLICE("kcv"), 1);
	memcpy(id, position, sizeof(*position));
	rng_fill(&rng_system, id + 8, 8);
	return put(txn, f->keys, id, sizeof(id), record, sizeof(record), MDB_APPEND);
}

static int fold_one(struct floor *f, MDB_txn *txn, const struct fact *fact)
{
	uint64_t position = big_endian(fact->position), pair[2] = {position, position};
	uint8_t type[10] = {0, 1};
	int rc;

	memcpy(type + 2, &position, sizeof(position));
	rc = put(txn, f->once, fact->once, sizeof(fact->once), &position, sizeof(position), 0);
	if (rc == 0)
		rc = put(txn, f->refs, fact->ref, sizeof(fact->ref), pair, sizeof(pair), 0);
	if (rc == 0)
		rc = put(txn, f->streams, fact->stream, sizeof(fact->stream), pair, sizeof(pair), 0);
	if (rc == 0)
		rc = put(txn, f->stream_events, pair, sizeof(pair), "", 0, 0);
	if (rc == 0)
		rc = put(txn, f->types, type, sizeof(type), "", 0, 0);
	return rc == 0 ? put_key(f, txn, &position) : rc;
}

static void fold(struct floor *f, const struct facts *facts)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(f->index, NULL, 0, &txn);

	if (rc != 0)
		return;
	for (size_t i = 0; rc == 0 && i < facts->n; i++)
		rc = fold_one(f, txn, &facts->items[i]);
	if (rc == 0)
		(void)mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
}

static void *run_index(void *arg)
{
	struct floor *f = arg;
	bool last = false;

	while (!last) {
		struct timespec at = thread_deadline(FOLD_MS);
		struct facts facts;

		pthread_mutex_lock(&f->lock);
		while (!f->stopping && f->waiting.n < FOLD_RECORDS &&
		    pthread_cond_timedwait(&f->due, &f->lock, &at) == 0)
			;
		last = f->stopping;
		facts = f->waiting;
		f->waiting = (struct facts){0};
		pthread_mutex_unlock(&f->lock);
		fold(f, &facts);
		free(facts.items);
	}
	return NULL;
}

/* ---- begin and end ---- */

struct table {
	const char *name;
	MDB_dbi *dbi;
};

static int open_tables(MDB_env *env, const struct table *tables, size_t n)
{
	MDB_txn *txn = NULL;
	int rc = mdb_txn_begin(env, NULL, 0, &txn);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = mdb_dbi_open(txn, tables[i].name, MDB_CREATE, tables[i].dbi);
	if (rc == 0)
		return mdb_txn_commit(txn);
	if (txn != NULL)
		mdb_txn_abort(txn);
	return rc;
}

static int open_index(struct floor *f, const char *dir)
{
	int rc = mdb_env_create(&f->index);

	if (rc == 0)
		rc = mdb_env_set_mapsize(f->index, MAP_LEN);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(f->index, FLOOR_TABLES);
	return rc == 0 ? mdb_env_open(f->index, dir, 0, 0600) : rc;
}

int floor_open(struct floor **ret, MDB_env *env, const char *dir)
{
	struct floor *f = calloc(1, sizeof(*f));
	pthread_condattr_t monotonic;
	int rc;

	if (f == NULL)
		return ERR_NOMEM;
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&f->due, &monotonic);
	pthread_condattr_destroy(&monotonic);
	f->recent = calloc(RECENT, sizeof(*f->recent));
	rc = f->recent == NULL ? ENOMEM : open_index(f, dir);
	if (rc == 0)
		rc = open_tables(env, (struct table[]){{"records", &f->records}, {"blobs", &f->blobs}, {"tiles", &f->tiles}}, 3);
	if (rc == 0)
		rc = open_tables(f->index, (struct table[]){{"once", &f->once}, {"refs", &f->refs}, {"streams", &f->streams},
			{"stream_events", &f->stream_events}, {"types", &f->types}, {"keys", &f->keys}}, 6);
	if (rc == 0)
		rc = pthread_create(&f->thread, NULL, run_index, f);
	if (rc != 0) {
		floor_close(f);
		return ERR_IO;
	}
	f->started = true;
	*ret = f;
	return 0;
}

void floor_close(struct floor *f)
{
	if (f == NULL)
		return;
	pthread_mutex_lock(&f->lock);
	f->stopping = true;
	pthread_cond_signal(&f->due);
	pthread_mutex_unlock(&f->lock);
	if (f->started)
		pthread_join(f->thread, NULL);
	if (f->look != NULL)
		mdb_txn_abort(f->look);
	if (f->index != NULL)
		mdb_env_close(f->index);
	pthread_cond_destroy(&f->due);
	pthread_mutex_destroy(&f->lock);
	free(f->recent);
	free(f->batch.items);
	free(f->waiting.items);
	free(f);
}

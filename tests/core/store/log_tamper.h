/* A log changed behind its back, with LMDB's own calls, while it is closed. */
#ifndef LULAB_TESTS_LOG_TAMPER_H
#define LULAB_TESTS_LOG_TAMPER_H

#include <lmdb.h>

#include "log_fixture.h"
#include "store/log_format.h"

typedef void tamper_fn(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles);

/* One transaction in the log's environment. */
static inline void tamper(const struct log_fixture *f, tamper_fn *change)
{
	char dir[80];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi entries, tiles;

	snprintf(dir, sizeof(dir), "%s/log", f->dir);
	ck_assert_int_eq(mdb_env_create(&env), 0);
	ck_assert_int_eq(mdb_env_set_maxdbs(env, 16), 0);
	ck_assert_int_eq(mdb_env_set_mapsize(env, f->options.map_bytes), 0);
	ck_assert_int_eq(mdb_env_open(env, dir, 0, 0600), 0);
	ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
	ck_assert_int_eq(mdb_dbi_open(txn, "entries", 0, &entries), 0);
	ck_assert_int_eq(mdb_dbi_open(txn, "tiles", 0, &tiles), 0);
	change(txn, entries, tiles);
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

/* Flips bits of one byte of a value. */
static inline void tamper_value(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_len, size_t at, uint8_t flip)
{
	static uint8_t copy[70000];
	MDB_val k = {.mv_size = key_len, .mv_data = (void *)(uintptr_t)key}, v;

	ck_assert_int_eq(mdb_get(txn, dbi, &k, &v), 0);
	ck_assert_uint_lt(at, v.mv_size);
	memcpy(copy, v.mv_data, v.mv_size);
	copy[at] ^= flip;
	v.mv_data = copy;
	ck_assert_int_eq(mdb_put(txn, dbi, &k, &v, 0), 0);
}

/* The header of record 4 tells of another place of the sequence. */
static inline void tamper_position(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles)
{
	(void)tiles;
	tamper_value(txn, entries, "\0\0\0\0\0\0\0\4", 8, 6, 2);
}

/* An open log with five events of one stream. */
static inline void make_five(struct log_fixture *f)
{
	log_fixture_open(f);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(append_one(f->log, &(struct test_event){.stream = "a"}), 0);
}

#endif

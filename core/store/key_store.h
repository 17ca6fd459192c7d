/*
 * How the keyring lies on disk; private to store/keyring*.c.
 *
 * DATA/keys is an LMDB environment and one file for each epoch key:
 *
 *     TABLE       KEY              VALUE
 *     subjects    id (16)          wrapped key (77), check value (16)
 *     deliveries  id (16)          the same
 *     codes       id (16)          the same
 *     tombstones  id (16)          when, microseconds since 1970 (8, BE)
 *     meta        "format"         u32, 1
 *                 "clean/3"        last id given out of each kind (3 * 16); there after a clean stop only
 *                 "codes"          highest id of a code's key ever made (16)
 *                 "turn"           when a turn of the epoch is due (8, BE)
 *                 "swept"          ids of deliveries below this were shredded (16)
 *                 "secret/<name>"  as a wrapped key, by the root key: "secret/v1" 0 name 0
 *
 *     epoch-<8 hex digits>.key     0x01, epoch (4, BE), nonce (24), sealed by the root key (48)
 *
 * A wrapped key is 0x01, epoch (4, BE), nonce (24), key sealed by that epoch's
 * key (48), with additional data "wrap/v1" 0 id epoch. The check value is
 * BLAKE2b-128(key = the key, "kcv").
 *
 * Turning the epoch: write the new epoch key's file; wrap every key anew, some
 * thousands a commit; overwrite, sync and remove the old file. Two files after a crash mean a turn
 * that has to go on. Freed pages of the environment may still hold what was
 * wrapped by an old epoch key; with that key gone it is noise.
 *
 * One thread at a time may write (the keyring's `write` lock); any may read.
 */
#ifndef LULAB_STORE_KEY_STORE_H
#define LULAB_STORE_KEY_STORE_H

#include <limits.h>

#include "store/keyring.h"
#include "store/log_mdb.h"

#define KEY_WRAPPED_LEN 77
#define KEY_CHECK_LEN 16
#define KEY_RECORD_LEN (KEY_WRAPPED_LEN + KEY_CHECK_LEN)

struct epoch_key {
	uint32_t number; /* 0: there is none */
	uint8_t key[KEYRING_KEY_LEN];
};

struct key_store {
	char dir[PATH_MAX - 64];
	const struct rng *rng;
	struct log_env env;
	MDB_dbi keys[N_KEY_KINDS], tombstones, meta;
	uint8_t root[KEYRING_KEY_LEN];
	/* Guarded by the caller: [0] wraps, [1] is the one being left, while a turn is under way. */
	struct epoch_key epochs[2];
};

/* The kind is in the id, so that it tells where to look: the last bit is a delivery's, these four bytes behind the time a code's. */
#define KEY_CODE_MARK "code"
#define KEY_CODE_MARK_AT 6
#define KEY_CODE_MARK_LEN 4

static inline enum key_kind key_kind_of(const struct id *id)
{
	if ((id->bytes[ID_LEN - 1] & 1) != 0)
		return KEY_DELIVERY;
	return memcmp(id->bytes + KEY_CODE_MARK_AT, KEY_CODE_MARK, KEY_CODE_MARK_LEN) == 0 ? KEY_CODE : KEY_SUBJECT;
}

struct key_entry {
	struct id id;
	uint8_t key[KEYRING_KEY_LEN];
};

/* *store should lie in secret memory. Makes what is missing unless readonly, but not the directory. Errors are keyring_open()'s. */
int key_store_open(struct key_store *store, const struct keyring_options *options);
void key_store_close(struct key_store *store);
/* Nothing can be read or written any more, since a write failed whose outcome nobody knows. */
bool key_store_is_lost(struct key_store *store);

/* Reads one key. `epochs` is the caller's copy. ERR_NOT_FOUND; ERR_BAD_KEY: wrapped by another epoch; ERR_CORRUPT. */
int key_store_get(struct key_store *store, const struct epoch_key epochs[2], const struct id *id,
    uint8_t ret_key[KEYRING_KEY_LEN]);

/* Adds keys in ascending order of id, one commit. */
int key_store_add(struct key_store *store, enum key_kind kind, const struct key_entry *entries, size_t n);
/* The first keys above `after`, at most n, in order. */
int key_store_list(struct key_store *store, enum key_kind kind, const struct id *after, struct key_entry *ret_entries,
    size_t n, size_t *ret_n);
int key_store_last(struct key_store *store, enum key_kind kind, struct id *ret_id); /* ERR_NOT_FOUND: none */
int key_store_count(struct key_store *store, enum key_kind kind, uint64_t *ret_n);

/* Removes the keys, adds tombstones but for codes, notes when the turn is due; one commit. */
int key_store_erase(struct key_store *store, const struct id *ids, size_t n, int64_t now_us, int64_t turn_due_us);
/* Calls back for every tombstone. */
int key_store_tombstones(struct key_store *store, int (*each)(void *arg, const struct id *id), void *arg);
/* Removes the keys of a kind below `horizon`, in several commits. */
int key_store_sweep(struct key_store *store, enum key_kind kind, const struct id *horizon, int64_t turn_due_us, uint64_t *ret_n);

/* The next epoch key, its file written; the caller puts it into epochs[0] and the former into epochs[1]. */
int key_store_epoch_new(struct key_store *store, struct epoch_key *ret_epoch);
/* Wraps all with epochs[0], then destroys the file of epochs[1]; the caller wipes that one. */
int key_store_turn(struct key_store *store);

/* keyring_secret(); ERR_NOT_FOUND when it is not there and not to be made. */
#define KEY_SECRET_NAME_MAX 32
int key_store_secret(struct key_store *store, const char *name, bool make, uint8_t ret_secret[KEYRING_KEY_LEN]);

/* Readonly: the epoch keys as they are now, the server may have turned. */
int key_store_reload(struct key_store *store, struct epoch_key ret_epochs[2]);

/* Small values. get: ERR_NOT_FOUND, ERR_CORRUPT when the length differs. put with len 0 removes. */
int key_store_meta_get(struct key_store *store, const char *name, void *ret, size_t len);
int key_store_meta_put(struct key_store *store, const char *name, const void *bytes, size_t len);

#endif

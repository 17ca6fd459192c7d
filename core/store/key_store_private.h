/* What the files of the key store share; private to core/store/key_store.c, key_files.c and key_wrap.c. */
#ifndef LULAB_STORE_KEY_STORE_PRIVATE_H
#define LULAB_STORE_KEY_STORE_PRIVATE_H

#include "store/key_store.h"

/* Numbers of n bytes, big-endian. */
static inline void key_put_be(uint8_t *at, uint64_t value, int n)
{
	while (n-- > 0) {
		at[n] = (uint8_t)value;
		value >>= 8;
	}
}

static inline uint64_t key_get_be(const uint8_t *at, int n)
{
	uint64_t value = 0;

	for (int i = 0; i < n; i++)
		value = value << 8 | at[i];
	return value;
}

/* ---- key_wrap.c: one key sealed by another ---- */

/* 0x01, epoch, nonce, sealed key. Bound to the label, the name and the epoch: only with the same it opens. */
void key_wrap(uint8_t ret[KEY_WRAPPED_LEN], const struct rng *rng, const uint8_t plain[KEYRING_KEY_LEN], uint32_t epoch,
    const char *label, struct slice name, const uint8_t with[KEYRING_KEY_LEN]);
/* The epoch is the one in it. ERR_BAD_KEY. */
int key_unwrap(uint8_t ret[KEYRING_KEY_LEN], const uint8_t wrapped[KEY_WRAPPED_LEN], const char *label,
    struct slice name, const uint8_t with[KEYRING_KEY_LEN]);

/* What the tables hold of a key: wrapped by epochs[0] of the store, and its check value. */
void key_record_make(uint8_t ret[KEY_RECORD_LEN], const struct key_store *store, const struct id *id,
    const uint8_t key[KEYRING_KEY_LEN]);
/* By one of the two epoch keys. ERR_BAD_KEY: by neither; ERR_CORRUPT. */
int key_record_open(uint8_t ret_key[KEYRING_KEY_LEN], MDB_val value, const struct id *id,
    const struct epoch_key *epochs);

/* ---- key_files.c: the root key's file and those of the epoch keys ---- */

/* 64 hex digits, 44 characters of base64, or the 32 bytes themselves. ERR_NOT_FOUND, ERR_BAD_KEY. */
int key_file_root_read(uint8_t ret[KEYRING_KEY_LEN], const char *path);
int key_file_root_create(uint8_t ret[KEYRING_KEY_LEN], const char *path, const struct rng *rng);

/* The two highest epochs there are files of, highest first; 0 for none. */
int key_file_epochs(const struct key_store *store, uint32_t ret_numbers[2]);
/* A new epoch key, and its file. */
int key_file_epoch_create(struct epoch_key *ret, const struct key_store *store, uint32_t number);
/* ERR_NOT_FOUND, ERR_BAD_KEY (the root key does not open it), ERR_CORRUPT. */
int key_file_epoch_load(struct epoch_key *ret, const struct key_store *store, uint32_t number);
/* Also one that is gone already: 0. */
int key_file_epoch_destroy(const struct key_store *store, uint32_t number);

#endif

/*
 * Keys sealed by other keys: the form of a wrapped key and of the record of one,
 * as key_store.h says it. Touches neither disk nor lock, so any thread may.
 */
#include "base/err.h"
#include "store/key_store_private.h"

#define SEALED_KEY_LEN (KEYRING_KEY_LEN + XCHACHA_TAG_LEN)

_Static_assert(KEY_WRAPPED_LEN == 1 + 4 + XCHACHA_NONCE_LEN + SEALED_KEY_LEN, "integrity.md section 12");

/* "<label>" 0 <name> <epoch>: what a wrapped key is bound to. */
static struct slice bound_to(uint8_t *ret, const char *label, struct slice name, uint32_t epoch)
{
	size_t len = strlen(label) + 1;

	memcpy(ret, label, len);
	if (name.len > 0)
		memcpy(ret + len, name.ptr, name.len);
	key_put_be(ret + len + name.len, epoch, 4);
	return slice_of(ret, len + name.len + 4);
}

void key_wrap(uint8_t ret[KEY_WRAPPED_LEN], const struct rng *rng, const uint8_t plain[KEYRING_KEY_LEN],
    uint32_t epoch, const char *label, struct slice name, const uint8_t with[KEYRING_KEY_LEN])
{
	uint8_t aad[64];

	ret[0] = 0x01;
	key_put_be(ret + 1, epoch, 4);
	rng_fill(rng, ret + 5, XCHACHA_NONCE_LEN);
	xchacha_seal(ret + 5 + XCHACHA_NONCE_LEN, slice_of(plain, KEYRING_KEY_LEN), bound_to(aad, label, name, epoch),
	    ret + 5, with);
}

int key_unwrap(uint8_t ret[KEYRING_KEY_LEN], const uint8_t wrapped[KEY_WRAPPED_LEN], const char *label,
    struct slice name, const uint8_t with[KEYRING_KEY_LEN])
{
	uint8_t aad[64];

	if (wrapped[0] != 0x01)
		return ERR_BAD_KEY; /* a form that we do not know */
	return xchacha_open(ret, slice_of(wrapped + 5 + XCHACHA_NONCE_LEN, SEALED_KEY_LEN),
	    bound_to(aad, label, name, (uint32_t)key_get_be(wrapped + 1, 4)), wrapped + 5, with);
}

static void check_value(uint8_t ret[KEY_CHECK_LEN], const uint8_t key[KEYRING_KEY_LEN])
{
	blake2b(ret, KEY_CHECK_LEN, slice_of(key, KEYRING_KEY_LEN), &SLICE("kcv"), 1);
}

static struct slice id_slice(const struct id *id)
{
	return slice_of(id->bytes, ID_LEN);
}

void key_record_make(uint8_t ret[KEY_RECORD_LEN], const struct key_store *store, const struct id *id,
    const uint8_t key[KEYRING_KEY_LEN])
{
	key_wrap(ret, store->rng, key, store->epochs[0].number, "wrap/v1", id_slice(id), store->epochs[0].key);
	check_value(ret + KEY_WRAPPED_LEN, key);
}

int key_record_open(uint8_t ret_key[KEYRING_KEY_LEN], MDB_val value, const struct id *id,
    const struct epoch_key *epochs)
{
	const uint8_t *record = value.mv_data;
	uint8_t check[KEY_CHECK_LEN];
	uint32_t epoch;

	if (value.mv_size != KEY_RECORD_LEN || record[0] != 0x01)
		return ERR_CORRUPT;
	epoch = (uint32_t)key_get_be(record + 1, 4);
	for (int i = 0; i < 2; i++) {
		if (epochs[i].number == 0 || epochs[i].number != epoch)
			continue;
		if (key_unwrap(ret_key, record, "wrap/v1", id_slice(id), epochs[i].key) != 0)
			return ERR_CORRUPT;
		check_value(check, ret_key);
		if (crypto_equal(slice_of(check, sizeof(check)), slice_of(record + KEY_WRAPPED_LEN, KEY_CHECK_LEN)))
			return 0;
		crypto_wipe(ret_key, KEYRING_KEY_LEN);
		return ERR_CORRUPT;
	}
	return ERR_BAD_KEY;
}

/*
 * The keys used last, clear: 1024 sets of four in secret memory, found by the
 * id's last bytes; in a full set the least recently used gives way.
 *
 * Any thread, under `lock` all of it.
 */
#include "store/keyring_private.h"

static struct opened *opened_set(struct keyring *kr, const struct id *id)
{
	return kr->secrets->opened[(id->bytes[ID_LEN - 2] | id->bytes[ID_LEN - 3] << 8) % OPENED_SETS];
}

struct opened *opened_find(struct keyring *kr, const struct id *id)
{
	struct opened *set = opened_set(kr, id);

	for (int i = 0; i < OPENED_WAYS; i++)
		if (set[i].used != 0 && memcmp(set[i].id.bytes, id->bytes, ID_LEN) == 0)
			return &set[i];
	return NULL;
}

void opened_put(struct keyring *kr, const struct id *id, const uint8_t key[KEYRING_KEY_LEN])
{
	struct opened *at = opened_find(kr, id), *set = opened_set(kr, id);

	if (at == NULL) {
		at = set;
		for (int i = 1; i < OPENED_WAYS; i++)
			if (set[i].used < at->used)
				at = &set[i];
	}
	at->id = *id;
	at->used = ++kr->uses;
	memcpy(at->key, key, KEYRING_KEY_LEN);
}

void opened_drop(struct keyring *kr, const struct id *id)
{
	struct opened *at = opened_find(kr, id);

	if (at != NULL)
		crypto_wipe(at, sizeof(*at));
}

void opened_drop_erased(struct keyring *kr)
{
	for (int i = 0; i < OPENED_SETS * OPENED_WAYS; i++) {
		struct opened *at = &kr->secrets->opened[i / OPENED_WAYS][i % OPENED_WAYS];

		if (at->used != 0 && keyring_is_erased_locked(kr, &at->id))
			crypto_wipe(at, sizeof(*at));
	}
}

/*
 * The end of keys: erasure on request, the sweep of old deliveries, and the turn of
 * the epoch after which what was erased cannot be found on the disk either.
 *
 * Any thread may do each of them; by itself the keyring's thread sweeps, and turns
 * when there were too many keys to do it at once. Whoever does holds `write` throughout,
 * and `lock` only to change what others look at: tombstones, horizon, opened keys, epoch keys.
 */
#include "base/err.h"
#include "store/keyring_private.h"

#define TURN_AT_ONCE_MAX 50000u /* keys; wrapping them anew takes about 0.1 s */

bool keyring_is_erased_locked(const struct keyring *kr, const struct id *id)
{
	if (key_kind_of(id) == KEY_DELIVERY && memcmp(id->bytes, kr->horizon.bytes, ID_LEN) < 0)
		return true;
	if (key_kind_of(id) == KEY_CODE)
		return id_ms(id) < clock_wall_ms(kr->clock) - KEYRING_CODE_HOURS * HOUR_MS;
	return id_set_has(&kr->tombstones, id);
}

bool keyring_is_erased(struct keyring *kr, const struct id *id)
{
	bool erased;

	pthread_mutex_lock(&kr->lock);
	erased = keyring_is_erased_locked(kr, id);
	pthread_mutex_unlock(&kr->lock);
	return erased;
}

/* ---- turning the epoch ------------------------------------------------------------- */

int keyring_turn_locked(struct keyring *kr)
{
	struct key_store *store = &kr->secrets->store;
	struct epoch_key next;
	int rc;

	if (store->epochs[1].number == 0) { /* else one is under way, from before a crash */
		rc = key_store_epoch_new(store, &next);
		if (rc != 0)
			return rc;
		pthread_mutex_lock(&kr->lock);
		store->epochs[1] = store->epochs[0];
		store->epochs[0] = next;
		pthread_mutex_unlock(&kr->lock);
		crypto_wipe(&next, sizeof(next));
	}
	rc = key_store_turn(store);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&kr->lock);
	crypto_wipe(&store->epochs[1], sizeof(store->epochs[1]));
	kr->turn_due_us = 0;
	pthread_mutex_unlock(&kr->lock);
	return 0;
}

int keyring_turn_epoch(struct keyring *kr)
{
	int rc;

	if (kr->readonly)
		return ERR_UNAVAILABLE;
	pthread_mutex_lock(&kr->write);
	rc = keyring_turn_locked(kr);
	pthread_mutex_unlock(&kr->write);
	return keyring_changed(kr, rc);
}

static int64_t turn_due(struct keyring *kr)
{
	return kr->turn_due_us != 0 ? kr->turn_due_us : clock_wall_us(kr->clock) + kr->turn_after_s * INT64_C(1000000);
}

/* Under `write`: at once while it is quick, else when it is due. */
static int turn_now_or_later(struct keyring *kr, int64_t due_us)
{
	uint64_t total = 0, n;

	for (int kind = 0; kind < N_KEY_KINDS; kind++) {
		int rc = key_store_count(&kr->secrets->store, kind, &n);

		if (rc != 0)
			return rc;
		total += n;
	}
	if (total < TURN_AT_ONCE_MAX)
		return keyring_turn_locked(kr);
	pthread_mutex_lock(&kr->lock);
	kr->turn_due_us = due_us;
	pthread_mutex_unlock(&kr->lock);
	return 0;
}

/* ---- erasing ----------------------------------------------------------------------- */

int keyring_erase(struct keyring *kr, const struct id *ids, size_t n)
{
	int64_t due_us;
	int rc = 0;

	if (kr->readonly)
		return ERR_UNAVAILABLE;
	pthread_mutex_lock(&kr->write);
	/* First in memory: from here on nobody remembers one of these again. */
	pthread_mutex_lock(&kr->lock);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = key_kind_of(&ids[i]) == KEY_CODE ? 0 : id_set_add(&kr->tombstones, &ids[i]);
		if (rc == 0)
			opened_drop(kr, &ids[i]);
	}
	due_us = turn_due(kr);
	pthread_mutex_unlock(&kr->lock);
	if (rc == 0)
		rc = key_store_erase(&kr->secrets->store, ids, n, clock_wall_us(kr->clock), due_us);
	if (rc == 0)
		rc = turn_now_or_later(kr, due_us);
	pthread_mutex_unlock(&kr->write);
	return keyring_changed(kr, rc);
}

static struct id lowest_at(int64_t ms)
{
	struct id id = {{0}};

	for (int i = 5; i >= 0; i--, ms >>= 8)
		id.bytes[i] = (uint8_t)ms;
	return id;
}

/* Under `write`: what was swept is not opened again from here on. */
static int sweep_kind(struct keyring *kr, enum key_kind kind, int64_t keep_ms, int64_t due_us, uint64_t *total)
{
	int64_t horizon_ms = clock_wall_ms(kr->clock) - keep_ms;
	struct id horizon;
	uint64_t n = 0;
	int rc;

	if (horizon_ms <= 0)
		return 0;
	horizon = lowest_at(horizon_ms);
	pthread_mutex_lock(&kr->lock);
	if (kind == KEY_DELIVERY)
		kr->horizon = horizon;
	opened_drop_erased(kr);
	pthread_mutex_unlock(&kr->lock);
	rc = key_store_sweep(&kr->secrets->store, kind, &horizon, due_us, &n);
	*total += n;
	return rc;
}

int keyring_sweep(struct keyring *kr, uint64_t *ret_n)
{
	uint64_t n_codes = 0;
	int64_t due_us;
	int rc;

	*ret_n = 0;
	if (kr->readonly)
		return ERR_UNAVAILABLE;
	pthread_mutex_lock(&kr->write);
	pthread_mutex_lock(&kr->lock);
	due_us = turn_due(kr);
	pthread_mutex_unlock(&kr->lock);
	rc = sweep_kind(kr, KEY_DELIVERY, (int64_t)kr->keep_days * DAY_MS, due_us, ret_n);
	if (rc == 0)
		rc = sweep_kind(kr, KEY_CODE, KEYRING_CODE_HOURS * HOUR_MS, due_us, &n_codes);
	if (rc == 0 && *ret_n + n_codes > 0)
		rc = turn_now_or_later(kr, due_us);
	pthread_mutex_unlock(&kr->write);
	return keyring_changed(kr, rc);
}

/*
 * The keyring: use of a key, and its thread, which has every duty that can wait:
 * filling the stock, sweeping, turning the epoch. What it holds in memory and which
 * lock guards what is in keyring_private.h; store/key_store.c has the disk.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "crypto/secret.h"
#include "store/keyring_private.h"

#define TURN_AFTER_S_DEFAULT 3600u
#define UPKEEP_S 60 /* the thread looks at its duties at least so often */
#define SWEEP_EVERY_US INT64_C(3600000000)

/* ---- use ---------------------------------------------------------------------------- */

/* A delivery's key that is not there was shredded, a code's was erased if it ever was made; they leave no tombstone. */
static int why_not_there(struct keyring *kr, const struct id *id)
{
	struct id made;
	int rc;

	if (key_kind_of(id) != KEY_CODE)
		return key_kind_of(id) == KEY_DELIVERY ? ERR_ERASED : ERR_NOT_FOUND;
	rc = key_store_meta_get(&kr->secrets->store, "codes", made.bytes, ID_LEN);
	if (rc == 0)
		rc = memcmp(id->bytes, made.bytes, ID_LEN) <= 0 ? ERR_ERASED : ERR_NOT_FOUND;
	return rc;
}

/* From the disk. A turn of the epoch may finish between the copy of the keys and the read: then once more. */
static int get_stored(struct keyring *kr, const struct id *id, uint8_t ret_key[KEYRING_KEY_LEN])
{
	struct key_store *store = &kr->secrets->store;
	struct epoch_key epochs[2];
	int rc = ERR_BAD_KEY;

	for (int i = 0; i < 3 && rc == ERR_BAD_KEY; i++) {
		pthread_mutex_lock(&kr->lock);
		if (i > 0 && kr->readonly)
			key_store_reload(store, store->epochs);
		memcpy(epochs, store->epochs, sizeof(epochs));
		pthread_mutex_unlock(&kr->lock);
		rc = key_store_get(store, epochs, id, ret_key);
	}
	crypto_wipe(epochs, sizeof(epochs));
	return rc == ERR_NOT_FOUND ? why_not_there(kr, id) : rc;
}

int keyring_get(struct keyring *kr, const struct id *id, uint8_t ret_key[KEYRING_KEY_LEN])
{
	struct opened *at;
	int rc = ERR_NOT_FOUND;

	pthread_mutex_lock(&kr->lock);
	at = opened_find(kr, id);
	if (at != NULL) {
		at->used = ++kr->uses;
		memcpy(ret_key, at->key, KEYRING_KEY_LEN);
		rc = 0;
	} else if (keyring_is_erased_locked(kr, id)) {
		rc = ERR_ERASED;
	}
	pthread_mutex_unlock(&kr->lock);
	if (rc != ERR_NOT_FOUND)
		return rc;

	rc = get_stored(kr, id, ret_key);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&kr->lock);
	if (keyring_is_erased_locked(kr, id)) { /* while we read */
		crypto_wipe(ret_key, KEYRING_KEY_LEN);
		rc = ERR_ERASED;
	} else if (!kr->readonly && key_kind_of(id) != KEY_CODE) {
		/* Another process may erase what we would remember; of codes no tombstone tells that it was erased while we read. */
		opened_put(kr, id, ret_key);
	}
	pthread_mutex_unlock(&kr->lock);
	return rc;
}

int keyring_secret(struct keyring *kr, const char *name, uint8_t ret_secret[KEYRING_KEY_LEN])
{
	int rc;

	pthread_mutex_lock(&kr->write);
	rc = key_store_secret(&kr->secrets->store, name, !kr->readonly, ret_secret);
	pthread_mutex_unlock(&kr->write);
	return keyring_changed(kr, rc);
}

int keyring_changed(struct keyring *kr, int rc)
{
	bool told;

	if (rc == 0 || !key_store_is_lost(&kr->secrets->store))
		return rc;
	pthread_mutex_lock(&kr->lock);
	told = kr->lost;
	kr->lost = true;
	pthread_mutex_unlock(&kr->lock);
	if (!told && kr->on_fatal != NULL)
		kr->on_fatal(kr->arg, rc);
	return rc;
}

/* ---- the thread -------------------------------------------------------------------------- */

static void told(int rc, const char *what)
{
	if (rc != 0)
		log_error("keyring", what, "error", err_name(rc), "reason", err_text(rc));
}

/* Outside the locks. */
static void upkeep(struct keyring *kr, bool turn_is_due, bool sweep_is_due)
{
	uint64_t n = 0;

	if (sweep_is_due) {
		told(keyring_sweep(kr, &n), "raw bodies past their age could not be shredded");
		kr->swept_us = clock_monotonic_us(kr->clock);
	}
	if (turn_is_due)
		told(keyring_turn_epoch(kr), "the epoch could not be turned: erased keys may still be found");
}

static void *run(void *arg)
{
	struct keyring *kr = arg;
	bool failed = false;

	pthread_mutex_lock(&kr->lock);
	while (!kr->stopping) {
		bool low[N_KEY_KINDS], turn_is_due, sweep_is_due;

		for (int kind = 0; kind < N_KEY_KINDS; kind++)
			low[kind] = stock_is_low(kr, kind);
		turn_is_due = kr->turn_due_us != 0 && clock_wall_us(kr->clock) >= kr->turn_due_us;
		sweep_is_due = kr->swept_us == 0 || clock_monotonic_us(kr->clock) - kr->swept_us >= SWEEP_EVERY_US;
		if (!kr->asked && (failed || (!low[KEY_SUBJECT] && !low[KEY_DELIVERY] && !low[KEY_CODE] && !turn_is_due && !sweep_is_due))) {
			/* After a failure not at once again, unless somebody waits. */
			struct timespec at = thread_deadline((failed ? 1 : UPKEEP_S) * 1000);

			pthread_cond_timedwait(&kr->wake, &kr->lock, &at);
			failed = false;
			continue;
		}
		kr->asked = false;
		pthread_mutex_unlock(&kr->lock);
		for (int kind = 0; kind < N_KEY_KINDS; kind++) {
			int rc = low[kind] ? stock_fill(kr, kind) : 0;

			told(rc, "no keys could be made ahead");
			failed = failed || rc != 0;
		}
		upkeep(kr, turn_is_due, sweep_is_due);
		pthread_mutex_lock(&kr->lock);
	}
	pthread_cond_broadcast(&kr->filled);
	pthread_mutex_unlock(&kr->lock);
	return NULL;
}

/* ---- open and close ----------------------------------------------------------------------- */

/* Not two keyrings on one directory: each would give out the same stock. */
static int lock_dir(struct keyring *kr, const char *dir)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path))
		return ERR_TOO_BIG;
	kr->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (kr->lock_fd < 0)
		return ERR_IO;
	return flock(kr->lock_fd, LOCK_EX | LOCK_NB) == 0 ? 0 : ERR_LOCKED;
}

static int on_tombstone(void *arg, const struct id *id)
{
	return id_set_add(arg, id);
}

static int load(struct keyring *kr)
{
	struct key_store *store = &kr->secrets->store;
	uint8_t due[8];
	int rc;

	rc = key_store_tombstones(store, on_tombstone, &kr->tombstones);
	if (rc == 0) {
		rc = key_store_meta_get(store, "swept", kr->horizon.bytes, ID_LEN);
		if (rc == ERR_NOT_FOUND)
			rc = 0;
	}
	if (rc != 0 || kr->readonly)
		return rc;
	rc = key_store_meta_get(store, "turn", due, sizeof(due));
	if (rc == 0) {
		for (int i = 0; i < 8; i++)
			kr->turn_due_us = (int64_t)((uint64_t)kr->turn_due_us << 8 | due[i]);
	} else if (rc != ERR_NOT_FOUND) {
		return rc;
	}
	if (store->epochs[1].number != 0) {
		rc = keyring_turn_locked(kr);
		if (rc != 0)
			return rc;
	}
	return stock_load(kr);
}

int keyring_open(struct keyring **ret, const struct keyring_options *options)
{
	struct keyring *kr = calloc(1, sizeof(*kr));
	pthread_condattr_t attr;
	int rc;

	if (kr == NULL)
		return ERR_NOMEM;
	kr->clock = options->clock;
	kr->rng = options->rng;
	stock_init(kr, options->stock);
	kr->keep_days = options->keep_days;
	kr->turn_after_s = options->turn_after_s == 0 ? TURN_AFTER_S_DEFAULT : options->turn_after_s;
	kr->readonly = options->readonly;
	kr->on_fatal = options->on_fatal;
	kr->arg = options->arg;
	kr->lock_fd = -1;
	pthread_mutex_init(&kr->write, NULL);
	pthread_mutex_init(&kr->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&kr->wake, &attr);
	pthread_cond_init(&kr->filled, &attr);
	pthread_condattr_destroy(&attr);

	kr->secrets = secret_alloc(sizeof(*kr->secrets));
	rc = kr->secrets == NULL ? ERR_NOMEM : 0;
	if (rc == 0 && !kr->readonly) {
		rc = dir_create(options->dir, 0700);
		if (rc == 0)
			rc = lock_dir(kr, options->dir);
	}
	if (rc == 0)
		rc = key_store_open(&kr->secrets->store, options);
	if (rc == 0)
		rc = load(kr);
	if (rc == 0 && !kr->readonly) {
		rc = pthread_create(&kr->thread, NULL, run, kr) == 0 ? 0 : ERR_NOMEM;
		kr->started = rc == 0;
	}
	if (rc != 0) {
		keyring_close(kr);
		return rc;
	}
	*ret = kr;
	return 0;
}

static void stop_thread(struct keyring *kr)
{
	if (!kr->started)
		return;
	pthread_mutex_lock(&kr->lock);
	kr->stopping = true;
	pthread_cond_signal(&kr->wake);
	pthread_mutex_unlock(&kr->lock);
	pthread_join(kr->thread, NULL);
	told(stock_save(kr), "the stock of keys could not be kept");
}

void keyring_close(struct keyring *kr)
{
	if (kr == NULL)
		return;
	stop_thread(kr);
	if (kr->secrets != NULL)
		key_store_close(&kr->secrets->store);
	stock_finish(kr);
	secret_free(kr->secrets, sizeof(*kr->secrets));
	id_set_finish(&kr->tombstones);
	if (kr->lock_fd >= 0)
		close(kr->lock_fd);
	pthread_cond_destroy(&kr->wake);
	pthread_cond_destroy(&kr->filled);
	pthread_mutex_destroy(&kr->lock);
	pthread_mutex_destroy(&kr->write);
	free(kr);
}

int keyring_stats(struct keyring *kr, struct keyring_stats *ret)
{
	struct keyring_stats stats = {0};
	int rc;

	rc = key_store_count(&kr->secrets->store, KEY_SUBJECT, &stats.subjects);
	if (rc == 0)
		rc = key_store_count(&kr->secrets->store, KEY_DELIVERY, &stats.deliveries);
	if (rc == 0)
		rc = key_store_count(&kr->secrets->store, KEY_CODE, &stats.codes);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&kr->lock);
	stats.epoch = kr->secrets->store.epochs[0].number;
	stats.tombstones = kr->tombstones.n;
	for (int kind = 0; kind < N_KEY_KINDS; kind++)
		stats.stock[kind] = (unsigned)kr->stocks[kind].n;
	stats.turn_due_at_us = kr->turn_due_us;
	pthread_mutex_unlock(&kr->lock);
	*ret = stats;
	return 0;
}

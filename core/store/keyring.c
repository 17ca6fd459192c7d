/*
 * The keyring's memory and its thread; store/key_store.c has the disk.
 *
 *     stock        keys made ahead and not given out, oldest first, per kind
 *     opened       the last some thousand keys used, clear, in secret memory
 *     tombstones   ids that were erased, all of them
 *
 * `lock` guards all three and the epoch keys; it is never held over a disk
 * operation. `write` is held by whoever changes the disk, and taken first.
 */
#include "store/keyring.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "crypto/secret.h"
#include "store/key_store.h"

#define STOCK_DEFAULT 8192u
#define STOCK_MAX 65536u
#define BATCH_MIN 256u
#define FAST_US INT64_C(1000000)  /* filled again so soon: twice as many */
#define SLOW_US INT64_C(60000000) /* only after so long: half as many */
#define TURN_AT_ONCE_MAX 50000u /* keys; wrapping them anew takes about 0.1 s */
#define TURN_AFTER_S_DEFAULT 3600u
#define DAY_MS INT64_C(86400000)
#define UPKEEP_S 60 /* the thread looks at its duties at least so often */
#define SWEEP_EVERY_US INT64_C(3600000000)
#define TAKE_WAIT_S 5

#define OPENED_SETS 1024 /* of four: the least recently used of a set gives way */
#define OPENED_WAYS 4

struct opened {
	struct id id;
	uint32_t used; /* by the count of uses; 0: empty */
	uint8_t key[KEYRING_KEY_LEN];
};

/* Everything that must not be written to a disk in clear. */
struct secrets {
	struct key_store store;
	struct opened opened[OPENED_SETS][OPENED_WAYS];
};

struct stock {
	struct key_entry *entries; /* room for `size`, secret memory */
	size_t first, n;
	size_t batch; /* made at once when no more than so many are left; at most half the room */
	int64_t filled_us; /* monotonic; when that was last, by the keyring's thread alone */
	struct id last; /* highest id ever made */
	struct id taken; /* last one given out */
};

/* Open addressing; ids are random enough to be their own hash. */
struct id_set {
	struct id *ids;
	bool *used;
	size_t cap, n;
};

struct keyring {
	struct secrets *secrets;
	const struct clock *clock;
	const struct rng *rng;
	unsigned size, keep_days, turn_after_s;
	bool readonly;
	int lock_fd;

	pthread_mutex_t write;
	pthread_mutex_t lock;
	pthread_cond_t wake;   /* the thread: something to do */
	pthread_cond_t filled; /* takers: look at the stock again */
	struct stock stocks[N_KEY_KINDS];
	struct id_set tombstones;
	uint32_t uses;
	int64_t turn_due_us; /* 0: none owed */
	int64_t swept_us;    /* monotonic; when the last sweep was */
	struct id horizon;   /* deliveries below it are shredded */
	int fill_rc;         /* of the last filling */
	bool stopping, started;
	pthread_t thread;
};

/* ---- tombstones ---------------------------------------------------------------- */

static size_t set_slot(const struct id_set *s, const struct id *id)
{
	uint64_t hash;
	size_t i;

	memcpy(&hash, id->bytes + 7, sizeof(hash));
	for (i = (size_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (s->cap - 1); s->used[i]; i = (i + 1) & (s->cap - 1))
		if (memcmp(s->ids[i].bytes, id->bytes, ID_LEN) == 0)
			break;
	return i;
}

static bool set_has(const struct id_set *s, const struct id *id)
{
	return s->n > 0 && s->used[set_slot(s, id)];
}

static void set_finish(struct id_set *s)
{
	free(s->ids);
	free(s->used);
	*s = (struct id_set){0};
}

static int set_add(struct id_set *s, const struct id *id)
{
	size_t i;

	if (s->n * 2 >= s->cap) {
		struct id_set bigger = {.cap = s->cap == 0 ? 64 : 2 * s->cap};

		bigger.ids = calloc(bigger.cap, sizeof(*bigger.ids));
		bigger.used = calloc(bigger.cap, sizeof(*bigger.used));
		if (bigger.ids == NULL || bigger.used == NULL) {
			set_finish(&bigger);
			return ERR_NOMEM;
		}
		for (i = 0; i < s->cap; i++)
			if (s->used[i])
				set_add(&bigger, &s->ids[i]);
		set_finish(s);
		*s = bigger;
	}
	i = set_slot(s, id);
	if (!s->used[i]) {
		s->used[i] = true;
		s->ids[i] = *id;
		s->n++;
	}
	return 0;
}

static int on_tombstone(void *arg, const struct id *id)
{
	return set_add(arg, id);
}

/* ---- opened keys; under `lock` --------------------------------------------------- */

static struct opened *opened_set(struct keyring *kr, const struct id *id)
{
	return kr->secrets->opened[(id->bytes[ID_LEN - 2] | id->bytes[ID_LEN - 3] << 8) % OPENED_SETS];
}

static struct opened *opened_find(struct keyring *kr, const struct id *id)
{
	struct opened *set = opened_set(kr, id);

	for (int i = 0; i < OPENED_WAYS; i++)
		if (set[i].used != 0 && memcmp(set[i].id.bytes, id->bytes, ID_LEN) == 0)
			return &set[i];
	return NULL;
}

static void opened_put(struct keyring *kr, const struct id *id, const uint8_t key[KEYRING_KEY_LEN])
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

static void opened_drop(struct keyring *kr, const struct id *id)
{
	struct opened *at = opened_find(kr, id);

	if (at != NULL)
		crypto_wipe(at, sizeof(*at));
}

/* ---- the stock -------------------------------------------------------------------- */

static bool stock_is_wanted(const struct keyring *kr, enum key_kind kind)
{
	return kind != KEY_DELIVERY || kr->keep_days > 0;
}

static bool stock_is_low(const struct keyring *kr, enum key_kind kind)
{
	return stock_is_wanted(kr, kind) && kr->stocks[kind].n <= kr->stocks[kind].batch;
}

static int by_id(const void *a, const void *b)
{
	return memcmp(((const struct key_entry *)a)->id.bytes, ((const struct key_entry *)b)->id.bytes, ID_LEN);
}

static int64_t id_ms(const struct id *id)
{
	int64_t ms = 0;

	for (int i = 0; i < 6; i++)
		ms = ms << 8 | id->bytes[i];
	return ms;
}

/* n new keys above all there are, in ascending order. */
static void make_keys(struct keyring *kr, enum key_kind kind, struct key_entry *entries, size_t n)
{
	int64_t now_ms = clock_wall_ms(kr->clock), above_ms = id_ms(&kr->stocks[kind].last) + 1;

	if (now_ms < above_ms) /* the clock went back, or this is the second batch of a millisecond */
		now_ms = above_ms;
	for (size_t i = 0; i < n; i++) {
		entries[i].id = id_ordered(kr->rng, now_ms);
		entries[i].id.bytes[ID_LEN - 1] &= 0xfe;
		entries[i].id.bytes[ID_LEN - 1] |= kind == KEY_DELIVERY ? 1 : 0;
		rng_fill(kr->rng, entries[i].key, KEYRING_KEY_LEN);
	}
	qsort(entries, n, sizeof(*entries), by_id);
}

/* Under `lock`. */
static void stock_push(struct keyring *kr, enum key_kind kind, const struct key_entry *entries, size_t n)
{
	struct stock *s = &kr->stocks[kind];

	assert(s->n + n <= kr->size);
	for (size_t i = 0; i < n; i++)
		s->entries[(s->first + s->n + i) % kr->size] = entries[i];
	s->n += n;
}

static size_t batch_min(const struct keyring *kr)
{
	return kr->size / 2 < BATCH_MIN ? kr->size / 2 : BATCH_MIN;
}

/*
 * A stock that goes fast is made larger, one that stands smaller: what lies in
 * it is lost in a crash, and a server that crashes over and over must not fill the disk with keys.
 */
static size_t next_batch(struct keyring *kr, struct stock *s)
{
	int64_t now_us = clock_monotonic_us(kr->clock), since_us = now_us - s->filled_us;
	size_t batch;

	pthread_mutex_lock(&kr->lock);
	if (s->filled_us != 0 && since_us < FAST_US && s->batch * 2 <= kr->size / 2)
		s->batch *= 2;
	else if (since_us > SLOW_US && s->batch / 2 >= batch_min(kr))
		s->batch /= 2;
	batch = s->batch;
	pthread_mutex_unlock(&kr->lock);
	s->filled_us = now_us;
	return batch;
}

/* The keyring's thread. */
static int stock_fill(struct keyring *kr, enum key_kind kind)
{
	size_t n = next_batch(kr, &kr->stocks[kind]);
	struct key_entry *entries = secret_alloc(n * sizeof(*entries));
	int rc;

	if (entries == NULL)
		return ERR_NOMEM;
	pthread_mutex_lock(&kr->write);
	make_keys(kr, kind, entries, n);
	rc = key_store_add(&kr->secrets->store, kind, entries, n);
	if (rc == 0)
		kr->stocks[kind].last = entries[n - 1].id;
	pthread_mutex_unlock(&kr->write);
	pthread_mutex_lock(&kr->lock);
	if (rc == 0)
		stock_push(kr, kind, entries, n);
	kr->fill_rc = rc;
	pthread_cond_broadcast(&kr->filled);
	pthread_mutex_unlock(&kr->lock);
	secret_free(entries, n * sizeof(*entries));
	return rc;
}

/*
 * A delivery's age is its key's, so a key that lay in stock for long would end
 * too early: those of yesterday are left for the sweeper. Under `lock`.
 */
static void stock_drop_stale(struct keyring *kr)
{
	struct stock *s = &kr->stocks[KEY_DELIVERY];
	int64_t oldest_ms = clock_wall_ms(kr->clock) - DAY_MS;

	while (s->n > 0 && id_ms(&s->entries[s->first].id) < oldest_ms) {
		crypto_wipe(&s->entries[s->first], sizeof(s->entries[0]));
		s->first = (s->first + 1) % kr->size;
		s->n--;
	}
}

int keyring_take(struct keyring *kr, enum key_kind kind, struct id *ret_id)
{
	struct stock *s = &kr->stocks[kind];
	struct timespec deadline = {0};
	int rc = 0;

	if (kr->readonly || !stock_is_wanted(kr, kind))
		return ERR_UNAVAILABLE;
	pthread_mutex_lock(&kr->lock);
	if (kind == KEY_DELIVERY)
		stock_drop_stale(kr);
	while (s->n == 0 && rc == 0 && !kr->stopping) {
		if (deadline.tv_sec == 0) {
			deadline = thread_deadline(TAKE_WAIT_S * 1000);
			kr->fill_rc = 0;
			pthread_cond_signal(&kr->wake);
		}
		if (pthread_cond_timedwait(&kr->filled, &kr->lock, &deadline) != 0 || kr->fill_rc != 0)
			rc = ERR_UNAVAILABLE;
	}
	if (s->n > 0) {
		struct key_entry *entry = &s->entries[s->first];

		*ret_id = s->taken = entry->id;
		opened_put(kr, &entry->id, entry->key);
		crypto_wipe(entry, sizeof(*entry));
		s->first = (s->first + 1) % kr->size;
		s->n--;
		rc = 0;
	} else {
		rc = ERR_UNAVAILABLE;
	}
	if (stock_is_low(kr, kind))
		pthread_cond_signal(&kr->wake);
	pthread_mutex_unlock(&kr->lock);
	return rc;
}

/* ---- use ---------------------------------------------------------------------------- */

/* Under `lock`. */
static bool is_erased(const struct keyring *kr, const struct id *id)
{
	if (key_kind_of(id) == KEY_DELIVERY && memcmp(id->bytes, kr->horizon.bytes, ID_LEN) < 0)
		return true;
	return set_has(&kr->tombstones, id);
}

bool keyring_is_erased(struct keyring *kr, const struct id *id)
{
	bool erased;

	pthread_mutex_lock(&kr->lock);
	erased = is_erased(kr, id);
	pthread_mutex_unlock(&kr->lock);
	return erased;
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
	/* A delivery's key that is not there was shredded, and leaves no tombstone. */
	return rc == ERR_NOT_FOUND && key_kind_of(id) == KEY_DELIVERY ? ERR_ERASED : rc;
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
	} else if (is_erased(kr, id)) {
		rc = ERR_ERASED;
	}
	pthread_mutex_unlock(&kr->lock);
	if (rc != ERR_NOT_FOUND)
		return rc;

	rc = get_stored(kr, id, ret_key);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&kr->lock);
	if (is_erased(kr, id)) { /* while we read */
		crypto_wipe(ret_key, KEYRING_KEY_LEN);
		rc = ERR_ERASED;
	} else if (!kr->readonly) { /* another process may erase what we would remember */
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
	return rc;
}

/* ---- erasure -------------------------------------------------------------------------- */

/* Under `write`. The pair of epoch keys changes under both locks: readers copy it under `lock`. */
static int turn(struct keyring *kr)
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
	rc = turn(kr);
	pthread_mutex_unlock(&kr->write);
	return rc;
}

static int64_t turn_due(struct keyring *kr)
{
	return kr->turn_due_us != 0 ? kr->turn_due_us : clock_wall_us(kr->clock) + kr->turn_after_s * INT64_C(1000000);
}

/* Under `write`: at once while it is quick, else when it is due. */
static int turn_now_or_later(struct keyring *kr, int64_t due_us)
{
	uint64_t subjects, deliveries;
	int rc;

	rc = key_store_count(&kr->secrets->store, KEY_SUBJECT, &subjects);
	if (rc == 0)
		rc = key_store_count(&kr->secrets->store, KEY_DELIVERY, &deliveries);
	if (rc != 0)
		return rc;
	if (subjects + deliveries < TURN_AT_ONCE_MAX)
		return turn(kr);
	pthread_mutex_lock(&kr->lock);
	kr->turn_due_us = due_us;
	pthread_mutex_unlock(&kr->lock);
	return 0;
}

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
		rc = set_add(&kr->tombstones, &ids[i]);
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
	return rc;
}

int keyring_sweep(struct keyring *kr, uint64_t *ret_n)
{
	int64_t horizon_ms, due_us;
	struct id horizon = {{0}};
	int rc;

	*ret_n = 0;
	if (kr->readonly)
		return ERR_UNAVAILABLE;
	horizon_ms = clock_wall_ms(kr->clock) - (int64_t)kr->keep_days * DAY_MS;
	if (horizon_ms <= 0)
		return 0;
	for (int i = 5; i >= 0; i--, horizon_ms >>= 8)
		horizon.bytes[i] = (uint8_t)horizon_ms;
	pthread_mutex_lock(&kr->write);
	pthread_mutex_lock(&kr->lock);
	kr->horizon = horizon;
	for (int i = 0; i < OPENED_SETS * OPENED_WAYS; i++) {
		struct opened *at = &kr->secrets->opened[i / OPENED_WAYS][i % OPENED_WAYS];

		if (at->used != 0 && is_erased(kr, &at->id))
			crypto_wipe(at, sizeof(*at));
	}
	due_us = turn_due(kr);
	pthread_mutex_unlock(&kr->lock);
	rc = key_store_sweep(&kr->secrets->store, &horizon, due_us, ret_n);
	if (rc == 0 && *ret_n > 0)
		rc = turn_now_or_later(kr, due_us);
	pthread_mutex_unlock(&kr->write);
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
		if (failed || (!low[KEY_SUBJECT] && !low[KEY_DELIVERY] && !turn_is_due && !sweep_is_due)) {
			/* After a failure not at once again, unless somebody waits. */
			struct timespec at = thread_deadline((failed ? 1 : UPKEEP_S) * 1000);

			pthread_cond_timedwait(&kr->wake, &kr->lock, &at);
			failed = false;
			continue;
		}
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

/*
 * What was made and not given out, after a clean stop. After a crash nobody
 * knows which of the keys above the mark are in the log, so they all count as
 * given out.
 */
static int stock_load(struct keyring *kr)
{
	struct key_store *store = &kr->secrets->store;
	struct id taken[N_KEY_KINDS];
	bool clean;
	int rc;

	rc = key_store_meta_get(store, "clean", taken, sizeof(taken));
	if (rc != 0 && rc != ERR_NOT_FOUND)
		return rc;
	clean = rc == 0;
	for (int kind = 0; kind < N_KEY_KINDS; kind++) {
		struct stock *s = &kr->stocks[kind];

		s->entries = secret_alloc(kr->size * sizeof(*s->entries));
		if (s->entries == NULL)
			return ERR_NOMEM;
		rc = key_store_last(store, kind, &s->last);
		if (rc == 0)
			s->taken = clean ? taken[kind] : s->last;
		else if (rc != ERR_NOT_FOUND)
			return rc;
		rc = clean ? key_store_list(store, kind, &s->taken, s->entries, kr->size, &s->n) : 0;
		if (rc != 0)
			return rc;
	}
	return clean ? key_store_meta_put(store, "clean", NULL, 0) : 0;
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
		rc = turn(kr);
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
	kr->size = options->stock == 0 ? STOCK_DEFAULT : options->stock > STOCK_MAX ? STOCK_MAX : options->stock;
	kr->size += kr->size % 2; /* it is filled by halves at most */
	for (int kind = 0; kind < N_KEY_KINDS; kind++)
		kr->stocks[kind].batch = batch_min(kr);
	kr->keep_days = options->keep_days;
	kr->turn_after_s = options->turn_after_s == 0 ? TURN_AFTER_S_DEFAULT : options->turn_after_s;
	kr->readonly = options->readonly;
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
	struct id taken[N_KEY_KINDS];

	if (!kr->started)
		return;
	pthread_mutex_lock(&kr->lock);
	kr->stopping = true;
	pthread_cond_signal(&kr->wake);
	pthread_mutex_unlock(&kr->lock);
	pthread_join(kr->thread, NULL);
	for (int kind = 0; kind < N_KEY_KINDS; kind++)
		taken[kind] = kr->stocks[kind].taken;
	told(key_store_meta_put(&kr->secrets->store, "clean", taken, sizeof(taken)), "the stock of keys could not be kept");
}

void keyring_close(struct keyring *kr)
{
	if (kr == NULL)
		return;
	stop_thread(kr);
	if (kr->secrets != NULL)
		key_store_close(&kr->secrets->store);
	for (int kind = 0; kind < N_KEY_KINDS; kind++)
		secret_free(kr->stocks[kind].entries, kr->size * sizeof(struct key_entry));
	secret_free(kr->secrets, sizeof(*kr->secrets));
	set_finish(&kr->tombstones);
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

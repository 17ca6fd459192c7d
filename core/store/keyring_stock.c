/*
 * The stock: keys made ahead, durable, oldest first, a ring for each kind.
 *
 * The keyring's thread fills it (stock_fill()) when it is low, any thread takes
 * from it (keyring_take()). The rings are under `lock`; `last` is under `write`, so
 * that keys are made and written in one order; `filled_us` is the filling thread's own.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/thread.h"
#include "crypto/secret.h"
#include "store/keyring_private.h"

#define CLEAN "clean/3"
#define STOCK_DEFAULT 8192u
#define STOCK_MAX 65536u
#define BATCH_MIN 256u
#define FAST_US INT64_C(1000000)  /* filled again so soon: twice as many */
#define SLOW_US INT64_C(60000000) /* only after so long: half as many */
#define TAKE_WAIT_S 5

static bool stock_is_wanted(const struct keyring *kr, enum key_kind kind)
{
	return kind != KEY_DELIVERY || kr->keep_days > 0;
}

bool stock_is_low(const struct keyring *kr, enum key_kind kind)
{
	return stock_is_wanted(kr, kind) && kr->stocks[kind].n <= kr->stocks[kind].batch;
}

static int by_id(const void *a, const void *b)
{
	return memcmp(((const struct key_entry *)a)->id.bytes, ((const struct key_entry *)b)->id.bytes, ID_LEN);
}

static void mark_kind(struct id *id, enum key_kind kind)
{
	id->bytes[ID_LEN - 1] &= 0xfe;
	if (kind == KEY_DELIVERY)
		id->bytes[ID_LEN - 1] |= 1;
	else if (kind == KEY_CODE)
		memcpy(id->bytes + KEY_CODE_MARK_AT, KEY_CODE_MARK, KEY_CODE_MARK_LEN);
	else if (key_kind_of(id) == KEY_CODE) /* by chance */
		id->bytes[KEY_CODE_MARK_AT] ^= 1;
}

/* n new keys above all there are, in ascending order. */
static void make_keys(struct keyring *kr, enum key_kind kind, struct key_entry *entries, size_t n)
{
	int64_t now_ms = clock_wall_ms(kr->clock), above_ms = id_ms(&kr->stocks[kind].last) + 1;

	if (now_ms < above_ms) /* the clock went back, or this is the second batch of a millisecond */
		now_ms = above_ms;
	for (size_t i = 0; i < n; i++) {
		entries[i].id = id_ordered(kr->rng, now_ms);
		mark_kind(&entries[i].id, kind);
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

int stock_fill(struct keyring *kr, enum key_kind kind)
{
	size_t n = next_batch(kr, &kr->stocks[kind]);
	struct key_entry *entries = secret_alloc(n * sizeof(*entries));
	int rc = ERR_NOMEM;

	if (entries != NULL) {
		pthread_mutex_lock(&kr->write);
		make_keys(kr, kind, entries, n);
		rc = key_store_add(&kr->secrets->store, kind, entries, n);
		if (rc == 0)
			kr->stocks[kind].last = entries[n - 1].id;
		pthread_mutex_unlock(&kr->write);
		keyring_changed(kr, rc);
	}
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
 * The age of a delivery and of a code is their key's, so a key that lay in stock for long would end
 * too early: those of yesterday, or of an hour ago, are left for the sweeper. Under `lock`.
 */
static void stock_drop_stale(struct keyring *kr, enum key_kind kind)
{
	struct stock *s = &kr->stocks[kind];
	int64_t oldest_ms = clock_wall_ms(kr->clock) - (kind == KEY_CODE ? KEYRING_CODE_HOURS * HOUR_MS / 2 : DAY_MS);

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
	if (kind != KEY_SUBJECT)
		stock_drop_stale(kr, kind);
	while (s->n == 0 && rc == 0 && !kr->stopping) {
		if (deadline.tv_sec == 0) {
			deadline = thread_deadline(TAKE_WAIT_S * 1000);
			kr->fill_rc = 0;
			kr->asked = true;
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

/* ---- begin and end ----------------------------------------------------------------------- */

void stock_init(struct keyring *kr, unsigned most)
{
	kr->size = most == 0 ? STOCK_DEFAULT : most > STOCK_MAX ? STOCK_MAX : most;
	kr->size += kr->size % 2; /* it is filled by halves at most */
	for (int kind = 0; kind < N_KEY_KINDS; kind++)
		kr->stocks[kind].batch = batch_min(kr);
}

/*
 * What was made and not given out, after a clean stop. After a crash nobody
 * knows which of the keys above the mark are in the log, so they all count as
 * given out.
 */
int stock_load(struct keyring *kr)
{
	struct key_store *store = &kr->secrets->store;
	struct id taken[N_KEY_KINDS];
	bool clean;
	int rc;

	rc = key_store_meta_put(store, "clean", NULL, 0); /* as it was before there were codes */
	if (rc == 0)
		rc = key_store_meta_get(store, CLEAN, taken, sizeof(taken));
	if (rc != 0 && rc != ERR_NOT_FOUND)
		return rc;
	clean = rc == 0;
	for (int kind = 0; kind < N_KEY_KINDS; kind++) {
		struct stock *s = &kr->stocks[kind];

		s->entries = secret_alloc(kr->size * sizeof(*s->entries));
		if (s->entries == NULL)
			return ERR_NOMEM;
		rc = key_store_last(store, kind, &s->last);
		if (kind == KEY_CODE && (rc == 0 || rc == ERR_NOT_FOUND)) /* the last one may be erased */
			rc = key_store_meta_get(store, "codes", s->last.bytes, ID_LEN);
		if (rc == 0)
			s->taken = clean ? taken[kind] : s->last;
		else if (rc != ERR_NOT_FOUND)
			return rc;
		rc = clean ? key_store_list(store, kind, &s->taken, s->entries, kr->size, &s->n) : 0;
		if (rc != 0)
			return rc;
	}
	return clean ? key_store_meta_put(store, CLEAN, NULL, 0) : 0;
}

int stock_save(struct keyring *kr)
{
	struct id taken[N_KEY_KINDS];

	for (int kind = 0; kind < N_KEY_KINDS; kind++)
		taken[kind] = kr->stocks[kind].taken;
	return key_store_meta_put(&kr->secrets->store, CLEAN, taken, sizeof(taken));
}

void stock_finish(struct keyring *kr)
{
	for (int kind = 0; kind < N_KEY_KINDS; kind++)
		secret_free(kr->stocks[kind].entries, kr->size * sizeof(struct key_entry));
}

/*
 * What the files of the keyring share; private to core/store/keyring*.c.
 *
 *     stock        keys made ahead and not given out, oldest first, per kind
 *     opened       the last some thousand keys used, clear, in secret memory
 *     tombstones   ids that were erased, all of them
 *
 * `lock` guards all three and the epoch keys; it is never held over a disk
 * operation. `write` is held by whoever changes the disk, and taken first. So
 * the pair of epoch keys changes under both: readers copy it under `lock`.
 */
#ifndef LULAB_STORE_KEYRING_PRIVATE_H
#define LULAB_STORE_KEYRING_PRIVATE_H

#include <pthread.h>

#include "store/id_set.h"
#include "store/key_store.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

#define OPENED_SETS 1024 /* of four: the least recently used of a set gives way */
#define OPENED_WAYS 4

struct opened {
	struct id id;
	uint32_t used; /* by the count of uses; 0: empty */
	uint8_t key[KEYRING_KEY_LEN];
};

/* When a key was made. */
static inline int64_t id_ms(const struct id *id)
{
	int64_t ms = 0;

	for (int i = 0; i < 6; i++)
		ms = ms << 8 | id->bytes[i];
	return ms;
}

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
	bool asked;          /* somebody found a stock empty since the last filling began */
	bool stopping, started;
	void (*on_fatal)(void *arg, int err);
	void *arg;
	bool lost; /* on_fatal was called */
	pthread_t thread;
};

/* What keyring.c does when the disk could not be changed, without `lock`: gives up when nothing can be done any more. rc
 * is that of the change, and comes back. */
int keyring_changed(struct keyring *kr, int rc);

/* ---- keyring_opened.c: keys in clear; under `lock` ---- */

struct opened *opened_find(struct keyring *kr, const struct id *id); /* NULL: it is not there */
void opened_put(struct keyring *kr, const struct id *id, const uint8_t key[KEYRING_KEY_LEN]);
void opened_drop(struct keyring *kr, const struct id *id);
void opened_drop_erased(struct keyring *kr); /* those that are erased by now */

/* ---- keyring_stock.c: keys made ahead; keyring_take() ---- */

/* Room for so many of each kind, as keyring_options says it. */
void stock_init(struct keyring *kr, unsigned most);
void stock_finish(struct keyring *kr); /* accepts a zeroed one */

/* Before there is a thread, and after it: what was not given out outlives a clean stop. */
int stock_load(struct keyring *kr);
int stock_save(struct keyring *kr);

/* Under `lock`. */
bool stock_is_low(const struct keyring *kr, enum key_kind kind);
/* The keyring's thread, without a lock. */
int stock_fill(struct keyring *kr, enum key_kind kind);

/* ---- keyring_erase.c: keyring_erase(), keyring_sweep(), keyring_turn_epoch(), keyring_is_erased() ---- */

/* keyring_is_erased(), under `lock`. */
bool keyring_is_erased_locked(const struct keyring *kr, const struct id *id);
/* keyring_turn_epoch(), under `write`. Goes on with a turn that a crash interrupted. */
int keyring_turn_locked(struct keyring *kr);

#endif

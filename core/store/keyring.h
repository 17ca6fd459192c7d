/*
 * The keyring: the keys that personal data is sealed with, and their
 * destruction (integrity.md section 12).
 *
 *     root key       32 bytes in a file outside all our stores
 *       epoch key    one is current, in a file sealed by the root key
 *         key        random, one per person, per meeting, per delivery;
 *                    wrapped by the epoch key
 *
 * Keys are made ahead by a thread of the keyring, hundreds to thousands at a time, and are
 * durable before any is given out; so taking one never waits for a disk unless
 * the stock is empty. Ids are ordered by age, so their writes are sequential.
 *
 * The kinds differ in how they end. A subject's key lives until somebody asks
 * for its erasure. A delivery's key seals one raw webhook body and is shredded
 * when it is old enough (keep_days), whether or not anyone asks. A code's key
 * seals one one-time code and lives for some minutes: it is erased when the code is over,
 * at the latest when it is KEYRING_CODE_HOURS old. Of subjects and deliveries that were erased tombstones
 * stay, so that no older copy brings their keys back. Codes leave none, or these would be most of what there is: a code's key that
 * was made and is not there was erased; none is in a backup; and in whatever copy, after those hours it does not open.
 *
 * Opened keys are locked in memory where the system allows, and wiped.
 * Any thread may call anything here but open and close.
 */
#ifndef LULAB_STORE_KEYRING_H
#define LULAB_STORE_KEYRING_H

#include "base/clock.h"
#include "base/id.h"
#include "crypto/crypto.h"

#define KEYRING_KEY_LEN XCHACHA_KEY_LEN

#define KEYRING_CODE_HOURS 2 /* a key lies in stock for half of them at most */

enum key_kind { KEY_SUBJECT, KEY_DELIVERY, KEY_CODE, N_KEY_KINDS };

struct keyring;

struct keyring_options {
	const char *dir;           /* DATA/keys; made (0700) when absent */
	const char *root_key_path; /* made (0600) when absent and the keyring is new */
	unsigned stock;            /* most keys of each kind made ahead, when they go fast; 0 = 8192 */
	unsigned keep_days;        /* age at which delivery keys are shredded; 0: none are made, those there are go */
	unsigned turn_after_s;     /* longest time from an erasure to the turn of the epoch, when there are too many
	                            * keys to turn it at once; 0 = 3600 */
	bool readonly;             /* for tools, beside a running server: only keyring_get() and keyring_secret() work */
	/* Once, from any thread, when a write failed after which no key can be read or made any more: the process has to end,
	 * the next keyring_open() finds what is on the disk. */
	void (*on_fatal)(void *arg, int err);
	void *arg;
	const struct clock *clock;
	const struct rng *rng;
};

/*
 * ERR_BAD_KEY: the root key does not open this keyring. ERR_NOT_FOUND: there is
 * a keyring but no root key file (or, readonly, no keyring). ERR_CORRUPT, ERR_LOCKED, ERR_VERSION, ERR_IO.
 * Also finishes a turn of the epoch that a crash interrupted. The root key file holds 64 hex digits,
 * base64 or 32 bytes.
 */
int keyring_open(struct keyring **ret, const struct keyring_options *options);
/* Wipes what it held. NULL is fine. */
void keyring_close(struct keyring *kr);

/*
 * The id of a key nobody has used, durable. Waits when the stock is empty.
 * ERR_UNAVAILABLE when none can be made (full disk).
 */
int keyring_take(struct keyring *kr, enum key_kind kind, struct id *ret_id);

/* The key itself; wipe it after use. ERR_ERASED, ERR_NOT_FOUND, ERR_CORRUPT (record altered), ERR_BAD_KEY (wrapped in an epoch we have no key of). */
int keyring_get(struct keyring *kr, const struct id *id, uint8_t ret_key[KEYRING_KEY_LEN]);

/* Whether this key was erased; cheap, for every use of a remembered id. Of a code only its age is looked at. */
bool keyring_is_erased(struct keyring *kr, const struct id *id);

/*
 * Destroys keys: from its return on nothing opens for these ids, and they are
 * tombstones for ever, but for codes. Durable. Ids without a key become tombstones too. Turns the epoch
 * before returning while that is quick (fewer than 50,000 keys); else the keyring's thread
 * does within turn_after_s.
 */
int keyring_erase(struct keyring *kr, const struct id *ids, size_t n);

/* Turns the epoch now: new epoch key, all surviving keys wrapped anew, the old epoch key destroyed. */
int keyring_turn_epoch(struct keyring *kr);

/* Shreds the keys of deliveries and codes past their age; the keyring's thread does it hourly. Gives how many deliveries' there were. */
int keyring_sweep(struct keyring *kr, uint64_t *ret_n);

/*
 * A secret of the server itself, made at first use and sealed by the root key:
 * 32 bytes named by a short word ("lookup"). Wipe after use.
 */
int keyring_secret(struct keyring *kr, const char *name, uint8_t ret_secret[KEYRING_KEY_LEN]);

struct keyring_stats {
	uint32_t epoch;
	uint64_t subjects, deliveries, codes; /* keys held, the stock included */
	uint64_t tombstones;
	unsigned stock[N_KEY_KINDS];   /* ready to be taken */
	int64_t turn_due_at_us;        /* 0: no turn is owed */
};
int keyring_stats(struct keyring *kr, struct keyring_stats *ret);

#endif

/*
 * Changing the key that signs checkpoints (integrity.md 6, "Key change"):
 *
 *     add      DATA/signer.next.key is made, log.key.added says so in the log;
 *              from the next start of the signer on both keys sign
 *     retire   at least 30 days later log.key.retired ends the old key, and the
 *              new one takes its place in DATA/signer.key
 *
 * An auditor who has the old key, and any checkpoint of those days, gets from it
 * to the new one by himself. Each step may be repeated after a crash: it goes on
 * where it was. The log must be open for writing, and no signer at work; the
 * caller signs a checkpoint that covers the record, before and after.
 */
#ifndef LULAB_STORE_LOG_KEYS_H
#define LULAB_STORE_LOG_KEYS_H

#include "base/clock.h"
#include "base/rng.h"
#include "domain/note.h"

struct eventlog;

#define LOG_KEY_OVERLAP_DAYS 30
#define LOG_KEYS_MAX 64

/* A key as the log tells of it. */
struct log_key {
	struct note_key key;
	uint64_t added_at; /* position of the record that names it */
	int64_t added_us;
	bool retired;
	uint64_t retired_at;
	int64_t retired_us;
};

/* In the order of the log; those past LOG_KEYS_MAX are left out. ERR_NOMEM, or the log's. */
int log_keys_list(struct eventlog *log, struct log_key ret[LOG_KEYS_MAX], unsigned *ret_n);

struct log_key_change {
	struct eventlog *log;
	const char *data_dir;
	const char *origin; /* from signer_origin() */
	const char *reason; /* goes into the log for ever; NULL = none */
	const struct clock *clock;
	const struct rng *rng;
};

/* ERR_EXISTS when a change is under way already: *ret is then that key. */
int log_key_add(const struct log_key_change *change, struct log_key *ret);

/*
 * Before the 30 days are over ERR_RANGE, and *ret_ready_us is when they will be.
 * ERR_NOT_FOUND: no key was added. `sign` (may be NULL) makes a checkpoint of the log
 * with both keys before the old one is gone; its error ends the step. *ret is the new key.
 */
int log_key_retire(const struct log_key_change *change, int (*sign)(void *arg), void *arg, struct log_key *ret,
    int64_t *ret_ready_us);

#endif

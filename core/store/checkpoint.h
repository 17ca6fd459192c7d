/*
 * The checkpoint signer: says under its own key how long the log is and what
 * its root is (integrity.md section 6).
 *
 * It does not take the writer's word. Before it signs it checks that the new
 * tree extends the last one it signed; it keeps that one's size and root in a
 * state file of its own, replaced and synced before a signature leaves this
 * file. It signs only what the log says is durable.
 *
 *     DATA/signer.key    the Ed25519 seed, 32 bytes, mode 0400; nobody else loads it
 *     DATA/signer.next.key  while the key is being changed (log_keys.h): both sign
 *     DATA/signer.state  "lulab-signer/1\n" origin "\n" size "\n" base64 root "\n"
 *     DATA/log.vkey      the verifier key, one a line, for people to take along
 *     DATA/origin        the log's name, when configuration gives none
 *
 * A log smaller than the state file says, or one that does not extend it, has
 * lost or changed events: nothing is signed and the log is told to refuse
 * further writing.
 */
#ifndef LULAB_STORE_CHECKPOINT_H
#define LULAB_STORE_CHECKPOINT_H

#include "base/clock.h"
#include "base/rng.h"
#include "domain/note.h"

#define LOG_ORIGIN_MAX NOTE_NAME_MAX

struct eventlog;
struct signer;

/* What the signer needs of a log; signed_log_of() gives an eventlog's. All from the signer's thread. */
struct signed_log {
	void *arg;
	struct tile_reader tiles;                           /* of durable records */
	int (*size)(void *arg, uint64_t *ret_size);         /* durable records */
	/* Until the log is longer than `size`, or the time is over: either way 0. Another error: waiting is over for good. */
	int (*wait)(void *arg, uint64_t size, unsigned timeout_ms);
	int (*noted_size)(void *arg, uint64_t *ret_size);   /* of the longest note kept; 0 when there is none */
	int (*put_note)(void *arg, uint64_t size, struct slice note); /* durable when it returns 0 */
	void (*refuse_writes)(void *arg, const char *reason);
};
struct signed_log signed_log_of(struct eventlog *log);

struct signer_options {
	const char *data_dir;
	const char *origin;      /* from log_origin() */
	struct signed_log log;
	unsigned interval_ms;    /* 0 = 1000; 100..60000 */
	uint64_t events_max;     /* sign at the latest after so many; 0 = 65536 */
	const struct clock *clock;
	const struct rng *rng;
};

/*
 * The log's name into ret, NUL-terminated: `configured` unless NULL or empty, else what DATA/origin says,
 * else a random one ("log-<16 hex digits>.lulab.invalid/events") that is written there. ERR_CONFIG when it
 * is no valid key name, or differs from the one the signer's state was made under.
 */
int log_origin(char ret[LOG_ORIGIN_MAX + 1], const char *data_dir, const char *configured, const struct rng *rng);

/* What was signed last in that data directory, for eventlog_options. ERR_NOT_FOUND when nothing was; ERR_CORRUPT. */
int signer_record(const char *data_dir, uint64_t *ret_size, struct merkle_hash *ret_root);

/* Whether a signer ever ran in that data directory: it starts when the log is on disk, so there was a log. */
bool signer_was_here(const char *data_dir);

/* The name under which it was signed. ERR_NOT_FOUND when nothing was; ERR_CORRUPT. */
int signer_origin(char ret[LOG_ORIGIN_MAX + 1], const char *data_dir);

/*
 * The note of what was signed last, made again: a signature has one form only, so it is
 * the one that was shown, though the log that held it may be gone. ERR_NOT_FOUND: nothing
 * was signed, or the key is gone; ERR_CORRUPT. For a log that is succeeded; no signer may run.
 */
int signer_last_note(const char *data_dir, struct buf *ret_note);

/*
 * Loads or makes the key, checks the log against the state file, starts the
 * thread. When the log is behind or differs, the log is told to refuse writes and the
 * signer still starts (it then signs nothing): signer_refusal() says why.
 */
int signer_start(struct signer **ret, const struct signer_options *options);

/* Signs what is there, then ends the thread; the log must still take notes. NULL is fine. */
void signer_stop(struct signer *s);

/* A checkpoint of at least that size, now; waits for it. 0, ERR_RANGE (log is shorter), ERR_CORRUPT (it refuses), ERR_IO. Any thread. */
int signer_sign_now(struct signer *s, uint64_t size_min);

/* NULL, or why nothing is signed any more. Static or the signer's. Any thread. */
const char *signer_refusal(struct signer *s);

/* The key to give to auditors. */
const struct note_key *signer_key(const struct signer *s);

/* Key i of those that sign: the one above, then the one that takes its place; NULL past the last. */
#define SIGNER_KEYS_MAX 2
const struct note_key *signer_key_nth(const struct signer *s, unsigned i);

/* Size of the last checkpoint signed. Any thread. */
uint64_t signer_size(struct signer *s);

#endif

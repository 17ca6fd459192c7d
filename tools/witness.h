/*
 * A witness: remembers of each log it knows how long it was and what its root
 * was when it last looked, and puts its name only under what extends that. Who
 * trusts the witness then knows that all who saw its signature saw one history
 * (integrity.md section 7, C2SP tlog-witness).
 *
 *     DIR/witness.key    the Ed25519 seed, 32 bytes, mode 0400
 *     DIR/witness.vkey   the verifier key, to be given to logs and auditors
 *     DIR/logs           whom it serves: a policy file (domain/policy.h) of log lines
 *     DIR/seen/<hex>     one file a log, named by the SHA-256 of its origin:
 *                        "lulab-witness/1\n" origin "\n" size "\n" base64 root "\n"
 *     DIR/lock           held while a record is compared and replaced
 *
 * Comparing and storing is one step, under a mutex and a lock on the file, so
 * that neither threads nor a second process get in between; the record is on
 * the disk before the signature is made. Needs neither the log's store nor any database.
 */
#ifndef LULAB_TOOLS_WITNESS_H
#define LULAB_TOOLS_WITNESS_H

#include "base/clock.h"
#include "base/rng.h"
#include "domain/cosign.h"
#include "domain/policy.h"

struct witness;

/*
 * Makes DIR, a key under that name and the file of logs, which gets those lines. ERR_EXISTS
 * when there is a witness already; ERR_INVALID for a name that no key can have.
 */
int witness_init(const char *dir, const char *name, const struct note_key *logs, unsigned n_logs,
    const struct rng *rng);

/* ERR_NOT_FOUND when there is none in DIR, ERR_BAD_KEY, ERR_CONFIG (its logs), ...; a sentence in *problem. */
int witness_open(struct witness **ret, const char *dir, const struct clock *clock, struct buf *problem);
void witness_close(struct witness *w); /* NULL is fine */

const struct note_key *witness_key(const struct witness *w);

/* What it remembers of a log: ERR_NOT_FOUND when it never saw it. Any thread. */
int witness_seen(struct witness *w, struct slice origin, uint64_t *ret_size, struct merkle_hash *ret_root);
/* The i-th log it serves; false past the last. A log with two keys comes twice. */
bool witness_log(const struct witness *w, unsigned i, const struct note_key **ret_key);

/*
 * One request, from the first byte to the last; blocks for two syncs. Any thread. Returns the
 * status of the HTTP answer and appends the answer's text:
 *
 *     200  signature lines             404  a log it does not serve
 *     400  malformed, or old > size    409  old is not what it remembers; the text is what it does
 *     403  no good signature           422  the proof does not show that it extends that
 *     500  it could not be stored; nothing was signed
 */
int witness_add_checkpoint(struct witness *w, struct slice request, struct buf *answer);

#endif

/*
 * Password hashes. Ours are Argon2id (RFC 9106) in its usual text form; the
 * bcrypt hashes ($2a$, $2b$, $2y$) of the systems lulab replaces are verified,
 * never made.
 *
 * Hashing takes tens of milliseconds and as much memory as its cost says:
 * never on a loop. Any other thread.
 */
#ifndef LULAB_CRYPTO_PASSWORD_H
#define LULAB_CRYPTO_PASSWORD_H

#include "base/rng.h"
#include "base/slice.h"

/* Room for any text password_hash() makes or password_verify() takes, with its NUL. */
#define PASSWORD_HASH_SIZE 160

struct password_cost {
	uint32_t memory_kib, passes; /* one lane */
};
/* integrity.md 20; never below PASSWORD_COST_MIN (OWASP ASVS 5.0 11.4.2). */
#define PASSWORD_COST_DEFAULT ((struct password_cost){64 * 1024, 2})
#define PASSWORD_COST_MIN ((struct password_cost){19 * 1024, 2})

/* ERR_NOMEM when the memory cannot be had, ERR_INVALID for a cost outside what libsodium does. */
int password_hash(char ret_text[PASSWORD_HASH_SIZE], struct slice password, const struct password_cost *cost,
    const struct rng *rng);

/*
 * 0 when the password is right, ERR_BAD_KEY when it is wrong, ERR_MALFORMED
 * when the text is no hash we know or asks for more than it may (256 MiB, 16
 * passes, bcrypt cost 15): read from a file, it must not take the machine down.
 * ERR_NOMEM. *ret_rehash (only on 0): it is not what password_hash() would make
 * now, so make it anew.
 */
int password_verify(struct slice text, struct slice password, const struct password_cost *cost, bool *ret_rehash);

#endif

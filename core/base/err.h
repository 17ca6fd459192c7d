/*
 * Errors are values: every function that can fail returns 0 or one of these.
 *
 * Number, name and text live in one list, so they cannot drift. A library's
 * own codes are translated at the call that made them; MDB_NOTFOUND does not
 * leave the store.
 */
#ifndef LULAB_BASE_ERR_H
#define LULAB_BASE_ERR_H

#define ERR_LIST(X) \
	X(NOMEM, -1, "out of memory") \
	X(MALFORMED, -2, "malformed input") \
	X(TOO_BIG, -3, "larger than allowed") \
	X(NOT_FOUND, -4, "not found") \
	X(CONFLICT, -5, "changed by someone else meanwhile") \
	X(TAKEN, -6, "name is already taken") \
	X(EXISTS, -7, "already exists") \
	X(BUSY, -8, "too busy, try again") \
	X(DISK_FULL, -9, "disk is full") \
	X(IO, -10, "input/output error") \
	X(CORRUPT, -11, "stored data is damaged") \
	X(BAD_SIGNATURE, -12, "signature does not match") \
	X(BAD_KEY, -13, "key is wrong or missing") \
	X(ERASED, -14, "erased: the key was destroyed") \
	X(TIMEOUT, -15, "timed out") \
	X(CANCELLED, -16, "cancelled") \
	X(UNSUPPORTED, -17, "not supported") \
	X(INVALID, -18, "invalid value") \
	X(DENIED, -19, "not permitted") \
	X(UNAVAILABLE, -20, "unavailable at the moment") \
	X(UNKNOWN_OUTCOME, -21, "outcome unknown") \
	X(RANGE, -22, "out of range") \
	X(END, -23, "end of data") \
	X(NETWORK, -24, "network error") \
	X(LOCKED, -25, "in use by another process") \
	X(VERSION, -26, "made by an unknown version") \
	X(CONFIG, -27, "configuration error")

enum err {
#define X(name, number, text) ERR_##name = number,
	ERR_LIST(X)
#undef X
};

/* "ERR_NOMEM" for ERR_NOMEM; "ERR_?" for numbers not on the list, "OK" for 0. */
const char *err_name(int err);

/* A short lower-case sentence for people; never NULL. */
const char *err_text(int err);

/* The ERR_* that stands for an errno value (ENOSPC -> ERR_DISK_FULL, ...; the rest -> ERR_IO). */
int err_from_errno(int errnum);

#endif

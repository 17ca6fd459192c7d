/*
 * The sealer: which key belongs to whom, and fields sealed with it.
 *
 * A sealed field is
 *
 *     OFFSET  SIZE  MEANING
 *          0     1  0x01
 *          1    16  subject id
 *         17    24  nonce, random
 *         41   n+16  XChaCha20-Poly1305 of the value, padded (ISO 7816-4) to a
 *                  multiple of 32
 *
 * with additional data "field/v1" 0 origin 0 event-id 0 field-name, so that it
 * opens in its own event and field only (integrity.md section 12).
 *
 * Who has which subject id is a fold of the log: every event carries its
 * subjects' ids and, to find them again, `ref` = HMAC-SHA-256 of kind and
 * identity under a secret of this server. Any thread.
 */
#ifndef LULAB_STORE_SEAL_H
#define LULAB_STORE_SEAL_H

#include "base/arena.h"
#include "store/keyring.h"

#define SEAL_REF_LEN 32
/* Bytes of the sealed form of a value of n bytes. */
#define SEALED_LEN(n) (1 + ID_LEN + XCHACHA_NONCE_LEN + ((n) / 32 + 1) * 32 + XCHACHA_TAG_LEN)

struct sealer;
struct seal_hooks; /* domain/schema.h */

struct subject {
	struct id id;
	uint8_t ref[SEAL_REF_LEN];
};

/* Looks a ref up in the log's index: 0 and the newest subject id with that ref, or ERR_NOT_FOUND. Any thread. */
typedef int subject_lookup(void *arg, const uint8_t ref[SEAL_REF_LEN], struct id *ret_id);

struct sealer_options {
	struct keyring *keyring;
	const char *origin;      /* of the log; copied */
	subject_lookup *lookup;  /* NULL: only what this sealer has given out is known */
	void *lookup_arg;
	const struct rng *rng;
};

int sealer_create(struct sealer **ret, const struct sealer_options *options);
/* One that opens, with the keys of another that outlives it, what was sealed in a log of another name. It only opens. */
int sealer_create_opener(struct sealer **ret, const struct sealer *of, const char *origin);
void sealer_destroy(struct sealer *s);

/*
 * The subject with this identity, e.g. kind "tencent.user", identity the
 * vendor's user id: the one it had before, or a new one; a new one also when the
 * old one was erased. kind is a constant of ours, without NUL.
 */
int sealer_subject(struct sealer *s, struct slice kind, struct slice identity, struct subject *ret);

/* The one it had last, be it erased; nobody gets a key by being looked for. ERR_NOT_FOUND: the log names no such subject. */
int sealer_find_subject(struct sealer *s, struct slice kind, struct slice identity, struct subject *ret);

/* A key of its own for one raw body. */
int sealer_delivery(struct sealer *s, struct id *ret_id);

/* HMAC of a text under the server's secret: a commitment that tells a stranger nothing. */
void sealer_fingerprint(struct sealer *s, struct slice text, uint8_t ret[SHA256_LEN]);

/* Appends the sealed form. event_id is its text as the record has it. ERR_ERASED, ERR_TOO_BIG, ... */
int seal_field(struct sealer *s, const struct id *subject, struct slice event_id, struct slice field,
    struct slice plain, struct buf *out);

/* The other way, into the arena. ERR_ERASED when the subject's key was destroyed, ERR_MALFORMED, ERR_CORRUPT (altered, or moved from another event or field). */
int seal_open(struct sealer *s, struct slice event_id, struct slice field, struct slice sealed, struct arena *a,
    struct slice *ret_plain);
/* As seal_open, appended to a buf; for raw bodies, whose field is "raw". */
int seal_open_to(struct sealer *s, struct slice event_id, struct slice field, struct slice sealed, struct buf *out);

/*
 * Keys asked for a moment ago: events that follow each other have the same subjects, and a key out of the keyring
 * costs about as much as the field it opens. For a pass over a few events, which then takes no notice of an erasure
 * that comes while it runs. Zero it; one thread; wiped by whoever has it.
 */
#define SEAL_MEMO_KEYS 16
struct seal_memo {
	unsigned n; /* put in so far; the oldest gives way */
	struct id subjects[SEAL_MEMO_KEYS];
	uint8_t keys[SEAL_MEMO_KEYS][KEYRING_KEY_LEN];
};

/*
 * What the codec's hooks need to know of the event at hand. Lives as long as
 * the hooks are used; all members borrowed.
 */
struct seal_scope {
	struct sealer *sealer;
	struct slice event_id; /* text */
	struct seal_memo *memo; /* for opening; NULL: the keyring is asked each time */
	const struct seal_subject {
		const char *name; /* the x-subject of a field: "operator", "meeting" */
		struct id id;
	} *subjects;
	size_t n_subjects;
};

/* Hooks bound to a scope. Sealing for a subject the scope does not name is ERR_INVALID. */
void seal_scope_hooks(struct seal_hooks *ret, const struct seal_scope *scope);

#endif

/*
 * What the signatures of HTTP requests have in common: texts made canonical, so
 * that both sides hash the same bytes. Pure functions, any thread. Results lie in
 * the caller's buf or arena; a buf keeps the first failure (base/buf.h).
 *
 * Sources: vendor-protocols 3.1, 3.2, 6.2 to 6.4.
 */
#ifndef LULAB_ADAPTERS_SIGNING_H
#define LULAB_ADAPTERS_SIGNING_H

#include "base/arena.h"
#include "base/buf.h"
#include "crypto/crypto.h"

/* A query parameter (decoded) or a header; borrowed. */
struct wire_pair {
	struct slice name, value;
};

/* Longest request line or set of headers that is made canonical. */
#define SIGNING_TEXT_MAX (64 << 10)

#define HEX_SHA256_LEN (2 * SHA256_LEN)
#define HEX_SHA1_LEN (2 * SHA1_LEN)

/* Of an empty body. */
#define SHA256_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

#define WIRE_BARE_EMPTY 1u  /* an empty value is written without "=" */
#define WIRE_LOWER_NAMES 2u /* encoded names in lower case */
#define WIRE_COLLAPSE 4u    /* runs of spaces inside a value become one */
#define WIRE_ENCODE 8u      /* header values percent-encoded, joined "name=value&..." as a query is */

/*
 * "a=1&b=2": names and values percent-encoded, sorted by encoded name, then
 * value, bytewise. Appended to out; what is sent must be this very text.
 * ERR_NOMEM, ERR_TOO_BIG.
 */
int wire_query(struct buf *out, const struct wire_pair *pairs, size_t n, unsigned flags, struct arena *a);

/*
 * "name:value\n" a header, names in lower case, sorted, values trimmed; and
 * their names joined with ";". Either buf may be NULL. ERR_INVALID: an empty name, a CR, LF
 * or NUL anywhere, a name that is there twice. ERR_NOMEM, ERR_TOO_BIG.
 */
int wire_headers(struct buf *out, struct buf *names, const struct wire_pair *headers, size_t n, unsigned flags,
    struct arena *a);

/*
 * "/dir/a%20b": each segment percent-encoded once, slashes kept, for the object of
 * this name. ERR_INVALID: an empty name, a segment "." or ".." (what carries the
 * request might resolve it), or a NUL.
 */
int wire_object_path(struct buf *out, struct slice object);

/* The header of that name (any case), trimmed; false when absent. */
bool wire_header(const struct wire_pair *headers, size_t n, const char *name, struct slice *ret_value);

/* Fit for a header's value: no CR, LF, NUL. */
bool wire_value_ok(struct slice value);

void wire_sha256_hex(char ret[HEX_SHA256_LEN + 1], struct slice text);
void wire_hmac_sha256_hex(char ret[HEX_SHA256_LEN + 1], struct slice key, struct slice text);

/* What buf holds, moved into the arena, and buf finished. ERR_NOMEM, or the buf's failure. */
int wire_keep(struct arena *a, struct buf *from, struct slice *ret);

#endif

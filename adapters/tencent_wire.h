/*
 * Tencent Meeting's webhook on the wire, both directions: what is signed, how
 * it is encrypted, where the event sits in the request. Pure functions, any
 * thread; nothing here knows of HTTP servers or of our events.
 *
 *     POST body   {"data": "<base64>"}          GET   ?check_str=<base64, percent-encoded>
 *     signature   lower-case hex of SHA-1(token, timestamp, nonce, data sorted by byte and joined)
 *     data        base64(AES-256-CBC(PKCS#7), iv = first half of the key), or plain base64 without a key
 *     key         base64(EncodingAESKey + "=")
 *
 * Sources: vendor-protocols 1.5 to 1.8, functional-spec 7.1 to 7.5.
 */
#ifndef LULAB_ADAPTERS_TENCENT_WIRE_H
#define LULAB_ADAPTERS_TENCENT_WIRE_H

#include "base/arena.h"
#include "base/json.h"

/* What the vendor must read, to the byte, or it repeats the webhook after 1, 3 and 6 minutes. */
#define TENCENT_ACK "successfully received callback"

#define TENCENT_SIGNATURE_LEN 40
#define TENCENT_AES_KEY_LEN 32
#define TENCENT_AES_KEY_TEXT_LEN 43

/* During a change of secrets the old and the new one are both active. */
#define TENCENT_SECRETS_MAX 2

/* The shared secrets. Without an AES key events come as plain base64. */
struct tencent_keys {
	struct slice tokens[TENCENT_SECRETS_MAX]; /* borrowed */
	unsigned n_tokens;
	uint8_t aes[TENCENT_SECRETS_MAX][TENCENT_AES_KEY_LEN];
	unsigned n_aes;
};

/* Each adds one. ERR_INVALID for an empty token, or a key that is not 43 characters of base64. */
int tencent_keys_add_token(struct tencent_keys *keys, struct slice token);
int tencent_keys_add_aes(struct tencent_keys *keys, struct slice encoding_aes_key);
/* Wipes the keys; the struct is zeroed. */
void tencent_keys_finish(struct tencent_keys *keys);

/* What travels beside the data; all borrowed. */
struct tencent_signed {
	struct slice timestamp, nonce, signature;
	struct slice data; /* base64, exactly as signed */
};

void tencent_sign(char ret_hex[TENCENT_SIGNATURE_LEN + 1], struct slice token, struct slice timestamp,
    struct slice nonce, struct slice data);

/* True when one of the tokens made the signature. Every token is tried, whatever the outcome. */
bool tencent_verify(const struct tencent_keys *keys, const struct tencent_signed *s);

/*
 * The signed time in milliseconds: seconds, milliseconds or microseconds by
 * magnitude (vendor-protocols 0.5). ERR_MALFORMED when it is not a number.
 */
int tencent_time_ms(struct slice timestamp, int64_t *ret_ms);
int64_t tencent_ms_of(int64_t any_unit);

/*
 * The `data` string of a POST body. ERR_MALFORMED (not JSON, or not an object),
 * ERR_TOO_BIG (a JSON limit), ERR_NOT_FOUND (no data, or not a text, or empty).
 */
int tencent_body_data(struct slice body, struct arena *a, struct slice *ret_data);

/*
 * base64, then AES when there is a key. With two keys the one whose text is
 * UTF-8 wins, then the one whose padding fits. ERR_MALFORMED when none fits or
 * the text is not base64; ERR_NOMEM.
 */
int tencent_decrypt(const struct tencent_keys *keys, struct slice data, struct arena *a, struct slice *ret_plain);

/* The other direction, with the first key; appends base64 to out. */
int tencent_encrypt(const struct tencent_keys *keys, struct slice plain, struct buf *out);

/*
 * A whole request as the vendor sends it. `body` receives {"data":"..."} and
 * the signature is made with the first token. timestamp and nonce are the
 * caller's: a request is a function of its inputs.
 */
int tencent_make_post(const struct tencent_keys *keys, struct slice plain, struct slice timestamp,
    struct slice nonce, struct buf *body, char ret_signature[TENCENT_SIGNATURE_LEN + 1]);
/* The query string "check_str=..." of a URL check. */
int tencent_make_check(const struct tencent_keys *keys, struct slice plain, struct slice timestamp,
    struct slice nonce, struct buf *query, char ret_signature[TENCENT_SIGNATURE_LEN + 1]);

/* The envelope inside the decrypted text; slices borrow from it or from the arena. */
struct tencent_envelope {
	struct slice event;         /* "meeting.started" */
	struct slice trace_id;      /* empty when the vendor gave none */
	struct json_value payload;  /* an array, or absent: text.len 0 */
	size_t n_items;
	struct json_value root;
};

/*
 * ERR_MALFORMED: not JSON. ERR_INVALID: JSON, but not an envelope (no event
 * name, payload not an array of objects, empty payload). ret_reason says which
 * in a few words, static. What could be read is filled in also on ERR_INVALID.
 */
int tencent_parse(struct slice plain, struct arena *a, struct tencent_envelope *ret, const char **ret_reason);

#endif

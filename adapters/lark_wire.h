/*
 * Feishu (Lark) on the wire: webhooks received, its REST interface asked and
 * understood, fields of Bitable written. Pure functions, any thread. What is given is
 * borrowed; what is returned lies in the arena or borrows from the text it was read from.
 *
 *     signature   lower-case hex of SHA-256(timestamp, nonce, Encrypt Key, raw body)
 *     encrypted   base64(IV, AES-256-CBC(PKCS#7)), key = SHA-256(Encrypt Key)
 *     cards (old) lower-case hex of SHA-1(timestamp, nonce, Verification Token, raw body)
 *
 * Frames of the long connection are in lark_frames.h.
 * Sources: vendor-protocols 2.
 */
#ifndef LULAB_ADAPTERS_LARK_WIRE_H
#define LULAB_ADAPTERS_LARK_WIRE_H

#include "answer_class.h"
#include "base/json.h"
#include "signing.h"

/* ---- receiving ------------------------------------------------------------------------- */

struct lark_secrets {
	struct slice encrypt_key;        /* empty: the vendor sends plain */
	struct slice verification_token; /* empty only when there is an Encrypt Key */
};

/* Headers X-Lark-Request-Timestamp, X-Lark-Request-Nonce, X-Lark-Signature; empty when absent. */
struct lark_headers {
	struct slice timestamp, nonce, signature;
};

bool lark_verify(struct slice encrypt_key, const struct lark_headers *h, struct slice raw_body);
bool lark_card_verify(struct slice verification_token, const struct lark_headers *h, struct slice raw_body);

/* ERR_MALFORMED: not base64, no IV, not whole blocks, bad padding, not UTF-8. ERR_NOMEM. */
int lark_decrypt(struct slice encrypt_key, struct slice base64_text, struct arena *a, struct slice *ret_plain);

struct lark_received {
	bool is_challenge;
	struct slice challenge;     /* to be answered with lark_challenge_answer() */
	struct slice plain;         /* the event's JSON */
	struct slice event_type, event_id; /* event_id is the key against repeats; uuid in schema 1.0 */
	struct slice app_id, tenant_key;
	int64_t create_ms;          /* since 1970; 0 when not told */
	struct json_value event;    /* the object; text.len 0 when absent */
	struct json_value root;     /* of plain */
	struct slice token;         /* where it lies in plain, quotes and all; empty when there is none: it is a secret */
};

/*
 * One POST, judged: signature over the raw body, decryption, token. ERR_BAD_KEY:
 * neither secret is set. ERR_BAD_SIGNATURE: it does not fit (whatever else is wrong too: who cannot sign
 * learns nothing). ERR_DENIED: the token differs, or a plain body where an Encrypt Key is set.
 * ERR_MALFORMED: not JSON. ERR_INVALID: no event in it. ERR_TOO_BIG, ERR_NOMEM. The
 * challenge alone needs no signature: encryption and token protect it.
 */
int lark_receive(const struct lark_secrets *secrets, const struct lark_headers *h, struct slice raw_body, struct arena *a,
    struct lark_received *ret);
/* The same for what the long connection brings: plain, and without a token to compare. */
int lark_event_parse(struct slice plain, struct arena *a, struct lark_received *ret);

/* {"challenge":"..."}, appended. */
int lark_challenge_answer(struct buf *out, struct slice challenge);

/*
 * The other way, for the tools: the body of a webhook as the vendor sends it, appended, and its signature (lower-case hex), empty
 * without an Encrypt Key. iv: random, new each time. ERR_NOMEM, or ERR_TOO_BIG of the buffer.
 */
#define LARK_IV_LEN 16
#define LARK_SIGNATURE_LEN 64
int lark_make_post(struct slice encrypt_key, struct slice plain, struct slice timestamp, struct slice nonce,
    const uint8_t iv[LARK_IV_LEN], struct buf *body, char ret_signature[LARK_SIGNATURE_LEN + 1]);

/* ---- answers of the REST interface -------------------------------------------------------- */

struct lark_answer {
	enum answer_class is;
	int64_t code;          /* 0 = none was told, or all is well */
	struct slice message, log_id;
	struct json_value data; /* text.len 0 when absent */
};

/* The code decides, the status only where there is none. ERR_NOMEM only. */
int lark_answer_parse(int status, struct slice body, struct arena *a, struct lark_answer *ret);
enum answer_class lark_code_class(int64_t code);

/* "1.5" of x-ogw-ratelimit-reset, in milliseconds, rounded up; 0 when it says nothing. At most an hour. */
int64_t lark_reset_ms(struct slice header);

struct lark_token {
	struct slice token;
	int64_t good_s; /* how long to use it: 180 s less than the vendor says */
};
/* {"app_id":...,"app_secret":...}, appended: the body of POST /open-apis/auth/v3/tenant_access_token/internal. */
int lark_body_token(struct buf *out, struct slice app_id, struct slice app_secret);
/* ERR_MALFORMED: no token, or one that is not fit for a header. */
int lark_token_parse(struct slice body, struct arena *a, struct lark_token *ret);

/* ---- Bitable --------------------------------------------------------------------------------- */

/* The vendor's numbers. */
enum lark_field_type {
	LARK_TEXT = 1, LARK_NUMBER = 2, LARK_SELECT = 3, LARK_MULTI_SELECT = 4, LARK_DATE = 5, LARK_BOOL = 7,
	LARK_PERSON = 11, LARK_PHONE = 13, LARK_LINK = 15, LARK_ONE_WAY = 18, LARK_TWO_WAY = 21, LARK_LOCATION = 22,
};

#define LARK_CELL_MAX 100000 /* characters */

struct lark_field {
	struct slice name;
	enum lark_field_type type;
	bool clear;          /* null: the cell is emptied */
	struct slice text;   /* TEXT, SELECT, PHONE, LOCATION, LINK's text */
	struct slice link;   /* LINK */
	double number;       /* NUMBER */
	int64_t ms;          /* DATE, since 1970 */
	bool yes;            /* BOOL */
	const struct slice *items; /* MULTI_SELECT, PERSON (ids), ONE_WAY and TWO_WAY (record ids) */
	size_t n_items;
};

/*
 * {"name":value,...} as Bitable wants to be written. ERR_INVALID: a name that is empty or there twice, a
 * text that is not UTF-8 or longer than LARK_CELL_MAX, a number that is none, a type that cannot be
 * written. Nothing is written then.
 */
int lark_put_fields(struct json_writer *w, const struct lark_field *fields, size_t n);

#define LARK_CLIENT_TOKEN_LEN 36
/* The effect's id, 32 hex digits, as the UUID v4 that makes a repeat the same request. ERR_INVALID. */
int lark_client_token(char ret[LARK_CLIENT_TOKEN_LEN + 1], struct slice effect_id);

/* {"field_names":[...],"filter":{field is text},"automatic_fields":false}, appended. */
int lark_body_search(struct buf *out, struct slice field_name, struct slice text);

struct lark_record {
	struct slice record_id;
	struct json_value fields;
};
struct lark_records {
	struct lark_record *items;
	size_t n;
	bool more;
	struct slice page_token;
};
/* data of /records/search. ERR_MALFORMED: no items (null = none), a record without an id, more without a token. ERR_NOMEM. */
int lark_records_parse(struct json_value data, struct arena *a, struct lark_records *ret);

/* ---- messages --------------------------------------------------------------------------------- */

#define LARK_MESSAGE_UUID_MAX 50
#define LARK_CARD_MAX (30 << 10)
/* Body of POST /open-apis/im/v1/messages. content: JSON, sent as a text. ERR_INVALID: not JSON, too long, no receiver. */
int lark_body_message(struct buf *out, struct slice receive_id, const char *msg_type, struct slice content_json,
    struct slice uuid);

#endif

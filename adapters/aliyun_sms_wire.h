/*
 * Aliyun's short messages on the wire: requests signed in either way, what the
 * answers mean, receipts that are pushed to us. Pure functions, any thread. What is given is borrowed;
 * what is returned lies in the arena or borrows from the JSON text.
 *
 *     ACS3-HMAC-SHA256   parameters in the query, signature in Authorization; the key is the secret itself
 *     RPC, HMAC-SHA1     everything in the parameters, the signature too
 *
 * SendSms has no idempotency key: after a request without an answer the receipts
 * are looked at (QuerySendDetails) before it is sent again.
 *
 * Sources: vendor-protocols 3. The codes beyond BUSINESS_LIMIT_CONTROL are not confirmed there.
 */
#ifndef LULAB_ADAPTERS_ALIYUN_SMS_WIRE_H
#define LULAB_ADAPTERS_ALIYUN_SMS_WIRE_H

#include "answer_class.h"
#include "base/json.h"
#include "signing.h"

#define ALIYUN_SMS_VERSION "2017-05-25"
#define ALIYUN_NONCE_LEN_MAX 64
#define ALIYUN_DATE_LEN 20 /* 2026-01-01T08:00:00Z */

/* ---- signing ------------------------------------------------------------------------ */

struct aliyun_keys {
	struct slice access_key_id, secret;
	struct slice security_token; /* of temporary credentials; empty = none */
};

struct aliyun_request {
	struct slice method, path;
	const struct wire_pair *query;
	size_t n_query;
	const struct wire_pair *headers; /* host, every x-acs-* and content-type of these are signed */
	size_t n_headers;
	struct slice body;
};

struct aliyun_signed {
	struct slice query; /* to be sent as it is */
	struct slice canonical_request, string_to_sign, signed_headers;
	char signature[HEX_SHA256_LEN + 1];
	struct slice authorization; /* the header's value */
};

/*
 * ERR_INVALID: no host, x-acs-action, x-acs-version, x-acs-date, x-acs-signature-nonce, or an
 * x-acs-content-sha256 that is not the body's; a header twice or with a line break. ERR_NOMEM, ERR_TOO_BIG.
 */
int aliyun_sign(const struct aliyun_keys *keys, const struct aliyun_request *rq, struct arena *a,
    struct aliyun_signed *ret);

/*
 * The older signature: parameters without Signature; ret->wire has all of them as
 * they are sent (query of a GET, form body of a POST). ERR_INVALID: no method or secret. ERR_NOMEM, ERR_TOO_BIG.
 */
struct aliyun_rpc_signed {
	struct slice canonical, string_to_sign, signature, wire;
};
int aliyun_rpc_sign(struct slice secret, struct slice method, const struct wire_pair *parameters, size_t n,
    struct arena *a, struct aliyun_rpc_signed *ret);

/* "2026-01-01T08:00:00Z". ERR_RANGE: no year of four digits. */
int aliyun_date(char ret[ALIYUN_DATE_LEN + 1], int64_t unix_s);

/* ---- requests ------------------------------------------------------------------------- */

/* What every request is made with. */
struct aliyun_call {
	struct slice host;  /* "dysmsapi.aliyuncs.com" */
	struct slice date;  /* aliyun_date() */
	struct slice nonce; /* another one for every attempt */
};

#define ALIYUN_HEADERS_MAX 9

/* A request ready to be sent: POST https://host/?query, no body. */
struct aliyun_made {
	struct slice url_path_query; /* "/?..." */
	struct wire_pair headers[ALIYUN_HEADERS_MAX]; /* Authorization among them */
	size_t n_headers;
};

#define ALIYUN_PHONES_MAX 1000
#define ALIYUN_OUT_ID_MAX 256

struct aliyun_sms {
	struct slice phone_numbers;  /* comma-separated; "+" only with templates for abroad */
	struct slice sign_name, template_code;
	struct slice template_param; /* a JSON object of texts */
	struct slice out_id;         /* our id: comes back in receipts; empty = none */
};

/*
 * ERR_INVALID: a number that is not 5 to 20 digits (with "+" in front or not) or more than ALIYUN_PHONES_MAX
 * of them, no signature or template, a parameter that is no JSON object, an out_id too long. ERR_NOMEM, ERR_TOO_BIG.
 */
int aliyun_make_send(const struct aliyun_keys *keys, const struct aliyun_call *call, const struct aliyun_sms *sms,
    struct arena *a, struct aliyun_made *ret);

/* The receipts of one number on a day: send_date "yyyyMMdd" (China time), page from 1, at most 50 a page; biz_id may be empty. */
int aliyun_make_query(const struct aliyun_keys *keys, const struct aliyun_call *call, struct slice phone_number,
    struct slice send_date, struct slice biz_id, unsigned page, unsigned page_size, struct arena *a,
    struct aliyun_made *ret);

/* ---- answers ---------------------------------------------------------------------------- */

struct aliyun_answer {
	enum answer_class is;
	struct slice code, message, request_id, biz_id; /* empty when absent */
};

/*
 * What came back for SendSms. Never fails: what is no JSON, or has no Code, is judged by its
 * status; a 2xx of that kind, and an inner error (the vendor says to look at the receipts first), is ANSWER_UNKNOWN.
 * ERR_NOMEM only.
 */
int aliyun_answer_parse(int status, struct slice body, struct arena *a, struct aliyun_answer *ret);
/* By the code alone. */
enum answer_class aliyun_code_class(struct slice code);

/* How long a flow control of this message lasts: a minute, an hour, a day (when it names none). */
int64_t aliyun_limit_window_ms(struct slice code, struct slice message);

enum aliyun_delivery { ALIYUN_WAITING, ALIYUN_NOT_DELIVERED, ALIYUN_DELIVERED };

struct aliyun_receipt {
	enum aliyun_delivery delivery;
	struct slice phone_number, err_code, out_id, biz_id;
	struct slice send_time, report_time; /* "2026-01-01 00:00:00", China time; empty when absent */
	int64_t send_ms, report_ms;          /* of them, since 1970; 0 when absent or no time */
};

#define ALIYUN_RECEIPTS_MAX 5000

struct aliyun_receipts {
	struct aliyun_receipt *items;
	size_t n;
	int64_t total; /* QuerySendDetails: on all pages; else n */
};

/* The answer to aliyun_make_query(). ERR_MALFORMED: not JSON, or not of that form. ERR_TOO_BIG, ERR_NOMEM. */
int aliyun_details_parse(struct slice body, struct arena *a, struct aliyun_receipts *ret);

/*
 * SmsReport, pushed: an array of receipts of this country, or of those abroad (their own
 * form). Not signed: good for a status and nothing else. ERR_MALFORMED: not JSON, not an array of
 * objects, one without a number or an id. ERR_TOO_BIG, ERR_NOMEM.
 */
int aliyun_report_parse(struct slice body, struct arena *a, struct aliyun_receipts *ret);

/* What the vendor must read back, with HTTP 200, or it repeats after 1, 5 and 10 minutes. */
#define ALIYUN_REPORT_ACK "{\"code\":0,\"msg\":\"OK\"}"

#endif

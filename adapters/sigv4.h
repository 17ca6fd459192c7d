/*
 * Signatures of object storage, all made the same way with other words in it:
 *
 *     scheme        S3 (AWS Signature V4)            OSS (native V4)
 *     algorithm     AWS4-HMAC-SHA256                 OSS4-HMAC-SHA256
 *     key chain     AWS4+secret, date, region,       aliyun_v4+secret, date, region,
 *                   s3, aws4_request                 oss, aliyun_v4_request
 *     URI           path as sent                     /bucket/key, also when the bucket is in the host
 *     headers       all that are given               x-oss-*, content-type, content-md5, and those listed
 *     empty query   name=                            name
 *
 * COS's own (SHA-1) is in cos_wire.h. Pure functions, any thread. Everything
 * given is borrowed; everything returned lies in the arena. The caller brings the time.
 * Clocks more than 15 minutes apart are refused by the vendor (RequestTimeTooSkewed).
 *
 * Sources: vendor-protocols 6.2 and 6.3.
 */
#ifndef LULAB_ADAPTERS_SIGV4_H
#define LULAB_ADAPTERS_SIGV4_H

#include "signing.h"

struct sigv4_scheme;
extern const struct sigv4_scheme sigv4_s3, sigv4_oss;

/* In place of the body's hash: what is sent through TLS need not be hashed first. */
#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"

struct sigv4_keys {
	struct slice access_key_id, secret;
	struct slice session_token; /* of temporary credentials; empty = none */
	struct slice region;        /* "us-east-1"; OSS: "cn-hangzhou", without "oss-" */
};

/* A request as it will be sent. */
struct sigv4_request {
	struct slice method; /* upper case */
	struct slice path;   /* percent-encoded as on the request line, from "/" (wire_object_path) */
	struct slice bucket; /* OSS with the bucket in the host: its name. Else empty */
	const struct wire_pair *query;
	size_t n_query;
	/*
	 * With host, and the scheme's date and payload hash (x-amz-date and x-amz-content-sha256, or
	 * x-oss-date and x-oss-content-sha256), and its x-*-security-token when there is a session token.
	 */
	const struct wire_pair *headers;
	size_t n_headers;
	const char *const *additional; /* OSS: names of further headers to sign, lower case, NULL at the end; or NULL */
};

struct sigv4_signed {
	struct slice canonical_request, string_to_sign, scope;
	char signature[HEX_SHA256_LEN + 1];
	struct slice authorization; /* the header's value */
};

#define SIGV4_DATE_LEN 16 /* 20260401T123000Z */

/* The date header's value for a time since 1970. ERR_RANGE: no year of four digits. */
int sigv4_date(char ret[SIGV4_DATE_LEN + 1], int64_t unix_s);

/*
 * ERR_INVALID: a header missing that must be signed, twice there, or with a line
 * break in it; a date that is none; empty keys or region, a path without "/".
 * ERR_NOMEM, ERR_TOO_BIG (SIGNING_TEXT_MAX).
 */
int sigv4_sign(const struct sigv4_scheme *scheme, const struct sigv4_keys *keys, const struct sigv4_request *rq,
    struct arena *a, struct sigv4_signed *ret);

#define SIGV4_EXPIRES_S_MAX 604800

/* A URL that carries its own permission. */
struct sigv4_presign {
	const struct sigv4_scheme *scheme; /* NULL = sigv4_s3 */
	struct slice method;
	struct slice scheme_host; /* "https://bucket.example.com", port only when it is not the usual one */
	struct slice path;        /* percent-encoded */
	const struct wire_pair *extra; /* further parameters: response-content-disposition, ... */
	size_t n_extra;
	struct slice date;        /* sigv4_date() */
	int64_t expires_s;        /* 1 to SIGV4_EXPIRES_S_MAX */
	struct slice bucket;      /* as in sigv4_request */
};

/* ret_url: the whole URL. ERR_INVALID as above, or expires_s out of its range; ERR_NOMEM, ERR_TOO_BIG. */
int sigv4_presign(const struct sigv4_keys *keys, const struct sigv4_presign *rq, struct arena *a,
    struct sigv4_signed *ret, struct slice *ret_url);

#endif
